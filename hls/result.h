/* What a pass over a weight puts into its stream: for each group of tiles (one a port), the 16 outputs of its tiles in turn. */
#ifndef HLS_RESULT_H
#define HLS_RESULT_H

#include "hls/build.h"
#include "hls/float.h"
#include "hls/layout.h"
#include "hls/stream.h"

typedef struct hls_result {
    float value[HLS_ROWS][HLS_PORTS];
} hls_result;

enum { HLS_RESULTS = HLS_SLAB * HLS_TILE, HLS_GROUP_OUTPUTS = HLS_TILE * HLS_PORTS };

/* Gets one group: word p of a row holds the 16 outputs of port p's tile, so that a row's words are consecutive outputs. */
static inline void hls_get_group(HLS_STREAM_PARAM(hls_result, results, HLS_RESULTS), int32_t group,
                                 hls_word tile[HLS_ROWS][HLS_PORTS]) {
#pragma HLS INLINE
    for (int g = 0; g < HLS_TILE; g++) {
#pragma HLS PIPELINE II = 1
        hls_result got = HLS_GET(results, group * HLS_TILE + g);
        for (int r = 0; r < HLS_ROWS; r++) {
#pragma HLS UNROLL
            for (int p = 0; p < HLS_PORTS; p++) {
#pragma HLS UNROLL
                tile[r][p].lane[g] = hls_bits(got.value[r][p]);
            }
        }
    }
}

#endif
