#include "host/server/routes.h"

#include <stdio.h>
#include <string.h>

static const fa_route routes[] = {
    {"POST", "/chat/completions", true, FA_RIGHT_CHAT, FA_ROUTE_COMPUTE, fa_handle_chat, "chat"},
    {"POST", "/completions", true, FA_RIGHT_CHAT, FA_ROUTE_COMPUTE, fa_handle_completion, "completions"},
    {"POST", "/tokenize", true, FA_RIGHT_CHAT, FA_ROUTE_APART, fa_handle_tokenize, "tokenize"},
    {"POST", "/detokenize", true, FA_RIGHT_CHAT, FA_ROUTE_APART, fa_handle_detokenize, "detokenize"},
    {"GET", "/models", true, FA_RIGHT_CHAT, FA_ROUTE_HERE, fa_handle_models, "models"},
    {"GET", "/models/{}", true, FA_RIGHT_CHAT, FA_ROUTE_HERE, fa_handle_model, "models"},
    {"GET", "/user/balance", true, FA_RIGHT_CHAT, FA_ROUTE_HERE, fa_handle_balance, "balance"},
    {"POST", "/embeddings", true, FA_RIGHT_CHAT, FA_ROUTE_HERE, fa_handle_unsupported, "embeddings"},
    {"POST", "/images/generations", true, FA_RIGHT_CHAT, FA_ROUTE_COMPUTE, fa_handle_images, "images"},
    {"GET", "/metrics", false, FA_RIGHT_METRICS, FA_ROUTE_HERE, fa_handle_metrics, "metrics"},
    {"GET", "/", false, 0, FA_ROUTE_HERE, fa_handle_page, "page"},
    {"GET", "/page/{}", false, 0, FA_ROUTE_HERE, fa_handle_page, "page"},
    {"GET", "/health", false, 0, FA_ROUTE_HERE, fa_handle_health, "health"},
    {"GET", "/ready", false, FA_RIGHT_CHAT | FA_RIGHT_METRICS, FA_ROUTE_HERE, fa_handle_ready, "ready"},
};

enum { ROUTES = sizeof routes / sizeof *routes };

const fa_route *fa_route_at(size_t i) {
    return i < ROUTES ? &routes[i] : NULL;
}

/* `path` without its version; NULL when it has none. */
static const char *after_version(const char *path, bool *beta) {
    *beta = !strncmp(path, "/beta/", 6);
    return *beta ? path + 5 : !strncmp(path, "/v1/", 4) ? path + 3 : NULL;
}

static bool fits(const char *pattern, const char *path, char name[128]) {
    size_t n = strlen(pattern);
    if (n < 2 || strcmp(pattern + n - 2, "{}") != 0) return !strcmp(pattern, path);
    if (strncmp(pattern, path, n - 2) != 0 || !path[n - 2] || strlen(path + n - 2) >= 128) return false;
    snprintf(name, 128, "%s", path + n - 2);
    return true;
}

/* HEAD is answered where GET is; libmicrohttpd leaves the body out. */
static bool is_method(const fa_route *r, const char *method) {
    return !strcmp(r->method, method) || (!strcmp(method, "HEAD") && !strcmp(r->method, "GET"));
}

fa_found_route fa_route_find(const char *method, const char *path) {
    fa_found_route f = {0};
    bool beta;
    const char *rest = after_version(path, &beta);
    for (size_t i = 0; i < ROUTES; i++) {
        bool versioned = rest && routes[i].versions && fits(routes[i].path, rest, f.name);
        if (!versioned && !fits(routes[i].path, path, f.name)) continue;
        f.beta = versioned && beta;
        f.allow = strcmp(routes[i].method, "GET") != 0 ? routes[i].method : "GET, HEAD";
        if (is_method(&routes[i], method)) {
            f.route = &routes[i];
            return f;
        }
    }
    return f;
}

void fa_route_list(char *text, size_t bytes) {
    size_t n = 0;
    text[0] = 0;
    for (size_t i = 0; i < ROUTES && n < bytes; i++)
        n += (size_t)snprintf(text + n, bytes - n, "%s%s %s", i ? ", " : "", routes[i].method, routes[i].path);
}
