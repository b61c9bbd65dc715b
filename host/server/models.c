#include "host/server/models.h"

#include <stdio.h>
#include <string.h>

static void add(fa_models *m, const char *name, bool reasons) {
    if (fa_models_find(m, name)) return;
    fa_profile *p = &m->profile[m->n++];
    snprintf(p->name, sizeof p->name, "%s", name);
    p->reasons = reasons;
}

fa_models fa_models_make(const char *name, const fa_chat_family *family) {
    fa_models m = {.family = family};
    bool thinks = family && fa_chat_starts_in_think(family);
    add(&m, name, true);
    if (family) add(&m, "deepseek-chat", false);
    if (thinks) add(&m, "deepseek-reasoner", true);
    return m;
}

const fa_profile *fa_models_find(const fa_models *m, const char *name) {
    for (size_t i = 0; i < m->n; i++)
        if (!strcmp(m->profile[i].name, name)) return &m->profile[i];
    return NULL;
}
