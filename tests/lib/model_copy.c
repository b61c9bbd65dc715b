#include "tests/lib/model_copy.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/base/json.h"
#include "tests/lib/check.h"
#include "tests/lib/files.h"
#include "tests/lib/golden_model.h"

void model_copy_open(model_copy *c, const char *folder) {
    fa_error e;
    char *dir = check_golden(folder), path[512];
    CHECK_OK(fa_tensors_open(&c->ts, dir, &e), &e);
    c->n = fa_tensors_count(c->ts);
    c->specs = must_alloc((size_t)c->n * sizeof *c->specs);
    for (int64_t i = 0; i < c->n; i++) {
        const fa_tensor *t = fa_tensors_at(c->ts, i);
        c->specs[i] = (fa_tensor_spec){.name = t->name, .type = t->type, .n_dims = t->n_dims, .data = t->data};
        memcpy(c->specs[i].shape, t->shape, sizeof t->shape);
    }
    c->scratch = check_scratch();
    snprintf(path, sizeof path, "%s/config.json", dir);
    size_t bytes;
    uint8_t *config = check_read(path, &bytes);
    free(check_write(c->scratch, "config.json", config, bytes));
    free(config);
    free(dir);
}

void model_copy_close(model_copy *c) {
    check_remove(c->scratch);
    fa_tensors_close(c->ts);
    free(c->specs);
    free(c->scratch);
}

void model_copy_save(const model_copy *c) {
    fa_error e;
    char path[512];
    snprintf(path, sizeof path, "%s/model.safetensors", c->scratch);
    CHECK_OK(fa_safetensors_save(path, c->specs, c->n, &e), &e);
}

void model_copy_config(const model_copy *c, const char *edit) {
    fa_error e;
    char path[512];
    json_t *config, *changes;
    snprintf(path, sizeof path, "%s/config.json", c->scratch);
    CHECK_OK(fa_json_load(&config, path, &e), &e);
    CHECK_OK(fa_json_parse(&changes, edit, strlen(edit), "edit", &e), &e);
    CHECK(json_object_update(config, changes) == 0);
    char *text = json_dumps(config, 0);
    free(check_write(c->scratch, "config.json", text, strlen(text)));
    json_decref(config);
    json_decref(changes);
    free(text);
}

fa_tensor_spec *model_copy_tensor(model_copy *c, const char *name) {
    for (int64_t i = 0; i < c->n; i++)
        if (!strcmp(c->specs[i].name, name)) return &c->specs[i];
    check_fail(__FILE__, __LINE__, "no such tensor", "%s", name);
}

void model_copy_drop(model_copy *c, const char *name) {
    *model_copy_tensor(c, name) = c->specs[c->n - 1];
    c->n--;
}

int64_t model_copy_elements(const fa_tensor_spec *s) {
    int64_t n = 1;
    for (int i = 0; i < s->n_dims; i++) n *= s->shape[i];
    return n;
}

void *model_copy_data(fa_tensor_spec *s, void **to_free) {
    size_t bytes = (size_t)fa_dtype_bytes(s->type, model_copy_elements(s));
    *to_free = must_alloc(bytes);
    memcpy(*to_free, s->data, bytes);
    s->data = *to_free;
    return *to_free;
}
