/* The kernels of FP8 codes for devices whose work-items share a fast memory (GROUP): a work-group of 64 makes tiles of 16 outputs by 4
 * activation rows, one output an item. In each block an item multiplies 32 codes of a weight row with all 4 rows, whose block lies in
 * local memory; rule 1's sums are integers, so that any split of them gives the same bits. */
#ifdef GROUP

enum { QUARTERS = FCL_BLOCK / 32 };
#define OF_GROUP __attribute__((reqd_work_group_size(FCL_GROUP, 1, 1)))

typedef struct shared_block {
    float x[FCL_TOGETHER][FCL_BLOCK];
    int sums[FCL_TOGETHER][FCL_TILE][QUARTERS]; /* in 8ths, of a quarter of a weight row's block */
} shared_block;

/* Which output of a tile an item owns, and which part of which weight row it multiplies. */
INLINE int own_row(void) { return (int)(get_local_id(0) / FCL_TILE); }
INLINE int own_output(void) { return (int)(get_local_id(0) % FCL_TILE); }

INLINE int sum_of(uint16 v) {
    uint lanes[16], sum = 0u - 16u * as_uint(ROUNDER);
    vstore16(v, 0, lanes);
    UNROLL
    for (int i = 0; i < 16; i++) sum += lanes[i];
    return (int)sum;
}

/* The item's output: of outputs first .. first + n - 1, and of the activation row whose values and block scales are `x` and
 * `x_scales`. The whole group calls it. */
INLINE float group_tile(const weight_view *w, int first, int n, global const float *x, global const float *x_scales,
                        local shared_block *s) {
    int t = own_row(), own = own_output(), blocks = blocks_of(w->cols);
    int r = (int)(get_local_id(0) / QUARTERS), q = (int)(get_local_id(0) % QUARTERS);
    global const uchar *codes = w->data + (long)(first + min(r, n - 1)) * w->cols;
    global const float *scale = w->scales + first / FCL_BLOCK * blocks;
    float acc = 0.0f;
    for (int b = 0; b < blocks; b++) {
        int at = b * FCL_BLOCK + q * 32, left = w->cols - at;
        vstore8(vload8(own, x + b * FCL_BLOCK), own, s->x[t]);
        barrier(CLK_LOCAL_MEM_FENCE);
        code_pairs c = load_some_pairs(codes + at, left);
        for (int k = 0; k < FCL_TOGETHER; k++)
            s->sums[k][r][q] = sum_of(pairs16(c, vload16(2 * q, s->x[k]), vload16(2 * q + 1, s->x[k])));
        barrier(CLK_LOCAL_MEM_FENCE);
        int sum = 0;
        for (int k = 0; k < QUARTERS; k++) sum += s->sums[t][own][k];
        acc = add1(acc, mul1((float)sum * 0.125f, mul1(x_scales[b], scale[b])));
    }
    return acc;
}

OF_GROUP kernel void fathom_matmul(global const uchar *params, long at, WINDOW_ARGS, global const float *x,
                                   global const float *values, global const float *scales, global float *y0,
                                   global float *y1, global float *y2, global float *y3) {
    local shared_block shared;
    global const fcl_matmul *m = (global const fcl_matmul *)(params + at);
    int tile = (int)get_group_id(1), p = 0;
    for (; tile >= (m->part[p].w.rows + FCL_TILE - 1) / FCL_TILE; p++) tile -= (m->part[p].w.rows + FCL_TILE - 1) / FCL_TILE;
    global const fcl_part *part = &m->part[p];
    weight_view w;
    view_of(&w, &part->w, WINDOWS);
    int first = tile * FCL_TILE, n = min(FCL_TILE, w.rows - first), own = own_output();
    global float *y = (p & 2 ? (p & 1 ? y3 : y2) : (p & 1 ? y1 : y0)) + part->y + first + own;
    float bias = 0.0f;
    if (part->bias.rows && own < n) {
        weight_view b;
        view_of(&b, &part->bias, WINDOWS);
        bias = ((global const float *)b.data)[first + own];
    }
    int begin = (int)get_group_id(0) * FCL_ROWS, end = min(begin + FCL_ROWS, m->rows);
    for (int from = begin; from < end; from += FCL_TOGETHER) {
        long row = min(from + own_row(), end - 1);
        float v = group_tile(&w, first, n, values + row * m->ldv, scales + row * m->lds, &shared);
        if (part->bias.rows) v = add1(v, bias);
        if (from + own_row() < end && own < n) y[row * part->ldy] = v;
    }
}

OF_GROUP kernel void fathom_gate_up(global const uchar *params, long at, WINDOW_ARGS, global const float *x,
                                    global const float *values, global const float *scales, global float *gates,
                                    global float *ups) {
    local shared_block shared;
    global const fcl_experts *op = (global const fcl_experts *)(params + at);
    global const fcl_expert *e = (global const fcl_expert *)(params + op->experts) + get_group_id(1);
    global const fcl_route *routes = (global const fcl_route *)(params + op->routes);
    int first = (int)get_group_id(0) * FCL_TILE, n = min(FCL_TILE, op->inner - first);
    int end = e->gate.rows ? e->last : e->first; /* nothing for an expert that the host has */
    for (int up = 0; up < 2; up++) {
        weight_view w;
        view_of(&w, up ? &e->up : &e->gate, WINDOWS);
        global float *inner = (up ? ups : gates) + first + own_output();
        for (int from = e->first; from < end; from += FCL_TOGETHER) {
            int route = min(from + own_row(), end - 1);
            long row = routes[route].row;
            float v = group_tile(&w, first, n, values + row * op->ldv, scales + row * op->lds, &shared);
            if (from + own_row() < end && own_output() < n) inner[route * op->ld_inner] = v;
        }
    }
}

OF_GROUP kernel void fathom_down(global const uchar *params, long at, WINDOW_ARGS, global const float *inner,
                                 global const float *values, global const float *scales, global const float *given,
                                 global float *y) {
    local shared_block shared;
    global const fcl_experts *op = (global const fcl_experts *)(params + at);
    global const fcl_route *routes = (global const fcl_route *)(params + op->routes);
    int first = (int)get_group_id(0) * FCL_TILE, n = min(FCL_TILE, op->hidden - first), own = own_output();
    y += op->y + first + own;
    given += first + own;
    for (int t = own_row(); t < op->rows && own < n; t += FCL_TOGETHER) y[t * op->ldy] = 0.0f;
    for (int a = 0; a < op->n_active; a++) {
        global const fcl_expert *e = (global const fcl_expert *)(params + op->experts) + a;
        weight_view w;
        view_of(&w, &e->down, WINDOWS);
        barrier(CLK_GLOBAL_MEM_FENCE); /* a row's sum goes from item to item */
        for (int from = e->first; from < e->last; from += FCL_TOGETHER) {
            long route = min(from + own_row(), e->last - 1);
            bool mine = from + own_row() < e->last && own < n;
            float v = 0.0f;
            if (e->down.rows)
                v = group_tile(&w, first, n, values + route * op->ld_inner, scales + route * op->lds_inner, &shared);
            else if (mine)
                v = given[route * op->ld_given];
            global float *sum = y + routes[route].row * op->ldy;
            if (mine) *sum = add1(*sum, mul1(v, routes[route].weight));
        }
    }
}
#endif
