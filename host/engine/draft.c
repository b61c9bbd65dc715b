/* Speculative decoding (Leviathan et al., arXiv 2211.17192): tokens are guessed ahead, one step computes them all, and the sampler
 * chooses at each of their rows as it would without guesses. A guess stands when it is the token that was chosen, so an answer has
 * the same ids and bits with drafts as without, at any temperature; a guess is one token, not a distribution, so no rule accepts it
 * more often. Guesses come from the multi-token-prediction layer (arXiv 2412.19437, section 2.2), which goes on from its own output
 * for those after the first, or from what the text repeats (prompt lookup: Saxena 2023). */
#include "host/engine/internal.h"

enum {
    DRAFT_ROWS = 16,   /* of a step: with more, a row costs too much to be spent on a guess */
    LOOKUP_LEAST = 2,  /* tokens that must repeat */
    LOOKUP_ENOUGH = 4, /* of two places where that many repeat, the later one is taken */
};

int32_t fa_draft_room(const fathom_engine *g) {
    return g->setup.mtp && g->setup.drafts > 1 ? g->setup.drafts - 1 : 0;
}

void fa_draft_learn(fathom_session *s, int32_t tried, int32_t accepted) {
    s->usage.draft_tokens += tried;
    s->usage.accepted_tokens += accepted;
    if (!tried) return;
    int32_t most = accepted == tried ? s->most_drafts + 1 : accepted + 1;
    s->most_drafts = most < s->engine->setup.drafts ? most : s->engine->setup.drafts;
}

static int32_t least(int32_t a, int32_t b) {
    return a < b ? a : b;
}

static bool goes_on(const fa_turn *t) {
    const fathom_session *s = t->session;
    return t->kept && s->finish == FATHOM_RUNNING && s->n_new > 0 && !s->drawing.on;
}

/* How many drafts each session gets: none past its last token, the fewer the more sessions answer at once. */
static void share(fathom_engine *g) {
    fa_batch *b = &g->batch;
    int32_t answering = 0;
    for (int32_t i = 0; i < b->n_turns; i++) answering += goes_on(&b->turns[i]);
    for (int32_t i = 0; i < b->n_turns; i++) {
        fa_turn *t = &b->turns[i];
        const fathom_session *s = t->session;
        t->drafts = 0;
        if (!goes_on(t)) continue;
        int32_t n = least(s->most_drafts, DRAFT_ROWS / answering - 1);
        if (!t->has_room) n = least(n, 1);
        if (s->sampling.max_tokens) n = least(n, s->sampling.max_tokens - s->n_new - 1);
        n = least(n, g->setup.context - s->n_prompt - s->n_new);
        t->drafts = n > 0 ? n : 0;
    }
}

static void guess(fathom_session *s, int32_t id) {
    s->tokens[s->n_prompt + s->n_new + s->n_draft++] = id;
}

/* --- by what the text repeats ------------------------------------------------------------------------------------------- */

/* Tokens before `end` that equal those before `n`, at most LOOKUP_ENOUGH. */
static int32_t repeated(const int32_t *tokens, int32_t n, int32_t end) {
    int32_t same = 0;
    while (same < LOOKUP_ENOUGH && same < end && tokens[end - 1 - same] == tokens[n - 1 - same]) same++;
    return same;
}

static void look_up(fathom_session *s, int32_t most) {
    int32_t n = s->n_prompt + s->n_new, from = 0, longest = LOOKUP_LEAST - 1;
    for (int32_t end = n - 1; end > 0 && longest < LOOKUP_ENOUGH; end--) {
        int32_t same = repeated(s->tokens, n, end);
        if (same > longest) {
            longest = same;
            from = end;
        }
    }
    for (int32_t i = from; from && i < n && s->n_draft < most; i++) guess(s, s->tokens[i]);
}

/* --- by the MTP layer ----------------------------------------------------------------------------------------------------- */

static fa_step mtp_step(const fathom_engine *g, int32_t rows, int32_t n_logits) {
    const fa_batch *b = &g->batch;
    return (fa_step){.rows = rows,
                     .tokens = b->tokens,
                     .place = b->place,
                     .pool = fa_cache_pool(g->cache),
                     .n_logits = n_logits,
                     .logit_rows = b->logit_rows,
                     .logits = b->logits};
}

/* The draft number `k` of each session that wants so many, from the logits that were just made. */
static void take_guesses(fathom_engine *g, int32_t k) {
    const fa_batch *b = &g->batch;
    int32_t vocab = g->setup.config.vocab, at = 0;
    for (int32_t i = 0; i < b->n_turns; i++)
        if (b->turns[i].drafts > k) guess(b->turns[i].session, fa_largest(b->logits + (int64_t)at++ * vocab, vocab));
}

/* The rows that stand, each with the token behind it: their keys of the layer go into the cache beside the model's. The batch's
 * rows move up over those that do not stand. */
static fa_status first_pass(fathom_engine *g) {
    fa_batch *b = &g->batch;
    int32_t n = 0, n_logits = 0;
    for (int32_t i = 0; i < b->n_turns; i++) {
        fa_turn *t = &b->turns[i];
        for (int32_t k = 0; k < t->kept; k++, n++) {
            b->place[n] = b->place[t->first + k];
            b->tokens[n] = t->session->tokens[b->place[n].pos + 1];
            b->from[n] = t->first + k;
        }
        t->first = n - 1;
        if (t->drafts) b->logit_rows[n_logits++] = n - 1;
    }
    fa_step step = mtp_step(g, n, n_logits);
    fa_error e;
    return n ? fa_model_mtp(g->model, &step, FA_MTP_AFTER_STEP, b->from, &e) : FA_ELIMIT;
}

/* Draft `k` > 0: one row for each session that wants it, behind its row of the pass before. */
static fa_status next_pass(fathom_engine *g, int32_t k) {
    fa_batch *b = &g->batch;
    int32_t n = 0;
    for (int32_t i = 0; i < b->n_turns; i++) {
        fa_turn *t = &b->turns[i];
        const fathom_session *s = t->session;
        if (t->drafts <= k) continue;
        b->place[n] = (fa_place){b->place[t->first].pos + 1, b->place[t->first].pages};
        b->tokens[n] = s->tokens[s->n_prompt + s->n_new + k - 1];
        b->from[n] = t->first;
        b->logit_rows[n] = n;
        t->first = n++;
    }
    fa_step step = mtp_step(g, n, n);
    fa_error e;
    return n ? fa_model_mtp(g->model, &step, FA_MTP_AFTER_MTP, b->from, &e) : FA_ELIMIT;
}

void fa_draft(fathom_engine *g) {
    fa_batch *b = &g->batch;
    share(g);
    for (int32_t i = 0; i < b->n_turns; i++) {
        fa_turn *t = &b->turns[i];
        t->session->n_draft = 0;
        if (t->drafts && !g->setup.mtp) look_up(t->session, t->drafts);
    }
    if (!g->setup.mtp || first_pass(g)) return;
    int32_t k = 0;
    do take_guesses(g, k++);
    while (k < g->setup.drafts && !next_pass(g, k));
}
