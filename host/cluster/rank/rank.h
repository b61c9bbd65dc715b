/* One rank of a cluster: its part of a model on its own backend, and its part of every step. All ranks call the same functions with the
 * same steps. Results are those of one process, bit for bit: a row is computed whole by the rank that has it, but for its routed experts,
 * whose products come back one by one and are added in the order of the row's routes. */
#ifndef FA_CLUSTER_RANK_H
#define FA_CLUSTER_RANK_H

#include "host/cluster/grid.h"
#include "host/cluster/rank/link.h"
#include "host/cluster/wire.h"
#include "host/model/transformer.h"

/* The rows of a pass as all ranks see them: sorted by the rank of a stage that has them. */
typedef struct fa_rows {
    int32_t rows;
    int32_t *tokens;
    fa_place *place;
    int32_t *order; /* [rows] the pass's row that stands here */
    int32_t *owner; /* [rows] of the pass's row t: who in the stage has it, and as which of its rows */
    int32_t *local;
    int32_t *first; /* [stage's size + 1] */
} fa_rows;

/* One product of a row and an expert, as it travels. */
typedef struct fa_route {
    int32_t row; /* of those beside it */
    int32_t id;
    float weight;
} fa_route;

/* A run of routes that one rank computes for one rank. */
typedef struct fa_routes {
    int32_t n;
    const fa_route *route;
    const float *x; /* [rows, hidden] */
} fa_routes;

/* What a rank exchanges with another one of its stage. */
typedef struct fa_peer {
    fa_parcel keys_out, keys_in, rows_out, rows_in, products_out, products_in;
    float *keys;          /* [max_rows, key width] received */
    char *outbox, *inbox; /* a dispatch: fa_dispatch_bytes of all rows at most */
    fa_routes out, in;
    int32_t in_first; /* of `in`: where their products begin in fa_rank.made */
} fa_peer;

typedef struct fa_rank {
    fa_link *link;
    fa_grid grid;
    fa_seat seat;
    bool mtp;
    int32_t vocab, max_rows;
    int64_t hidden;
    fa_backend *backend;
    fa_model *model;
    fa_buffer *pool, *routed_x, *routed_y; /* [max_rows, hidden]: routed experts' rows and products */
    fa_arena arena;

    fa_rows own,
        end; /* rows of the pass under way over this rank's stage, where it is not the last; over the last one */
    fa_rows step, mtp_pass; /* over the last stage: of the last step and MTP pass that were run */
    const fa_rows *now;     /* over this rank's stage */
    fa_step all, mine;      /* of `now`: every row, and this rank's */
    int32_t *logit_rows;    /* of mine */
    int32_t *from;          /* of mine: rows of the pass before, here */

    fa_peer *peers;         /* [stage's size]; the rank itself has one too */
    fa_parcel *parcels;     /* [link.size] of stream, logits and steps */
    float *rows_x;          /* [max_rows, hidden] this rank's rows on the host: FA_NORMED, or the stream to pass on */
    float *stage_x;         /* [max_rows, hidden] staging for routed_x; stream from the stage before */
    float *keys;            /* [max_rows, key width] */
    float *made, *products; /* [max_rows * top_k, hidden] for others; for this rank's rows, by rank */
    float *sum;             /* [max_rows, hidden] */
    const fa_routes **runs; /* [stage's size] */
    int32_t *routed_ids, *position; /* [max_rows * top_k]; position: of a route's product in `products` */
    float *routed_weights;
    float *logits; /* [max_logit_rows, vocab] of mine */
} fa_rank;

/* Opens this rank's part: collective, so that all have it, or all fail with the text of one that failed. *hello is what the
 * rank says of itself. The caller closes, also after an error. */
fa_status fa_rank_open(fa_rank **out, fa_link *link, const fa_cluster_setup *setup, fa_cluster_hello *hello,
                       fa_error *e);
void fa_rank_close(fa_rank *r);

/* One pass. On rank 0 logits [n_logits, vocab] are written. After an error the job is of no use any more. */
fa_status fa_rank_step(fa_rank *r, const fa_step_message *m, float *logits, fa_error *e);

/* --- within this folder --------------------------------------------------------------------------------------------- */

/* Deals the rows of a step over a stage of `size` (rows.c); those of an MTP pass lie where those rows of the pass `before` lie that they
 * go on from. before: NULL for a step. */
fa_status fa_rows_place(fa_rows *rows, const fa_step_message *m, int32_t size, const fa_rows *before, fa_error *e);
/* Memory for passes of max_rows; false when there is none. */
bool fa_rows_open(fa_rows *rows, fa_arena *arena, int32_t max_rows, int32_t ranks);

/* A layer whose stage has several ranks (layer.c). Leaves ops waiting. */
fa_status fa_rank_layer(fa_rank *r, int i, fa_buffer *stream, fa_error *e);

/* The routed experts of the rows in FA_NORMED, whose routes are in the model, and the shared ones beside them, into FA_OUT
 * (experts.c). */
fa_status fa_rank_experts(fa_rank *r, int layer, fa_error *e);

/* Bytes of a dispatch of `rows` rows with `routes` routes. */
int64_t fa_dispatch_bytes(int64_t hidden, int64_t rows, int64_t routes);

#endif
