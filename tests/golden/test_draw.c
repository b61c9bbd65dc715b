/* Drawing by Janus-Pro, part by part, in both layouts of its files and on every backend that this machine has: codes become pixels, pixels become codes,
 * and the language model chooses codes with guidance, all as transformers computed them. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/vision/draw.h"
#include "tests/lib/check.h"
#include "tests/lib/golden_model.h"
#include "tests/lib/model_copy.h"

enum { MOST_CODES = 64, FIRST_STEPS = 8, POSITIONS = 128 };

/* A folder with its model and the part that draws. */
typedef struct studio {
    golden g;
    runner r;
    fa_draw *draw;
    int side; /* pixels */
} studio;

typedef struct where {
    const char *folder, *backend;
    int threads;
    const char *path; /* of another model than the golden folder */
} where;

static void studio_open(studio *s, const where *w) {
    fa_error e;
    golden_open(&s->g, "janus-pro-tiny");
    fa_backend *backend;
    const fa_backend_options options = {.name = w->backend, .node = -1, .threads = w->threads};
    fa_status st = fa_backend_open(&backend, &options, &e);
    if (st) check_skip("%s", e.text);
    fa_numerics numerics = w->path ? FA_W8A8 : FA_W8A16;
    CHECK_OK(fa_draw_open(&s->draw, 96, numerics, GOLDEN_MAX_IDS, &e), &e);
    const fa_model_guest guest = {.ctx = s->draw, .limits = fa_draw_limits, .weights = fa_draw_load};
    char *path = w->path ? strdup(w->path) : check_golden(w->folder);
    runner_open(&s->r, &(runner_options){.path = path,
                                         .given = backend,
                                         .numerics = numerics,
                                         .sequences = 2,
                                         .positions = POSITIONS,
                                         .guest = &guest});
    free(path);
    CHECK(fa_draw_can(s->draw) && s->r.hidden == 96 && fa_draw_grid(s->draw) == 6);
    s->side = fa_draw_grid(s->draw) * fa_vq_scale(fa_draw_vq(s->draw));
}

static void studio_close(studio *s) {
    fa_draw_close(s->draw);
    runner_close(&s->r);
    golden_close(&s->g);
}

static int read_codes(const json_t *list, int32_t codes[MOST_CODES]) {
    int n = (int)json_array_size(list);
    CHECK(n > 0 && n <= MOST_CODES, "%d codes", n);
    for (int i = 0; i < n; i++) codes[i] = (int32_t)json_integer_value(json_array_get(list, (size_t)i));
    return n;
}

/* [3, side, side] as transformers keeps pictures -> [side, side, 3]. */
static float *by_pixel(const float *planes, int side, int channels) {
    int n = side * side;
    float *out = must_alloc((size_t)n * (size_t)channels * sizeof *out);
    for (int c = 0; c < channels; c++)
        for (int i = 0; i < n; i++) out[i * channels + c] = planes[c * n + i];
    return out;
}

static void run_pass(fa_vq_pass *p) {
    fa_error e;
    for (bool done = false; !done;) CHECK_OK(fa_vq_advance(p, &done, &e), &e);
}

static fa_vq_pass *decode(studio *s, const int32_t *codes) {
    fa_error e;
    fa_vq_pass *p;
    int grid = fa_draw_grid(s->draw);
    CHECK_OK(fa_vq_open(&p, fa_draw_vq(s->draw), fa_draw_ops(s->draw), grid, grid, &e), &e);
    CHECK_OK(fa_vq_decode(p, codes, &e), &e);
    run_pass(p);
    return p;
}

static void decoded(void *arg) {
    studio s;
    studio_open(&s, arg);
    static const char *const names[] = {"generated", "fixed"};
    for (int i = 0; i < 2; i++) {
        int32_t codes[MOST_CODES];
        char name[64];
        read_codes(json_object_get(json_object_get(s.g.json, "decode"), names[i]), codes);
        int64_t n = (int64_t)s.side * s.side * 3;
        fa_vq_pass *p = decode(&s, codes);
        snprintf(name, sizeof name, "%s.float", names[i]);
        float *want = by_pixel(golden_blob(&s.g, "decode", name, n), s.side, 3);
        golden_close_to(name, fa_vq_values(p), want, n);
        snprintf(name, sizeof name, "decode.%s.u8", names[i]);
        const fa_tensor *t = fa_tensors_find(s.g.blobs, name);
        CHECK(t && t->type == FA_U8 && t->bytes == n, "%s", name);
        const uint8_t *rgb = t->data;
        uint8_t *found = must_alloc((size_t)n);
        fa_vq_to_rgb(fa_vq_values(p), n, found);
        for (int64_t k = 0; k < n; k++)
            CHECK(abs(found[k] - rgb[k]) <= 1, "%s: value %lld is %d, want %d", name, (long long)k, found[k], rgb[k]);
        free(found);
        free(want);
        fa_vq_close(p);
    }
    studio_close(&s);
}

static void encoded(void *arg) {
    studio s;
    studio_open(&s, arg);
    fa_error e;
    fa_vq_pass *p;
    int grid = fa_draw_grid(s.draw), n = grid * grid;
    int32_t want[MOST_CODES], found[MOST_CODES];
    CHECK(read_codes(json_object_get(json_object_get(s.g.json, "vq_encode"), "codes"), want) == n);
    float *pixels = by_pixel(golden_blob(&s.g, "vq_encode", "pixels", (int64_t)s.side * s.side * 3), s.side, 3);
    float *latent = by_pixel(golden_blob(&s.g, "vq_encode", "latent", (int64_t)n * 8), grid, 8);
    CHECK_OK(fa_vq_open(&p, fa_draw_vq(s.draw), fa_draw_ops(s.draw), grid, grid, &e), &e);
    CHECK_OK(fa_vq_encode(p, pixels, &e), &e);
    run_pass(p);
    golden_close_to("latent", fa_vq_values(p), latent, (int64_t)n * 8);
    fa_vq_quantise(fa_draw_vq(s.draw), fa_vq_values(p), n, found);
    for (int i = 0; i < n; i++) CHECK(found[i] == want[i], "code %d is %d, want %d", i, found[i], want[i]);
    fa_vq_close(p);
    free(pixels);
    free(latent);
    studio_close(&s);
}

/* A step of both sequences, the one with the prompt first: `n` tokens of each, or the row that stands for a code; hidden states of the last rows. */
static void step_pair(studio *s, int first, const int32_t *const tokens[2], int n, const float *embedding,
                      float *hidden) {
    fa_error e;
    int32_t ids[2 * MOST_CODES], last[2] = {n - 1, 2 * n - 1};
    fa_place place[2 * MOST_CODES];
    const float *own[2 * MOST_CODES];
    CHECK(n <= MOST_CODES);
    for (int i = 0; i < 2 * n; i++) {
        ids[i] = embedding ? 0 : tokens[i / n][i % n];
        own[i] = embedding;
        place[i] = (fa_place){.pos = first + i % n, .pages = s->r.pages + i / n * s->r.pages_each};
    }
    const fa_step step = {.rows = 2 * n,
                          .tokens = ids,
                          .embeddings = own,
                          .place = place,
                          .pool = s->r.pool,
                          .n_hidden = 2,
                          .hidden_rows = last,
                          .hidden = hidden};
    CHECK_OK(fa_model_step(s->r.model, &step, &e), &e);
}

static void compare_logits(const studio *s, int step, const float *logits, int codes) {
    static const char *const names[] = {"cond_logits", "uncond_logits"};
    for (int i = 0; i < 2 && step < FIRST_STEPS; i++)
        golden_close_to(names[i], logits + i * codes,
                        golden_blob(&s->g, "gen", names[i], (int64_t)FIRST_STEPS * codes) + step * codes, codes);
}

static void generated(void *arg) {
    studio s;
    studio_open(&s, arg);
    fa_error e;
    const json_t *gold = json_object_get(s.g.json, "generate");
    int32_t want[MOST_CODES], with[MOST_CODES], without[MOST_CODES];
    int codes = fa_draw_codes(s.draw), n = read_codes(json_object_get(gold, "codes"), want);
    int length = read_codes(json_object_get(gold, "cond_ids"), with);
    CHECK(length == read_codes(json_object_get(gold, "uncond_ids"), without));
    float guidance = (float)json_number_value(json_object_get(gold, "cfg_weight"));
    float *hidden = must_alloc(2 * (size_t)s.r.hidden * sizeof *hidden), *row = must_alloc((size_t)s.r.hidden * 4);
    float *logits = must_alloc(3 * (size_t)codes * sizeof *logits);
    step_pair(&s, 0, (const int32_t *const[]){with, without}, length, NULL, hidden);
    for (int i = 0; i < n; i++) {
        CHECK_OK(fa_draw_logits(s.draw, hidden, 2, logits, &e), &e);
        compare_logits(&s, i, logits, codes);
        fa_draw_guide(logits, logits + codes, guidance, codes, logits + 2 * codes);
        int32_t code = golden_argmax(logits + 2 * codes, codes);
        CHECK(code == want[i], "code %d is %d, want %d", i, code, want[i]);
        CHECK_OK(fa_draw_embed(s.draw, &code, 1, row, &e), &e);
        if (i == 0) golden_close_to("embedding", row, golden_blob(&s.g, "gen", "embeds_step0", s.r.hidden), s.r.hidden);
        step_pair(&s, length + i, NULL, 1, row, hidden);
    }
    free(hidden);
    free(row);
    free(logits);
    studio_close(&s);
}

/* Pixels of the fixed codes. */
static float *pixels_of(const where *w, int64_t *n) {
    studio s;
    studio_open(&s, w);
    int32_t codes[MOST_CODES];
    read_codes(json_object_get(json_object_get(s.g.json, "decode"), "fixed"), codes);
    fa_vq_pass *p = decode(&s, codes);
    *n = (int64_t)s.side * s.side * 3;
    float *out = must_alloc((size_t)*n * sizeof *out);
    memcpy(out, fa_vq_values(p), (size_t)*n * sizeof *out);
    fa_vq_close(p);
    studio_close(&s);
    return out;
}

static void same_bits(void *backend) {
    int64_t n, m;
    float *want = pixels_of(&(where){"janus-pro-tiny", "reference", 1, NULL}, &n);
    for (int threads = 1; threads <= 3; threads += 2) {
        float *found = pixels_of(&(where){"janus-pro-tiny-hf", backend, threads, NULL}, &m);
        CHECK(n == m && !memcmp(found, want, (size_t)n * sizeof *want), "%d threads", threads);
        free(found);
    }
    free(want);
}

/* Makes a weight [rows, cols ...] FP8 with a scale for each block: the room for two more specs is taken by the caller. */
static void make_fp8(model_copy *c, const char *name, check_rng *rng, void *to_free[2]) {
    fa_tensor_spec *s = model_copy_tensor(c, name);
    int64_t n = model_copy_elements(s), rows = s->shape[0], cols = n / rows;
    int64_t blocks[2] = {(rows + 127) / 128, (cols + 127) / 128};
    uint8_t *codes = to_free[0] = must_alloc((size_t)n);
    float *scales = to_free[1] = must_alloc((size_t)(blocks[0] * blocks[1]) * sizeof *scales);
    char *full = NULL;
    for (int64_t i = 0; i < n; i++) codes[i] = (uint8_t)(check_u64(rng) & 0xb7); /* finite, below 2 */
    for (int64_t i = 0; i < blocks[0] * blocks[1]; i++) scales[i] = 0.02f + 0.02f * (float)check_uniform(rng);
    s->type = FA_F8_E4M3;
    s->data = codes;
    CHECK(asprintf(&full, "%s_scale_inv", name) > 0);
    c->specs[c->n++] = (fa_tensor_spec){
        .name = full, .type = FA_F32, .n_dims = 2, .shape = {blocks[0], blocks[1], 1, 1}, .data = scales};
}

/* Logits of two hidden states and rows of three codes. */
static void heads_of(const where *w, float *logits, float *rows) {
    studio s;
    fa_error e;
    float hidden[2 * 96];
    check_rng rng = {3};
    for (int i = 0; i < 2 * 96; i++) hidden[i] = check_normal(&rng);
    studio_open(&s, w);
    CHECK_OK(fa_draw_logits(s.draw, hidden, 2, logits, &e), &e);
    CHECK_OK(fa_draw_embed(s.draw, (const int32_t[]){95, 0, 7}, 3, rows, &e), &e);
    studio_close(&s);
}

static void fp8_weights(void *unused) {
    (void)unused;
    static const char *const names[] = {
        "gen_vision_model.decoder.conv_in.weight", "gen_vision_model.decoder.conv_blocks.0.res.0.conv1.weight",
        "gen_vision_model.decoder.mid.1.q.weight", "gen_aligner.layers.2.weight", "gen_head.vision_head.weight"};
    static const char *const backends[] = {"reference", "cpu", "opencl", "sim"};
    enum { NAMES = sizeof names / sizeof *names };
    model_copy c;
    check_rng rng = {1};
    void *to_free[NAMES][2];
    float *pixels[4] = {0}, logits[4][2 * 96], rows[4][3 * 96];
    int64_t n = 0;
    model_copy_open(&c, "janus-pro-tiny");
    c.specs = realloc(c.specs, (size_t)(c.n + NAMES) * sizeof *c.specs);
    for (int i = 0; i < NAMES; i++) make_fp8(&c, names[i], &rng, to_free[i]);
    model_copy_save(&c);
    for (int i = 0; i < 4; i++) {
        fa_backend *probe;
        fa_error e;
        if (fa_backend_open(&probe, &(fa_backend_options){.name = backends[i], .node = -1}, &e)) continue;
        probe->close(probe);
        const where w = {"", backends[i], 2, c.scratch};
        pixels[i] = pixels_of(&w, &n);
        heads_of(&w, logits[i], rows[i]);
        CHECK(!memcmp(pixels[i], pixels[0], (size_t)n * sizeof(float)), "%s: other pixels", backends[i]);
        CHECK(!memcmp(logits[i], logits[0], sizeof *logits), "%s: other logits", backends[i]);
        CHECK(!memcmp(rows[i], rows[0], sizeof *rows), "%s: other rows", backends[i]);
    }
    for (int i = 0; i < NAMES; i++) free(to_free[i][0]), free(to_free[i][1]), free((char *)c.specs[c.n - 1 - i].name);
    for (int i = 0; i < 4; i++) free(pixels[i]);
    model_copy_close(&c);
}

static void bad_codes(void *arg) {
    studio s;
    studio_open(&s, arg);
    fa_error e;
    fa_vq_pass *p;
    int32_t codes[4] = {0, 95, 96, 1};
    CHECK_OK(fa_vq_open(&p, fa_draw_vq(s.draw), fa_draw_ops(s.draw), 2, 2, &e), &e);
    fa_status st = fa_vq_decode(p, codes, &e);
    CHECK(st == FA_EINVAL && strstr(e.text, "code 2 is 96"), "%s", e.text);
    fa_vq_close(p);
    st = fa_vq_open(&p, fa_draw_vq(s.draw), fa_draw_ops(s.draw), 0, 2, &e);
    CHECK(st == FA_ELIMIT, "%s", e.text);
    st = fa_vq_open(&p, fa_draw_vq(s.draw), fa_draw_ops(s.draw), 1 << 20, 1 << 20, &e);
    CHECK(st == FA_ELIMIT, "%s", e.text);
    studio_close(&s);
}

typedef struct damage {
    const char *tensor;
    int64_t rows; /* what its first dimension becomes; 0: the tensor is dropped */
    fa_status status;
    const char *names; /* must be in the error text */
} damage;

static void damaged(void *arg) {
    const damage *d = arg;
    model_copy c;
    fa_error e = {0};
    fa_tensors *ts;
    fa_limits limits = {0};
    fa_draw *draw;
    model_copy_open(&c, "janus-pro-tiny");
    if (d->rows)
        model_copy_tensor(&c, d->tensor)->shape[0] = d->rows;
    else
        model_copy_drop(&c, d->tensor);
    model_copy_save(&c);
    CHECK_OK(fa_tensors_open(&ts, c.scratch, &e), &e);
    CHECK_OK(fa_draw_open(&draw, 96, FA_W8A16, 64, &e), &e);
    fa_status st = fa_draw_limits(draw, ts, &limits, &e);
    CHECK(st == d->status && strstr(e.text, d->names), "%s: %s", fa_status_name(st), e.text);
    fa_draw_close(draw);
    fa_tensors_close(ts);
    model_copy_close(&c);
}

#define VQ "gen_vision_model."

#define ON(folder, backend)      \
    &(where) {                   \
        folder, backend, 2, NULL \
    }

int main(int argc, char **argv) {
    const check_case cases[] = {
        {"original files, cpu: codes become transformers' pixels", decoded, ON("janus-pro-tiny", "cpu")},
        {"original files, opencl: codes become transformers' pixels", decoded, ON("janus-pro-tiny", "opencl")},
        {"original files, sim: codes become transformers' pixels", decoded, ON("janus-pro-tiny", "sim")},
        {"transformers' files: codes become transformers' pixels", decoded, ON("janus-pro-tiny-hf", "cpu")},
        {"original files, cpu: pixels become transformers' codes", encoded, ON("janus-pro-tiny", "cpu")},
        {"original files, opencl: pixels become transformers' codes", encoded, ON("janus-pro-tiny", "opencl")},
        {"original files, sim: pixels become transformers' codes", encoded, ON("janus-pro-tiny", "sim")},
        {"transformers' files: pixels become transformers' codes", encoded, ON("janus-pro-tiny-hf", "cpu")},
        {"original files, cpu: guided codes are transformers'", generated, ON("janus-pro-tiny", "cpu")},
        {"original files, opencl: guided codes are transformers'", generated, ON("janus-pro-tiny", "opencl")},
        {"original files, sim: guided codes are transformers'", generated, ON("janus-pro-tiny", "sim")},
        {"transformers' files, cpu: guided codes are transformers'", generated, ON("janus-pro-tiny-hf", "cpu")},
        {"transformers' files, sim: guided codes are transformers'", generated, ON("janus-pro-tiny-hf", "sim")},
        {"cpu: pixels have the reference's bits on any number of threads", same_bits, "cpu"},
        {"opencl: pixels have the reference's bits", same_bits, "opencl"},
        {"sim: pixels have the reference's bits", same_bits, "sim"},
        {"FP8 kernels, aligner and head give the reference's bits everywhere", fp8_weights, NULL},
        {"codes and grids that cannot be are errors", bad_codes, ON("janus-pro-tiny", "cpu")},
        {"a missing kernel is named", damaged,
         &(damage){VQ "decoder.conv_blocks.1.res.1.conv2.weight", 0, FA_EFORMAT, "res.1.conv2.weight: missing"}},
        {"a norm of another width is named", damaged,
         &(damage){VQ "decoder.norm_out.weight", 16, FA_EFORMAT, "decoder.norm_out.weight"}},
        {"a bias that does not fit its kernels is named", damaged,
         &(damage){VQ "decoder.conv_in.weight", 32, FA_EFORMAT, "decoder.conv_in.bias"}},
        {"a codebook that does not fit the embeddings is named", damaged,
         &(damage){VQ "quantize.embedding.weight", 95, FA_EFORMAT, "gen_embed.weight"}},
        {"a missing head is named", damaged,
         &(damage){"gen_head.vision_head.weight", 0, FA_EFORMAT, "gen_head.vision_head.weight"}},
        {"a decoder without its codebook is named", damaged,
         &(damage){VQ "quantize.embedding.weight", 0, FA_EFORMAT, "gen_embed.weight"}},
        {"files without the part that draws are no error", damaged, &(damage){"gen_embed.weight", 0, FA_OK, ""}},
    };
    return check_main(argc, argv, cases, sizeof cases / sizeof *cases);
}
