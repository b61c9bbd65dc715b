/* The ways to load a tokenizer, behind fa_tokenizer_open. */
#ifndef FA_TEXT_LOAD_H
#define FA_TEXT_LOAD_H

#include "host/text/parts.h"

/* From a tokenizer.json, with what lies beside it. */
fa_status fa_tokenizer_from_json(fa_tokenizer **out, const char *path, fa_error *e);

/* Takes BOS, EOS and the chat template from tokenizer_config.json and chat_template.jinja beside the file b->name, where
 * they exist. */
fa_status fa_tokenizer_config(fa_builder *b);

#endif
