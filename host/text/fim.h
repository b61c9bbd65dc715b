/* Prompts of fill-in-the-middle, as DeepSeek-Coder, Coder-V2 and V3 were trained on: begin PREFIX hole SUFFIX end, and the model goes on with
 * what is between (PSM mode; DeepSeek-Coder, arXiv:2401.14196, section 3.1.2; DeepSeek-V3, arXiv:2412.19437, section 4.1). */
#ifndef FA_TEXT_FIM_H
#define FA_TEXT_FIM_H

#include "host/text/tokenizer.h"

/* Whether the vocabulary has the three tokens. */
bool fa_fim_known(const fa_tokenizer *t);

/* Appends the prompt's ids, with those that the model's texts begin with in front. Both texts are literal: nothing in them becomes a
 * special token, so no file can bring another hole. FA_EUNSUPPORTED where the tokens are not known; FA_ENOMEM; as fa_encode. */
fa_status fa_fim_encode(const fa_tokenizer *t, const char *prefix, size_t n_prefix, const char *suffix, size_t n_suffix,
                        fa_ids *ids, fa_error *e);

#endif
