/* Ops of one row at a time: quantise, gated, rmsnorm, rope, add, store. */

/* Activation blocks: [blocks, rows]. The values of a partial block are followed by zeros. */
kernel void fathom_quantise(global const uchar *params, long at, global const float *x, global float *values,
                            global float *scales) {
    global const fcl_quantise *op = (global const fcl_quantise *)(params + at);
    int block = (int)get_global_id(0), first = block * FCL_BLOCK, n = min(FCL_BLOCK, op->n - first);
    long t = get_global_id(1);
    x += op->x + t * op->ldx + first;
    values += t * op->ldv + first;
    float scale = block_scale(largest_bits(x, n));
    scales[t * op->lds + block] = scale;
    for (int i = 0; i < FCL_BLOCK; i += 16) {
        float lanes[16];
        float16 v = (float16)(0.0f);
        if (i < n && !isnan(scale)) v = round_to_code(div16(load_x(x + i, n - i), (float16)(scale))) * 0x1p118f;
        global float *evens = values + i / 32 * 32 + i % 32 / 2;
        vstore16(v, 0, lanes);
        for (int j = 0; j < 8; j++) {
            evens[j] = lanes[2 * j];
            evens[16 + j] = lanes[2 * j + 1];
        }
    }
}

/* gate = silu(gate) * up: [pieces of 256, rows] */
kernel void fathom_gated(global const uchar *params, long at, global float *gates, global const float *ups) {
    global const fcl_gated *op = (global const fcl_gated *)(params + at);
    long row = get_global_id(1) * op->ld;
    int first = (int)get_global_id(0) * 256, end = min(first + 256, op->n);
    for (int i = first; i < end; i += 16) {
        float16 gate = load_x(gates + row + i, end - i), up = load_x(ups + row + i, end - i);
        store_tile(mul16(silu16(gate), up), end - i, gates + row + i);
    }
}

kernel void fathom_rmsnorm(global const uchar *params, long at, WINDOW_ARGS, global const float *x, global float *y) {
    global const fcl_rmsnorm *op = (global const fcl_rmsnorm *)(params + at);
    long t = get_global_id(0), row = op->index < 0 ? t : ((global const int *)(params + op->index))[t];
    weight_view w;
    view_of(&w, &op->weight, WINDOWS);
    x += op->x + row * op->ldx;
    y += op->y + t * op->ldy;
    float16 p = (float16)(0.0f);
    int i = 0;
    for (; i + 16 <= op->n; i += 16) {
        float16 v = vload16(0, x + i);
        p = add16(p, mul16(v, v));
    }
    if (i < op->n) {
        float16 v = load_x(x + i, op->n - i);
        p = select(p, add16(p, mul16(v, v)), first_lanes(op->n - i));
    }
    float mean = div1(tree16(p), (float)op->n);
    float16 inv = (float16)(div1(1.0f, sqrt1(add1(mean, op->eps))));
    for (i = 0; i < op->n; i += 16) {
        float16 v = mul16(load_16(&w, 0, i), mul16(load_x(x + i, op->n - i), inv));
        store_tile(v, op->n - i, y + i);
    }
}

/* [heads, rows] */
kernel void fathom_rope(global const uchar *params, long at, global float *x, global const float *table) {
    global const fcl_rope *op = (global const fcl_rope *)(params + at);
    long t = get_global_id(1);
    int pairs = op->dims / 2, step = op->interleaved ? 2 : 1, apart = op->interleaved ? 1 : pairs;
    long pos = ((global const fcl_place *)(params + op->places))[t].pos;
    global const float *cosine = table + op->table + pos * op->dims, *sine = cosine + pairs;
    x += op->x + t * op->ldx + op->first + get_global_id(0) * op->stride;
    for (int i = 0; i < pairs; i++) {
        float u = x[i * step], v = x[i * step + apart];
        x[i * step] = add1(mul1(u, cosine[i]), -mul1(v, sine[i]));
        x[i * step + apart] = add1(mul1(v, cosine[i]), mul1(u, sine[i]));
    }
}

/* [pieces of 1024, rows] */
kernel void fathom_add(global const uchar *params, long at, global const float *a, global const float *b,
                       global float *y) {
    global const fcl_add *op = (global const fcl_add *)(params + at);
    long t = get_global_id(1);
    int first = (int)get_global_id(0) * 1024, end = min(first + 1024, op->n);
    a += op->a + t * op->lda;
    b += op->b + t * op->ldb;
    y += op->y + t * op->ldy;
    for (int i = first; i < end; i += 16)
        store_tile(add16(load_x(a + i, end - i), load_x(b + i, end - i)), end - i, y + i);
}

INLINE void store_fp8(global const fcl_kv_part *part, global const float *x, global uchar *row) {
    global uchar *codes = row + part->offset;
    global float *scales = (global float *)(row + part->scales);
    for (int first = 0; first < part->n; first += FCL_BLOCK) {
        int n = min(FCL_BLOCK, part->n - first);
        float scale = block_scale(largest_bits(x + first, n));
        scales[first / FCL_BLOCK] = scale;
        for (int i = 0; i < n; i += 16) {
            float values[16];
            float16 v = (float16)(0.0f);
            if (!isnan(scale)) v = round_to_code(div16(load_x(x + first + i, n - i), (float16)(scale)));
            vstore16(v, 0, values);
            for (int j = 0; j < 16 && i + j < n; j++) codes[first + i + j] = encode1(values[j]);
        }
    }
}

INLINE ushort to_bf16(uint u) {
    return (u & 0x7FFFFFFFu) > 0x7F800000u ? (ushort)0xFFFFu : (ushort)((u + 0x7FFFu + (u >> 16 & 1u)) >> 16);
}

/* [2 parts, rows]; bits are copied, never computed with, but for what fp8 quantises */
kernel void fathom_store(global const uchar *params, long at, global const uint *a, global const uint *b,
                         global uchar *pool) {
    global const fcl_store *op = (global const fcl_store *)(params + at);
    int is_b = (int)get_global_id(0);
    long t = get_global_id(1);
    global const fcl_place *place = (global const fcl_place *)(params + op->places) + t;
    uint pos = (uint)place->pos;
    long page = ((global const int *)(params + place->pages))[pos / FCL_PAGE];
    global uchar *row = pool + page * op->kv.page_bytes + op->kv.layer_offset + pos % FCL_PAGE * op->kv.row_bytes;
    global const fcl_kv_part *part = is_b ? &op->kv.b : &op->kv.a;
    global const uint *x = is_b ? b + op->b + t * op->ldb : a + op->a + t * op->lda;
    if (part->kind == FCL_E4M3)
        store_fp8(part, (global const float *)x, row);
    else if (part->kind == FCL_F32)
        for (int i = 0; i < part->n; i++) ((global uint *)(row + part->offset))[i] = x[i];
    else
        for (int i = 0; i < part->n; i++) ((global ushort *)(row + part->offset))[i] = to_bf16(x[i]);
}
