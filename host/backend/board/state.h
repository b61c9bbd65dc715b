/* Private to the board backend: its state, and what its files give each other. */
#ifndef FA_BACKEND_BOARD_STATE_H
#define FA_BACKEND_BOARD_STATE_H

#include "boards/device.h"
#include "hls/kernels.h"
#include "host/backend/backend.h"

enum { BOARD_MAX_UNITS = 16, BOARD_WINDOW = 256 };

/* The part of a weight that one unit multiplies with. */
typedef struct board_slice {
    int32_t unit, first, outputs; /* rows [first, first + outputs) of the weight */
    int32_t at;                   /* word behind the base pointers of the segment */
    int32_t segment;
} board_slice;

/* A weight on the card: whole on one unit, or in equal slices on all. */
typedef struct board_weight {
    struct board_weight *next; /* in the order in which they were taken */
    fa_weight view;            /* its data are read again when the card loses its memory */
    hls_weight type;
    int n_slices;
    board_slice slice[BOARD_MAX_UNITS];
    int32_t wanted;             /* the unit it must be on; BOARD_ANY_UNIT, BOARD_ALL_UNITS */
    bool vector;                /* one row: also as FP32 values in io memory */
    int64_t vector_at;          /* element in the segment's vectors */
    struct board_weight *moved; /* its copy where an op needs it, or NULL */
} board_weight;
enum { BOARD_ANY_UNIT = -1, BOARD_ALL_UNITS = -2 };

/* Weights that were given before the same submission: one buffer for each port, and one for the vectors. */
typedef struct board_segment {
    fa_device_buffer *port[BOARD_MAX_UNITS * HLS_MAX_PORTS];
    fa_device_buffer *vectors;
} board_segment;

/* Tables that kernels read, built in host memory and sent together. Those about places grow up from 0 and mostly stay what they were;
 * those about routes grow down from the end. */
typedef struct board_tables {
    uint8_t *host; /* [bytes]; what the card has, but for the dirty ranges */
    fa_device_buffer *card;
    size_t bytes, low, high; /* free: [low, high) */
    size_t dirty[2][2];      /* [low, high]: first and end */
    const void *last[4];     /* of board_table_kind: the array that was written last in this window, ... */
    int64_t last_rows[4];
    size_t last_at[4];
} board_tables;

/* What was decided about one op before its launches: where its tables are. */
typedef struct board_plan {
    size_t table; /* of its rows' places */
    /* experts */
    const fa_expert *like;        /* a visited one: all lie as it does */
    uint32_t in_units, out_units; /* bits: those that have part of its gate and up, of its down */
    int32_t visited;
    size_t experts[BOARD_MAX_UNITS];
} board_plan;

typedef struct fa_board_backend {
    fa_backend base;
    fa_device *device;
    int32_t units, ports;
    fa_bank_range io, io_first; /* all of that memory; where it begins */
    fa_limits limits;
    board_weight *weights, **last, *pending; /* all; the end of the list; the first that is in no segment */
    board_segment *segments;
    int32_t n_segments;
    size_t buffer_bytes;
    uint8_t *verify; /* staging of transfer.c */
    board_tables tables;
    board_plan plans[BOARD_WINDOW];
    fa_device_buffer *inner; /* [max_rows * max_top_k, inner_ld]: what gate and up give */
    int64_t inner_ld;
    int32_t *first_route;     /* [max_experts], scratch of experts.c */
    uint32_t in_flight;       /* bit u: unit u may be working */
    bool failed, memory_lost; /* until recover */
} fa_board_backend;

/* backend.c: memory of the io ports, where it begins or else anywhere. */
fa_status board_io_alloc(fa_board_backend *b, size_t bytes, fa_device_buffer **out, fa_error *e);

/* limits.c: FA_ELIMIT for more than the kernels take; FA_EINVAL for a weight that is not on the card. */
fa_status board_check_reserve(const fa_board_backend *b, const fa_limits *limits, fa_error *e);
fa_status board_check_op(const fa_op *op, fa_error *e);

/* transfer.c: copies that are checked on arrival and made again when they differ. */
fa_status board_transfer_open(fa_board_backend *b, fa_error *e);
fa_status board_write(fa_board_backend *b, const fa_device_buffer *to, size_t offset, const void *from, size_t bytes,
                      fa_error *e);
fa_status board_read(fa_board_backend *b, const fa_device_buffer *from, size_t offset, void *to, size_t bytes,
                     fa_error *e);

/* weights.c */
fa_status board_take_weight(fa_backend *b, fa_weight *w, fa_error *e);
/* Sends what has been taken since the last call. FA_ENOMEM with the sizes when it does not fit. progress may be NULL. */
fa_status board_seal(fa_board_backend *b, const fa_progress *progress, fa_error *e);
/* Where an expert's weight goes: BOARD_ALL_UNITS where its rows divide evenly, else the first unit. */
int32_t board_expert_units(const fa_board_backend *b, const fa_weight *w);
/* Sends weights again so that each is where wanted[i] says, a unit or BOARD_ALL_UNITS, all in one segment. */
fa_status board_bring_together(fa_board_backend *b, const fa_weight *const *weights, const int32_t *wanted, int n,
                               fa_error *e);
fa_status board_send_again(fa_board_backend *b, fa_error *e); /* everything, after the card lost it */
void board_weights_close(fa_board_backend *b);

/* pack.c: one slice into the buffers of its unit's ports; one vector. */
fa_status board_send_slice(fa_board_backend *b, const board_weight *w, const board_slice *s, fa_error *e);
fa_status board_send_vector(fa_board_backend *b, const board_weight *w, fa_error *e);

/* tables.c */
typedef enum board_table_kind {
    BOARD_TABLE_PAGES = 0, /* fathom_mla, fathom_gqa: pos and page numbers */
    BOARD_TABLE_POSITIONS, /* HLS_ROPE */
    BOARD_TABLE_PLACES,    /* HLS_STORE: page, row */
    BOARD_TABLE_INDEX,     /* HLS_NORM */
} board_table_kind;
fa_status board_tables_open(fa_board_backend *b, fa_error *e);
void board_tables_close(fa_board_backend *b);
void board_tables_begin(board_tables *t);  /* a new window */
void board_tables_forget(board_tables *t); /* the card has nothing of them */
/* False: no room in this window. */
bool board_table_rows(board_tables *t, board_table_kind kind, const void *rows, int64_t n, size_t *at);
int32_t *board_table_routes(board_tables *t, int64_t ints, size_t *at); /* to be filled; NULL: no room */
fa_status board_tables_send(fa_board_backend *b, fa_error *e);

/* Before any launch of a window: an op's tables, and weights that lie where it cannot use them. *fits: false when the window is
 * full. */
fa_status board_plan_experts(fa_board_backend *b, const fa_experts *x, board_plan *p, bool *fits, fa_error *e);
fa_status board_plan_mla(fa_board_backend *b, const fa_mla *m, fa_error *e);

/* An op's launches, after what they depend on. table: where that of its rows is. */
fa_status board_run_experts(fa_board_backend *b, const fa_experts *x, const board_plan *p, fa_error *e);
fa_status board_run_matmul(fa_board_backend *b, const fa_matmul *m, fa_error *e);
fa_status board_run_mla(fa_board_backend *b, const fa_mla *m, size_t table, fa_error *e);
fa_status board_run_gqa(fa_board_backend *b, const fa_gqa *g, size_t table, fa_error *e);
fa_status board_run_norm(fa_board_backend *b, const fa_rmsnorm *n, size_t table, fa_error *e);
fa_status board_run_rope(fa_board_backend *b, const fa_rope *x, size_t table, fa_error *e);
fa_status board_run_add(fa_board_backend *b, const fa_add *a, fa_error *e);
fa_status board_run_store(fa_board_backend *b, const fa_store *st, size_t table, fa_error *e);

/* The newest copy of a weight on the card. */
static inline const board_weight *board_weight_of(const fa_weight *w) {
    const board_weight *bw = w->device;
    while (bw->moved) bw = bw->moved;
    return bw;
}

/* launch.c */
typedef struct board_call {
    const char *kernel;
    int32_t unit;
    int n;
    fa_device_arg args[HLS_KERNEL_ARGS];
} board_call;
/* What follows on `units` (bits) waits for what others do. */
fa_status board_after(fa_board_backend *b, uint32_t units, fa_error *e);
void board_call_begin(const fa_board_backend *b, board_call *c, const char *kernel, int32_t unit, int32_t segment);
void board_arg_buffer(board_call *c, const fa_device_buffer *buffer, size_t offset);
void board_arg_ref(board_call *c, fa_ref ref); /* the buffer alone; its offset is a scalar */
void board_arg_int(board_call *c, int64_t value, int bytes);
void board_arg_float(board_call *c, float value);
fa_status board_start(fa_board_backend *b, const board_call *c, fa_error *e);

/* fathom_rowwise on unit 0, after what it depends on. Matrices as {buffer, first element, elements between rows}. */
typedef struct board_matrix {
    const fa_device_buffer *buffer;
    int64_t first, ld;
} board_matrix;
typedef struct board_rowwise {
    hls_row_op op;
    board_matrix a, b, y;
    size_t table;
    int64_t rows, n, n_b, heads, stride;
    bool flag;
    float eps;
    const fa_kv *kv; /* HLS_STORE */
} board_rowwise;
fa_status board_run_rowwise(fa_board_backend *b, const board_rowwise *r, fa_error *e);

/* fathom_matmul on one unit; bias.buffer may be NULL. `table` and `visited` are for experts, `at` and `type` for HLS_LINEAR. */
typedef struct board_product {
    hls_product op;
    int32_t unit, segment;
    board_matrix x, y, bias;
    size_t table;
    int64_t rows, outputs, inputs;
    int32_t at, visited;
    hls_weight type;
    bool w8a8;
} board_product;
fa_status board_run_product(fa_board_backend *b, const board_product *p, fa_error *e);

static inline const fa_device_buffer *board_card(const fa_buffer *buffer) {
    return buffer->device;
}

/* Elements from the buffer's start to a reference. */
static inline int64_t board_first(fa_ref ref) {
    return (int64_t)(ref.offset / sizeof(float));
}

static inline board_matrix board_matrix_of(fa_ref ref, int64_t ld) {
    return (board_matrix){board_card(ref.buffer), board_first(ref), ld};
}

/* True when column `column` of a matrix of FP32 values starts a word in every row: launches that write to its two sides may run at
 * the same time. */
static inline bool board_words_apart(fa_ref ref, int64_t rows, int64_t ld, int64_t column) {
    return (board_first(ref) + column) % 16 == 0 && (rows < 2 || ld % 16 == 0);
}

#endif
