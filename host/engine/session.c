/* A session: one conversation's tokens, how it samples, and the text that comes out. */
#include <stdlib.h>
#include <string.h>

#include "host/engine/internal.h"
#include "host/engine/sized.h"

fathom_status fathom_session_open(fathom_engine *g, uint64_t owner, fathom_session **out, fathom_error *error) {
    fa_error *e = fa_error_of(error);
    *out = NULL;
    fathom_session *s = NULL;
    for (int32_t i = 0; i < g->setup.sessions && !s; i++) {
        if (!g->sessions[i].open) s = &g->sessions[i];
    }
    if (!s) return (fathom_status)fa_fail(e, FA_ELIMIT, "engine: all %d sessions are open", g->setup.sessions);
    fa_status st = fa_sequence_open(g->cache, owner, &s->sequence, e);
    if (st) return (fathom_status)st;
    s->open = true;
    s->background = false;
    s->n_prompt = s->n_new = 0;
    s->finish = FATHOM_STOP;
    *out = s;
    return FATHOM_OK;
}

void fathom_session_close(fathom_session *s) {
    if (!s || !s->open) return;
    fa_pictures_release(s);
    fa_drawing_release(s);
    fa_sequence_close(s->sequence);
    fa_stops_close(&s->stops);
    fa_constraint_close(s->constraint);
    fa_text_free(&s->piece);
    fa_text_free(&s->text);
    free(s->stop_ids);
    fathom_engine *engine = s->engine;
    int32_t *tokens = s->tokens, *keys = s->pictures.keys, *without = s->drawing.tokens;
    fathom_token *made = s->made, *scored = s->scored;
    *s = (fathom_session){.engine = engine,
                          .tokens = tokens,
                          .made = made,
                          .scored = scored,
                          .pictures.keys = keys,
                          .drawing.tokens = without};
}

/* --- the prompt --------------------------------------------------------------------------------------------------- */

static fa_status check_prompt(const fathom_session *s, const int32_t *ids, size_t n, const fathom_sampling *p,
                              fa_error *e) {
    const fa_setup *setup = &s->engine->setup;
    if (n == 0) return fa_fail(e, FA_EINVAL, "prompt: no tokens");
    if (n > (size_t)setup->context)
        return fa_fail(e, FA_ELIMIT, "prompt: %zu tokens, but the context holds %d", n, setup->context);
    for (size_t i = 0; i < n; i++) {
        if (ids[i] < 0 || ids[i] >= setup->config.vocab)
            return fa_fail(e, FA_EINVAL, "prompt: ids[%zu] is %d, must be in 0 .. %d", i, ids[i],
                           setup->config.vocab - 1);
    }
    if (p->score_from < 0 || (size_t)p->score_from > n)
        return fa_fail(e, FA_EINVAL, "sampling: score_from is %d, must be in 0 .. %zu, as the prompt has %zu tokens",
                       p->score_from, n, n);
    fa_status st = fa_sampling_check(p, setup->config.vocab, e);
    if (!st && p->n_stop > 0 && !s->engine->tokenizer)
        st = fa_fail(e, FA_EINVAL, "sampling: stop texts need a tokenizer, and %s has none", s->engine->name);
    return st;
}

static bool reserve(fa_text *t, size_t bytes) {
    if (t->capacity < bytes) {
        char *more = realloc(t->data, bytes);
        if (!more) return false;
        t->data = more;
        t->capacity = bytes;
    }
    t->n = 0;
    t->data[0] = 0;
    return true;
}

/* All memory that the steps of this answer need, each of which may make 1 + drafts tokens. Of a token at most 3 bytes come out for each byte it has or the decoder
 * held (U+FFFD); of the stop texts what was held back may come with it. */
static fa_status take_memory(fathom_session *s, const fathom_sampling *p, fa_error *e) {
    fa_stops stops;
    fa_status st = fa_stops_open(&stops, p->stop, p->n_stop, e);
    if (st) return st;
    if (p->thinking) stops.behind = "</think>";
    size_t piece = 3 * (s->engine->longest_piece + sizeof s->decoder.held) + 1;
    int32_t *ids = malloc(((size_t)p->n_stop_ids + 1) * sizeof *ids);
    if (!ids || !reserve(&s->piece, piece + (size_t)stops.longest) ||
        !reserve(&s->text, (piece + (size_t)stops.longest + 1) * (size_t)(1 + s->engine->setup.drafts))) {
        free(ids);
        fa_stops_close(&stops);
        return fa_fail(e, FA_ENOMEM, "session: out of memory");
    }
    if (p->n_stop_ids) memcpy(ids, p->stop_ids, (size_t)p->n_stop_ids * sizeof *ids);
    fa_stops_close(&s->stops);
    free(s->stop_ids);
    s->stops = stops;
    s->stop_ids = ids;
    return FA_OK;
}

fathom_status fa_session_prompt(fathom_session *s, const int32_t *ids, size_t n, const fathom_sampling *p,
                                fa_constraint *constraint, fathom_error *error) {
    fa_error *e = fa_error_of(error);
    fa_shown *shown = NULL;
    fa_status st = check_prompt(s, ids, n, p, e);
    if (!st) st = fa_pictures_place(s, ids, (int32_t)n, &shown, e);
    if (!st) st = take_memory(s, p, e);
    fa_constraint_close(st ? constraint : s->constraint);
    if (st) {
        free(shown);
        return (fathom_status)st;
    }
    s->constraint = constraint;
    s->sampling = *p;
    s->sampling.stop = NULL;
    s->sampling.json_schema = s->sampling.tools = s->sampling.tool = s->sampling.prefix = NULL;
    s->sampling.stop_ids = s->stop_ids;
    memcpy(s->tokens, ids, n * sizeof *ids);
    s->n_prompt = (int32_t)n;
    s->n_new = 0;
    s->decoder = (fa_decoder){0};
    s->n_made = s->n_seen = s->n_draft = s->n_scored = s->n_scored_seen = 0;
    s->score_next = p->score_from ? p->score_from : s->n_prompt;
    s->most_drafts = s->engine->setup.drafts;
    s->error = (fa_error){0};
    s->finish = FATHOM_RUNNING;
    atomic_store(&s->cancelled, false);
    s->usage = (fathom_usage){.prompt_tokens = (int32_t)n};
    fa_pictures_start(s, shown);
    fa_drawing_release(s);
    s->usage.cached_tokens = fa_sequence_reuse(s->sequence, fa_pictures_keys(s), s->score_next);
    return FATHOM_OK;
}

fathom_status fathom_session_prompt_sized(fathom_session *s, const int32_t *ids, size_t n,
                                          const fathom_sampling *sampling, size_t size, fathom_error *error) {
    fa_error *e = fa_error_of(error);
    fathom_sampling known = {0}; /* greedy */
    fa_constraint *constraint = NULL;
    fa_status st = sampling ? fa_sized_in(&known, sizeof known, sampling, size, "sampling", e) : FA_OK;
    if (!st) st = check_prompt(s, ids, n, &known, e);
    if (!st) st = fa_engine_constrain(s->engine, &known, &constraint, e);
    return st ? (fathom_status)st : fa_session_prompt(s, ids, n, &known, constraint, error);
}

int32_t fa_session_waiting(const fathom_session *s) {
    return s->n_prompt + s->n_new - fa_sequence_length(s->sequence);
}

/* --- the answer ----------------------------------------------------------------------------------------------------- */

static bool ends_the_answer(const fathom_session *s, int32_t id) {
    const fathom_engine *g = s->engine;
    for (int32_t i = 0; i < s->sampling.n_stop_ids; i++) {
        if (s->stop_ids[i] == id) return true;
    }
    if (s->sampling.ignore_eos) return false;
    for (int32_t i = 0; i < g->setup.config.n_eos; i++) {
        if (g->setup.config.eos_ids[i] == id) return true;
    }
    return g->tokenizer && fa_tokenizer_eos(g->tokenizer) == id;
}

/* The token's text through decoder and stop texts into s->text; true when a stop text is complete. An id that the
 * tokenizer does not know (the model's vocabulary may be padded) has no text. */
static bool make_text(fathom_session *s, int32_t id) {
    bool stop = false;
    s->piece.n = 0;
    if (fa_decoder_feed(&s->decoder, s->engine->tokenizer, id, true, &s->piece, NULL)) s->piece.n = 0;
    s->text.n += fa_stops_feed(&s->stops, s->piece.data, s->piece.n, s->text.data + s->text.n, &stop);
    if (stop) s->decoder = (fa_decoder){0};
    return stop;
}

void fa_session_begin_step(fathom_session *s) {
    s->n_made = s->n_seen = 0;
    s->text.n = 0;
}

void fa_session_take(fathom_session *s, const fa_choice *c) {
    s->tokens[s->n_prompt + s->n_new++] = c->id;
    s->usage.new_tokens = s->n_new;
    size_t first = s->text.n;
    bool complete = fa_session_completes(s, c->id);
    bool ends = ends_the_answer(s, c->id);
    bool stop = !ends && s->engine->tokenizer && make_text(s, c->id);
    fathom_token *t = &s->made[s->n_made++];
    *t = (fathom_token){.id = c->id,
                        .text = s->text.data + first,
                        .bytes = s->text.n - first,
                        .logprob = c->logprob,
                        .n_top = c->n_top};
    memcpy(t->top_ids, c->top_ids, sizeof c->top_ids);
    memcpy(t->top_logprobs, c->top_logprobs, sizeof c->top_logprobs);
    s->text.data[s->text.n++] = 0;
    if (ends || stop || complete)
        fa_session_end(s, FATHOM_STOP);
    else if (s->sampling.max_tokens && s->n_new >= s->sampling.max_tokens)
        fa_session_end(s, FATHOM_LENGTH);
    else if (s->n_prompt + s->n_new > s->engine->setup.context)
        fa_session_end(s, FATHOM_CONTEXT);
}

/* What was held back becomes the rest, in the room of s->piece. */
void fa_session_end(fathom_session *s, fathom_finish why) {
    size_t held;
    const char *text = fa_stops_held(&s->stops, &held);
    s->finish = why;
    s->piece.n = 0;
    fa_text_append(&s->piece, text, held);
    fa_decoder_end(&s->decoder, &s->piece);
    fa_drawing_end(s);
}

void fa_session_fail(fathom_session *s, const fa_error *why) {
    s->error = *why;
    fa_session_end(s, FATHOM_FAILED);
}

bool fathom_session_next_sized(fathom_session *s, fathom_token *token, size_t size) {
    if (s->n_seen == s->n_made) return false;
    fa_sized_out(token, size, &s->made[s->n_seen++], sizeof *s->made);
    return true;
}

fathom_finish fathom_session_finish(const fathom_session *s) {
    return s->finish;
}

const char *fathom_session_rest(fathom_session *s) {
    return s->finish == FATHOM_RUNNING || !s->piece.data ? "" : s->piece.data;
}

fa_status fa_session_error_status(const fathom_session *s) {
    return s->error.status;
}

const char *fathom_session_error(const fathom_session *s) {
    return s->error.text;
}

void fathom_session_cancel(fathom_session *s) {
    atomic_store(&s->cancelled, true);
}

void fathom_session_usage_sized(const fathom_session *s, fathom_usage *usage, size_t size) {
    fa_sized_out(usage, size, &s->usage, sizeof s->usage);
}
