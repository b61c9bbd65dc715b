/* What the blocks of hls/rtl take of an UltraScale+ fabric. Written by hls/rtl/counts.py with Yosys 0.23:
 * synth_xilinx -family xcup -flatten -abc9 -nowidelut -noiopad -noclkbuf
 * LUTs of any width, shift registers and inverters count as LUTs. README.md says what follows from these and what not. */
#ifndef HLS_RTL_COUNTS_H
#define HLS_RTL_COUNTS_H

enum {
    /* fp8_decode, per operand code: a weight's serves all rows, an activation's all ports */
    HLS_RTL_DECODE_LUT = 10,
    HLS_RTL_DECODE_FF = 9,
    /* fp8_product, per lane */
    HLS_RTL_PRODUCT_LUT = 68,
    HLS_RTL_PRODUCT_FF = 47,
    /* fp8_sum, per dot unit of 32 lanes */
    HLS_RTL_SUM_32_LUT = 712,
    HLS_RTL_SUM_32_FF = 755,
    /* fp8_sum, per dot unit of 64 lanes */
    HLS_RTL_SUM_64_LUT = 1451,
    HLS_RTL_SUM_64_FF = 1538,
    /* fp8_accumulator, per dot unit */
    HLS_RTL_ACCUMULATOR_LUT = 29,
    HLS_RTL_ACCUMULATOR_FF = 58,
    /* fp8_to_fp32, per dot unit */
    HLS_RTL_TO_FP32_LUT = 141,
    HLS_RTL_TO_FP32_FF = 98,
    /* fp8_decode_dsp, per operand code, for products in DSPs */
    HLS_RTL_DECODE_DSP_LUT = 28,
    HLS_RTL_DECODE_DSP_FF = 19,
    /* fp8_product_dsp, per lane, for products in DSPs */
    HLS_RTL_PRODUCT_DSP_LUT = 30,
    HLS_RTL_PRODUCT_DSP_FF = 25,
    HLS_RTL_PRODUCT_DSP_DSP = 1,
};

#endif
