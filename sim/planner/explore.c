#include "sim/planner/explore.h"

#include <math.h>
#include <stdlib.h>

enum { MOST = 1000000 };

/* The sweeps as a table: how many values, and where each goes. */
typedef struct axis {
    fa_sweep values;
    int32_t *to;
} axis;
enum { AXES = 7 };

static void set_axis(axis *a, const fa_sweep *sweep, int32_t *to) {
    *a = (axis){*sweep, to};
    if (!sweep->n) a->values = (fa_sweep){.value = {*to}, .n = 1};
}

static double resource_share(double needed, double usable, double fill) {
    return usable > 0 ? needed / (usable * fill) : 0;
}

static double use_of(const fa_board *b, const fa_board_build *build) {
    fa_resources n;
    fa_board_needs(b, build, &n);
    const fa_resources *u = &b->usable, *f = &fa_board_fill;
    double use = fmax(resource_share(n.lut, u->lut, f->lut), resource_share(n.ff, u->ff, f->ff));
    use = fmax(use, resource_share(n.dsp, u->dsp, f->dsp));
    use = fmax(use, resource_share(n.bram, u->bram, f->bram));
    return fmax(use, resource_share(n.uram, u->uram, f->uram));
}

/* `a` is at least as good as `b` in everything and better in something. */
static bool dominates(const fa_plan *a, const fa_plan *b) {
    bool as_good = a->decode_tokens_per_s >= b->decode_tokens_per_s && a->joules_per_token <= b->joules_per_token &&
                   a->usd <= b->usd;
    bool better =
        a->decode_tokens_per_s > b->decode_tokens_per_s || a->joules_per_token < b->joules_per_token || a->usd < b->usd;
    return as_good && better;
}

static int faster(const void *a, const void *b) {
    double x = (*(fa_point *const *)a)->plan.decode_tokens_per_s, y = (*(fa_point *const *)b)->plan.decode_tokens_per_s;
    return (x < y) - (x > y);
}

/* Of points with the same context: what a sequence holds is a demand, not a choice. Points sorted by tokens/s are dominated
 * by faster ones or equals alone, and what dominates is on the front itself. */
static fa_status mark_front(fa_explored *x, fa_error *e) {
    fa_point **by_speed = malloc((size_t)x->n * sizeof *by_speed);
    if (!by_speed) return fa_fail(e, FA_ENOMEM, "explore: memory ran out");
    for (int64_t i = 0; i < x->n; i++) by_speed[i] = &x->point[i];
    qsort(by_speed, (size_t)x->n, sizeof *by_speed, faster);
    for (int64_t i = 0; i < x->n; i++) {
        fa_point *p = by_speed[i];
        p->front = true;
        for (int64_t j = 0; j < x->n && p->front; j++) {
            const fa_point *other = by_speed[j];
            if (other->plan.decode_tokens_per_s < p->plan.decode_tokens_per_s) break;
            p->front = other->context != p->context || !dominates(&other->plan, &p->plan);
        }
    }
    free(by_speed);
    return FA_OK;
}

fa_status fa_explore(fa_explored *x, const fa_plan_request *request, const fa_space *space,
                     void (*progress)(void *ctx, int64_t done, int64_t total), void *ctx, fa_error *e) {
    fa_plan_request q = *request;
    fa_board board = *request->board;
    axis axes[AXES];
    *x = (fa_explored){.tried = 1};
    q.board = &board;
    set_axis(&axes[0], &space->units, &board.build.units);
    set_axis(&axes[1], &space->ports, &board.build.ports);
    set_axis(&axes[2], &space->rows, &board.build.rows);
    set_axis(&axes[3], &space->lanes_fp32, &board.build.lanes_fp32);
    set_axis(&axes[4], &space->boards, &q.boards);
    set_axis(&axes[5], &space->context, &q.context);
    set_axis(&axes[6], &space->batch, &q.batch);
    for (int i = 0; i < AXES; i++) x->tried *= axes[i].values.n;
    if (x->tried > MOST)
        return fa_fail(e, FA_EINVAL, "explore: %lld combinations are more than %d", (long long)x->tried, MOST);
    x->point = calloc((size_t)x->tried, sizeof *x->point);
    if (!x->point) return fa_fail(e, FA_ENOMEM, "explore: no memory for %lld points", (long long)x->tried);
    fa_error why = {0};
    for (int64_t i = 0; i < x->tried; i++) {
        int64_t rest = i;
        for (int a = AXES - 1; a >= 0; a--) {
            *axes[a].to = axes[a].values.value[rest % axes[a].values.n];
            rest /= axes[a].values.n;
        }
        q.prompt = request->prompt < q.context ? request->prompt : q.context;
        if (progress) progress(ctx, i, x->tried);
        fa_point *p = &x->point[x->n];
        *p = (fa_point){.build = board.build, .boards = q.boards, .context = q.context, .batch = q.batch};
        if (fa_board_fits(&board, &board.build, &why))
            x->refused_build++;
        else if (fa_plan_make(&p->plan, &q, &why))
            x->refused_memory++;
        else
            p->use = use_of(&board, &board.build), x->n++;
    }
    if (progress) progress(ctx, x->tried, x->tried);
    if (!x->n) return fa_fail(e, FA_ELIMIT, "explore: no combination is possible; the last: %s", why.text);
    return mark_front(x, e);
}

void fa_explored_free(fa_explored *x) {
    free(x->point);
    *x = (fa_explored){0};
}
