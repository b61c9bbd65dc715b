/* A DeepSeek-family model: files -> config and weights -> one step of rows through all layers on a backend.
 */
#ifndef FA_MODEL_MODEL_H
#define FA_MODEL_MODEL_H

#include <stdbool.h>
#include <stdint.h>

#include "host/backend/backend.h"
#include "host/format/tensor.h"
#include "host/model/config.h"

typedef struct fa_model fa_model;

/* Another who computes on the model's backend with weights of the same files: says before the backend reserves what it needs more
 * of, and gives its weights before the backend settles. */
typedef struct fa_model_guest {
    void *ctx;
    fa_status (*limits)(void *ctx, const fa_tensors *tensors, fa_limits *limits, fa_error *e);
    fa_status (*weights)(void *ctx, const fa_tensors *tensors, fa_backend *backend, fa_error *e);
} fa_model_guest;
/* What one process of several holds: layers first_layer .. end_layer - 1 and, of their routed experts, first_expert .. end_expert - 1;
 * the rest of the files is never read. The MTP layer, where it is asked for, counts as one more layer behind the model's. */
typedef struct fa_model_part {
    int32_t first_layer, end_layer;
    int32_t first_expert, end_expert;
    bool embedding, head;
} fa_model_part;

/* What a failed step lost besides itself. */
typedef enum fa_loss {
    FA_LOSS_NONE = 0,
    FA_LOSS_CACHE, /* the device works again, but what cache pages held is gone: steps may go on with positions computed anew */
    FA_LOSS_HELD, /* the same, and whoever had positions in the cache should hear of it rather than wait */
    FA_LOSS_STEP, /* so should the rows of the step */
} fa_loss;

struct fa_step;

/* What a pass of the MTP layer goes on from. */
typedef enum fa_mtp_source {
    FA_MTP_AFTER_STEP, /* hidden states of the step that was run last, after its final norm */
    FA_MTP_AFTER_MTP,  /* those of the MTP pass that was run last, after the layer's own norm: a draft further */
} fa_mtp_source;

/* Whoever runs a model's passes in place of this process, as fa_model_step and fa_model_mtp say. */
typedef struct fa_remote {
    void *ctx;
    int32_t vocab; /* set by fa_model_open */
    fa_status (*step)(void *ctx, const struct fa_step *step, fa_loss *loss, fa_error *e);
    fa_status (*mtp)(void *ctx, const struct fa_step *step, fa_mtp_source source, const int32_t *from, fa_error *e);
} fa_remote;

typedef struct fa_model_options {
    const char *path;     /* folder, .safetensors with config.json beside it, or .gguf */
    fa_backend *backend;  /* borrowed; the caller closes it after the model */
    fa_numerics numerics; /* for FP8 weights */
    fa_cache_type cache;
    int32_t max_rows;          /* of one step */
    int32_t max_logit_rows;    /* of one step, <= max_rows */
    int32_t max_positions;     /* context length; rotary tables are made for it */
    bool mtp;                  /* also prepare the multi-token-prediction layer */
    fa_remote *remote;         /* runs the passes (borrowed); NULL: the backend. With it no weight is read here */
    const fa_model_part *part; /* NULL: all; fa_model_step and fa_model_mtp need all */
    const char *experts_by;    /* a trace whose most visited experts the backend shall hold first, or NULL */
    void (*progress)(void *ctx, int64_t done, int64_t total); /* bytes checked while loading; or NULL */
    void *progress_ctx;
    const fa_model_guest *guest; /* or NULL */
} fa_model_options;

/* Opens a model: every weight is checked (shape, type, no NaN code) and prepared on the backend; a missing
 * tensor or one of the wrong shape is FA_EFORMAT naming file and tensor. Calls backend->reserve. The caller
 * closes. */
fa_status fa_model_open(fa_model **out, const fa_model_options *options, fa_error *e);
void fa_model_close(fa_model *m);

/* The configuration of a model whose tensors are open. */
fa_status fa_model_read_config(fa_config *c, const char *path, const fa_tensors *ts, fa_error *e);

const fa_config *fa_model_config(const fa_model *m);
const fa_tensors *fa_model_tensors(const fa_model *m);

/* Layout of this model's cache: the layers that are here, with the MTP layer as the last one when prepared. */
const fa_kv_layout *fa_model_kv_layout(const fa_model *m);

/* Memory by part, in bytes. */
typedef struct fa_model_memory {
    int64_t files;       /* mapped */
    int64_t weights;     /* of them what the backend was given */
    int64_t activations; /* step buffers */
    int64_t rope;        /* rotary tables */
    int64_t backend;     /* scratch */
    int64_t host;        /* index structures, copies of weights that had to be made */
} fa_model_memory;
fa_model_memory fa_model_get_memory(const fa_model *m);

/* What a step may report while it runs; each may be NULL. Called on the stepping thread; arrays are valid in
 * the call. */
typedef struct fa_probe {
    void *ctx;
    /* After the router of a MoE layer: ids and weights [rows, top_k], rising ids within a row. */
    void (*routes)(void *ctx, int layer, int rows, int top_k, const int32_t *ids, const float *weights);
    /* Hidden states [rows, hidden]: layer -1 = embedding, 0 .. L-1 = output of that layer, L = after the
     * final norm. */
    void (*hidden)(void *ctx, int layer, int rows, int width, const float *values);
} fa_probe;

/* One pass of rows, of any mixture of sequences. Rows of one sequence are in rising position order and their
 * pages have room. */
typedef struct fa_step {
    int32_t rows;                   /* <= max_rows */
    const int32_t *tokens;          /* [rows] ids in 0 .. vocab-1; any where the row has an embedding of its own */
    const float *const *embeddings; /* NULL, or [rows]: where not NULL, [hidden] values in the place of the token's */
    const fa_place *place;          /* [rows] */
    fa_buffer *pool;                /* cache pages */
    int32_t n_logits;               /* <= max_logit_rows */
    const int32_t *logit_rows;      /* [n_logits] rows whose logits are wanted */
    float *logits;                  /* [n_logits, vocab], written */
    int32_t n_hidden;
    const int32_t *hidden_rows; /* [n_hidden] rows whose hidden states after the final norm are wanted */
    float *hidden;              /* [n_hidden, hidden], written */
    const fa_probe *probe;      /* or NULL */
} fa_step;

/* Runs the step; stores every row's keys in the cache. When the device failed and could be recovered, the step is run again: it
 * depends on nothing but its tokens and the cached positions before them. FA_EDEVICE when it stays lost, or came back
 * without the cache. FA_ENUMERIC is never returned for one bad row: its
 * logits are NaN and the caller checks them, so that other rows of the batch are not disturbed. */
fa_status fa_model_step(fa_model *m, const fa_step *step, fa_error *e);

/* After FA_EDEVICE outside a step: true when the backend recovered with all its memory, so that the work may be done again. Where memory was
 * lost the model's own tables are written again; a device that loses it at every step is given up. */
bool fa_model_recover(fa_model *m);

/* What the last step lost, said once. */
fa_loss fa_model_loss(fa_model *m);

/* The MTP layer: row i of `step` goes on from row from[i] of the pass before it (NULL: from row i) and sits at the place of
 * that row, or one further for each pass after the first. tokens[i] is the token that follows; logits row i predicts the one
 * after that. Keys go into the cache's last layer. FA_EUNSUPPORTED for a model that was opened without it, FA_EINVAL for a row
 * that the pass before did not have. Not run again when the device fails. */
fa_status fa_model_mtp(fa_model *m, const fa_step *step, fa_mtp_source source, const int32_t *from, fa_error *e);

#endif
