#include "host/server/logprobs.h"

#include <stdio.h>
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

/* --- completions ------------------------------------------------------------------------------------------------------------ */

static const char *const columns_of[] = {"tokens", "token_logprobs", "top_logprobs", "text_offset"};
enum { TOKENS, TOKEN_LOGPROBS, TOP_LOGPROBS, TEXT_OFFSET, COLUMNS };

json_t *fa_logprobs_columns(void) {
    json_t *o = json_object();
    for (int i = 0; i < COLUMNS; i++) json_object_set_new(o, columns_of[i], json_array());
    return o;
}

/* A token's name: its text, or where that is no whole text "bytes:\x.." as OpenAI has it, so that two tokens never have one name. */
static json_t *token_name(const fa_tokenizer *t, int32_t id) {
    size_t n = 0;
    const char *piece = fa_tokenizer_piece(t, id, &n);
    if (!piece) return json_string("");
    json_t *name = json_stringn(piece, n);
    if (name) return name;
    fa_text shown = {0};
    fa_status s = fa_text_append(&shown, "bytes:", 6);
    for (size_t i = 0; i < n && !s; i++) {
        char hex[8];
        snprintf(hex, sizeof hex, "\\x%02x", (unsigned char)piece[i]);
        s = fa_text_append(&shown, hex, 4);
    }
    name = s ? NULL : json_stringn(shown.data, shown.n);
    fa_text_free(&shown);
    return name;
}

static bool put_name(json_t *top, const fa_tokenizer *t, int32_t id, float logprob) {
    json_t *name = token_name(t, id);
    bool ok = name && (json_object_get(top, json_string_value(name)) ||
                       !json_object_set_new(top, json_string_value(name), json_real((double)logprob)));
    json_decref(name);
    return ok;
}

bool fa_logprobs_append(json_t *columns, const fa_tokenizer *t, const fathom_token *token, bool first, int64_t offset) {
    json_t *top = first ? json_null() : json_object();
    bool ok = top != NULL;
    for (int32_t i = 0; i < token->n_top && ok; i++) ok = put_name(top, t, token->top_ids[i], token->top_logprobs[i]);
    if (ok && !first) ok = put_name(top, t, token->id, token->logprob);
    json_t *row[COLUMNS] = {token_name(t, token->id), first ? json_null() : json_real((double)token->logprob), top,
                            json_integer(offset)};
    for (int i = 0; i < COLUMNS; i++) ok &= !json_array_append_new(json_object_get(columns, columns_of[i]), row[i]);
    return ok;
}

bool fa_logprobs_extend(json_t *columns, const json_t *from) {
    bool ok = true;
    for (int i = 0; i < COLUMNS; i++)
        ok &= !json_array_extend(json_object_get(columns, columns_of[i]), json_object_get(from, columns_of[i]));
    return ok;
}

int64_t fa_logprobs_characters(const fa_tokenizer *t, int32_t id) {
    size_t n = 0;
    const char *piece = fa_tokenizer_piece(t, id, &n);
    int64_t count = 0;
    for (size_t i = 0; piece && i < n; i++) count += ((unsigned char)piece[i] & 0xc0) != 0x80;
    return count;
}
