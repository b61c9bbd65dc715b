/* mla and gqa: a piece is a block of query heads, which share each page's decoded keys and values, for one row (gqa) or a few
 * (mla, whose up-projections are decoded once for them). */
#include <string.h>

#include "host/backend/cpu/ops.h"

enum {
    HEADS = 8,   /* query heads of a piece */
    ROWS = 8,    /* rows of an mla piece */
    CHUNK = 256, /* columns of k_up decoded at a time: whole blocks of every type */
};

static int64_t padded(int64_t n) {
    return cpu_ceil_div(n, 16) * 16;
}

/* One thread's scratch memory; rows are padded to 16 floats. */
typedef struct workspace {
    float *keys;   /* [64, padded(2 * max_rank)] of a page */
    float *values; /* [64, padded(max_rank)] of a page */
    float *k_up;   /* [max_rank, CHUNK] */
    float *query;  /* [ROWS * HEADS, padded(2 * max_rank)] */
    float *sums;   /* [ROWS * HEADS, padded(max_rank)] */
} workspace;

int64_t fa_cpu_attention_floats(const fa_limits *l) {
    int64_t narrow = padded(l->max_rank), wide = padded(2 * (int64_t)l->max_rank);
    return FA_PAGE_POSITIONS * (wide + narrow) + narrow * CHUNK + ROWS * HEADS * (wide + narrow);
}

static workspace workspace_of(const fa_cpu *c, int thread) {
    int64_t narrow = padded(c->limits.max_rank), wide = padded(2 * (int64_t)c->limits.max_rank);
    workspace w = {.keys = c->thread_scratch + thread * c->thread_floats};
    w.values = w.keys + FA_PAGE_POSITIONS * wide;
    w.k_up = w.values + FA_PAGE_POSITIONS * narrow;
    w.query = w.k_up + narrow * CHUNK;
    w.sums = w.query + ROWS * HEADS * wide;
    return w;
}

/* A part of the rows of one page, for `decode`. */
static cpu_matrix page_part(const fa_kv *kv, const fa_kv_part *part, int32_t page) {
    const uint8_t *rows =
        (const uint8_t *)kv->pool->host + page * kv->layout->page_bytes + kv->layer * kv->layout->layer_bytes;
    return (cpu_matrix){.type = part->type,
                        .data = rows + part->offset_bytes,
                        .row_bytes = kv->layout->row_bytes,
                        .scale = part->type == FA_F8_E4M3 ? rows + part->scales_offset : NULL,
                        .scale_bytes = kv->layout->row_bytes};
}

/* Up to HEADS query heads that see the same keys and values of one row's positions. Keys are `width` elements from `first`
 * of part a, then all of part b when `both`; values are the same elements of part a, or of part b unless `both`. */
typedef struct attention {
    const fa_cpu *c;
    const fa_kv *kv;
    const fa_place *place;
    float scale;
    bool both;
    int32_t first, width;
    int n_heads;
    const float *query[HEADS];
    float *sums; /* [n_heads] rows of ld_sums: the result */
    int64_t ld_sums;
    float *keys, *values; /* room for one page, decoded */
} attention;

/* FP32 rows of a page: where they lie, or a decoded copy. */
typedef struct page_rows {
    const float *at;
    int64_t ld;
} page_rows;

/* Kernels read whole vectors, which must not reach behind the pool. */
static bool lies_ready(const fa_kv_part *part, int64_t width) {
    return part->type == FA_F32 && width % 16 == 0;
}

static page_rows rows_where_they_lie(const attention *a, const fa_kv_part *part, int32_t page) {
    cpu_matrix m = page_part(a->kv, part, page);
    const void *rows = m.data; /* aligned: pages begin at 64 bytes, and a row has whole vectors */
    return (page_rows){(const float *)rows + a->first, m.row_bytes / (int64_t)sizeof(float)};
}

/* Elements first .. first + width - 1 of the first n rows. */
static page_rows rows_of(const attention *a, const fa_kv_part *part, int32_t page, int n, float *room) {
    if (lies_ready(part, a->width)) return rows_where_they_lie(a, part, page);
    cpu_matrix m = page_part(a->kv, part, page);
    a->c->kernels->decode(&m, 0, n, a->first, a->width, room, padded(a->width));
    return (page_rows){room, padded(a->width)};
}

/* Both parts of the first n rows, side by side; in FP32 they lie so. */
static page_rows whole_rows(const attention *a, int32_t page, int n) {
    const fa_kv_layout *l = a->kv->layout;
    if (lies_ready(&l->a, a->width)) return rows_where_they_lie(a, &l->a, page);
    cpu_matrix part_a = page_part(a->kv, &l->a, page), part_b = page_part(a->kv, &l->b, page);
    page_rows rows = {a->keys, padded(a->width + l->b.n)};
    a->c->kernels->decode(&part_a, 0, n, 0, a->width, a->keys, rows.ld);
    a->c->kernels->decode(&part_b, 0, n, 0, l->b.n, a->keys + a->width, rows.ld);
    return rows;
}

/* s[h][j] of the page's first n positions, not yet scaled; may write up to three more. */
static void page_scores(const attention *a, page_rows keys, int64_t n_key, int n, float s[][FA_PAGE_POSITIONS]) {
    const fa_cpu_kernels *k = a->c->kernels;
    float partials[HEADS * CPU_STRIP * CPU_PARTIALS];
    for (int j = 0; j < n; j += CPU_STRIP) {
        const float *strip[CPU_STRIP];
        for (int r = 0; r < CPU_STRIP; r++) strip[r] = keys.at + cpu_min(j + r, n - 1) * keys.ld;
        memset(partials, 0, (size_t)a->n_heads * CPU_STRIP * CPU_PARTIALS * sizeof *partials);
        k->dot(strip, a->query, a->n_heads, n_key, partials);
        k->tree(partials, a->n_heads, &s[0][j], FA_PAGE_POSITIONS);
    }
}

/* Rule 4. */
static void attend(const attention *a) {
    const fa_cpu_kernels *k = a->c->kernels;
    const fa_kv_layout *l = a->kv->layout;
    float s[HEADS][FA_PAGE_POSITIONS], max[HEADS], sum[HEADS] = {0}, rescale[HEADS];
    int64_t n_key = a->width + (a->both ? l->b.n : 0);
    for (int32_t at = 0; at <= a->place->pos; at += FA_PAGE_POSITIONS) {
        int n = (int)cpu_min(FA_PAGE_POSITIONS, (int64_t)a->place->pos - at + 1);
        int32_t page = a->place->pages[at / FA_PAGE_POSITIONS];
        page_rows keys = a->both ? whole_rows(a, page, n) : rows_of(a, &l->a, page, n, a->keys);
        page_rows values = a->both ? keys : rows_of(a, &l->b, page, n, a->values);
        page_scores(a, keys, n_key, n, s);
        for (int h = 0; h < a->n_heads; h++) rescale[h] = k->softmax(s[h], n, at == 0, a->scale, &max[h], &sum[h]);
        k->values(values.at, values.ld, n, s, rescale, at == 0, a->n_heads, a->width, a->sums, a->ld_sums);
    }
    for (int h = 0; h < a->n_heads; h++)
        for (int32_t i = 0; i < a->width; i++) a->sums[h * a->ld_sums + i] = a->sums[h * a->ld_sums + i] / sum[h];
}

static int64_t last_position(const fa_place *place, int64_t rows) {
    int64_t last = 0;
    for (int64_t t = 0; t < rows; t++)
        if (place[t].pos > last) last = place[t].pos;
    return last;
}

typedef struct gqa_job {
    const fa_cpu *c;
    const fa_gqa *g;
    int group, blocks; /* query heads of a key head, and the pieces they make */
} gqa_job;

/* Items are (row, key head, block of its query heads). */
static void gqa_pieces(void *ctx, int64_t begin, int64_t end, int thread) {
    const gqa_job *j = ctx;
    const fa_gqa *g = j->g;
    workspace w = workspace_of(j->c, thread);
    for (int64_t i = begin; i < end; i++) {
        int64_t t = i / j->blocks / g->kv_heads, kv_head = i / j->blocks % g->kv_heads;
        int in_group = (int)(i % j->blocks) * HEADS;
        int64_t head = kv_head * j->group + in_group;
        attention a = {.c = j->c,
                       .kv = &g->kv,
                       .place = &g->place[t],
                       .scale = g->scale,
                       .first = (int32_t)kv_head * g->head_dim,
                       .width = g->head_dim,
                       .n_heads = (int)cpu_min(HEADS, j->group - in_group),
                       .sums = w.sums,
                       .ld_sums = padded(g->head_dim),
                       .keys = w.keys,
                       .values = w.values};
        for (int h = 0; h < a.n_heads; h++) a.query[h] = cpu_row(g->q, t, g->ldq) + (head + h) * g->head_dim;
        attend(&a);
        for (int h = 0; h < a.n_heads; h++)
            memcpy(cpu_row(g->y, t, g->ldy) + (head + h) * g->head_dim, a.sums + h * a.ld_sums,
                   (size_t)g->head_dim * sizeof(float));
    }
}

void fa_cpu_gqa(const fa_cpu *c, const fa_gqa *g) {
    gqa_job j = {.c = c, .g = g, .group = g->heads / g->kv_heads};
    j.blocks = (int)cpu_ceil_div(j.group, HEADS);
    int64_t cost = (last_position(g->place, g->rows) + 1) * g->head_dim * 2 * cpu_min(HEADS, j.group);
    fa_cpu_run(c, g->rows * g->kv_heads * j.blocks, cost, gqa_pieces, &j);
}

typedef struct mla_job {
    const fa_cpu *c;
    const fa_mla *m;
    int piece_heads, head_blocks;
} mla_job;

/* One head's latent queries of rows t .. t + n_rows - 1, row r to query + r * ld. */
static void absorb_queries(const mla_job *j, const workspace *w, int32_t head, int64_t t, int n_rows, float *query,
                           int64_t ld) {
    const fa_mla *m = j->m;
    const float *q = cpu_row(m->q, t, m->ldq) + (int64_t)head * (m->nope + m->rope);
    int64_t first = m->k_first + head * m->k_stride;
    cpu_matrix k_up = fa_cpu_weight_matrix(m->k_up);
    for (int32_t i = 0; !m->k_transposed && i < m->rank; i += CHUNK) {
        int64_t width = cpu_min(CHUNK, m->rank - i);
        j->c->kernels->decode(&k_up, first, m->nope, i, width, w->k_up, CHUNK);
        for (int r = 0; r < n_rows; r++)
            j->c->kernels->columns(w->k_up, CHUNK, q + r * m->ldq, m->nope, width, query + r * ld + i);
    }
    for (int32_t i = 0; m->k_transposed && i < m->rank; i += CPU_TILE) {
        float out[ROWS * CPU_TILE];
        int n = (int)cpu_min(CPU_TILE, m->rank - i);
        cpu_input in = {.values = q, .ld = m->ldq};
        fa_cpu_product(j->c, m->k_up, first + i, n, &in, NULL, n_rows, NULL, out);
        for (int r = 0; r < n_rows; r++) memcpy(query + r * ld + i, out + r * CPU_TILE, (size_t)n * sizeof *out);
    }
    for (int r = 0; r < n_rows; r++)
        memcpy(query + r * ld + m->rank, q + r * m->ldq + m->nope, (size_t)m->rope * sizeof *q);
}

/* One head's outputs from its weighted latents. */
static void raise_values(const mla_job *j, int32_t head, int64_t t, int n_rows, const float *latent, int64_t ld) {
    const fa_mla *m = j->m;
    cpu_input in = {.values = latent, .ld = ld};
    for (int32_t i = 0; i < m->v; i += CPU_TILE) {
        float out[ROWS * CPU_TILE];
        int n = (int)cpu_min(CPU_TILE, m->v - i);
        fa_cpu_product(j->c, m->v_up, m->v_first + head * m->v_stride + i, n, &in, NULL, n_rows, NULL, out);
        for (int r = 0; r < n_rows; r++)
            memcpy(cpu_row(m->y, t + r, m->ldy) + (int64_t)head * m->v + i, out + r * CPU_TILE,
                   (size_t)n * sizeof *out);
    }
}

/* Items are (block of rows, block of heads). */
static void mla_pieces(void *ctx, int64_t begin, int64_t end, int thread) {
    const mla_job *j = ctx;
    const fa_mla *m = j->m;
    workspace w = workspace_of(j->c, thread);
    int64_t ld_query = padded(m->rank + m->rope), ld_sums = padded(m->rank);
    for (int64_t i = begin; i < end; i++) {
        int64_t t = i / j->head_blocks * ROWS;
        int32_t head = (int32_t)(i % j->head_blocks) * j->piece_heads;
        int n_rows = (int)cpu_min(ROWS, m->rows - t), n_heads = (int)cpu_min(j->piece_heads, m->heads - head);
        for (int h = 0; h < n_heads; h++)
            absorb_queries(j, &w, head + h, t, n_rows, w.query + h * ld_query, n_heads * ld_query);
        for (int r = 0; r < n_rows; r++) {
            attention a = {.c = j->c,
                           .kv = &m->kv,
                           .place = &m->place[t + r],
                           .scale = m->scale,
                           .both = true,
                           .width = m->rank,
                           .n_heads = n_heads,
                           .sums = w.sums + r * n_heads * ld_sums,
                           .ld_sums = ld_sums,
                           .keys = w.keys};
            for (int h = 0; h < n_heads; h++) a.query[h] = w.query + (r * n_heads + h) * ld_query;
            attend(&a);
        }
        for (int h = 0; h < n_heads; h++) raise_values(j, head + h, t, n_rows, w.sums + h * ld_sums, n_heads * ld_sums);
    }
}

void fa_cpu_mla(const fa_cpu *c, const fa_mla *m) {
    mla_job j = {.c = c, .m = m};
    int64_t row_blocks = cpu_ceil_div(m->rows, ROWS);
    int64_t heads = cpu_ceil_div(m->heads * row_blocks, (int64_t)c->threads * 4);
    j.piece_heads = (int)(heads < 1 ? 1 : cpu_min(heads, HEADS));
    j.head_blocks = (int)cpu_ceil_div(m->heads, j.piece_heads);
    int64_t cost = (last_position(m->place, m->rows) + m->nope + m->v) * m->rank * j.piece_heads;
    fa_cpu_run(c, row_blocks * j.head_blocks, cost, mla_pieces, &j);
}
