/* The route table from outside: who may use what, and what is said to the others. */
#include <stdlib.h>
#include <string.h>

#include "host/server/fields.h"
#include "host/server/routes.h"
#include "tests/lib/check.h"
#include "tests/lib/http.h"

static check_server server;
static char *key, *metrics_key;

/* "{}" becomes a name. */
static char *path_of(const fa_route *r, const char *version) {
    char *path = NULL;
    int n = (int)strcspn(r->path, "{");
    CHECK(asprintf(&path, "%s%.*s%s", version, n, r->path, r->path[n] ? "deepseek-chat" : "") > 0);
    return path;
}

/* The error object of a response, checked for its four members; the caller decrefs. */
static json_t *error_of(const check_response *r) {
    json_t *o = check_response_json(r), *e = json_object_get(o, "error");
    CHECK(json_is_string(json_object_get(e, "message")) && json_is_string(json_object_get(e, "type")) &&
              json_is_string(json_object_get(e, "code")) && json_object_get(e, "param"),
          "%s", r->body);
    json_incref(e);
    json_decref(o);
    return e;
}

static void every_route_needs_a_key_but_health_and_the_page(void *arg) {
    static const char *const versions[] = {"", "/v1", "/beta"};
    static const char *const keys[] = {NULL, "", "sk-fathom-0000000000000000000000000000000000000000000"};
    const fa_route *r;
    (void)arg;
    for (size_t i = 0; (r = fa_route_at(i)); i++) {
        for (int v = 0; v < (r->versions ? 3 : 1); v++) {
            char *path = path_of(r, versions[v]);
            for (int k = 0; k < 3; k++) {
                check_response got =
                    check_http(&server, r->method, path, keys[k], strcmp(r->method, "POST") ? NULL : "{}");
                bool file = !strcmp(r->path, "/page/{}"),
                     open = file || !strcmp(r->path, "/health") || !strcmp(r->path, "/");
                CHECK(got.status == (file   ? 404
                                     : open ? 200
                                            : 401),
                      "%s %s: %d %s", r->method, path, got.status, got.body);
                if (!open) json_decref(error_of(&got));
                check_response_free(&got);
            }
            free(path);
        }
    }
}

static void an_unknown_path_tells_nothing_without_a_key(void *arg) {
    (void)arg;
    check_response r = check_http(&server, "GET", "/v1/nothing", NULL, NULL);
    CHECK(r.status == 401, "%d", r.status);
    check_response_free(&r);
    r = check_http(&server, "GET", "/v1/nothing", key, NULL);
    CHECK(r.status == 404, "%d", r.status);
    json_decref(error_of(&r));
    check_response_free(&r);
}

static void a_wrong_method_is_405_and_says_which_is_right(void *arg) {
    const fa_route *r;
    (void)arg;
    for (size_t i = 0; (r = fa_route_at(i)); i++) {
        char *path = path_of(r, "");
        const char *others[] = {"DELETE", "PUT", "OPTIONS", strcmp(r->method, "GET") ? "GET" : "POST"};
        for (int k = 0; k < 4; k++) {
            check_response got = check_http(&server, others[k], path, key, strcmp(others[k], "GET") ? "{}" : NULL);
            char *allow = check_response_header(&got, "Allow");
            CHECK(got.status == 405 && allow && strstr(allow, r->method), "%s %s: %d Allow: %s", others[k], path,
                  got.status, allow);
            free(allow);
            check_response_free(&got);
        }
        free(path);
    }
}

static void a_key_reaches_only_what_its_rights_name(void *arg) {
    (void)arg;
    check_response r = check_http(&server, "GET", "/metrics", key, NULL);
    CHECK(r.status == 403, "%d", r.status);
    check_response_free(&r);
    r = check_http(&server, "GET", "/models", metrics_key, NULL);
    CHECK(r.status == 403, "%d", r.status);
    check_response_free(&r);
    r = check_http(&server, "GET", "/metrics", metrics_key, NULL);
    CHECK(r.status == 200 && strstr(r.body, "# TYPE fathom_requests_total counter"), "%d %s", r.status, r.body);
    check_response_free(&r);
}

static void every_response_has_a_request_id_of_its_own(void *arg) {
    (void)arg;
    check_response a = check_http(&server, "GET", "/health", NULL, NULL),
                   b = check_http(&server, "GET", "/x", NULL, NULL);
    char *first = check_response_header(&a, "x-request-id"), *second = check_response_header(&b, "x-request-id");
    CHECK(first && second && strcmp(first, second) != 0, "'%s', '%s'", first, second);
    free(first);
    free(second);
    check_response_free(&a);
    check_response_free(&b);
}

static void nothing_is_shared_with_other_origins(void *arg) {
    (void)arg;
    int fd = check_connect(&server);
    static const char ask[] =
        "GET /health HTTP/1.1\r\nHost: x\r\nOrigin: https://elsewhere.example\r\nConnection: close\r\n\r\n";
    check_send(fd, ask, sizeof ask - 1);
    check_response r = check_receive(fd, 10);
    CHECK(r.status == 200 && !check_response_header(&r, "Access-Control-Allow-Origin"), "%s", r.headers);
    check_response_free(&r);
}

/* --- every numeric field ------------------------------------------------------------------------------------------------------ */

/* The value as JSON, and whether the field's table allows it. */
static void tried(const char *path, const fa_field *f, const char *json, bool allowed, const char *base) {
    char *body = NULL;
    CHECK(asprintf(&body, "{%s, \"%s\": %s}", base, f->name, json) > 0);
    check_response r = check_http(&server, "POST", path, key, body);
    if (allowed) {
        CHECK(r.status == 200, "%s %s: %s: %d %s", path, f->name, json, r.status, r.body);
    } else {
        CHECK(r.status == 400 || r.status == 422, "%s %s: %s: %d %s", path, f->name, json, r.status, r.body);
        json_t *e = error_of(&r);
        const char *message = json_string_value(json_object_get(e, "message"));
        CHECK(strstr(message, f->name) && !strcmp(json_string_value(json_object_get(e, "param")), f->name), "%s",
              r.body);
        json_decref(e);
    }
    check_response_free(&r);
    free(body);
}

static void try_all(const char *path, const fa_field *(*at)(size_t), const char *base) {
    const fa_field *f;
    for (size_t i = 0; (f = at(i)); i++) {
        if (f->kind != FA_FIELD_INT && f->kind != FA_FIELD_NUMBER) continue;
        const struct {
            double value;
            const char *json;
        } values[] = {{-1, "-1"}, {0, "0"}, {0x1p31, "2147483648"}, {0x1p63, "9223372036854775808"}, {1e308, "1e308"}};
        char max[40], beyond[40], name[40];
        snprintf(max, sizeof max, "%.0f", f->max);
        if (f->max >= 0x1p63) snprintf(max, sizeof max, "9223372036854775807");
        snprintf(beyond, sizeof beyond, "%.0f", f->max + 1);
        snprintf(name, sizeof name, "%s", f->name);
        for (size_t v = 0; v < sizeof values / sizeof *values; v++)
            tried(path, f, values[v].json,
                  values[v].value >= f->min && values[v].value <= f->max && values[v].value < 0x1p63, base);
        tried(path, f, max, true, base);
        tried(path, f, beyond, false, base);
        tried(path, f, "\"NaN\"", false, base);
        tried(path, f, "[1]", false, base);
        if (f->kind == FA_FIELD_INT) tried(path, f, "1.5", false, base);
    }
}

/* max_tokens is set where it is not the field under test, so that no answer is long; a field given twice would be refused. */
static const fa_field *chat_but_lengths(size_t i) {
    const fa_field *f = fa_chat_field(i);
    static const fa_field nothing = {"", FA_FIELD_ANY, 0, 0, false, 0};
    return f && strstr(f->name, "max_") == f->name ? &nothing : f;
}

static const fa_field *completion_but_lengths(size_t i) {
    const fa_field *f = fa_completion_field(i);
    static const fa_field nothing = {"", FA_FIELD_ANY, 0, 0, false, 0};
    return f && strstr(f->name, "max_") == f->name ? &nothing : f;
}

static const fa_field *lengths(size_t i) {
    static const fa_field nothing = {"", FA_FIELD_ANY, 0, 0, false, 0};
    const fa_field *f = fa_chat_field(i);
    return f && strstr(f->name, "max_") != f->name ? &nothing : f;
}

static void numbers_of_chat_keep_to_their_ranges(void *arg) {
    (void)arg;
    try_all(
        "/chat/completions", chat_but_lengths,
        "\"model\": \"deepseek-chat\", \"max_tokens\": 1, \"logprobs\": true, \"messages\": [{\"role\": \"user\", \"content\": \"a\"}]");
}

static void numbers_of_completions_keep_to_their_ranges(void *arg) {
    (void)arg;
    try_all("/completions", completion_but_lengths,
            "\"model\": \"deepseek-chat\", \"max_tokens\": 1, \"prompt\": \"a\"");
}

static void lengths_of_answers_keep_to_their_ranges(void *arg) {
    (void)arg;
    try_all(
        "/chat/completions", lengths,
        "\"model\": \"deepseek-chat\", \"stop\": \" \", \"messages\": [{\"role\": \"user\", \"content\": \"What is 1 + 1?\"}]");
}

static const check_case cases[] = {
    {"every route but /health and the page is 401 without a key, and with a false one",
     every_route_needs_a_key_but_health_and_the_page, NULL},
    {"an unknown path tells nothing without a key", an_unknown_path_tells_nothing_without_a_key, NULL},
    {"a wrong method is 405 and says which is right", a_wrong_method_is_405_and_says_which_is_right, NULL},
    {"a key reaches only what its rights name", a_key_reaches_only_what_its_rights_name, NULL},
    {"every response has a request id of its own", every_response_has_a_request_id_of_its_own, NULL},
    {"nothing is shared with other origins", nothing_is_shared_with_other_origins, NULL},
    {"numbers of chat keep to their ranges", numbers_of_chat_keep_to_their_ranges, NULL},
    {"numbers of completions keep to their ranges", numbers_of_completions_keep_to_their_ranges, NULL},
    {"lengths of answers keep to their ranges", lengths_of_answers_keep_to_their_ranges, NULL},
};

int main(int argc, char **argv) {
    check_server_start(&server, "--threads 1");
    key = check_server_key(&server, "ada", "");
    metrics_key = check_server_key(&server, "prometheus", "--rights metrics");
    int failed = check_main(argc, argv, cases, sizeof cases / sizeof *cases);
    free(key);
    free(metrics_key);
    return check_server_stop(&server) || failed;
}
