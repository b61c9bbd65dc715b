#include "host/format/blocks.h"

#include "host/format/fp8.h"

typedef void decode_block(const uint8_t *b, float *dst);

static float half_at(const uint8_t *p) {
    return fa_f16_decode((uint16_t)(p[0] | p[1] << 8));
}

static uint32_t word_at(const uint8_t *p) {
    return p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

/* Types of 32 elements: the low nibbles of 16 bytes are elements 0-15, the high ones 16-31. */

/* d f16, 16 bytes */
static void q4_0(const uint8_t *b, float *dst) {
    float d = half_at(b);
    for (int i = 0; i < 16; i++) {
        int q = b[2 + i];
        dst[i] = (float)((q & 15) - 8) * d;
        dst[i + 16] = (float)((q >> 4) - 8) * d;
    }
}

/* d f16, m f16, 16 bytes */
static void q4_1(const uint8_t *b, float *dst) {
    float d = half_at(b), m = half_at(b + 2);
    for (int i = 0; i < 16; i++) {
        int q = b[4 + i];
        dst[i] = (float)(q & 15) * d + m;
        dst[i + 16] = (float)(q >> 4) * d + m;
    }
}

/* d f16, 32 fifth bits, 16 bytes */
static void q5_0(const uint8_t *b, float *dst) {
    float d = half_at(b);
    uint32_t fifth = word_at(b + 2);
    for (int i = 0; i < 16; i++) {
        int q = b[6 + i];
        int low = (q & 15) | (int)(fifth >> i & 1) << 4, high = q >> 4 | (int)(fifth >> (i + 16) & 1) << 4;
        dst[i] = (float)(low - 16) * d;
        dst[i + 16] = (float)(high - 16) * d;
    }
}

/* d f16, m f16, 32 fifth bits, 16 bytes */
static void q5_1(const uint8_t *b, float *dst) {
    float d = half_at(b), m = half_at(b + 2);
    uint32_t fifth = word_at(b + 4);
    for (int i = 0; i < 16; i++) {
        int q = b[8 + i];
        int low = (q & 15) | (int)(fifth >> i & 1) << 4, high = q >> 4 | (int)(fifth >> (i + 16) & 1) << 4;
        dst[i] = (float)low * d + m;
        dst[i + 16] = (float)high * d + m;
    }
}

/* d f16, 32 int8 */
static void q8_0(const uint8_t *b, float *dst) {
    float d = half_at(b);
    for (int i = 0; i < 32; i++) dst[i] = (float)(int8_t)b[2 + i] * d;
}

/* Types of 256 elements. Q4_K and Q5_K share 12 bytes that pack eight 6-bit scales and eight 6-bit minima:
 * sub-blocks 0-3 in the low 6 bits of bytes 0-3 (scales) and 4-7 (minima); 4-7 in the nibbles of bytes 8-11
 * with the two top bits of bytes 0-7. */
static void scale_and_min(const uint8_t *packed, int sub, int *scale, int *min) {
    if (sub < 4) {
        *scale = packed[sub] & 63;
        *min = packed[sub + 4] & 63;
    } else {
        *scale = (packed[sub + 4] & 15) | packed[sub - 4] >> 6 << 4;
        *min = packed[sub + 4] >> 4 | packed[sub] >> 6 << 4;
    }
}

/* One nibble type of eight sub-blocks of 32; `fifth` is NULL for Q4_K, else bit s of byte i belongs to
 * element i of sub-block s. */
static void q45_k(const uint8_t *b, const uint8_t *fifth, const uint8_t *nibbles, float *dst) {
    float d = half_at(b), dmin = half_at(b + 2);
    for (int s = 0; s < 8; s++) {
        int scale, min;
        scale_and_min(b + 4, s, &scale, &min);
        float step = d * (float)scale, low = dmin * (float)min;
        const uint8_t *q = nibbles + s / 2 * 32;
        for (int i = 0; i < 32; i++) {
            int v = s & 1 ? q[i] >> 4 : q[i] & 15;
            if (fifth) v |= (fifth[i] >> s & 1) << 4;
            dst[s * 32 + i] = step * (float)v - low;
        }
    }
}

/* d f16, dmin f16, 12 bytes of scales, 128 bytes of nibbles */
static void q4_k(const uint8_t *b, float *dst) {
    q45_k(b, NULL, b + 16, dst);
}

/* d f16, dmin f16, 12 bytes of scales, 32 bytes of fifth bits, 128 bytes of nibbles */
static void q5_k(const uint8_t *b, float *dst) {
    q45_k(b, b + 16, b + 48, dst);
}

/* 128 bytes of low nibbles, 64 bytes of upper bit pairs, 16 int8 scales, d f16. Each half of 128 elements is
 * four runs of 32 that share 64 bytes of nibbles and 32 bytes of pairs. */
static void q6_k(const uint8_t *b, float *dst) {
    float d = half_at(b + 208);
    for (int half = 0; half < 2; half++)
        for (int run = 0; run < 4; run++) {
            const uint8_t *low = b + half * 64 + (run & 1) * 32, *high = b + 128 + half * 32;
            const uint8_t *scales = b + 192 + half * 8 + run * 2;
            float step[2] = {d * (float)(int8_t)scales[0], d * (float)(int8_t)scales[1]};
            for (int i = 0; i < 32; i++) {
                int nibble = run < 2 ? low[i] & 15 : low[i] >> 4;
                int q = (nibble | (high[i] >> 2 * run & 3) << 4) - 32;
                dst[half * 128 + run * 32 + i] = step[i / 16] * (float)q;
            }
        }
}

void fa_decode_blocks(fa_dtype t, const uint8_t *src, int64_t blocks, float *dst) {
    static decode_block *const decoders[FA_DTYPE_COUNT] = {
        [FA_Q4_0] = q4_0, [FA_Q4_1] = q4_1, [FA_Q5_0] = q5_0, [FA_Q5_1] = q5_1,
        [FA_Q8_0] = q8_0, [FA_Q4_K] = q4_k, [FA_Q5_K] = q5_k, [FA_Q6_K] = q6_k,
    };
    const fa_dtype_info *info = fa_dtype_get(t);
    for (int64_t i = 0; i < blocks; i++) decoders[t](src + i * info->block_bytes, dst + i * info->block_elements);
}
