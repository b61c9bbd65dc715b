#include "tests/lib/conformance_cache.h"

#include <math.h>
#include <string.h>

#include "host/format/fp8.h"

typedef struct preset {
    const char *name;
    int rows, sequences; /* row t belongs to sequence t % sequences */
    int pos[10];         /* of the first rows; with `step`, row t is at pos[0] + t */
    bool step;
} preset;

static const preset presets[CONF_POSITION_KINDS] = {
    [CONF_FIRST] = {"first", 1, 1, {0}, false},
    [CONF_EDGES] = {"edges", 9, 3, {62, 63, 64, 65, 126, 127, 128, 129, 1}, false},
    [CONF_PREFILL] = {"prefill", 17, 1, {0}, true},
    [CONF_CHUNK] = {"chunk", 64, 1, {30}, true},
    [CONF_MIXED] = {"mixed", 7, 7, {5, 700, 63, 64, 130, 0, 200}, false},
    [CONF_LONG] = {"long", 2, 2, {3001, 4159}, false},
    [CONF_LONG_BATCH] = {"long batch", 5, 5, {511, 640, 333, 1000, 800}, false},
};

const char *conf_positions_name(conf_positions p) {
    return presets[p].name;
}

static int position(const preset *p, int row) {
    return p->step ? p->pos[0] + row : p->pos[row];
}

/* 0 .. n-1 in random order. */
static int32_t *shuffled(fa_arena *a, check_rng *rng, int n) {
    int32_t *list = conf_alloc(a, (size_t)n, sizeof *list);
    for (int i = 0; i < n; i++) {
        int k = (int)(check_u64(rng) % (uint64_t)(i + 1));
        list[i] = list[k];
        list[k] = i;
    }
    return list;
}

static void fill_part(const fa_kv_part *part, uint8_t *row, check_rng *rng, float factor) {
    uint8_t *codes = row + part->offset_bytes;
    for (int32_t i = 0; i < part->n; i++) {
        float x = check_normal(rng) * factor;
        uint16_t half = fa_bf16_encode(x);
        if (part->type == FA_F32)
            memcpy(codes + 4 * i, &x, 4);
        else if (part->type == FA_BF16)
            memcpy(codes + 2 * i, &half, 2);
        else
            codes[i] = fa_e4m3_encode(check_normal(rng) * 100.0f);
    }
    for (int32_t i = 0; part->type == FA_F8_E4M3 && i < part->n; i += FA_BLOCK) {
        float scale = factor * (0.5f + (float)check_uniform(rng)) / 100.0f;
        memcpy(row + part->scales_offset + i / FA_BLOCK * 4, &scale, 4);
    }
}

/* Magnitude of the row at `pos` of a sequence. */
static float row_factor(check_rng *rng, conf_values values, bool last_sequence, int pos) {
    if (values == CONF_NORMAL) return 1.0f;
    if (values == CONF_TINY) return pos % 3 == 0 ? 0x1p-126f : pos % 3 == 1 ? 0x1p-123f : 0x1p-120f;
    if (last_sequence && pos == 2) return NAN;
    if (last_sequence && pos == 3) return INFINITY;
    float factors[] = {1.0f, 1e-39f, 1e-20f, 0.0f, 30.0f};
    return factors[check_u64(rng) % 5];
}

conf_cache conf_make_cache(conf_data *d, fa_arena *a, check_rng *rng, fa_kv_layout layout, int32_t layer,
                           conf_positions positions, conf_values values) {
    const preset *p = &presets[positions];
    conf_cache c = {.layout = layout, .layer = layer};
    int pages_of_sequence = 0;
    for (int t = 0; t < p->rows; t++)
        if (position(p, t) / FA_PAGE_POSITIONS + 1 > pages_of_sequence)
            pages_of_sequence = position(p, t) / FA_PAGE_POSITIONS + 1;
    int n_pages = pages_of_sequence * p->sequences + 2;
    int32_t *pages = shuffled(a, rng, n_pages);
    uint8_t *pool = conf_alloc(a, (size_t)n_pages, (size_t)layout.page_bytes);
    memset(pool, 0xff, (size_t)n_pages * (size_t)layout.page_bytes); /* NaN in every type */
    c.place = conf_alloc(a, (size_t)p->rows, sizeof *c.place);
    for (int t = 0; t < p->rows; t++)
        c.place[t] = (fa_place){position(p, t), pages + t % p->sequences * pages_of_sequence};
    for (int s = 0; s < p->sequences; s++)
        for (int pos = 0; pos < pages_of_sequence * FA_PAGE_POSITIONS; pos++) {
            int64_t page = pages[s * pages_of_sequence + pos / FA_PAGE_POSITIONS];
            uint8_t *row = pool + page * layout.page_bytes + layer * layout.layer_bytes +
                           (int64_t)(pos % FA_PAGE_POSITIONS) * layout.row_bytes;
            int seen = -1; /* the last position that a row of this sequence sees */
            for (int t = s; t < p->rows; t += p->sequences) seen = position(p, t) > seen ? position(p, t) : seen;
            if (pos > seen) continue;
            float factor = row_factor(rng, values, p->sequences > 1 && s == p->sequences - 1, pos);
            fill_part(&layout.a, row, rng, factor);
            fill_part(&layout.b, row, rng, factor);
        }
    d->rows = p->rows;
    d->pool_bytes = pool;
    d->pool_size = (size_t)n_pages * (size_t)layout.page_bytes;
    return c;
}

void conf_places(const conf_cache *c, const int *rows, int n, fa_place *out) {
    for (int t = 0; t < n; t++) out[t] = c->place[rows[t]];
}
