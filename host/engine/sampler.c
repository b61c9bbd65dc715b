#include "host/engine/sampler.h"

#include <math.h>
#include <stddef.h>
#include <string.h>

#include "host/backend/scalar.h"
#include "host/base/threads.h"
#include "host/engine/random.h"

static const float ONE = 0x1p40f;  /* the weight of the largest logit */
static const float LEAST = -28.0f; /* exp(z) * 2^40 < 1 below it */

fa_status fa_sampler_open(fa_sampler *s, fa_arena *arena, int32_t vocab, fa_error *e) {
    s->vocab = vocab;
    s->logits = fa_arena_array(arena, (size_t)vocab, sizeof *s->logits);
    s->count = fa_arena_array(arena, (size_t)vocab, sizeof *s->count);
    s->candidate = fa_arena_array(arena, (size_t)vocab, sizeof *s->candidate);
    if (!s->logits || !s->count || !s->candidate) return fa_fail(e, FA_ENOMEM, "sampler: out of memory");
    return FA_OK;
}

fa_status fa_sampling_check(const fathom_sampling *p, int32_t vocab, fa_error *e) {
    const struct {
        const char *name;
        float value, min, max;
        bool zero_is_off;
    } field[] = {
        {"temperature", p->temperature, 0, 100, true},
        {"top_p", p->top_p, 0, 1, true},
        {"min_p", p->min_p, 0, 1, true},
        {"repetition_penalty", p->repetition_penalty, 0.01f, 100, true},
        {"presence_penalty", p->presence_penalty, -100, 100, true},
        {"frequency_penalty", p->frequency_penalty, -100, 100, true},
        {"top_k", (float)p->top_k, 0, INFINITY, true},
        {"max_tokens", (float)p->max_tokens, 0, INFINITY, true},
        {"top_logprobs", (float)p->top_logprobs, 0, FA_TOP_LOGPROBS, true},
        {"n_stop", (float)p->n_stop, 0, INFINITY, true},
        {"n_stop_ids", (float)p->n_stop_ids, 0, INFINITY, true},
    };
    for (size_t i = 0; i < sizeof field / sizeof *field; i++) {
        float v = field[i].value;
        if (!(v == 0 || (v >= field[i].min && v <= field[i].max)))
            return fa_fail(e, FA_EINVAL, "sampling: %s is %g, must be in %g .. %g", field[i].name, (double)v,
                           (double)field[i].min, (double)field[i].max);
    }
    for (int32_t i = 0; i < p->n_stop_ids; i++) {
        if (p->stop_ids[i] < 0 || p->stop_ids[i] >= vocab)
            return fa_fail(e, FA_EINVAL, "sampling: stop_ids[%d] is %d, must be in 0 .. %d", i, p->stop_ids[i],
                           vocab - 1);
    }
    return FA_OK;
}

fa_status fa_logits_check(const float *logits, int32_t n, fa_error *e) {
    uint32_t worst = 0;
    for (int32_t i = 0; i < n; i++) {
        uint32_t magnitude = fa_bits(logits[i]) & 0x7fffffffu;
        worst = magnitude > worst ? magnitude : worst;
    }
    if (worst < 0x7f800000u) return FA_OK;
    int32_t i = 0;
    while (isfinite(logits[i])) i++;
    return fa_fail(e, FA_ENUMERIC, "logit %d is %f: the model's numbers left the range of FP32", i, (double)logits[i]);
}

/* --- penalties -------------------------------------------------------------------------------------------------- */

static bool has_penalties(const fathom_sampling *p) {
    bool repetition = p->repetition_penalty != 0 && p->repetition_penalty != 1;
    return repetition || p->presence_penalty != 0 || p->frequency_penalty != 0;
}

/* The logits with penalties, each token of the history once: `count` marks those that were done. */
static const float *penalise(fa_sampler *s, const fathom_sampling *p, const float *logits, const fa_history *h) {
    int32_t n = h->n_prompt + h->n_new;
    float r = p->repetition_penalty;
    memcpy(s->logits, logits, (size_t)s->vocab * sizeof *logits);
    if (r != 0 && r != 1) {
        for (int32_t i = 0; i < n; i++) {
            float *x = &s->logits[h->tokens[i]];
            if (s->count[h->tokens[i]]++ == 0) *x = *x > 0 ? *x / r : *x * r;
        }
        for (int32_t i = 0; i < n; i++) s->count[h->tokens[i]] = 0;
    }
    for (int32_t i = h->n_prompt; i < n; i++) s->count[h->tokens[i]]++;
    for (int32_t i = h->n_prompt; i < n; i++) {
        int32_t id = h->tokens[i];
        if (s->count[id] == 0) continue;
        float by_count = (float)s->count[id] * p->frequency_penalty;
        s->logits[id] = s->logits[id] - by_count - p->presence_penalty;
        s->count[id] = 0;
    }
    return s->logits;
}

/* The logits, with penalties or as they are, without the tokens that are not allowed. */
static const float *restrict_to(fa_sampler *s, const uint32_t *allowed, const float *x) {
    for (int32_t i = 0; i < s->vocab; i++) s->logits[i] = allowed[i >> 5] >> (i & 31) & 1 ? x[i] : -INFINITY;
    return s->logits;
}

/* --- weights and filters ------------------------------------------------------------------------------------------ */

int32_t fa_largest(const float *x, int32_t n) {
    int32_t best = 0;
    for (int32_t i = 1; i < n; i++) {
        if (x[i] > x[best]) best = i;
    }
    return best;
}

/* floor(exp(z) * 2^40) for z <= 0. */
static uint64_t weight_of(float z) {
    return z > LEAST ? (uint64_t)(fa_exp(z) * ONE) : 0;
}

static uint64_t key_of(float logit, int32_t id) {
    uint32_t u = fa_bits(logit + 0.0f); /* -0 becomes +0 */
    u = u & 0x80000000u ? ~u : u | 0x80000000u;
    return (uint64_t)u << 32 | (0xffffffffu - (uint32_t)id);
}

static int32_t id_of(uint64_t key) {
    return (int32_t)(0xffffffffu - (uint32_t)key);
}

/* All tokens of a weight above 0, by rising id. */
static int32_t gather(fa_candidate *c, const float *x, int32_t n, float max, float temperature) {
    int32_t found = 0;
    for (int32_t i = 0; i < n; i++) {
        float z = (x[i] - max) / temperature;
        uint64_t w = weight_of(z);
        if (w) c[found++] = (fa_candidate){key_of(x[i], i), w};
    }
    return found;
}

/* Keeps the fewest candidates of largest keys whose weights (or whose number, when `counting`) reach `target`; their order
 * stays. The cut is found digit by digit of the key from the top: no sort, and no input is slow. */
static int32_t keep_top(fa_candidate *c, int32_t n, uint64_t target, bool counting) {
    uint64_t cut = 0, above = 0; /* leading digits of the last key kept; sum over the larger keys */
    for (int shift = 56; shift >= 0; shift -= 8) {
        uint64_t sum[256] = {0};
        for (int32_t i = 0; i < n; i++) {
            bool at_cut = shift == 56 || c[i].key >> (shift + 8) == cut;
            if (at_cut) sum[c[i].key >> shift & 255] += counting ? 1 : c[i].weight;
        }
        unsigned digit = 255;
        while (digit > 0 && above + sum[digit] < target) above += sum[digit--];
        cut = cut << 8 | digit;
    }
    int32_t kept = 0;
    for (int32_t i = 0; i < n; i++) {
        if (c[i].key >= cut) c[kept++] = c[i];
    }
    return kept;
}

static uint64_t sum_of(const fa_candidate *c, int32_t n) {
    uint64_t sum = 0;
    for (int32_t i = 0; i < n; i++) sum += c[i].weight;
    return sum;
}

static int32_t filter(fa_candidate *c, int32_t n, const fathom_sampling *p) {
    if (p->top_k > 0 && p->top_k < n) n = keep_top(c, n, (uint64_t)p->top_k, true);
    if (p->top_p > 0 && p->top_p < 1) n = keep_top(c, n, (uint64_t)((double)p->top_p * (double)sum_of(c, n)), false);
    uint64_t least = (uint64_t)(p->min_p * ONE);
    int32_t kept = 0;
    for (int32_t i = 0; i < n; i++) {
        if (c[i].weight >= least) c[kept++] = c[i];
    }
    return kept;
}

/* The token at which the running sum of weights passes u / 2^64 of the whole. */
static int32_t draw(const fa_candidate *c, int32_t n, uint64_t u) {
    uint64_t at = (uint64_t)((unsigned __int128)u * sum_of(c, n) >> 64);
    int32_t i = 0;
    while (i < n - 1 && at >= c[i].weight) at -= c[i++].weight;
    return id_of(c[i].key);
}

static int32_t choose(fa_sampler *s, const fathom_sampling *p, const float *x, uint64_t n_new) {
    int32_t best = fa_largest(x, s->vocab);
    if (p->temperature == 0) return best;
    int32_t n = gather(s->candidate, x, s->vocab, x[best], p->temperature);
    if (n == 0) return best; /* penalties made the largest logit infinite */
    n = filter(s->candidate, n, p);
    return draw(s->candidate, n, fa_random(p->seed, n_new));
}

/* --- log-probabilities ---------------------------------------------------------------------------------------------- */

/* Natural logarithm for x >= 1 as 2 artanh((m - 1) / (m + 1)) + k ln 2 with x = m 2^k and m in [0.7, 1.5): basic double
 * operations in a fixed order, so the same bits everywhere; error below 1e-15 relative to ln 2. */
static double natural_log(double x) {
    uint64_t bits;
    memcpy(&bits, &x, sizeof bits);
    int k = (int)(bits >> 52) - 1023;
    bits = (bits & 0xfffffffffffffu) | 0x3ff0000000000000u;
    double m;
    memcpy(&m, &bits, sizeof m);
    if (m > 1.4) {
        m *= 0.5;
        k++;
    }
    double s = (m - 1) / (m + 1), s2 = s * s, sum = 0;
    for (int i = 23; i >= 1; i -= 2) sum = sum * s2 + 1.0 / i;
    return k * 0.6931471805599453 + 2 * s * sum;
}

/* The `n` largest logits, largest first. */
static void find_top(const float *x, int32_t vocab, int32_t n, uint64_t *top) {
    int32_t found = 0;
    for (int32_t i = 0; i < vocab; i++) {
        uint64_t key = key_of(x[i], i);
        if (found == n && key < top[n - 1]) continue;
        int32_t at = found < n ? found++ : n - 1;
        for (; at > 0 && top[at - 1] < key; at--) top[at] = top[at - 1];
        top[at] = key;
    }
}

static void report(const float *logits, int32_t vocab, int32_t n_top, fa_choice *out) {
    float max = logits[fa_largest(logits, vocab)];
    uint64_t sum = 0;
    for (int32_t i = 0; i < vocab; i++) sum += weight_of(logits[i] - max);
    double log_sum = natural_log((double)sum * 0x1p-40) + (double)max;
    out->logprob = (float)((double)logits[out->id] - log_sum);
    out->n_top = n_top < vocab ? n_top : vocab;
    if (out->n_top <= 0) return;
    uint64_t top[FA_TOP_LOGPROBS] = {0};
    find_top(logits, vocab, out->n_top, top);
    for (int32_t i = 0; i < out->n_top; i++) {
        out->top_ids[i] = id_of(top[i]);
        out->top_logprobs[i] = (float)((double)logits[out->top_ids[i]] - log_sum);
    }
}

fa_status fa_score(const float *logits, int32_t vocab, int32_t n_top, fa_choice *out, fa_error *e) {
    fa_status st = fa_logits_check(logits, vocab, e);
    if (st) return st;
    unsigned mode = fa_fp_enter();
    report(logits, vocab, n_top, out);
    fa_fp_leave(mode);
    return FA_OK;
}

fa_status fa_sample(fa_sampler *s, const fathom_sampling *p, const float *logits, const fa_history *h, fa_choice *out,
                    fa_error *e) {
    fa_status st = fa_logits_check(logits, s->vocab, e);
    if (st) return st;
    unsigned mode = fa_fp_enter();
    const float *x = has_penalties(p) ? penalise(s, p, logits, h) : logits;
    if (h->allowed) x = restrict_to(s, h->allowed, x);
    out->id = choose(s, p, x, (uint64_t)h->n_new);
    report(logits, s->vocab, p->top_logprobs, out);
    fa_fp_leave(mode);
    return FA_OK;
}
