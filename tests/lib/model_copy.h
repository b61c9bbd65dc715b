/* A copy of a golden folder's model with something changed. */
#ifndef FA_TESTS_MODEL_COPY_H
#define FA_TESTS_MODEL_COPY_H

#include "host/format/safetensors.h"

/* The folder's tensors as a list that can be changed, and a scratch folder to save them in. */
typedef struct model_copy {
    fa_tensors *ts;
    fa_tensor_spec *specs;
    int64_t n;
    char *scratch;
} model_copy;

/* Copies the configuration; the tensors are views of the golden folder until saved. */
void model_copy_open(model_copy *c, const char *folder);
void model_copy_close(model_copy *c);

/* Writes scratch/model.safetensors. */
void model_copy_save(const model_copy *c);

/* Sets the keys of `edit` (a JSON object) in the copy's config.json. */
void model_copy_config(const model_copy *c, const char *edit);

fa_tensor_spec *model_copy_tensor(model_copy *c, const char *name);
void model_copy_drop(model_copy *c, const char *name);
int64_t model_copy_elements(const fa_tensor_spec *s);

/* Gives a tensor data of its own, to be changed; the caller frees `*to_free` after saving. */
void *model_copy_data(fa_tensor_spec *s, void **to_free);

#endif
