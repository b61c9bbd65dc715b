/* Pictures that the service draws: what the command line draws, by seed; counted like other answers; what cannot be asked for is refused by name. */
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/lib/check.h"
#include "tests/lib/command.h"
#include "tests/lib/files.h"
#include "tests/lib/http.h"

static check_server server;

#define PROMPT "A red circle on a blue field."
#define ROUTE "/v1/images/generations"

static void begin(const char *model, const char *more) {
    char options[300];
    snprintf(options, sizeof options, "--model %s/%s --threads 2 %s", check_golden_dir(), model, more);
    check_server_start(&server, options);
}

static json_t *generate(const char *key, json_t *body) {
    check_response r = check_post(&server, ROUTE, key, body);
    CHECK(r.status == 200, "%d %s", r.status, r.body);
    json_t *o = check_response_json(&r);
    CHECK(!json_object_get(o, "error"), "%s", r.body);
    check_response_free(&r);
    return o;
}

/* Picture `i` of the response is the bytes of the file. */
static void same_as_file(const json_t *o, size_t i, const char *path) {
    const char *text = json_string_value(json_object_get(json_array_get(json_object_get(o, "data"), i), "b64_json"));
    size_t n, want_n, room = text ? strlen(text) : 0;
    uint8_t *bytes = malloc(room + 1), *want = check_read(path, &want_n);
    CHECK(text && bytes &&
              sodium_base642bin(bytes, room, text, room, NULL, &n, NULL, sodium_base64_VARIANT_ORIGINAL) == 0,
          "picture %zu", i);
    CHECK(n == want_n && !memcmp(bytes, want, n), "picture %zu is not %s", i, path);
    free(bytes);
    free(want);
}

static int64_t used(const json_t *o, const char *name) {
    return json_integer_value(json_object_get(json_object_get(o, "usage"), name));
}

static void draws_as_the_command_line(void *unused) {
    (void)unused;
    char *folder = check_folder(), path[300];
    check_output c =
        check_command("\"$FATHOM_BIN\" draw -q --model %s/janus-pro-tiny --seed 11 -n 3 -o %s/p.png '" PROMPT "'",
                      check_golden_dir(), folder);
    CHECK(c.status == 0, "%s", c.err);
    check_output_free(&c);
    begin("janus-pro-tiny", "--ctx 512");
    json_t *o = generate(NULL, json_pack("{ss ss si si ss ss}", "model", "janus-pro-tiny", "prompt", PROMPT, "n", 3,
                                         "seed", 11, "response_format", "b64_json", "size", "24x24"));
    CHECK(json_array_size(json_object_get(o, "data")) == 3);
    for (int i = 0; i < 3; i++) {
        snprintf(path, sizeof path, "%s/p-%d.png", folder, i + 1);
        same_as_file(o, (size_t)i, path);
    }
    CHECK(used(o, "input_tokens") == 25 && used(o, "output_tokens") == 3 * 36 && used(o, "total_tokens") == 133,
          "%lld and %lld tokens", (long long)used(o, "input_tokens"), (long long)used(o, "output_tokens"));
    CHECK(json_integer_value(json_object_get(o, "seed")) == 11 &&
          json_integer_value(json_object_get(o, "created")) > 0);
    json_decref(o);
    o = generate(NULL, json_pack("{ss}", "prompt", PROMPT)); /* all else has a default */
    CHECK(json_array_size(json_object_get(o, "data")) == 1);
    json_decref(o);
    CHECK(check_server_stop(&server) == 0);
    check_folder_remove(folder);
}

static void refused_by_name(void *unused) {
    (void)unused;
    static const struct {
        const char *body;
        int status;
        const char *param, *says;
    } rows[] = {
        {"{\"prompt\":\"a\",\"response_format\":\"url\"}", 400, "response_format", "b64_json"},
        {"{\"prompt\":\"a\",\"response_format\":\"gif\"}", 422, "response_format", "b64_json"},
        {"{\"prompt\":\"a\",\"output_format\":\"webp\"}", 422, "output_format", "png"},
        {"{\"prompt\":\"a\",\"size\":\"1024x1024\"}", 422, "size", "24x24"},
        {"{\"prompt\":\"a\",\"n\":0}", 422, "n", "n"},
        {"{\"prompt\":\"a\",\"n\":17}", 422, "n", "16"},
        {"{\"prompt\":\"a\",\"guidance\":-1}", 422, "guidance", "1000"},
        {"{\"prompt\":\"a\",\"temperature\":3}", 422, "temperature", "2"},
        {"{\"prompt\":\"a\",\"stream\":true}", 400, "stream", "whole"},
        {"{\"prompt\":\"a\",\"seed\":\"x\"}", 400, "seed", "seed"},
        {"{\"prompt\":\"\"}", 400, "prompt", "empty"},
        {"{\"prompt\":7}", 400, "prompt", "prompt"},
        {"{}", 400, "prompt", "prompt"},
        {"{\"prompt\":\"a\",\"model\":\"dall-e-3\"}", 404, "model", "janus-pro-tiny"},
        {"{\"prompt\":\"one two three four five six seven eight nine ten eleven twelve\"}", 400, "prompt", "36 codes"},
    };
    begin("janus-pro-tiny", "--ctx 60");
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        check_response r = check_http(&server, "POST", ROUTE, NULL, rows[i].body);
        CHECK(r.status == rows[i].status, "%s: %d %s", rows[i].body, r.status, r.body);
        json_t *o = check_response_json(&r), *e = json_object_get(o, "error");
        const char *param = json_string_value(json_object_get(e, "param"));
        const char *message = json_string_value(json_object_get(e, "message"));
        CHECK(param && !strcmp(param, rows[i].param) && strstr(message, rows[i].says), "%s: %s", rows[i].body, r.body);
        json_decref(o);
        check_response_free(&r);
    }
    CHECK(check_server_stop(&server) == 0);
    begin("deepseek-llm-tiny", "");
    check_response r = check_http(&server, "POST", ROUTE, NULL, "{\"prompt\":\"a\"}");
    CHECK(r.status == 404 && strstr(r.body, "no model for images"), "%d %s", r.status, r.body);
    check_response_free(&r);
    CHECK(check_server_stop(&server) == 0);
}

/* A metered key pays for codes as for tokens, and the models' list says what the model makes. */
static void counted(void *unused) {
    (void)unused;
    begin("janus-pro-tiny", "--ctx 512");
    char *key = check_server_key(&server, "painter", "");
    json_t *o = generate(key, json_pack("{ss si}", "prompt", PROMPT, "n", 2));
    json_decref(o);
    check_response r = check_http(&server, "POST", ROUTE, NULL, "{\"prompt\":\"a\"}");
    CHECK(r.status == 401, "without a key: %d", r.status);
    check_response_free(&r);
    check_output u = check_command("\"$FATHOM_BIN\" usage --database %s/fathom.db --json", server.folder);
    CHECK(u.status == 0 && strstr(u.out, "72"), "%s%s", u.out, u.err);
    check_output_free(&u);
    r = check_http(&server, "GET", "/v1/models", key, NULL);
    CHECK(r.status == 200 && strstr(r.body, "\"output_modalities\":[\"text\",\"image\"]"), "%s", r.body);
    check_response_free(&r);
    free(key);
    CHECK(check_server_stop(&server) == 0);
}

/* A client that leaves ends its drawing; one that chats meanwhile is answered. */
static void beside_chats(void *unused) {
    (void)unused;
    begin("janus-pro-tiny", "--ctx 512 --parallel 3");
    const char body[] = "{\"prompt\":\"a\",\"n\":16}";
    for (int i = 0; i < 3; i++) {
        int fd = check_connect(&server);
        char request[300];
        int n = snprintf(request, sizeof request,
                         "POST " ROUTE
                         " HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n\r\n%s",
                         sizeof body - 1, body);
        check_send(fd, request, (size_t)n);
        json_t *chat = check_chat("janus-pro-tiny", "Hello");
        json_object_set_new(chat, "max_tokens", json_integer(4));
        check_response r = check_post(&server, "/v1/chat/completions", NULL, chat);
        CHECK(r.status == 200, "%d %s", r.status, r.body);
        check_response_free(&r);
        close(fd);
    }
    json_t *o = generate(NULL, json_pack("{ss}", "prompt", PROMPT));
    json_decref(o);
    CHECK(check_server_stop(&server) == 0);
}

int main(int argc, char **argv) {
    static const check_case cases[] = {
        {"the service draws what the command line draws", draws_as_the_command_line, NULL},
        {"what cannot be asked for is refused by name", refused_by_name, NULL},
        {"drawing needs a key and is counted", counted, NULL},
        {"chats are answered beside drawings, and a client may leave", beside_chats, NULL},
    };
    return check_main(argc, argv, cases, sizeof cases / sizeof *cases);
}
