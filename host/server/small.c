/* The routes that compute nothing: models, balance, health, readiness, tokens. */
#include <stdlib.h>
#include <string.h>

#include "host/engine/engine.h"
#include "host/server/fields.h"
#include "host/server/internal.h"
#include "host/server/reply.h"
#include "host/server/request.h"
#include "host/server/routes.h"

/* --- models -------------------------------------------------------------------------------------------------------------- */

/* Per million tokens. */
static json_t *pricing(const fa_price *p) {
    const double unit = (double)FA_MONEY_UNIT;
    return json_pack("{s:s, s:f, s:f, s:f}", "currency", FA_CURRENCY, "input", (double)p->input / unit,
                     "input_cache_hit", (double)p->cached / unit, "output", (double)p->output / unit);
}

static json_t *model_object(const fa_server *s, const fa_profile *profile) {
    fa_price price;
    bool priced = fa_accounts_price(s->accounts, profile->name, &price);
    json_t *modalities = s->info.picture_rows ? json_pack("[ss]", "text", "image") : json_pack("[s]", "text");
    json_t *made = s->info.drawing_side ? json_pack("[ss]", "text", "image") : json_pack("[s]", "text");
    return json_pack("{s:s, s:s, s:i, s:s, s:i, s:o, s:o, s:o*}", "id", profile->name, "object", "model", "created", 0,
                     "owned_by", "fathom", "context_length", s->info.context, "input_modalities", modalities,
                     "output_modalities", made, "pricing", priced ? pricing(&price) : NULL);
}

bool fa_handle_models(fa_exchange *x) {
    const fa_models *m = &x->server->models;
    json_t *data = json_array();
    for (size_t i = 0; i < m->n; i++) json_array_append_new(data, model_object(x->server, &m->profile[i]));
    fa_reply_json(x, json_pack("{s:s, s:o}", "object", "list", "data", data));
    return false;
}

bool fa_handle_model(fa_exchange *x) {
    const fa_profile *profile = fa_models_find(&x->server->models, x->name);
    if (profile)
        fa_reply_json(x, model_object(x->server, profile));
    else
        fa_reply_error(x, FA_ERROR_MODEL, "model", "There is no such model; GET /models lists them");
    return false;
}

/* --- the key -------------------------------------------------------------------------------------------------------------- */

/* A key that is not metered is always available, and has no balance to tell. */
bool fa_handle_balance(fa_exchange *x) {
    fa_money balance;
    char text[FA_MONEY_TEXT];
    json_t *infos = json_array();
    bool metered = fa_accounts_balance(x->server->accounts, x->who.slot, &balance);
    if (metered)
        json_array_append_new(infos, json_pack("{s:s, s:s, s:s, s:s}", "currency", FA_CURRENCY, "total_balance",
                                               fa_money_format(balance, text), "granted_balance", "0.00",
                                               "topped_up_balance", text));
    fa_reply_json(x, json_pack("{s:b, s:o}", "is_available", !metered || balance > 0, "balance_infos", infos));
    return false;
}

/* --- health ---------------------------------------------------------------------------------------------------------------- */

bool fa_handle_health(fa_exchange *x) {
    fa_reply_json(x, json_pack("{s:s}", "status", "ok"));
    return false;
}

bool fa_handle_ready(fa_exchange *x) {
    fa_server *s = x->server;
    fa_accounts_view v = fa_accounts_look(s->accounts);
    const char *why = atomic_load(&s->leaving)         ? "The server is stopping"
                      : atomic_load(&s->worker.broken) ? "The engine's last step failed"
                      : !v.ledger_ok                   ? "Usage cannot be recorded"
                                                       : NULL;
    if (why)
        fa_reply_error(x, FA_ERROR_STOPPING, NULL, "%s", why);
    else
        fa_reply_json(x, json_pack("{s:s, s:s, s:i, s:i, s:b}", "status", "ready", "version", fathom_version(),
                                   "running", (int)v.admission.running, "waiting", (int)v.admission.waiting,
                                   "overloaded", (int)v.admission.overloaded));
    return false;
}

bool fa_handle_unsupported(fa_exchange *x) {
    fa_reply_error(x, FA_ERROR_PATH, NULL, "This server has no model for %s", x->route->label);
    return false;
}

/* --- tokens ---------------------------------------------------------------------------------------------------------------- */

typedef struct tokens_request {
    const char *text;
    const json_t *tokens;
    bool add_special;
} tokens_request;

static const fa_field tokenize_fields[] = {
    {"text", FA_FIELD_TEXT, 0, 0, true, offsetof(tokens_request, text)},
    {"add_special", FA_FIELD_BOOL, 0, 0, false, offsetof(tokens_request, add_special)},
};
static const fa_field detokenize_fields[] = {
    {"tokens", FA_FIELD_ARRAY, 0, 0, true, offsetof(tokens_request, tokens)},
};

static bool tokenize(const fa_exchange *x, const json_t *body, json_t **reply, fa_problem *p) {
    tokens_request r = {0};
    if (!fa_fields_read(body, tokenize_fields, 2, &r, p)) return false;
    const json_t *text = json_object_get(body, "text");
    fa_encode_options options = {.prefix = r.add_special};
    fa_ids ids = {0};
    fa_error e = {0};
    fa_status s = fa_encode(fa_engine_tokenizer(x->server->engine), json_string_value(text), json_string_length(text),
                            &options, &ids, &e);
    if (s) return fa_problem_of(p, s, "text", e.text);
    json_t *tokens = json_array();
    for (size_t i = 0; i < ids.n; i++) json_array_append_new(tokens, json_integer(ids.data[i]));
    *reply = json_pack("{s:o, s:I}", "tokens", tokens, "count", (json_int_t)ids.n);
    fa_ids_free(&ids);
    return true;
}

static bool detokenize(const fa_exchange *x, const json_t *body, json_t **reply, fa_problem *p) {
    tokens_request r = {0};
    fa_ids ids = {0};
    fa_error e = {0};
    char *text = NULL;
    size_t n = 0, i;
    json_t *id;
    if (!fa_fields_read(body, detokenize_fields, 1, &r, p)) return false;
    json_array_foreach(r.tokens, i, id) {
        bool fits =
            json_is_integer(id) && json_integer_value(id) >= 0 && json_integer_value(id) < x->server->info.vocabulary;
        if (fits && !fa_ids_push(&ids, (int32_t)json_integer_value(id))) continue;
        fa_ids_free(&ids);
        return fa_problem_set(p, FA_ERROR_RANGE, "tokens", "tokens[%zu]: expected an id in 0 .. %d", i,
                              x->server->info.vocabulary - 1);
    }
    fa_status s = fa_decode_ids(fa_engine_tokenizer(x->server->engine), ids.data, ids.n, false, &text, &n, &e);
    fa_ids_free(&ids);
    if (s) return fa_problem_of(p, s, "tokens", e.text);
    *reply = json_pack("{s:o}", "text", json_stringn(text, n));
    free(text);
    return true;
}

static bool handle_tokens(fa_exchange *x, bool (*make)(const fa_exchange *, const json_t *, json_t **, fa_problem *)) {
    fa_problem p = {0};
    json_t *reply = NULL, *body = NULL;
    if (!fa_engine_tokenizer(x->server->engine))
        fa_problem_set(&p, FA_ERROR_UNSUPPORTED, NULL, "The model has no tokenizer");
    else if ((body = fa_fields_parse(x->body.data, x->body.n, &p)))
        make(x, body, &reply, &p);
    if (p.set)
        fa_reply_problem(x, &p);
    else
        fa_reply_json(x, reply);
    json_decref(body);
    return false;
}

bool fa_handle_tokenize(fa_exchange *x) {
    return handle_tokens(x, tokenize);
}

bool fa_handle_detokenize(fa_exchange *x) {
    return handle_tokens(x, detokenize);
}
