/* Opening: options -> setup -> backend -> model -> tokenizer -> cache -> sessions. Closing in reverse. */
#include "host/engine/engine.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "host/base/file.h"
#include "host/base/memory.h"
#include "host/cache/pages.h"
#include "host/cluster/cluster.h"
#include "host/engine/internal.h"
#include "host/engine/sized.h"

_Static_assert((int)FATHOM_OK == FA_OK && (int)FATHOM_EINVAL == FA_EINVAL && (int)FATHOM_EFORMAT == FA_EFORMAT &&
                   (int)FATHOM_EIO == FA_EIO && (int)FATHOM_ENOMEM == FA_ENOMEM &&
                   (int)FATHOM_EUNSUPPORTED == FA_EUNSUPPORTED && (int)FATHOM_ELIMIT == FA_ELIMIT &&
                   (int)FATHOM_ECANCELLED == FA_ECANCELLED && (int)FATHOM_ENUMERIC == FA_ENUMERIC &&
                   (int)FATHOM_EDEVICE == FA_EDEVICE,
               "fathom_status numbers as fa_status");
_Static_assert(sizeof(fathom_error) == sizeof(fa_error) && offsetof(fathom_error, text) == offsetof(fa_error, text),
               "fathom_error is fa_error");

static fa_status open_backend(fathom_engine *g, const fathom_options *o, fa_error *e) {
    fa_cluster_options cluster = {.mode = o->cluster, .ranks = o->ranks, .launch = o->cluster_launch};
    if (o->cluster && o->placement)
        return fa_fail(e, FA_EINVAL, "cluster: a placement over boards is for one process, not for ranks");
    if (o->cluster) return fa_cluster_open(&g->backend, &cluster, e);
    fa_backend_options b = {.name = o->backend ? o->backend : "auto",
                            .threads = o->threads,
                            .node = FA_NODE_INTERLEAVE,
                            .board = o->board,
                            .xclbin = o->xclbin,
                            .timeline = o->timeline,
                            .placement = o->placement};
    return fa_backend_open(&g->backend, &b, e);
}

/* A folder's model may have eyes; one file never has. */
static fa_status open_vision(fathom_engine *g, const char *path, fa_error *e) {
    struct stat info;
    if (stat(path, &info) != 0 || !S_ISDIR(info.st_mode)) return FA_OK;
    return fa_vision_open(&g->pictures.vision, path, g->setup.config.hidden, g->setup.numerics, g->setup.step_rows, e);
}

/* What looks at pictures and what draws them are the model's guests together. */
static fa_status guest_limits(void *engine, const fa_tensors *tensors, fa_limits *limits, fa_error *e) {
    fathom_engine *g = engine;
    fa_status st = g->pictures.vision ? fa_vision_limits_of(g->pictures.vision, tensors, limits, e) : FA_OK;
    return st ? st : fa_draw_limits(g->drawings.draw, tensors, limits, e);
}

static fa_status guest_weights(void *engine, const fa_tensors *tensors, fa_backend *backend, fa_error *e) {
    fathom_engine *g = engine;
    fa_status st = g->pictures.vision ? fa_vision_load(g->pictures.vision, tensors, backend, e) : FA_OK;
    return st ? st : fa_draw_load(g->drawings.draw, tensors, backend, e);
}

static fa_status open_model(fathom_engine *g, const fathom_options *o, fa_error *e) {
    const fa_setup *s = &g->setup;
    fa_status st = open_vision(g, o->model, e);
    if (!st) st = fa_draw_open(&g->drawings.draw, s->config.hidden, s->numerics, s->step_rows, e);
    if (st) return st;
    const fa_model_guest guest = {g, guest_limits, guest_weights};
    fa_model_options m = {.path = o->model,
                          .backend = g->backend,
                          .numerics = s->numerics,
                          .cache = s->cache,
                          .max_rows = s->step_rows,
                          .max_logit_rows = s->logits_all ? s->step_rows : s->logit_rows,
                          .max_positions = s->context,
                          .mtp = o->mtp,
                          .remote = o->cluster ? fa_cluster_remote(g->backend) : NULL,
                          .experts_by = o->experts_by,
                          .progress = o->progress,
                          .progress_ctx = o->progress_ctx,
                          .guest = &guest};
    return fa_model_open(&g->model, &m, e);
}

/* A folder without tokenizer.json (and a GGUF file without a vocabulary) opens all the same: it speaks ids. */
static fa_status open_tokenizer(fathom_engine *g, const char *path, fa_error *e) {
    const struct fa_gguf *gguf = fa_tensors_gguf(fa_model_tensors(g->model));
    if (gguf)
        return fa_gguf_has(gguf, "tokenizer.ggml.tokens") ? fa_tokenizer_from_gguf(&g->tokenizer, gguf, e) : FA_OK;
    struct stat info;
    const char *slash = strrchr(path, '/');
    bool folder = stat(path, &info) == 0 && S_ISDIR(info.st_mode);
    char *dir = folder ? strdup(path) : slash ? strndup(path, (size_t)(slash - path)) : strdup(".");
    char *file = dir ? fa_path_join(dir, "tokenizer.json") : NULL;
    fa_status st = FA_OK;
    if (!file)
        st = fa_fail(e, FA_ENOMEM, "%s: out of memory", path);
    else if (access(file, F_OK) == 0)
        st = fa_tokenizer_open(&g->tokenizer, dir, e);
    free(file);
    free(dir);
    return st;
}

static void measure_pieces(fathom_engine *g) {
    g->longest_piece = 0;
    for (int32_t id = 0; id < fa_tokenizer_count(g->tokenizer); id++) {
        size_t n = 0;
        if (fa_tokenizer_piece(g->tokenizer, id, &n) && n > g->longest_piece) g->longest_piece = n;
    }
}

static fa_status open_text(fathom_engine *g, const char *path, fa_error *e) {
    fa_status st = open_tokenizer(g, path, e);
    if (st || !g->tokenizer) return st;
    g->chat = fa_chat_guess(g->tokenizer, g->setup.config.architecture);
    measure_pieces(g);
    return FA_OK;
}

/* Pages of the pool; FA_ELIMIT when not even one fits. */
static fa_status count_pages(const fathom_engine *g, int64_t cache_bytes, int64_t *pages, fa_error *e) {
    int64_t page_bytes = fa_model_kv_layout(g->model)->page_bytes;
    int64_t each = ((int64_t)g->setup.context + FA_PAGE_POSITIONS - 1) / FA_PAGE_POSITIONS;
    *pages = cache_bytes ? cache_bytes / page_bytes : g->setup.sessions * each;
    if (*pages < 1)
        return fa_fail(e, FA_ELIMIT, "cache: %lld bytes hold no page (%d positions take %lld bytes)",
                       (long long)cache_bytes, FA_PAGE_POSITIONS, (long long)page_bytes);
    if (*pages > INT32_MAX / 2) return fa_fail(e, FA_ENOMEM, "cache: %lld pages are too many", (long long)*pages);
    return FA_OK;
}

/* Bytes of what open_cache and open_tables take beside the pool. */
static int64_t table_bytes(const fathom_engine *g, int64_t pages) {
    const fa_setup *s = &g->setup;
    int64_t vocab = s->config.vocab;
    int64_t session = (int64_t)sizeof(fathom_session) + (2 * (int64_t)s->context + s->context / FA_PAGE_POSITIONS) * 4 +
                      (s->drafts + 1 + s->score_rows) * (int64_t)sizeof(fathom_token);
    int64_t sampler = vocab * (int64_t)(sizeof(float) + sizeof(int32_t) + sizeof(fa_candidate));
    int64_t rows = s->step_rows * (int64_t)(3 * sizeof(int32_t) + sizeof(fa_place));
    return pages * (int64_t)(sizeof(fa_page) + 2 * sizeof(int32_t)) + s->sessions * session +
           s->logit_rows * vocab * 4 + sampler + rows + fa_pictures_bytes(g) + fa_drawings_bytes(g);
}

static fa_status open_cache(fathom_engine *g, const fathom_options *o, fa_error *e) {
    const fa_kv_layout *layout = fa_model_kv_layout(g->model);
    fa_model_memory taken = fa_model_get_memory(g->model);
    int64_t pages, pool;
    fa_status st = count_pages(g, o->cache_bytes, &pages, e);
    if (st) return st;
    if (__builtin_mul_overflow(pages, layout->page_bytes, &pool)) pool = INT64_MAX;
    st = fa_memory_check(pool, table_bytes(g, pages), taken.activations + taken.rope + taken.backend + taken.host, e);
    if (st) return st;
    /* a drawing session holds two; one more for fathom_logits */
    int32_t sequences = g->setup.sessions * (fa_draw_can(g->drawings.draw) ? 2 : 1) + 1;
    return fa_cache_open(&g->cache, g->backend, layout, (int32_t)pages, sequences, g->setup.context, e);
}

/* The ranks open what this process did not: the model's weights and the pages of the cache. */
static fa_status start_cluster(fathom_engine *g, const fathom_options *o, fa_error *e) {
    const fa_setup *s = &g->setup;
    static const char *const none = "";
    fa_cluster_setup c = {.numerics = (int32_t)s->numerics,
                          .cache = (int32_t)s->cache,
                          .max_rows = s->step_rows,
                          .max_logit_rows = s->logits_all ? s->step_rows : s->logit_rows,
                          .max_positions = s->context,
                          .pages = fa_cache_get_usage(g->cache).pages,
                          .mtp = o->mtp && s->config.mtp_layers > 0,
                          .threads = o->threads,
                          .deadline_ms = o->cluster_deadline_ms};
    const struct {
        const char *text;
        char *to;
        size_t room;
    } texts[] = {{o->backend ? o->backend : "auto", c.backend, sizeof c.backend},
                 {o->board ? o->board : none, c.board, sizeof c.board},
                 {o->xclbin ? o->xclbin : none, c.xclbin, sizeof c.xclbin},
                 {o->experts_by ? o->experts_by : none, c.experts_by, sizeof c.experts_by}};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        if ((size_t)snprintf(texts[i].to, texts[i].room, "%s", texts[i].text) >= texts[i].room)
            return fa_fail(e, FA_EINVAL, "cluster: '%s' is too long", texts[i].text);
    if (!realpath(o->model, c.model)) return fa_fail(e, FA_EIO, "%s: %m", o->model);
    return fa_cluster_start(g->backend, &c, e);
}

static fa_status open_tables(fathom_engine *g, fa_error *e) {
    const fa_setup *s = &g->setup;
    fa_batch *b = &g->batch;
    size_t rows = (size_t)s->step_rows, sessions = (size_t)s->sessions, logit_rows = (size_t)s->logit_rows;
    g->sessions = fa_arena_array(&g->arena, sessions, sizeof *g->sessions);
    b->tokens = fa_arena_array(&g->arena, rows, sizeof *b->tokens);
    bool gives = g->pictures.vision || fa_draw_can(g->drawings.draw);
    if (gives) b->rows_given = fa_arena_array(&g->arena, rows, sizeof *b->rows_given);
    b->place = fa_arena_array(&g->arena, rows, sizeof *b->place);
    b->logit_rows = fa_arena_array(&g->arena, rows, sizeof *b->logit_rows);
    b->from = fa_arena_array(&g->arena, rows, sizeof *b->from);
    b->logits = fa_arena_array(&g->arena, logit_rows * (size_t)s->config.vocab, sizeof *b->logits);
    b->turns = fa_arena_array(&g->arena, sessions, sizeof *b->turns);
    if (!g->sessions || !b->tokens || (gives && !b->rows_given) || !b->place || !b->logit_rows || !b->from ||
        !b->logits || !b->turns)
        return fa_fail(e, FA_ENOMEM, "engine: out of memory for %d sessions", s->sessions);
    for (size_t i = 0; i < sessions; i++) {
        g->sessions[i].engine = g;
        g->sessions[i].tokens = fa_arena_array(&g->arena, (size_t)s->context + 1, sizeof(int32_t));
        if (g->pictures.vision) {
            g->sessions[i].pictures.keys = fa_arena_array(&g->arena, (size_t)s->context + 1, sizeof(int32_t));
            if (!g->sessions[i].pictures.keys) return fa_fail(e, FA_ENOMEM, "engine: out of memory for pictures");
        }
        g->sessions[i].made = fa_arena_array(&g->arena, (size_t)s->drafts + 1, sizeof(fathom_token));
        g->sessions[i].scored = fa_arena_array(&g->arena, (size_t)s->score_rows, sizeof(fathom_token));
        if (!g->sessions[i].tokens || !g->sessions[i].made || !g->sessions[i].scored)
            return fa_fail(e, FA_ENOMEM, "engine: out of memory for %d sessions", s->sessions);
    }
    fa_status st = fa_sampler_open(&g->sampler, &g->arena, s->config.vocab, e);
    return st ? st : fa_drawings_open(g, e);
}

static fa_status open_parts(fathom_engine *g, const fathom_options *o, fa_error *e) {
    fa_status st = fa_setup_make(&g->setup, o, e);
    if (!st) st = open_backend(g, o, e);
    if (!st) st = open_model(g, o, e);
    g->setup.mtp = !st && o->mtp && fa_model_config(g->model)->mtp_layers > 0 && g->setup.drafts > 0;
    if (!st) st = open_text(g, o->model, e);
    if (!st) fa_pictures_find_tokens(g);
    if (!st) st = open_cache(g, o, e);
    if (!st) st = open_tables(g, e);
    if (!st && o->cluster) st = start_cluster(g, o, e);
    g->setup.cluster = !st && o->cluster;
    g->rows_limit = g->setup.step_rows;
    g->background_limit = INT32_MAX;
    return st;
}

/* The last part of a path, without slashes at its end. */
static char *name_of(const char *path) {
    size_t end = strlen(path);
    while (end > 1 && path[end - 1] == '/') end--;
    size_t begin = end;
    while (begin > 0 && path[begin - 1] != '/') begin--;
    return strndup(path + begin, end - begin);
}

fathom_status fathom_engine_open_sized(fathom_engine **out, const fathom_options *options, size_t size,
                                       fathom_error *error) {
    fa_error *e = fa_error_of(error);
    fathom_options known;
    *out = NULL;
    fa_status bad = fa_sized_in(&known, sizeof known, options, size, "options", e);
    if (bad) return (fathom_status)bad;
    fathom_engine *g = calloc(1, sizeof *g);
    if (!g) return (fathom_status)fa_fail(e, FA_ENOMEM, "engine: out of memory");
    g->run = fa_model_step;
    pthread_mutex_init(&g->vocabulary_lock, NULL);
    fa_status st = open_parts(g, &known, e);
    if (!st && !(g->name = name_of(known.model))) st = fa_fail(e, FA_ENOMEM, "engine: out of memory");
    if (st) {
        fathom_engine_close(g);
        return (fathom_status)st;
    }
    *out = g;
    return FATHOM_OK;
}

void fathom_engine_close(fathom_engine *g) {
    if (!g) return;
    for (int32_t i = 0; g->sessions && i < g->setup.sessions; i++) fathom_session_close(&g->sessions[i]);
    fa_cache_close(g->cache);
    fa_vocabulary_free(&g->vocabulary);
    pthread_mutex_destroy(&g->vocabulary_lock);
    if (g->tokenizer) fa_tokenizer_close(g->tokenizer);
    fa_pictures_close(g);
    fa_drawings_close(g);
    if (g->model) fa_model_close(g->model);
    if (g->backend) g->backend->close(g->backend);
    fa_arena_free(&g->arena);
    free(g->name);
    free(g);
}

static int64_t count_parameters(const fa_tensors *ts) {
    int64_t sum = 0;
    for (int64_t i = 0; i < fa_tensors_count(ts); i++) {
        const fa_tensor *t = fa_tensors_at(ts, i);
        if (!strstr(t->name, "_scale_inv")) sum += fa_tensor_elements(t);
    }
    return sum;
}

void fathom_engine_info_sized(const fathom_engine *g, fathom_info *info, size_t size) {
    const fa_config *c = &g->setup.config;
    const fa_kv_layout *layout = fa_model_kv_layout(g->model);
    fa_model_memory m = fa_model_get_memory(g->model);
    fa_cache_usage cache = fa_cache_get_usage(g->cache);
    int32_t side, codes;
    fa_drawings_describe(g, &side, &codes);
    fathom_info all = {
        .architecture = c->architecture,
        .model_name = g->name,
        .backend = g->backend->name,
        .backend_detail = g->backend->detail,
        .numerics = fa_setup_numerics(&g->setup),
        .cache = fa_setup_cache(&g->setup),
        .chat_family = g->chat ? fa_chat_name(g->chat) : NULL,
        .vocabulary = c->vocab,
        .context = g->setup.context,
        .layers = c->layers,
        .hidden = c->hidden,
        .picture_rows = fa_engine_picture_rows(g),
        .drawing_side = side,
        .drawing_codes = codes,
        .parameters = count_parameters(fa_model_tensors(g->model)),
        .file_bytes = m.files,
        .cache_bytes = cache.bytes,
        .cache_bytes_per_token = layout->page_bytes / FA_PAGE_POSITIONS,
        .other_bytes = m.activations + m.rope + m.backend + m.host + cache.table_bytes + (int64_t)g->arena.used_bytes,
    };
    fa_sized_out(info, size, &all, sizeof all);
}

bool fathom_engine_device_sized(const fathom_engine *g, fathom_device *device, size_t size) {
    fa_backend_use use;
    if (!g->backend->used || !g->backend->used(g->backend, &use)) return false;
    fathom_device all = {.board = use.board,
                         .simulated = use.simulated,
                         .seconds = use.seconds,
                         .joules = use.joules,
                         .unit_cycles = use.unit_cycles,
                         .bank_bytes = use.bank_bytes,
                         .to_card_bytes = use.to_card,
                         .from_card_bytes = use.from_card,
                         .launches = use.launches,
                         .transfers = use.transfers,
                         .card_used_bytes = use.card_used,
                         .card_bytes = use.card_bytes};
    fa_sized_out(device, size, &all, sizeof all);
    return true;
}

fathom_status fathom_engine_timeline(fathom_engine *g, const char *path, fathom_error *error) {
    fa_error *e = fa_error_of(error);
    if (!g->backend->timeline)
        return (fathom_status)fa_fail(e, FA_EUNSUPPORTED, "timeline: backend %s records none", g->backend->name);
    return (fathom_status)g->backend->timeline(g->backend, path, e);
}

fa_model *fa_engine_model(const fathom_engine *g) {
    return g->model;
}

fa_cache_usage fa_engine_cache_usage(const fathom_engine *g) {
    return fa_cache_get_usage(g->cache);
}

bool fa_engine_lives(const fathom_engine *g) {
    return !g->setup.cluster || fa_cluster_lives(g->backend);
}

const fa_tokenizer *fa_engine_tokenizer(const fathom_engine *g) {
    return g->tokenizer;
}

const fa_chat_family *fa_engine_chat(const fathom_engine *g) {
    return g->chat;
}

int32_t fa_engine_sessions(const fathom_engine *g) {
    return g->setup.sessions;
}

int32_t fa_engine_most_rows(const fathom_engine *g) {
    return g->setup.step_rows;
}

void fa_engine_limit_rows(fathom_engine *g, int32_t rows) {
    int32_t least = g->setup.sessions * (g->drawings.draw ? 2 : 1);
    if (rows < least) rows = least;
    g->rows_limit = rows > g->setup.step_rows ? g->setup.step_rows : rows;
}

bool fa_engine_worked(const fathom_engine *g) {
    return g->worked;
}

int32_t fa_engine_step_rows(const fathom_engine *g) {
    return g->batch.rows;
}

int32_t fa_engine_background_rows(const fathom_engine *g) {
    return g->batch.background;
}

void fa_session_set_background(fathom_session *s, bool background) {
    s->background = background;
}

void fa_engine_limit_background(fathom_engine *g, int32_t rows) {
    g->background_limit = rows > 0 ? rows : 0;
}

void fa_engine_set_probe(fathom_engine *g, const fa_probe *probe) {
    g->probe = probe;
}

const char *fathom_version(void) {
    return FATHOM_VERSION;
}
