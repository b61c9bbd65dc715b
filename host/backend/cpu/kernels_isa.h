/* The tables that kernels_<instruction set>.c define. */
#ifndef FA_BACKEND_CPU_KERNELS_ISA_H
#define FA_BACKEND_CPU_KERNELS_ISA_H

#include "host/backend/cpu/kernels.h"

/* The functions of simd_*.h, as this file's vectors compiled them. */
#define SIMD_KERNELS                                                                                                  \
    {                                                                                                                 \
        .quantise = quantise, .codes = codes, .decode = decode, .dot = dot, .tree = tree, .columns = columns,         \
        .softmax = softmax, .values = values, .gated = gated, .square_sum = square_sum, .scaled = scaled, .add = add, \
        .find_nan = find_nan                                                                                          \
    }

extern const fa_cpu_kernels fa_cpu_kernels_portable, fa_cpu_kernels_avx2, fa_cpu_kernels_avx512,
    fa_cpu_kernels_avx512bf16;

/* Whether this CPU's VDPBF16PS rounds as rule 1 of docs/numerics.md does: makers say so of Intel's and AMD's, but an instruction that
 * adds both products at once would be one too. To be asked only where the CPU has it. */
bool fa_cpu_bf16_adds_by_rule_1(void);

#endif
