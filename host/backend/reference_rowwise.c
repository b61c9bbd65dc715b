/* Norm, rotation and addition of the reference. */
#include "host/backend/reference_ops.h"

#include <math.h>

#include "host/backend/scalar.h"

void fa_reference_rmsnorm(const fa_rmsnorm *r) {
    for (int64_t t = 0; t < r->rows; t++) {
        const float *x = fa_ref_row(r->x, r->index ? r->index[t] : t, r->ldx);
        float *y = fa_ref_row(r->y, t, r->ldy);
        float mean = fa_ordered_dot(x, x, r->n) / (float)r->n;
        float inv = 1.0f / sqrtf(mean + r->eps);
        for (int64_t i = 0; i < r->n; i++) {
            float weight, normed = x[i] * inv;
            fa_decode(r->weight->type, r->weight->data, i, 1, &weight);
            y[i] = weight * normed;
        }
    }
}

void fa_reference_rope(const fa_rope *r) {
    int32_t pairs = r->dims / 2;
    for (int64_t t = 0; t < r->rows; t++) {
        const float *cosine = fa_ref_row(r->table, r->place[t].pos, r->dims), *sine = cosine + pairs;
        for (int32_t h = 0; h < r->heads; h++) {
            float *x = fa_ref_row(r->x, t, r->ldx) + r->first + (int64_t)h * r->stride;
            for (int32_t i = 0; i < pairs; i++) {
                float *u = r->interleaved ? &x[2 * i] : &x[i], *v = r->interleaved ? u + 1 : u + pairs;
                float u_cos = *u * cosine[i], v_sin = *v * sine[i], v_cos = *v * cosine[i], u_sin = *u * sine[i];
                *u = u_cos - v_sin;
                *v = v_cos + u_sin;
            }
        }
    }
}

void fa_reference_add(const fa_add *a) {
    for (int64_t t = 0; t < a->rows; t++) {
        const float *x = fa_ref_row(a->a, t, a->lda), *y = fa_ref_row(a->b, t, a->ldb);
        float *sum = fa_ref_row(a->y, t, a->ldy);
        for (int64_t i = 0; i < a->n; i++) sum[i] = x[i] + y[i];
    }
}
