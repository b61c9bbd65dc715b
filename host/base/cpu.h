/* Which instruction set the kernels may use, decided at run time. */
#ifndef FA_BASE_CPU_H
#define FA_BASE_CPU_H

#include "host/base/status.h"

typedef enum fa_isa {
    FA_ISA_PORTABLE = 0, /* plain C */
    FA_ISA_AVX2,         /* AVX2 + FMA + F16C */
    FA_ISA_AVX512,       /* AVX-512 F, BW, DQ, VL, with the above */
    FA_ISA_AVX512BF16,   /* AVX-512 BF16 and VBMI, with the above */
    FA_ISA_COUNT
} fa_isa;

/* The best set of this CPU. */
fa_isa fa_isa_best(void);

/* fa_isa_best, or what FATHOM_ISA=portable|avx2|avx512|avx512bf16 asks for. FA_EINVAL for another word,
 * FA_EUNSUPPORTED for a set that this CPU lacks. */
fa_status fa_isa_select(fa_isa *isa, fa_error *e);

/* "portable", "avx2", "avx512", "avx512bf16"; never NULL. */
const char *fa_isa_name(fa_isa isa);

/* The CPU's own brand string, or "unknown". Writes at most `size` bytes, terminated. */
void fa_cpu_name(char *text, int size);

#endif
