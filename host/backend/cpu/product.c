/* A tile of weight rows times activation rows, whatever the weight's type. */
#include <string.h>

#include "host/backend/cpu/ops.h"

enum {
    CHUNK = 512,         /* elements of a weight row decoded at a time; whole blocks of every type */
    AHEAD_BYTES = 16384, /* the least distance of prefetching: the next four rows, unless they are too near */
};

/* Work, in multiplications, below which waking the team costs more than it saves. */
enum { SMALL_WORK = 1 << 17, PIECES_PER_THREAD = 16 };

void fa_cpu_run(const fa_cpu *c, int64_t n, int64_t cost, fa_work *work, void *ctx) {
    int64_t grain = cpu_ceil_div(n, (int64_t)c->threads * PIECES_PER_THREAD);
    int64_t least = SMALL_WORK / 4 / (cost > 0 ? cost : 1);
    if (n * cost <= SMALL_WORK) grain = n;
    fa_team_run(c->team, n, grain > least ? grain : least, work, ctx);
}

cpu_matrix fa_cpu_weight_matrix(const fa_weight *w) {
    return (cpu_matrix){.type = w->type,
                        .data = w->data,
                        .row_bytes = fa_dtype_bytes(w->type, w->cols),
                        .scale = (const uint8_t *)w->scale,
                        .scale_bytes = cpu_ceil_div(w->cols, FA_BLOCK) * 4,
                        .scale_shift = 7};
}

const uint8_t *fa_cpu_weight_row(const fa_weight *w, int64_t r) {
    return (const uint8_t *)w->data + r * fa_dtype_bytes(w->type, w->cols);
}

typedef struct quantise_job {
    const fa_cpu *c;
    const float *x;
    float *values, *scales;
    int64_t ldx, n, ld, ld_scales, blocks;
} quantise_job;

/* Items are blocks of rows. */
static void quantise_blocks(void *ctx, int64_t begin, int64_t end, int thread) {
    const quantise_job *q = ctx;
    (void)thread;
    for (int64_t i = begin; i < end; i++) {
        int64_t row = i / q->blocks, b = i % q->blocks, at = b * FA_BLOCK;
        q->scales[row * q->ld_scales + b] = q->c->kernels->quantise(
            q->x + row * q->ldx + at, (int)cpu_min(FA_BLOCK, q->n - at), q->values + row * q->ld + at);
    }
}

void fa_cpu_quantise(const fa_cpu *c, const float *x, int64_t ldx, int64_t n_rows, int64_t n, float *values, int64_t ld,
                     float *scales, int64_t ld_scales) {
    quantise_job q = {c, x, values, scales, ldx, n, ld, ld_scales, cpu_ceil_div(n, FA_BLOCK)};
    fa_cpu_run(c, n_rows * q.blocks, 8 * FA_BLOCK, quantise_blocks, &q);
}

/* Rules 1 and 2. */
static void product_of_codes(const fa_cpu *c, const fa_weight *w, int64_t first, int n, const float *const *x,
                             const float *const *x_scales, int n_rows, const void *next, float *out) {
    cpu_codes tile = {.codes = fa_cpu_weight_row(w, first),
                      .scale = w->scale + first / FA_BLOCK * cpu_ceil_div(w->cols, FA_BLOCK),
                      .cols = w->cols,
                      .n = n,
                      .next = next};
    c->kernels->codes(&tile, x, x_scales, n_rows, out);
}

/* Rule 3, four weight rows at a time: decoded once for all activation rows, in chunks that stay in L1. */
static void ordered_product(const fa_cpu *c, const fa_weight *w, int64_t first, int n, const float *const *x,
                            int n_rows, float *out) {
    float decoded[CPU_STRIP][CHUNK], partials[CPU_ROWS * CPU_STRIP * CPU_PARTIALS];
    bool direct = w->type == FA_F32 && !w->scale;
    cpu_matrix m = fa_cpu_weight_matrix(w);
    m.ahead_bytes = CPU_STRIP * m.row_bytes > AHEAD_BYTES ? CPU_STRIP * m.row_bytes : AHEAD_BYTES;
    const float *strip[CPU_STRIP], *at[CPU_ROWS];
    for (int s = 0; s < n; s += CPU_STRIP) {
        int height = n - s < CPU_STRIP ? n - s : CPU_STRIP;
        memset(partials, 0, (size_t)n_rows * CPU_STRIP * CPU_PARTIALS * sizeof *partials);
        for (int64_t i = 0; i < w->cols; i += CHUNK) {
            int64_t width = cpu_min(CHUNK, w->cols - i);
            if (!direct) c->kernels->decode(&m, first + s, height, i, width, decoded[0], CHUNK);
            for (int r = 0; r < CPU_STRIP; r++) {
                int row = r < height ? r : height - 1; /* a short strip repeats its last row */
                strip[r] = direct ? (const float *)w->data + (first + s + row) * w->cols + i : decoded[row];
            }
            for (int t = 0; t < n_rows; t++) at[t] = x[t] + i;
            c->kernels->dot(strip, at, n_rows, width, partials);
        }
        c->kernels->tree(partials, n_rows, out + s, CPU_TILE);
    }
}

void fa_cpu_product(const fa_cpu *c, const fa_weight *w, int64_t first, int n, const cpu_input *in, const int32_t *rows,
                    int n_rows, const void *next, float *out) {
    const float *x[CPU_ROWS], *x_scales[CPU_ROWS];
    for (int t = 0; t < n_rows; t++) {
        int64_t row = rows ? rows[t] : t;
        x[t] = in->values + row * in->ld;
        x_scales[t] = in->scales ? in->scales + row * in->ld_scales : NULL;
    }
    if (in->scales)
        product_of_codes(c, w, first, n, x, x_scales, n_rows, next, out);
    else
        ordered_product(c, w, first, n, x, n_rows, out);
}
