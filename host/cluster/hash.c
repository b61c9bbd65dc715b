#include "host/cluster/hash.h"

#include <string.h>

enum { SAMPLES = 64, SAMPLE_BYTES = 4096 };

uint64_t fa_hash_model(const fa_tensors *ts) {
    uint64_t h = fa_hash_begin();
    int64_t n = fa_tensors_count(ts), step = n / SAMPLES + 1;
    for (int64_t i = 0; i < n; i++) {
        const fa_tensor *t = fa_tensors_at(ts, i);
        int32_t type = (int32_t)t->type;
        h = fa_hash_add(h, t->name, strlen(t->name) + 1);
        h = fa_hash_add(h, &type, sizeof type);
        h = fa_hash_add(h, t->shape, sizeof t->shape);
        if (i % step == 0) h = fa_hash_add(h, t->data, (size_t)(t->bytes < SAMPLE_BYTES ? t->bytes : SAMPLE_BYTES));
    }
    return h;
}
