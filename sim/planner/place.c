#include "sim/planner/place.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "sim/planner/layout.h"

typedef struct placer {
    const fa_place_request *r;
    const fa_plan_request *q;
    fa_board_placement *out;
    fa_layer_bytes bytes; /* of whole layers */
    double expert_bytes;
    double visit_s, hop_s, far_s; /* of an expert; a route's way to another board; more, to another node */
    double bytes_of[FA_PLACEMENT_BOARDS];
    /* of the layer at hand */
    double time_of[FA_PLACEMENT_BOARDS];
    double *popular;    /* [experts] shares of the visits */
    struct item *items; /* [2 experts] */
} placer;

static int32_t node_of(const fa_plan_request *q, int32_t board) {
    return (int32_t)((int64_t)board * q->hosts.nodes / q->boards);
}

/* ---- layers ---- */

static double layer_bytes(const placer *p, int32_t layer) {
    bool moe = fa_config_is_moe(p->q->model, layer);
    double experts = moe ? p->expert_bytes * p->q->model->experts : 0;
    return (moe ? p->bytes.moe : p->bytes.dense) - experts + p->bytes.cache;
}

/* Runs of layers with as many bytes as they come to; the head is the last board's. */
static void place_layers(placer *p) {
    fa_board_placement *o = p->out;
    double all = p->bytes.ends, before = 0;
    for (int32_t i = 0; i < o->layers; i++) all += layer_bytes(p, i);
    for (int32_t i = 0; i < o->layers; i++) {
        double middle = before + layer_bytes(p, i) / 2;
        int32_t board = (int32_t)(middle / all * o->n_boards);
        o->layer[i] = board < o->n_boards ? board : o->n_boards - 1;
        p->bytes_of[o->layer[i]] += layer_bytes(p, i);
        before += layer_bytes(p, i);
    }
    o->head = o->n_boards - 1;
    p->bytes_of[o->head] += p->bytes.ends;
}

/* ---- experts ---- */

/* An expert, or one of its two copies, with the visits that it takes. */
typedef struct item {
    double visits;
    int32_t expert;
} item;

static int more_visits(const void *a, const void *b) {
    const item *x = a, *y = b;
    if (x->visits != y->visits) return x->visits < y->visits ? 1 : -1;
    return x->expert - y->expert;
}

static void set_popular(placer *p, int32_t layer) {
    int32_t n = p->q->model->experts;
    const double *visits = p->r->visits && layer < p->q->model->layers ? p->r->visits + layer * n : NULL;
    double sum = 0;
    for (int32_t x = 0; x < n && visits; x++) sum += visits[x];
    for (int32_t x = 0; x < n; x++)
        p->popular[x] = visits && sum > 0 ? visits[x] / sum : p->q->routes->p[x] / p->q->routes->top_k;
}

/* All experts, the most visited first; then the first `copies` of them in halves, in their order again. Returns how many. */
static int32_t set_items(placer *p, int32_t copies) {
    int32_t n = p->q->model->experts;
    for (int32_t x = 0; x < n; x++) p->items[x] = (item){p->popular[x], x};
    qsort(p->items, (size_t)n, sizeof *p->items, more_visits);
    for (int32_t i = 0; i < copies; i++) {
        p->items[i].visits /= 2;
        p->items[n + i] = p->items[i];
    }
    qsort(p->items, (size_t)n + (size_t)copies, sizeof *p->items, more_visits);
    return n + copies;
}

static double route_seconds(const placer *p, int32_t layer, int32_t board) {
    int32_t home = p->out->layer[layer];
    return p->visit_s + (board != home ? p->hop_s : 0) + (node_of(p->q, board) != node_of(p->q, home) ? p->far_s : 0);
}

/* The board with the least time once it has the item too, of those with fewer than `most` and not in `without`; -1: none. */
static int32_t least_busy(const placer *p, int32_t layer, const item *v, const int32_t *count, int32_t most,
                          uint32_t without) {
    int32_t best = -1;
    double least = INFINITY;
    for (int32_t b = 0; b < p->out->n_boards; b++) {
        double then = p->time_of[b] + v->visits * route_seconds(p, layer, b);
        if (count[b] >= most || without >> b & 1 || then >= least) continue;
        least = then;
        best = b;
    }
    return best;
}

static void place_experts(placer *p, int32_t layer, int32_t copies) {
    fa_board_placement *o = p->out;
    set_popular(p, layer);
    int32_t n = set_items(p, copies), most = (n + o->n_boards - 1) / o->n_boards, count[FA_PLACEMENT_BOARDS] = {0};
    uint32_t *boards = o->expert + layer * p->q->model->experts;
    for (int32_t b = 0; b < o->n_boards; b++) p->time_of[b] = 0;
    for (int32_t x = 0; x < p->q->model->experts; x++) boards[x] = 0;
    for (int32_t i = 0; i < n; i++) {
        const item *v = &p->items[i];
        int32_t board = least_busy(p, layer, v, count, most, boards[v->expert]);
        if (board < 0) continue; /* a second copy where only the first one's board has a place left */
        count[board]++;
        boards[v->expert] |= 1u << board;
        p->time_of[board] += v->visits * route_seconds(p, layer, board);
        p->bytes_of[board] += p->expert_bytes;
    }
}

/* ---- the whole ---- */

/* The busiest board's share of a layer's visits; an expert's boards take equal parts of its own. */
static double busiest_share(placer *p, int32_t layer) {
    const fa_board_placement *o = p->out;
    double share[FA_PLACEMENT_BOARDS] = {0}, most = 0;
    set_popular(p, layer);
    for (int32_t x = 0; x < o->experts; x++) {
        uint32_t boards = o->expert[layer * o->experts + x];
        for (int32_t b = 0; b < o->n_boards; b++)
            if (boards >> b & 1) share[b] += p->popular[x] / __builtin_popcount(boards);
    }
    for (int32_t b = 0; b < o->n_boards; b++) most = fmax(most, share[b]);
    return most;
}

static void measure(placer *p, fa_placed_load *load, double room) {
    const fa_board_placement *o = p->out;
    int32_t moe = 0;
    *load = (fa_placed_load){.least_bytes = INFINITY, .room = room};
    for (int32_t b = 0; b < o->n_boards; b++) {
        load->least_bytes = fmin(load->least_bytes, p->bytes_of[b]);
        load->most_bytes = fmax(load->most_bytes, p->bytes_of[b]);
    }
    for (int32_t i = 0; i < o->layers; i++) {
        if (!fa_config_is_moe(p->q->model, i)) continue;
        double share = busiest_share(p, i);
        for (int32_t x = 0; x < o->experts; x++) load->copies += __builtin_popcount(o->expert[i * o->experts + x]) - 1;
        load->busiest += share;
        load->worst = fmax(load->worst, share);
        moe++;
    }
    if (moe) load->busiest /= moe;
}

static void place_with(placer *p, int32_t copies) {
    for (int32_t b = 0; b < p->out->n_boards; b++) p->bytes_of[b] = 0;
    place_layers(p);
    for (int32_t i = 0; i < p->out->layers; i++)
        if (fa_config_is_moe(p->q->model, i)) place_experts(p, i, copies);
}

/* With as many copies as were asked for, or half of them again and again until it fits. */
static fa_status place_all(placer *p, fa_placed_load *load, fa_error *e) {
    const double room = fa_layout_capacity(p->q->board).both;
    int32_t experts = p->q->model->experts, copies = p->r->copies < 0 ? experts / 8 : p->r->copies;
    if (copies > experts) copies = experts;
    if (p->out->n_boards == 1) copies = 0;
    for (;; copies /= 2) {
        place_with(p, copies);
        measure(p, load, room);
        if (load->most_bytes <= room) return FA_OK;
        if (!copies) break;
    }
    return fa_fail(
        e, FA_ELIMIT,
        "placement: a board would hold %.1f GB of weights and cache, %s has room for %.1f: more boards, or a smaller batch or context",
        load->most_bytes / 1e9, p->q->board->name, room / 1e9);
}

static void set_costs(placer *p) {
    const fa_plan_request *q = p->q;
    fa_lists lists;
    fa_lists_of(&lists, q);
    p->bytes = fa_layout_bytes(q, &lists, 1, q->batch, q->model->experts);
    for (int i = 0; i < lists.moe.n; i++)
        if (lists.moe.item[i].kind == FA_PLAN_EXPERTS)
            p->expert_bytes = fa_plan_op_bytes(q->model, &lists.moe.item[i]) / q->model->experts;
    double row = 4.0 * q->model->hidden; /* starting a transfer is paid once for all routes of a step */
    p->visit_s = p->expert_bytes / fa_board_read_rate(q->board, &q->board->build);
    if (q->board->to_card_bytes_per_s > 0)
        p->hop_s = row / q->board->to_card_bytes_per_s + row / q->board->from_card_bytes_per_s;
    p->far_s = 2 * row / (q->hosts.node_bytes_per_s * q->hosts.far_share);
}

fa_status fa_place_model(fa_board_placement *out, fa_placed_load *load, const fa_place_request *r, fa_error *e) {
    const fa_plan_request *q = r->q;
    const fa_config *c = q->model;
    placer p = {.r = r, .q = q, .out = out};
    fa_status s = fa_board_placement_make(out, q->boards, c->layers + c->mtp_layers, c->experts, e);
    if (s) return s;
    for (int32_t i = 0; i < out->n_boards; i++) out->board[i].node = node_of(q, i);
    p.popular = calloc((size_t)c->experts + 1, sizeof *p.popular);
    p.items = calloc(2 * (size_t)c->experts + 1, sizeof *p.items);
    bool ok = p.popular && p.items;
    if (ok) set_costs(&p);
    s = ok ? place_all(&p, load, e) : fa_fail(e, FA_ENOMEM, "placement: memory ran out");
    free(p.popular);
    free(p.items);
    for (int32_t i = 0; i < out->layers; i++) /* a dense layer has none elsewhere */
        for (int32_t x = 0; x < c->experts && !fa_config_is_moe(c, i); x++)
            out->expert[i * c->experts + x] = 1u << out->layer[i];
    return s;
}
