/* Running models in tests: golden folders, and a model with its backend and cache pages. Everything that can fail fails the
 * running case. */
#ifndef FA_TESTS_GOLDEN_MODEL_H
#define FA_TESTS_GOLDEN_MODEL_H

#include <jansson.h>

#include "host/model/model.h"

enum { GOLDEN_MAX_IDS = 512, GOLDEN_MAX_PROMPTS = 16 };

typedef struct golden_prompt {
    const char *name;
    int n, n_greedy;
    int32_t ids[GOLDEN_MAX_IDS]; /* the n of the prompt, then the n_greedy of its greedy continuation */
    bool all;                    /* logits of all positions are recorded, else of the last alone */
    const json_t *json;
} golden_prompt;

/* One golden folder: golden.json and golden.safetensors. */
typedef struct golden {
    char *dir;
    json_t *json;
    fa_tensors *blobs;
    int n_prompts;
    golden_prompt prompts[GOLDEN_MAX_PROMPTS];
} golden;

void golden_open(golden *g, const char *folder);
void golden_close(golden *g);

/* FP32 values of the blob PROMPT.NAME, which must have `n` of them. */
const float *golden_blob(const golden *g, const char *prompt, const char *name, int64_t n);

/* The README's rule for FP32 results: max |a-b| <= 2e-4 max(1, max|b|), and relative RMS <= 1e-5. */
void golden_close_to(const char *what, const float *found, const float *want, int64_t n);

/* sqrt(sum (a-b)^2 / sum b^2). */
double golden_rel_rms(const float *a, const float *b, int64_t n);

int golden_argmax(const float *x, int n);

typedef struct runner_options {
    const char *path;    /* of the model */
    const char *backend; /* NULL: "auto" */
    fa_backend *given;   /* used instead, and closed by runner_close */
    fa_numerics numerics;
    fa_cache_type cache;
    bool mtp;
    const fa_model_guest *guest;
    int sequences, positions; /* room of the cache: sequences of so many positions; 0: 1, 512 */
} runner_options;

/* A model on a backend with a pool of pages, which the sequences hold in no particular order. */
typedef struct runner {
    fa_backend *backend;
    fa_model *model;
    fa_buffer *pool;
    int32_t *pages; /* [sequences, pages_each] */
    int sequences, pages_each;
    int vocab, hidden, layers;
} runner;

void runner_open(runner *r, const runner_options *o);
void runner_close(runner *r);

/* Row t of a step: token of `sequence` at position `pos`. */
typedef struct runner_row {
    int sequence, pos;
    int32_t token;
} runner_row;

/* Runs one step; logits [rows, vocab] of every row, or NULL. */
void runner_step(runner *r, const runner_row *rows, int n, float *logits, const fa_probe *probe);

/* As runner_step for the MTP layer: the rows are those of the last step, their tokens the ones that follow. */
void runner_mtp(runner *r, const runner_row *rows, int n, float *logits);

/* Runs ids [n] of `sequence` from position 0 in steps of at most `chunk` rows; logits [n, vocab] or NULL. */
void runner_prompt(runner *r, int sequence, const int32_t *ids, int n, int chunk, float *logits, const fa_probe *probe);

/* malloc that fails the case. */
void *must_alloc(size_t bytes);

#endif
