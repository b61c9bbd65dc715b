/* Matmuls: each unit multiplies with its slice of each weight. */
#include "host/backend/board/state.h"

static fa_status run_slice(fa_board_backend *b, const fa_matmul *m, const struct fa_matmul_part *part,
                           const board_slice *s, fa_error *e) {
    const board_weight *w = board_weight_of(part->w), *bias = part->bias ? board_weight_of(part->bias) : NULL;
    board_call c;
    board_call_begin(b, &c, "fathom_matmul", s->unit, s->segment);
    board_arg_ref(&c, m->x);
    board_arg_buffer(&c, bias ? b->segments[bias->slice[0].segment].vectors : NULL, 0);
    board_arg_ref(&c, part->y);
    board_arg_int(&c, board_first(m->x), 8);
    board_arg_int(&c, m->ldx, 8);
    board_arg_int(&c, board_first(part->y) + s->first, 8);
    board_arg_int(&c, part->ldy, 8);
    board_arg_int(&c, bias ? bias->vector_at + s->first : 0, 8);
    board_arg_int(&c, m->rows, 4);
    board_arg_int(&c, s->outputs, 4);
    board_arg_int(&c, w->view.cols, 4);
    board_arg_int(&c, s->at, 4);
    board_arg_int(&c, w->type, 4);
    board_arg_int(&c, m->numerics == FA_W8A8, 4);
    board_arg_int(&c, bias != NULL, 4);
    return board_start(b, &c, e);
}

/* Units may write to y at the same time: their columns are in different words, and no other part's are in one with them. */
static bool apart(const fa_matmul *m) {
    for (int p = 0; p < m->n_parts; p++) {
        const board_weight *w = board_weight_of(m->part[p].w);
        if (w->n_slices > 1 && !board_words_apart(m->part[p].y, m->rows, m->part[p].ldy, w->slice[1].first))
            return false;
        for (int q = 0; q < p; q++)
            if (m->part[p].y.buffer == m->part[q].y.buffer) return false;
    }
    return true;
}

fa_status board_run_matmul(fa_board_backend *b, const fa_matmul *m, fa_error *e) {
    uint32_t units = 0;
    for (int p = 0; p < m->n_parts; p++) {
        const board_weight *w = board_weight_of(m->part[p].w);
        for (int i = 0; i < w->n_slices; i++) units |= 1u << w->slice[i].unit;
    }
    bool together = apart(m);
    fa_status s = board_after(b, units, e);
    for (int p = 0; p < m->n_parts && !s; p++) {
        const board_weight *w = board_weight_of(m->part[p].w);
        for (int i = 0; i < w->n_slices && !s; i++) {
            if (!together) s = board_after(b, 1u << w->slice[i].unit, e);
            if (!s) s = run_slice(b, m, &m->part[p], &w->slice[i], e);
        }
    }
    return s;
}
