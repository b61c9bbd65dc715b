/* Codecs of small floating-point formats, one element at a time. E4M3FN has no infinity (NaN = 0x7F, 0xFF; largest 448);
 * E5M2 is IEEE-like. Encoders round to nearest, ties to even. Golden tables: tests/golden/fp8. */
#ifndef FA_FORMAT_FP8_H
#define FA_FORMAT_FP8_H

#include <stdint.h>

float fa_e4m3_decode(uint8_t code);
float fa_e5m2_decode(uint8_t code);
float fa_e8m0_decode(uint8_t code); /* 2^(code-127); 255 is NaN */
float fa_bf16_decode(uint16_t bits);
float fa_f16_decode(uint16_t bits);

/* Saturating: |x| > 448 and infinities give +-448; NaN gives 0x7F with x's sign. */
uint8_t fa_e4m3_encode(float x);
uint8_t fa_e5m2_encode(float x);  /* overflow gives infinity, as torch does */
uint16_t fa_bf16_encode(float x); /* NaN gives 0xFFFF, as torch does */
uint16_t fa_f16_encode(float x);

/* Quantises one block of `n` <= 128 values: scale = max(amax, 1e-4) / 448, code = e4m3(x / scale). Returns the scale.
 * A NaN or infinity in the block gives a NaN scale and codes of 0, so it reaches every result of the row. */
float fa_quantise_block(const float *x, int n, uint8_t *codes);

/* As above for weights [rows, cols] in 128x128 blocks (amax clamped to 1e-12, as the releases do): codes [rows, cols],
 * scales [ceil(rows/128), ceil(cols/128)]. */
void fa_quantise_weight(const float *w, int64_t rows, int64_t cols, uint8_t *codes, float *scales);

#endif
