/* Kernels of rules 1 and 2 with VDPBF16PS, which adds the products of two neighbouring BF16 numbers to an FP32 one as rule 1 wants
 * it: first those of the odd elements, then those of the even ones, each sum rounded to nearest even. Codes are BF16 numbers. */
#ifndef FA_BACKEND_CPU_CODES_BF16_H
#define FA_BACKEND_CPU_CODES_BF16_H

#include "host/backend/cpu/simd_quantise.h"

enum {
    GROUP = 64, /* codes of a load; as BF16 they are two vectors, of the lower and of the upper eight of each sixteen */
    VECTORS = 2 * CPU_BLOCK / GROUP,
    STRIP = 4, /* weight rows at a time, at most */
    FEW = 4,   /* activation rows that share decoded codes, at most */
    MANY = 8,  /* activation rows that share turned codes */
};

typedef int32_t word_at __attribute__((may_alias)); /* two BF16 numbers */

static const float ROUNDER = 1572864.0f; /* 1.5 * 2^20 */

/* The BF16 numbers of the 128 codes without a sign: their low and their high bytes. VDPBF16PS reads subnormals as zero; a code has
 * none as BF16. */
typedef struct bf16_bytes {
    __m512i low[2], high[2];
} bf16_bytes;

static const uint8_t low_bytes[128] = {
    0x00, 0x00, 0x80, 0xC0, 0x00, 0x20, 0x40, 0x60, 0x80, 0x90, 0xA0, 0xB0, 0xC0, 0xD0, 0xE0, 0xF0, 0x00, 0x10, 0x20,
    0x30, 0x40, 0x50, 0x60, 0x70, 0x80, 0x90, 0xA0, 0xB0, 0xC0, 0xD0, 0xE0, 0xF0, 0x00, 0x10, 0x20, 0x30, 0x40, 0x50,
    0x60, 0x70, 0x80, 0x90, 0xA0, 0xB0, 0xC0, 0xD0, 0xE0, 0xF0, 0x00, 0x10, 0x20, 0x30, 0x40, 0x50, 0x60, 0x70, 0x80,
    0x90, 0xA0, 0xB0, 0xC0, 0xD0, 0xE0, 0xF0, 0x00, 0x10, 0x20, 0x30, 0x40, 0x50, 0x60, 0x70, 0x80, 0x90, 0xA0, 0xB0,
    0xC0, 0xD0, 0xE0, 0xF0, 0x00, 0x10, 0x20, 0x30, 0x40, 0x50, 0x60, 0x70, 0x80, 0x90, 0xA0, 0xB0, 0xC0, 0xD0, 0xE0,
    0xF0, 0x00, 0x10, 0x20, 0x30, 0x40, 0x50, 0x60, 0x70, 0x80, 0x90, 0xA0, 0xB0, 0xC0, 0xD0, 0xE0, 0xF0, 0x00, 0x10,
    0x20, 0x30, 0x40, 0x50, 0x60, 0x70, 0x80, 0x90, 0xA0, 0xB0, 0xC0, 0xD0, 0xE0, 0xF0,
};
static const uint8_t high_bytes[128] = {
    0x00, 0x3B, 0x3B, 0x3B, 0x3C, 0x3C, 0x3C, 0x3C, 0x3C, 0x3C, 0x3C, 0x3C, 0x3C, 0x3C, 0x3C, 0x3C, 0x3D, 0x3D, 0x3D,
    0x3D, 0x3D, 0x3D, 0x3D, 0x3D, 0x3D, 0x3D, 0x3D, 0x3D, 0x3D, 0x3D, 0x3D, 0x3D, 0x3E, 0x3E, 0x3E, 0x3E, 0x3E, 0x3E,
    0x3E, 0x3E, 0x3E, 0x3E, 0x3E, 0x3E, 0x3E, 0x3E, 0x3E, 0x3E, 0x3F, 0x3F, 0x3F, 0x3F, 0x3F, 0x3F, 0x3F, 0x3F, 0x3F,
    0x3F, 0x3F, 0x3F, 0x3F, 0x3F, 0x3F, 0x3F, 0x40, 0x40, 0x40, 0x40, 0x40, 0x40, 0x40, 0x40, 0x40, 0x40, 0x40, 0x40,
    0x40, 0x40, 0x40, 0x40, 0x41, 0x41, 0x41, 0x41, 0x41, 0x41, 0x41, 0x41, 0x41, 0x41, 0x41, 0x41, 0x41, 0x41, 0x41,
    0x41, 0x42, 0x42, 0x42, 0x42, 0x42, 0x42, 0x42, 0x42, 0x42, 0x42, 0x42, 0x42, 0x42, 0x42, 0x42, 0x42, 0x43, 0x43,
    0x43, 0x43, 0x43, 0x43, 0x43, 0x43, 0x43, 0x43, 0x43, 0x43, 0x43, 0x43, 0x43, 0x43,
};

INLINE bf16_bytes load_tables(void) {
    return (bf16_bytes){{_mm512_loadu_si512(low_bytes), _mm512_loadu_si512(low_bytes + 64)},
                        {_mm512_loadu_si512(high_bytes), _mm512_loadu_si512(high_bytes + 64)}};
}

/* The low and the high bytes of 64 codes as BF16. */
INLINE void code_bytes(const bf16_bytes *t, __m512i codes, __m512i *low, __m512i *high) {
    *low = _mm512_permutex2var_epi8(t->low[0], codes, t->low[1]);
    *high = _mm512_permutex2var_epi8(t->high[0], codes, t->high[1]);
    *high = _mm512_ternarylogic_epi32(*high, codes, _mm512_set1_epi8((char)0x80), 0xF8); /* high | (codes & sign) */
}

/* GROUP codes as BF16. */
INLINE void decode_group(const bf16_bytes *t, const uint8_t *codes, __m512i w[2]) {
    __m512i c = _mm512_loadu_si512(codes), low, high;
    __asm__("" : "+v"(c)); /* one load, where the compiler would rather make it part of each use */
    code_bytes(t, c, &low, &high);
    w[0] = _mm512_unpacklo_epi8(low, high);
    w[1] = _mm512_unpackhi_epi8(low, high);
}

/* 16 pairs of products on top of ROUNDER's bits. */
INLINE vec_u pair_products(__m512i w, __m512i x) {
    return (vec_u)_mm512_dpbf16_ps(_mm512_set1_ps(ROUNDER), (__m512bh)w, (__m512bh)x);
}

/* The tile's row r in one block of `width` codes, followed by zeros in `padded` where it is a part. */
INLINE const uint8_t *row_block(const cpu_codes *tile, int r, int64_t b, uint8_t padded[CPU_BLOCK]) {
    int64_t at = b * CPU_BLOCK, width = tile->cols - at;
    const uint8_t *codes = tile->codes + (r < tile->n ? r : tile->n - 1) * tile->cols + at;
    if (width >= CPU_BLOCK) return codes;
    memset(padded, 0, CPU_BLOCK);
    memcpy(padded, codes, (size_t)width);
    return padded;
}

/* As in simd_codes.h: brings a piece of the next tile into L2. */
INLINE void fetch_next(const cpu_codes *tile, int64_t b, int r) {
    const uint8_t *next = tile->next + (b * CPU_TILE + r) * CPU_BLOCK;
    __builtin_prefetch(next, 0, 2);
    __builtin_prefetch(next + 64, 0, 2);
}

/* Rule 2. */
INLINE vec_f add_scaled(vec_f acc, vec_u sums, float x_scale, float w_scale) {
    vec_i sum = (vec_i)(sums - CPU_BLOCK / 2 * fa_bits(ROUNDER));
    float scale = x_scale * w_scale;
    return acc + __builtin_convertvector(sum, vec_f) * 0.125f * scale;
}

/* ---- few activation rows: lanes are pairs of a row, and a tile's sums are made at the end ---- */

/* The sums over `strip` weight rows of nx activation blocks, their lanes partly added: lanes[t], one vector for each strip. */
INLINE void strip_sums(const cpu_codes *tile, const bf16_bytes *tables, int64_t b, int r, int strip,
                       const float *const *x, int nx, __m512i (*lanes)[LANES]) {
    __m512i sum[FEW][STRIP];
#pragma GCC unroll 4
    for (int q = 0; q < strip; q++) {
        uint8_t padded[CPU_BLOCK];
        __m512i w[VECTORS];
        const uint8_t *codes = row_block(tile, r + q, b, padded);
        fetch_next(tile, b, r + q);
        for (int g = 0; g < VECTORS / 2; g++) decode_group(tables, codes + g * GROUP, w + 2 * g);
#pragma GCC unroll 4
        for (int t = 0; t < nx; t++) {
            const float *block = x[t] + b * CPU_BLOCK;
            vec_u p[VECTORS];
#pragma GCC unroll 4
            for (int v = 0; v < VECTORS; v++) p[v] = pair_products(w[v], _mm512_loadu_si512(block + v * LANES));
            sum[t][q] = (__m512i)((p[0] + p[1]) + (p[2] + p[3]));
        }
    }
#pragma GCC unroll 4
    for (int t = 0; t < nx; t++)
        lanes[t][r / strip] = strip == 4 ? add_pairs(add_pairs(sum[t][0], sum[t][1]), add_pairs(sum[t][2], sum[t][3]))
                                         : add_pairs(sum[t][0], sum[t][1]);
}

/* One tile and nx <= FEW activation rows; nx and `strip` (2 or 4) are constants wherever this is inlined. */
INLINE void few_rows(const cpu_codes *tile, const float *const *x, const float *const *x_scale, int nx, int strip,
                     float *out) {
    bf16_bytes tables = load_tables();
    int64_t blocks = (tile->cols + CPU_BLOCK - 1) / CPU_BLOCK;
    vec_f acc[FEW] = {0};
    for (int64_t b = 0; b < blocks; b++) {
        __m512i lanes[FEW][LANES];
#pragma GCC unroll 8
        for (int r = 0; r < CPU_TILE; r += strip) strip_sums(tile, &tables, b, r, strip, x, nx, lanes);
#pragma GCC unroll 4
        for (int t = 0; t < nx; t++) {
            __m512i four[4];
#pragma GCC unroll 4
            for (int i = 0; i < 4; i++)
                four[i] = strip == 4 ? lanes[t][i] : add_pairs(lanes[t][2 * i], lanes[t][2 * i + 1]);
            vec_u sums = (vec_u)add_quarters(add_quarters(four[0], four[1]), add_quarters(four[2], four[3]));
            acc[t] = add_scaled(acc[t], sums, x_scale[t][b], tile->scale[b]);
        }
    }
    for (int t = 0; t < nx; t++) store(out + t * CPU_TILE, acc[t]);
}

#define CODES_BY(nx, strip)                                                                           \
    static __attribute__((noinline)) void codes_by_##nx(const cpu_codes *tile, const float *const *x, \
                                                        const float *const *x_scale, float *out) {    \
        few_rows(tile, x, x_scale, nx, strip, out);                                                   \
    }
CODES_BY(1, 4)
CODES_BY(2, 2)
CODES_BY(4, 2)

/* ---- many: lanes are the tile's rows, for which its codes are turned once ---- */

/* Turns 16 rows of 16 words into 16 columns. */
INLINE void turn_words(__m512i v[16]) {
    __m512i a[16];
#pragma GCC unroll 8
    for (int i = 0; i < 16; i += 2) {
        a[i] = _mm512_unpacklo_epi32(v[i], v[i + 1]);
        a[i + 1] = _mm512_unpackhi_epi32(v[i], v[i + 1]);
    }
#pragma GCC unroll 4
    for (int q = 0; q < 16; q += 4) { /* v[q + c]: columns c, c + 4, c + 8, c + 12 of rows q .. q + 3 */
        v[q] = _mm512_unpacklo_epi64(a[q], a[q + 2]);
        v[q + 1] = _mm512_unpackhi_epi64(a[q], a[q + 2]);
        v[q + 2] = _mm512_unpacklo_epi64(a[q + 1], a[q + 3]);
        v[q + 3] = _mm512_unpackhi_epi64(a[q + 1], a[q + 3]);
    }
#pragma GCC unroll 4
    for (int c = 0; c < 4; c++) {
        __m512i low[2] = {_mm512_shuffle_i32x4(v[c], v[4 + c], 0x88), _mm512_shuffle_i32x4(v[8 + c], v[12 + c], 0x88)};
        __m512i high[2] = {_mm512_shuffle_i32x4(v[c], v[4 + c], 0xDD), _mm512_shuffle_i32x4(v[8 + c], v[12 + c], 0xDD)};
        a[c] = _mm512_shuffle_i32x4(low[0], low[1], 0x88);
        a[8 + c] = _mm512_shuffle_i32x4(low[0], low[1], 0xDD);
        a[4 + c] = _mm512_shuffle_i32x4(high[0], high[1], 0x88);
        a[12 + c] = _mm512_shuffle_i32x4(high[0], high[1], 0xDD);
    }
#pragma GCC unroll 16
    for (int i = 0; i < 16; i++) v[i] = a[i];
}

/* Where VPERMI2B finds the four bytes of a pair of BF16 numbers: the low bytes of each word's first or last two codes, and 64 behind
 * them the high ones. */
INLINE __m512i pair_places(int first) {
    __m512i word = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    int32_t pair = first | (64 + first) << 8 | (first + 1) << 16 | (65 + first) << 24;
    return _mm512_add_epi32(_mm512_mullo_epi32(word, _mm512_set1_epi32(0x04040404)), _mm512_set1_epi32(pair));
}

/* Block b of the tile: turned[k] has pair k of every row, in the order of the activations' pairs. */
static __attribute__((noinline)) void turn_block(const cpu_codes *tile, int64_t b, __m512i turned[CPU_BLOCK / 2]) {
    bf16_bytes tables = load_tables();
    __m512i places[2] = {pair_places(0), pair_places(2)};
    for (int g = 0; g < CPU_BLOCK; g += GROUP) {
        __m512i word[16];
#pragma GCC unroll 16
        for (int r = 0; r < CPU_TILE; r++) {
            uint8_t padded[CPU_BLOCK];
            word[r] = _mm512_loadu_si512(row_block(tile, r, b, padded) + g);
            if (!g) fetch_next(tile, b, r);
        }
        turn_words(word);
#pragma GCC unroll 16
        for (int i = 0; i < 16; i++) { /* words 4q + 2 and 4q + 3 have the upper eight codes of a sixteen */
            __m512i low, high, *pair = turned + g / 2 + i % 4 / 2 * 16 + i / 4 * 4 + i % 2 * 2;
            code_bytes(&tables, word[i], &low, &high);
            pair[0] = _mm512_permutex2var_epi8(low, places[0], high);
            pair[1] = _mm512_permutex2var_epi8(low, places[1], high);
        }
    }
}

/* Keeps the eight in registers, here and in this order. Zen 4 gives an instruction its pipe before it can run: additions among the
 * products that they wait for take the products' pipes, and 1.4 cycles go into a product where 1.1 would do. */
INLINE void settle_8(vec_u v[8]) {
    __asm__ volatile(""
                     : "+v"(v[0]), "+v"(v[1]), "+v"(v[2]), "+v"(v[3]), "+v"(v[4]), "+v"(v[5]), "+v"(v[6]), "+v"(v[7]));
}

/* One turned block and MANY activation blocks: sums[t], the tile's rows in its lanes. */
INLINE void turned_sums(const __m512i turned[CPU_BLOCK / 2], const float *const *x, int64_t b, vec_u sums[MANY]) {
    const word_at *pair[MANY];
#pragma GCC unroll 8
    for (int t = 0; t < MANY; t++) {
        pair[t] = (const word_at *)(x[t] + b * CPU_BLOCK);
        sums[t] = (vec_u){0};
    }
#pragma GCC unroll 4
    for (int k = 0; k < CPU_BLOCK / 2; k++) {
        vec_u products[MANY];
#pragma GCC unroll 8
        for (int t = 0; t < MANY; t++) products[t] = pair_products(turned[k], _mm512_set1_epi32(pair[t][k]));
        settle_8(products);
#pragma GCC unroll 8
        for (int t = 0; t < MANY; t++) sums[t] += products[t];
        settle_8(sums);
    }
}

/* n_x is a multiple of MANY. */
static __attribute__((noinline)) void many_rows(const cpu_codes *tile, const float *const *x,
                                                const float *const *x_scale, int n_x, float *out) {
    int64_t blocks = (tile->cols + CPU_BLOCK - 1) / CPU_BLOCK;
    memset(out, 0, (size_t)n_x * CPU_TILE * sizeof *out);
    for (int64_t b = 0; b < blocks; b++) {
        __m512i turned[CPU_BLOCK / 2];
        turn_block(tile, b, turned);
        for (int t = 0; t < n_x; t += MANY) {
            vec_u sums[MANY];
            turned_sums(turned, x + t, b, sums);
#pragma GCC unroll 8
            for (int i = 0; i < MANY; i++) {
                float *acc = out + (t + i) * CPU_TILE;
                store(acc, add_scaled(load(acc), sums[i], x_scale[t + i][b], tile->scale[b]));
            }
        }
    }
}

static void codes(const cpu_codes *tile, const float *const *x, const float *const *x_scale, int n_x, float *out) {
    int t = n_x >= 2 * MANY ? n_x / MANY * MANY : 0; /* turning pays from 16 rows on */
    if (t) many_rows(tile, x, x_scale, t, out);
    for (; t + 4 <= n_x; t += 4) codes_by_4(tile, x + t, x_scale + t, out + t * CPU_TILE);
    for (; t + 2 <= n_x; t += 2) codes_by_2(tile, x + t, x_scale + t, out + t * CPU_TILE);
    for (; t < n_x; t++) codes_by_1(tile, x + t, x_scale + t, out + t * CPU_TILE);
}

/* As BF16, in the order in which codes are decoded, in the first half of `values`. */
static float quantise(const float *x, int n, float *values) {
    vec_f v[CPU_BLOCK / LANES];
    float scale = code_values(x, n, v);
#pragma GCC unroll 2
    for (int g = 0; g < CPU_BLOCK / GROUP; g++) {
        __m512i a = (__m512i)_mm512_cvtne2ps_pbh(v[4 * g + 1], v[4 * g]);
        __m512i b = (__m512i)_mm512_cvtne2ps_pbh(v[4 * g + 3], v[4 * g + 2]);
        _mm512_storeu_si512(values + 32 * g, _mm512_shuffle_i32x4(a, b, 0x88));
        _mm512_storeu_si512(values + 32 * g + 16, _mm512_shuffle_i32x4(a, b, 0xDD));
    }
    return scale;
}

#endif
