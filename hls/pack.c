/* The host's side of hls/layout.h; no part of a kernel. */
#include "hls/layout.h"

#include <string.h>

/* Element e of a row: codes, BF16 bits or FP32 bits. */
static uint32_t element(hls_weight type, const void *row, int32_t e) {
    uint32_t bits = 0; /* little-endian, as the files are */
    memcpy(&bits, (const char *)row + (size_t)e * type, type);
    return bits;
}

void hls_pack_output(int32_t ports, hls_weight type, int32_t output, int32_t inputs, const void *row,
                     const float *scales, hls_word *const *share) {
    hls_word *mine = share[hls_port_of(ports, output)];
    int32_t count = hls_word_elements(type);
    for (int32_t c = 0; c < hls_row_words(type, inputs); c++) {
        hls_word word = {{0}};
        for (int32_t i = 0; i < count && c * count + i < inputs; i++)
            word.lane[i % 16] |= element(type, row, c * count + i) << (i / 16 * 8 * (int)type);
        mine[hls_word_at(ports, type, output, inputs, c)] = word;
    }
    if (type == HLS_E4M3)
        memcpy(&mine[hls_tile_at(ports, type, output, inputs)], scales, (size_t)hls_blocks(inputs) * sizeof *scales);
}
