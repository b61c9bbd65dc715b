/* Weights: taken one by one, sent together (a segment) before something else needs the card. Kernels address all weights of a launch
 * from one base pointer a port, so those of an op must share a segment; weights of a model are one. */
#include <math.h>
#include <stdlib.h>

#include "host/backend/board/state.h"

static fa_status check_limits(const fa_board_backend *b, const fa_weight *w, fa_error *e) {
    if (w->cols <= HLS_MAX_COLS && w->rows <= HLS_MAX_OUTPUTS) return FA_OK;
    return fa_fail(e, FA_ELIMIT, "tensor %s: [%lld, %lld] is more than the kernels of backend %s take, [%d, %d]",
                   w->name, (long long)w->rows, (long long)w->cols, b->base.name, HLS_MAX_OUTPUTS, HLS_MAX_COLS);
}

static fa_status check_codes(const fa_weight *w, fa_error *e) {
    const uint8_t *codes = w->data;
    for (int64_t i = 0; w->type == FA_F8_E4M3 && i < w->rows * w->cols; i++)
        if ((codes[i] & 0x7f) == 0x7f)
            return fa_fail(e, FA_EFORMAT, "tensor %s: NaN code at element %lld", w->name, (long long)i);
    return FA_OK;
}

static hls_weight type_of(const fa_weight *w) {
    return w->type == FA_F8_E4M3 ? HLS_E4M3 : w->type == FA_BF16 ? HLS_BF16 : HLS_F32;
}

int32_t board_expert_units(const fa_board_backend *b, const fa_weight *w) {
    return b->units == 1 || w->rows % ((int64_t)HLS_TILE * b->units) ? 0 : BOARD_ALL_UNITS;
}

/* Where a weight goes by what it is for: those of experts must lie alike. */
static int32_t wanted_unit(const fa_board_backend *b, const fa_weight *w) {
    int32_t wanted = board_expert_units(b, w);
    return w->use == FA_USE_EXPERT || wanted == BOARD_ALL_UNITS || b->units == 1 ? wanted : BOARD_ANY_UNIT;
}

static fa_status add(fa_board_backend *b, const fa_weight *w, int32_t wanted, board_weight **out, fa_error *e) {
    board_weight *bw = calloc(1, sizeof *bw);
    if (!bw) return fa_fail(e, FA_ENOMEM, "tensor %s: no memory for its record", w->name);
    *bw = (board_weight){.view = *w, .type = type_of(w), .wanted = wanted, .vector = w->rows == 1};
    *(b->last ? b->last : &b->weights) = bw;
    b->last = &bw->next;
    if (!b->pending) b->pending = bw;
    *out = bw;
    return FA_OK;
}

fa_status board_take_weight(fa_backend *base, fa_weight *w, fa_error *e) {
    fa_board_backend *b = (fa_board_backend *)base;
    board_weight *bw = NULL;
    fa_status s = fa_weight_check(w, e);
    if (!s) s = check_limits(b, w, e);
    if (!s) s = check_codes(w, e);
    if (!s && w->use != FA_USE_HOST) s = add(b, w, wanted_unit(b, w), &bw, e);
    w->device = bw;
    return s;
}

/* ---- a segment ---- */

/* Words that a segment takes behind each base pointer of a unit, and values of its vectors. */
typedef struct extent {
    int64_t words[BOARD_MAX_UNITS], values;
} extent;

static void place_slice(const fa_board_backend *b, board_weight *w, extent *x, int32_t unit, int32_t first, int32_t n) {
    w->slice[w->n_slices++] = (board_slice){
        .unit = unit, .first = first, .outputs = n, .at = (int32_t)x->words[unit], .segment = b->n_segments};
    x->words[unit] += hls_share_words(b->ports, w->type, n, (int32_t)w->view.cols);
}

static int32_t least_filled(const fa_board_backend *b, const extent *x) {
    int32_t unit = 0;
    for (int32_t u = 1; u < b->units; u++)
        if (x->words[u] < x->words[unit]) unit = u;
    return unit;
}

static void place(const fa_board_backend *b, board_weight *w, extent *x) {
    int32_t rows = (int32_t)w->view.rows, each = rows / b->units;
    w->n_slices = 0;
    if (w->wanted == BOARD_ALL_UNITS)
        for (int32_t u = 0; u < b->units; u++) place_slice(b, w, x, u, u * each, each);
    else
        place_slice(b, w, x, w->wanted == BOARD_ANY_UNIT ? least_filled(b, x) : w->wanted, 0, rows);
    w->vector_at = x->values;
    x->values += w->vector ? (w->view.cols + 15) / 16 * 16 : 0;
}

/* FA_ENOMEM with what is needed and what is there, unless the banks of every port have room for its share. */
static fa_status check_room(const fa_board_backend *b, const extent *x, fa_error *e) {
    const fa_board *board = b->device->board;
    double bytes = 0, most = 0, room = 1e300;
    for (int32_t u = 0; u < b->units; u++) {
        double share = (double)x->words[u] * sizeof(hls_word);
        bytes += share * b->ports;
        most = fmax(most, share);
        for (int32_t p = 0; p < b->ports; p++) {
            int32_t first = fa_board_port_bank(board, &board->build, u, p);
            double left = 0;
            for (int32_t i = 0; i < fa_board_port_banks(board, &board->build); i++) {
                fa_device_bank bank = b->device->bank(b->device, first + i);
                left += (double)(bank.bytes - bank.used);
            }
            room = fmin(room, left);
        }
    }
    double ports = (double)b->units * b->ports, per_bank = ceil(ports / board->bank[0].count);
    if (most * per_bank <= room && most < 0x1p31 * sizeof(hls_word)) return FA_OK;
    double there = room / per_bank * ports;
    return fa_fail(
        e, FA_ENOMEM,
        "the model does not fit board %s: its weights take %.2f GB in the banks of %d ports, where %.2f GB are "
        "free; %.0f such boards are needed",
        board->name, 1e-9 * bytes, (int)ports, 1e-9 * there, there > 0 ? ceil(bytes / there) : INFINITY);
}

static fa_status alloc_segment(fa_board_backend *b, board_segment *s, const extent *x, fa_error *e) {
    fa_device *d = b->device;
    fa_status st = check_room(b, x, e);
    for (int32_t u = 0; u < b->units; u++)
        for (int32_t p = 0; p < b->ports && !st && x->words[u]; p++) {
            fa_bank_range bank = {fa_board_port_bank(d->board, &d->board->build, u, p),
                                  fa_board_port_banks(d->board, &d->board->build)};
            size_t bytes = (size_t)x->words[u] * sizeof(hls_word);
            st = d->alloc(d, bank, bytes, &s->port[u * b->ports + p], e);
        }
    if (!st && x->values) st = board_io_alloc(b, (size_t)x->values * sizeof(float), &s->vectors, e);
    return st;
}

static void free_segment(fa_board_backend *b, const board_segment *s) {
    for (int32_t i = 0; i < b->units * b->ports; i++)
        if (s->port[i]) b->device->free(b->device, s->port[i]);
    if (s->vectors) b->device->free(b->device, s->vectors);
}

static fa_status send(fa_board_backend *b, const board_weight *w, fa_error *e) {
    fa_status s = FA_OK;
    for (int i = 0; i < w->n_slices && !s; i++) s = board_send_slice(b, w, &w->slice[i], e);
    return s || !w->vector ? s : board_send_vector(b, w, e);
}

/* All pending weights into their segment; progress in elements. */
static fa_status send_pending(fa_board_backend *b, const fa_progress *progress, fa_error *e) {
    int64_t total = 0, done = 0;
    for (const board_weight *w = b->pending; w; w = w->next) total += w->view.rows * w->view.cols;
    fa_status s = FA_OK;
    for (const board_weight *w = b->pending; w && !s; w = w->next) {
        s = send(b, w, e);
        done += w->view.rows * w->view.cols;
        if (progress && progress->report) progress->report(progress->ctx, done, total);
    }
    return s;
}

fa_status board_seal(fa_board_backend *b, const fa_progress *progress, fa_error *e) {
    if (!b->pending) return FA_OK;
    board_segment *more = realloc(b->segments, (size_t)(b->n_segments + 1) * sizeof *more);
    if (!more) return fa_fail(e, FA_ENOMEM, "%s: no memory for the table of weights", b->base.name);
    b->segments = more;
    more[b->n_segments] = (board_segment){0};
    extent x = {0};
    for (board_weight *w = b->pending; w; w = w->next) place(b, w, &x);
    fa_status s = alloc_segment(b, &more[b->n_segments], &x, e);
    if (!s) s = send_pending(b, progress, e);
    if (s) {
        free_segment(b, &more[b->n_segments]);
        return s;
    }
    b->n_segments++;
    b->pending = NULL;
    return FA_OK;
}

fa_status board_bring_together(fa_board_backend *b, const fa_weight *const *weights, const int32_t *wanted, int n,
                               fa_error *e) {
    fa_status s = board_seal(b, NULL, e);
    for (int i = 0; i < n && !s; i++) {
        board_weight *old = weights[i]->device, *copy = NULL;
        bool again = false; /* k_up and v_up may be one */
        for (int k = 0; k < i; k++) again |= weights[k]->device == old;
        if (!again) s = add(b, &old->view, wanted[i], &copy, e);
        if (copy) old->moved = copy;
    }
    return s ? s : board_seal(b, NULL, e);
}

fa_status board_send_again(fa_board_backend *b, fa_error *e) {
    fa_status s = FA_OK;
    for (const board_weight *w = b->weights; w && w != b->pending && !s; w = w->next) s = send(b, w, e);
    return s;
}

void board_weights_close(fa_board_backend *b) {
    for (int32_t i = 0; i < b->n_segments; i++) free_segment(b, &b->segments[i]);
    free(b->segments);
    for (board_weight *w = b->weights, *next; w; w = next) {
        next = w->next;
        free(w);
    }
}
