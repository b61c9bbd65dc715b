#include "host/base/cpu.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#if defined(__x86_64__)
#include <cpuid.h>
#endif

static const char *const isa_names[FA_ISA_COUNT] = {"portable", "avx2", "avx512", "avx512bf16"};

#if defined(__x86_64__)
/* Not a name that every compiler's __builtin_cpu_supports knows. */
static int has_f16c(void) {
    unsigned a, b, c, d;
    return __get_cpuid(1, &a, &b, &c, &d) && (c & bit_F16C);
}
#endif

fa_isa fa_isa_best(void) {
#if defined(__x86_64__)
    __builtin_cpu_init();
    if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma") || !has_f16c()) return FA_ISA_PORTABLE;
    if (!__builtin_cpu_supports("avx512f") || !__builtin_cpu_supports("avx512bw") ||
        !__builtin_cpu_supports("avx512dq") || !__builtin_cpu_supports("avx512vl"))
        return FA_ISA_AVX2;
    if (!__builtin_cpu_supports("avx512bf16") || !__builtin_cpu_supports("avx512vbmi")) return FA_ISA_AVX512;
    return FA_ISA_AVX512BF16;
#else
    return FA_ISA_PORTABLE;
#endif
}

fa_status fa_isa_select(fa_isa *isa, fa_error *e) {
    fa_isa best = fa_isa_best();
    const char *want = getenv("FATHOM_ISA");
    *isa = best;
    if (!want || !*want) return FA_OK;
    for (int i = 0; i < FA_ISA_COUNT; i++) {
        if (strcmp(want, isa_names[i]) != 0) continue;
        if (i > (int)best)
            return fa_fail(e, FA_EUNSUPPORTED, "FATHOM_ISA=%s: this CPU offers no more than %s", want, isa_names[best]);
        *isa = (fa_isa)i;
        return FA_OK;
    }
    return fa_fail(e, FA_EINVAL, "FATHOM_ISA=%s: expected portable, avx2, avx512 or avx512bf16", want);
}

const char *fa_isa_name(fa_isa isa) {
    return (unsigned)isa < FA_ISA_COUNT ? isa_names[isa] : "unknown";
}

void fa_cpu_name(char *text, int size) {
    snprintf(text, (size_t)size, "unknown");
#if defined(__x86_64__)
    unsigned r[12];
    if (__get_cpuid_max(0x80000000u, NULL) < 0x80000004u) return;
    for (unsigned i = 0; i < 3; i++)
        __get_cpuid(0x80000002u + i, &r[4 * i], &r[4 * i + 1], &r[4 * i + 2], &r[4 * i + 3]);
    char brand[49] = {0};
    memcpy(brand, r, 48);
    const char *start = brand + strspn(brand, " ");
    snprintf(text, (size_t)size, "%s", start);
#endif
}
