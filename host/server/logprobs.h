/* Log-probabilities of tokens as the API shows them. */
#ifndef FA_SERVER_LOGPROBS_H
#define FA_SERVER_LOGPROBS_H

#include <jansson.h>

#include "host/fathom.h"
#include "host/text/tokenizer.h"

/* One entry of a chat's logprobs: token, logprob, bytes and as many alternatives as were asked for. NULL when memory ran out. */
json_t *fa_logprobs_entry(const fa_tokenizer *t, const fathom_token *token);

/* A completion's logprobs from such entries: tokens, token_logprobs, top_logprobs, text_offset (characters, the first at `offset`). */
json_t *fa_logprobs_completion(const json_t *entries, int64_t offset);

#endif
