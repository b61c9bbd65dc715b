/* Drawing: a session whose answer is a picture (Janus-Pro, arXiv 2501.17811). Its codes are chosen one by one from two sequences that go through the model in
 * one step: one with the prompt, one in which padding stands in its place; guidance weighs them against each other. A full grid of codes is then
 * decoded to pixels, a piece of a layer a step. Other sessions go on meanwhile. Private to host/engine.
 *
 * In both sequences code c is the token vocabulary + c, which no text has, so that cached pages are shared only where the codes are equal too. */
#ifndef FA_ENGINE_DRAWING_H
#define FA_ENGINE_DRAWING_H

#include <stdbool.h>
#include <stdint.h>

#include "host/base/arena.h"
#include "host/cache/cache.h"
#include "host/engine/sampler.h"
#include "host/fathom.h"
#include "host/vision/draw.h"

/* Of an engine; zeroed where the model does not draw. */
typedef struct fa_drawings {
    fa_draw *draw;
    int32_t begin, pad; /* ids of the tokens that begin a picture and that stand for a prompt, -1: unknown */
    int32_t *codes;     /* [step_rows] of this step's rows, whose embeddings are */
    float *rows;        /* [step_rows, hidden] */
    int32_t n_rows;
    int32_t *
        hidden_rows; /* [2 * sessions] rows of the step: of each drawing that wants a code, with and without its prompt */
    float *hidden;   /* [2 * sessions, hidden] */
    float *logits;   /* [2 * sessions, codes] */
    float *guided;   /* [codes] */
    int32_t n_hidden;
    fa_sampler sampler;       /* of codes */
    fa_vq_pass *pass;         /* from the first drawing on */
    fathom_session *decoding; /* whose picture is in it; NULL: none */
    int32_t tries;            /* to do what a device failed at */
} fa_drawings;

/* Of a session. */
typedef struct fa_drawing {
    bool on; /* the answer is a picture */
    float guidance;
    fa_sequence *without; /* the prompt's */
    int32_t *tokens;      /* [context + 1] of that sequence */
    int32_t first_hidden; /* of this step's rows of the engine; -1: no code is wanted of it */
    int32_t layers;       /* of the decoder that are done */
    uint8_t *rgb;         /* [side, side, 3] */
    bool whole;           /* rgb is written */
} fa_drawing;

/* Closes what cannot draw, finds tokens, takes memory from the engine's arena. */
fa_status fa_drawings_open(fathom_engine *g, fa_error *e);
void fa_drawings_close(fathom_engine *g);
int64_t fa_drawings_bytes(const fathom_engine *g);

/* Sequences that a session holds: 2 while it draws. */
static inline int32_t fa_drawing_copies(const fa_drawing *d) {
    return d->on ? 2 : 1;
}

/* Whether all codes are chosen, so that no rows wait. */
bool fa_drawing_is_full(const fathom_session *s);

/* Side of a picture in pixels and the codes of one; 0: the model does not draw. */
void fa_drawings_describe(const fathom_engine *g, int32_t *side, int32_t *codes);

/* Gives up what a session holds for drawing. */
void fa_drawing_release(fathom_session *s);
/* The answer ended: the decoder is free for others. */
void fa_drawing_end(fathom_session *s);

/* The row of position `pos`, which fa_drawings_embed will have written; NULL: the position is no code. */
const float *fa_drawing_row(fathom_session *s, int32_t pos);

/* The session has these two rows of the step last, with and without its prompt; `code`: the next one is chosen by them. */
void fa_drawing_want(fathom_session *s, int32_t with, int32_t without, bool code);

/* Before a step's rows are run: the embeddings of its codes. After: the logits of the next ones. Sessions end with an error that is no device's; false: the step must be
 * planned anew. */
bool fa_drawings_embed(fathom_engine *g);
bool fa_drawings_score(fathom_engine *g);

/* Chooses the session's next code; false: it ended with an error. */
bool fa_drawing_take(fathom_session *s);

/* A piece of a layer of the decoder, for a session whose codes are all chosen; false: there is none. */
bool fa_drawings_advance(fathom_engine *g);

#endif
