/* Log-probabilities of a prompt's tokens, for those who judge a text instead of writing one. The row of a token gives the logits of the
 * next one, so scoring from a token on needs all rows from the one before it; rows before that may come from the cache. Logits of a
 * step have little room, so a prompt that is scored goes through the model in shorter pieces than others. */
#include <string.h>

#include "host/engine/internal.h"
#include "host/engine/sized.h"

bool fa_score_waits(const fathom_session *s) {
    return s->score_next < s->n_prompt;
}

int32_t fa_score_wanted(const fathom_session *s, int32_t share) {
    int32_t waiting = fa_session_waiting(s), before = s->score_next - 1 - fa_sequence_length(s->sequence);
    return fa_score_waits(s) && waiting > before + share ? before + share : waiting;
}

int32_t fa_score_logits(const fa_turn *turn) {
    const fathom_session *s = turn->session;
    int32_t n = fa_sequence_length(s->sequence) + turn->rows - (s->score_next - 1);
    return fa_score_waits(s) && n > 0 ? n : 0;
}

fa_status fa_score_take(const fathom_engine *g, const fa_turn *turn, fa_error *e) {
    fathom_session *s = turn->session;
    int32_t vocab = g->setup.config.vocab, n = fa_score_logits(turn);
    const float *logits = g->batch.logits + (int64_t)turn->first_logits * vocab;
    s->n_scored = s->n_scored_seen = 0;
    for (int32_t i = 0; i < n && fa_score_waits(s); i++) {
        fa_choice c = {.id = s->tokens[s->score_next]};
        fa_status st = fa_score(logits + (int64_t)i * vocab, vocab, s->sampling.top_logprobs, &c, e);
        if (st) return fa_error_prefix(e, st, "position %d", s->score_next - 1);
        fathom_token *t = &s->scored[s->n_scored++];
        *t = (fathom_token){.id = c.id, .text = "", .logprob = c.logprob, .n_top = c.n_top};
        memcpy(t->top_ids, c.top_ids, sizeof c.top_ids);
        memcpy(t->top_logprobs, c.top_logprobs, sizeof c.top_logprobs);
        s->score_next++;
    }
    return FA_OK;
}

bool fathom_session_scored_sized(fathom_session *s, fathom_token *token, size_t size) {
    if (s->n_scored_seen == s->n_scored) return false;
    fa_sized_out(token, size, &s->scored[s->n_scored_seen++], sizeof *s->scored);
    return true;
}
