/* Experts, grouped by expert so that a weight is read once for all its rows. fathom_gate_up: [tiles of 16 inner rows, active experts].
 * fathom_down: [tiles of 16 hidden columns]; it goes through the active experts in rising order, and ids rise within a row, so that
 * every sum grows in the order of its routes. */

/* Routes r .. r + 3 of an expert (the last one again where there are fewer). */
INLINE void route_rows(rows_view *in, global const fcl_route *routes, int r, int end, global const float *rows, long ld,
                       global const float *scales, long lds) {
    for (int i = 0; i < FCL_TOGETHER; i++) {
        int at = min(r + i, end - 1);
        long row = routes ? routes[at].row : at;
        in->x[i] = rows + row * ld;
        in->scales[i] = scales + row * lds;
    }
}

#ifndef GROUP
kernel void fathom_gate_up(global const uchar *params, long at, WINDOW_ARGS, global const float *x,
                           global const float *values, global const float *scales, global float *gates,
                           global float *ups) {
    global const fcl_experts *op = (global const fcl_experts *)(params + at);
    global const fcl_expert *e = (global const fcl_expert *)(params + op->experts) + get_global_id(1);
    global const fcl_route *routes = (global const fcl_route *)(params + op->routes);
    int first = (int)get_global_id(0) * FCL_TILE, n = min(FCL_TILE, op->inner - first);
    if (!e->gate.rows) return;
    for (int up = 0; up < 2; up++) {
        weight_view w;
        view_of(&w, up ? &e->up : &e->gate, WINDOWS);
        w.next = w.data + (long)(first + FCL_TILE) * w.cols;
        global float *inner = (up ? ups : gates) + first;
        for (int r = e->first; r < e->last;) {
            int n_x = min(FCL_TOGETHER, e->last - r);
            float16 out[FCL_TOGETHER];
            rows_view in;
            route_rows(&in, routes, r, e->last, w.codes ? values : x + op->x, w.codes ? op->ldv : op->ldx, scales,
                       op->lds);
            product(&w, first, n, &in, n_x, out);
            for (int i = 0; i < n_x; i++) store_tile(out[i], n, inner + (r + i) * op->ld_inner);
            r += n_x;
        }
    }
}

/* A route's part of its row's sum. */
INLINE void add_weighted(float16 out, fcl_route route, int n, global float *y, long ldy) {
    global float *sum = y + route.row * ldy;
    store_tile(add16(load_x(sum, n), mul16(out, (float16)(route.weight))), n, sum);
}

kernel void fathom_down(global const uchar *params, long at, WINDOW_ARGS, global const float *inner,
                        global const float *values, global const float *scales, global const float *given,
                        global float *y) {
    global const fcl_experts *op = (global const fcl_experts *)(params + at);
    global const fcl_route *routes = (global const fcl_route *)(params + op->routes);
    int first = (int)get_global_id(0) * FCL_TILE, n = min(FCL_TILE, op->hidden - first);
    y += op->y + first;
    for (int t = 0; t < op->rows; t++) store_tile((float16)(0.0f), n, y + t * op->ldy);
    for (int a = 0; a < op->n_active; a++) {
        global const fcl_expert *e = (global const fcl_expert *)(params + op->experts) + a;
        if (!e->down.rows) {
            for (int r = e->first; r < e->last; r++)
                add_weighted(load_x(given + r * op->ld_given + first, n), routes[r], n, y, op->ldy);
            continue;
        }
        weight_view w, after;
        view_of(&w, &e->down, WINDOWS);
        view_of(&after, &(e + (a + 1 < op->n_active))->down, WINDOWS);
        w.next = after.data + (long)first * w.cols;
        for (int r = e->first; r < e->last;) {
            int n_x = min(FCL_TOGETHER, e->last - r);
            float16 out[FCL_TOGETHER];
            rows_view in;
            route_rows(&in, 0, r, e->last, w.codes ? values : inner, op->ld_inner, scales, op->lds_inner);
            product(&w, first, n, &in, n_x, out);
            for (int i = 0; i < n_x; i++) add_weighted(out[i], routes[r + i], n, y, op->ldy);
            r += n_x;
        }
    }
}
#endif
