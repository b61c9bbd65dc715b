/* The steps of a tokenizer.json: normalizer, pre_tokenizer, decoder. */
#ifndef FA_TEXT_STEPS_JSON_H
#define FA_TEXT_STEPS_JSON_H

#include "host/base/json.h"
#include "host/text/parts.h"

/* Each takes the value of that field, null and absence (NULL) included. What is not known is FA_EUNSUPPORTED by name. */
fa_status fa_normalizer_from_json(fa_builder *b, const json_t *v);
fa_status fa_pretokenizer_from_json(fa_builder *b, const json_t *v);
fa_status fa_decoder_from_json(fa_builder *b, const json_t *v);

#endif
