/* The Verilog of hls/rtl as Verilator runs it (bench.v), clocked from C. rtl_open is NULL in a build without Verilator. */
#ifndef FA_TESTS_RTL_MODEL_H
#define FA_TESTS_RTL_MODEL_H

#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum { RTL_PORTS = 2, RTL_ROWS = 2, RTL_LANES = 32 }; /* the largest of both units */

/* The units of bench.v: PORTS weight rows by ROWS activation rows, LANES codes of each a cycle. */
typedef enum rtl_unit { RTL_LUT, RTL_DSP } rtl_unit;
typedef struct rtl_shape {
    int ports, rows, lanes;
} rtl_shape;
static const rtl_shape rtl_shapes[] = {[RTL_LUT] = {2, 2, 16}, [RTL_DSP] = {1, 2, 32}};

typedef struct rtl_model rtl_model;
rtl_model *rtl_open(void) __attribute__((weak));
void rtl_close(rtl_model *m) __attribute__((weak));

/* One clock of one unit: codes w[ports][lanes] and x[rows][lanes] go in. True when sums come out: out[ports][rows] FP32 words. */
bool rtl_unit_clock(rtl_model *m, rtl_unit unit, const uint8_t *w, const uint8_t *x, bool last, uint32_t *out)
    __attribute__((weak));

/* The conversion's answer to `sum`, three clocks later. */
uint32_t rtl_convert(rtl_model *m, int32_t sum) __attribute__((weak));

#ifdef __cplusplus
}
#endif

#endif
