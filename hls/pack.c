/* The host's side of hls/layout.h; no part of a kernel. */
#include "hls/layout.h"

#include <string.h>

void hls_pack_output(int32_t ports, hls_weight type, int32_t output, int32_t inputs, const void *row,
                     const float *scales, hls_word *const *share) {
    hls_word *mine = share[hls_port_of(ports, output)];
    int64_t bytes = (int64_t)inputs * type;
    for (int32_t c = 0; c < hls_row_words(type, inputs); c++) {
        int64_t left = bytes - 64 * (int64_t)c;
        hls_word word = {{0}};
        if (left > 0) memcpy(&word, (const char *)row + 64 * (int64_t)c, (size_t)(left < 64 ? left : 64));
        mine[hls_word_at(ports, type, output, inputs, c)] = word;
    }
    if (type == HLS_E4M3)
        memcpy(&mine[hls_tile_at(ports, type, output, inputs)], scales, (size_t)hls_blocks(inputs) * sizeof *scales);
}
