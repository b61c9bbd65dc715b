/* A layer on one rank of a stage that has several. Every rank keeps the keys of all rows, so that any rank can compute any row. */
#include <string.h>

#include "host/cluster/rank/rank.h"

static size_t key_bytes(const fa_model *m, int32_t rows) {
    return (size_t)rows * (size_t)(m->width[FA_KEYS] + m->width[FA_VALUES]) * sizeof(float);
}

static int32_t rows_of(const fa_rank *r, int32_t index) {
    return r->now->first[index + 1] - r->now->first[index];
}

/* FA_KEYS [rows, width], then FA_VALUES, between the backend and one piece of host memory. */
static fa_status move_keys(fa_rank *r, bool to_host, int32_t rows, float *host, fa_error *e) {
    fa_status s = FA_OK;
    for (int i = 0; i < 2 && !s; i++) {
        fa_buffer *b = r->model->buffers[i ? FA_VALUES : FA_KEYS];
        size_t bytes = (size_t)rows * (size_t)r->model->width[i ? FA_VALUES : FA_KEYS] * sizeof(float);
        if (!bytes) continue;
        s = to_host ? r->backend->read(r->backend, b, 0, host, bytes, e)
                    : r->backend->write(r->backend, b, 0, host, bytes, e);
        host += bytes / sizeof(float);
    }
    return s;
}

/* Starts sending this rank's keys, and receiving those of others. */
static fa_status begin_keys(fa_rank *r, fa_error *e) {
    int32_t index = r->seat.index;
    fa_peer *me = &r->peers[index];
    fa_status s = FA_OK;
    for (int32_t g = 0; g < r->seat.size && !s; g++) /* the last layer's have left */
        s = fa_link_wait(r->link, &r->peers[g].keys_out, NULL, e);
    if (!s && r->mine.rows) s = move_keys(r, true, r->mine.rows, me->keys, e);
    for (int32_t g = 0; g < r->seat.size && !s; g++) {
        fa_peer *p = &r->peers[g];
        size_t bytes = key_bytes(r->model, rows_of(r, g));
        if (g == index) continue;
        if (bytes)
            s = fa_link_receive(r->link, r->seat.first + g, FA_TAG_KEYS, p->keys, (int64_t)bytes, &p->keys_in, e);
        if (!s && r->mine.rows)
            s = fa_link_send(r->link, r->seat.first + g, FA_TAG_KEYS, me->keys,
                             (int64_t)key_bytes(r->model, r->mine.rows), &p->keys_out, e);
    }
    return s;
}

/* All rows' keys, in the order of `now`, into FA_KEYS and FA_VALUES. */
static fa_status end_keys(fa_rank *r, fa_error *e) {
    const int64_t *width = r->model->width;
    int32_t rows = r->all.rows;
    fa_status s = FA_OK;
    for (int32_t g = 0; g < r->seat.size && !s; g++) {
        int64_t first = r->now->first[g], n = rows_of(r, g);
        s = fa_link_wait(r->link, &r->peers[g].keys_in, NULL, e);
        if (s || !n) continue;
        const float *from = r->peers[g].keys;
        memcpy(r->keys + first * width[FA_KEYS], from, (size_t)(n * width[FA_KEYS]) * sizeof *from);
        memcpy(r->keys + rows * width[FA_KEYS] + first * width[FA_VALUES], from + n * width[FA_KEYS],
               (size_t)(n * width[FA_VALUES]) * sizeof *from);
    }
    return s ? s : move_keys(r, false, rows, r->keys, e);
}

static fa_status attention(fa_rank *r, int i, fa_buffer *stream, fa_error *e) {
    fa_model *m = r->model;
    bool any = r->mine.rows > 0;
    fa_status s = FA_OK;
    if (any) {
        fa_push_keys(m, i, stream, &r->mine);
        s = fa_flush(m, e);
    }
    if (!s) s = begin_keys(r, e);
    if (!s && any) {
        fa_push_queries(m, i, &r->mine);
        s = fa_flush(m, e);
    }
    if (!s) s = end_keys(r, e);
    if (s) return s;
    fa_push_store(m, i, &r->all);
    if (any) fa_push_attention(m, i, stream, &r->mine);
    return any ? FA_OK : fa_flush(m, e);
}

fa_status fa_rank_layer(fa_rank *r, int i, fa_buffer *stream, fa_error *e) {
    fa_model *m = r->model;
    fa_status s = attention(r, i, stream, e);
    if (s) return s;
    bool any = r->mine.rows > 0;
    if (m->weights.layers[i].experts) {
        if (any) s = fa_route_rows(m, i, &r->mine, e);
        if (!s) s = fa_rank_experts(r, i, e);
    } else if (any) {
        fa_push_mlp(m, i, &r->mine, FA_OUT);
    }
    if (!s && any) fa_push_add(m, r->mine.rows, stream, m->buffers[FA_OUT]);
    return s;
}
