#include "host/text/ranges.h"

#include <stdint.h>
#include <stdlib.h>

fa_status fa_ranges_grow(fa_ranges *r) {
    size_t capacity = r->capacity ? r->capacity * 2 : 64;
    if (capacity > SIZE_MAX / sizeof *r->data) return FA_ENOMEM;
    fa_text_range *more = realloc(r->data, capacity * sizeof *more);
    if (!more) return FA_ENOMEM;
    r->data = more;
    r->capacity = capacity;
    return FA_OK;
}

void fa_ranges_free(fa_ranges *r) {
    free(r->data);
    *r = (fa_ranges){0};
}

size_t fa_ranges_after(const fa_text_range *r, size_t n, size_t at) {
    size_t low = 0, high = n;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        if (r[mid].end > at)
            high = mid;
        else
            low = mid + 1;
    }
    return low;
}

bool fa_ranges_overlap(const fa_text_range *r, size_t n, size_t begin, size_t end) {
    size_t i = fa_ranges_after(r, n, begin);
    return i < n && r[i].begin < end;
}

static fa_status join(fa_ranges *out, size_t begin, size_t end) {
    if (out->n && out->data[out->n - 1].end >= begin) {
        out->data[out->n - 1].end = end;
        return FA_OK;
    }
    return fa_ranges_push(out, begin, end);
}

fa_status fa_range_map_step(fa_range_map *m, size_t old_begin, size_t old_end, size_t new_begin, size_t new_end) {
    bool copy = old_end - old_begin == new_end - new_begin;
    while (m->at < m->n && m->in[m->at].end <= old_begin) m->at++;
    for (size_t i = m->at; i < m->n && m->in[i].begin < old_end; i++) {
        size_t begin = m->in[i].begin > old_begin ? m->in[i].begin : old_begin;
        size_t end = m->in[i].end < old_end ? m->in[i].end : old_end;
        if (begin >= end || new_begin == new_end) continue;
        fa_status s = copy ? join(m->out, new_begin + (begin - old_begin), new_begin + (end - old_begin))
                           : join(m->out, new_begin, new_end);
        if (s) return s;
    }
    return FA_OK;
}
