#include "host/server/logprobs.h"

#include <string.h>

/* Bytes that are no whole character show as U+FFFD; "bytes" has them as they are. */
static json_t *token_text(const char *piece, size_t n) {
    json_t *text = json_stringn(piece, n);
    if (text) return text;
    fa_text shown = {0};
    bool failed = false;
    for (size_t i = 0; i < n && !failed;) {
        size_t m = 1;
        json_t *one = NULL;
        for (m = 1; m <= 4 && i + m <= n && !(one = json_stringn(piece + i, m)); m++) {
        }
        if (one)
            failed = fa_text_append(&shown, piece + i, m) != FA_OK;
        else
            failed = fa_text_append(&shown, "\xef\xbf\xbd", 3) != FA_OK;
        json_decref(one);
        i += one ? m : 1;
    }
    text = failed ? NULL : json_stringn(shown.data ? shown.data : "", shown.n);
    fa_text_free(&shown);
    return text;
}

static json_t *one_entry(const fa_tokenizer *t, int32_t id, float logprob) {
    size_t n = 0;
    const char *piece = t ? fa_tokenizer_piece(t, id, &n) : NULL;
    if (!piece) n = 0;
    json_t *bytes = json_array();
    for (size_t i = 0; i < n; i++) json_array_append_new(bytes, json_integer((unsigned char)piece[i]));
    return json_pack("{s:o, s:f, s:o}", "token", token_text(piece ? piece : "", n), "logprob", (double)logprob, "bytes",
                     bytes);
}

json_t *fa_logprobs_entry(const fa_tokenizer *t, const fathom_token *token) {
    json_t *entry = one_entry(t, token->id, token->logprob), *top = json_array();
    for (int32_t i = 0; i < token->n_top; i++)
        json_array_append_new(top, one_entry(t, token->top_ids[i], token->top_logprobs[i]));
    json_object_set_new(entry, "top_logprobs", top);
    return entry;
}

static int64_t characters(const char *text, size_t n) {
    int64_t count = 0;
    for (size_t i = 0; i < n; i++) count += ((unsigned char)text[i] & 0xc0) != 0x80;
    return count;
}

json_t *fa_logprobs_completion(const json_t *entries, int64_t offset) {
    json_t *tokens = json_array(), *logprobs = json_array(), *tops = json_array(), *offsets = json_array();
    size_t i, k;
    json_t *entry, *alternative;
    json_array_foreach(entries, i, entry) {
        json_t *token = json_object_get(entry, "token"), *top = json_object();
        json_array_append(tokens, token);
        json_array_append(logprobs, json_object_get(entry, "logprob"));
        const json_t *alternatives = json_object_get(entry, "top_logprobs");
        json_array_foreach(alternatives, k, alternative) {
            const char *text = json_string_value(json_object_get(alternative, "token"));
            json_object_set(top, text, json_object_get(alternative, "logprob"));
        }
        json_array_append_new(tops, top);
        json_array_append_new(offsets, json_integer(offset));
        offset += characters(json_string_value(token), json_string_length(token));
    }
    return json_pack("{s:o, s:o, s:o, s:o}", "tokens", tokens, "token_logprobs", logprobs, "top_logprobs", tops,
                     "text_offset", offsets);
}
