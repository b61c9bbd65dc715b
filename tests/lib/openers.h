/* Readers of files as tests use them: each opens what lies at `path` and reads all of it. FA_OK or an error with a text. */
#ifndef FA_TESTS_OPENERS_H
#define FA_TESTS_OPENERS_H

#include "host/base/status.h"

typedef fa_status check_opener(const char *path, fa_error *e);

check_opener check_open_tensors;   /* safetensors, an index of shards, GGUF, a checkpoint of PyTorch */
check_opener check_open_tokenizer; /* tokenizer.json, a folder with one, GGUF; encodes and decodes a text */
check_opener check_open_config;    /* a folder with config.json */
check_opener check_open_board;
check_opener check_open_xclbin;
check_opener check_open_trace;    /* of `fathom trace` */
check_opener check_open_requests; /* of `fathom plan --serve`; replays a second of it */
check_opener check_open_placement;
check_opener check_open_schema;   /* JSON schema; draws an answer, which must be JSON */
check_opener check_open_messages; /* of a chat, in every family's template */

#endif
