/* What a session's answer must be: from the sampling's texts to a mask over each token (host/grammar). */
#include <stdlib.h>

#include "host/engine/internal.h"
#include "host/text/tool_calls.h"

static fa_constraint_spec spec_of(const fathom_sampling *p) {
    return (fa_constraint_spec){.json_schema = p->json_schema,
                                .tools = p->tools,
                                .tool = p->tool,
                                .tool_required = p->tool_required,
                                .single_call = p->single_call,
                                .prefix = p->prefix,
                                .thinking = p->thinking};
}

bool fa_engine_constrains(const fathom_sampling *p) {
    fa_constraint_spec spec = spec_of(p);
    return fa_constraint_wanted(&spec);
}

static fa_status make_vocabulary(fathom_engine *g, fa_error *e) {
    pthread_mutex_lock(&g->vocabulary_lock);
    bool made = g->vocabulary.tokenizer;
    fa_status st = made ? FA_OK : fa_vocabulary_open(&g->vocabulary, g->tokenizer, g->setup.config.vocab, e);
    pthread_mutex_unlock(&g->vocabulary_lock);
    return st;
}

fa_status fa_engine_constrain(fathom_engine *g, const fathom_sampling *p, fa_constraint **out, fa_error *e) {
    const fa_constraint_spec spec = spec_of(p);
    *out = NULL;
    if (!fa_constraint_wanted(&spec)) return FA_OK;
    if (!g->tokenizer)
        return fa_fail(e, FA_EUNSUPPORTED, "sampling: a schema needs a tokenizer, and %s has none", g->name);
    fa_status st = make_vocabulary(g, e);
    if (st) return st;
    int32_t n = 0, *ends = malloc(((size_t)p->n_stop_ids + (size_t)g->setup.config.n_eos + 1) * sizeof *ends);
    if (!ends) return fa_fail(e, FA_ENOMEM, "session: out of memory");
    for (int32_t i = 0; i < p->n_stop_ids; i++) ends[n++] = p->stop_ids[i];
    for (int32_t i = 0; i < g->setup.config.n_eos; i++) ends[n++] = g->setup.config.eos_ids[i];
    if (fa_tokenizer_eos(g->tokenizer) >= 0) ends[n++] = fa_tokenizer_eos(g->tokenizer);
    st = fa_constraint_open(out, &spec, &g->vocabulary, g->chat && fa_chat_has_tools(g->chat), ends, n, e);
    free(ends);
    return st;
}

fa_status fa_session_allowed(fathom_session *s, const uint32_t **allowed, fa_error *e) {
    return s->constraint ? fa_constraint_mask(s->constraint, allowed, e) : FA_OK;
}

bool fa_session_completes(fathom_session *s, int32_t id) {
    return s->constraint && !fa_constraint_take(s->constraint, id, NULL) && fa_constraint_done(s->constraint);
}
