/* Text in and out of an engine: the tokenizer and the chat templates behind fathom.h. */
#include <stdlib.h>
#include <string.h>

#include "host/base/json.h"
#include "host/engine/internal.h"
#include "host/text/fim.h"

static fa_status need_tokenizer(const fathom_engine *g, fa_error *e) {
    if (g->tokenizer) return FA_OK;
    return fa_fail(e, FA_EUNSUPPORTED, "%s has no tokenizer: it speaks token ids only", g->name);
}

/* Hands the ids to the caller, or frees them after an error. */
static fathom_status give_ids(fa_ids *from, fa_status st, int32_t **ids, size_t *n) {
    if (st) fa_ids_free(from);
    *ids = st ? NULL : from->data;
    *n = st ? 0 : from->n;
    return (fathom_status)st;
}

fathom_status fathom_encode(fathom_engine *g, const char *text, size_t bytes, bool prefix, int32_t **ids, size_t *n,
                            fathom_error *error) {
    fa_error *e = fa_error_of(error);
    fa_encode_options options = {.prefix = prefix};
    fa_ids out = {0};
    fa_status st = need_tokenizer(g, e);
    if (!st) st = fa_encode(g->tokenizer, text, bytes, &options, &out, e);
    return give_ids(&out, st, ids, n);
}

fathom_status fathom_encode_fim(fathom_engine *g, const char *prefix, size_t prefix_bytes, const char *suffix,
                                size_t suffix_bytes, int32_t **ids, size_t *n, fathom_error *error) {
    fa_error *e = fa_error_of(error);
    fa_ids out = {0};
    fa_status st = need_tokenizer(g, e);
    if (!st) st = fa_fim_encode(g->tokenizer, prefix, prefix_bytes, suffix, suffix_bytes, &out, e);
    return give_ids(&out, st, ids, n);
}

fathom_status fathom_decode(fathom_engine *g, const int32_t *ids, size_t n, bool skip_special, char **text,
                            size_t *bytes, fathom_error *error) {
    fa_error *e = fa_error_of(error);
    *text = NULL;
    fa_status st = need_tokenizer(g, e);
    if (!st) st = fa_decode_ids(g->tokenizer, ids, n, skip_special, text, bytes, e);
    return (fathom_status)st;
}

static fa_status find_family(const fathom_engine *g, const char *name, const fa_chat_family **family, fa_error *e) {
    *family = name ? fa_chat_find(name) : g->chat;
    if (*family) return FA_OK;
    if (name) return fa_fail(e, FA_EINVAL, "chat: there is no template family '%s'", name);
    return fa_fail(e, FA_EUNSUPPORTED, "%s has no chat template that is known: name a family", g->name);
}

static fa_status encode_messages(const fathom_engine *g, const fa_chat_family *f, const json_t *messages, fa_ids *out,
                                 fa_error *e) {
    fa_prompt p = {0};
    fa_status st = fa_chat_render(f, messages, true, fa_tokenizer_bos_text(g->tokenizer),
                                  fa_tokenizer_eos_text(g->tokenizer), &p, e);
    fa_encode_options options = {.prefix = !fa_chat_prints_bos(f), .literal = p.literal, .n_literal = p.n_literal};
    if (!st) st = fa_encode(g->tokenizer, p.text.data, p.text.n, &options, out, e);
    fa_prompt_free(&p);
    return st ? st : fa_engine_expand_pictures(g, out, e);
}

fathom_status fathom_encode_chat(fathom_engine *g, const char *family, const char *messages_json, int32_t **ids,
                                 size_t *n, fathom_error *error) {
    fa_error *e = fa_error_of(error);
    const fa_chat_family *f = NULL;
    json_t *messages = NULL;
    fa_ids out = {0};
    fa_status st = need_tokenizer(g, e);
    if (!st) st = find_family(g, family, &f, e);
    if (!st) st = fa_json_parse(&messages, messages_json, strlen(messages_json), "messages", e);
    if (!st) st = encode_messages(g, f, messages, &out, e);
    json_decref(messages);
    return give_ids(&out, st, ids, n);
}

void fathom_free(void *p) {
    free(p);
}
