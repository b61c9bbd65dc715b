#include "host/text/normalize.h"

#include "host/text/unicode.h"

/* Copies the old bytes [begin, end). */
static fa_status copy(const fa_text *from, size_t begin, size_t end, fa_range_map *map, fa_text *to) {
    size_t at = to->n;
    fa_status s = fa_text_append(to, from->data + begin, end - begin);
    return s ? s : fa_range_map_step(map, begin, end, at, to->n);
}

static fa_status prepend(const fa_normalizer *step, const fa_text *from, fa_range_map *map, fa_text *to) {
    fa_status s = from->n ? fa_text_append(to, step->content, step->content_bytes) : FA_OK;
    return s ? s : copy(from, 0, from->n, map, to);
}

static fa_status replace(const fa_normalizer *step, fa_matcher *m, const fa_text *from, fa_range_map *map, fa_text *to,
                         fa_error *e) {
    fa_search search;
    fa_search_begin(&search, step->pattern, m, from->data, from->n);
    size_t done = 0;
    fa_text_range found;
    fa_status s;
    while (!(s = fa_search_next(&search, &found, e)) && search.found) {
        s = copy(from, done, found.begin, map, to);
        size_t at = to->n;
        if (!s) s = fa_text_append(to, step->content, step->content_bytes);
        if (!s) s = fa_range_map_step(map, found.begin, found.end, at, to->n);
        if (s) return s;
        done = found.end;
    }
    return s ? s : copy(from, done, from->n, map, to);
}

static fa_status run(const fa_normalizer *step, fa_matcher *m, const fa_text *from, fa_range_map *map, fa_text *to,
                     fa_error *e) {
    switch (step->kind) {
    case FA_NORMALIZE_NFC: return fa_nfc(from->data, from->n, map, to);
    case FA_NORMALIZE_PREPEND: return prepend(step, from, map, to);
    default: return replace(step, m, from, map, to, e);
    }
}

fa_status fa_normalize(const fa_normalizer *steps, size_t n, fa_matcher *m, fa_text *text, fa_text *spare,
                       fa_ranges *literal, fa_error *e) {
    fa_ranges moved = {0};
    fa_status s = FA_OK;
    for (size_t i = 0; i < n && !s; i++) {
        spare->n = moved.n = 0;
        fa_range_map map = {.in = literal->data, .n = literal->n, .out = &moved};
        s = run(&steps[i], m, text, &map, spare, e);
        fa_text t = *text;
        *text = *spare;
        *spare = t;
        fa_ranges r = *literal;
        *literal = moved;
        moved = r;
    }
    fa_ranges_free(&moved);
    return s;
}
