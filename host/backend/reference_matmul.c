/* matmul and experts of the reference: rules 1 to 3 of docs/numerics.md. */
#include "host/backend/reference_ops.h"

#include "host/backend/scalar.h"
#include "host/format/fp8.h"

static int64_t blocks_of(int64_t n) {
    return (n + FA_BLOCK - 1) / FA_BLOCK;
}

static int64_t block_end(int64_t b, int64_t n) {
    return (b + 1) * FA_BLOCK < n ? (b + 1) * FA_BLOCK : n;
}

void fa_reference_weight_row(const fa_weight *w, int64_t r, float *out) {
    fa_decode(w->type, w->data, r * w->cols, w->cols, out);
    if (!w->scale) return;
    const float *scale = w->scale + r / FA_BLOCK * blocks_of(w->cols);
    for (int64_t i = 0; i < w->cols; i++) out[i] = out[i] * scale[i / FA_BLOCK];
}

/* Elements i and i + 1 of n, zero behind the last. */
static void decode_pair(const uint8_t *codes, int64_t i, int64_t n, float pair[2]) {
    pair[0] = fa_e4m3_decode(codes[i]);
    pair[1] = i + 1 < n ? fa_e4m3_decode(codes[i + 1]) : 0.0f;
}

/* Rules 1 and 2: one weight row times one quantised activation row. */
static float code_dot(const fa_weight *w, int64_t r, const uint8_t *codes, const float *scales) {
    const uint8_t *w_codes = (const uint8_t *)w->data + r * w->cols;
    const float *w_scales = w->scale + r / FA_BLOCK * blocks_of(w->cols);
    float acc = 0.0f;
    for (int64_t b = 0; b < blocks_of(w->cols); b++) {
        int32_t sum = 0;
        for (int64_t i = b * FA_BLOCK; i < block_end(b, w->cols); i += 2) {
            float w_pair[2], x_pair[2];
            decode_pair(w_codes, i, w->cols, w_pair);
            decode_pair(codes, i, w->cols, x_pair);
            sum += fa_pair_8ths(w_pair, x_pair);
        }
        acc = fa_block_add(acc, sum, scales[b], w_scales[b]);
    }
    return acc;
}

/* Rule 1's activation codes of one row into the scratch. */
static void quantise_row(fa_reference *ref, const float *x, int64_t n) {
    for (int64_t b = 0; b < blocks_of(n); b++) {
        int64_t first = b * FA_BLOCK;
        ref->scales[b] = fa_quantise_block(x + first, (int)(block_end(b, n) - first), ref->codes + first);
    }
}

/* y = x . W^T for one row x. */
static void multiply_row(fa_reference *ref, fa_numerics numerics, const fa_weight *w, const float *x, float *y) {
    if (numerics == FA_W8A8 && w->type == FA_F8_E4M3) {
        quantise_row(ref, x, w->cols);
        for (int64_t r = 0; r < w->rows; r++) y[r] = code_dot(w, r, ref->codes, ref->scales);
        return;
    }
    for (int64_t r = 0; r < w->rows; r++) {
        fa_reference_weight_row(w, r, ref->weight_row);
        y[r] = fa_ordered_dot(ref->weight_row, x, w->cols);
    }
}

static void add_bias(const fa_weight *bias, float *y) {
    for (int64_t i = 0; i < bias->cols; i++) {
        float value;
        fa_decode(bias->type, bias->data, i, 1, &value);
        y[i] = y[i] + value;
    }
}

void fa_reference_matmul(fa_reference *ref, const fa_matmul *m) {
    for (int64_t t = 0; t < m->rows; t++)
        for (int p = 0; p < m->n_parts; p++) {
            float *y = fa_ref_row(m->part[p].y, t, m->part[p].ldy);
            multiply_row(ref, m->numerics, m->part[p].w, fa_ref_row(m->x, t, m->ldx), y);
            if (m->part[p].bias) add_bias(m->part[p].bias, y);
        }
}

/* y = y + weight * down(silu(gate(x)) * up(x)) */
static void add_expert(fa_reference *ref, const fa_experts *op, const fa_expert *expert, float weight, const float *x,
                       float *y) {
    multiply_row(ref, op->numerics, &expert->gate, x, ref->gate);
    multiply_row(ref, op->numerics, &expert->up, x, ref->up);
    for (int64_t i = 0; i < op->inner; i++) ref->gate[i] = fa_silu(ref->gate[i]) * ref->up[i];
    multiply_row(ref, op->numerics, &expert->down, ref->gate, ref->hidden);
    for (int64_t i = 0; i < op->hidden; i++) {
        float weighted = weight * ref->hidden[i];
        y[i] = y[i] + weighted;
    }
}

void fa_reference_experts(fa_reference *ref, const fa_experts *op) {
    for (int64_t t = 0; t < op->rows; t++) {
        const float *x = fa_ref_row(op->x, t, op->ldx);
        float *y = fa_ref_row(op->y, t, op->ldy);
        for (int64_t i = 0; i < op->hidden; i++) y[i] = 0.0f;
        if (!op->ids) {
            add_expert(ref, op, &op->experts[0], 1.0f, x, y);
            continue;
        }
        const int32_t *ids = op->ids + t * op->top_k;
        const float *weights = op->weights + t * op->top_k;
        for (int k = 0; k < op->top_k && ids[k] >= 0; k++) add_expert(ref, op, &op->experts[ids[k]], weights[k], x, y);
    }
}
