/* config.json and generation_config.json, read through the table of fields. Keys and defaults: the
 * configuration classes of Hugging Face transformers and the config.json files of the releases. */
#include "host/model/config.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "host/base/file.h"
#include "host/base/json.h"
#include "host/model/config_fields.h"

static fa_status read_field(fa_config *c, const json_t *o, const fa_config_field *f, const char *file, fa_error *e) {
    const json_t *v = json_object_get(o, f->json);
    if (!v || json_is_null(v)) {
        if (f->required) return fa_fail(e, FA_EFORMAT, "%s: %s: missing", file, f->json);
        fa_field_set(c, f, f->fallback);
        return FA_OK;
    }
    fa_status s;
    if (f->kind == FA_FIELD_INT) {
        int64_t i;
        s = fa_json_int(o, f->json, (int64_t)f->min, (int64_t)f->max, 0, &i, file, e);
        if (!s) fa_field_set(c, f, (double)i);
    } else if (f->kind == FA_FIELD_BOOL) {
        bool b;
        s = fa_json_bool(o, f->json, false, &b, file, e);
        if (!s) fa_field_set(c, f, b);
    } else {
        double d;
        s = fa_json_double(o, f->json, f->min, f->max, 0, &d, file, e);
        if (!s) fa_field_set(c, f, d);
    }
    return s;
}

static fa_status read_fields(fa_config *c, const json_t *o, const fa_config_field *fields, int n, unsigned of,
                             const char *file, fa_error *e) {
    fa_status s = FA_OK;
    for (int i = 0; i < n && !s; i++)
        if (fields[i].of & of) s = read_field(c, o, &fields[i], file, e);
    return s;
}

static const char *architecture_of(const json_t *o) {
    return json_string_value(json_array_get(json_object_get(o, "architectures"), 0));
}

/* The family named by `architectures`, or by `model_type` where that is missing; NULL: none of ours. */
static const fa_family *family_of(const json_t *o) {
    const char *architecture = architecture_of(o), *type = json_string_value(json_object_get(o, "model_type"));
    for (int i = 0; i < fa_n_families; i++) {
        const fa_family *f = &fa_families[i];
        if (architecture ? !strcmp(architecture, f->architecture) : type && !strcmp(type, f->model_type)) return f;
    }
    return NULL;
}

static fa_status no_family(const json_t *o, const char *file, fa_error *e) {
    const char *architecture = architecture_of(o), *type = json_string_value(json_object_get(o, "model_type"));
    if (!architecture && !type) return fa_fail(e, FA_EFORMAT, "%s: architectures: missing", file);
    return fa_fail(e, FA_EUNSUPPORTED, "%s: architecture %.80s is not supported", file,
                   architecture ? architecture : type);
}

/* A key whose only supported value is `want`; absent and null count as it. */
static fa_status only(const json_t *o, const char *key, const json_t *want, const char *file, fa_error *e) {
    const json_t *v = json_object_get(o, key);
    if (!v || json_is_null(v) || json_equal(v, want)) return FA_OK;
    char *found = fa_json_print(v, JSON_ENCODE_ANY), *wanted = fa_json_print(want, JSON_ENCODE_ANY);
    fa_status s = fa_fail(e, FA_EUNSUPPORTED, "%s: %s: %.80s is not supported (only %s)", file, key,
                          found ? found : "?", wanted ? wanted : "?");
    free(found);
    free(wanted);
    return s;
}

static fa_status read_only_values(const json_t *o, const char *file, fa_error *e) {
    json_t *silu = json_string("silu");
    fa_status s = only(o, "hidden_act", silu, file, e);
    if (!s) s = only(o, "mlp_bias", json_false(), file, e);
    if (!s) s = only(o, "use_sliding_window", json_false(), file, e);
    json_decref(silu);
    return s;
}

typedef struct choice {
    const char *text;
    int value;
} choice;

/* One of a list of texts; absent: `fallback`. */
static fa_status read_choice(const json_t *o, const char *key, const choice *choices, int fallback, int *out,
                             const char *file, fa_error *e) {
    const char *text;
    fa_status s = fa_json_text(o, key, NULL, &text, file, e);
    *out = fallback;
    if (s || !text) return s;
    for (; choices->text; choices++)
        if (!strcmp(text, choices->text)) {
            *out = choices->value;
            return FA_OK;
        }
    return fa_fail(e, FA_EUNSUPPORTED, "%s: %s: \"%.80s\" is not supported", file, key, text);
}

static fa_status read_routing(fa_config *c, const json_t *o, const fa_family *family, const char *file, fa_error *e) {
    static const choice scorings[] = {{"softmax", FA_SCORE_SOFTMAX}, {"sigmoid", FA_SCORE_SIGMOID}, {0}};
    static const choice methods[] = {
        {"greedy", FA_TOPK_GREEDY}, {"group_limited_greedy", FA_TOPK_GROUP_LIMITED}, {"noaux_tc", FA_TOPK_NOAUX}, {0}};
    bool v3 = family->of == FA_OF_V3;
    int scoring, method;
    fa_status s = read_choice(o, "scoring_func", scorings, v3 ? FA_SCORE_SIGMOID : FA_SCORE_SOFTMAX, &scoring, file, e);
    if (!s) s = read_choice(o, "topk_method", methods, v3 ? FA_TOPK_NOAUX : FA_TOPK_GREEDY, &method, file, e);
    if (s) return s;
    c->scoring = (fa_scoring)scoring;
    c->topk_method = (fa_topk_method)method;
    return FA_OK;
}

/* Rotary scaling: `rope_scaling` with "type" or "rope_type", or transformers 5's `rope_parameters`, which
 * holds rope_theta too. */
static fa_status read_rope(fa_config *c, const json_t *o, const char *file, fa_error *e) {
    static const choice types[] = {{"default", FA_ROPE_PLAIN},
                                   {"linear", FA_ROPE_LINEAR},
                                   {"yarn", FA_ROPE_YARN},
                                   {"llama3", FA_ROPE_LLAMA3},
                                   {0}};
    static const unsigned of[] = {[FA_ROPE_PLAIN] = 0,
                                  [FA_ROPE_LINEAR] = FA_OF_SCALED,
                                  [FA_ROPE_YARN] = FA_OF_SCALED | FA_OF_YARN,
                                  [FA_ROPE_LLAMA3] = FA_OF_SCALED | FA_OF_LLAMA3};
    const json_t *r = json_object_get(o, "rope_parameters");
    fa_status s = FA_OK;
    if (!json_is_object(r)) r = json_object_get(o, "rope_scaling");
    if (!r || json_is_null(r)) return FA_OK;
    if (!json_is_object(r)) return fa_fail(e, FA_EFORMAT, "%s: rope_scaling: expected an object", file);
    s = fa_json_double(r, "rope_theta", 1.5, 1e12, c->rope.theta, &c->rope.theta, file, e);
    int type;
    if (!s)
        s = read_choice(r, json_object_get(r, "rope_type") ? "rope_type" : "type", types, FA_ROPE_PLAIN, &type, file,
                        e);
    if (s) return s;
    c->rope.scaling = (fa_rope_scaling)type;
    double partial;
    s = fa_json_double(r, "partial_rotary_factor", 1, 1, 1, &partial, file, e);
    if (!s) s = read_fields(c, r, fa_rope_fields, fa_n_rope_fields, of[type], file, e);
    return s;
}

/* FP8 as the releases write it, or no quantisation at all. */
static fa_status read_quantisation(fa_config *c, const json_t *o, const char *file, fa_error *e) {
    const json_t *q = json_object_get(o, "quantization_config");
    if (!q || json_is_null(q)) return FA_OK;
    if (!json_is_object(q)) return fa_fail(e, FA_EFORMAT, "%s: quantization_config: expected an object", file);
    const char *method;
    fa_status s = fa_json_text(q, "quant_method", "", &method, file, e);
    if (s) return s;
    if (strcmp(method, "fp8"))
        return fa_fail(e, FA_EUNSUPPORTED,
                       "%s: quantization_config: quant_method \"%.80s\" is not supported (only fp8)", file, method);
    json_t *block = json_pack("[ii]", 128, 128);
    s = json_object_get(q, "weight_block_size")
            ? only(q, "weight_block_size", block, file, e)
            : fa_fail(e, FA_EUNSUPPORTED, "%s: quantization_config: fp8 without weight_block_size is not supported",
                      file);
    json_decref(block);
    c->fp8 = !s;
    return s;
}

static fa_status add_eos(fa_config *c, const json_t *id, const char *file, fa_error *e) {
    if (!json_is_integer(id) || json_integer_value(id) < 0 || json_integer_value(id) >= c->vocab)
        return fa_fail(e, FA_EFORMAT, "%s: eos_token_id: expected token ids in 0..%d", file, c->vocab - 1);
    int32_t v = (int32_t)json_integer_value(id);
    for (int i = 0; i < c->n_eos; i++)
        if (c->eos_ids[i] == v) return FA_OK;
    if (c->n_eos == (int)(sizeof c->eos_ids / sizeof *c->eos_ids))
        return fa_fail(e, FA_EFORMAT, "%s: eos_token_id: more than %d different ids", file, c->n_eos);
    c->eos_ids[c->n_eos++] = v;
    return FA_OK;
}

/* eos_token_id is one id or a list of them. */
static fa_status read_eos(fa_config *c, const json_t *o, const char *file, fa_error *e) {
    const json_t *v = json_object_get(o, "eos_token_id");
    if (!v || json_is_null(v)) return FA_OK;
    if (!json_is_array(v)) return add_eos(c, v, file, e);
    fa_status s = FA_OK;
    for (size_t i = 0; i < json_array_size(v) && !s; i++) s = add_eos(c, json_array_get(v, i), file, e);
    return s;
}

/* Chat models add their end-of-turn ids in generation_config.json, which may be absent. */
static fa_status read_generation(fa_config *c, const char *dir, fa_error *e) {
    char *path = fa_path_join(dir, "generation_config.json");
    if (!path) return fa_fail(e, FA_ENOMEM, "%s: out of memory", dir);
    json_t *o = NULL;
    fa_status s = FA_OK;
    if (access(path, F_OK) == 0) {
        s = fa_json_load(&o, path, e);
        if (!s) s = read_eos(c, o, path, e);
    }
    json_decref(o);
    free(path);
    return s;
}

static fa_status read_config(fa_config *c, const json_t *o, const char *file, fa_error *e) {
    if (!json_is_object(o)) return fa_fail(e, FA_EFORMAT, "%s: expected an object", file);
    const fa_family *family = family_of(o);
    if (!family) return no_family(o, file, e);
    *c = (fa_config){.architecture = family->architecture, .family = family->name, .attention = family->attention};
    fa_status s = read_fields(c, o, fa_config_fields, fa_n_config_fields, family->of, file, e);
    if (!s) s = read_only_values(o, file, e);
    if (!s) s = read_routing(c, o, family, file, e);
    if (!s) s = read_rope(c, o, file, e);
    if (!s) s = fa_json_bool(o, "rope_interleave", family->interleaved, &c->rope.interleaved, file, e);
    if (!s) s = read_quantisation(c, o, file, e);
    int64_t bos = -1;
    if (!s) s = fa_json_int(o, "bos_token_id", -1, (1 << 24) - 1, -1, &bos, file, e);
    c->bos_id = (int32_t)bos;
    int64_t pad = -1;
    if (!s) s = fa_json_int(o, "pad_token_id", -1, (1 << 24) - 1, -1, &pad, file, e);
    c->pad_id = (int32_t)pad;
    if (!s) s = read_eos(c, o, file, e);
    if (family->of == FA_OF_QWEN2) c->attention_bias = true; /* by architecture: q, k and v always have one */
    return s;
}

/* A model of several parts, and the key under which config.json describes its language model. */
static const struct part {
    const char *architecture, *model_type, *key;
    fa_naming naming;
} parts[] = {
    {"MultiModalityCausalLM", "multi_modality", "language_config", FA_NAMES_JANUS},
    {"JanusForConditionalGeneration", "janus", "text_config", FA_NAMES_JANUS_HF},
};

static const struct part *part_of(const json_t *o) {
    const char *architecture = architecture_of(o), *type = json_string_value(json_object_get(o, "model_type"));
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        if (architecture ? !strcmp(architecture, parts[i].architecture) : type && !strcmp(type, parts[i].model_type))
            return &parts[i];
    return NULL;
}

/* Janus-Pro-7B leaves out what equals the defaults of transformers' LlamaConfig. */
static fa_status add_defaults(json_t *language, const char *file, fa_error *e) {
    json_t *defaults =
        json_pack("{s:s, s:i, s:i, s:i, s:i, s:i}", "model_type", "llama", "hidden_size", 4096, "intermediate_size",
                  11008, "num_hidden_layers", 32, "num_attention_heads", 32, "max_position_embeddings", 2048);
    bool failed = !defaults || json_object_update_missing(language, defaults);
    json_decref(defaults);
    return failed ? fa_fail(e, FA_ENOMEM, "%s: out of memory", file) : FA_OK;
}

/* Quantisation is noted beside the parts. */
static fa_status read_part(fa_config *c, const json_t *o, const struct part *part, const char *file, fa_error *e) {
    json_t *language = json_object_get(o, part->key);
    if (!json_is_object(language)) return fa_fail(e, FA_EFORMAT, "%s: %s: expected an object", file, part->key);
    fa_status s = add_defaults(language, file, e);
    if (!s) s = read_config(c, language, file, e);
    if (!s) s = read_quantisation(c, o, file, e);
    c->architecture = part->architecture;
    c->naming = part->naming;
    return s;
}

fa_status fa_config_load(fa_config *c, const char *dir, fa_error *e) {
    char *path = fa_path_join(dir, "config.json");
    if (!path) return fa_fail(e, FA_ENOMEM, "%s: out of memory", dir);
    json_t *o = NULL;
    fa_status s = fa_json_load(&o, path, e);
    const struct part *part = s ? NULL : part_of(o);
    if (!s) s = part ? read_part(c, o, part, path, e) : read_config(c, o, path, e);
    if (!s) s = read_generation(c, dir, e);
    if (!s) s = fa_config_finish(c, &(fa_config_source){.file = path}, e);
    json_decref(o);
    free(path);
    return s;
}
