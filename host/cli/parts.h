/* What a model's files consist of, without loading it: its configuration, and bytes by part. */
#ifndef FA_CLI_PARTS_H
#define FA_CLI_PARTS_H

#include "host/backend/kv.h"
#include "host/format/tensor.h"
#include "host/model/config.h"

typedef enum cli_part {
    CLI_EMBEDDING = 0,
    CLI_ATTENTION,
    CLI_DENSE, /* MLPs of dense layers */
    CLI_ROUTER,
    CLI_EXPERTS,
    CLI_SHARED, /* shared experts */
    CLI_NORMS,
    CLI_HEAD,
    CLI_MTP,   /* everything of the multi-token-prediction layers */
    CLI_OTHER, /* tensors that the model does not use */
    CLI_PART_COUNT
} cli_part;

/* "embedding", "attention", ... */
const char *cli_part_name(cli_part p);

typedef struct cli_files {
    fa_tensors *tensors;
    fa_config config;
    int64_t bytes[CLI_PART_COUNT];
    int64_t parameters; /* elements of all tensors but block scales */
    /* Weight bytes that decoding one token reads: every part once, but of the routed experts top_k of each layer,
     * of the embedding one row, and no MTP layer. */
    int64_t read_per_token;
} cli_files;

/* Maps a folder, a .safetensors file with config.json beside it, or a .gguf file. Reads headers alone. */
fa_status cli_files_open(cli_files *f, const char *path, fa_error *e);
void cli_files_close(cli_files *f);

/* Part of the tensor `name` (Hugging Face's or GGUF's names). */
cli_part cli_part_of(const char *name, const fa_config *c);

/* Bytes that one position takes in a cache of this type, all layers. */
int64_t cli_cache_bytes_per_token(const fa_config *c, fa_cache_type type);

#endif
