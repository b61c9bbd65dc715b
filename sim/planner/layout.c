#include "sim/planner/layout.h"

#include <math.h>

/* Scratch of the backend, tables and the loss of whole pages and banks: a guess that the functional simulator's own use (a few MB
 * a board) stays far below. */
static const double usable_share = 0.98;

void fa_lists_of(fa_lists *l, const fa_plan_request *q) {
    fa_plan_layer_ops(&l->dense, q->model, false, q->types);
    if (q->model->experts)
        fa_plan_layer_ops(&l->moe, q->model, true, q->types);
    else
        l->moe = (fa_plan_ops){0};
    fa_plan_head_ops(&l->head, q->model, q->types);
    fa_plan_join_ops(&l->join, q->model, q->types);
}

fa_capacity fa_layout_capacity(const fa_board *b) {
    const fa_bank_kind *first = &b->bank[0], *io = &b->bank[b->build.io_kind];
    double ports = (double)b->build.units * b->build.ports * fa_board_port_banks(b, &b->build);
    fa_capacity c = {.weights = usable_share * fmin(ports, first->count) * (double)first->bank_bytes,
                     .cache = usable_share * io->count * (double)io->bank_bytes};
    c.both = io == first ? c.cache : c.weights + c.cache;
    return c;
}

static bool fits(const fa_capacity *c, double weights, double cache) {
    return weights <= c->weights && cache <= c->cache && weights + cache <= c->both;
}

fa_layer_bytes fa_layout_bytes(const fa_plan_request *q, const fa_lists *l, int32_t ways, int32_t sequences,
                               int32_t resident) {
    const fa_config *c = q->model;
    fa_plan_step s = {.model = c, .board = q->board, .ways = ways, .resident = resident};
    double pages = ceil((double)q->context / FA_PAGE_POSITIONS);
    double cache = sequences * pages * (double)fa_model_cache(c, q->cache).layer_bytes;
    if (c->attention == FA_ATTENTION_GQA) cache /= fmin(ways, c->kv_heads); /* each board keeps its heads' */
    fa_layer_bytes b = {.dense = fa_plan_step_board_bytes(&s, &l->dense),
                        .moe = fa_plan_step_board_bytes(&s, &l->moe),
                        .ends = fa_plan_step_board_bytes(&s, &l->head),
                        .cache = cache};
    if (!q->draft) return b;
    b.ends += fa_plan_step_board_bytes(&s, &l->join) + (c->experts ? b.moe : b.dense);
    b.end_cache = cache;
    return b;
}

/* Fills stage after stage while none takes longer than `most` and it fits; the number of stages, or 0 when a layer alone is too large.
 * The ends belong to the last stage. As each stage takes all that it can, no layout within `most` has fewer. */
static int32_t fill(fa_layout *out, const fa_plan_request *q, const fa_layer_bytes *b, const fa_layer_seconds *t,
                    double most) {
    const fa_config *c = q->model;
    const fa_capacity capacity = fa_layout_capacity(q->board);
    double seconds = 0, weights = 0, cache = 0;
    int32_t stages = 0;
    out->board_bytes = 0;
    for (int32_t i = 0; i < c->layers; i++) {
        bool moe = fa_config_is_moe(c, i), last = i == c->layers - 1;
        double of_layer = (moe ? t->moe : t->dense) + (last ? t->ends : 0);
        double w = (moe ? b->moe : b->dense) + (last ? b->ends : 0), k = b->cache + (last ? b->end_cache : 0);
        if (!fits(&capacity, w, k)) return 0;
        if (i == 0 || seconds + of_layer > most || !fits(&capacity, weights + w, cache + k)) {
            out->first[stages++] = i;
            seconds = i ? t->hop : t->enter;
            weights = cache = 0;
        }
        seconds += of_layer;
        weights += w;
        cache += k;
        out->board_bytes = fmax(out->board_bytes, weights + cache);
    }
    out->first[stages] = c->layers;
    out->stages = stages;
    return stages;
}

/* A single layer may take longer than `most`; fill then says so by many stages, of which one is too slow. */
static double slowest(const fa_layout *l, const fa_config *c, const fa_layer_seconds *t) {
    double most = 0;
    for (int32_t i = 0; i < l->stages; i++) {
        double seconds = (i ? t->hop : t->enter) + (i == l->stages - 1 ? t->ends : 0);
        for (int32_t k = l->first[i]; k < l->first[i + 1]; k++) seconds += fa_config_is_moe(c, k) ? t->moe : t->dense;
        most = fmax(most, seconds);
    }
    return most;
}

bool fa_layout_make(fa_layout *out, const fa_plan_request *q, const fa_layer_bytes *bytes, int32_t stages,
                    const fa_layer_seconds *t) {
    const fa_config *c = q->model;
    double low = 0, high = c->layers * (fmax(t->dense, t->moe) + fmax(t->enter, t->hop)) + t->ends; /* all of it */
    int32_t n = fill(out, q, bytes, t, high);
    if (n == 0 || n > stages) return false;
    for (int i = 0; i < 40; i++) {
        double middle = (low + high) / 2;
        n = fill(out, q, bytes, t, middle);
        if (n && n <= stages && slowest(out, c, t) <= middle)
            high = middle;
        else
            low = middle;
    }
    return fill(out, q, bytes, t, high) > 0;
}

int32_t fa_layout_stages(const fa_plan_request *q, const fa_layer_bytes *bytes) {
    fa_layout layout;
    return fill(&layout, q, bytes, &(fa_layer_seconds){0}, 1);
}
