#include "host/server/echo.h"

#include <stdlib.h>
#include <string.h>

#include "host/server/logprobs.h"

static fa_status take_text(fa_echo *echo, const fa_tokenizer *t, const json_t *text, const int32_t *ids, size_t n,
                           fa_error *e) {
    if (!text) return fa_decode_ids(t, ids, n, true, &echo->text, &echo->bytes, e);
    echo->bytes = json_string_length(text);
    echo->text = malloc(echo->bytes + 1);
    if (!echo->text) return fa_fail(e, FA_ENOMEM, "prompt: memory ran out");
    memcpy(echo->text, json_string_value(text), echo->bytes + 1);
    echo->n_before = fa_tokenizer_prefix(t);
    echo->shows_special = true;
    return FA_OK;
}

fa_status fa_echo_open(fa_echo *echo, const fa_tokenizer *t, const json_t *text, const int32_t *ids, size_t n,
                       bool logprobs, fa_error *e) {
    fa_status s = take_text(echo, t, text, ids, n, e);
    if (s || !logprobs) return s;
    const fathom_token first = {.id = ids[0]};
    echo->columns = fa_logprobs_columns();
    return fa_echo_score(echo, t, &first) ? FA_OK : fa_fail(e, FA_ENOMEM, "prompt: memory ran out");
}

void fa_echo_close(fa_echo *echo) {
    free(echo->text);
    json_decref(echo->columns);
    *echo = (fa_echo){0};
}

bool fa_echo_score(fa_echo *echo, const fa_tokenizer *t, const fathom_token *token) {
    bool shown = echo->n >= echo->n_before && (echo->shows_special || !fa_tokenizer_is_special(t, token->id));
    bool ok = fa_logprobs_append(echo->columns, t, token, echo->n == 0, echo->at);
    if (shown) echo->at += fa_logprobs_characters(t, token->id);
    echo->n++;
    return ok;
}
