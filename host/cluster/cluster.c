#include "host/cluster/cluster.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/cluster/job.h"

/* Beside the ranks' own deadline, in which they find out who does not answer. */
enum { GRACE_MS = 2000, DEADLINE_MS = 60000 };

typedef struct cluster {
    fa_backend base;
    fa_remote remote;
    fa_job job;
    fa_cluster_setup setup;
    char mode[FA_CLUSTER_NAME];
    int32_t *numbers;
    atomic_bool ready; /* the job takes passes; other threads look too */
    bool lost;         /* it broke, and no step has said so yet */
    fa_error why;
} cluster;

/* ---- the job ---- */

/* A failure of the job. A pass that was under way ends with it; a job that broke between passes is found by the next step. */
static fa_status broke(cluster *c, fa_status s, fa_error *why, fa_error *e) {
    if (s == FA_EIO)
        fa_job_bury(&c->job, why);
    else
        fa_job_end(&c->job);
    c->ready = false;
    c->why = *why;
    return fa_fail(e, FA_EDEVICE, "%s", why->text);
}

/* READY, LOGITS or FAILED; until_ms 0: as long as it takes. */
static fa_status hear(cluster *c, fa_frame_kind kind, void *to, int64_t bytes, int64_t until_ms, fa_error *e) {
    fa_frame head;
    fa_status s = fa_frame_receive(c->job.socket, &head, sizeof head, until_ms, e);
    if (s) return s == FA_EDEVICE ? fa_fail(e, s, "cluster: rank 0 does not answer") : s;
    if (head.kind == (int32_t)kind && head.bytes == bytes)
        return fa_frame_receive(c->job.socket, to, bytes, until_ms, e);
    if (head.kind != FA_FRAME_FAILED || head.bytes < 0 || head.bytes >= FA_ERROR_TEXT)
        return fa_fail(e, FA_EDEVICE, "cluster: fathom-rank is of another version than the engine: install both again");
    char text[FA_ERROR_TEXT];
    s = fa_frame_receive(c->job.socket, text, head.bytes, until_ms, e);
    text[head.bytes] = 0;
    return s ? s : fa_fail(e, (fa_status)head.status, "%s", text);
}

static void describe(cluster *c, const fa_cluster_ready *r) {
    char stages[32] = "";
    if (r->stages > 1) snprintf(stages, sizeof stages, " in %d stages", r->stages);
    snprintf(c->base.detail, sizeof c->base.detail, "%d ranks%s, %.1f MB of weights in one at most; %.80s", r->ranks,
             stages, (double)r->most_weight_bytes * 1e-6, r->detail);
}

static fa_status begin(cluster *c, fa_error *e) {
    fa_cluster_ready ready = {0};
    fa_error why = {0};
    fa_status s = fa_job_start(&c->job, e);
    if (s) return s;
    s = fa_frame_send(c->job.socket, FA_FRAME_SETUP, FA_OK, &c->setup, sizeof c->setup, 0, &why);
    if (!s) s = hear(c, FA_FRAME_READY, &ready, sizeof ready, 0, &why);
    if (s == FA_EIO) fa_job_bury(&c->job, &why);
    if (s) {
        fa_job_end(&c->job);
        return fa_fail(e, why.status, "%s", why.text);
    }
    describe(c, &ready);
    c->ready = true;
    return FA_OK;
}

fa_status fa_cluster_start(fa_backend *b, const fa_cluster_setup *setup, fa_error *e) {
    cluster *c = (cluster *)b;
    c->setup = *setup;
    memset(c->setup.version, 0, sizeof c->setup.version);
    memset(c->setup.mode, 0, sizeof c->setup.mode);
    snprintf(c->setup.version, sizeof c->setup.version, "%s", FATHOM_VERSION);
    snprintf(c->setup.mode, sizeof c->setup.mode, "%s", c->mode);
    if (!c->setup.deadline_ms) c->setup.deadline_ms = DEADLINE_MS;
    free(c->numbers);
    c->numbers = calloc((size_t)fa_step_most(setup->max_rows, setup->max_positions), sizeof *c->numbers);
    if (!c->numbers) return fa_fail(e, FA_ENOMEM, "cluster: out of memory");
    return begin(c, e);
}

bool fa_cluster_lives(const fa_backend *b) {
    const cluster *c = (const cluster *)b;
    return c->job.launch || c->ready;
}

/* ---- passes ---- */

static fa_status ask(cluster *c, const fa_step *step, fa_pass pass, const int32_t *from, fa_error *e) {
    int64_t vocab = c->remote.vocab, n = fa_step_encode(step, pass, from, c->numbers);
    int64_t until = fa_frame_now_ms() + c->setup.deadline_ms + GRACE_MS;
    fa_status s =
        fa_frame_send(c->job.socket, FA_FRAME_STEP, FA_OK, c->numbers, n * (int64_t)sizeof *c->numbers, until, e);
    return s ? s : hear(c, FA_FRAME_LOGITS, step->logits, step->n_logits * vocab * (int64_t)sizeof(float), until, e);
}

/* Between passes the job may have ended: what it had cached is gone, but no pass was under way. */
static fa_status check_job(cluster *c, fa_error *e) {
    fa_error why = {0};
    if (!c->ready || !fa_job_has_ended(&c->job)) return FA_OK;
    return broke(c, FA_EIO, &why, e);
}

static fa_status run_step(void *ctx, const fa_step *step, fa_loss *loss, fa_error *e) {
    cluster *c = ctx;
    fa_error why = {0};
    *loss = FA_LOSS_NONE;
    if (c->lost || check_job(c, e)) {
        c->lost = false;
        *loss = FA_LOSS_HELD;
        return fa_fail(e, FA_EDEVICE, "%s", c->why.text);
    }
    if (!c->ready) {
        if (!c->job.launch) return fa_fail(e, FA_EDEVICE, "%s", c->why.text);
        if (begin(c, &why)) {
            *loss = FA_LOSS_STEP;
            return fa_fail(e, FA_EDEVICE, "%s", why.text);
        }
    }
    fa_status s = ask(c, step, FA_PASS_STEP, NULL, &why);
    if (!s) return FA_OK;
    *loss = FA_LOSS_STEP;
    return broke(c, s, &why, e);
}

static fa_status run_mtp(void *ctx, const fa_step *step, fa_mtp_source source, const int32_t *from, fa_error *e) {
    cluster *c = ctx;
    fa_error why = {0};
    if (!c->ready) return fa_fail(e, FA_EDEVICE, "cluster: no job");
    fa_pass pass = source == FA_MTP_AFTER_STEP ? FA_PASS_MTP_AFTER_STEP : FA_PASS_MTP_AFTER_MTP;
    fa_status s = ask(c, step, pass, from, &why);
    if (!s) return FA_OK;
    c->lost = true;
    return broke(c, s, &why, e);
}

/* ---- a backend for what the engine keeps ---- */

static fa_status alloc(fa_backend *b, size_t bytes, fa_buffer **out, fa_error *e) {
    *out = calloc(1, sizeof **out);
    if (!*out) return fa_fail(e, FA_ENOMEM, "cluster: out of memory");
    (*out)->bytes = bytes;
    (void)b;
    return FA_OK;
}

static void release(fa_backend *b, fa_buffer *buffer) {
    (void)b;
    free(buffer);
}

static size_t held_bytes(const fa_backend *b) {
    (void)b;
    return 0;
}

static void close_cluster(fa_backend *b) {
    cluster *c = (cluster *)b;
    fa_job_close(&c->job);
    free(c->numbers);
    free(c);
}

fa_status fa_cluster_open(fa_backend **out, const fa_cluster_options *o, fa_error *e) {
    *out = NULL;
    cluster *c = calloc(1, sizeof *c);
    if (!c) return fa_fail(e, FA_ENOMEM, "cluster: out of memory");
    c->base =
        (fa_backend){.name = "cluster", .alloc = alloc, .free = release, .bytes = held_bytes, .close = close_cluster};
    c->remote = (fa_remote){.ctx = c, .step = run_step, .mtp = run_mtp};
    snprintf(c->mode, sizeof c->mode, "%s", o->mode);
    fa_status s = fa_job_open(&c->job, o, e);
    if (s) {
        close_cluster(&c->base);
        return s;
    }
    *out = &c->base;
    return FA_OK;
}

fa_remote *fa_cluster_remote(fa_backend *b) {
    return &((cluster *)b)->remote;
}
