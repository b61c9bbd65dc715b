#include "host/cluster/rank/rank.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "host/base/memory.h"
#include "host/cluster/hash.h"

static const char *or_null(const char *text) {
    return *text ? text : NULL;
}

/* A rank's share of the CPUs of its machine, where it was given no number. */
static int threads_of(const fa_cluster_setup *o) {
    const char *local = getenv("OMPI_COMM_WORLD_LOCAL_SIZE");
    int ranks = local ? atoi(local) : 1;
    cpu_set_t set;
    int cpus = sched_getaffinity(0, sizeof set, &set) ? 1 : CPU_COUNT(&set);
    if (o->threads || ranks < 2) return o->threads;
    return cpus / ranks > 0 ? cpus / ranks : 1;
}

static fa_status open_model(fa_rank *r, const fa_cluster_setup *o, fa_error *e) {
    fa_backend_options backend = {.name = o->backend,
                                  .threads = threads_of(o),
                                  .node = FA_NODE_INTERLEAVE,
                                  .board = or_null(o->board),
                                  .xclbin = or_null(o->xclbin)};
    fa_model_options model = {.path = o->model,
                              .numerics = (fa_numerics)o->numerics,
                              .cache = (fa_cache_type)o->cache,
                              .max_rows = o->max_rows,
                              .max_logit_rows = o->max_logit_rows,
                              .max_positions = o->max_positions,
                              .mtp = o->mtp && r->seat.stage == r->grid.stages - 1,
                              .part = &r->seat.part,
                              .experts_by = or_null(o->experts_by)};
    fa_status s = fa_backend_open(&r->backend, &backend, e);
    model.backend = r->backend;
    if (!s) s = fa_model_open(&r->model, &model, e);
    if (s) return s;
    size_t rows = (size_t)o->max_rows * (size_t)r->hidden * sizeof(float);
    size_t pool = (size_t)o->pages * (size_t)fa_model_kv_layout(r->model)->page_bytes;
    s = r->backend->alloc(r->backend, pool, &r->pool, e);
    if (!s && r->seat.size > 1) s = r->backend->alloc(r->backend, rows, &r->routed_x, e);
    if (!s && r->seat.size > 1) s = r->backend->alloc(r->backend, rows, &r->routed_y, e);
    return s;
}

static bool alloc_peers(fa_rank *r, int64_t routes) {
    size_t keys = (size_t)(r->model->width[FA_KEYS] + r->model->width[FA_VALUES]);
    size_t box = (size_t)fa_dispatch_bytes(r->hidden, r->max_rows, routes);
    bool ok = (r->peers = fa_arena_array(&r->arena, (size_t)r->seat.size, sizeof *r->peers)) &&
              (r->runs = fa_arena_array(&r->arena, (size_t)r->seat.size, sizeof *r->runs));
    for (int32_t g = 0; g < r->seat.size && ok; g++)
        ok = (r->peers[g].keys = fa_arena_array(&r->arena, (size_t)r->max_rows, keys * sizeof(float))) &&
             (r->peers[g].outbox = fa_arena_alloc(&r->arena, box)) &&
             (r->peers[g].inbox = fa_arena_alloc(&r->arena, box));
    return ok && (r->keys = fa_arena_array(&r->arena, (size_t)r->max_rows, keys * sizeof(float)));
}

static fa_status alloc_tables(fa_rank *r, const fa_cluster_setup *o, fa_error *e) {
    fa_arena *a = &r->arena;
    size_t rows = (size_t)o->max_rows, wide = (size_t)r->hidden * sizeof(float), logits = (size_t)o->max_logit_rows;
    int32_t ranks = r->grid.ranks, k = r->model->config.top_k;
    int64_t routes = r->seat.size > 1 ? (int64_t)o->max_rows * k : 1;
    bool ok = fa_rows_open(&r->own, a, o->max_rows, ranks) && fa_rows_open(&r->end, a, o->max_rows, ranks) &&
              fa_rows_open(&r->step, a, o->max_rows, ranks) && fa_rows_open(&r->mtp_pass, a, o->max_rows, ranks) &&
              (r->logit_rows = fa_arena_array(a, rows, sizeof(int32_t))) &&
              (r->from = fa_arena_array(a, rows, sizeof(int32_t))) &&
              (r->parcels = fa_arena_array(a, (size_t)ranks, sizeof *r->parcels)) &&
              (r->rows_x = fa_arena_array(a, rows, wide)) && (r->stage_x = fa_arena_array(a, rows, wide)) &&
              (r->sum = fa_arena_array(a, rows, wide)) && (r->made = fa_arena_array(a, (size_t)routes, wide)) &&
              (r->products = fa_arena_array(a, (size_t)routes, wide)) &&
              (r->routed_ids = fa_arena_array(a, rows, sizeof(int32_t))) &&
              (r->routed_weights = fa_arena_array(a, rows, sizeof(float))) &&
              (r->position = fa_arena_array(a, (size_t)routes, sizeof(int32_t))) &&
              (r->logits = fa_arena_array(a, logits, (size_t)r->vocab * sizeof(float))) && alloc_peers(r, routes);
    return ok ? FA_OK : fa_fail(e, FA_ENOMEM, "out of memory for steps of %d rows", o->max_rows);
}

/* The configuration alone decides who is who; the model's files are read afterwards. */
static fa_status find_seat(fa_rank *r, const fa_cluster_setup *o, fa_cluster_hello *hello, fa_error *e) {
    fa_config c = {0};
    fa_tensors *ts = NULL;
    fa_status s = fa_tensors_open(&ts, o->model, e);
    if (!s) s = fa_model_read_config(&c, o->model, ts, e);
    if (!s) s = fa_grid_make(&r->grid, o->mode, r->link->size, &c, e);
    if (!s) {
        r->seat = fa_grid_seat(&r->grid, r->link->rank, o->mtp);
        r->hidden = c.hidden;
        r->vocab = c.vocab;
        hello->model = fa_hash_model(ts);
        hello->placement = fa_grid_hash(&r->grid);
    }
    fa_tensors_close(ts);
    return s;
}

static void introduce(const fa_rank *r, const fa_cluster_setup *o, fa_cluster_hello *h) {
    const fa_model_part *part = &r->seat.part;
    snprintf(h->version, sizeof h->version, "%s", FATHOM_VERSION);
    snprintf(h->mode, sizeof h->mode, "%s", o->mode);
    gethostname(h->host, sizeof h->host - 1);
    h->pid = getpid();
    h->setup = fa_hash_add(fa_hash_begin(), o, sizeof *o);
    h->first_layer = part->first_layer;
    h->end_layer = part->end_layer;
    h->first_expert = part->first_expert;
    h->end_expert = part->end_expert;
    if (!r->model) return;
    fa_model_memory m = fa_model_get_memory(r->model);
    snprintf(h->detail, sizeof h->detail, "%.20s: %.130s", r->backend->name, r->backend->detail);
    h->weight_bytes = m.weights;
    h->memory_bytes = (int64_t)(r->backend->bytes(r->backend) + r->arena.used_bytes) + m.host;
}

fa_status fa_rank_open(fa_rank **out, fa_link *link, const fa_cluster_setup *o, fa_cluster_hello *hello, fa_error *e) {
    fa_rank *r = *out = calloc(1, sizeof *r);
    *hello = (fa_cluster_hello){0};
    if (!r) return fa_fail(e, FA_ENOMEM, "out of memory");
    r->link = link;
    r->max_rows = o->max_rows;
    link->deadline_ns = (int64_t)o->deadline_ms * 1000000;
    fa_status s = find_seat(r, o, hello, e);
    if (!s && !r->seat.idle) s = open_model(r, o, e);
    if (!s && !r->seat.idle) s = alloc_tables(r, o, e);
    introduce(r, o, hello);
    if (!s) return FA_OK;
    return fa_error_prefix(e, s, "cluster: rank %d on %s", link->rank, hello->host);
}

void fa_rank_close(fa_rank *r) {
    if (!r) return;
    fa_buffer *buffers[] = {r->pool, r->routed_x, r->routed_y};
    for (int i = 0; i < 3; i++)
        if (buffers[i]) r->backend->free(r->backend, buffers[i]);
    fa_model_close(r->model);
    if (r->backend) r->backend->close(r->backend);
    fa_arena_free(&r->arena);
    free(r);
}
