/* matmul: the tiles of all parts are one list that the threads take from. */
#include "host/backend/cpu/ops.h"

typedef struct matmul_job {
    const fa_cpu *c;
    const fa_matmul *m;
    cpu_input plain, quantised;
    int64_t tiles; /* of all parts */
} matmul_job;

/* Which part tile i belongs to; *i becomes its number there. */
static int part_of(const fa_matmul *m, int64_t *i) {
    for (int p = 0;; p++) {
        int64_t tiles = cpu_ceil_div(m->part[p].w->rows, CPU_TILE);
        if (*i < tiles) return p;
        *i -= tiles;
    }
}

/* A row of the result from a tile's sums; `bias` may be NULL. */
static void put(const float *sums, const float *bias, int n, float *y) {
    for (int r = 0; r < n; r++) y[r] = bias ? sums[r] + bias[r] : sums[r];
}

/* One tile times rows t .. t + n_rows - 1. */
static void multiply_tile(const matmul_job *j, int part, int64_t tile, int64_t t, int n_rows) {
    const struct fa_matmul_part *p = &j->m->part[part];
    float out[CPU_ROWS * CPU_TILE], bias[CPU_TILE];
    int64_t first = tile * CPU_TILE;
    int n = (int)cpu_min(CPU_TILE, p->w->rows - first);
    cpu_input in = cpu_takes_codes(j->m->numerics, p->w) ? j->quantised : j->plain;
    in.values += t * in.ld;
    if (in.scales) in.scales += t * in.ld_scales;
    fa_cpu_product(j->c, p->w, first, n, &in, NULL, n_rows, fa_cpu_weight_row(p->w, first + CPU_TILE), out);
    if (p->bias) fa_decode(p->bias->type, p->bias->data, first, n, bias);
    for (int r = 0; r < n_rows; r++)
        put(out + r * CPU_TILE, p->bias ? bias : NULL, n, cpu_row(p->y, t + r, p->ldy) + first);
}

/* Items are tiles, all of the first CPU_ROWS rows before those of the next. */
static void multiply_tiles(void *ctx, int64_t begin, int64_t end, int thread) {
    const matmul_job *j = ctx;
    (void)thread;
    for (int64_t i = begin; i < end; i++) {
        int64_t t = i / j->tiles * CPU_ROWS, tile = i % j->tiles;
        int part = part_of(j->m, &tile);
        multiply_tile(j, part, tile, t, (int)cpu_min(CPU_ROWS, j->m->rows - t));
    }
}

void fa_cpu_matmul(const fa_cpu *c, const fa_matmul *m) {
    int64_t k = m->part[0].w->cols, blocks = cpu_ceil_div(k, FA_BLOCK);
    matmul_job j = {.c = c, .m = m, .plain = {.values = cpu_row(m->x, 0, m->ldx), .ld = m->ldx}};
    j.quantised = (cpu_input){c->x_values, blocks * FA_BLOCK, c->x_scales, blocks};
    bool codes = false;
    for (int p = 0; p < m->n_parts; p++) {
        j.tiles += cpu_ceil_div(m->part[p].w->rows, CPU_TILE);
        codes |= cpu_takes_codes(m->numerics, m->part[p].w);
    }
    if (codes) fa_cpu_quantise(c, j.plain.values, m->ldx, m->rows, k, c->x_values, j.quantised.ld, c->x_scales, blocks);
    int64_t cost = CPU_TILE * k * cpu_min(m->rows, CPU_ROWS);
    fa_cpu_run(c, j.tiles * cpu_ceil_div(m->rows, CPU_ROWS), cost, multiply_tiles, &j);
}
