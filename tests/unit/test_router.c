/* The router, on tables small enough to do by hand, and against a plain double-precision one on random
 * scores. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "host/model/router.h"
#include "tests/lib/check.h"

enum { MAX_EXPERTS = 64, MAX_TOP = 8 };

static float logit(double p) {
    return (float)log(p / (1 - p));
}

typedef struct hand_case {
    const char *what;
    int experts, top_k, groups, top_groups;
    fa_scoring scoring;
    fa_topk_method method;
    bool norm;
    float scale;
    double score[8]; /* sigmoid: the wanted scores; softmax: probabilities */
    float bias[8];
    int32_t ids[4];
    double weights[4];
} hand_case;

static const hand_case by_hand[] = {
    {"softmax greedy keeps probabilities",
     4,
     2,
     1,
     1,
     FA_SCORE_SOFTMAX,
     FA_TOPK_GREEDY,
     false,
     1,
     {0.1, 0.4, 0.2, 0.3},
     {0},
     {1, 3},
     {0.4, 0.3}},
    {"scale multiplies",
     4,
     2,
     1,
     1,
     FA_SCORE_SOFTMAX,
     FA_TOPK_GREEDY,
     false,
     16,
     {0.1, 0.4, 0.2, 0.3},
     {0},
     {1, 3},
     {6.4, 4.8}},
    {"normalised, then scaled",
     4,
     2,
     1,
     1,
     FA_SCORE_SOFTMAX,
     FA_TOPK_GREEDY,
     true,
     2,
     {0.1, 0.4, 0.2, 0.3},
     {0},
     {1, 3},
     {2 * 4. / 7, 2 * 3. / 7}},
    {"greedy ignores groups",
     4,
     2,
     2,
     1,
     FA_SCORE_SOFTMAX,
     FA_TOPK_GREEDY,
     false,
     1,
     {0.1, 0.4, 0.2, 0.3},
     {0},
     {1, 3},
     {0.4, 0.3}},
    {"group-limited: the group of the best single score",
     4,
     2,
     2,
     1,
     FA_SCORE_SOFTMAX,
     FA_TOPK_GROUP_LIMITED,
     false,
     1,
     {0.4, 0.05, 0.3, 0.25},
     {0},
     {0, 1},
     {0.4, 0.05}},
    {"noaux: the group of the best sum of two",
     4,
     2,
     2,
     1,
     FA_SCORE_SIGMOID,
     FA_TOPK_NOAUX,
     false,
     1,
     {0.4, 0.05, 0.3, 0.25},
     {0},
     {2, 3},
     {0.3, 0.25}},
    {"noaux: only the two best of a group count",
     6,
     2,
     2,
     1,
     FA_SCORE_SIGMOID,
     FA_TOPK_NOAUX,
     false,
     1,
     {0.5, 0.5, 0.1, 0.4, 0.4, 0.4},
     {0},
     {0, 1},
     {0.5, 0.5}},
    {"the bias chooses, the score weighs",
     4,
     2,
     1,
     1,
     FA_SCORE_SIGMOID,
     FA_TOPK_NOAUX,
     false,
     1,
     {0.4, 0.3, 0.2, 0.1},
     {0, 0, 0.5f, 0.5f},
     {2, 3},
     {0.2, 0.1}},
    {"the bias chooses groups too",
     4,
     1,
     2,
     1,
     FA_SCORE_SIGMOID,
     FA_TOPK_NOAUX,
     true,
     3,
     {0.4, 0.4, 0.2, 0.1},
     {0, 0, 0.5f, 0.5f},
     {2},
     {3}},
    {"a closed group loses even to negative scores",
     4,
     2,
     2,
     1,
     FA_SCORE_SIGMOID,
     FA_TOPK_NOAUX,
     false,
     1,
     {0.4, 0.1, 0.2, 0.2},
     {0.6f, -0.5f, 0, 0},
     {0, 1},
     {0.4, 0.1}},
    {"the lower id wins a tie",
     4,
     2,
     1,
     1,
     FA_SCORE_SIGMOID,
     FA_TOPK_GREEDY,
     false,
     1,
     {0.1, 0.3, 0.3, 0.3},
     {0},
     {1, 2},
     {0.3, 0.3}},
    {"the lower group wins a tie",
     4,
     2,
     2,
     1,
     FA_SCORE_SIGMOID,
     FA_TOPK_NOAUX,
     false,
     1,
     {0.1, 0.3, 0.3, 0.1},
     {0},
     {0, 1},
     {0.1, 0.3}},
};

static fa_config config_of(const hand_case *h) {
    return (fa_config){.experts = h->experts,
                       .top_k = h->top_k,
                       .groups = h->groups,
                       .top_groups = h->top_groups,
                       .scoring = h->scoring,
                       .topk_method = h->method,
                       .norm_topk = h->norm,
                       .routed_scale = h->scale};
}

static void one_by_hand(void *arg) {
    const hand_case *h = arg;
    fa_config c = config_of(h);
    float logits[8], weights[4], scratch[64];
    int32_t ids[4];
    CHECK(fa_route_scratch(&c) <= 64);
    for (int i = 0; i < h->experts; i++)
        logits[i] = h->scoring == FA_SCORE_SOFTMAX ? (float)log(h->score[i]) : logit(h->score[i]);
    fa_route(&c, h->bias, logits, 1, scratch, ids, weights);
    for (int k = 0; k < h->top_k; k++) {
        CHECK(ids[k] == h->ids[k], "choice %d: %d, want %d", k, ids[k], h->ids[k]);
        CHECK(fabs(weights[k] - h->weights[k]) < 1e-6 * h->weights[k], "weight %d: %g, want %g", k, weights[k],
              h->weights[k]);
    }
}

/* A second opinion, in double and by sorting: experts of closed groups score -1e9. */
static void expected(const fa_config *c, const float *bias, const float *logits, bool *chosen, double *weight) {
    double score[MAX_EXPERTS], choice[MAX_EXPERTS] = {0}, sum = 0;
    for (int i = 0; i < c->experts; i++) {
        score[i] = c->scoring == FA_SCORE_SOFTMAX ? exp(logits[i]) : 1 / (1 + exp(-logits[i]));
        sum += score[i];
    }
    for (int i = 0; i < c->experts; i++) {
        if (c->scoring == FA_SCORE_SOFTMAX) score[i] /= sum;
        choice[i] = score[i] + bias[i];
        chosen[i] = false;
    }
    int size = c->experts / c->groups;
    double group[MAX_EXPERTS];
    for (int g = 0; g < c->groups; g++) {
        double a = -1e9, b = -1e9;
        for (int i = g * size; i < (g + 1) * size; i++) {
            if (choice[i] > a)
                b = a, a = choice[i];
            else if (choice[i] > b)
                b = choice[i];
        }
        group[g] = c->topk_method == FA_TOPK_NOAUX ? a + b : a;
    }
    for (int g = 0; g < c->groups && c->topk_method != FA_TOPK_GREEDY; g++) {
        int better = 0;
        for (int k = 0; k < c->groups; k++) better += group[k] > group[g];
        for (int i = g * size; i < (g + 1) * size && better >= c->top_groups; i++) choice[i] = -1e9;
    }
    double total = 0;
    for (int i = 0; i < c->experts; i++) {
        int better = 0;
        for (int k = 0; k < c->experts; k++) better += choice[k] > choice[i];
        chosen[i] = better < c->top_k;
        if (chosen[i]) total += score[i];
    }
    for (int i = 0; i < c->experts; i++) weight[i] = score[i] / (c->norm_topk ? total : 1) * c->routed_scale;
}

static void random_rows(void *unused) {
    (void)unused;
    static const fa_config shapes[] = {
        {.experts = 64, .top_k = 6, .groups = 1, .top_groups = 1, .routed_scale = 1},
        {.experts = 20,
         .top_k = 4,
         .groups = 5,
         .top_groups = 2,
         .topk_method = FA_TOPK_GROUP_LIMITED,
         .routed_scale = 16},
        {.experts = 64,
         .top_k = 8,
         .groups = 8,
         .top_groups = 4,
         .topk_method = FA_TOPK_NOAUX,
         .scoring = FA_SCORE_SIGMOID,
         .norm_topk = true,
         .routed_scale = 2.5f},
    };
    check_rng r = {11};
    for (int s = 0; s < 3; s++)
        for (int row = 0; row < 300; row++) {
            const fa_config *c = &shapes[s];
            float logits[MAX_EXPERTS], bias[MAX_EXPERTS], scratch[5 * MAX_EXPERTS], weights[MAX_TOP];
            int32_t ids[MAX_TOP];
            bool chosen[MAX_EXPERTS];
            double weight[MAX_EXPERTS];
            for (int i = 0; i < c->experts; i++) {
                logits[i] = 2 * check_normal(&r);
                bias[i] = c->topk_method == FA_TOPK_NOAUX ? 0.1f * check_normal(&r) : 0;
            }
            fa_route(c, bias, logits, 1, scratch, ids, weights);
            expected(c, bias, logits, chosen, weight);
            for (int k = 0; k < c->top_k; k++) {
                CHECK(chosen[ids[k]], "shape %d row %d: %d is not among the best", s, row, ids[k]);
                CHECK(k == 0 || ids[k] > ids[k - 1], "ids do not rise");
                CHECK(fabs(weights[k] - weight[ids[k]]) < 1e-6 * weight[ids[k]], "%g, want %g", weights[k],
                      weight[ids[k]]);
            }
        }
}

static void not_a_number(void *unused) {
    (void)unused;
    for (int method = 0; method < 3; method++) {
        fa_config c = {.experts = 8,
                       .top_k = 4,
                       .groups = 4,
                       .top_groups = 2,
                       .topk_method = (fa_topk_method)method,
                       .scoring = FA_SCORE_SIGMOID,
                       .norm_topk = true,
                       .routed_scale = 1};
        float logits[16], scratch[64], weights[8];
        int32_t ids[8];
        for (int i = 0; i < 16; i++) logits[i] = i < 8 ? NAN : (float)i;
        fa_route(&c, NULL, logits, 2, scratch, ids, weights);
        for (int k = 0; k < 8; k++) {
            CHECK(ids[k] >= 0 && ids[k] < 8 && (k % 4 == 0 || ids[k] > ids[k - 1]), "id %d is %d", k, ids[k]);
            CHECK(isnan(weights[k]) == (k < 4), "weight %d is %g", k, weights[k]);
        }
    }
}

int main(int argc, char **argv) {
    enum { N_HAND = sizeof by_hand / sizeof *by_hand };
    check_case cases[N_HAND + 2] = {
        {"random rows agree with a plain double-precision router", random_rows, NULL},
        {"NaN scores give valid ids and NaN weights, in that row alone", not_a_number, NULL},
    };
    for (int i = 0; i < N_HAND; i++) cases[2 + i] = (check_case){by_hand[i].what, one_by_hand, (void *)&by_hand[i]};
    return check_main(argc, argv, cases, N_HAND + 2);
}
