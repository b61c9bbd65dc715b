/* What a completion repeats of its prompt: text, and on request the log-probabilities of its tokens. */
#ifndef FA_SERVER_ECHO_H
#define FA_SERVER_ECHO_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "host/fathom.h"
#include "host/text/tokenizer.h"

typedef struct fa_echo {
    char *text; /* NULL: nothing is repeated */
    size_t bytes;
    json_t *columns; /* logprobs.h; NULL: not wanted */
    int64_t at;      /* characters of the text that the tokens so far show */
    /* which tokens the text does not show: those put in front of it, and of a prompt of ids the special ones */
    size_t n, n_before;
    bool shows_special;
} fa_echo;

/* `text`: the prompt as it was sent; NULL: it was ids. With `logprobs` the first token is there at once; the others come by
 * fa_echo_score, in order. */
fa_status fa_echo_open(fa_echo *echo, const fa_tokenizer *t, const json_t *text, const int32_t *ids, size_t n,
                       bool logprobs, fa_error *e);
void fa_echo_close(fa_echo *echo);

/* The next token of the prompt. False when memory ran out. */
bool fa_echo_score(fa_echo *echo, const fa_tokenizer *t, const fathom_token *token);

#endif
