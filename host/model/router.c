#include "host/model/router.h"

#include <stdbool.h>

#include "host/backend/scalar.h"
#include "host/base/threads.h"

/* Scratch: scores [experts], what the choice is made by [experts], group scores [groups], and a flag for each
 * of these (experts, then groups) that says it can still be chosen. */
typedef struct work {
    float *score, *choice, *group, *open, *group_open;
} work;

int64_t fa_route_scratch(const fa_config *c) {
    return 3 * (int64_t)c->experts + 2 * (int64_t)c->groups;
}

static void softmax(const float *x, int n, float *y) {
    float max = x[0], partial[16] = {0};
    for (int i = 1; i < n; i++) max = x[i] > max ? x[i] : max;
    for (int i = 0; i < n; i++) {
        y[i] = fa_exp(x[i] - max);
        partial[i % 16] += y[i];
    }
    float sum = fa_tree_16(partial);
    for (int i = 0; i < n; i++) y[i] = y[i] / sum;
}

/* Index of the largest of the open x[0 .. n-1], the lowest of equals; the first open one where they are NaN.
 * At least one is open. */
static int best(const float *x, const float *open, int n) {
    int found = -1;
    for (int i = 0; i < n; i++)
        if (open[i] != 0 && (found < 0 || x[i] > x[found])) found = i;
    return found;
}

/* Closes the experts of all but the top_groups groups. */
static void limit_groups(const fa_config *c, const work *w) {
    int size = c->experts / c->groups;
    for (int g = 0; g < c->groups; g++) {
        const float *choice = w->choice + g * size;
        float *open = w->open + g * size;
        int first = best(choice, open, size);
        w->group[g] = choice[first];
        if (c->topk_method == FA_TOPK_NOAUX && size > 1) {
            open[first] = 0;
            w->group[g] += choice[best(choice, open, size)];
            open[first] = 1;
        }
        w->group_open[g] = 1;
    }
    for (int k = 0; k < c->top_groups; k++) w->group_open[best(w->group, w->group_open, c->groups)] = 0;
    for (int g = 0; g < c->groups; g++)
        for (int i = 0; i < size && w->group_open[g] != 0; i++) w->open[g * size + i] = 0; /* still open: not chosen */
}

static void route_row(const fa_config *c, const float *bias, const float *logits, const work *w, int32_t *ids,
                      float *weights) {
    if (c->scoring == FA_SCORE_SOFTMAX)
        softmax(logits, c->experts, w->score);
    else
        for (int i = 0; i < c->experts; i++) w->score[i] = fa_sigmoid(logits[i]);
    for (int i = 0; i < c->experts; i++) {
        w->choice[i] = bias ? w->score[i] + bias[i] : w->score[i];
        w->open[i] = 1;
    }
    if (c->topk_method != FA_TOPK_GREEDY && c->groups > 1) limit_groups(c, w);
    for (int k = 0; k < c->top_k; k++) {
        int32_t id = best(w->choice, w->open, c->experts);
        int at = k;
        for (; at > 0 && ids[at - 1] > id; at--) ids[at] = ids[at - 1];
        ids[at] = id;
        w->open[id] = 0;
    }
    float sum = 0;
    for (int k = 0; k < c->top_k; k++) sum += w->score[ids[k]];
    for (int k = 0; k < c->top_k; k++) {
        float weight = w->score[ids[k]];
        if (c->norm_topk) weight = weight / (sum + 1e-20f);
        weights[k] = weight * c->routed_scale;
    }
}

void fa_route(const fa_config *c, const float *bias, const float *logits, int32_t rows, float *scratch, int32_t *ids,
              float *weights) {
    float *at = scratch;
    work w = {.score = at};
    w.choice = at += c->experts;
    w.open = at += c->experts;
    w.group = at += c->experts;
    w.group_open = at + c->groups;
    unsigned mode = fa_fp_enter();
    for (int64_t t = 0; t < rows; t++)
        route_row(c, bias, logits + t * c->experts, &w, ids + t * c->top_k, weights + t * c->top_k);
    fa_fp_leave(mode);
}
