/* A plan's pass as events, for timelines. */
#include "sim/planner/pass.h"

typedef struct walk {
    void (*each)(void *ctx, const fa_plan_event *event);
    void *ctx;
    int32_t layer, stage;
    double start; /* of the list */
} walk;

static void emit(walk *w, const char *name, double start, const fa_spent *spent) {
    fa_plan_event event = {
        .name = name, .layer = w->layer, .stage = w->stage, .start = start, .seconds = spent->seconds, .spent = spent};
    double share;
    fa_limit_largest(spent->by, spent->seconds, &event.limit, &share);
    w->each(w->ctx, &event);
}

static void watch(void *ctx, const fa_plan_op *work, double start, const fa_spent *spent) {
    walk *w = ctx;
    emit(w, work->name, w->start + start, spent);
}

static void walk_list(walk *w, const fa_plan_step *s, const fa_plan_ops *list) {
    fa_spent spent = {0};
    fa_plan_step_ops(s, list, &spent, watch, w);
    w->start += spent.seconds;
}

static void walk_spent(walk *w, const char *name, const fa_spent *spent) {
    emit(w, name, w->start, spent);
    w->start += spent->seconds;
}

void fa_plan_walk(const fa_plan_request *request, const fa_plan *plan,
                  void (*each)(void *ctx, const fa_plan_event *event), void *ctx) {
    fa_plan_request copy;
    fa_planner p;
    fa_parts t;
    if (!fa_planner_again(&p, &copy, request, plan, &t)) return;
    const fa_plan_request *q = p.q;
    int32_t rows = plan->group * (1 + q->draft);
    fa_plan_step s = fa_pass_step(&p, rows, q->context, rows);
    walk w = {.each = each, .ctx = ctx};
    for (w.stage = 0; w.stage < p.layout.stages; w.stage++) {
        w.layer = p.layout.first[w.stage];
        walk_spent(&w, "hand over", w.stage ? &t.hop : &t.enter);
        for (; w.layer < p.layout.first[w.stage + 1]; w.layer++)
            walk_list(&w, &s, fa_config_is_moe(q->model, w.layer) ? &p.lists.moe : &p.lists.dense);
    }
    w.stage--;
    w.layer = -1;
    fa_spent leave = {0}, drafts = {0};
    walk_list(&w, &s, &p.lists.head);
    fa_plan_step_leave(&s, &leave);
    walk_spent(&w, "logits", &leave);
    if (!q->draft) return;
    fa_pass_drafts(&p, &s, plan->group, &drafts);
    walk_spent(&w, "drafts", &drafts);
}
