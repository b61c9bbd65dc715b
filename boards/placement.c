#include "boards/placement.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "host/base/file.h"
#include "host/base/json.h"

enum { VERSION = 1, MOST_LAYERS = 4096, MOST_EXPERTS = 4096 };

fa_status fa_board_placement_make(fa_board_placement *p, int32_t n_boards, int32_t layers, int32_t experts,
                                  fa_error *e) {
    *p = (fa_board_placement){.n_boards = n_boards, .layers = layers, .experts = experts};
    if (n_boards < 1 || n_boards > FA_PLACEMENT_BOARDS)
        return fa_fail(e, FA_ELIMIT, "placement: %d boards are not in 1..%d", n_boards, FA_PLACEMENT_BOARDS);
    size_t n = (size_t)layers * (size_t)experts;
    p->layer = calloc((size_t)layers + 1, sizeof *p->layer);
    p->expert = calloc(n + 1, sizeof *p->expert);
    if (!p->layer || !p->expert) return fa_fail(e, FA_ENOMEM, "placement: memory ran out");
    for (size_t i = 0; i < n; i++) p->expert[i] = 1;
    return FA_OK;
}

void fa_board_placement_free(fa_board_placement *p) {
    free(p->layer);
    free(p->expert);
    *p = (fa_board_placement){0};
}

/* ---- reading ---- */

static fa_status is_board(const fa_board_placement *p, const json_t *v, const char *path, const char *field,
                          int32_t *out, fa_error *e) {
    json_int_t n = json_is_integer(v) ? json_integer_value(v) : -1;
    if (n >= 0 && n < p->n_boards) {
        *out = (int32_t)n;
        return FA_OK;
    }
    char *text = v ? fa_json_print(v, JSON_ENCODE_ANY | JSON_COMPACT) : NULL;
    fa_status s = fa_fail(e, FA_EFORMAT, "%s: %s: expected a board in 0..%d, found %.40s", path, field, p->n_boards - 1,
                          text ? text : "nothing");
    free(text);
    return s;
}

static fa_status read_board(fa_placement_board *b, const json_t *o, const char *name, fa_error *e) {
    int64_t node;
    const char *backend;
    if (!json_is_object(o)) return fa_fail(e, FA_EFORMAT, "%s: expected an object with \"node\"", name);
    fa_status s = fa_json_int(o, "node", 0, 1023, 0, &node, name, e);
    if (!s) s = fa_json_text(o, "backend", "", &backend, name, e);
    if (s) return s;
    if (strlen(backend) >= sizeof b->backend)
        return fa_fail(e, FA_EFORMAT, "%s: backend: longer than %d bytes", name, FA_PLACEMENT_TEXT - 1);
    b->node = (int32_t)node;
    memcpy(b->backend, backend, strlen(backend) + 1);
    return FA_OK;
}

static fa_status read_layers(fa_board_placement *p, const json_t *root, const char *path, fa_error *e) {
    const json_t *layers = json_object_get(root, "layers");
    char field[64];
    fa_status s = FA_OK;
    for (int32_t i = 0; i < p->layers && !s; i++) {
        snprintf(field, sizeof field, "layers[%d]", i);
        s = is_board(p, json_array_get(layers, (size_t)i), path, field, &p->layer[i], e);
        for (int32_t x = 0; x < p->experts && !s; x++) p->expert[i * p->experts + x] = 1u << p->layer[i];
    }
    return s ? s : is_board(p, json_object_get(root, "head"), path, "head", &p->head, e);
}

/* A board, or a list of boards with a copy each. */
static fa_status read_expert(const fa_board_placement *p, const json_t *v, const char *path, const char *field,
                             uint32_t *bits, fa_error *e) {
    int32_t board;
    *bits = 0;
    if (!json_is_array(v)) {
        fa_status s = is_board(p, v, path, field, &board, e);
        if (!s) *bits = 1u << board;
        return s;
    }
    if (!json_array_size(v)) return fa_fail(e, FA_EFORMAT, "%s: %s: no board holds it", path, field);
    size_t i;
    const json_t *one;
    json_array_foreach(v, i, one) {
        fa_status s = is_board(p, one, path, field, &board, e);
        if (s) return s;
        if (*bits >> board & 1) return fa_fail(e, FA_EFORMAT, "%s: %s: board %d comes twice", path, field, board);
        *bits |= 1u << board;
    }
    return FA_OK;
}

static fa_status read_experts_of(fa_board_placement *p, int32_t layer, const json_t *list, const char *path,
                                 fa_error *e) {
    char field[64];
    if (!json_is_array(list) || (int64_t)json_array_size(list) != p->experts)
        return fa_fail(e, FA_EFORMAT, "%s: experts.%d: expected a list of %d, one for each expert, found %s%zu", path,
                       layer, p->experts, json_is_array(list) ? "" : "no list, ", json_array_size(list));
    fa_status s = FA_OK;
    for (int32_t x = 0; x < p->experts && !s; x++) {
        snprintf(field, sizeof field, "experts.%d[%d]", layer, x);
        s = read_expert(p, json_array_get(list, (size_t)x), path, field, &p->expert[layer * p->experts + x], e);
    }
    return s;
}

static fa_status read_experts(fa_board_placement *p, const json_t *root, const char *path, fa_error *e) {
    json_t *experts = json_object_get(root, "experts"), *list;
    const char *key;
    if (experts && !json_is_object(experts))
        return fa_fail(e, FA_EFORMAT, "%s: experts: expected an object of layers", path);
    json_object_foreach(experts, key, list) {
        char *end;
        long layer = strtol(key, &end, 10);
        if (end == key || *end || layer < 0 || layer >= p->layers)
            return fa_fail(e, FA_EFORMAT, "%s: experts.%.20s: expected a layer in 0..%d", path, key, p->layers - 1);
        fa_status s = read_experts_of(p, (int32_t)layer, list, path, e);
        if (s) return s;
    }
    return FA_OK;
}

/* Experts of a layer, by the first list there is. */
static int32_t count_experts(const json_t *root) {
    json_t *experts = json_object_get(root, "experts"), *list;
    const char *key;
    json_object_foreach(experts, key, list) return (int32_t)json_array_size(list);
    return 0;
}

static fa_status read_head(fa_board_placement *p, const json_t *root, const char *path, fa_error *e) {
    int64_t version;
    const char *model, *shape;
    fa_status s = fa_json_int(root, "version", 0, 1 << 20, 0, &version, path, e);
    if (!s && version != VERSION)
        s = fa_fail(e, FA_EFORMAT, "%s: version: expected %d, found %d", path, VERSION, (int)version);
    if (!s) s = fa_json_text(root, "model", "", &model, path, e);
    if (!s) s = fa_json_text(root, "shape", "", &shape, path, e);
    if (s) return s;
    char *end;
    p->shape = strtoull(shape, &end, 16);
    if (strlen(shape) != 16 || *end)
        return fa_fail(e, FA_EFORMAT, "%s: shape: expected 16 hexadecimal digits, found '%.20s'", path, shape);
    snprintf(p->model, sizeof p->model, "%s", model);
    return FA_OK;
}

static fa_status read_all(fa_board_placement *p, const json_t *root, const char *path, fa_error *e) {
    const json_t *boards = json_object_get(root, "boards"), *layers = json_object_get(root, "layers");
    size_t n = json_array_size(boards), n_layers = json_array_size(layers);
    int32_t experts = count_experts(root);
    if (n < 1 || n > FA_PLACEMENT_BOARDS)
        return fa_fail(e, FA_EFORMAT, "%s: boards: expected a list of 1..%d, found %zu", path, FA_PLACEMENT_BOARDS, n);
    if (n_layers < 1 || n_layers > MOST_LAYERS)
        return fa_fail(e, FA_EFORMAT, "%s: layers: expected a list of 1..%d boards, found %zu", path, MOST_LAYERS,
                       n_layers);
    if (experts > MOST_EXPERTS)
        return fa_fail(e, FA_EFORMAT, "%s: experts: more than %d of a layer", path, MOST_EXPERTS);
    fa_status s = fa_board_placement_make(p, (int32_t)n, (int32_t)n_layers, experts, e);
    if (!s) s = read_head(p, root, path, e);
    for (size_t i = 0; i < n && !s; i++) {
        char name[512];
        snprintf(name, sizeof name, "%s: boards[%zu]", path, i);
        s = read_board(&p->board[i], json_array_get(boards, i), name, e);
    }
    if (!s) s = read_layers(p, root, path, e);
    return s ? s : read_experts(p, root, path, e);
}

fa_status fa_board_placement_read(fa_board_placement *p, const char *path, fa_error *e) {
    json_t *root;
    *p = (fa_board_placement){0};
    fa_status s = fa_json_load(&root, path, e);
    if (s) return s;
    s = json_is_object(root) ? read_all(p, root, path, e) : fa_fail(e, FA_EFORMAT, "%s: expected an object", path);
    json_decref(root);
    return s;
}

/* ---- writing ---- */

/* By hand: a line for each layer's experts, which jansson would give a line each. */
static void write_experts(const fa_board_placement *p, FILE *f) {
    bool any = false;
    fputs("  \"experts\": {", f);
    for (int32_t i = 0; i < p->layers; i++) {
        const uint32_t *of = p->expert + i * p->experts;
        bool elsewhere = false;
        for (int32_t x = 0; x < p->experts; x++) elsewhere |= of[x] != 1u << p->layer[i];
        if (!elsewhere) continue;
        fprintf(f, "%s\n    \"%d\": [", any ? "," : "", i);
        any = true;
        for (int32_t x = 0; x < p->experts; x++) {
            bool several = of[x] & (of[x] - 1), first = true;
            fprintf(f, "%s%s", x ? ", " : "", several ? "[" : "");
            for (int32_t b = 0; b < p->n_boards; b++) {
                if (!(of[x] >> b & 1)) continue;
                fprintf(f, "%s%d", first ? "" : ", ", b);
                first = false;
            }
            if (several) fputc(']', f);
        }
        fputc(']', f);
    }
    fprintf(f, "%s}\n", any ? "\n  " : "");
}

fa_status fa_board_placement_write(const fa_board_placement *p, const char *path, fa_error *e) {
    fa_new_file file;
    fa_status s = fa_new_file_open(&file, path, e);
    if (s) return s;
    FILE *f = file.stream;
    json_t *model = json_string(p->model);
    char *name = model ? fa_json_print(model, JSON_ENCODE_ANY) : NULL;
    json_decref(model);
    fprintf(f, "{\n  \"version\": %d,\n  \"model\": %s,\n  \"shape\": \"%016" PRIx64 "\",\n  \"boards\": [", VERSION,
            name ? name : "\"\"", p->shape);
    free(name);
    for (int32_t i = 0; i < p->n_boards; i++) {
        fprintf(f, "%s{\"node\": %d", i ? ", " : "", p->board[i].node);
        fprintf(f, p->board[i].backend[0] ? ", \"backend\": \"%s\"}" : "}", p->board[i].backend);
    }
    fputs("],\n  \"layers\": [", f);
    for (int32_t i = 0; i < p->layers; i++) fprintf(f, "%s%d", i ? ", " : "", p->layer[i]);
    fprintf(f, "],\n  \"head\": %d,\n", p->head);
    write_experts(p, f);
    fputs("}\n", f);
    s = fa_new_file_commit(&file, e);
    fa_new_file_abandon(&file);
    return s;
}
