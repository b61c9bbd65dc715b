#include "sim/planner/routes.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "host/model/trace.h"

/* p_r = min(1, scale * weight_r) with the scale that makes the sum top_k. Weights fall, so the capped ones come first. */
static void fit(fa_routes *r) {
    double rest = 0;
    for (int i = 0; i < r->experts; i++) rest += r->p[i];
    int capped = 0;
    while (capped < r->top_k && r->p[capped] * (r->top_k - capped) > rest) rest -= r->p[capped++];
    double scale = rest > 0 ? (r->top_k - capped) / rest : 0;
    for (int i = 0; i < r->experts; i++) r->p[i] = i < capped ? 1 : fmin(1, r->p[i] * scale);
}

void fa_routes_zipf(fa_routes *r, const fa_config *c, double skew) {
    *r = (fa_routes){.experts = c->experts, .top_k = c->top_k};
    for (int i = 0; i < r->experts; i++) r->p[i] = pow(i + 1, -skew);
    fit(r);
}

/* ---- traces ---- */

static int falling(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x < y) - (x > y);
}

/* Ranks each layer's experts and averages the probabilities of a rank. */
static void average(fa_routes *r, const fa_config *c, double *all_visits, const int64_t *tokens) {
    int layers = 0;
    for (int l = 0; l < c->layers; l++) {
        if (!tokens[l]) continue;
        double *visits = all_visits + (size_t)l * (size_t)c->experts;
        qsort(visits, (size_t)c->experts, sizeof *visits, falling);
        for (int i = 0; i < c->experts; i++) r->p[i] += visits[i] / (double)tokens[l];
        layers++;
    }
    for (int i = 0; i < c->experts; i++) r->p[i] /= layers;
    fit(r);
}

fa_status fa_routes_trace(fa_routes *r, const fa_config *c, const char *path, fa_error *e) {
    *r = (fa_routes){.experts = c->experts, .top_k = c->top_k};
    double *visits = calloc((size_t)c->layers * (size_t)c->experts + 1, sizeof *visits);
    int64_t *tokens = calloc((size_t)c->layers, sizeof *tokens);
    if (!visits || !tokens) {
        free(visits);
        free(tokens);
        return fa_fail(e, FA_ENOMEM, "%s: memory ran out", path);
    }
    fa_status s = fa_trace_count(c, path, visits, tokens, e);
    if (!s) average(r, c, visits, tokens);
    free(visits);
    free(tokens);
    return s;
}

/* ---- load ---- */

static void add_rows(hls_passes *passes, int32_t rows, int32_t a_pass, double times) {
    int32_t full = rows / a_pass;
    passes->of[a_pass] += times * full;
    if (rows % a_pass) passes->of[rows % a_pass] += times;
}

/* Expected passes by their rows, for n binomial(rows, p): n / a_pass full ones and one with the rest. Counted from the side where
 * a token is likelier, so that chances do not underflow; where they do, every rest is as likely. */
static hls_passes expected_passes(double p, int32_t rows, int32_t a_pass) {
    hls_passes passes = {{0}};
    bool often = p > 0.5;
    double odds = often ? 1 / p - 1 : p / (1 - p);
    double chance = pow(often ? p : 1 - p, rows); /* of k tokens that come, or with `often` stay away */
    for (int32_t k = 0; k <= rows && chance > 0; k++) {
        add_rows(&passes, often ? rows - k : k, a_pass, chance);
        chance *= odds * (rows - k) / (k + 1);
    }
    if (pow(often ? p : 1 - p, rows) > 0) return passes;
    for (int32_t k = 1; k < a_pass; k++) passes.of[k] = 1.0 / a_pass;
    passes.of[a_pass] += (rows * p - (a_pass - 1) / 2.0) / a_pass;
    return passes;
}

/* The mean of the largest number of visited experts in a bin, bins taken as independent: the sum over m of
 * 1 - product of P(bin has at most m). `seen`: probability of each expert. */
static double expected_busiest(const double *seen, int32_t experts, int32_t bins) {
    static const double negligible = 1e-9;
    int32_t most = (experts + bins - 1) / bins;
    double at_most[FA_ROUTES_EXPERTS + 1], chance[FA_ROUTES_EXPERTS + 1];
    for (int32_t m = 0; m <= most; m++) at_most[m] = 1;
    for (int32_t b = 0; b < bins && b < experts; b++) {
        int32_t n = 0; /* experts of this bin so far; chance[k]: that k of them are visited */
        chance[0] = 1;
        for (int32_t i = b; i < experts; i += bins, n++) {
            chance[n + 1] = chance[n] * seen[i];
            for (int32_t k = n; k > 0; k--) chance[k] = chance[k] * (1 - seen[i]) + chance[k - 1] * seen[i];
            chance[0] *= 1 - seen[i];
        }
        double sum = 0;
        for (int32_t m = 0; m <= most; m++) {
            sum += m <= n ? chance[m] : 0;
            at_most[m] *= fmin(1, sum);
        }
    }
    double mean = 0;
    for (int32_t m = 0; m < most && 1 - at_most[m] > negligible; m++) mean += 1 - at_most[m];
    return mean;
}

fa_load fa_routes_load(const fa_routes *r, int32_t rows, int32_t rows_a_pass, int32_t bins, int32_t resident) {
    fa_load load = {0};
    double seen[FA_ROUTES_EXPERTS];
    for (int32_t i = 0; i < r->experts; i++) {
        bool again = i && r->p[i] == r->p[i - 1];
        seen[i] = again ? seen[i - 1] : -expm1(rows * log1p(-fmin(r->p[i], 1 - 1e-15)));
        load.visited += seen[i];
        if (i >= resident) load.absent += seen[i];
    }
    hls_passes each = {{0}};
    for (int32_t i = 0; i < r->experts; i++) {
        if (!i || r->p[i] != r->p[i - 1]) each = expected_passes(r->p[i], rows, rows_a_pass);
        for (int32_t k = 1; k <= rows_a_pass; k++) {
            load.passes.of[k] += each.of[k];
            load.n_passes += each.of[k];
        }
    }
    double even = 1.0 / bins;
    double busiest = bins > 1 && load.visited > 0 ? expected_busiest(seen, r->experts, bins) / load.visited : 1;
    load.busiest = fmin(1, fmax(even, busiest));
    return load;
}
