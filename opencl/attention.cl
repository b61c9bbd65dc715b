/* gqa and mla: rules 3, 4 and 7. A work-item has up to 4 query heads that share each page's decoded keys and values. */

/* Sixteen cached values from element i on of a part, whose row is at `row`; E4M3: code * scale, one rounding. */
INLINE float16 load_kv(int kind, global const uchar *data, global const float *scales, uint i) {
    if (kind == FCL_F32) return vload16(0, (global const float *)data + i);
    if (kind == FCL_BF16) return as_float16(convert_uint16(vload16(0, (global const ushort *)data + i)) << 16);
    float16 scale = (float16)(scales[i / FCL_BLOCK]);
    int left = (int)(FCL_BLOCK - i % FCL_BLOCK); /* the next scale begins inside these sixteen */
    if (left < 16) scale = select((float16)(scales[i / FCL_BLOCK + 1]), scale, first_lanes(left));
    return mul16(decode16(load_codes(data + i)), scale);
}

INLINE float load_kv_one(int kind, global const uchar *data, global const float *scales, uint i) {
    if (kind == FCL_F32) return ((global const float *)data)[i];
    if (kind == FCL_BF16) return as_float((uint)((global const ushort *)data)[i] << 16);
    return mul1(decode16((int16)((char)data[i])).s0, scales[i / FCL_BLOCK]);
}

INLINE float16 load_kv_end(int kind, global const uchar *data, global const float *scales, int i, int n) {
    float padded[16];
    for (int j = 0; j < 16; j++) padded[j] = j < n ? load_kv_one(kind, data, scales, i + j) : 0.0f;
    return vload16(0, padded);
}

/* What the heads of a work-item read and write. */
typedef struct heads_view {
    global const float *q[FCL_HEADS], *rope_q[FCL_HEADS]; /* rope_q: of mla */
    global float *out[FCL_HEADS];
    global const int *pages;
    int n, pos, key_first, value_is_b;
} heads_view;

/* Adds elements `begin` .. `end` - 1 of a piece to the partial sums; element i counts as before + i. For the pieces that do not
 * begin and end at multiples of 16. */
INLINE float16 dot_rest(float16 sum, int kind, global const uchar *data, global const float *scales, int first,
                        global const float *q, int before, int begin, int end) {
    float p[16];
    vstore16(sum, 0, p);
    for (int i = begin; i < end; i++) {
        uint lane = (uint)(before + i) % 16;
        p[lane] = add1(p[lane], mul1(q[i], load_kv_one(kind, data, scales, first + i)));
    }
    return vload16(0, p);
}

/* Scores of position j of a page, n_h a constant. */
INLINE void score_row(global const fcl_attend *op, const heads_view *v, global const uchar *row, int n_h,
                      float (*scores)[FCL_PAGE], int j) {
    global const uchar *a = row + op->kv.a.offset, *b = row + op->kv.b.offset;
    global const float *a_scales = (global const float *)(row + op->kv.a.scales);
    global const float *b_scales = (global const float *)(row + op->kv.b.scales);
    int kind = op->kv.a.kind, n = op->head_dim, whole = n / 16 * 16, rope = op->rope;
    float16 p[FCL_HEADS];
UNROLL
    for (int h = 0; h < n_h; h++) p[h] = (float16)(0.0f);
    for (int i = 0; i < whole; i += 16) {
        float16 key = load_kv(kind, a, a_scales, v->key_first + i);
UNROLL
        for (int h = 0; h < n_h; h++) p[h] = add16(p[h], mul16(vload16(0, v->q[h] + i), key));
    }
    int rope_whole = whole == n ? rope / 16 * 16 : 0;
    for (int i = 0; i < rope_whole; i += 16) {
        float16 key = load_kv(op->kv.b.kind, b, b_scales, i);
UNROLL
        for (int h = 0; h < n_h; h++) p[h] = add16(p[h], mul16(vload16(0, v->rope_q[h] + i), key));
    }
    for (int h = 0; h < n_h; h++) {
        float16 sum = p[h];
        if (whole < n) sum = dot_rest(sum, kind, a, a_scales, v->key_first, v->q[h], 0, whole, n);
        if (rope_whole < rope)
            sum = dot_rest(sum, op->kv.b.kind, b, b_scales, 0, v->rope_q[h], n, rope_whole, rope);
        scores[h][j] = mul1(tree16(sum), op->scale);
    }
}

/* Scores -> p, with the new maximum and sum of one head; returns the factor of what was summed before. */
INLINE float soften(float *scores, int n, float *m, float *l, int first_page) {
    float most = *m, factor = 1.0f;
    for (int j = 0; j < n; j++) most = scores[j] > most ? scores[j] : most;
    if (!first_page) {
        factor = exp1(add1(*m, -most));
        *l = mul1(*l, factor);
    }
    float16 sum = (float16)(0.0f);
    for (int j = 0; j < n; j += 16) {
        float16 p = exp16(add16(vload16(0, scores + j), (float16)(-most)));
        vstore16(p, 0, scores + j);
        sum = select(sum, add16(sum, p), first_lanes(n - j));
    }
    *l = add1(*l, tree16(sum));
    *m = most;
    return factor;
}

/* out = out * factor + p * values, sixteen columns at a time through the n positions of a page. */
INLINE void add_values(global const fcl_attend *op, const heads_view *v, global const uchar *page, int n, int n_h,
                       const float (*p)[FCL_PAGE], const float *factor, int first_page) {
    global const fcl_kv_part *part = v->value_is_b ? &op->kv.b : &op->kv.a;
    int kind = part->kind, offset = part->offset, scales = part->scales;
    long row_bytes = op->kv.row_bytes;
    for (int i = 0; i < op->head_dim; i += 16) {
        int width = min(16, op->head_dim - i);
        float16 acc[FCL_HEADS];
UNROLL
        for (int h = 0; h < n_h; h++)
            acc[h] = first_page ? (float16)(0.0f) : mul16(load_x(v->out[h] + i, width), (float16)(factor[h]));
        for (int j = 0; j < n; j++) {
            global const uchar *row = page + j * row_bytes;
            global const float *s = (global const float *)(row + scales);
            float16 value = width == 16 ? load_kv(kind, row + offset, s, v->key_first + i)
                                        : load_kv_end(kind, row + offset, s, v->key_first + i, width);
UNROLL
            for (int h = 0; h < n_h; h++) acc[h] = add16(acc[h], mul16((float16)(p[h][j]), value));
        }
        for (int h = 0; h < v->n; h++) store_tile(acc[h], width, v->out[h] + i);
    }
}

INLINE void attend(global const fcl_attend *op, const heads_view *v, global const uchar *pool, int n_h) {
    float m[FCL_HEADS], l[FCL_HEADS], factor[FCL_HEADS], scores[FCL_HEADS][FCL_PAGE];
    for (int h = 0; h < n_h; h++) m[h] = -INFINITY, l[h] = 0.0f;
    for (int first = 0; first <= v->pos; first += FCL_PAGE) {
        int n = min(FCL_PAGE, v->pos - first + 1);
        global const uchar *page = pool + v->pages[first / FCL_PAGE] * op->kv.page_bytes + op->kv.layer_offset;
        for (int h = 0; h < n_h; h++)
            for (int j = n / 16 * 16; j < FCL_PAGE; j++) scores[h][j] = 0.0f; /* lanes beyond n are computed, not used */
        for (int j = 0; j < n; j++) score_row(op, v, page + j * op->kv.row_bytes, n_h, scores, j);
        for (int h = 0; h < n_h; h++) factor[h] = soften(scores[h], n, &m[h], &l[h], first == 0);
        add_values(op, v, page, n, n_h, (const float(*)[FCL_PAGE])scores, factor, first == 0);
    }
    for (int h = 0; h < v->n; h++)
        for (int i = 0; i < op->head_dim; i += 16) {
            int width = min(16, op->head_dim - i);
            store_tile(div16(load_x(v->out[h] + i, width), (float16)(l[h])), width, v->out[h] + i);
        }
}

INLINE void attend_any(global const fcl_attend *op, const heads_view *v, global const uchar *pool) {
    if (v->n == 1)
        attend(op, v, pool, 1);
    else if (v->n == 2)
        attend(op, v, pool, 2);
    else
        attend(op, v, pool, FCL_HEADS);
}

INLINE void heads_of(heads_view *v, global const uchar *params, global const fcl_attend *op, int n, long t) {
    global const fcl_place *place = (global const fcl_place *)(params + op->places) + t;
    v->n = n;
    v->pos = place->pos;
    v->pages = (global const int *)(params + place->pages);
}

/* [head groups, kv_heads, rows] */
kernel void fathom_gqa(global const uchar *params, long at, global const float *q, global const uchar *pool,
                       global float *y) {
    global const fcl_attend *op = (global const fcl_attend *)(params + at);
    int group = op->heads / op->kv_heads, in_group = (int)get_global_id(0) * FCL_HEADS, kv_head = (int)get_global_id(1);
    long t = get_global_id(2);
    heads_view v;
    heads_of(&v, params, op, min(FCL_HEADS, group - in_group), t);
    v.key_first = kv_head * op->head_dim;
    v.value_is_b = 1;
    for (int i = 0; i < FCL_HEADS; i++) {
        long at_head = (long)(kv_head * group + in_group + min(i, v.n - 1)) * op->head_dim;
        v.q[i] = v.rope_q[i] = q + op->q + t * op->ldq + at_head;
        v.out[i] = y + op->y + t * op->ldy + at_head;
    }
    attend_any(op, &v, pool);
}

/* [head groups, 1, rows]: latent queries and outputs [rows, heads, rank] */
kernel void fathom_mla(global const uchar *params, long at, global const float *q, global const float *latent,
                       global const uchar *pool, global float *out) {
    global const fcl_attend *op = (global const fcl_attend *)(params + at);
    int first = (int)get_global_id(0) * FCL_HEADS;
    long t = get_global_id(2);
    heads_view v;
    heads_of(&v, params, op, min(FCL_HEADS, op->heads - first), t);
    v.key_first = 0;
    v.value_is_b = 0;
    for (int i = 0; i < FCL_HEADS; i++) {
        long head = first + min(i, v.n - 1);
        v.q[i] = latent + (t * op->heads + head) * op->head_dim;
        v.rope_q[i] = q + op->q + t * op->ldq + head * (op->nope + op->rope) + op->nope;
        v.out[i] = out + (t * op->heads + head) * op->head_dim;
    }
    attend_any(op, &v, pool);
}

/* Columns i .. i + 15 of x . W, where element d of x goes to partial d mod 16, for n_x rows. */
INLINE void absorb(const weight_view *w, long row, int i, int n_in, global const float *const *x, int n_x,
                   float16 *out) {
    float16 p[FCL_TOGETHER][16];
    for (int lane = 0; lane < 16; lane++) {
        float16 sum[FCL_TOGETHER];
UNROLL
        for (int t = 0; t < n_x; t++) sum[t] = (float16)(0.0f);
        for (int d = lane; d < n_in; d += 16) {
            float16 v = load_16(w, row + d, i);
UNROLL
            for (int t = 0; t < n_x; t++) sum[t] = add16(sum[t], mul16((float16)(x[t][d]), v));
        }
UNROLL
        for (int t = 0; t < n_x; t++) p[t][lane] = sum[t];
    }
UNROLL
    for (int t = 0; t < n_x; t++) {
        for (int level = 8; level; level /= 2)
            for (int lane = 0; lane < level; lane++) p[t][lane] = add16(p[t][lane], p[t][lane + level]);
        out[t] = p[t][0];
    }
}

/* [chunks of 16 columns, heads, groups of 4 rows] */
kernel void fathom_absorb(global const uchar *params, long at, WINDOW_ARGS, global const float *x, global float *y) {
    global const fcl_project *op = (global const fcl_project *)(params + at);
    int i = (int)get_global_id(0) * 16, head = (int)get_global_id(1), t = (int)get_global_id(2) * FCL_TOGETHER;
    weight_view w;
    view_of(&w, &op->w, WINDOWS);
    int n_x = min(FCL_TOGETHER, op->rows - t);
    global const float *rows[FCL_TOGETHER];
    float16 out[FCL_TOGETHER];
    for (int k = 0; k < FCL_TOGETHER; k++)
        rows[k] = x + op->x + (long)min(t + k, op->rows - 1) * op->ldx + head * op->x_head;
    if (n_x == 1)
        absorb(&w, op->first + head * op->stride, i, op->n_in, rows, 1, out);
    else
        absorb(&w, op->first + head * op->stride, i, op->n_in, rows, FCL_TOGETHER, out);
    for (int k = 0; k < n_x; k++)
        store_tile(out[k], min(16, op->n_out - i), y + op->y + (t + k) * op->ldy + head * op->y_head + i);
}

/* Outputs that are rows of the weight: [tiles of 16 outputs, heads, chunks of FCL_ROWS rows] */
kernel void fathom_project(global const uchar *params, long at, WINDOW_ARGS, global const float *x, global float *y) {
    global const fcl_project *op = (global const fcl_project *)(params + at);
    int first = (int)get_global_id(0) * FCL_TILE, n = min(FCL_TILE, op->n_out - first);
    long head = get_global_id(1);
    weight_view w;
    view_of(&w, &op->w, WINDOWS);
    int t = (int)get_global_id(2) * FCL_ROWS, end = min(t + FCL_ROWS, op->rows);
    while (t < end) {
        int n_x = min(FCL_TOGETHER, end - t);
        rows_view in;
        float16 out[FCL_TOGETHER];
        for (int k = 0; k < FCL_TOGETHER; k++)
            in.x[k] = in.scales[k] = x + op->x + (long)min(t + k, end - 1) * op->ldx + head * op->x_head;
        product(&w, op->first + head * op->stride + first, n, &in, n_x, out);
        for (int k = 0; k < n_x; k++)
            store_tile(out[k], n, y + op->y + (t + k) * op->ldy + head * op->y_head + first);
        t += n_x;
    }
}
