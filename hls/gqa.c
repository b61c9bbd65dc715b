/* fathom_gqa: see kernels.h. For each row and kv head, all query heads of its group go through the pages together; while a page
 * is attended to, the next is read. */
#include "hls/args.h"
#include "hls/attend.h"
#include "hls/copy.h"
#include "hls/kernels.h"

/* The keys and values of one kv head at the first n positions of the page at `page`. */
static void read_page(const hls_word *pool, int64_t page, int32_t row_units, hls_part key, hls_part value, int32_t n,
                      hls_word keys[HLS_PAGE][HLS_KEY_WORDS], hls_word values[HLS_PAGE][HLS_KEY_WORDS]) {
#pragma HLS INLINE off
    hls_read_part(pool, page, row_units, n, key, keys, 0);
    hls_read_part(pool, page, row_units, n, value, values, 0);
}

/* The query heads of one kv head over positions 0 .. pos. While they attend to a page, the next is read. */
static void attend_group(const hls_word *pool, const int32_t *pages, int32_t pos, int64_t kv_first, int64_t page_units,
                         int32_t row_units, hls_part key, hls_part value, int32_t heads, float scale,
                         const hls_word query[HLS_MAX_HEADS][HLS_KEY_WORDS],
                         hls_word out[HLS_MAX_HEADS][HLS_VALUE_WORDS]) {
    hls_word even_keys[HLS_PAGE][HLS_KEY_WORDS], even_values[HLS_PAGE][HLS_KEY_WORDS];
#pragma HLS AGGREGATE variable = even_keys
#pragma HLS AGGREGATE variable = even_values
    hls_word odd_keys[HLS_PAGE][HLS_KEY_WORDS], odd_values[HLS_PAGE][HLS_KEY_WORDS];
#pragma HLS AGGREGATE variable = odd_keys
#pragma HLS AGGREGATE variable = odd_values
    float m[HLS_MAX_HEADS], l[HLS_MAX_HEADS];
#pragma HLS BIND_STORAGE variable = even_keys type = ram_2p impl = uram
#pragma HLS BIND_STORAGE variable = even_values type = ram_2p impl = uram
#pragma HLS BIND_STORAGE variable = odd_keys type = ram_2p impl = uram
#pragma HLS BIND_STORAGE variable = odd_values type = ram_2p impl = uram
    const int32_t words = (key.n + 15) / 16, last = pos / HLS_PAGE;
    for (int32_t h = 0; h < heads; h++) {
#pragma HLS LOOP_TRIPCOUNT min = 1 max = HLS_MAX_HEADS
        m[h] = hls_float(0x80000000u | HLS_INFINITY);
        l[h] = 0.0f;
    }
    int32_t now = last ? HLS_PAGE : pos + 1;
    read_page(pool, kv_first + pages[0] * page_units, row_units, key, value, now, even_keys, even_values);
    for (int32_t i = 0; i <= last; i++) {
#pragma HLS LOOP_TRIPCOUNT min = 1 max = 16384
        int32_t left = pos + 1 - HLS_PAGE * (i + 1), next = left < HLS_PAGE ? left : HLS_PAGE;
        int64_t page = i < last ? kv_first + pages[i + 1] * page_units : 0;
        if (i % 2 == 0) {
            read_page(pool, page, row_units, key, value, next, odd_keys, odd_values);
            hls_attend_page(heads, now, words, words, i == 0, scale, query, even_keys, even_values, m, l, out);
        } else {
            read_page(pool, page, row_units, key, value, next, even_keys, even_values);
            hls_attend_page(heads, now, words, words, 0, scale, query, odd_keys, odd_values, m, l, out);
        }
        now = next;
    }
    for (int32_t h = 0; h < heads; h++) {
#pragma HLS LOOP_TRIPCOUNT min = 1 max = HLS_MAX_HEADS
        hls_attend_end(key.n, l[h], out[h], out[h]);
    }
}

void HLS_SHARED(fathom_gqa)(const hls_word *q, hls_word *y, const hls_word *pool, const int32_t *table, int64_t q_first,
                            int64_t ldq, int64_t y_first, int64_t ldy, int64_t kv_first, int64_t page_units,
                            int32_t rows, int32_t heads, int32_t kv_heads, int32_t kv_head_first, int32_t head_dim,
                            float scale, int32_t row_units, int32_t a_type, int32_t a_at, int32_t a_scales,
                            int32_t b_type, int32_t b_at, int32_t b_scales) {
#pragma HLS INTERFACE m_axi port = q bundle = io offset = slave
#pragma HLS INTERFACE m_axi port = y bundle = io offset = slave
#pragma HLS INTERFACE m_axi port = pool bundle = io offset = slave
#pragma HLS INTERFACE m_axi port = table bundle = table offset = slave
#pragma HLS INTERFACE s_axilite port = return
    hls_word query[HLS_MAX_HEADS][HLS_KEY_WORDS], out[HLS_MAX_HEADS][HLS_VALUE_WORDS];
#pragma HLS AGGREGATE variable = out
#pragma HLS AGGREGATE variable = query
#pragma HLS ARRAY_PARTITION variable = query cyclic factor = HLS_GROUPS dim = 1
#pragma HLS ARRAY_PARTITION variable = out cyclic factor = HLS_GROUPS dim = 1
#pragma HLS BIND_STORAGE variable = query type = ram_2p impl = uram
#pragma HLS BIND_STORAGE variable = out type = ram_2p impl = uram
    const int32_t group = heads / kv_heads;
    for (int32_t t = 0; t < rows; t++) {
#pragma HLS LOOP_TRIPCOUNT min = 1 max = 64
        const int32_t *pages = &table[table[2 * t + 1]];
        for (int32_t k = 0; k < kv_heads; k++) {
#pragma HLS LOOP_TRIPCOUNT min = 1 max = 32
            int32_t first = (kv_head_first + k) * head_dim;
            hls_part key = {a_type, a_at, a_scales, first, head_dim}, value = {b_type, b_at, b_scales, first, head_dim};
            for (int32_t h = 0; h < group; h++) {
#pragma HLS LOOP_TRIPCOUNT min = 1 max = HLS_MAX_HEADS
                hls_load(query[h], (head_dim + 15) / 16, q, q_first + t * ldq + (int64_t)(k * group + h) * head_dim,
                         head_dim);
            }
            attend_group(pool, pages, table[2 * t], kv_first, page_units, row_units, key, value, group, scale, query,
                         out);
            for (int32_t h = 0; h < group; h++) {
#pragma HLS LOOP_TRIPCOUNT min = 1 max = HLS_MAX_HEADS
                hls_copy(y, y_first + t * ldy + (int64_t)(k * group + h) * head_dim, out[h], 0, head_dim);
            }
        }
    }
}
