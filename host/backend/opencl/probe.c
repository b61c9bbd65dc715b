/* Before a program is trusted: a few thousand results that differ wherever an implementation rounds, fuses, flushes or divides
 * otherwise than docs/numerics.md says. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "host/backend/opencl/internal.h"
#include "host/backend/scalar.h"
#include "host/base/threads.h"
#include "host/format/fp8.h"

enum { RESULTS = 9, VALUES = 1024 };

static const char *const result_names[RESULTS] = {
    "multiplication",  "addition",    "division",       "square root",  "scalar multiplication",
    "scalar addition", "exponential", "no contraction", "FP8 products",
};

/* Bit patterns whose products, sums and quotients lie at the edges: powers of two around 2^-126, values beside them, zeros. */
static float edge(uint32_t *state) {
    static const uint32_t special[] = {0,           0x80000000u, 1,           0x007FFFFFu, 0x00800000u, 0x00800001u,
                                       0x00FFFFFFu, 0x3F7FFFFFu, 0x3F800000u, 0x3F800001u, 0x3F000000u, 0x3EFFFFFFu,
                                       0x7F7FFFFFu, 0x7F800000u, 0xBF7FFFFFu, 0x80800000u};
    *state = *state * 1664525u + 1013904223u;
    uint32_t r = *state;
    if (r >> 30 == 0) return fa_from_bits(special[r >> 8 & 15]);
    uint32_t exponent = r >> 30 == 1 ? 60 + (r >> 8 & 7) : 63 + (r >> 8 & 127); /* products near 2^-126; sums */
    *state = *state * 1664525u + 1013904223u;
    return fa_from_bits((r & 0x80000000u) | exponent << 23 | *state >> 9);
}

static float code_sum(int lane, float x) {
    int32_t sum = 0;
    for (int c = lane; c < 256; c += 16) {
        if ((c & 0x7F) == 0x7F) continue;
        const float pair[] = {fa_e4m3_decode((uint8_t)c), fa_e4m3_decode((uint8_t)(c ^ 0x80))};
        sum += fa_pair_8ths(pair, (const float[]){x, 3 * x});
    }
    return (float)sum;
}

static void expect(const float *a, const float *b, float *want) {
    const volatile float one = 1.0f; /* a compiler may compute exp(-88), which is subnormal, without flushing it */
    unsigned mode = fa_fp_enter();
    for (int i = 0; i < VALUES; i++) {
        float product = a[i] * b[i];
        int group = i / 16 + 1;
        const float row[RESULTS] = {product,
                                    a[i] + b[i],
                                    a[i] / b[i],
                                    sqrtf(fabsf(a[i])),
                                    product,
                                    a[i] + b[i],
                                    fa_exp(a[i]) * one,
                                    product - a[i],
                                    code_sum(i % 16, (float)group / 512)};
        for (int k = 0; k < RESULTS; k++) want[k * VALUES + i] = row[k];
    }
    fa_fp_leave(mode);
}

/* Runs the kernel: a, b -> results. */
static cl_int run(const fa_opencl *o, cl_kernel kernel, float *a, float *b, float *results, const char **call) {
    size_t bytes = VALUES * sizeof(float), global = VALUES / 16, local = 1;
    cl_int n = VALUES, code[3], first = CL_SUCCESS;
    cl_mem in_a = clCreateBuffer(o->context, CL_MEM_READ_ONLY | CL_MEM_COPY_HOST_PTR, bytes, a, &code[0]);
    cl_mem in_b = clCreateBuffer(o->context, CL_MEM_READ_ONLY | CL_MEM_COPY_HOST_PTR, bytes, b, &code[1]);
    cl_mem out = clCreateBuffer(o->context, CL_MEM_READ_WRITE, RESULTS * bytes, NULL, &code[2]);
    *call = "clCreateBuffer";
    for (int i = 0; i < 3 && !first; i++) first = code[i];
    if (!first) {
        *call = "clSetKernelArg";
        const cl_mem args[] = {in_a, in_b, out};
        for (cl_uint i = 0; i < 3 && !first; i++) first = clSetKernelArg(kernel, i, sizeof args[i], &args[i]);
        if (!first) first = clSetKernelArg(kernel, 3, sizeof n, &n);
    }
    if (!first) {
        *call = "clEnqueueNDRangeKernel";
        first = clEnqueueNDRangeKernel(o->queue, kernel, 1, NULL, &global, &local, 0, NULL, NULL);
    }
    if (!first) {
        *call = "clFinish";
        first = clFinish(o->queue);
    }
    if (!first) {
        *call = "clEnqueueReadBuffer";
        first = clEnqueueReadBuffer(o->queue, out, CL_TRUE, 0, RESULTS * bytes, results, 0, NULL, NULL);
    }
    if (in_a) clReleaseMemObject(in_a);
    if (in_b) clReleaseMemObject(in_b);
    if (out) clReleaseMemObject(out);
    return first;
}

static fa_status compare(const fa_opencl *o, const float *a, const float *b, const float *got, const float *want,
                         fa_error *e) {
    for (int k = 0; k < RESULTS; k++)
        for (int i = 0; i < VALUES; i++) {
            float g = got[k * VALUES + i], w = want[k * VALUES + i];
            if (fa_bits(g) == fa_bits(w) || (isnan(g) && isnan(w))) continue;
            return fa_fail(e, FA_EUNSUPPORTED,
                           "opencl: %s computes otherwise than fathom needs: %s of %a and %a gives %a, expected %a",
                           o->device.name, result_names[k], (double)a[i], (double)b[i], (double)g, (double)w);
        }
    return FA_OK;
}

fa_status ocl_probe(const fa_opencl *o, cl_program program, fa_error *e) {
    cl_int code;
    cl_kernel kernel = clCreateKernel(program, "fathom_probe", &code);
    if (!kernel) return ocl_fail(&o->device, "clCreateKernel", code, e);
    float *memory = calloc((2 + 2 * RESULTS) * VALUES, sizeof *memory), *a = memory, *b = a + VALUES;
    float *got = b + VALUES, *want = got + RESULTS * VALUES;
    fa_status s = memory ? FA_OK : fa_fail(e, FA_ENOMEM, "opencl: out of memory");
    if (!s) {
        uint32_t state = 1;
        const char *call;
        for (int i = 0; i < VALUES; i++) a[i] = edge(&state), b[i] = edge(&state);
        expect(a, b, want);
        code = run(o, kernel, a, b, got, &call);
        s = code ? ocl_fail(&o->device, call, code, e) : compare(o, a, b, got, want, e);
    }
    free(memory);
    clReleaseKernel(kernel);
    return s;
}
