#include "host/model/codes.h"

#include <stdatomic.h>
#include <string.h>

enum { RUN_BYTES = 4096, GRAIN = 256 /* runs a worker takes at once: 1 MiB */ };

/* Eight codes are looked at as one word: those whose exponent (E4M3: exponent and mantissa) bits, `mask`, are all set carry
 * into the sign's place when the lowest of these bits, `unit`, is added. */
typedef struct scan {
    const uint8_t *codes;
    int64_t n;
    uint64_t mask, unit;
    atomic_bool found;
} scan;

static uint64_t carries(const scan *s, const uint8_t *codes, int64_t words) {
    uint64_t all = 0;
    for (int64_t i = 0; i < words; i++) {
        uint64_t w;
        memcpy(&w, codes + i * 8, 8);
        all |= (w & s->mask) + s->unit;
    }
    return all;
}

static void scan_runs(void *ctx, int64_t begin, int64_t end, int thread) {
    scan *s = ctx;
    (void)thread;
    const uint64_t signs = 0x8080808080808080u;
    uint64_t all = 0;
    for (int64_t r = begin; r < end; r++) {
        const uint8_t *codes = s->codes + r * RUN_BYTES;
        int64_t n = s->n - r * RUN_BYTES;
        if (n >= RUN_BYTES) { /* a constant count lets the compiler use vectors */
            all |= carries(s, codes, RUN_BYTES / 8);
        } else {
            uint8_t last[RUN_BYTES] = {0};
            memcpy(last, codes, (size_t)n);
            all |= carries(s, last, RUN_BYTES / 8);
        }
    }
    if (all & signs) atomic_store(&s->found, true);
}

bool fa_codes_finite(fa_team *team, fa_dtype type, const void *codes, int64_t n) {
    bool e4m3 = type == FA_F8_E4M3;
    scan s = {.codes = codes,
              .n = n,
              .mask = e4m3 ? 0x7f7f7f7f7f7f7f7fu : 0x7c7c7c7c7c7c7c7cu,
              .unit = e4m3 ? 0x0101010101010101u : 0x0404040404040404u};
    fa_team_run(team, (n + RUN_BYTES - 1) / RUN_BYTES, GRAIN, scan_runs, &s);
    return !atomic_load(&s.found);
}
