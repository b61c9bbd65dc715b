/* The inside of an open model: what a step works with, and the parts of a step. For host/model, and host/cluster, which runs the
 * parts on several processes. */
#ifndef FA_MODEL_TRANSFORMER_H
#define FA_MODEL_TRANSFORMER_H

#include "host/model/model.h"
#include "host/model/weights.h"

/* FP32 buffers of a step, [max_rows or max_logit_rows, width]; those a model has no use for have width 0. */
typedef enum fa_step_buffer {
    FA_STREAM = 0, /* the residual stream [rows, hidden]; stands after the step, for the MTP layer */
    FA_NORMED,     /* [rows, hidden] */
    FA_Q_LATENT,   /* [rows, q_rank] */
    FA_Q,          /* [rows, heads * (nope + rope) or heads * head_dim] */
    FA_KEYS,       /* [rows, kv_rank + rope], or [rows, kv_heads * head_dim] */
    FA_VALUES,     /* GQA [rows, kv_heads * head_dim] */
    FA_HEADS,      /* what attention gives [rows, heads * (v or head_dim)] */
    FA_OUT,        /* of an attention or MLP, before it is added to the stream [rows, hidden] */
    FA_SHARED_OUT, /* of the shared experts [rows, hidden] */
    FA_SCORES,     /* of the router [rows, experts] */
    FA_FINAL,      /* [logit rows, hidden] */
    FA_LOGITS,     /* [logit rows, vocab] */
    FA_JOINED,     /* MTP: token and hidden state [rows, 2 * hidden] */
    FA_MTP_STREAM, /* MTP: the layer's own stream [rows, hidden] */
    FA_STEP_BUFFERS
} fa_step_buffer;

struct fa_model {
    fa_config config;
    fa_tensors *tensors;
    fa_weights weights;
    fa_kv_layout layout;
    fa_backend *backend;
    fa_remote *remote; /* or NULL */
    fa_numerics numerics;
    int32_t max_rows, max_logit_rows, max_positions;
    bool mtp;
    fa_model_part part; /* of it that is here */
    float softmax_scale;

    fa_buffer *buffers[FA_STEP_BUFFERS];
    int64_t width[FA_STEP_BUFFERS];
    fa_buffer *rope;
    int64_t activation_bytes, rope_bytes, scratch_bytes;

    /* host memory of a step */
    fa_arena arena;
    fa_op *ops; /* [max_ops], of which n_ops wait to be submitted */
    int n_ops, max_ops;
    float *rows;             /* [max_rows, hidden]: embedding rows, and hidden states for a probe */
    float *scores, *scratch; /* router: [max_rows, experts], fa_route_scratch */
    int32_t *ids;            /* [max_rows, top_k] */
    float *route_weights;    /* [max_rows, top_k] */
    int32_t last_rows;       /* of the last step, when it succeeded */
    int32_t last_mtp_rows;   /* of the last pass of the MTP layer after that step, when it succeeded */
    fa_loss loss;            /* for fa_model_loss */
    const char *lost;        /* the backend's loss of its device that was told */
    int losses;              /* of the device's memory since a step succeeded */
};

/* FA_EINVAL or FA_ELIMIT for a step that the model cannot run. */
fa_status fa_step_check(const fa_model *m, const fa_step *step, fa_error *e);

/* Decodes the rows of `step->tokens` from `table` into `to` [rows, hidden]; or puts there what the step brings itself. */
fa_status fa_embed(fa_model *m, const fa_step *step, const fa_weight *table, fa_buffer *to, fa_error *e);

/* Appends an op of this kind, zeroed, to those that wait. */
fa_op *fa_push(fa_model *m, fa_op_kind kind);

/* Submits what waits, and waits. */
fa_status fa_flush(fa_model *m, fa_error *e);

/* y = rmsnorm(x) over rows of the weight's width that lie close together; the op is returned for callers whose rows
 * do not, or are chosen by an index. */
fa_rmsnorm *fa_push_norm(fa_model *m, int64_t rows, fa_buffer *x, const fa_weight *weight, fa_buffer *y);

/* y = x . weight^T */
void fa_push_matmul(fa_model *m, int64_t rows, fa_buffer *x, const fa_weight *weight, fa_step_buffer y);

/* y = y + x over [rows, hidden] */
void fa_push_add(fa_model *m, int64_t rows, fa_buffer *y, fa_buffer *x);

/* The parts of a layer in their order; `step` is the rows that each is for, which lie at the beginning of every buffer.
 * Keys: what the cache is to keep, FA_KEYS and with GQA FA_VALUES, of the normed `stream`. */
void fa_push_keys(fa_model *m, int i, fa_buffer *stream, const fa_step *step);
/* FA_Q, of what fa_push_keys left. */
void fa_push_queries(fa_model *m, int i, const fa_step *step);
/* FA_KEYS and FA_VALUES go to the step's places. */
void fa_push_store(fa_model *m, int i, const fa_step *step);
/* FA_Q against the cache, added to `stream`; leaves FA_NORMED for the MLP. */
void fa_push_attention(fa_model *m, int i, fa_buffer *stream, const fa_step *step);
/* The router over FA_NORMED, whose scores come to the host: m->ids, m->route_weights. Submits what waits. */
fa_status fa_route_rows(fa_model *m, int i, const fa_step *step, fa_error *e);
/* The dense MLP or the shared experts over FA_NORMED. */
void fa_push_mlp(fa_model *m, int i, const fa_step *step, fa_step_buffer y);

/* What the MTP layer sees of its rows, into FA_MTP_STREAM; from: rows of the pass before, or NULL. Leaves ops waiting. */
fa_status fa_push_mtp_inputs(fa_model *m, const fa_step *step, fa_mtp_source source, const int32_t *from, fa_error *e);

/* Runs layer `i` (config.layers: the MTP layer) in place on `stream` [rows, hidden]. Leaves ops waiting. */
fa_status fa_push_layer(fa_model *m, int i, fa_buffer *stream, const fa_step *step, fa_error *e);

/* The norm and head over the logit rows of `stream`, then reads the logits. */
fa_status fa_read_logits(fa_model *m, fa_buffer *stream, const fa_weight *norm, const fa_weight *head,
                         const fa_step *step, fa_error *e);

#endif
