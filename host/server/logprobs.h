/* Log-probabilities of tokens as the API shows them. */
#ifndef FA_SERVER_LOGPROBS_H
#define FA_SERVER_LOGPROBS_H

#include <jansson.h>
#include <stdbool.h>

#include "host/fathom.h"
#include "host/text/tokenizer.h"

/* One entry of a chat's logprobs: token, logprob, bytes and as many alternatives as were asked for. NULL when memory ran out. */
json_t *fa_logprobs_entry(const fa_tokenizer *t, const fathom_token *token);

/* The logprobs of a completion: four arrays of one element a token. */
json_t *fa_logprobs_columns(void);

/* Appends a token whose text begins `offset` characters into the completion's; its alternatives include itself. `first`: it has no
 * log-probability, as nothing is before it. False when memory ran out. */
bool fa_logprobs_append(json_t *columns, const fa_tokenizer *t, const fathom_token *token, bool first, int64_t offset);

/* All that `from` has, behind what `columns` has. */
bool fa_logprobs_extend(json_t *columns, const json_t *from);

/* Characters that begin in a token's bytes. */
int64_t fa_logprobs_characters(const fa_tokenizer *t, int32_t id);

#endif
