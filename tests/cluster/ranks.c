/* mpirun -n N ranks BACKEND[,BACKEND..] MODE[,MODE..] MODEL..: every rank runs the same steps of each model in each mode on each backend, and
 * rank 0 compares every logit with one process, and the bytes that ranks sent in the first step with the formula of docs/cluster.md. Prints
 * a line a combination: "same BACKEND MODE MODEL" or "differs ..", before that "bytes .." where it was they. Ends with 1 when anything
 * differed. */
#include <mpi.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/cluster/rank/rank.h"

enum { MOST = 96, POSITIONS = 192, SEQUENCES = 3, PAGES = SEQUENCES * 3, PASSES = 16 };

/* One pass of the script: rows of sequences at positions, and for the MTP layer where they go on from. */
typedef struct pass {
    fa_pass kind;
    int rows;
    int sequence[MOST], pos[MOST], from[MOST];
} pass;

typedef struct script {
    int n;
    pass passes[PASSES];
    int length[SEQUENCES];
    int32_t pages[SEQUENCES][3];
} script;

static int32_t token_of(int vocab, int sequence, int pos) {
    return (int32_t)((uint32_t)(sequence * 7919 + pos * 104729 + pos * pos * 31 + 17) % (uint32_t)vocab);
}

static pass *add_pass(script *s, fa_pass kind) {
    pass *p = &s->passes[s->n++];
    p->kind = kind;
    return p;
}

static void add_rows(script *s, pass *p, int sequence, int n) {
    for (int i = 0; i < n; i++) {
        p->sequence[p->rows] = sequence;
        p->pos[p->rows++] = s->length[sequence]++;
    }
}

/* Rows from, at their places or one further. */
static void follow(const pass *before, pass *p, int first, int step, int further) {
    for (int t = first; t < before->rows; t += step) {
        p->sequence[p->rows] = before->sequence[t];
        p->pos[p->rows] = before->pos[t] + further;
        p->from[p->rows++] = t;
    }
}

/* Prompts cut anywhere, mixtures, single rows (so that ranks stay empty); with an MTP layer a draft behind each step, and one more. */
static void write_script(script *s, bool mtp) {
    static const int steps[][SEQUENCES] = {{37, 0, 0}, {40, 9, 0}, {1, 0, 0}, {1, 70, 1}, {0, 1, 0}, {1, 1, 1}};
    *s = (script){0};
    for (int q = 0; q < SEQUENCES; q++)
        for (int i = 0; i < 3; i++) s->pages[q][i] = (2 - i) * SEQUENCES + q;
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        pass *p = add_pass(s, FA_PASS_STEP);
        for (int q = 0; q < SEQUENCES; q++) add_rows(s, p, q, steps[i][q]);
        if (!mtp || i < 3) continue;
        pass *first = add_pass(s, FA_PASS_MTP_AFTER_STEP);
        follow(p, first, 0, 1, 0);
        follow(first, add_pass(s, FA_PASS_MTP_AFTER_MTP), first->rows - 1, 2, 1);
    }
}

static void make_step(const script *s, const pass *p, int vocab, fa_step *step, int32_t *tokens, fa_place *place,
                      int32_t *logit_rows) {
    for (int t = 0; t < p->rows; t++) {
        tokens[t] = token_of(vocab, p->sequence[t], p->pos[t] + (p->kind != FA_PASS_STEP));
        place[t] = (fa_place){p->pos[t], s->pages[p->sequence[t]]};
        logit_rows[t] = t;
    }
    *step = (fa_step){.rows = p->rows, .tokens = tokens, .place = place, .n_logits = p->rows, .logit_rows = logit_rows};
}

static void must(fa_status s, const fa_error *e) {
    if (!s) return;
    fprintf(stderr, "ranks: %s\n", e->text);
    MPI_Abort(MPI_COMM_WORLD, 2);
}

static fa_config config_of(const char *path) {
    fa_config c;
    fa_error e;
    fa_tensors *ts;
    must(fa_tensors_open(&ts, path, &e), &e);
    must(fa_model_read_config(&c, path, ts, &e), &e);
    fa_tensors_close(ts);
    return c;
}

/* ---- one process ---- */

typedef struct alone {
    fa_backend *backend;
    fa_model *model;
    fa_buffer *pool;
} alone;

static void open_alone(alone *a, const char *path, bool mtp) {
    fa_error e;
    fa_backend_options b = {.name = "cpu", .threads = 1, .node = -1};
    must(fa_backend_open(&a->backend, &b, &e), &e);
    fa_model_options o = {.path = path,
                          .backend = a->backend,
                          .max_rows = MOST,
                          .max_logit_rows = MOST,
                          .max_positions = POSITIONS,
                          .mtp = mtp};
    must(fa_model_open(&a->model, &o, &e), &e);
    size_t bytes = PAGES * (size_t)fa_model_kv_layout(a->model)->page_bytes;
    must(a->backend->alloc(a->backend, bytes, &a->pool, &e), &e);
}

static void run_alone(alone *a, const pass *p, fa_step step, float *logits) {
    fa_error e;
    step.pool = a->pool;
    step.logits = logits;
    if (p->kind == FA_PASS_STEP)
        must(fa_model_step(a->model, &step, &e), &e);
    else
        must(fa_model_mtp(a->model, &step, p->kind == FA_PASS_MTP_AFTER_STEP ? FA_MTP_AFTER_STEP : FA_MTP_AFTER_MTP,
                          p->from, &e),
             &e);
}

static void close_alone(alone *a) {
    a->backend->free(a->backend, a->pool);
    fa_model_close(a->model);
    a->backend->close(a->backend);
}

/* ---- all ranks ---- */

/* Routes of the first pass, as one process chose them: [layers][rows, top_k]; NULL for a dense layer. */
typedef struct seen {
    int32_t *ids[64];
    int32_t top_k;
} seen;

static void keep_routes(void *ctx, int layer, int rows, int top_k, const int32_t *ids, const float *weights) {
    seen *s = ctx;
    (void)weights;
    free(s->ids[layer]);
    s->top_k = top_k;
    s->ids[layer] = malloc((size_t)(rows * top_k) * sizeof *ids);
    memcpy(s->ids[layer], ids, (size_t)(rows * top_k) * sizeof *ids);
}

/* What docs/cluster.md says that the dispatches and products of a layer take: 8 bytes a message, 12 a route and a row of hidden FP32
 * values for each rank that a row visits away from its own; a row of them back for each route. */
static void add_experts(const fa_config *c, const fa_seat *stage, int rows, const int32_t *ids, int top_k,
                        int64_t *want) {
    for (int t = 0; t < rows; t++) {
        int home = fa_grid_row_owner(rows, stage->size, t);
        bool visited[64] = {false};
        for (int i = 0; i < top_k; i++) {
            int owner = fa_grid_owner(c->experts, stage->size, ids[t * top_k + i]);
            if (owner == home) continue;
            want[FA_TAG_DISPATCH] += 12 + (visited[owner] ? 0 : 4 * (int64_t)c->hidden);
            want[FA_TAG_COMBINE] += 4 * (int64_t)c->hidden;
            visited[owner] = true;
        }
    }
    for (int home = 0; home < stage->size; home++) /* messages */
        for (int owner = 0; owner < stage->size; owner++) {
            bool any = fa_grid_first_row(rows, stage->size, home) < fa_grid_first_row(rows, stage->size, home + 1);
            bool has = c->experts * owner / stage->size < c->experts * (owner + 1) / stage->size;
            if (home != owner && any && has) want[FA_TAG_DISPATCH] += 8;
        }
}

static void expect_bytes(const fa_config *c, const fa_grid *p, int rows, const seen *routes, int64_t *want) {
    bool mla = c->attention == FA_ATTENTION_MLA;
    int64_t keys = mla ? c->kv_rank + c->rope_dim : 2 * c->kv_heads * c->head_dim;
    memset(want, 0, FA_TAGS * sizeof *want);
    want[FA_TAG_STREAM] = (p->stages - 1) * (int64_t)rows * c->hidden * 4;
    for (int stage = 0; stage < p->stages; stage++) {
        fa_seat s = fa_grid_seat(p, fa_grid_stage_first(p, stage), false);
        for (int i = s.part.first_layer; i < s.part.end_layer; i++) {
            want[FA_TAG_KEYS] += rows * keys * 4 * (s.size - 1);
            if (routes->ids[i]) add_experts(c, &s, rows, routes->ids[i], routes->top_k, want);
        }
    }
}

/* What ranks sent against what was expected: within 1 %. */
static bool bytes_fit(const fa_link *l, const int64_t *before, const fa_cluster_setup *o, int rows,
                      const seen *routes) {
    static const fa_tag tags[] = {FA_TAG_STREAM, FA_TAG_KEYS, FA_TAG_DISPATCH, FA_TAG_COMBINE};
    int64_t want[FA_TAGS];
    fa_grid p;
    fa_config c = config_of(o->model);
    fa_error e;
    bool fit = true;
    must(fa_grid_make(&p, o->mode, l->size, &c, &e), &e);
    expect_bytes(&c, &p, rows, routes, want);
    for (size_t i = 0; i < sizeof tags / sizeof *tags; i++) {
        long long mine = l->bytes[tags[i]] - before[tags[i]], all = 0;
        MPI_Reduce(&mine, &all, 1, MPI_LONG_LONG, MPI_SUM, 0, l->comm);
        if (l->rank || llabs(all - want[tags[i]]) * 100 <= want[tags[i]]) continue;
        printf("bytes %s %s: %d rows: message %d: %lld, expected %lld\n", o->mode, o->model, rows, (int)tags[i], all,
               (long long)want[tags[i]]);
        fit = false;
    }
    return fit;
}

/* Steps of all ranks against `want` [passes][rows, vocab]; true when every bit is the same. */
static bool run_cluster(fa_link *l, const script *s, const fa_cluster_setup *o, float **want, const seen *routes,
                        int vocab) {
    fa_error e = {0};
    fa_rank *r = NULL;
    fa_cluster_hello hello;
    static int32_t numbers[1 << 16], tokens[MOST], logit_rows[MOST];
    static fa_place place[MOST];
    bool same = true;
    must(fa_rank_open(&r, l, o, &hello, &e), &e);
    float *logits = malloc((size_t)MOST * (size_t)vocab * sizeof *logits);
    for (int i = 0; i < s->n; i++) {
        const pass *p = &s->passes[i];
        fa_step step;
        fa_step_message m;
        int64_t before[FA_TAGS];
        memcpy(before, l->bytes, sizeof before);
        make_step(s, p, vocab, &step, tokens, place, logit_rows);
        int64_t n = fa_step_encode(&step, p->kind, p->from, numbers);
        must(fa_step_decode(&m, numbers, n, &e), &e);
        must(fa_rank_step(r, &m, logits, &e), &e);
        if (!l->rank && memcmp(logits, want[i], (size_t)p->rows * (size_t)vocab * sizeof *logits) != 0) same = false;
        if (i == 0 && !bytes_fit(l, before, o, p->rows, routes)) same = false;
    }
    MPI_Barrier(l->comm);
    fa_rank_close(r);
    free(logits);
    return same;
}

/* ---- the table of combinations ---- */

static int run_model(fa_link *l, const char *backends, const char *modes, const char *path) {
    script s;
    float *want[PASSES] = {0};
    const fa_config c = config_of(path);
    bool mtp = c.mtp_layers > 0;
    int vocab = c.vocab, bad = 0;
    seen routes = {0};
    const fa_probe probe = {.ctx = &routes, .routes = keep_routes};
    write_script(&s, mtp);
    if (!l->rank) {
        static int32_t tokens[MOST], logit_rows[MOST];
        static fa_place place[MOST];
        alone a;
        open_alone(&a, path, mtp);
        for (int i = 0; i < s.n; i++) {
            fa_step step;
            want[i] = malloc((size_t)s.passes[i].rows * (size_t)vocab * sizeof(float));
            make_step(&s, &s.passes[i], vocab, &step, tokens, place, logit_rows);
            step.probe = i ? NULL : &probe;
            run_alone(&a, &s.passes[i], step, want[i]);
        }
        close_alone(&a);
    }
    char *all_backends = strdup(backends), *b_rest, *m_rest;
    for (char *b = strtok_r(all_backends, ",", &b_rest); b; b = strtok_r(NULL, ",", &b_rest)) {
        char *all_modes = strdup(modes);
        for (char *mode = strtok_r(all_modes, ",", &m_rest); mode; mode = strtok_r(NULL, ",", &m_rest)) {
            fa_cluster_setup o = {.max_rows = MOST,
                                  .max_logit_rows = MOST,
                                  .max_positions = POSITIONS,
                                  .pages = PAGES,
                                  .mtp = mtp,
                                  .threads = 1,
                                  .deadline_ms = 120000};
            snprintf(o.mode, sizeof o.mode, "%s", mode);
            snprintf(o.model, sizeof o.model, "%s", path);
            snprintf(o.backend, sizeof o.backend, "%s", b);
            bool same = run_cluster(l, &s, &o, want, &routes, vocab);
            bad += !l->rank && !same;
            if (!l->rank) printf("%s %s %s %s\n", same ? "same" : "differs", b, mode, path);
        }
        free(all_modes);
    }
    free(all_backends);
    for (int i = 0; i < s.n; i++) free(want[i]);
    for (size_t i = 0; i < sizeof routes.ids / sizeof *routes.ids; i++) free(routes.ids[i]);
    return bad;
}

int main(int argc, char **argv) {
    fa_link l;
    fa_error e = {0};
    int bad = 0;
    MPI_Init(&argc, &argv);
    must(fa_link_open(&l, MPI_COMM_WORLD, 60000, &e), &e);
    for (int i = 3; i < argc; i++) bad += run_model(&l, argv[1], argv[2], argv[i]);
    fa_link_close(&l);
    MPI_Finalize();
    return bad != 0;
}
