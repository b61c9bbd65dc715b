/* The layout of cached positions: what a page holds and how a row of it is stored. One rule for every backend.
 *
 * A position's row has two parts: MLA: a = latent [kv_lora_rank], b = rotary key [qk_rope_head_dim];
 * GQA: a = keys [kv_heads * head_dim], b = values [kv_heads * head_dim].
 *
 *   page (64 positions, all layers) = layer 0 | layer 1 | ...      each layer: 64 rows of row_bytes
 *   row  = a codes | b codes | a scales | b scales | padding to 16 bytes
 *
 * Types: f32 and bf16 store the values (bf16: round to nearest even). fp8 stores `a` as E4M3 codes in blocks of 128 with
 * FP32 scales (the activation rule of docs/numerics.md); `b` likewise for GQA, but as BF16 for MLA, whose rotary
 * key is small and sensitive. A stored value is read back as code * scale, one rounding. Padding is nobody's: a store may change that of its row. */
#ifndef FA_BACKEND_KV_H
#define FA_BACKEND_KV_H

#include <stdbool.h>
#include <stdint.h>

#include "host/format/dtype.h"

enum { FA_PAGE_POSITIONS = 64, FA_BLOCK = 128 };

typedef enum fa_cache_type { FA_CACHE_F32 = 0, FA_CACHE_BF16, FA_CACHE_FP8, FA_CACHE_TYPE_COUNT } fa_cache_type;

typedef struct fa_kv_part {
    fa_dtype type;         /* FA_F32, FA_BF16 or FA_F8_E4M3 */
    int32_t n;             /* elements of a row */
    int32_t offset_bytes;  /* of the codes inside the row */
    int32_t scales_offset; /* of the FP32 scales [ceil(n / 128)] inside the row; only for FA_F8_E4M3 */
} fa_kv_part;

typedef struct fa_kv_layout {
    fa_kv_part a, b;
    int32_t row_bytes;
    int64_t layer_bytes; /* 64 * row_bytes */
    int64_t page_bytes;  /* layers * layer_bytes */
} fa_kv_layout;

/* Layout of `layers` layers with parts of n_a and n_b elements. */
static inline fa_kv_layout fa_kv_layout_make(fa_cache_type type, bool mla, int32_t n_a, int32_t n_b, int32_t layers) {
    static const fa_dtype type_of[FA_CACHE_TYPE_COUNT] = {FA_F32, FA_BF16, FA_F8_E4M3};
    static const int32_t bytes_of[FA_CACHE_TYPE_COUNT] = {4, 2, 1};
    bool b_bf16 = mla && type == FA_CACHE_FP8;
    fa_kv_layout l = {.a = {.type = type_of[type], .n = n_a},
                      .b = {.type = b_bf16 ? FA_BF16 : type_of[type], .n = n_b}};
    /* every part starts at a multiple of 4 bytes */
    l.b.offset_bytes = (n_a * bytes_of[type] + 3) / 4 * 4;
    l.a.scales_offset = l.b.offset_bytes + (n_b * (b_bf16 ? 2 : bytes_of[type]) + 3) / 4 * 4;
    int32_t a_scales = l.a.type == FA_F8_E4M3 ? (n_a + FA_BLOCK - 1) / FA_BLOCK * 4 : 0;
    int32_t b_scales = l.b.type == FA_F8_E4M3 ? (n_b + FA_BLOCK - 1) / FA_BLOCK * 4 : 0;
    l.b.scales_offset = l.a.scales_offset + a_scales;
    l.row_bytes = (l.b.scales_offset + b_scales + 15) / 16 * 16;
    l.layer_bytes = (int64_t)FA_PAGE_POSITIONS * l.row_bytes;
    l.page_bytes = layers * l.layer_bytes;
    return l;
}

#endif
