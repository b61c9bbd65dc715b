/* The reference's ops against plain formulas in double. Conformance proves that all backends equal the reference; this proves
 * that the reference computes what the ops are for, whatever the shape. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "tests/lib/conformance_cache.h"

static const double TOLERANCE = 2e-6; /* relative RMS: some roundings of 2^-24 */
enum { MAX_ROWS = 16, REFERENCE = 0 };

static void check_close(const char *what, const float *got, const double *want, int64_t n) {
    double error = 0, size = 0;
    for (int64_t i = 0; i < n; i++) {
        error += (got[i] - want[i]) * (got[i] - want[i]);
        size += want[i] * want[i];
    }
    CHECK(sqrt(error / size) <= TOLERANCE, "%s: relative RMS %.3g", what, sqrt(error / size));
}

/* Element [r, c]. */
static double weight_at(const fa_weight *w, int64_t r, int64_t c) {
    float row[1024];
    CHECK(w->cols <= 1024);
    fa_decode(w->type, w->data, r * w->cols, w->cols, row);
    return (double)row[c] * (w->scale ? w->scale[r / 128 * ((w->cols + 127) / 128) + c / 128] : 1.0f);
}

/* All of a weight; the caller frees. */
static double *weight_values(const fa_weight *w) {
    double *values = malloc((size_t)(w->rows * w->cols) * sizeof *values);
    CHECK(values, "out of memory");
    for (int64_t r = 0; r < w->rows; r++)
        for (int64_t c = 0; c < w->cols; c++) values[r * w->cols + c] = weight_at(w, r, c);
    return values;
}

/* Element i of a part of the FP32 row at `pos`. */
static double cached(const conf_data *d, const conf_cache *c, const fa_place *at, int pos, const fa_kv_part *part,
                     int i) {
    float value;
    const uint8_t *row = (const uint8_t *)d->pool_bytes + at->pages[pos / 64] * c->layout.page_bytes +
                         c->layer * c->layout.layer_bytes + pos % 64 * (int64_t)c->layout.row_bytes;
    memcpy(&value, row + part->offset_bytes + 4 * i, 4);
    return value;
}

/* In place: exp(s_j - max) / sum. */
static void softmax(double *s, int n) {
    double max = s[0], sum = 0;
    for (int j = 1; j < n; j++) max = s[j] > max ? s[j] : max;
    for (int j = 0; j < n; j++) sum += s[j] = exp(s[j] - max);
    for (int j = 0; j < n; j++) s[j] /= sum;
}

static fa_buffer *upload_pool(fa_backend *b, const conf_data *d) {
    fa_error e;
    fa_buffer *pool;
    CHECK_OK(b->alloc(b, d->pool_size, &pool, &e), &e);
    CHECK_OK(b->write(b, pool, 0, d->pool_bytes, d->pool_size, &e), &e);
    return pool;
}

static void identity(int *rows, int n) {
    for (int t = 0; t < n; t++) rows[t] = t;
}

enum { HEADS = 3, NOPE = 24, ROPE = 6, V = 17, RANK = 130 };

/* One head's output in the form that is not absorbed: keys and values are raised from every latent. */
static void naive_head(const conf_data *d, const conf_cache *c, const fa_mla *m, int t, int h, const float *q,
                       const double *k_up, const double *v_up, double *y) {
    const fa_place *at = &c->place[t];
    double s[256];
    for (int j = 0; j <= at->pos; j++) {
        s[j] = 0;
        for (int n = 0; n < NOPE; n++) {
            double key = 0;
            for (int i = 0; i < RANK; i++) {
                int64_t r = m->k_first + h * m->k_stride;
                key += cached(d, c, at, j, &c->layout.a, i) *
                       (m->k_transposed ? k_up[(r + i) * NOPE + n] : k_up[(r + n) * RANK + i]);
            }
            s[j] += key * q[n];
        }
        for (int i = 0; i < ROPE; i++) s[j] += cached(d, c, at, j, &c->layout.b, i) * q[NOPE + i];
        s[j] *= m->scale;
    }
    softmax(s, at->pos + 1);
    for (int e = 0; e < V; e++) {
        y[e] = 0;
        for (int j = 0; j <= at->pos; j++)
            for (int i = 0; i < RANK; i++)
                y[e] +=
                    s[j] * cached(d, c, at, j, &c->layout.a, i) * v_up[(m->v_first + h * m->v_stride + e) * RANK + i];
    }
}

typedef struct mla_form {
    const char *name;
    fa_dtype type;
    bool split, transposed;
} mla_form;

static void mla_is_attention_over_raised_keys_and_values(void *arg) {
    const mla_form *f = arg;
    fa_backend *b = conf_backend(REFERENCE, 0);
    fa_arena arena = {0};
    check_rng rng = {11};
    conf_data d = {0};
    conf_cache c = conf_make_cache(&d, &arena, &rng, fa_kv_layout_make(FA_CACHE_F32, true, RANK, ROPE, 2), 1,
                                   CONF_EDGES, CONF_NORMAL);
    fa_mla m = {.rows = d.rows, .place = c.place, .heads = HEADS, .nope = NOPE, .rope = ROPE, .v = V, .rank = RANK};
    int k_rows = f->transposed ? RANK : NOPE;
    fa_weight k_up, v_up;
    if (f->split) {
        k_up = conf_weight(&arena, &rng, f->type, 2 + HEADS * k_rows, f->transposed ? NOPE : RANK, CONF_NORMAL);
        v_up = conf_weight(&arena, &rng, f->type, HEADS * V, RANK, CONF_NORMAL);
        m.k_first = 2, m.k_stride = k_rows, m.v_stride = V;
    } else {
        k_up = v_up = conf_weight(&arena, &rng, f->type, HEADS * (NOPE + V), RANK, CONF_NORMAL);
        m.k_stride = m.v_stride = NOPE + V, m.v_first = NOPE;
    }
    m.k_transposed = f->transposed, m.k_up = &k_up, m.v_up = &v_up, m.scale = 0.5f / sqrtf(NOPE * RANK);
    int rows[MAX_ROWS];
    identity(rows, d.rows);
    float *q = conf_rows(&arena, &rng, d.rows, HEADS * (NOPE + ROPE), CONF_NORMAL), out[MAX_ROWS * HEADS * V];
    conf_matrix in = conf_upload(b, q, HEADS * (NOPE + ROPE), rows, d.rows),
                y = conf_upload(b, NULL, HEADS * V, NULL, d.rows);
    fa_buffer *pool = upload_pool(b, &d);
    m.q = in.ref, m.ldq = in.ld, m.y = y.ref, m.ldy = y.ld, m.kv = (fa_kv){pool, &c.layout, 1};
    conf_submit(b, &(fa_op){.kind = FA_OP_MLA, .mla = m}, 1);
    conf_collect(b, &y, out, HEADS * V);
    conf_free(b, &in);
    b->free(b, pool);
    double *k = weight_values(&k_up), *v = weight_values(&v_up), want[MAX_ROWS * HEADS * V];
    for (int t = 0; t < d.rows; t++)
        for (int h = 0; h < HEADS; h++)
            naive_head(&d, &c, &m, t, h, q + (t * HEADS + h) * (NOPE + ROPE), k, v, want + (t * HEADS + h) * V);
    free(k);
    free(v);
    check_close(f->name, out, want, (int64_t)d.rows * HEADS * V);
    fa_arena_free(&arena);
}

static void gqa_is_softmax_attention_over_the_groups_key_head(void *arg) {
    (void)arg;
    enum { QUERIES = 6, KEYS = 2, DIM = 20 };
    fa_backend *b = conf_backend(REFERENCE, 0);
    fa_arena arena = {0};
    check_rng rng = {12};
    conf_data d = {0};
    conf_cache c = conf_make_cache(&d, &arena, &rng, fa_kv_layout_make(FA_CACHE_F32, false, KEYS * DIM, KEYS * DIM, 2),
                                   1, CONF_EDGES, CONF_NORMAL);
    int rows[MAX_ROWS];
    identity(rows, d.rows);
    float *q = conf_rows(&arena, &rng, d.rows, QUERIES * DIM, CONF_NORMAL), out[MAX_ROWS * QUERIES * DIM];
    double want[MAX_ROWS * QUERIES * DIM] = {0}, s[256];
    conf_matrix in = conf_upload(b, q, QUERIES * DIM, rows, d.rows),
                y = conf_upload(b, NULL, QUERIES * DIM, NULL, d.rows);
    fa_buffer *pool = upload_pool(b, &d);
    fa_gqa g = {d.rows, c.place, QUERIES, KEYS, DIM, 0.25f, in.ref, in.ld, {pool, &c.layout, 1}, y.ref, y.ld};
    conf_submit(b, &(fa_op){.kind = FA_OP_GQA, .gqa = g}, 1);
    conf_collect(b, &y, out, QUERIES * DIM);
    conf_free(b, &in);
    b->free(b, pool);
    for (int t = 0; t < d.rows; t++)
        for (int h = 0; h < QUERIES; h++) {
            const fa_place *at = &c.place[t];
            int first = h / 3 * DIM, at_y = (t * QUERIES + h) * DIM;
            for (int j = 0; j <= at->pos; j++) {
                s[j] = 0;
                for (int i = 0; i < DIM; i++)
                    s[j] += 0.25 * q[at_y + i] * cached(&d, &c, at, j, &c.layout.a, first + i);
            }
            softmax(s, at->pos + 1);
            for (int j = 0; j <= at->pos; j++)
                for (int i = 0; i < DIM; i++) want[at_y + i] += s[j] * cached(&d, &c, at, j, &c.layout.b, first + i);
        }
    check_close("gqa", out, want, (int64_t)d.rows * QUERIES * DIM);
    fa_arena_free(&arena);
}

static void experts_sum_weighted_gated_mlps(void *arg) {
    (void)arg;
    enum { T = 4, HIDDEN = 130, INNER = 33, EXPERTS = 3, TOP_K = 2 };
    fa_backend *b = conf_backend(REFERENCE, 0);
    fa_arena arena = {0};
    check_rng rng = {13};
    fa_expert list[EXPERTS];
    double *gate[EXPERTS], *up[EXPERTS], *down[EXPERTS];
    for (int i = 0; i < EXPERTS; i++) {
        list[i].gate = conf_weight(&arena, &rng, FA_F8_E4M3, INNER, HIDDEN, CONF_NORMAL);
        list[i].up = conf_weight(&arena, &rng, FA_BF16, INNER, HIDDEN, CONF_NORMAL);
        list[i].down = conf_weight(&arena, &rng, FA_F8_E4M3, HIDDEN, INNER, CONF_NORMAL);
        gate[i] = weight_values(&list[i].gate), up[i] = weight_values(&list[i].up),
        down[i] = weight_values(&list[i].down);
    }
    int32_t ids[T * TOP_K] = {0, 2, 1, -1, -1, 0, 1, 2};
    float weights[T * TOP_K] = {0.5f, 0.25f, 2.0f, 9.0f, 9.0f, 9.0f, -1.0f, 0.125f}, out[T * HIDDEN];
    double want[T * HIDDEN] = {0};
    float *x = conf_rows(&arena, &rng, T, HIDDEN, CONF_NORMAL);
    for (int t = 0; t < T; t++)
        for (int k = 0; k < TOP_K && ids[t * TOP_K + k] >= 0; k++)
            for (int i = 0, e = ids[t * TOP_K + k]; i < INNER; i++) {
                double g = 0, u = 0;
                for (int c = 0; c < HIDDEN; c++)
                    g += gate[e][i * HIDDEN + c] * x[t * HIDDEN + c], u += up[e][i * HIDDEN + c] * x[t * HIDDEN + c];
                double inner = g / (1 + exp(-g)) * u * weights[t * TOP_K + k];
                for (int c = 0; c < HIDDEN; c++) want[t * HIDDEN + c] += inner * down[e][c * INNER + i];
            }
    for (int i = 0; i < EXPERTS; i++) free(gate[i]), free(up[i]), free(down[i]);
    int rows[T];
    identity(rows, T);
    conf_matrix in = conf_upload(b, x, HIDDEN, rows, T), y = conf_upload(b, NULL, HIDDEN, NULL, T);
    fa_experts op = {.numerics = FA_W8A16, .rows = T, .hidden = HIDDEN, .inner = INNER, .x = in.ref, .ldx = in.ld};
    op.y = y.ref, op.ldy = y.ld, op.n_experts = EXPERTS, op.experts = list, op.top_k = TOP_K, op.ids = ids;
    op.weights = weights;
    conf_submit(b, &(fa_op){.kind = FA_OP_EXPERTS, .experts = op}, 1);
    conf_collect(b, &y, out, HIDDEN);
    conf_free(b, &in);
    check_close("experts", out, want, T * HIDDEN);
    fa_arena_free(&arena);
}

static void norm_divides_by_the_root_mean_square(void *arg) {
    (void)arg;
    enum { T = 3, N = 45 };
    fa_backend *b = conf_backend(REFERENCE, 0);
    fa_arena arena = {0};
    check_rng rng = {14};
    float *x = conf_rows(&arena, &rng, T, N, CONF_NORMAL), out[T * N];
    fa_weight w = conf_weight(&arena, &rng, FA_BF16, 1, N, CONF_NORMAL);
    double want[T * N];
    int32_t index[T] = {2, 0, 2};
    int rows[T] = {0, 1, 2};
    for (int t = 0; t < T; t++) {
        double sum = 0;
        for (int i = 0; i < N; i++) sum += (double)x[index[t] * N + i] * x[index[t] * N + i];
        for (int i = 0; i < N; i++) want[t * N + i] = x[index[t] * N + i] / sqrt(sum / N + 0.1f) * weight_at(&w, 0, i);
    }
    conf_matrix in = conf_upload(b, x, N, rows, T), y = conf_upload(b, NULL, N, NULL, T);
    fa_rmsnorm op = {T, N, in.ref, in.ld, index, &w, 0.1f, y.ref, y.ld};
    conf_submit(b, &(fa_op){.kind = FA_OP_RMSNORM, .rmsnorm = op}, 1);
    conf_collect(b, &y, out, N);
    conf_free(b, &in);
    check_close("rmsnorm", out, want, T * N);
    fa_arena_free(&arena);
}

/* Element i of pair p's two. */
static int pair_index(bool interleaved, int dims, int p, int i) {
    return interleaved ? 2 * p + i : p + i * dims / 2;
}

static void rope_turns_pairs_by_the_angle_of_the_position(void *arg) {
    (void)arg;
    enum { T = 3, DIMS = 10, HEADS_HERE = 2, FIRST = 3, STRIDE = 12, N = FIRST + STRIDE + DIMS, POSITIONS = 50 };
    fa_backend *b = conf_backend(REFERENCE, 0);
    fa_error e;
    fa_arena arena = {0};
    check_rng rng = {15};
    float *x = conf_rows(&arena, &rng, T, N, CONF_NORMAL), out[T * N], table[POSITIONS * DIMS];
    for (int p = 0; p < POSITIONS; p++)
        for (int i = 0; i < DIMS / 2; i++) {
            table[p * DIMS + i] = (float)cos(p * pow(100, -2.0 * i / DIMS));
            table[p * DIMS + DIMS / 2 + i] = (float)sin(p * pow(100, -2.0 * i / DIMS));
        }
    fa_place place[T] = {{0, NULL}, {49, NULL}, {7, NULL}};
    int rows[T] = {0, 1, 2};
    fa_buffer *buffer;
    CHECK_OK(b->alloc(b, sizeof table, &buffer, &e), &e);
    CHECK_OK(b->write(b, buffer, 0, table, sizeof table, &e), &e);
    for (int interleaved = 0; interleaved < 2; interleaved++) {
        double want[T * N];
        for (int i = 0; i < T * N; i++) want[i] = x[i];
        for (int t = 0; t < T; t++)
            for (int k = 0; k < HEADS_HERE * DIMS / 2; k++) {
                int pair = k % (DIMS / 2), head = t * N + FIRST + k / (DIMS / 2) * STRIDE;
                int u = head + pair_index(interleaved, DIMS, pair, 0),
                    v = head + pair_index(interleaved, DIMS, pair, 1);
                double angle = place[t].pos * pow(100, -2.0 * pair / DIMS);
                want[u] = x[u] * cos(angle) - x[v] * sin(angle);
                want[v] = x[u] * sin(angle) + x[v] * cos(angle);
            }
        conf_matrix m = conf_upload(b, x, N, rows, T);
        fa_rope op = {T, place, m.ref, m.ld, HEADS_HERE, STRIDE, FIRST, DIMS, interleaved, {buffer, 0}};
        conf_submit(b, &(fa_op){.kind = FA_OP_ROPE, .rope = op}, 1);
        conf_collect(b, &m, out, N);
        check_close("rope", out, want, T * N);
    }
    b->free(b, buffer);
    fa_arena_free(&arena);
}

int main(int argc, char **argv) {
    static mla_form forms[] = {{"kv_b", FA_F8_E4M3, false, false},
                               {"k_up and v_up", FA_BF16, true, false},
                               {"k_up transposed", FA_F32, true, true}};
    static const check_case cases[] = {
        {"mla with kv_b is attention over raised keys and values", mla_is_attention_over_raised_keys_and_values,
         &forms[0]},
        {"mla with k_up and v_up is the same", mla_is_attention_over_raised_keys_and_values, &forms[1]},
        {"mla with transposed k_up is the same", mla_is_attention_over_raised_keys_and_values, &forms[2]},
        {"gqa is softmax attention over the group's key head", gqa_is_softmax_attention_over_the_groups_key_head, NULL},
        {"experts sum weighted gated MLPs", experts_sum_weighted_gated_mlps, NULL},
        {"norm divides by the root mean square", norm_divides_by_the_root_mean_square, NULL},
        {"rope turns pairs by the angle of the position", rope_turns_pairs_by_the_angle_of_the_position, NULL},
    };
    int rc = check_main(argc, argv, cases, sizeof cases / sizeof *cases);
    conf_close();
    return rc;
}
