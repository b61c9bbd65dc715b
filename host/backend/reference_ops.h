/* Private to the reference backend: its scratch memory and its ops, one row at a time as docs/numerics.md
 * states them. */
#ifndef FA_BACKEND_REFERENCE_OPS_H
#define FA_BACKEND_REFERENCE_OPS_H

#include "host/backend/backend.h"
#include "host/backend/host_memory.h"
#include "host/base/arena.h"

typedef struct fa_reference {
    fa_host_backend host;
    fa_limits limits;
    fa_arena arena;            /* of the scratch below; sizes in elements */
    float *weight_row;         /* [max_cols]: one row of a weight, decoded */
    uint8_t *codes;            /* [max_cols]: one activation row, quantised */
    float *scales;             /* [ceil(max_cols / 128)] */
    float *gate, *up, *hidden; /* [max_inner], [max_inner], [max_cols]: one route of an expert */
    float *query, *value;      /* [max_rank] each: one head's latent query, softmax-weighted values */
    float *kv_row, *w_row;     /* [max_rank] each: a cached part, a row of a weight */
    float *partials;           /* [16, max_rank] */
    float scores[FA_PAGE_POSITIONS];
} fa_reference;

/* Row t of the FP32 values at `ref`. */
static inline float *fa_ref_row(fa_ref ref, int64_t t, int64_t ld) {
    float *first = (void *)((char *)ref.buffer->host + ref.offset);
    return first + t * ld;
}

/* Row `r` of a weight as FP32; FP8: code * block scale, one rounding. */
void fa_reference_weight_row(const fa_weight *w, int64_t r, float *out);

void fa_reference_matmul(fa_reference *ref, const fa_matmul *m);
void fa_reference_experts(fa_reference *ref, const fa_experts *x);
void fa_reference_mla(fa_reference *ref, const fa_mla *m);
void fa_reference_gqa(fa_reference *ref, const fa_gqa *g);
void fa_reference_rmsnorm(const fa_rmsnorm *r);
void fa_reference_rope(const fa_rope *r);
void fa_reference_add(const fa_add *a);
void fa_reference_store(const fa_store *s);

/* Address of the cached row of `place` at position `pos`. */
uint8_t *fa_reference_kv_row(const fa_kv *kv, const fa_place *place, int32_t pos);

/* Elements first .. first + n - 1 of a part of a cached row as FP32; FP8: code * scale, one rounding. */
void fa_reference_kv_read(const fa_kv_part *part, const uint8_t *row, int32_t first, int32_t n, float *out);

#endif
