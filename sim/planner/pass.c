#include "sim/planner/pass.h"

#include <math.h>

int32_t fa_moe_layers(const fa_config *c) {
    int32_t n = 0;
    for (int32_t i = 0; i < c->layers; i++) n += fa_config_is_moe(c, i);
    return n;
}

fa_plan_step fa_pass_step(const fa_planner *p, int32_t rows, double context, double logits) {
    const fa_plan_request *q = p->q;
    return (fa_plan_step){.model = q->model,
                          .board = q->board,
                          .hosts = &q->hosts,
                          .routes = q->routes,
                          .types = q->types,
                          .cache = q->cache,
                          .w8a8 = q->w8a8,
                          .ways = p->split.ways,
                          .rows = rows,
                          .context = context,
                          .logits = logits,
                          .resident = p->resident};
}

void fa_pass_drafts(const fa_planner *p, const fa_plan_step *s, int32_t sequences, fa_spent *spent) {
    fa_plan_step one = *s;
    one.rows = sequences;
    one.logits = sequences;
    for (int i = 0; i < p->q->draft; i++) {
        fa_plan_step_enter(&one, false, spent);
        fa_plan_step_ops(&one, &p->lists.join, spent, NULL, NULL);
        fa_plan_step_ops(&one, p->q->model->experts ? &p->lists.moe : &p->lists.dense, spent, NULL, NULL);
        fa_plan_step_ops(&one, &p->lists.head, spent, NULL, NULL);
        fa_plan_step_leave(&one, spent);
    }
}

fa_parts fa_pass_parts(const fa_planner *p, const fa_plan_step *s, int32_t drafting) {
    fa_parts t = {.made = true};
    fa_plan_step_ops(s, &p->lists.dense, &t.dense, NULL, NULL);
    if (p->q->model->experts) fa_plan_step_ops(s, &p->lists.moe, &t.moe, NULL, NULL);
    fa_plan_step_enter(s, false, &t.enter);
    fa_plan_step_enter(s, true, &t.hop);
    if (s->logits > 0) {
        fa_plan_step_ops(s, &p->lists.head, &t.end, NULL, NULL);
        fa_plan_step_leave(s, &t.end);
    }
    if (drafting) fa_pass_drafts(p, s, drafting, &t.end);
    return t;
}

fa_layer_seconds fa_pass_seconds(const fa_parts *t) {
    return (fa_layer_seconds){t->dense.seconds, t->moe.seconds, t->end.seconds, t->enter.seconds, t->hop.seconds};
}

fa_pass fa_pass_sum(const fa_planner *p, const fa_parts *t) {
    const fa_config *c = p->q->model;
    fa_pass all = {0};
    for (int32_t i = 0; i < p->layout.stages; i++) {
        fa_spent stage = {0};
        fa_spent_add(&stage, i ? &t->hop : &t->enter, 1);
        for (int32_t l = p->layout.first[i]; l < p->layout.first[i + 1]; l++)
            fa_spent_add(&stage, fa_config_is_moe(c, l) ? &t->moe : &t->dense, 1);
        if (i == p->layout.stages - 1) fa_spent_add(&stage, &t->end, 1);
        all.slowest = fmax(all.slowest, stage.seconds);
        fa_spent_add(&all.total, &stage, 1);
    }
    return all;
}

bool fa_planner_again(fa_planner *p, fa_plan_request *copy, const fa_plan_request *q, const fa_plan *plan,
                      fa_parts *decode) {
    *copy = *q;
    copy->cache = plan->cache;
    *p = (fa_planner){
        .q = copy, .split = plan->split, .resident = plan->resident, .moe_layers = fa_moe_layers(q->model)};
    int32_t sequences = q->batch / plan->split.replicas, rows = plan->group * (1 + q->draft);
    fa_lists_of(&p->lists, copy);
    p->bytes = fa_layout_bytes(copy, &p->lists, p->split.ways, sequences, p->resident);
    fa_plan_step s = fa_pass_step(p, rows, q->context, rows);
    *decode = fa_pass_parts(p, &s, q->draft ? plan->group : 0);
    fa_layer_seconds seconds = fa_pass_seconds(decode);
    return fa_layout_make(&p->layout, copy, &p->bytes, p->split.stages, &seconds);
}

void fa_limit_largest(const double by[FA_LIMIT_COUNT], double seconds, fa_limit *limit, double *share) {
    *limit = FA_LIMIT_WEIGHTS;
    for (int i = 1; i < FA_LIMIT_COUNT; i++)
        if (by[i] > by[*limit]) *limit = (fa_limit)i;
    *share = seconds > 0 ? by[*limit] / seconds : 0;
}
