/* What the host compares with its own arithmetic before it trusts a device: [lanes of 16]. results: PROBES rows of n values. */
kernel void fathom_probe(global const float *a, global const float *b, global float *results, int n) {
    int i = (int)get_global_id(0) * 16;
    float16 x = vload16(0, a + i), y = vload16(0, b + i);
    float quotients[16], roots[16], xs[16], ys[16];
    vstore16(x, 0, xs);
    vstore16(y, 0, ys);
    for (int j = 0; j < 16; j++) {
        quotients[j] = div1(xs[j], ys[j]);
        roots[j] = sqrt1(fabs(xs[j]));
        results[4 * n + i + j] = mul1(xs[j], ys[j]);
        results[5 * n + i + j] = add1(xs[j], ys[j]);
    }
    vstore16(mul16(x, y), 0, results + i);
    vstore16(add16(x, y), 0, results + n + i);
    vstore16(vload16(0, quotients), 0, results + 2 * n + i);
    vstore16(vload16(0, roots), 0, results + 3 * n + i);
    vstore16(exp16(x), 0, results + 6 * n + i);
    vstore16(add16(mul16(x, y), -x), 0, results + 7 * n + i); /* not to be fused */
    uint16 sums = 0u;
    for (int c = 0; c < 256; c += 16) { /* all codes times a few values of codes */
        int16 codes = (int16)(c) + (int16)(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
        int16 used = (codes & 0x7F) != 0x7F;
        code_pairs w = {(codes & used) << 24 >> 24, ((codes ^ 0x80) & used) << 24 >> 24};
        float16 factor = (float16)((float)(i / 16 + 1) * 0x1p-9f * 0x1p118f);
        sums += pairs16(w, factor, factor * 3.0f) - as_uint(ROUNDER);
    }
    vstore16(convert_float16(as_int16(sums)), 0, results + 8 * n + i);
}
