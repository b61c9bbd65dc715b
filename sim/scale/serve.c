#include "sim/scale/serve.h"

#include <stdlib.h>

#include "sim/scale/state.h"

/* ---- opening ---- */

static fa_status check(const fa_serve_options *o, fa_error *e) {
    if (!(o->seconds > 0 && o->seconds <= 1e9))
        return fa_fail(e, FA_EINVAL, "seconds: expected more than 0, at most 1e9, found %g", o->seconds);
    if (o->running < 0 || o->running > 1 << 24)
        return fa_fail(e, FA_EINVAL, "running: expected 0..16777216, found %d", o->running);
    if (o->queue > 100000000)
        return fa_fail(e, FA_EINVAL, "queue: expected at most 100000000, found %lld", (long long)o->queue);
    return FA_OK;
}

static fa_status open_replica(serving *s, replica *r, fa_error *e) {
    r->stage_free = calloc((size_t)s->stages, sizeof *r->stage_free);
    r->groups = calloc((size_t)s->n_groups, sizeof *r->groups);
    r->ready = calloc((size_t)s->n_groups, sizeof *r->ready);
    r->first_prompt = r->last_prompt = -1;
    bool ok = r->stage_free && r->groups && r->ready;
    for (int32_t i = 0; ok && i < s->n_groups; i++)
        ok = (r->groups[i].member = calloc((size_t)s->slots, sizeof(int32_t)));
    return ok ? FA_OK : fa_fail(e, FA_ENOMEM, "serve: memory ran out for replicas");
}

static fa_status open_pools(serving *s, fa_error *e) {
    int32_t n = s->n_replicas * s->slots, flights = s->n_replicas * s->stages;
    s->sequences = calloc((size_t)n, sizeof *s->sequences);
    s->flights = calloc((size_t)flights, sizeof *s->flights);
    s->stage_s = calloc((size_t)s->stages, sizeof *s->stage_s);
    s->replicas = calloc((size_t)s->n_replicas, sizeof *s->replicas);
    s->queue_room = s->o.queue < 0 ? n : s->o.queue;
    s->queue = calloc((size_t)s->queue_room + 1, sizeof *s->queue);
    fa_counts **counts[] = {&s->first, &s->token, &s->waiting, &s->stay};
    bool ok = s->sequences && s->flights && s->stage_s && s->replicas && s->queue;
    for (int i = 0; ok && i < 4; i++) ok = (*counts[i] = calloc(1, sizeof **counts[i]));
    if (!ok)
        return fa_fail(e, FA_ENOMEM, "serve: memory ran out for %d sequences and %lld that wait", n,
                       (long long)s->queue_room);
    for (int32_t i = 0; i < n; i++) s->sequences[i].next = i + 1 < n ? i + 1 : -1;
    for (int32_t i = 0; i < flights; i++) s->flights[i].next = i + 1 < flights ? i + 1 : -1;
    return FA_OK;
}

static fa_status open_all(serving *s, const fa_plan *plan, fa_error *e) {
    fa_status st = check(&s->o, e);
    if (!st) st = fa_timer_open(&s->timer, s->q, plan, e);
    if (st) return st;
    int32_t running = s->o.running ? s->o.running : s->q->batch;
    s->stages = fa_timer_stages(s->timer);
    s->capacity = fa_timer_positions(s->timer);
    s->n_replicas = plan->split.replicas < running ? plan->split.replicas : running;
    s->slots = running / s->n_replicas;
    s->n_groups = plan->groups < s->slots ? plan->groups : s->slots;
    if ((int64_t)s->n_replicas * s->slots > 1 << 24)
        return fa_fail(e, FA_EINVAL, "running: more than 16777216 sequences");
    st = open_pools(s, e);
    for (int32_t i = 0; i < s->n_replicas && !st; i++) st = open_replica(s, &s->replicas[i], e);
    return st;
}

static void close_all(serving *s) {
    for (int32_t i = 0; s->replicas && i < s->n_replicas; i++) {
        replica *r = &s->replicas[i];
        for (int32_t k = 0; r->groups && k < s->n_groups; k++) free(r->groups[k].member);
        free(r->stage_free);
        free(r->groups);
        free(r->ready);
    }
    void *const memory[] = {s->replicas, s->sequences, s->flights, s->queue,   s->events.heap,
                            s->stage_s,  s->first,     s->token,   s->waiting, s->stay};
    for (size_t i = 0; i < sizeof memory / sizeof *memory; i++) free(memory[i]);
    fa_timer_close(s->timer);
}

/* ---- letting in ---- */

static bool fits(const serving *s, const replica *r, const fa_arrival *a) {
    return r->running < s->slots && r->positions + serve_positions(a->prompt, a->output) <= s->capacity;
}

/* The replica with the fewest sequences that has room; -1: none. */
static int32_t roomiest(const serving *s, const fa_arrival *a) {
    int32_t best = -1;
    for (int32_t i = 0; i < s->n_replicas; i++)
        if (fits(s, &s->replicas[i], a) && (best < 0 || s->replicas[i].running < s->replicas[best].running)) best = i;
    return best;
}

static void let_in(serving *s, int32_t replica, const fa_arrival *a, double now) {
    fa_counts_add(s->waiting, now - a->seconds, 1);
    serve_enter(s, replica, a);
}

/* Those who wait, the first come first, into a replica where room was made. */
static void let_waiting_in(serving *s, int32_t replica, double now) {
    while (s->n_waiting && fits(s, &s->replicas[replica], &s->queue[s->first_waiting])) {
        const fa_arrival *a = &s->queue[s->first_waiting];
        s->first_waiting = (s->first_waiting + 1) % s->queue_room;
        s->n_waiting--;
        level_change(&s->in_queue, now, -1);
        let_in(s, replica, a, now);
    }
}

static fa_status arrive(serving *s, const fa_arrival *a, fa_error *e) {
    s->out.arrived++;
    if (a->prompt + a->output > s->q->context || serve_positions(a->prompt, a->output) > s->capacity) {
        s->out.too_long++;
        return FA_OK;
    }
    int32_t replica = s->n_waiting ? -1 : roomiest(s, a);
    if (replica < 0 && s->n_waiting == s->queue_room) {
        s->out.refused++;
        return FA_OK;
    }
    level_change(&s->in_system, a->seconds, 1);
    if (replica >= 0) {
        let_in(s, replica, a, a->seconds);
        return serve_launch(s, replica, a->seconds, e);
    }
    level_change(&s->in_queue, a->seconds, 1);
    s->queue[(s->first_waiting + s->n_waiting++) % s->queue_room] = *a;
    return FA_OK;
}

/* ---- running ---- */

static fa_status happen(serving *s, fa_error *e) {
    event v = events_pop(&s->events);
    if (v.kind == EVENT_FREE) return serve_launch(s, v.id, v.at, e);
    int32_t replica = s->flights[v.id].replica;
    serve_land(s, v.id, v.at);
    let_waiting_in(s, replica, v.at);
    return serve_launch(s, replica, v.at, e);
}

static fa_status run(serving *s, const fa_arrivals *arrivals, fa_error *e) {
    enum { REPORT_EVERY = 1 << 16 };
    fa_arrival a;
    fa_status st = FA_OK;
    bool more = arrivals->next(arrivals->ctx, &a);
    for (int64_t i = 0; !st && (more || s->events.n); i++) {
        if (s->o.progress && i % REPORT_EVERY == 0) {
            double now = more ? a.seconds : s->events.heap[0].at;
            s->o.progress(s->o.progress_ctx, now < s->o.seconds ? now : s->o.seconds, s->o.seconds);
        }
        if (!more || events_before(&s->events, a.seconds)) {
            st = happen(s, e);
            continue;
        }
        st = arrive(s, &a, e);
        more = arrivals->next(arrivals->ctx, &a);
    }
    return st;
}

static void measure(serving *s) {
    fa_served *o = &s->out;
    const double seconds = s->o.seconds, all = o->last_s > 0 ? o->last_s : seconds;
    o->first = fa_counts_spread(s->first);
    o->token = fa_counts_spread(s->token);
    o->waiting = fa_counts_spread(s->waiting);
    o->stay = fa_counts_spread(s->stay);
    o->good_requests_per_s = (double)o->good / seconds;
    o->good_tokens_per_s = s->good_tokens / seconds;
    o->output_tokens_per_s = (double)o->output_tokens / seconds;
    o->prompt_tokens_per_s = (double)o->prompt_tokens / seconds;
    o->in_system = s->in_system.integral / all;
    o->in_queue = s->in_queue.integral / all;
    o->busy = s->busy / seconds / s->n_replicas;
    o->weight_bytes_per_s = s->weight_bytes / all;
    o->io_bytes_per_s = s->io_bytes / all;
    o->watts = fa_plan_rest_watts(s->q) + s->joules / seconds;
    o->positions = s->capacity;
    if (!o->output_tokens) return;
    double power;
    o->joules_per_token = o->watts / o->output_tokens_per_s;
    fa_plan_price(s->q, o->output_tokens_per_s, o->watts, &o->usd_per_million, &power);
}

fa_status fa_serve(fa_served *out, const fa_plan_request *q, const fa_plan *plan, const fa_arrivals *arrivals,
                   const fa_serve_options *o, fa_error *e) {
    serving s = {.q = q, .o = *o};
    fa_status st = open_all(&s, plan, e);
    if (!st) st = run(&s, arrivals, e);
    if (!st) measure(&s);
    *out = s.out;
    close_all(&s);
    return st;
}
