/* How Janus-Pro looks at a picture, against transformers: pixels, features of the tower and aligned rows, in every layout of the files and on
 * every backend, with the bits of the reference. */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "host/vision/preprocess.h"
#include "host/vision/vision.h"
#include "tests/lib/check.h"
#include "tests/lib/files.h"
#include "tests/lib/golden_model.h"

static const char *const images[] = {"wide", "tall", "exact", "big"};
enum { IMAGES = 4, SIZE = 48, PATCHES = 36, WIDTH = 64, HIDDEN = 96 };

/* A model that is open only for its eyes. */
typedef struct eyes {
    fa_backend *backend;
    fa_vision *vision;
    fa_model *model;
} eyes;

/* False: this machine has no such backend. */
static bool open_eyes(eyes *y, const char *backend, const char *dir, int32_t max_rows) {
    fa_error e = {0};
    fa_backend_options b = {.name = backend, .threads = 3};
    if (fa_backend_open(&y->backend, &b, &e)) return false;
    CHECK_OK(fa_vision_open(&y->vision, dir, HIDDEN, FA_W8A16, max_rows, &e), &e);
    CHECK(y->vision, "%s: no eyes", dir);
    fa_model_guest guest = {y->vision, fa_vision_limits_of, fa_vision_load};
    fa_model_options o = {.path = dir,
                          .backend = y->backend,
                          .numerics = FA_W8A16,
                          .max_rows = max_rows,
                          .max_logit_rows = 1,
                          .max_positions = 16,
                          .guest = &guest};
    CHECK_OK(fa_model_open(&y->model, &o, &e), &e);
    return true;
}

static void close_eyes(eyes *y) {
    fa_vision_close(y->vision);
    fa_model_close(y->model);
    y->backend->close(y->backend);
}

static fa_image square_of(const golden *g, const fa_vision_config *c, const char *name) {
    fa_error e = {0};
    fa_image image, square;
    char *path = NULL;
    CHECK(asprintf(&path, "%s/%s.png", g->dir, name) > 0);
    CHECK_OK(fa_image_read(&image, path, &e), &e);
    CHECK_OK(fa_preprocess_square(c, &image, &square, &e), &e);
    fa_image_free(&image);
    free(path);
    return square;
}

static void pixels_are_equal(void *arg) {
    (void)arg;
    golden g;
    fa_error e = {0};
    fa_vision_config c;
    bool has;
    golden_open(&g, "janus-pro-tiny");
    CHECK_OK(fa_vision_config_load(&c, g.dir, &has, &e), &e);
    CHECK(has && c.image_size == SIZE && fa_vision_patches(&c) == PATCHES && c.width == WIDTH && c.heads == 4);
    for (int i = 0; i < IMAGES; i++) {
        char name[40];
        snprintf(name, sizeof name, "image.%s", images[i]);
        fa_image square = square_of(&g, &c, images[i]);
        const float *want = golden_blob(&g, name, "pixel_values", 3 * SIZE * SIZE);
        snprintf(name, sizeof name, "image.%s.resized_u8", images[i]);
        const uint8_t *u8 = fa_tensors_find(g.blobs, name)->data;
        float *pixels = must_alloc(sizeof *pixels * SIZE * SIZE * 3);
        fa_preprocess_normalise(&c, &square, pixels);
        for (int k = 0; k < SIZE * SIZE * 3; k++) {
            CHECK(square.rgb[k] == u8[k], "%s: value %d: %d, expected %d", images[i], k, square.rgb[k], u8[k]);
            float channels_first = want[k % 3 * SIZE * SIZE + k / 3];
            CHECK(pixels[k] == channels_first, "%s: value %d: %.9g, expected %.9g", images[i], k, (double)pixels[k],
                  (double)channels_first);
        }
        free(pixels);
        fa_image_free(&square);
    }
    golden_close(&g);
}

typedef struct seen {
    float features[PATCHES * WIDTH], rows[PATCHES * HIDDEN];
} seen;

static void look(const golden *g, eyes *y, const char *name, seen *s) {
    fa_error e = {0};
    fa_image square = square_of(g, fa_vision_get_config(y->vision), name);
    CHECK_OK(fa_vision_see(y->vision, &square, s->features, s->rows, &e), &e);
    fa_image_free(&square);
}

/* A folder with config.json and only this file of weights. */
static char *folder_with(const char *weights) {
    static const char *const files[] = {"config.json", "preprocessor_config.json"};
    char *dir = check_scratch(), *golden_dir = check_golden("janus-pro-tiny"), from[PATH_MAX], real[PATH_MAX],
         to[PATH_MAX];
    for (int i = 0; i < 3; i++) {
        const char *name = i < 2 ? files[i] : weights;
        snprintf(from, sizeof from, "%s/%s", golden_dir, name);
        snprintf(to, sizeof to, "%s/%s", dir, name);
        CHECK(realpath(from, real) && symlink(real, to) == 0, "%s", to);
    }
    free(golden_dir);
    return dir;
}

typedef struct variant {
    const char *backend, *folder, *weights; /* weights: of a folder that has them alone; NULL: the golden folder */
    int32_t max_rows;
} variant;

static void sees_as_transformers(void *arg) {
    const variant *v = arg;
    golden g;
    eyes reference, other;
    golden_open(&g, "janus-pro-tiny");
    char *dir = v->weights ? folder_with(v->weights) : check_golden(v->folder);
    seen *want = must_alloc(sizeof *want), *got = must_alloc(sizeof *got);
    if (!open_eyes(&other, v->backend, dir, v->max_rows)) check_skip("no %s here", v->backend);
    CHECK(open_eyes(&reference, "reference", g.dir, 64));
    for (int i = 0; i < IMAGES; i++) {
        char name[40];
        snprintf(name, sizeof name, "image.%s", images[i]);
        look(&g, &other, images[i], got);
        golden_close_to(name, got->features, golden_blob(&g, name, "vision_features", PATCHES * WIDTH),
                        PATCHES * WIDTH);
        golden_close_to(name, got->rows, golden_blob(&g, name, "aligned", PATCHES * HIDDEN), PATCHES * HIDDEN);
        if (i) continue;
        look(&g, &reference, images[i], want);
        CHECK(!memcmp(want, got, sizeof *want), "%s: other bits than the reference's", images[i]);
    }
    close_eyes(&reference), close_eyes(&other);
    if (v->weights) check_remove(dir);
    free(want), free(got), free(dir);
    golden_close(&g);
}

static void models_without_eyes_have_none(void *arg) {
    (void)arg;
    fa_error e = {0};
    fa_vision *v;
    char *dir = check_golden("deepseek-llm-tiny");
    CHECK_OK(fa_vision_open(&v, dir, HIDDEN, FA_W8A16, 8, &e), &e);
    CHECK(!v);
    free(dir);
}

typedef struct wrong {
    const char *config; /* of vision_config's params */
    fa_status status;
    const char *text;
} wrong;

static void wrong_configurations_are_named(void *arg) {
    (void)arg;
    static const wrong table[] = {
        {"{\"image_size\": 50, \"patch_size\": 8}", FA_EFORMAT, "neither may leave a rest"},
        {"{\"model_name\": \"clip_large\"}", FA_EUNSUPPORTED, "model_name \"clip_large\""},
        {"{\"select_layer\": -2}", FA_EUNSUPPORTED, "select_layer -2"},
        {"{\"heads\": 0}", FA_EFORMAT, "heads"},
        {"7", FA_EFORMAT, "vision_config: expected an object"},
        {"{\"image_size\": 4096, \"patch_size\": 4}", FA_EUNSUPPORTED, "patches a picture"},
    };
    char *dir = check_scratch();
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        fa_error e = {0};
        fa_vision_config c;
        bool has;
        char text[400];
        int n = snprintf(text, sizeof text,
                         "{\"architectures\": [\"MultiModalityCausalLM\"], \"vision_config\": {\"params\": %s}, "
                         "\"aligner_config\": {\"params\": {}}}",
                         table[i].config);
        free(check_write(dir, "config.json", text, (size_t)n));
        CHECK(fa_vision_config_load(&c, dir, &has, &e) == table[i].status && strstr(e.text, table[i].text) &&
                  strstr(e.text, "config.json"),
              "%zu: %s", i, e.text);
    }
    check_remove(dir);
    free(dir);
}

/* Beside the golden config.json. */
static void wrong_preprocessing_is_named(void *arg) {
    (void)arg;
    static const wrong table[] = {
        {"{\"resample\": 2}", FA_EUNSUPPORTED, "resample: 2"},
        {"{\"rescale_factor\": 1}", FA_EUNSUPPORTED, "rescale_factor: 1"},
        {"{\"image_size\": 64}", FA_EFORMAT, "image_size: 64, but the tower takes 48"},
        {"{\"image_mean\": [1, 2]}", FA_EFORMAT, "image_mean: expected three numbers"},
        {"{\"image_std\": [1, 0, 1]}", FA_EFORMAT, "image_std"},
        {"{\"min_size\": 49}", FA_EFORMAT, "min_size"},
        {"[]", FA_EFORMAT, "expected an object"},
    };
    char *dir = check_scratch(), *golden_dir = check_golden("janus-pro-tiny"), *from = NULL;
    size_t n;
    fa_vision_config c;
    bool has;
    fa_error e = {0};
    CHECK(asprintf(&from, "%s/config.json", golden_dir) > 0);
    uint8_t *config = check_read(from, &n);
    free(check_write(dir, "config.json", config, n));
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        free(check_write(dir, "preprocessor_config.json", table[i].config, strlen(table[i].config)));
        CHECK(fa_vision_config_load(&c, dir, &has, &e) == table[i].status && strstr(e.text, table[i].text) &&
                  strstr(e.text, "preprocessor_config.json"),
              "%zu: %s", i, e.text);
    }
    static const char plain[] = "{\"do_normalize\": false, \"size\": {\"height\": 48, \"width\": 48}}";
    free(check_write(dir, "preprocessor_config.json", plain, sizeof plain - 1));
    CHECK_OK(fa_vision_config_load(&c, dir, &has, &e), &e);
    CHECK(c.mean[2] == 0 && c.std[2] == 1 && c.min_size == 14 && c.background[1] == 127);
    check_remove(dir);
    free(dir), free(golden_dir), free(from), free(config);
}

int main(int argc, char **argv) {
    static variant original = {"cpu", "janus-pro-tiny", NULL, 64}, cut = {"cpu", "janus-pro-tiny", NULL, 7},
                   checkpoint = {"cpu", "janus-pro-tiny", "pytorch_model.bin", 64},
                   saved = {"cpu", "janus-pro-tiny-hf", NULL, 64}, sim = {"sim", "janus-pro-tiny", NULL, 64},
                   sim_saved = {"sim", "janus-pro-tiny-hf", NULL, 64}, opencl = {"opencl", "janus-pro-tiny", NULL, 64},
                   opencl_saved = {"opencl", "janus-pro-tiny-hf", NULL, 64};
    static const check_case cases[] = {
        {"pixels are equal", pixels_are_equal, NULL},
        {"original names", sees_as_transformers, &original},
        {"original names, rows cut by seven", sees_as_transformers, &cut},
        {"PyTorch's checkpoint", sees_as_transformers, &checkpoint},
        {"transformers' names", sees_as_transformers, &saved},
        {"on a simulated board", sees_as_transformers, &sim},
        {"transformers' names on a simulated board", sees_as_transformers, &sim_saved},
        {"on OpenCL", sees_as_transformers, &opencl},
        {"transformers' names on OpenCL", sees_as_transformers, &opencl_saved},
        {"models without eyes have none", models_without_eyes_have_none, NULL},
        {"wrong configurations are named", wrong_configurations_are_named, NULL},
        {"wrong preprocessing is named", wrong_preprocessing_is_named, NULL},
    };
    return check_main(argc, argv, cases, sizeof cases / sizeof *cases);
}
