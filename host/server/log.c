/* The log: JSON lines with numbers and names, never a text that a client sent. */
#include <jansson.h>
#include <stdlib.h>
#include <time.h>

#include "host/base/json.h"
#include "host/server/clock.h"
#include "host/server/internal.h"
#include "host/server/routes.h"

static void emit(fa_server *s, json_t *line) {
    int64_t ms = fa_time_ms();
    time_t seconds = (time_t)(ms / 1000);
    struct tm t;
    char when[40], stamp[32];
    gmtime_r(&seconds, &t);
    strftime(stamp, sizeof stamp, "%Y-%m-%dT%H:%M:%S", &t);
    snprintf(when, sizeof when, "%s.%03dZ", stamp, (int)(ms % 1000));
    json_object_set_new(line, "time", json_string(when));
    char *text = line ? fa_json_print(line, JSON_COMPACT) : NULL;
    json_decref(line);
    if (!text) return;
    pthread_mutex_lock(&s->log_lock);
    s->options.log(s->options.log_ctx, text);
    pthread_mutex_unlock(&s->log_lock);
    free(text);
}

void fa_log_event(fa_server *s, const char *event, const char *text) {
    if (!s->options.log) return;
    json_t *line = json_pack("{s:s}", "event", event);
    if (text) json_object_set_new(line, "text", json_string(text));
    emit(s, line);
}

void fa_log_request(fa_server *s, const fa_exchange *x, int status, const fa_usage *u) {
    if (!s->options.log) return;
    json_t *line = json_pack("{s:s, s:s, s:s, s:i, s:I, s:b}", "event", "request", "id", x->id, "route",
                             x->route ? x->route->label : "none", "status", status, "ms",
                             (json_int_t)((fa_now_ns() - x->start_ns) / 1000000), "left", (int)atomic_load(&x->left));
    if (x->who.id) json_object_set_new(line, "key", json_string(x->who.name));
    if (u->request[0]) {
        json_object_update_new(line, json_pack("{s:s, s:s, s:I, s:I, s:I, s:I}", "model", u->model, "end",
                                               fa_usage_end_name(u->end), "prompt_tokens", (json_int_t)u->prompt_tokens,
                                               "cached_tokens", (json_int_t)u->cached_tokens, "completion_tokens",
                                               (json_int_t)u->completion_tokens, "reasoning_tokens",
                                               (json_int_t)u->reasoning_tokens));
    }
    emit(s, line);
}
