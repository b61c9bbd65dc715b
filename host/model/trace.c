#include "host/model/trace.h"

#include <stdio.h>
#include <stdlib.h>

#include "host/base/json.h"

/* `name`: file and line, for error texts. */
static fa_status count_line(const fa_config *c, const json_t *line, double *visits, int64_t *tokens, const char *name,
                            fa_error *e) {
    int64_t layer;
    fa_status s = fa_json_int(line, "layer", 0, c->layers + c->mtp_layers - 1, -1, &layer, name, e);
    if (s) return s;
    const json_t *experts = json_object_get(line, "experts");
    size_t n = json_array_size(experts);
    if (layer < 0 || n == 0 || n > (size_t)c->top_k)
        return fa_fail(e, FA_EFORMAT, "%s: expected a layer and 1..%d experts", name, c->top_k);
    if (layer >= c->layers) return FA_OK;
    for (size_t i = 0; i < n; i++) {
        const json_t *id = json_array_get(experts, i);
        if (!json_is_integer(id) || json_integer_value(id) < 0 || json_integer_value(id) >= c->experts)
            return fa_fail(e, FA_EFORMAT, "%s: expert ids must be in 0..%d", name, c->experts - 1);
        visits[layer * c->experts + json_integer_value(id)] += 1;
    }
    tokens[layer]++;
    return FA_OK;
}

static fa_status read_lines(const fa_config *c, FILE *f, const char *path, double *visits, int64_t *tokens,
                            fa_error *e) {
    char *text = NULL;
    size_t capacity = 0;
    ssize_t n;
    fa_status s = FA_OK;
    for (size_t number = 1; !s && (n = getline(&text, &capacity, f)) >= 0; number++) {
        char name[FA_ERROR_TEXT];
        json_t *line = NULL;
        snprintf(name, sizeof name, "%.400s: line %zu", path, number);
        s = fa_json_parse(&line, text, (size_t)n, name, e);
        if (!s) s = count_line(c, line, visits, tokens, name, e);
        json_decref(line);
    }
    free(text);
    if (!s && ferror(f)) s = fa_fail(e, FA_EIO, "%s: %m", path);
    return s;
}

fa_status fa_trace_count(const fa_config *c, const char *path, double *visits, int64_t *tokens, fa_error *e) {
    if (!c->experts) return fa_fail(e, FA_EINVAL, "%s: this model has no experts, so a trace says nothing", path);
    FILE *f = fopen(path, "r");
    if (!f) return fa_fail(e, FA_EIO, "%s: %m", path);
    fa_status s = read_lines(c, f, path, visits, tokens, e);
    int64_t all = 0;
    for (int i = 0; i < c->layers; i++) all += tokens[i];
    if (!s && !all) s = fa_fail(e, FA_EFORMAT, "%s: no routes: expected the output of `fathom trace`", path);
    fclose(f);
    return s;
}
