/* Steps of a replica: a group of sequences that decode, and rows of prompts, go through its stages one after the other; behind them the
 * next ones. A stage takes steps in the order in which stage 0 took them. */
#include <math.h>

#include "sim/scale/state.h"

/* ---- starting ---- */

void serve_enter(serving *s, int32_t id, const fa_arrival *a) {
    replica *r = &s->replicas[id];
    int32_t i = s->free_sequence;
    sequence *q = &s->sequences[i];
    s->free_sequence = q->next;
    *q = (sequence){.arrived = a->seconds,
                    .prompt = a->prompt,
                    .output = a->output,
                    .issued = s->o.reuse ? a->cached : 0,
                    .next = -1};
    if (r->last_prompt >= 0)
        s->sequences[r->last_prompt].next = i;
    else
        r->first_prompt = i;
    r->last_prompt = i;
    r->running++;
    r->positions += serve_positions(a->prompt, a->output);
}

/* Rows of prompts, the first come first, into a step that has room for `rows` of them. */
static void take_prompts(serving *s, replica *r, flight *f, int32_t rows, fa_timed_step *step) {
    while (rows > 0 && r->first_prompt >= 0 && f->n_spans < SPANS) {
        sequence *q = &s->sequences[r->first_prompt];
        int32_t left = q->prompt - q->issued, n = left < rows ? left : rows;
        f->span[f->n_spans++] = (span){r->first_prompt, n == left};
        step->rows += n;
        step->context += (double)n * q->issued + 0.5 * n * (n + 1.0);
        step->logits += n == left;
        q->issued += n;
        rows -= n;
        s->out.prompt_tokens += n;
        if (n < left) return;
        r->first_prompt = q->next;
        if (r->first_prompt < 0) r->last_prompt = -1;
        q->next = -1;
    }
}

static void take_group(replica *r, flight *f, fa_timed_step *step) {
    f->group = -1;
    if (!r->n_ready) return;
    f->group = r->ready[r->first_ready];
    group *g = &r->groups[f->group];
    g->in_step = g->n;
    step->rows += g->n;
    step->logits += g->n;
    step->context += g->context;
}

static void ready_pop(const serving *s, replica *r) {
    r->first_ready = (r->first_ready + 1) % s->n_groups;
    r->n_ready--;
}

/* Through the stages; when it ends. */
static double fly(serving *s, replica *r, const fa_timed_step *step, double now) {
    fa_timed t = fa_timer_step(s->timer, step, s->stage_s);
    double at = now;
    for (int32_t i = 0; i < s->stages; i++) {
        at = fmax(at, r->stage_free[i]) + s->stage_s[i];
        r->stage_free[i] = at;
    }
    if (now < s->o.seconds) {
        s->joules += t.joules;
        s->busy += fmin(s->stage_s[0], s->o.seconds - now);
    }
    s->weight_bytes += t.weight_bytes;
    s->io_bytes += t.io_bytes;
    s->out.steps++;
    return at;
}

fa_status serve_launch(serving *s, int32_t id, double now, fa_error *e) {
    replica *r = &s->replicas[id];
    if (r->stage_free[0] > now || r->flying >= s->stages || (!r->n_ready && r->first_prompt < 0)) return FA_OK;
    int32_t i = s->free_flight;
    flight *f = &s->flights[i];
    s->free_flight = f->next;
    *f = (flight){.replica = id};
    fa_timed_step step = {0};
    int64_t before = s->out.prompt_tokens;
    take_group(r, f, &step);
    if (f->group >= 0) ready_pop(s, r);
    take_prompts(s, r, f, s->q->chunk, &step);
    if (now >= s->o.seconds) s->out.prompt_tokens = before;
    r->flying++;
    double end = fly(s, r, &step, now);
    fa_status st = events_push(&s->events, end, EVENT_END, i, e);
    return st ? st : events_push(&s->events, r->stage_free[0], EVENT_FREE, id, e);
}

/* ---- ending ---- */

static void make_ready(const serving *s, replica *r, int32_t group) {
    r->ready[(r->first_ready + r->n_ready++) % s->n_groups] = group;
}

static void finish(serving *s, replica *r, int32_t id, double now) {
    sequence *q = &s->sequences[id];
    double each = q->output > 1 ? (now - q->first) / (q->output - 1) : 0;
    bool good =
        (s->o.first_s <= 0 || q->first - q->arrived <= s->o.first_s) && (s->o.token_s <= 0 || each <= s->o.token_s);
    s->out.finished++;
    s->out.good += good;
    s->good_tokens += good ? q->output : 0;
    s->out.last_s = now;
    fa_counts_add(s->stay, now - q->arrived, 1);
    level_change(&s->in_system, now, -1);
    r->running--;
    r->positions -= serve_positions(q->prompt, q->output);
    q->next = s->free_sequence;
    s->free_sequence = id;
}

static void token(serving *s, sequence *q, double now) {
    if (q->written++)
        fa_counts_add(s->token, now - q->last, 1);
    else
        fa_counts_add(s->first, (q->first = now) - q->arrived, 1);
    q->last = now;
    s->out.output_tokens += now <= s->o.seconds;
}

/* A token for each member of the step; those that have all of theirs leave. */
static void land_group(serving *s, replica *r, group *g, double now) {
    for (int32_t i = g->in_step; i-- > 0;) {
        int32_t id = g->member[i];
        sequence *q = &s->sequences[id];
        token(s, q, now);
        g->context += 1;
        if (q->written < q->output) continue;
        g->context -= (double)q->prompt + q->written;
        g->member[i] = g->member[--g->in_step];
        g->member[g->in_step] = g->member[--g->n];
        finish(s, r, id, now);
    }
    g->in_step = 0;
}

/* The sequence goes on in the smallest group; one that was empty waits for a step from now on. */
static void join(serving *s, replica *r, int32_t id) {
    int32_t smallest = 0;
    for (int32_t i = 1; i < s->n_groups; i++)
        if (r->groups[i].n < r->groups[smallest].n) smallest = i;
    group *g = &r->groups[smallest];
    const sequence *q = &s->sequences[id];
    g->member[g->n++] = id;
    g->context += (double)q->prompt + q->written;
    if (g->n == 1) make_ready(s, r, smallest);
}

void serve_land(serving *s, int32_t id, double now) {
    flight *f = &s->flights[id];
    replica *r = &s->replicas[f->replica];
    r->flying--;
    if (f->group >= 0) {
        group *g = &r->groups[f->group];
        land_group(s, r, g, now);
        if (g->n) make_ready(s, r, f->group);
    }
    for (int i = 0; i < f->n_spans; i++) {
        sequence *q = &s->sequences[f->span[i].sequence];
        if (!f->span[i].last) continue;
        token(s, q, now);
        if (q->written == q->output)
            finish(s, r, f->span[i].sequence, now);
        else
            join(s, r, f->span[i].sequence);
    }
    f->next = s->free_flight;
    s->free_flight = id;
}
