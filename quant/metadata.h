/* config.json and the tokenizer's files of the destination. Private to quant. Each `*out` is a new reference for the caller. */
#ifndef FA_QUANT_METADATA_H
#define FA_QUANT_METADATA_H

#include "host/base/json.h"
#include "host/format/gguf.h"
#include "host/format/tensor.h"

/* dir/config.json with the quantization_config of the DeepSeek-V3 release. FA_EUNSUPPORTED when it has one already. */
fa_status fa_metadata_of_folder(json_t **out, const char *dir, fa_error *e);

/* config.json from GGUF metadata, and from which tensors there are (bias, output head, rope_freqs). */
fa_status fa_metadata_config(json_t **out, const fa_tensors *ts, fa_error *e);

/* tokenizer.json and tokenizer_config.json from a GGUF vocabulary of kind "gpt2". FA_EUNSUPPORTED names another kind, or
 * a tokenizer.ggml.pre that is not known. */
fa_status fa_metadata_tokenizer(json_t **tokenizer, json_t **config, const fa_gguf *g, fa_error *e);

#endif
