/* Moving rows of 32-bit values between memory and the buffers on chip, whatever their alignment. */
#ifndef HLS_COPY_H
#define HLS_COPY_H

#include "hls/word.h"

/* to[to_first + i] = from[from_first + i] for i < n, counted in lanes. Whole words are read and written; lanes of the first and
 * last word of `to` that are not of the row keep their bits. Reads no word of `from` that holds none of the row.
 * cost.c: copy_cycles. */
static inline void hls_copy(hls_word *to, int64_t to_first, const hls_word *from, int64_t from_first, int32_t n) {
#pragma HLS INLINE
    if (n <= 0) return;
    int64_t first = to_first / 16, last = (to_first + n - 1) / 16, source_last = (from_first + n - 1) / 16;
    int64_t shift = from_first - to_first + 16 * first; /* of lane 0 of word `first` in from; may be negative */
    int64_t source = (shift + 16) / 16 - 1;             /* rounded down; shift > -16 as first * 16 > to_first - 16 */
    int32_t rotate = (int32_t)(shift - 16 * source);
    int ragged_head = to_first % 16 != 0, ragged_tail = (to_first + n) % 16 != 0;
    hls_word head = {{0}}, tail = {{0}}, low = {{0}};
    if (ragged_head || (ragged_tail && first == last)) head = to[first];
    if (ragged_tail && first != last) tail = to[last];
    if (first == last) tail = head;
    if (source >= 0 && source * 16 + 16 > from_first) low = from[source];
    for (int64_t d = first; d <= last; d++) {
#pragma HLS PIPELINE II = 1
#pragma HLS LOOP_TRIPCOUNT min = 1 max = HLS_ROW_WORDS
        hls_word high = low, out;
        if (source < source_last) high = from[source + 1];
        for (int lane = 0; lane < 16; lane++) {
#pragma HLS UNROLL
            int32_t at = lane + rotate;
            int64_t i = 16 * d + lane - to_first;
            uint32_t kept = d == last ? tail.lane[lane] : head.lane[lane];
            uint32_t moved = at < 16 ? low.lane[at & 15] : high.lane[at & 15];
            out.lane[lane] = i >= 0 && i < n ? moved : kept;
        }
        to[d] = out;
        low = high;
        source++;
    }
}

/* Loads n values into whole words, zeros behind them up to `words`. */
static inline void hls_load(hls_word *to, int32_t words, const hls_word *from, int64_t first, int32_t n) {
#pragma HLS INLINE
    const hls_word zero = {{0}};
    for (int32_t i = n / 16; i < words; i++) {
#pragma HLS PIPELINE II = 1
#pragma HLS LOOP_TRIPCOUNT min = 1 max = 8
        to[i] = zero;
    }
    hls_copy(to, 0, from, first, n);
}

#endif
