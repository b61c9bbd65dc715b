#include "host/server/reply.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/base/json.h"

static const char JSON[] = "application/json";

static const struct {
    int status;
    const char *type, *code;
} errors[] = {
#define ROW(id, status, type, code) [FA_ERROR_##id] = {status, type, code},
    FA_ERRORS(ROW)
#undef ROW
};

int fa_error_http(fa_error_kind kind) {
    return errors[kind].status;
}

bool fa_problem_set(fa_problem *p, fa_error_kind kind, const char *param, const char *fmt, ...) {
    va_list args;
    p->set = true;
    p->kind = kind;
    snprintf(p->param, sizeof p->param, "%s", param ? param : "");
    va_start(args, fmt);
    vsnprintf(p->message, sizeof p->message, fmt, args);
    va_end(args);
    return false;
}

bool fa_problem_of(fa_problem *p, fa_status status, const char *param, const char *text) {
    static const fa_error_kind kinds[FA_STATUS_COUNT] = {
        [FA_EINVAL] = FA_ERROR_MALFORMED,    [FA_EFORMAT] = FA_ERROR_MALFORMED,        [FA_EIO] = FA_ERROR_INTERNAL,
        [FA_ENOMEM] = FA_ERROR_BUSY,         [FA_EUNSUPPORTED] = FA_ERROR_UNSUPPORTED, [FA_ELIMIT] = FA_ERROR_CONTEXT,
        [FA_ECANCELLED] = FA_ERROR_STOPPING, [FA_ENUMERIC] = FA_ERROR_INTERNAL,        [FA_EDEVICE] = FA_ERROR_DEVICE,
    };
    return fa_problem_set(p, kinds[status], param, "%s", text);
}

/* A message may quote a client's bytes, cut anywhere: what is not UTF-8 becomes '?'. */
static json_t *text_of(const char *message) {
    json_t *text = json_string(message);
    if (text) return text;
    char *ascii = strdup(message);
    if (!ascii) return NULL;
    for (char *c = ascii; *c; c++)
        if (*c & 0x80) *c = '?';
    text = json_string(ascii);
    free(ascii);
    return text;
}

static char *error_text(const char *message, const char *type, const char *param, const char *code) {
    json_t *o = json_pack("{s:{s:o, s:s, s:s?, s:s}}", "error", "message", text_of(message), "type", type, "param",
                          param && *param ? param : NULL, "code", code);
    char *text = o ? fa_json_print(o, JSON_COMPACT) : NULL;
    json_decref(o);
    return text;
}

char *fa_problem_text(const fa_problem *p) {
    return error_text(p->message, errors[p->kind].type, p->param, errors[p->kind].code);
}

static void end_stream_with(fa_exchange *x, const char *text) {
    if (text) {
        fa_exchange_write(x, "data: ", 6);
        fa_exchange_write(x, text, strlen(text));
        fa_exchange_write(x, "\n\n", 2);
    }
    fa_reply_done(x);
}

/* A stream of which something was sent is past its status line; else it becomes a response like any other. */
static bool has_begun(fa_exchange *x) {
    pthread_mutex_lock(&x->lock);
    bool begun = x->stream && x->status != 0;
    x->stream = begun;
    pthread_mutex_unlock(&x->lock);
    return begun;
}

static void answer(fa_exchange *x, int status, int retry_after, char *text) {
    if (has_begun(x)) {
        end_stream_with(x, text);
        free(text);
        return;
    }
    pthread_mutex_lock(&x->lock);
    x->retry_after = retry_after;
    pthread_mutex_unlock(&x->lock);
    fa_exchange_answer(x, status, JSON, text, text ? strlen(text) : 0);
}

void fa_reply_problem(fa_exchange *x, const fa_problem *p) {
    int status = errors[p->kind].status;
    answer(x, status, status == 503 ? 5 : 0, fa_problem_text(p));
}

void fa_reply_error(fa_exchange *x, fa_error_kind kind, const char *param, const char *fmt, ...) {
    fa_problem p = {.set = true, .kind = kind};
    va_list args;
    snprintf(p.param, sizeof p.param, "%s", param ? param : "");
    va_start(args, fmt);
    vsnprintf(p.message, sizeof p.message, fmt, args);
    va_end(args);
    fa_reply_problem(x, &p);
}

void fa_reply_refusal(fa_exchange *x, const fa_decision *d) {
    static const struct {
        int status;
        const char *type;
    } types[] = {{402, "insufficient_balance_error"}, {429, "rate_limit_error"}, {503, "server_error"}};
    int status = fa_refusal_status(d->refusal);
    const char *type = "server_error";
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (types[i].status == status) type = types[i].type;
    answer(x, status, d->retry_after_s,
           error_text(fa_refusal_text(d->refusal), type, NULL, fa_refusal_code(d->refusal)));
}

static void no_memory(fa_exchange *x) {
    fa_reply_error(x, FA_ERROR_BUSY, NULL, "The server is out of memory");
}

void fa_reply_json(fa_exchange *x, json_t *body) {
    char *text = body ? fa_json_print(body, JSON_COMPACT | JSON_ENCODE_ANY) : NULL;
    json_decref(body);
    if (text)
        answer(x, 200, 0, text);
    else
        no_memory(x);
}

void fa_reply_event(fa_exchange *x, json_t *data) {
    char *text = data ? fa_json_print(data, JSON_COMPACT) : NULL;
    json_decref(data);
    fa_text event = {0};
    if (!text || fa_text_append(&event, "data: ", 6) || fa_text_append(&event, text, strlen(text)) ||
        fa_text_append(&event, "\n\n", 2)) {
        fa_exchange_leave(x);
    } else {
        fa_exchange_write(x, event.data, event.n);
    }
    fa_text_free(&event);
    free(text);
}

void fa_reply_done(fa_exchange *x) {
    fa_exchange_write(x, "data: [DONE]\n\n", 14);
    fa_exchange_end(x);
}
