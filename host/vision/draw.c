#include "host/vision/draw.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/base/threads.h"

enum { PLAIN_GRID = 24, MOST_GRID = 1024 };

/* How the two layouts of files call the parts. */
typedef struct layout {
    const char *embeddings, *aligner[2], *head[2];
    const char *positions; /* of the tower that sees, whose number is that of a picture's codes */
} layout;

static const layout layouts[] = {
    {"gen_embed.weight",
     {"gen_aligner.layers.0", "gen_aligner.layers.2"},
     {"gen_head.output_mlp_projector", "gen_head.vision_head"},
     "vision_model.vision_tower.pos_embed"},
    {"model.generation_embeddings.weight",
     {"model.generation_aligner.fc1", "model.generation_aligner.hidden_layers.0"},
     {"model.generation_head.proj_out", "model.generation_head.vision_head"},
     "model.vision_model.embeddings.position_embedding.weight"},
};

/* The weights, in one arena. */
typedef struct parts {
    fa_arena arena;
    fa_vq *vq;
    fa_linear aligner[2];    /* [hidden, dims], [hidden, hidden] */
    fa_linear head[2];       /* [inner, hidden], [codes, inner] */
    const float *embeddings; /* [codes, dims] */
    int32_t codes, dims, inner, grid;
} parts;

struct fa_draw {
    int32_t hidden, max_rows;
    fa_numerics numerics;
    bool can;
    parts parts;
    fa_vision_ops ops;
    float *inner;     /* [max_rows, larger of hidden and inner] */
    float *looked_up; /* [max_rows, dims] */
};

fa_status fa_draw_open(fa_draw **out, int32_t hidden, fa_numerics numerics, int32_t max_rows, fa_error *e) {
    fa_draw *d = *out = calloc(1, sizeof *d);
    if (!d) return fa_fail(e, FA_ENOMEM, "out of memory");
    d->hidden = hidden;
    d->numerics = numerics;
    d->max_rows = max_rows;
    return FA_OK;
}

void fa_draw_close(fa_draw *d) {
    if (!d) return;
    if (d->ops.backend) fa_vision_ops_close(&d->ops);
    fa_arena_free(&d->parts.arena);
    free(d);
}

/* The side of the square that the positions of the tower fill. */
static fa_status find_grid(parts *p, const fa_tensors *ts, const layout *names, fa_error *e) {
    const fa_tensor *t = fa_tensors_find(ts, names->positions);
    p->grid = PLAIN_GRID;
    if (!t) return FA_OK;
    int64_t n = t->n_dims == 3 ? t->shape[1] : t->shape[0];
    for (p->grid = 1; p->grid < MOST_GRID && (int64_t)p->grid * p->grid < n;) p->grid++;
    if ((int64_t)p->grid * p->grid == n) return FA_OK;
    return fa_fail(e, FA_EFORMAT, "%s: tensor %s: %lld positions are no square of up to %d a side", t->file, t->name,
                   (long long)n, MOST_GRID);
}

/* The tensor NAME.weight's outputs; 0: there is none, which loading it will say. */
static int64_t outputs_of(const fa_tensors *ts, const char *name) {
    char full[128];
    snprintf(full, sizeof full, "%s.weight", name);
    const fa_tensor *t = fa_tensors_find(ts, full);
    return t && t->shape[0] <= INT32_MAX ? t->shape[0] : 0;
}

static fa_status load_mlps(parts *p, const fa_vision_loader *l, const layout *names, int32_t hidden, fa_error *e) {
    p->inner = (int32_t)outputs_of(l->tensors, names->head[0]);
    const struct {
        const char *name;
        fa_linear *to;
        int64_t outputs, inputs;
    } linears[] = {{names->aligner[0], &p->aligner[0], hidden, p->dims},
                   {names->aligner[1], &p->aligner[1], hidden, hidden},
                   {names->head[0], &p->head[0], p->inner, hidden},
                   {names->head[1], &p->head[1], p->codes, p->inner}};
    fa_status s = FA_OK;
    for (int i = 0; i < 4 && !s; i++)
        s = fa_vision_load_linear(l, linears[i].to, linears[i].outputs, linears[i].inputs, true, e, "%s",
                                  linears[i].name);
    return s;
}

/* *can: the files have the part. With no backend the weights are only looked at. */
static fa_status load(parts *p, const fa_tensors *ts, fa_backend *backend, int32_t hidden, bool *can, fa_error *e) {
    *p = (parts){0};
    const fa_vision_loader l = {.tensors = ts, .backend = backend, .arena = &p->arena};
    const layout *names = NULL;
    for (size_t i = 0; i < sizeof layouts / sizeof *layouts && !names; i++)
        if (fa_tensors_find(ts, layouts[i].embeddings)) names = &layouts[i];
    *can = names != NULL;
    if (!names) return FA_OK;
    fa_status s = fa_vq_load(&p->vq, &l, e);
    if (!s && !p->vq) s = fa_fail(e, FA_EFORMAT, "there is %s but no decoder of pictures beside it", names->embeddings);
    if (s) return s;
    const fa_tensor *t = fa_tensors_find(ts, names->embeddings);
    p->codes = fa_vq_codes(p->vq);
    if (t->n_dims != 2 || t->shape[0] != p->codes || t->shape[1] < 1 || t->shape[1] > INT32_MAX)
        return fa_fail(e, FA_EFORMAT, "%s: tensor %s: expected [%d, width]", t->file, t->name, p->codes);
    p->dims = (int32_t)t->shape[1];
    s = fa_vision_load_values(&l, &p->embeddings, (int64_t)p->codes * p->dims, e, "%s", names->embeddings);
    if (!s) s = load_mlps(p, &l, names, hidden, e);
    return s ? s : find_grid(p, ts, names, e);
}

static void raise_to(fa_vision_limits *limits, const fa_linear *l) {
    limits->max_in = l->w.cols > limits->max_in ? l->w.cols : limits->max_in;
    limits->max_out = l->w.rows > limits->max_out ? l->w.rows : limits->max_out;
}

static fa_vision_limits limits_of(const parts *p) {
    fa_vision_limits limits = {0};
    fa_vq_limits(p->vq, p->grid, p->grid, &limits);
    for (int i = 0; i < 2; i++) {
        raise_to(&limits, &p->aligner[i]);
        raise_to(&limits, &p->head[i]);
    }
    return limits;
}

fa_status fa_draw_limits(void *draw, const fa_tensors *tensors, fa_limits *limits, fa_error *e) {
    const fa_draw *d = draw;
    parts p;
    bool can;
    fa_status s = load(&p, tensors, NULL, d->hidden, &can, e);
    if (!s && can) {
        const fa_vision_limits needed = limits_of(&p);
        fa_vision_limits_join(limits, &needed);
    }
    fa_arena_free(&p.arena);
    return s;
}

fa_status fa_draw_load(void *draw, const fa_tensors *tensors, fa_backend *backend, fa_error *e) {
    fa_draw *d = draw;
    parts *p = &d->parts;
    fa_status s = load(p, tensors, backend, d->hidden, &d->can, e);
    if (s || !d->can) return s;
    const fa_vision_limits limits = limits_of(p);
    s = fa_vision_ops_open(&d->ops, backend, d->numerics, d->max_rows, &limits, e);
    int32_t widest = d->hidden > p->inner ? d->hidden : p->inner;
    d->inner = fa_arena_array(&p->arena, (size_t)d->max_rows, (size_t)widest * sizeof(float));
    d->looked_up = fa_arena_array(&p->arena, (size_t)d->max_rows, (size_t)p->dims * sizeof(float));
    if (!s && (!d->inner || !d->looked_up)) s = fa_fail(e, FA_ENOMEM, "out of memory for drawing");
    return s;
}

bool fa_draw_can(const fa_draw *d) {
    return d->can;
}

const fa_vq *fa_draw_vq(const fa_draw *d) {
    return d->parts.vq;
}

fa_vision_ops *fa_draw_ops(fa_draw *d) {
    return &d->ops;
}

int32_t fa_draw_grid(const fa_draw *d) {
    return d->parts.grid;
}

int32_t fa_draw_codes(const fa_draw *d) {
    return d->parts.codes;
}

fa_status fa_draw_embed(fa_draw *d, const int32_t *codes, int64_t n, float *rows, fa_error *e) {
    const parts *p = &d->parts;
    fa_status s = FA_OK;
    for (int64_t first = 0, now; first < n && !s; first += now) {
        now = n - first < d->max_rows ? n - first : d->max_rows;
        for (int64_t i = 0; i < now; i++)
            memcpy(d->looked_up + i * p->dims, p->embeddings + (int64_t)codes[first + i] * p->dims,
                   (size_t)p->dims * sizeof(float));
        s = fa_vision_mlp(&d->ops, p->aligner, d->looked_up, now, d->inner, rows + first * d->hidden, e);
    }
    return s;
}

fa_status fa_draw_logits(fa_draw *d, const float *hidden, int64_t n, float *logits, fa_error *e) {
    return fa_vision_mlp(&d->ops, d->parts.head, hidden, n, d->inner, logits, e);
}

void fa_draw_guide(const float *with, const float *without, float weight, int64_t n, float *to) {
    unsigned mode = fa_fp_enter();
    for (int64_t i = 0; i < n; i++) {
        float step = with[i] - without[i];
        step = weight * step;
        to[i] = without[i] + step;
    }
    fa_fp_leave(mode);
}

int64_t fa_draw_bytes(const fa_draw *d) {
    const fa_vision_limits *l = &d->ops.limits;
    int64_t buffers = d->max_rows * (2 * l->max_in + l->max_out) * (int64_t)sizeof(float);
    return d->can ? (int64_t)(d->parts.arena.used_bytes + d->ops.arena.used_bytes) + buffers : 0;
}
