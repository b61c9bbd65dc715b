#include "sim/planner/timer.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "sim/planner/pass.h"

/* Points of the grid: rows 1, 2 .. 16, then 16 an octave; contexts of 0, 64, 128, 256 .. positions. */
enum { OCTAVE = 16, ROW_POINTS = 16 + OCTAVE * 16, CONTEXT_POINTS = 24 };

enum { SECONDS, JOULES, WEIGHTS, IO, PARTS };
typedef struct amounts {
    double of[PARTS];
} amounts;

/* One pass: a layer of each kind. */
typedef struct cell {
    amounts dense, moe;
    bool made;
} cell;

/* What does not depend on the context: before the first stage, between stages; behind the last for as many logits. */
typedef struct ends {
    amounts enter, hop, end;
    bool made;
} ends;

struct fa_timer {
    fa_plan_request q;
    fa_planner planner;
    int64_t positions;
    int32_t dense[FA_PLAN_LAYERS], moe[FA_PLAN_LAYERS]; /* layers of each stage */
    ends ends[ROW_POINTS];
    cell cells[ROW_POINTS][CONTEXT_POINTS];
};

static amounts amounts_of(const fa_spent *s) {
    return (amounts){{[SECONDS] = s->seconds, [JOULES] = s->joules, [WEIGHTS] = s->weight_bytes, [IO] = s->io_bytes}};
}

static void add(amounts *to, const amounts *more, double times) {
    for (int i = 0; i < PARTS; i++) to->of[i] += times * more->of[i];
}

/* ---- the grid ---- */

static int32_t rows_at(int i) {
    if (i < 16) return i + 1;
    int octave = (i - 16) / OCTAVE, step = (i - 16) % OCTAVE + 1;
    return (int32_t)ldexp(16 + step, octave);
}

static double context_at(int i) {
    return i ? ldexp(64, i - 1) : 0;
}

/* The point at or below a number, and how far it is to the next; beyond the last point the last two go on. */
static int row_point(int32_t rows, double *share) {
    int i = 0;
    while (i < ROW_POINTS - 2 && rows_at(i + 1) <= rows) i++;
    *share = (double)(rows - rows_at(i)) / (rows_at(i + 1) - rows_at(i));
    return i;
}

static int context_point(double context, double *share) {
    int i = context < 64 ? 0 : (int)floor(log2(context / 64)) + 1;
    if (i > CONTEXT_POINTS - 2) i = CONTEXT_POINTS - 2;
    *share = (context - context_at(i)) / (context_at(i + 1) - context_at(i));
    return i;
}

static const cell *cell_at(fa_timer *t, int row, int context) {
    cell *c = &t->cells[row][context];
    if (c->made) return c;
    fa_plan_step s = fa_pass_step(&t->planner, rows_at(row), context_at(context), 0);
    fa_spent dense = {0}, moe = {0};
    fa_plan_step_ops(&s, &t->planner.lists.dense, &dense, NULL, NULL);
    if (t->q.model->experts) fa_plan_step_ops(&s, &t->planner.lists.moe, &moe, NULL, NULL);
    *c = (cell){amounts_of(&dense), amounts_of(&moe), true};
    return c;
}

static const ends *ends_at(fa_timer *t, int row) {
    ends *n = &t->ends[row];
    if (n->made) return n;
    fa_plan_step s = fa_pass_step(&t->planner, rows_at(row), 0, rows_at(row));
    fa_spent enter = {0}, hop = {0}, end = {0};
    fa_plan_step_enter(&s, false, &enter);
    fa_plan_step_enter(&s, true, &hop);
    fa_plan_step_ops(&s, &t->planner.lists.head, &end, NULL, NULL);
    fa_plan_step_leave(&s, &end);
    *n = (ends){amounts_of(&enter), amounts_of(&hop), amounts_of(&end), true};
    return n;
}

/* ---- opening ---- */

/* The stage whose boards have the least room for a page decides. */
static int64_t positions_of(const fa_timer *t) {
    fa_plan_request one = t->q;
    const fa_planner *p = &t->planner;
    const fa_capacity room = fa_layout_capacity(t->q.board);
    one.context = FA_PAGE_POSITIONS;
    fa_layer_bytes b = fa_layout_bytes(&one, &p->lists, p->split.ways, 1, p->resident);
    double pages = INFINITY;
    for (int32_t i = 0; i < p->layout.stages; i++) {
        double weights = t->dense[i] * b.dense + t->moe[i] * b.moe + (i == p->layout.stages - 1 ? b.ends : 0);
        double free = fmin(room.cache, room.both - weights);
        pages = fmin(pages, floor(free / ((t->dense[i] + t->moe[i]) * b.cache)));
    }
    return (int64_t)fmax(0, fmin(pages, 1e12)) * FA_PAGE_POSITIONS;
}

fa_status fa_timer_open(fa_timer **out, const fa_plan_request *q, const fa_plan *plan, fa_error *e) {
    *out = NULL;
    if (q->draft) return fa_fail(e, FA_EUNSUPPORTED, "drafts: steps of a queue are timed without them");
    fa_timer *t = calloc(1, sizeof *t);
    if (!t) return fa_fail(e, FA_ENOMEM, "timer: memory ran out");
    fa_parts decode;
    if (!fa_planner_again(&t->planner, &t->q, q, plan, &decode)) {
        free(t);
        return fa_fail(e, FA_EINVAL, "timer: the plan is not one of this request");
    }
    const fa_layout *l = &t->planner.layout;
    for (int32_t i = 0; i < l->stages; i++)
        for (int32_t k = l->first[i]; k < l->first[i + 1]; k++)
            *(fa_config_is_moe(q->model, k) ? &t->moe[i] : &t->dense[i]) += 1;
    t->positions = positions_of(t);
    *out = t;
    return FA_OK;
}

void fa_timer_close(fa_timer *t) {
    free(t);
}

int32_t fa_timer_stages(const fa_timer *t) {
    return t->planner.layout.stages;
}

int64_t fa_timer_positions(const fa_timer *t) {
    return t->positions;
}

/* ---- a step ---- */

static void layers_at(fa_timer *t, const fa_timed_step *s, amounts *dense, amounts *moe) {
    double between_rows, between_contexts;
    int row = row_point(s->rows, &between_rows), context = context_point(s->context / s->rows, &between_contexts);
    *dense = *moe = (amounts){{0}};
    for (int i = 0; i < 4; i++) {
        double share = (i & 1 ? between_rows : 1 - between_rows) * (i & 2 ? between_contexts : 1 - between_contexts);
        if (share == 0) continue;
        const cell *c = cell_at(t, row + (i & 1), context + (i >> 1));
        add(dense, &c->dense, share);
        add(moe, &c->moe, share);
    }
}

static ends ends_for(fa_timer *t, const fa_timed_step *s) {
    ends n = {.made = true};
    double share;
    int row = row_point(s->rows, &share);
    for (int i = 0; i < 2; i++) {
        const ends *at = ends_at(t, row + i);
        add(&n.enter, &at->enter, i ? share : 1 - share);
        add(&n.hop, &at->hop, i ? share : 1 - share);
    }
    if (!s->logits) return n;
    row = row_point(s->logits, &share);
    for (int i = 0; i < 2; i++) add(&n.end, &ends_at(t, row + i)->end, i ? share : 1 - share);
    return n;
}

fa_timed fa_timer_step(fa_timer *t, const fa_timed_step *s, double *stage_s) {
    amounts dense, moe, all = {{0}};
    ends n = ends_for(t, s);
    layers_at(t, s, &dense, &moe);
    int32_t stages = fa_timer_stages(t);
    for (int32_t i = 0; i < stages; i++) {
        amounts stage = i ? n.hop : n.enter;
        add(&stage, &dense, t->dense[i]);
        add(&stage, &moe, t->moe[i]);
        if (i == stages - 1) add(&stage, &n.end, 1);
        stage_s[i] = stage.of[SECONDS];
        add(&all, &stage, 1);
    }
    return (fa_timed){all.of[JOULES], all.of[WEIGHTS], all.of[IO]};
}
