/* FNV-1a of 64 bits (Fowler, Noll, Vo): tells files and placements apart that differ by mistake, not by malice. */
#ifndef FA_CLUSTER_HASH_H
#define FA_CLUSTER_HASH_H

#include "host/format/tensor.h"

static inline uint64_t fa_hash_begin(void) {
    return 0xcbf29ce484222325u;
}

static inline uint64_t fa_hash_add(uint64_t h, const void *data, size_t n) {
    // NOLINTNEXTLINE(clang-analyzer-core.UndefinedBinaryOperatorResult): of arrays the analyser sees the first element alone
    for (const unsigned char *p = data, *end = p + n; p < end; p++) h = (h ^ *p) * 0x100000001b3u;
    return h;
}

/* Of a model: all names, types and shapes, and the first bytes of tensors spread evenly over the files; reading all of R1 would take
 * minutes. */
uint64_t fa_hash_model(const fa_tensors *ts);

#endif
