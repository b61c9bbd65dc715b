#include "host/cluster/wire.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

/* ---- agreement ---- */

static fa_status differs(const fa_cluster_hello *h, int32_t rank, const char *field, const char *has, const char *want,
                         fa_error *e) {
    return fa_fail(e, FA_EINVAL, "cluster: rank %d on %s: %s is %s, that of rank 0 is %s", rank, h->host, field, has,
                   want);
}

fa_status fa_cluster_agree(const fa_cluster_hello *all, int32_t n, fa_error *e) {
    for (int32_t i = 1; i < n; i++) {
        const fa_cluster_hello *a = &all[0], *b = &all[i];
        const struct {
            const char *name;
            uint64_t here, there;
        } hashes[] = {{"the set-up", a->setup, b->setup},
                      {"the model", a->model, b->model},
                      {"the placement", a->placement, b->placement}};
        if (strcmp(a->version, b->version)) return differs(b, i, "the version of fathom", b->version, a->version, e);
        if (strcmp(a->mode, b->mode)) return differs(b, i, "the mode", b->mode, a->mode, e);
        for (size_t k = 0; k < sizeof hashes / sizeof *hashes; k++) {
            char has[32], want[32];
            if (hashes[k].here == hashes[k].there) continue;
            snprintf(has, sizeof has, "%016llx", (unsigned long long)hashes[k].there);
            snprintf(want, sizeof want, "%016llx", (unsigned long long)hashes[k].here);
            return differs(b, i, hashes[k].name, has, want, e);
        }
    }
    return FA_OK;
}

/* ---- steps ---- */

int64_t fa_step_most(int32_t max_rows, int32_t max_positions) {
    int64_t list = (max_positions + FA_PAGE_POSITIONS - 1) / FA_PAGE_POSITIONS;
    return FA_STEP_HEADER + max_rows * (6 + list) + 1;
}

int64_t fa_step_encode(const fa_step *step, fa_pass pass, const int32_t *from, int32_t *to) {
    int32_t rows = step->rows, n_lists = 0;
    int32_t *tokens = to + FA_STEP_HEADER, *positions = tokens + rows, *lists = positions + rows, *froms = lists + rows,
            *logit_rows = froms + rows, *list_first = logit_rows + step->n_logits;
    for (int32_t t = 0; t < rows; t++) {
        tokens[t] = step->tokens[t];
        positions[t] = step->place[t].pos;
        n_lists += t == 0 || step->place[t].pages != step->place[t - 1].pages;
        lists[t] = n_lists - 1;
        froms[t] = from ? from[t] : t;
    }
    for (int32_t i = 0; i < step->n_logits; i++) logit_rows[i] = step->logit_rows[i];
    int32_t *pages = list_first + n_lists + 1, n_pages = 0;
    for (int32_t t = 0, next; t < rows; t = next) {
        int32_t last = 0;
        for (next = t; next < rows && lists[next] == lists[t]; next++)
            last = positions[next] > last ? positions[next] : last;
        int32_t n = last / FA_PAGE_POSITIONS + 1;
        list_first[lists[t]] = n_pages;
        memcpy(pages + n_pages, step->place[t].pages, (size_t)n * sizeof *pages);
        n_pages += n;
    }
    list_first[n_lists] = n_pages;
    const int32_t header[FA_STEP_HEADER] = {(int32_t)pass, rows, step->n_logits, n_lists, n_pages, 0};
    memcpy(to, header, sizeof header);
    return pages + n_pages - to;
}

fa_status fa_step_decode(fa_step_message *m, const int32_t *numbers, int64_t n, fa_error *e) {
    if (n < FA_STEP_HEADER) return fa_fail(e, FA_EFORMAT, "cluster: a step of %lld numbers", (long long)n);
    *m = (fa_step_message){
        .pass = (fa_pass)numbers[0], .rows = numbers[1], .n_logits = numbers[2], .n_lists = numbers[3]};
    m->tokens = numbers + FA_STEP_HEADER;
    m->positions = m->tokens + m->rows;
    m->lists = m->positions + m->rows;
    m->from = m->lists + m->rows;
    m->logit_rows = m->from + m->rows;
    m->list_first = m->logit_rows + m->n_logits;
    m->pages = m->list_first + m->n_lists + 1;
    bool counts = m->rows > 0 && m->n_logits >= 0 && m->n_lists > 0 && numbers[4] > 0;
    if (counts && m->pages + numbers[4] - numbers == n) return FA_OK;
    return fa_fail(e, FA_EFORMAT, "cluster: a step of %d rows, %d logits and %d pages is not %lld numbers", m->rows,
                   m->n_logits, numbers[4], (long long)n);
}

/* ---- frames ---- */

int64_t fa_frame_now_ms(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static fa_status await(int fd, short events, int64_t until_ms, fa_error *e) {
    struct pollfd on = {.fd = fd, .events = events};
    for (;;) {
        int64_t left = until_ms ? until_ms - fa_frame_now_ms() : -1;
        if (until_ms && left <= 0) return fa_fail(e, FA_EDEVICE, "no answer came in time");
        int n = poll(&on, 1, until_ms ? (int)(left < INT32_MAX ? left : INT32_MAX) : -1);
        if (n > 0) return FA_OK;
        if (n < 0 && errno != EINTR) return fa_fail(e, FA_EIO, "poll: %m");
    }
}

static fa_status send_all(int fd, const void *data, int64_t bytes, int64_t until_ms, fa_error *e) {
    const char *p = data;
    while (bytes > 0) {
        ssize_t n = send(fd, p, (size_t)bytes, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n > 0) {
            p += n;
            bytes -= n;
        } else if (n < 0 && errno == EAGAIN) {
            fa_status s = await(fd, POLLOUT, until_ms, e);
            if (s) return s;
        } else if (n == 0 || errno != EINTR) {
            return fa_fail(e, FA_EIO, "send: %m");
        }
    }
    return FA_OK;
}

fa_status fa_frame_send(int fd, fa_frame_kind kind, fa_status status, const void *data, int64_t bytes, int64_t until_ms,
                        fa_error *e) {
    fa_frame head = {.kind = (int32_t)kind, .status = (int32_t)status, .bytes = bytes};
    fa_status s = send_all(fd, &head, sizeof head, until_ms, e);
    return s ? s : send_all(fd, data, bytes, until_ms, e);
}

fa_status fa_frame_receive(int fd, void *data, int64_t bytes, int64_t until_ms, fa_error *e) {
    char *p = data;
    while (bytes > 0) {
        fa_status s = await(fd, POLLIN, until_ms, e);
        if (s) return s;
        ssize_t n = recv(fd, p, (size_t)bytes, MSG_DONTWAIT);
        if (n == 0) return fa_fail(e, FA_EIO, "the other side has closed");
        if (n < 0 && errno != EINTR && errno != EAGAIN) return fa_fail(e, FA_EIO, "recv: %m");
        if (n > 0) {
            p += n;
            bytes -= n;
        }
    }
    return FA_OK;
}
