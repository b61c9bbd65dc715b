#include "host/cluster/grid.h"

#include <stdlib.h>
#include <string.h>

#include "host/cluster/hash.h"

enum { STAGES_OF_BOTH = 2 };

/* Piece i of n things over `parts` begins here. */
static int32_t piece(int32_t n, int32_t parts, int32_t i) {
    return (int32_t)((int64_t)n * i / parts);
}

static int32_t least(int32_t a, int32_t b) {
    return a < b ? a : b;
}

fa_status fa_grid_make(fa_grid *p, const char *mode, int32_t ranks, const fa_config *c, fa_error *e) {
    *p = (fa_grid){.ranks = ranks, .active = ranks, .stages = 1, .layers = c->layers, .experts = c->experts};
    if (ranks < 1) return fa_fail(e, FA_EINVAL, "cluster: %d ranks", ranks);
    int32_t most = least(ranks, c->layers);
    if (!strcmp(mode, "expert")) return FA_OK;
    if (!strcmp(mode, "pipeline")) {
        p->stages = p->active = most;
        return FA_OK;
    }
    if (!strcmp(mode, "both")) {
        p->stages = least(STAGES_OF_BOTH, most);
        return FA_OK;
    }
    char *end = NULL;
    long stages = strncmp(mode, "both:", 5) ? 0 : strtol(mode + 5, &end, 10);
    if (!end || !mode[5] || *end)
        return fa_fail(e, FA_EINVAL, "cluster: '%s' is not expert, pipeline, both or both:STAGES", mode);
    if (stages < 1 || stages > most)
        return fa_fail(e, FA_EINVAL, "cluster: '%s': %d ranks and %d layers make 1..%d stages", mode, ranks, c->layers,
                       most);
    p->stages = (int32_t)stages;
    return FA_OK;
}

int32_t fa_grid_stage_first(const fa_grid *p, int32_t stage) {
    return piece(p->active, p->stages, stage);
}

fa_seat fa_grid_seat(const fa_grid *p, int32_t rank, bool mtp) {
    fa_seat s = {.idle = rank >= p->active};
    if (s.idle) return s;
    while (fa_grid_stage_first(p, s.stage + 1) <= rank) s.stage++;
    s.first = fa_grid_stage_first(p, s.stage);
    s.size = fa_grid_stage_first(p, s.stage + 1) - s.first;
    s.index = rank - s.first;
    bool last = s.stage == p->stages - 1;
    s.part = (fa_model_part){.first_layer = piece(p->layers, p->stages, s.stage),
                             .end_layer = piece(p->layers, p->stages, s.stage + 1),
                             .first_expert = piece(p->experts, s.size, s.index),
                             .end_expert = piece(p->experts, s.size, s.index + 1),
                             .embedding = s.stage == 0 || (last && mtp),
                             .head = last};
    return s;
}

int32_t fa_grid_owner(int32_t experts, int32_t size, int32_t expert) {
    return (int32_t)((((int64_t)expert + 1) * size - 1) / experts);
}

int32_t fa_grid_first_row(int32_t rows, int32_t size, int32_t index) {
    return (int32_t)(((int64_t)rows * index + size - 1) / size);
}

int32_t fa_grid_row_owner(int32_t rows, int32_t size, int32_t row) {
    return (int32_t)((int64_t)row * size / rows);
}

uint64_t fa_grid_hash(const fa_grid *p) {
    uint64_t h = fa_hash_begin();
    for (int32_t rank = 0; rank < p->ranks; rank++) {
        fa_seat s = fa_grid_seat(p, rank, true);
        int32_t facts[] = {s.stage, s.first, s.size, s.index, s.idle};
        h = fa_hash_add(h, facts, sizeof facts);
        int32_t part[] = {s.part.first_layer, s.part.end_layer, s.part.first_expert, s.part.end_expert};
        h = fa_hash_add(h, part, sizeof part);
    }
    return h;
}
