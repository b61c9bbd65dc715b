/* The first process of every pass over a weight: integers for codes against quantised rows, else ordered sums. tiles: those that
 * are of the weight; the last group may hold padding. */
#ifndef HLS_PASS_H
#define HLS_PASS_H

#include "hls/codes.h"
#include "hls/copy.h"
#include "hls/ordered.h"

static void hls_multiply(HLS_PORT_PARAMS int64_t at, int32_t type, int32_t quantised, int32_t groups, int32_t tiles,
                         int32_t inputs, int32_t rows, const hls_word x[HLS_ROWS][HLS_ROW_WORDS],
                         const hls_word codes[HLS_ROWS][HLS_CODE_WORDS], const float scales[HLS_ROWS][HLS_MAX_BLOCKS],
                         HLS_STREAM_PARAM(hls_result, results, HLS_RESULTS)) {
#pragma HLS INLINE off
    if (quantised)
        hls_multiply_codes(HLS_PORT_ARGS, at, groups, inputs, rows, codes, scales, HLS_STREAM_PASS_ON(results));
    else
        hls_multiply_ordered(HLS_PORT_ARGS, at, type, groups, 0, tiles, inputs, rows, x, HLS_STREAM_PASS_ON(results));
}

#endif
