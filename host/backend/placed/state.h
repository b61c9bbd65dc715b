/* Private to host/backend/placed: its state, and what its files give each other. */
#ifndef FA_BACKEND_PLACED_STATE_H
#define FA_BACKEND_PLACED_STATE_H

#include <pthread.h>

#include "host/backend/placed/placed.h"
#include "host/base/memory.h"

enum { PLACED_BOARDS = FA_PLACEMENT_BOARDS, PLACED_BLOCK = 4096, PLACED_PIECE = 1 << 20, PLACED_REFS = 8 };

/* worker.c: the thread that alone calls a board's backend, on the board's node. */
typedef struct placed_call placed_call;
struct placed_call {
    fa_status (*run)(fa_backend *b, placed_call *c);
    bool busy; /* not yet run */
    fa_status status;
    fa_error error;
    /* what the call is about; each run uses its own */
    const fa_backend_options *options;
    fa_backend **opened;
    fa_buffer *buffer, **out;
    size_t offset, bytes;
    const void *from;
    void *to;
    const fa_op *ops;
    int n;
    fa_weight *weight;
    const fa_limits *limits;
    const fa_progress *progress;
    struct placed_routes *routes;
    bool memory_lost;
};

typedef struct placed_worker {
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    placed_call *call; /* at work; NULL: none */
    fa_backend *backend;
    int node;
    bool closing, started;
    bool failed; /* a call ended with FA_EDEVICE, and the backend has not been recovered */
} placed_worker;

fa_status placed_worker_open(placed_worker *w, int node, fa_error *e);
void placed_worker_close(placed_worker *w);
void placed_start(placed_worker *w, placed_call *c);
fa_status placed_finish(placed_worker *w, placed_call *c, fa_error *e);
fa_status placed_do(placed_worker *w, placed_call *c, fa_error *e); /* both */

/* A weight: on each board that holds it, in the order of the boards. */
typedef struct placed_weight {
    struct placed_weight *next;
    uint32_t boards; /* bits */
    int32_t layer;
    fa_weight at[];
} placed_weight;

/* A buffer: blocks that are newest on some boards. As a pool of cache pages it has no blocks: each board has the pages of its layers. */
typedef struct placed_buffer {
    fa_buffer base;
    struct placed_buffer *next, *before;
    uint32_t *valid; /* [blocks] bits: the boards whose copy is the newest; all: zero, and nobody has memory */
    fa_buffer *at[PLACED_BOARDS]; /* NULL until it is needed */
    bool written, pool;
    fa_kv_layout whole, own[PLACED_BOARDS]; /* of a pool: of all layers, of a board's */
} placed_buffer;

/* What a board's part of routed experts works on, in memory of its node. */
typedef struct placed_routes {
    int64_t n, room; /* routes; of max_rows * max_top_k */
    int64_t rows_at_once, hidden, inner;
    fa_numerics numerics;
    fa_memory memory; /* x and y [room, hidden] */
    float *x, *y;
    int32_t *ids;       /* [room] of `experts` */
    float *weights;     /* [room] */
    fa_expert *experts; /* [n_experts], as the board has them */
    int n_experts;
    fa_buffer *x_buffer, *y_buffer;
    size_t buffer_bytes;
} placed_routes;

typedef struct fa_placed {
    fa_backend base;
    fa_board_placement placement;
    int32_t n;
    placed_worker worker[PLACED_BOARDS];
    void *piece[PLACED_BOARDS]; /* [PLACED_PIECE] of the node, staging between boards */
    fa_memory piece_memory[PLACED_BOARDS];
    int32_t *local_layer; /* [layers] among those of its board */
    fa_limits limits;
    placed_weight *weights;
    placed_buffer *buffers;
    placed_routes routes[PLACED_BOARDS];
    int32_t *route_board, *route_at; /* [max_rows * max_top_k] where a route went, and which of the board's it is */
    int32_t *compact;         /* [max_experts] an expert's number among those of the op that a board sees; -1: none */
    float *rows;              /* [max_rows, max_cols] */
    fa_op *batch;             /* ops for one board */
    fa_expert *batch_experts; /* their experts */
    int32_t *batch_ids;
    int n_batch, batch_room, n_batch_experts, batch_experts_room;
    int64_t n_batch_ids, batch_ids_room;
    int32_t batch_board;
    double seconds; /* by the boards' clocks: of what ran, one after the other or at the same time */
} fa_placed;

/* weights.c */
fa_status placed_take_weight(fa_backend *b, fa_weight *w, fa_error *e);
void placed_weights_close(fa_placed *p);
/* The weight as the board has it; NULL: it has not. */
const fa_weight *placed_weight_on(const fa_weight *w, int32_t board);

/* buffers.c */
fa_status placed_alloc(fa_backend *b, size_t bytes, fa_buffer **out, fa_error *e);
void placed_free(fa_backend *b, fa_buffer *buffer);
fa_status placed_write(fa_backend *b, fa_buffer *to, size_t offset, const void *from, size_t bytes, fa_error *e);
fa_status placed_read(fa_backend *b, const fa_buffer *from, size_t offset, void *to, size_t bytes, fa_error *e);
/* Makes [low, high) of a buffer there on a board: what is newer elsewhere is copied. `covered`: all of it will be written. */
fa_status placed_bring(fa_placed *p, placed_buffer *b, int32_t board, size_t low, size_t high, bool covered,
                       fa_error *e);
void placed_written(placed_buffer *b, int32_t board, size_t low, size_t high);
fa_status placed_write_on(fa_placed *p, placed_buffer *b, int32_t board, size_t offset, const void *from, size_t bytes,
                          fa_error *e);
/* The buffer becomes a pool; its pages on a board. */
fa_status placed_pool(fa_placed *p, const fa_kv *kv, int32_t board, fa_kv *out, fa_error *e);
fa_status placed_clear_buffers(fa_placed *p, fa_error *e); /* all are zero again */

/* refs.c: the parts of buffers that an op reads and writes, pools left out. */
typedef struct placed_ref {
    placed_buffer *buffer;
    size_t low, high;
    bool write, covered; /* covered: all of low .. high is written, and nothing of it read */
} placed_ref;
int placed_refs(const fa_op *op, placed_ref refs[PLACED_REFS]);

/* experts.c: routed experts, whose routes may go to several boards. */
fa_status placed_run_routed(fa_placed *p, const fa_op *op, fa_error *e);
fa_status placed_routes_reserve(fa_placed *p, fa_error *e);
void placed_routes_close(fa_placed *p);

/* ops.c: ops wait in a batch for their board until placed_flush, or until another board's come. */
fa_status placed_flush(fa_placed *p, fa_error *e);
fa_status placed_at(fa_placed *p, int32_t board, int n_experts, int64_t n_ids,
                    fa_error *e); /* room in a batch of `board` */
fa_status placed_bring_all(fa_placed *p, const fa_op *op, int32_t board,
                           fa_error *e); /* what an op on `board` refers to */
fa_status placed_expert_on(const fa_expert *x, int32_t board, fa_expert *out, fa_error *e);
double placed_clock(const fa_placed *p, int32_t board); /* s, by the board's clock */
fa_status placed_submit(fa_backend *b, const fa_op *ops, int n, fa_ticket *ticket, fa_error *e);
fa_status placed_wait(fa_backend *b, fa_ticket ticket, fa_error *e);

static inline placed_buffer *placed_buffer_of(const fa_buffer *b) {
    return b->device;
}

#endif
