/* Responses: JSON, and the one form that every error has: {"error":{"message","type","param","code"}}. */
#ifndef FA_SERVER_REPLY_H
#define FA_SERVER_REPLY_H

#include <jansson.h>

#include "host/base/status.h"
#include "host/server/exchange.h"

/* kind, HTTP status, type, code */
#define FA_ERRORS(X)                                                        \
    X(MALFORMED, 400, "invalid_request_error", "invalid_request")           \
    X(UNSUPPORTED, 400, "invalid_request_error", "unsupported")             \
    X(CONTEXT, 400, "invalid_request_error", "context_length_exceeded")     \
    X(KEY, 401, "authentication_error", "invalid_api_key")                  \
    X(RIGHT, 403, "permission_error", "missing_right")                      \
    X(PATH, 404, "not_found_error", "not_found")                            \
    X(MODEL, 404, "not_found_error", "model_not_found")                     \
    X(METHOD, 405, "invalid_request_error", "method_not_allowed")           \
    X(TIMEOUT, 408, "invalid_request_error", "request_timeout")             \
    X(BODY, 413, "invalid_request_error", "request_too_large")              \
    X(CONTENT_TYPE, 415, "invalid_request_error", "unsupported_media_type") \
    X(RANGE, 422, "invalid_request_error", "value_out_of_range")            \
    X(INTERNAL, 500, "server_error", "internal_error")                      \
    X(BUSY, 503, "server_error", "server_overloaded")                       \
    X(DEVICE, 503, "server_error", "device_lost")                           \
    X(STOPPING, 503, "server_error", "server_stopping")

typedef enum fa_error_kind {
#define FA_ERROR_ROW(id, status, type, code) FA_ERROR_##id,
    FA_ERRORS(FA_ERROR_ROW)
#undef FA_ERROR_ROW
} fa_error_kind;

int fa_error_http(fa_error_kind kind);

/* An error before it is sent: `param` names the field that was wrong, or NULL (static or borrowed from the route's tables). */
typedef struct fa_problem {
    bool set;
    fa_error_kind kind;
    char param[64];
    char message[512];
} fa_problem;

/* Fills `p` and returns false, so that checks write: return fa_problem_set(p, ...). */
bool fa_problem_set(fa_problem *p, fa_error_kind kind, const char *param, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

/* What a status of the library means to a client; the library's text is the message. */
bool fa_problem_of(fa_problem *p, fa_status status, const char *param, const char *text);

/* The error object, malloc'd; NULL when memory ran out. */
char *fa_problem_text(const fa_problem *p);

/* Ends the exchange with it. A stream that began gets it as an event, then [DONE]. */
void fa_reply_problem(fa_exchange *x, const fa_problem *p);
void fa_reply_error(fa_exchange *x, fa_error_kind kind, const char *param, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
void fa_reply_refusal(fa_exchange *x, const fa_decision *d);

/* Ends it with status 200 and `body`, which is taken over (NULL: memory ran out). */
void fa_reply_json(fa_exchange *x, json_t *body);

/* One event of a stream: "data: ...", taken over likewise. */
void fa_reply_event(fa_exchange *x, json_t *data);
/* "data: [DONE]", and the end. */
void fa_reply_done(fa_exchange *x);

#endif
