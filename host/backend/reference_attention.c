/* Attention and the cache of the reference: rules 3, 4 and 7 of docs/numerics.md. */
#include "host/backend/reference_ops.h"

#include <math.h>
#include <string.h>

#include "host/backend/scalar.h"
#include "host/format/fp8.h"

uint8_t *fa_reference_kv_row(const fa_kv *kv, const fa_place *place, int32_t pos) {
    const fa_kv_layout *l = kv->layout;
    int64_t page = place->pages[pos / FA_PAGE_POSITIONS];
    return (uint8_t *)kv->pool->host + page * l->page_bytes + kv->layer * l->layer_bytes +
           (int64_t)(pos % FA_PAGE_POSITIONS) * l->row_bytes;
}

void fa_reference_kv_read(const fa_kv_part *part, const uint8_t *row, int32_t first, int32_t n, float *out) {
    fa_decode(part->type, row + part->offset_bytes, first, n, out);
    if (part->type != FA_F8_E4M3) return;
    for (int32_t i = 0; i < n; i++) {
        float scale;
        memcpy(&scale, row + part->scales_offset + (first + i) / FA_BLOCK * 4, 4);
        out[i] = out[i] * scale;
    }
}

static void kv_write(const fa_kv_part *part, uint8_t *row, const float *x) {
    uint8_t *codes = row + part->offset_bytes;
    if (part->type == FA_F32) memcpy(codes, x, (size_t)part->n * 4);
    if (part->type == FA_BF16)
        for (int32_t i = 0; i < part->n; i++) memcpy(codes + 2 * i, &(uint16_t){fa_bf16_encode(x[i])}, 2);
    if (part->type == FA_F8_E4M3)
        for (int32_t first = 0; first < part->n; first += FA_BLOCK) {
            int32_t n = part->n - first < FA_BLOCK ? part->n - first : FA_BLOCK;
            float scale = fa_quantise_block(x + first, n, codes + first);
            memcpy(row + part->scales_offset + first / FA_BLOCK * 4, &scale, 4);
        }
}

void fa_reference_store(const fa_store *s) {
    for (int64_t t = 0; t < s->rows; t++) {
        uint8_t *row = fa_reference_kv_row(&s->kv, &s->place[t], s->place[t].pos);
        kv_write(&s->kv.layout->a, row, fa_ref_row(s->a, t, s->lda));
        kv_write(&s->kv.layout->b, row, fa_ref_row(s->b, t, s->ldb));
    }
}

/* One head's query and where its keys and values lie in the cached rows: scores are over `key` elements from
 * `key_first` of part a, followed by `extra` elements of part b (MLA's rotary part). */
typedef struct head {
    const fa_kv *kv;
    const fa_place *place;
    const float *query, *extra_query;
    int32_t key, key_first, extra;
    const fa_kv_part *value_part;
    int32_t value_first;
    float scale;
} head;

static float score(fa_reference *ref, const head *h, int32_t pos) {
    const uint8_t *row = fa_reference_kv_row(h->kv, h->place, pos);
    float partial[16] = {0};
    fa_reference_kv_read(&h->kv->layout->a, row, h->key_first, h->key, ref->kv_row);
    fa_partial_dot(partial, 0, h->query, ref->kv_row, h->key);
    if (h->extra) {
        fa_reference_kv_read(&h->kv->layout->b, row, 0, h->extra, ref->kv_row);
        fa_partial_dot(partial, h->key, h->extra_query, ref->kv_row, h->extra);
    }
    return fa_tree_16(partial) * h->scale;
}

/* Rule 4: out[0 .. key - 1] = softmax-weighted sum of the values at positions 0 .. pos. A NaN score passes
 * the maximum by and reaches every output through its exp. */
static void attend(fa_reference *ref, const head *h, float *out) {
    float m = -INFINITY, l = 0.0f, *p = ref->scores;
    for (int32_t i = 0; i < h->key; i++) out[i] = 0.0f;
    for (int32_t first = 0; first <= h->place->pos; first += FA_PAGE_POSITIONS) {
        int32_t n = h->place->pos - first + 1 < FA_PAGE_POSITIONS ? h->place->pos - first + 1 : FA_PAGE_POSITIONS;
        float m_new = m;
        for (int32_t j = 0; j < n; j++) {
            p[j] = score(ref, h, first + j);
            m_new = p[j] > m_new ? p[j] : m_new;
        }
        if (first > 0) {
            float c = fa_exp(m - m_new);
            l = l * c;
            for (int32_t i = 0; i < h->key; i++) out[i] = out[i] * c;
        }
        m = m_new;
        for (int32_t j = 0; j < n; j++) p[j] = fa_exp(p[j] - m);
        l = l + fa_ordered_sum(p, n);
        for (int32_t j = 0; j < n; j++) {
            fa_reference_kv_read(h->value_part, fa_reference_kv_row(h->kv, h->place, first + j), h->value_first, h->key,
                                 ref->kv_row);
            for (int32_t i = 0; i < h->key; i++) {
                float weighted = p[j] * ref->kv_row[i];
                out[i] = out[i] + weighted;
            }
        }
    }
    for (int32_t i = 0; i < h->key; i++) out[i] = out[i] / l;
}

/* query[i] = ordered sum over d of q[d] * W_k[d, i]. */
static void absorb_query(fa_reference *ref, const fa_mla *m, int32_t h, const float *q) {
    int64_t first = m->k_first + h * m->k_stride;
    if (m->k_transposed) {
        for (int32_t i = 0; i < m->rank; i++) {
            fa_reference_weight_row(m->k_up, first + i, ref->w_row);
            ref->query[i] = fa_ordered_dot(q, ref->w_row, m->nope);
        }
        return;
    }
    memset(ref->partials, 0, (size_t)m->rank * 16 * sizeof(float));
    for (int32_t d = 0; d < m->nope; d++) {
        fa_reference_weight_row(m->k_up, first + d, ref->w_row);
        for (int32_t i = 0; i < m->rank; i++) {
            float product = q[d] * ref->w_row[i];
            ref->partials[i * 16 + d % 16] += product;
        }
    }
    for (int32_t i = 0; i < m->rank; i++) ref->query[i] = fa_tree_16(ref->partials + i * 16);
}

void fa_reference_mla(fa_reference *ref, const fa_mla *m) {
    for (int64_t t = 0; t < m->rows; t++)
        for (int32_t h = 0; h < m->heads; h++) {
            const float *q = fa_ref_row(m->q, t, m->ldq) + (int64_t)h * (m->nope + m->rope);
            float *y = fa_ref_row(m->y, t, m->ldy) + (int64_t)h * m->v;
            absorb_query(ref, m, h, q);
            head one = {.kv = &m->kv,
                        .place = &m->place[t],
                        .query = ref->query,
                        .extra_query = q + m->nope,
                        .key = m->rank,
                        .extra = m->rope,
                        .value_part = &m->kv.layout->a,
                        .scale = m->scale};
            attend(ref, &one, ref->value);
            for (int32_t i = 0; i < m->v; i++) {
                fa_reference_weight_row(m->v_up, m->v_first + h * m->v_stride + i, ref->w_row);
                y[i] = fa_ordered_dot(ref->w_row, ref->value, m->rank);
            }
        }
}

void fa_reference_gqa(fa_reference *ref, const fa_gqa *g) {
    for (int64_t t = 0; t < g->rows; t++)
        for (int32_t h = 0; h < g->heads; h++) {
            int32_t first = h / (g->heads / g->kv_heads) * g->head_dim;
            head one = {.kv = &g->kv,
                        .place = &g->place[t],
                        .query = fa_ref_row(g->q, t, g->ldq) + (int64_t)h * g->head_dim,
                        .key = g->head_dim,
                        .key_first = first,
                        .value_part = &g->kv.layout->b,
                        .value_first = first,
                        .scale = g->scale};
            attend(ref, &one, fa_ref_row(g->y, t, g->ldy) + (int64_t)h * g->head_dim);
        }
}
