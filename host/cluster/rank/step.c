/* One pass of all ranks: embed or take the stream from the stage before, layers, pass the stream on or make logits. */
#include <string.h>

#include "host/cluster/rank/rank.h"

static bool is_last(const fa_rank *r) {
    return r->seat.stage == r->grid.stages - 1;
}

static int32_t end_size(const fa_rank *r) {
    return r->grid.active - fa_grid_stage_first(&r->grid, r->grid.stages - 1);
}

/* ---- who does what ---- */

/* Rows of logits, and in an MTP pass where its rows go on from, as this rank counts its rows. */
static void choose_mine(fa_rank *r, const fa_step_message *m, const fa_rows *before) {
    const fa_rows *now = r->now;
    int32_t index = r->seat.index, first = now->first[index], n = now->first[index + 1] - first, n_logits = 0;
    for (int32_t i = 0; i < m->n_logits && is_last(r); i++)
        if (now->owner[m->logit_rows[i]] == index) r->logit_rows[n_logits++] = now->local[m->logit_rows[i]];
    for (int32_t i = 0; i < n && before; i++) r->from[i] = before->local[m->from[now->order[first + i]]];
    r->all = (fa_step){.rows = m->rows, .tokens = now->tokens, .place = now->place, .pool = r->pool};
    r->mine = (fa_step){.rows = n,
                        .tokens = now->tokens + first,
                        .place = now->place + first,
                        .pool = r->pool,
                        .n_logits = n_logits,
                        .logit_rows = r->logit_rows,
                        .logits = r->logits};
}

static fa_status deal(fa_rank *r, const fa_step_message *m, fa_error *e) {
    const fa_rows *before = m->pass == FA_PASS_STEP             ? NULL
                            : m->pass == FA_PASS_MTP_AFTER_STEP ? &r->step
                                                                : &r->mtp_pass;
    if (m->rows > r->max_rows) return fa_fail(e, FA_EINVAL, "step: %d rows are not in 1..%d", m->rows, r->max_rows);
    fa_status s = fa_rows_place(&r->end, m, end_size(r), before, e);
    r->now = &r->end;
    if (!s && !is_last(r)) {
        s = fa_rows_place(&r->own, m, r->seat.size, NULL, e);
        r->now = &r->own;
    }
    if (!s) choose_mine(r, m, before);
    return s;
}

/* ---- the stream from stage to stage ---- */

typedef struct range {
    int32_t first, end;
} range;

static range meet(range a, range b) {
    return (range){a.first > b.first ? a.first : b.first, a.end < b.end ? a.end : b.end};
}

/* Rows of a step that rank `index` of a stage has. */
static range share_of(const fa_rank *r, int32_t stage, int32_t index) {
    int32_t size = fa_grid_stage_first(&r->grid, stage + 1) - fa_grid_stage_first(&r->grid, stage);
    return (range){fa_grid_first_row(r->all.rows, size, index), fa_grid_first_row(r->all.rows, size, index + 1)};
}

/* Sends to, or starts receiving from, each rank of another stage the rows that it shares with this one. */
static fa_status pass_rows(fa_rank *r, int32_t stage, bool send, float *rows, fa_error *e) {
    int32_t first = fa_grid_stage_first(&r->grid, stage), end = fa_grid_stage_first(&r->grid, stage + 1);
    range mine = share_of(r, r->seat.stage, r->seat.index);
    fa_status s = FA_OK;
    for (int32_t rank = first; rank < end && !s; rank++) {
        range both = meet(mine, share_of(r, stage, rank - first));
        int64_t bytes = (both.end - both.first) * r->hidden * (int64_t)sizeof(float);
        float *at = rows + (both.first - mine.first) * r->hidden;
        if (bytes <= 0) continue;
        s = send ? fa_link_send(r->link, rank, FA_TAG_STREAM, at, bytes, &r->parcels[rank], e)
                 : fa_link_receive(r->link, rank, FA_TAG_STREAM, at, bytes, &r->parcels[rank], e);
    }
    return s;
}

static fa_status wait_all(fa_rank *r, fa_error *e) {
    fa_status s = FA_OK;
    for (int32_t rank = 0; rank < r->link->size && !s; rank++) s = fa_link_wait(r->link, &r->parcels[rank], NULL, e);
    return s;
}

static fa_status take_stream(fa_rank *r, fa_error *e) {
    fa_buffer *stream = r->model->buffers[FA_STREAM];
    if (r->seat.stage == 0)
        return r->mine.rows ? fa_embed(r->model, &r->mine, &r->model->weights.embedding, stream, e) : FA_OK;
    fa_status s = pass_rows(r, r->seat.stage - 1, false, r->stage_x, e);
    if (!s) s = wait_all(r, e);
    size_t bytes = (size_t)(r->mine.rows * r->hidden) * sizeof(float);
    return s || !bytes ? s : r->backend->write(r->backend, stream, 0, r->stage_x, bytes, e);
}

static fa_status pass_stream(fa_rank *r, fa_error *e) {
    size_t bytes = (size_t)(r->mine.rows * r->hidden) * sizeof(float);
    fa_status s = fa_flush(r->model, e);
    if (!s && bytes) s = r->backend->read(r->backend, r->model->buffers[FA_STREAM], 0, r->rows_x, bytes, e);
    return s ? s : pass_rows(r, r->seat.stage + 1, true, r->rows_x, e);
}

/* ---- logits ---- */

/* Rank 0: the logits of all ranks of the last stage, in the order in which they were asked for. */
static fa_status gather_logits(fa_rank *r, const fa_step_message *m, float *logits, fa_error *e) {
    int32_t first = fa_grid_stage_first(&r->grid, r->grid.stages - 1);
    size_t row_bytes = (size_t)r->vocab * sizeof(float);
    fa_status s = FA_OK;
    for (int32_t g = 0; g < end_size(r) && !s; g++) {
        int32_t n = 0;
        for (int32_t i = 0; i < m->n_logits; i++) n += r->end.owner[m->logit_rows[i]] == g;
        if (!n) continue;
        if (first + g) {
            fa_parcel p = {0};
            s = fa_link_receive(r->link, first + g, FA_TAG_LOGITS, r->logits, n * (int64_t)row_bytes, &p, e);
            if (!s) s = fa_link_wait(r->link, &p, NULL, e);
        }
        const float *next = r->logits;
        for (int32_t i = 0; i < m->n_logits && !s; i++) {
            if (r->end.owner[m->logit_rows[i]] != g) continue;
            memcpy(logits + (int64_t)i * r->vocab, next, row_bytes);
            next += r->vocab;
        }
    }
    return s;
}

static fa_status make_logits(fa_rank *r, fa_pass pass, fa_error *e) {
    fa_model *m = r->model;
    const fa_weights *w = &m->weights;
    bool mtp = pass != FA_PASS_STEP;
    fa_status s = fa_read_logits(m, m->buffers[mtp ? FA_MTP_STREAM : FA_STREAM], mtp ? &w->mtp.norm : &w->norm,
                                 mtp ? &w->mtp.head : &w->head, &r->mine, e);
    if (s || !r->link->rank || !r->mine.n_logits) return s;
    return fa_link_send(r->link, 0, FA_TAG_LOGITS, r->logits,
                        (int64_t)r->mine.n_logits * r->vocab * (int64_t)sizeof(float), &r->parcels[0], e);
}

/* ---- passes ---- */

static fa_status run_layer(fa_rank *r, int i, fa_buffer *stream, fa_error *e) {
    return r->seat.size > 1 ? fa_rank_layer(r, i, stream, e) : fa_push_layer(r->model, i, stream, &r->mine, e);
}

static fa_status run_step(fa_rank *r, fa_error *e) {
    fa_buffer *stream = r->model->buffers[FA_STREAM];
    fa_status s = take_stream(r, e);
    for (int32_t i = r->seat.part.first_layer; i < r->seat.part.end_layer && !s; i++) s = run_layer(r, i, stream, e);
    if (s) return s;
    return is_last(r) ? make_logits(r, FA_PASS_STEP, e) : pass_stream(r, e);
}

static fa_status run_mtp(fa_rank *r, fa_pass pass, fa_error *e) {
    fa_model *m = r->model;
    fa_mtp_source source = pass == FA_PASS_MTP_AFTER_STEP ? FA_MTP_AFTER_STEP : FA_MTP_AFTER_MTP;
    fa_status s = r->mine.rows ? fa_push_mtp_inputs(m, &r->mine, source, r->from, e) : FA_OK;
    if (!s) s = run_layer(r, m->config.layers, m->buffers[FA_MTP_STREAM], e);
    return s ? s : make_logits(r, pass, e);
}

/* The rows of the last stage are kept for the MTP pass that goes on from them. */
static void remember(fa_rank *r, fa_pass pass) {
    fa_rows *kept = pass == FA_PASS_STEP ? &r->step : &r->mtp_pass, old = *kept;
    *kept = r->end;
    r->end = old;
    r->mtp_pass.rows = pass == FA_PASS_STEP ? 0 : r->mtp_pass.rows;
}

fa_status fa_rank_step(fa_rank *r, const fa_step_message *m, float *logits, fa_error *e) {
    if (r->seat.idle) return FA_OK;
    r->link->blamed = -1;
    fa_status s = wait_all(r, e); /* what the last pass sent has left */
    if (!s) s = deal(r, m, e);
    if (s) return s;
    r->model->n_ops = 0;
    if (m->pass == FA_PASS_STEP)
        s = run_step(r, e);
    else if (is_last(r))
        s = run_mtp(r, m->pass, e);
    if (!s && r->link->rank == 0) s = gather_logits(r, m, logits, e);
    if (!s) remember(r, m->pass);
    return s;
}
