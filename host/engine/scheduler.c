/* Continuous batching: each step takes what the sessions have waiting, a row of an answer or a piece of a prompt. Which rows
 * meet in a step never changes a result (rule 8 of docs/numerics.md), only the time it takes. */
#include <string.h>
#include <time.h>

#include "host/engine/internal.h"

static int64_t now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * (int64_t)1000000000 + t.tv_nsec;
}

/* A session takes part in the next step when it has an answer to make and the caller has taken the last tokens. */
static bool is_ready(const fathom_session *s) {
    return s->open && s->finish == FATHOM_RUNNING && !fa_drawing_is_full(s) && s->n_seen == s->n_made &&
           s->n_scored_seen == s->n_scored && !fa_pictures_wait(s);
}

int32_t fa_engine_foreground(const fathom_engine *g) {
    int32_t n = 0;
    for (int32_t i = 0; i < g->setup.sessions; i++) n += !g->sessions[i].background && is_ready(&g->sessions[i]);
    return n;
}

static void end_cancelled(fathom_engine *g) {
    for (int32_t i = 0; i < g->setup.sessions; i++) {
        fathom_session *s = &g->sessions[i];
        if (s->open && s->finish == FATHOM_RUNNING && atomic_load(&s->cancelled)) fa_session_end(s, FATHOM_CANCELLED);
    }
}

/* The room for logits of prompts is shared evenly by those that are scored. */
static void set_wanted(fathom_engine *g) {
    fa_batch *b = &g->batch;
    int32_t scored = 0;
    for (int32_t i = 0; i < b->n_turns; i++) scored += fa_score_waits(b->turns[i].session);
    int32_t share = scored > g->setup.score_rows ? 1 : g->setup.score_rows / (scored ? scored : 1);
    for (int32_t i = 0; i < b->n_turns; i++) b->turns[i].wanted = fa_score_wanted(b->turns[i].session, share);
}

/* Which background sessions have a row in this step: those whose last turn is longest ago, as far as their limit goes. The others are
 * held. Returns what is left of the limit. */
static int32_t hold_background(fathom_engine *g) {
    int32_t left = g->background_limit;
    for (int32_t i = 0; i < g->setup.sessions; i++) g->sessions[i].held = g->sessions[i].background;
    while (left > 0) {
        fathom_session *next = NULL;
        for (int32_t i = 0; i < g->setup.sessions; i++) {
            fathom_session *s = &g->sessions[i];
            if (s->held && is_ready(s) && (!next || s->last_turn < next->last_turn)) next = s;
        }
        if (!next) break;
        next->held = false;
        next->last_turn = ++g->turns;
        left -= fa_drawing_copies(&next->drawing);
    }
    return left > 0 ? left : 0;
}

/* Deals `left` rows out evenly to those turns, of background sessions or of the others, that have more waiting; one that draws takes each
 * twice. Returns what nobody needs. */
static int32_t deal(fa_batch *b, bool background, int32_t left) {
    int32_t hungry, dealt;
    do {
        hungry = dealt = 0;
        for (int32_t i = 0; i < b->n_turns; i++) {
            bool here = b->turns[i].session->background == background;
            hungry += here && b->turns[i].wanted > b->turns[i].rows;
        }
        int32_t share = hungry ? (left + hungry - 1) / hungry : 0;
        for (int32_t i = 0; i < b->n_turns; i++) {
            fa_turn *turn = &b->turns[i];
            int32_t more = turn->wanted - turn->rows, copies = fa_drawing_copies(&turn->session->drawing);
            if (more > share) more = share;
            if (more > left / copies) more = left / copies;
            if (more < 0 || turn->session->background != background)
                more = 0; /* a turn with drafts has more rows than wait */
            turn->rows += more;
            left -= more * copies;
            dealt += more;
        }
    } while (hungry && dealt);
    return left;
}

/* Every ready session that is not held gets a row, or two that draws (fa_engine_least_rows), which is all that one needs while it answers, and then those
 * of its drafts; what is left is dealt out to those that have more waiting, background sessions last. Answers come first, so that
 * they get the last pages. */
static void plan(fathom_engine *g) {
    fa_batch *b = &g->batch;
    int32_t background = hold_background(g);
    b->n_turns = 0;
    for (int prompts = 0; prompts < 2; prompts++) {
        for (int32_t i = 0; i < g->setup.sessions; i++) {
            fathom_session *s = &g->sessions[i];
            if (is_ready(s) && !s->held && (fa_session_waiting(s) > 1) == prompts)
                b->turns[b->n_turns++] = (fa_turn){.session = s, .rows = 1, .prompt = s->n_new == 0};
        }
    }
    set_wanted(g);
    int32_t left = g->rows_limit;
    for (int32_t i = 0; i < b->n_turns; i++) left -= fa_drawing_copies(&b->turns[i].session->drawing);
    for (int32_t i = 0; i < b->n_turns; i++) {
        fa_turn *turn = &b->turns[i];
        int32_t most = turn->session->background && background < left ? background : left;
        bool guessed = fa_session_waiting(turn->session) == 1 && turn->session->n_draft <= most;
        turn->drafts = guessed ? turn->session->n_draft : 0;
        turn->rows += turn->drafts;
        left -= turn->drafts;
        if (turn->session->background) background -= turn->drafts;
    }
    left = deal(b, false, left);
    deal(b, true, background < left ? background : left);
}

/* Room in the cache for a turn, with that for drafts if it is to be had. */
static fa_status make_room(const fathom_engine *g, fa_turn *turn, fa_error *e) {
    fa_sequence *q = turn->session->sequence;
    if (turn->session->drawing.on) {
        fa_status st = fa_sequence_extend(turn->session->drawing.without, turn->rows, e);
        if (st) return st;
    }
    turn->has_room = fa_sequence_extend(q, turn->rows + fa_draft_room(g), e) == FA_OK;
    if (turn->has_room) return FA_OK;
    turn->rows -= turn->drafts;
    turn->drafts = 0;
    return fa_sequence_extend(q, turn->rows, e);
}

/* What a session holds in the cache. */
static void drop_positions(fathom_session *s) {
    fa_sequence_truncate(s->sequence, 0);
    if (s->drawing.on) fa_sequence_truncate(s->drawing.without, 0);
}

/* Row `pos` of one of a session's sequences. */
static void place_row(fathom_engine *g, fathom_session *s, const fa_sequence *q, const int32_t *tokens, int32_t pos) {
    fa_batch *b = &g->batch;
    const float *given = fa_drawing_row(s, pos);
    if (!given && g->pictures.vision) given = fa_pictures_row(s, pos);
    b->tokens[b->rows] = tokens[pos];
    if (b->rows_given) b->rows_given[b->rows] = given;
    b->place[b->rows++] = (fa_place){pos, fa_sequence_pages(q)};
}

/* Puts a turn's tokens into the batch, with room in the cache. Without room the session ends, and its pages serve the
 * others. */
static bool place(fathom_engine *g, fa_turn *turn) {
    fa_batch *b = &g->batch;
    fathom_session *s = turn->session;
    fa_error e = {0};
    if (make_room(g, turn, &e)) {
        drop_positions(s);
        fa_session_fail(s, &e);
        return false;
    }
    int32_t length = fa_sequence_length(s->sequence);
    turn->first = b->rows;
    if (s->background) b->background += turn->rows * fa_drawing_copies(&s->drawing);
    for (int32_t i = 0; i < turn->rows; i++) place_row(g, s, s->sequence, s->tokens, length + i);
    for (int32_t i = 0; i < turn->rows && s->drawing.on; i++)
        place_row(g, s, s->drawing.without, s->drawing.tokens, length + i);
    return true;
}

/* Turns that found room move up; the last row of each gives logits, inside a prompt too: they show when a number has left
 * the range. Before drafts it is the row before them, and theirs; in a prompt that is scored, more. */
static void place_turns(fathom_engine *g) {
    fa_batch *b = &g->batch;
    int32_t planned = b->n_turns;
    b->rows = b->n_turns = b->n_logits = b->background = 0;
    g->drawings.n_rows = g->drawings.n_hidden = 0;
    for (int32_t i = 0; i < planned; i++) {
        fa_turn turn = b->turns[i];
        if (!place(g, &turn)) continue;
        if (turn.session->drawing.on) {
            fa_drawing_want(turn.session, b->rows - turn.rows - 1, b->rows - 1,
                            turn.rows == fa_session_waiting(turn.session));
            b->turns[b->n_turns++] = turn;
            continue;
        }
        turn.first_logits = b->n_logits;
        turn.n_logits = fa_score_logits(&turn);
        if (turn.n_logits <= turn.drafts) turn.n_logits = turn.drafts + 1;
        for (int32_t k = 0; k < turn.n_logits; k++) b->logit_rows[b->n_logits++] = b->rows - turn.n_logits + k;
        b->turns[b->n_turns++] = turn;
    }
}

/* What a failed step lost. A device that has lost its memory and works again leaves sessions their tokens: what they had cached is
 * computed again, with the same bits. A device that is gone ends the answers it held with the error `why`: `cpu`, which goes on,
 * may need a hundred times as long for them, and a cluster that starts again may need minutes; whether that is wanted is for those to
 * say who wait. */
static fa_loss settle_loss(fathom_engine *g, fa_status st, const fa_error *why) {
    fa_loss lost = st == FA_EDEVICE ? fa_model_loss(g->model) : FA_LOSS_NONE;
    if (!lost) return FA_LOSS_NONE;
    for (int32_t i = 0; i < g->setup.sessions; i++) {
        fathom_session *s = &g->sessions[i];
        if (!s->open) continue;
        if (lost != FA_LOSS_CACHE && s->finish == FATHOM_RUNNING && fa_sequence_length(s->sequence) > 0)
            fa_session_fail(s, why);
        drop_positions(s);
    }
    fa_cache_forget(g->cache);
    return lost;
}

bool fa_engine_recover(fathom_engine *g, const fa_error *why) {
    return fa_model_recover(g->model) || settle_loss(g, FA_EDEVICE, why) != FA_LOSS_NONE;
}

static fa_status run(fathom_engine *g, fa_error *e) {
    fa_batch *b = &g->batch;
    fa_drawings *d = &g->drawings;
    if (!fa_drawings_embed(g)) {
        b->n_turns = 0;
        return FA_OK;
    }
    fa_step step = {.rows = b->rows,
                    .tokens = b->tokens,
                    .embeddings = b->rows_given,
                    .place = b->place,
                    .pool = fa_cache_pool(g->cache),
                    .n_logits = b->n_logits,
                    .logit_rows = b->logit_rows,
                    .logits = b->logits,
                    .n_hidden = d->n_hidden,
                    .hidden_rows = d->hidden_rows,
                    .hidden = d->hidden,
                    .probe = g->probe};
    fa_error why = {0};
    fa_status st = g->run(g->model, &step, &why);
    fa_loss lost = settle_loss(g, st, &why);
    if (st && e) *e = why;
    if (!st && !fa_drawings_score(g)) b->n_turns = 0;
    if (!lost) return st;
    for (int32_t i = 0; i < b->n_turns && lost == FA_LOSS_STEP; i++)
        if (b->turns[i].session->finish == FATHOM_RUNNING) fa_session_fail(b->turns[i].session, &why);
    b->n_turns = 0;
    return FA_OK;
}

/* The tokens of a turn that reached the end of what its session has: one by each row of logits, as far as the drafts prove
 * right. A row that cannot be sampled from ends the session, which keeps nothing of the step then. */
static void take_tokens(fathom_engine *g, fa_turn *turn) {
    fathom_session *s = turn->session;
    int32_t first = turn->first_logits + turn->n_logits - 1 - turn->drafts, right = 0;
    const float *logits = g->batch.logits + (int64_t)first * g->setup.config.vocab;
    bool again = true;
    fa_session_begin_step(s);
    for (int32_t i = 0; again; i++, logits += g->setup.config.vocab) {
        fa_history h = {.tokens = s->tokens, .n_prompt = s->n_prompt, .n_new = s->n_new};
        fa_choice choice = {0};
        fa_error e = {0};
        if (fa_session_allowed(s, &h.allowed, &e) || fa_sample(&g->sampler, &s->sampling, logits, &h, &choice, &e)) {
            fa_session_fail(s, &e);
            return;
        }
        again = i < turn->drafts && choice.id == s->tokens[s->n_prompt + s->n_new];
        right += again;
        fa_session_take(s, &choice);
        again = again && s->finish == FATHOM_RUNNING;
        turn->kept = turn->rows - turn->drafts + i;
    }
    fa_draft_learn(s, turn->drafts, right);
}

/* Takes what the step computed for one session; which of its rows stand. */
static void finish_turn(fathom_engine *g, fa_turn *turn) {
    fathom_session *s = turn->session;
    if (s->drawing.on) {
        turn->kept = s->drawing.first_hidden < 0 || fa_drawing_take(s) ? turn->rows : 0;
        return;
    }
    int32_t last = turn->first_logits + turn->n_logits - 1;
    const float *logits = g->batch.logits + (int64_t)last * g->setup.config.vocab;
    bool whole = fa_session_waiting(s) == turn->rows - turn->drafts;
    fa_error e = {0};
    bool answers = whole && !s->sampling.prompt_only;
    fa_status st = fa_score_take(g, turn, &e);
    if (!st && !answers) st = fa_logits_check(logits, g->setup.config.vocab, &e);
    if (st)
        fa_session_fail(s, &e);
    else if (answers)
        take_tokens(g, turn);
    else
        turn->kept = turn->rows;
    if (!whole || !s->sampling.prompt_only || !turn->kept) return;
    turn->kept--; /* there is no token behind the last one, and keys of the MTP layer need one */
    fa_session_end(s, FATHOM_LENGTH);
}

/* Records what stands and what it took. */
static void record_turn(fa_turn *turn, int64_t ns) {
    fathom_session *s = turn->session;
    int32_t length = fa_sequence_length(s->sequence);
    if (turn->kept) fa_sequence_append(s->sequence, fa_pictures_keys(s) + length, turn->kept);
    if (turn->kept && s->drawing.on) fa_sequence_append(s->drawing.without, s->drawing.tokens + length, turn->kept);
    *(turn->prompt ? &s->usage.prompt_ns : &s->usage.new_ns) += ns;
}

fathom_status fathom_engine_step(fathom_engine *g, int *busy, fathom_error *error) {
    int64_t start = now_ns();
    fa_batch *b = &g->batch;
    fa_status st = FA_OK;
    end_cancelled(g);
    fa_pictures_advance(g);
    bool drew = fa_drawings_advance(g);
    plan(g);
    place_turns(g);
    g->worked = b->rows || drew || g->pictures.looking;
    if (b->rows) st = run(g, fa_error_of(error));
    if (st) b->n_turns = 0;
    for (int32_t i = 0; i < b->n_turns; i++) finish_turn(g, &b->turns[i]);
    if (g->setup.drafts) fa_draft(g);
    for (int32_t i = 0; i < b->n_turns; i++) record_turn(&b->turns[i], now_ns() - start);
    int running = 0;
    for (int32_t i = 0; i < g->setup.sessions; i++)
        running += g->sessions[i].open && g->sessions[i].finish == FATHOM_RUNNING;
    if (busy) *busy = running;
    return (fathom_status)st;
}

/* --- logits without a session ----------------------------------------------------------------------------------------- */

static fa_status check_logits_call(const fathom_engine *g, const int32_t *ids, size_t n, bool all, fa_error *e) {
    if (n == 0) return fa_fail(e, FA_EINVAL, "logits: no tokens");
    if (n > (size_t)g->setup.context)
        return fa_fail(e, FA_ELIMIT, "logits: %zu tokens, but the context holds %d", n, g->setup.context);
    if (all && !g->setup.logits_all)
        return fa_fail(e, FA_EINVAL, "logits: those of all positions need an engine opened with logits_all");
    for (size_t i = 0; i < n; i++) {
        if (ids[i] < 0 || ids[i] >= g->setup.config.vocab)
            return fa_fail(e, FA_EINVAL, "logits: ids[%zu] is %d, must be in 0 .. %d", i, ids[i],
                           g->setup.config.vocab - 1);
    }
    return FA_OK;
}

/* Rows first .. first + rows - 1 of the prompt in one step; `logits` NULL: none wanted, else of all or the last row. */
static fa_status logits_step(fathom_engine *g, const fa_sequence *q, const int32_t *ids, int32_t first, int32_t rows,
                             bool all, float *logits, fa_error *e) {
    fa_batch *b = &g->batch;
    for (int32_t i = 0; i < rows; i++) {
        b->place[i] = (fa_place){first + i, fa_sequence_pages(q)};
        b->logit_rows[i] = all ? i : rows - 1;
    }
    fa_step step = {.rows = rows,
                    .tokens = ids + first,
                    .place = b->place,
                    .pool = fa_cache_pool(g->cache),
                    .n_logits = !logits ? 0
                                : all   ? rows
                                        : 1,
                    .logit_rows = b->logit_rows,
                    .logits = logits,
                    .probe = g->probe};
    return g->run(g->model, &step, e);
}

/* The whole prompt from its first position. */
static fa_status logits_pass(fathom_engine *g, const fa_sequence *q, const int32_t *ids, int32_t n, bool all,
                             float *logits, fa_error *e) {
    int64_t vocab = g->setup.config.vocab;
    fa_status st = FA_OK;
    for (int32_t first = 0, rows; first < n && !st; first += rows) {
        int32_t left = n - first;
        rows = left < g->setup.step_rows ? left : g->setup.step_rows;
        float *to = all ? logits + first * vocab : rows == left ? logits : NULL;
        st = logits_step(g, q, ids, first, rows, all, to, e);
        for (int32_t i = 0; i < (all ? rows : 1) && to && !st; i++) {
            st = fa_logits_check(to + i * vocab, (int32_t)vocab, e);
            if (st) fa_error_prefix(e, st, "position %d", all ? first + i : n - 1);
        }
    }
    return st;
}

/* The positions are never recorded in the cache, so nothing of them is shared or kept. */
fathom_status fathom_logits(fathom_engine *g, const int32_t *ids, size_t n, bool all, float *logits,
                            fathom_error *error) {
    fa_error *e = fa_error_of(error);
    fa_error why = {0};
    fa_sequence *q = NULL;
    fa_status st = check_logits_call(g, ids, n, all, e);
    if (!st) st = fa_sequence_open(g->cache, 0, &q, e);
    if (!st) st = fa_sequence_extend(q, (int32_t)n, e);
    while (!st) {
        st = logits_pass(g, q, ids, (int32_t)n, all, logits, &why);
        if (st && e) *e = why;
        fa_loss lost = settle_loss(g, st, &why);
        if (lost != FA_LOSS_CACHE && lost != FA_LOSS_HELD) break;
        st = FA_OK;
    }
    fa_sequence_close(q);
    return (fathom_status)st;
}
