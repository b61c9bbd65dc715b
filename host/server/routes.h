/* The one table of what the service answers to. 401, 404 and 405 follow from it, and a test reads it. */
#ifndef FA_SERVER_ROUTES_H
#define FA_SERVER_ROUTES_H

#include <stdbool.h>
#include <stddef.h>

#include "host/server/exchange.h"

typedef enum fa_route_kind {
    FA_ROUTE_HERE,    /* answered by the HTTP thread: never blocks, needs no memory to speak of */
    FA_ROUTE_APART,   /* answered by the preparing thread */
    FA_ROUTE_COMPUTE, /* admitted, prepared, then computed by the engine's thread */
} fa_route_kind;

typedef struct fa_route {
    const char *method, *path; /* the path after "/v1" or "/beta"; with "{}" at its end a name follows */
    bool versions;             /* also under /v1 and /beta */
    unsigned right;            /* a bit of keys.h; 0: no key is needed */
    fa_route_kind kind;
    /* Answers; of FA_ROUTE_COMPUTE: makes x->job and returns true, or answers with an error and returns false. */
    bool (*handle)(fa_exchange *x);
    const char *label; /* in logs and metrics */
} fa_route;

/* NULL after the last one. */
const fa_route *fa_route_at(size_t i);

typedef struct fa_found_route {
    const fa_route *route; /* NULL: 404, or 405 with `allow` */
    const char *allow;     /* methods of the path, static */
    bool beta;
    char name[128]; /* what stands for "{}", decoded by libmicrohttpd */
} fa_found_route;

fa_found_route fa_route_find(const char *method, const char *path);

/* "GET /models, POST /completions, ...": all of the table, terminated, as far as `bytes` go. */
void fa_route_list(char *text, size_t bytes);

/* The handlers, each in the file of its subject. */
bool fa_handle_chat(fa_exchange *x);
bool fa_handle_completion(fa_exchange *x);
bool fa_handle_images(fa_exchange *x);
bool fa_handle_tokenize(fa_exchange *x);
bool fa_handle_detokenize(fa_exchange *x);
bool fa_handle_models(fa_exchange *x);
bool fa_handle_model(fa_exchange *x);
bool fa_handle_balance(fa_exchange *x);
bool fa_handle_page(fa_exchange *x);
bool fa_handle_health(fa_exchange *x);
bool fa_handle_ready(fa_exchange *x);
bool fa_handle_metrics(fa_exchange *x);
bool fa_handle_unsupported(fa_exchange *x);

#endif
