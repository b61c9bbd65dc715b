#include <stdlib.h>

#include "host/backend/placed/state.h"

/* Boards that must have a weight, as bits. What belongs to no layer is the head's board's. */
static fa_status boards_of(const fa_placed *p, const fa_weight *w, uint32_t *boards, fa_error *e) {
    const fa_board_placement *f = &p->placement;
    if (w->layer >= f->layers)
        return fa_fail(e, FA_EINVAL, "tensor %s: layer %d is not in the placement, which has %d", w->name, w->layer,
                       f->layers);
    *boards = w->layer < 0 ? 1u << f->head : 1u << f->layer[w->layer];
    if (w->routed && w->layer >= 0 && f->experts) {
        if (w->expert < 0 || w->expert >= f->experts)
            return fa_fail(e, FA_EINVAL, "tensor %s: expert %d is not in the placement, which has %d", w->name,
                           w->expert, f->experts);
        *boards = f->expert[w->layer * f->experts + w->expert];
    }
    return FA_OK;
}

static fa_status take(fa_backend *b, placed_call *c) {
    return b->weight(b, c->weight, &c->error);
}

fa_status placed_take_weight(fa_backend *base, fa_weight *w, fa_error *e) {
    fa_placed *p = (fa_placed *)base;
    uint32_t boards = 1;
    fa_status s = w->use == FA_USE_HOST ? FA_OK : boards_of(p, w, &boards, e);
    if (s) return s;
    placed_weight *pw = calloc(1, sizeof *pw + (size_t)__builtin_popcount(boards) * sizeof *pw->at);
    if (!pw) return fa_fail(e, FA_ENOMEM, "tensor %s: no memory for its record", w->name);
    *pw = (placed_weight){.next = p->weights, .boards = boards, .layer = w->layer};
    p->weights = pw;
    fa_weight *at = pw->at;
    for (int32_t i = 0; i < p->n && !s; i++) {
        if (!(boards >> i & 1)) continue;
        *at = *w;
        at->device = NULL;
        s = placed_do(&p->worker[i], &(placed_call){.run = take, .weight = at++}, e);
    }
    w->device = pw;
    return s;
}

const fa_weight *placed_weight_on(const fa_weight *w, int32_t board) {
    const placed_weight *pw = w->device;
    if (!pw || !(pw->boards >> board & 1)) return NULL;
    return &pw->at[__builtin_popcount(pw->boards & ((1u << board) - 1))];
}

void placed_weights_close(fa_placed *p) {
    for (placed_weight *w = p->weights, *next; w; w = next) {
        next = w->next;
        free(w);
    }
}
