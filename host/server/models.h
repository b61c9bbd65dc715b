/* The names under which the loaded model is served. */
#ifndef FA_SERVER_MODELS_H
#define FA_SERVER_MODELS_H

#include <stdbool.h>
#include <stddef.h>

#include "host/text/chat.h"

/* A name and how it answers. */
typedef struct fa_profile {
    char name[96];
    bool reasons; /* it thinks before it answers, where the template has room for that */
} fa_profile;

typedef struct fa_models {
    fa_profile profile[3]; /* the model's own name first */
    size_t n;
    const fa_chat_family *family; /* NULL: a base model, for completions alone */
} fa_models;

/* deepseek-chat answers without thinking; deepseek-reasoner is there where the model thinks; the own name is what the model does by itself. */
fa_models fa_models_make(const char *name, const fa_chat_family *family);

/* NULL when there is none. */
const fa_profile *fa_models_find(const fa_models *m, const char *name);

#endif
