/* Matmuls: each unit multiplies with its slice of each weight. */
#include "host/backend/board/state.h"

fa_status board_run_product(fa_board_backend *b, const board_product *p, fa_error *e) {
    board_call c;
    board_call_begin(b, &c, "fathom_matmul", p->unit, p->segment);
    board_arg_buffer(&c, p->x.buffer, 0);
    board_arg_buffer(&c, p->bias.buffer, 0);
    board_arg_buffer(&c, p->y.buffer, 0);
    board_arg_buffer(&c, p->op == HLS_LINEAR ? NULL : b->tables.card, p->op == HLS_LINEAR ? 0 : p->table);
    board_arg_int(&c, p->x.first, 8);
    board_arg_int(&c, p->x.ld, 8);
    board_arg_int(&c, p->y.first, 8);
    board_arg_int(&c, p->y.ld, 8);
    board_arg_int(&c, p->bias.first, 8);
    board_arg_int(&c, p->op, 4);
    board_arg_int(&c, p->rows, 4);
    board_arg_int(&c, p->outputs, 4);
    board_arg_int(&c, p->inputs, 4);
    board_arg_int(&c, p->at, 4);
    board_arg_int(&c, p->type, 4);
    board_arg_int(&c, p->visited, 4);
    board_arg_int(&c, p->w8a8, 4);
    board_arg_int(&c, p->bias.buffer != NULL, 4);
    board_arg_int(&c, 0, 4);
    return board_start(b, &c, e);
}

static fa_status run_slice(fa_board_backend *b, const fa_matmul *m, const struct fa_matmul_part *part,
                           const board_slice *s, fa_error *e) {
    const board_weight *w = board_weight_of(part->w), *bias = part->bias ? board_weight_of(part->bias) : NULL;
    board_product p = {.op = HLS_LINEAR,
                       .unit = s->unit,
                       .segment = s->segment,
                       .x = board_matrix_of(m->x, m->ldx),
                       .y = board_matrix_of(part->y, part->ldy),
                       .rows = m->rows,
                       .outputs = s->outputs,
                       .inputs = w->view.cols,
                       .at = s->at,
                       .type = w->type,
                       .w8a8 = m->numerics == FA_W8A8};
    p.y.first += s->first;
    if (bias) p.bias = (board_matrix){b->segments[bias->slice[0].segment].vectors, bias->vector_at + s->first, 0};
    return board_run_product(b, &p, e);
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
