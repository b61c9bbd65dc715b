/* Keys: the configuration files of deepseek-ai/Janus-Pro and of transformers (JanusConfig); defaults of what a file leaves out: the tower
 * that its model_name stands for, or transformers' classes. */
#include "host/vision/config.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "host/base/file.h"
#include "host/base/json.h"

/* Where the keys of each layout lie. */
typedef struct layout {
    const char *architecture, *model_type;
    const char *width, *layers, *heads; /* keys of the tower */
} layout;

static const layout layouts[] = {
    [FA_VISION_ORIGINAL] = {"MultiModalityCausalLM", "multi_modality", "width", "layers", "heads"},
    [FA_VISION_TRANSFORMERS] = {"JanusForConditionalGeneration", "janus", "hidden_size", "num_hidden_layers",
                                "num_attention_heads"},
};

/* siglip_large_patch16_384, the tower of every Janus-Pro. */
enum { IMAGE_SIZE = 384, PATCH = 16, WIDTH = 1024, LAYERS = 24, HEADS = 16 };

static const layout *layout_of(const json_t *o) {
    const char *architecture = json_string_value(json_array_get(json_object_get(o, "architectures"), 0));
    const char *type = json_string_value(json_object_get(o, "model_type"));
    for (size_t i = 0; i < sizeof layouts / sizeof *layouts; i++)
        if (architecture ? !strcmp(architecture, layouts[i].architecture)
                         : type && !strcmp(type, layouts[i].model_type))
            return &layouts[i];
    return NULL;
}

static fa_status read_int(const json_t *o, const char *key, int64_t most, int64_t fallback, int32_t *out,
                          const char *file, fa_error *e) {
    int64_t value = 0;
    fa_status s = fa_json_int(o, key, 1, most, fallback, &value, file, e);
    *out = (int32_t)value;
    return s;
}

/* The tower's values under `t`: vision_config, or its params. */
static fa_status read_tower(fa_vision_config *c, const layout *l, const json_t *t, const char *file, fa_error *e) {
    double ratio = 4, eps = 1e-6;
    fa_status s = read_int(t, "image_size", 4096, IMAGE_SIZE, &c->image_size, file, e);
    if (!s) s = read_int(t, "patch_size", 4096, PATCH, &c->patch, file, e);
    if (!s) s = read_int(t, l->width, 1 << 14, WIDTH, &c->width, file, e);
    if (!s) s = read_int(t, l->layers, 1024, LAYERS, &c->layers, file, e);
    if (!s) s = read_int(t, l->heads, 1024, HEADS, &c->heads, file, e);
    if (!s) s = fa_json_double(t, "mlp_ratio", 0.01, 64, 4, &ratio, file, e);
    if (!s) s = fa_json_double(t, "layer_norm_eps", 1e-12, 1, 1e-6, &eps, file, e);
    if (s) return s;
    c->inner = (int32_t)(c->width * ratio);
    c->eps = (float)eps;
    if (c->image_size % c->patch || c->width % c->heads || c->inner < 1)
        return fa_fail(e, FA_EFORMAT,
                       "%s: vision_config: %d pixels in patches of %d, width %d in %d heads: neither may leave a rest",
                       file, c->image_size, c->patch, c->width, c->heads);
    if (fa_vision_patches(c) > 1 << 14)
        return fa_fail(e, FA_EUNSUPPORTED, "%s: vision_config: %d patches a picture are more than are supported", file,
                       fa_vision_patches(c));
    return FA_OK;
}

/* Keys whose only supported value is that of the releases; absent counts as it. */
static fa_status check_fixed(const json_t *t, const char *file, fa_error *e) {
    const char *texts[][2] = {{"model_name", "siglip_"}, {"select_feature", "same"}, {"hidden_act", "gelu"}};
    fa_status s = FA_OK;
    for (size_t i = 0; i < sizeof texts / sizeof *texts && !s; i++) {
        const char *text;
        s = fa_json_text(t, texts[i][0], texts[i][1], &text, file, e);
        if (!s && strncmp(text, texts[i][1], strlen(texts[i][1])))
            s = fa_fail(e, FA_EUNSUPPORTED, "%s: vision_config: %s \"%.80s\" is not supported", file, texts[i][0],
                        text);
    }
    int64_t select = -1, depth = 2;
    bool norm = false;
    if (!s) s = fa_json_int(t, "select_layer", -1024, 1024, -1, &select, file, e);
    if (!s) s = fa_json_int(t, "depth", 1, 1024, 2, &depth, file, e);
    if (!s) s = fa_json_bool(t, "use_qk_norm", false, &norm, file, e);
    if (!s && (select != -1 || depth != 2 || norm))
        s = fa_fail(e, FA_EUNSUPPORTED,
                    "%s: vision_config: select_layer %d, depth %d, use_qk_norm %s: only -1, 2, false are supported",
                    file, (int)select, (int)depth, norm ? "true" : "false");
    return s;
}

static fa_status read_model(fa_vision_config *c, const layout *l, const json_t *o, const char *file, fa_error *e) {
    const json_t *tower = json_object_get(o, "vision_config"), *aligner = json_object_get(o, "aligner_config");
    c->names = (fa_vision_names)(l - layouts);
    if (c->names == FA_VISION_ORIGINAL) {
        tower = json_object_get(tower, "params");
        aligner = json_object_get(aligner, "params");
    }
    if (!json_is_object(tower))
        return fa_fail(e, FA_EFORMAT, "%s: vision_config: expected an object with the tower", file);
    const char *projector;
    int64_t placeholder = -1;
    fa_status s = check_fixed(tower, file, e);
    if (!s) s = fa_json_int(o, "image_token_id", -1, (1 << 24) - 1, -1, &placeholder, file, e);
    c->placeholder = (int32_t)placeholder;
    if (!s) s = read_tower(c, l, tower, file, e);
    if (s || c->names == FA_VISION_TRANSFORMERS) return s;
    if (!json_is_object(aligner))
        return fa_fail(e, FA_EFORMAT, "%s: aligner_config: expected an object with params", file);
    s = check_fixed(aligner, file, e);
    if (!s) s = fa_json_text(aligner, "projector_type", "mlp_gelu", &projector, file, e);
    if (!s && strcmp(projector, "mlp_gelu"))
        s = fa_fail(e, FA_EUNSUPPORTED, "%s: aligner_config: projector_type \"%.80s\" is not supported", file,
                    projector);
    return s;
}

/* Three numbers, or those that stand in *out. */
static fa_status read_triple(const json_t *o, const char *key, double min, double max, double out[3], const char *file,
                             fa_error *e) {
    const json_t *v = json_object_get(o, key);
    if (!v || json_is_null(v)) return FA_OK;
    for (size_t i = 0; i < 3; i++) {
        const json_t *one = json_array_get(v, i);
        out[i] = json_number_value(one);
        if (!json_is_number(one) || json_array_size(v) != 3 || !(out[i] >= min && out[i] <= max))
            return fa_fail(e, FA_EFORMAT, "%s: %s: expected three numbers in %g..%g", file, key, min, max);
    }
    return FA_OK;
}

/* What the preprocessing leaves open has one supported value; without normalising, pixels stay in 0 .. 1. */
static fa_status check_preprocessing(const json_t *o, bool *normalise, const char *file, fa_error *e) {
    enum { BICUBIC = 3 }; /* of Pillow */
    int64_t resample = BICUBIC;
    double factor = 1.0 / 255;
    fa_status s = fa_json_int(o, "resample", 0, 100, BICUBIC, &resample, file, e);
    if (!s) s = fa_json_double(o, "rescale_factor", 0, 1e9, factor, &factor, file, e);
    if (!s) s = fa_json_bool(o, "do_normalize", true, normalise, file, e);
    if (!s && resample != BICUBIC)
        s = fa_fail(e, FA_EUNSUPPORTED, "%s: resample: %d is not supported (only 3, bicubic)", file, (int)resample);
    if (!s && fabs(factor * 255 - 1) > 1e-6)
        s = fa_fail(e, FA_EUNSUPPORTED, "%s: rescale_factor: %g is not supported (only 1/255)", file, factor);
    return s;
}

static fa_status read_preprocessing(fa_vision_config *c, const json_t *o, const char *file, fa_error *e) {
    double background[3] = {127, 127, 127}, mean[3] = {0.5, 0.5, 0.5}, std[3] = {0.5, 0.5, 0.5};
    int32_t size = c->image_size;
    bool normalise = true;
    fa_status s = check_preprocessing(o, &normalise, file, e);
    if (!s && json_is_integer(json_object_get(o, "image_size")))
        s = read_int(o, "image_size", 4096, size, &size, file, e);
    if (!s && size != c->image_size)
        s = fa_fail(e, FA_EFORMAT, "%s: image_size: %d, but the tower takes %d", file, size, c->image_size);
    if (!s) s = read_int(o, "min_size", c->image_size, c->image_size < 14 ? 1 : 14, &c->min_size, file, e);
    if (!s) s = read_triple(o, "background_color", 0, 255, background, file, e);
    if (!s) s = read_triple(o, "image_mean", -10, 10, mean, file, e);
    if (!s) s = read_triple(o, "image_std", 1e-3, 1e3, std, file, e);
    for (int i = 0; i < 3; i++) {
        c->background[i] = (uint8_t)background[i];
        c->mean[i] = normalise ? (float)mean[i] : 0;
        c->std[i] = normalise ? (float)std[i] : 1;
    }
    return s;
}

/* The object in `dir`/`name`; NULL where `may_lack` and there is none. */
static fa_status load(const char *dir, const char *name, bool may_lack, json_t **o, char **path, fa_error *e) {
    *o = NULL;
    *path = fa_path_join(dir, name);
    if (!*path) return fa_fail(e, FA_ENOMEM, "%s: out of memory", dir);
    if (may_lack && access(*path, F_OK)) return FA_OK;
    fa_status s = fa_json_load(o, *path, e);
    if (!s && !json_is_object(*o)) s = fa_fail(e, FA_EFORMAT, "%s: expected an object", *path);
    return s;
}

fa_status fa_vision_config_load(fa_vision_config *c, const char *dir, bool *has, fa_error *e) {
    char *path = NULL;
    json_t *o = NULL;
    *c = (fa_vision_config){0};
    fa_status s = load(dir, "config.json", false, &o, &path, e);
    const layout *l = s ? NULL : layout_of(o);
    *has = l != NULL;
    if (l) s = read_model(c, l, o, path, e);
    json_decref(o);
    free(path);
    if (s || !l) return s;
    s = load(dir, "preprocessor_config.json", true, &o, &path, e);
    if (!s) s = read_preprocessing(c, o, path, e);
    json_decref(o);
    free(path);
    return s;
}
