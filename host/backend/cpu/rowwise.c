/* rmsnorm, rope, add and store: a row at a time. */
#include <math.h>
#include <string.h>

#include "host/backend/cpu/ops.h"
#include "host/format/fp8.h"

enum { CHUNK = 512 }; /* elements of a norm's weight decoded at a time */

typedef struct row_job {
    const fa_cpu *c;
    const void *op;
} row_job;

static void norm_rows(void *ctx, int64_t begin, int64_t end, int thread) {
    const row_job *j = ctx;
    const fa_rmsnorm *r = j->op;
    cpu_matrix m = fa_cpu_weight_matrix(r->weight);
    float weight[CHUNK];
    (void)thread;
    for (int64_t t = begin; t < end; t++) {
        const float *x = cpu_row(r->x, r->index ? r->index[t] : t, r->ldx);
        float *y = cpu_row(r->y, t, r->ldy);
        float inv = 1.0f / sqrtf(j->c->kernels->square_sum(x, r->n) / (float)r->n + r->eps);
        for (int64_t i = 0; i < r->n; i += CHUNK) {
            int64_t n = cpu_min(CHUNK, r->n - i);
            j->c->kernels->decode(&m, 0, 1, i, n, weight, CHUNK);
            j->c->kernels->scaled(x + i, inv, weight, n, y + i);
        }
    }
}

void fa_cpu_rmsnorm(const fa_cpu *c, const fa_rmsnorm *r) {
    fa_cpu_run(c, r->rows, 4 * r->n, norm_rows, &(row_job){c, r});
}

static void rotate(float *u, float *v, float cosine, float sine) {
    float u_cos = *u * cosine, v_sin = *v * sine, v_cos = *v * cosine, u_sin = *u * sine;
    *u = u_cos - v_sin;
    *v = v_cos + u_sin;
}

static void rope_rows(void *ctx, int64_t begin, int64_t end, int thread) {
    const fa_rope *r = ((const row_job *)ctx)->op;
    int32_t pairs = r->dims / 2;
    (void)thread;
    for (int64_t t = begin; t < end; t++) {
        const float *cosine = cpu_row(r->table, r->place[t].pos, r->dims), *sine = cosine + pairs;
        for (int32_t h = 0; h < r->heads; h++) {
            float *x = cpu_row(r->x, t, r->ldx) + r->first + (int64_t)h * r->stride;
            if (r->interleaved)
                for (int32_t i = 0; i < pairs; i++) rotate(&x[2 * i], &x[2 * i + 1], cosine[i], sine[i]);
            else
                for (int32_t i = 0; i < pairs; i++) rotate(&x[i], &x[i + pairs], cosine[i], sine[i]);
        }
    }
}

void fa_cpu_rope(const fa_cpu *c, const fa_rope *r) {
    fa_cpu_run(c, r->rows, 8 * (int64_t)r->heads * r->dims, rope_rows, &(row_job){c, r});
}

static void add_rows(void *ctx, int64_t begin, int64_t end, int thread) {
    const row_job *j = ctx;
    const fa_add *a = j->op;
    (void)thread;
    for (int64_t t = begin; t < end; t++)
        j->c->kernels->add(cpu_row(a->a, t, a->lda), cpu_row(a->b, t, a->ldb), a->n, cpu_row(a->y, t, a->ldy));
}

void fa_cpu_add(const fa_cpu *c, const fa_add *a) {
    fa_cpu_run(c, a->rows, 2 * a->n, add_rows, &(row_job){c, a});
}

/* One part of a cached row, in its type. */
static void store_part(const fa_kv_part *part, const float *x, uint8_t *row) {
    uint8_t *codes = row + part->offset_bytes;
    if (part->type == FA_F32) memcpy(codes, x, (size_t)part->n * sizeof *x);
    for (int32_t i = 0; part->type == FA_BF16 && i < part->n; i++) {
        uint16_t bits = fa_bf16_encode(x[i]);
        memcpy(codes + 2 * i, &bits, sizeof bits);
    }
    for (int32_t i = 0; part->type == FA_F8_E4M3 && i < part->n; i += FA_BLOCK) {
        float scale = fa_quantise_block(x + i, (int)cpu_min(FA_BLOCK, part->n - i), codes + i);
        memcpy(row + part->scales_offset + i / FA_BLOCK * 4, &scale, sizeof scale);
    }
}

static void store_rows(void *ctx, int64_t begin, int64_t end, int thread) {
    const fa_store *s = ((const row_job *)ctx)->op;
    const fa_kv_layout *l = s->kv.layout;
    (void)thread;
    for (int64_t t = begin; t < end; t++) {
        const fa_place *at = &s->place[t];
        uint8_t *row = (uint8_t *)s->kv.pool->host + at->pages[at->pos / FA_PAGE_POSITIONS] * l->page_bytes +
                       s->kv.layer * l->layer_bytes + (int64_t)(at->pos % FA_PAGE_POSITIONS) * l->row_bytes;
        store_part(&l->a, cpu_row(s->a, t, s->lda), row);
        store_part(&l->b, cpu_row(s->b, t, s->ldb), row);
    }
}

void fa_cpu_store(const fa_cpu *c, const fa_store *s) {
    int64_t n = s->kv.layout->a.n + (int64_t)s->kv.layout->b.n;
    fa_cpu_run(c, s->rows, 16 * n, store_rows, &(row_job){c, s});
}
