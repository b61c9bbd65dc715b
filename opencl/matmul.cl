/* y = x . W^T (+ bias) for the parts of one op. Work-items: [chunks of FCL_ROWS rows, tiles of 16 outputs of all parts]. */

/* Rows t .. t + 3 (the last ones again where there are fewer), as the weight takes them. */
INLINE void matmul_rows(rows_view *in, global const fcl_matmul *m, int codes, int t, int end, global const float *x,
                        global const float *values, global const float *scales) {
    for (int i = 0; i < FCL_TOGETHER; i++) {
        long row = min(t + i, end - 1);
        in->x[i] = codes ? values + row * m->ldv : x + m->x + row * m->ldx;
        in->scales[i] = scales + row * m->lds;
    }
}

#ifndef GROUP
kernel void fathom_matmul(global const uchar *params, long at, WINDOW_ARGS, global const float *x,
                          global const float *values, global const float *scales, global float *y0, global float *y1,
                          global float *y2, global float *y3) {
    global const fcl_matmul *m = (global const fcl_matmul *)(params + at);
    int tile = (int)get_global_id(1), p = 0;
    for (; tile >= (m->part[p].w.rows + FCL_TILE - 1) / FCL_TILE; p++) tile -= (m->part[p].w.rows + FCL_TILE - 1) / FCL_TILE;
    global const fcl_part *part = &m->part[p];
    weight_view w;
    view_of(&w, &part->w, WINDOWS);
    int first = tile * FCL_TILE, n = min(FCL_TILE, w.rows - first);
    w.next = w.data + (long)(first + FCL_TILE) * w.cols;
    global float *y = (p & 2 ? (p & 1 ? y3 : y2) : (p & 1 ? y1 : y0)) + part->y + first;
    float16 bias = (float16)(0.0f);
    if (part->bias.rows) {
        weight_view b;
        view_of(&b, &part->bias, WINDOWS);
        bias = load_x((global const float *)b.data + first, n);
    }
    int t = (int)get_global_id(0) * FCL_ROWS, end = min(t + FCL_ROWS, m->rows);
    while (t < end) {
        int n_x = end - t == 1 ? 1 : min(FCL_TOGETHER, end - t);
        rows_view in;
        matmul_rows(&in, m, w.codes, t, end, x, values, scales);
        float16 out[FCL_TOGETHER];
        product(&w, first, n, &in, n_x, out);
        for (int i = 0; i < n_x; i++) {
            float16 sum = part->bias.rows ? add16(out[i], bias) : out[i];
            store_tile(sum, n, y + (t + i) * part->ldy);
        }
        t += n_x;
    }
}
#endif
