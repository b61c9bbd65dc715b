/* Pictures over the API: what the command line answers the service answers, pages are shared by equal pictures alone, and what is no picture is refused
 * with the place where it stands. */
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/lib/check.h"
#include "tests/lib/command.h"
#include "tests/lib/files.h"
#include "tests/lib/http.h"

static check_server server;

#define QUESTION "What is in this picture?"

/* "data:image/KIND;base64,..." of a file below tests/golden, malloc'd. */
static char *data_url(const char *kind, const char *file) {
    size_t n;
    char *path = check_golden(file), *url = NULL;
    uint8_t *bytes = check_read(path, &n);
    size_t room = sodium_base64_encoded_len(n, sodium_base64_VARIANT_ORIGINAL);
    char *text = malloc(room);
    CHECK(text);
    sodium_bin2base64(text, room, bytes, n, sodium_base64_VARIANT_ORIGINAL);
    CHECK(asprintf(&url, "data:image/%s;base64,%s", kind, text) > 0);
    free(text), free(bytes), free(path);
    return url;
}

static json_t *request(const char *url) {
    return json_pack("{ss si si s[{ss s[{ss s{ss}} {ss ss}]}]}", "model", "janus-pro-tiny", "temperature", 0,
                     "max_tokens", 16, "messages", "role", "user", "content", "type", "image_url", "image_url", "url",
                     url, "type", "text", "text", QUESTION);
}

static json_t *ask(json_t *body) {
    check_response r = check_post(&server, "/v1/chat/completions", NULL, body);
    CHECK(r.status == 200, "%d %s", r.status, r.body);
    json_t *o = check_response_json(&r);
    check_response_free(&r);
    return o;
}

static const char *content_of(const json_t *o) {
    return json_string_value(
        json_object_get(json_object_get(json_array_get(json_object_get(o, "choices"), 0), "message"), "content"));
}

static int64_t cached(const json_t *o) {
    return json_integer_value(json_object_get(json_object_get(o, "usage"), "prompt_cache_hit_tokens"));
}

static void begin(void) {
    char options[200];
    snprintf(options, sizeof options, "--model %s/janus-pro-tiny --ctx 512 --threads 2", check_golden_dir());
    check_server_start(&server, options);
}

static void answers_as_the_command_line(void *arg) {
    (void)arg;
    begin();
    static const char *const names[] = {"wide", "big"};
    for (int i = 0; i < 2; i++) {
        char file[60];
        snprintf(file, sizeof file, "janus-pro-tiny/%s.png", names[i]);
        char *url = data_url("png", file);
        json_t *o = ask(request(url));
        check_output want = check_command(
            "\"$FATHOM_BIN\" run --quiet --model %s/janus-pro-tiny --image %s/%s --temp 0 -n 16 \"" QUESTION "\"",
            check_golden_dir(), check_golden_dir(), file);
        const char *content = content_of(o);
        CHECK(want.status == 0 && content && strlen(content) > 10, "%s %s", content, want.err);
        CHECK(!strncmp(want.out, content, strlen(content)) && !strcmp(want.out + strlen(content), "\n"),
              "%s: '%s', expected '%s'", names[i], content, want.out);
        check_output_free(&want);
        json_decref(o);
        free(url);
    }
    CHECK(check_server_stop(&server) == 0);
}

static void equal_pictures_alone_share_pages(void *arg) {
    (void)arg;
    begin();
    char *wide = data_url("png", "janus-pro-tiny/wide.png"), *tall = data_url("png", "janus-pro-tiny/tall.png");
    const struct {
        const char *url;
        int64_t cached;
    } turns[] = {{wide, 0}, {tall, 64}, {wide, 128}, {tall, 128}};
    char *first[2] = {0};
    for (int i = 0; i < 4; i++) {
        json_t *o = ask(request(turns[i].url));
        CHECK(cached(o) == turns[i].cached, "turn %d: %d cached", i, (int)cached(o));
        if (i < 2)
            first[i] = strdup(content_of(o));
        else
            CHECK(!strcmp(first[i - 2], content_of(o)), "%s, at first %s", content_of(o), first[i - 2]);
        json_decref(o);
    }
    CHECK(strcmp(first[0], first[1]) != 0, "two pictures, one answer: %s", first[0]);
    free(first[0]), free(first[1]), free(wide), free(tall);
    CHECK(check_server_stop(&server) == 0);
}

static void every_kind_and_a_stream(void *arg) {
    (void)arg;
    begin();
    static const char *const kinds[][2] = {
        {"jpeg", "image/progressive.jpg"}, {"webp", "image/alpha.webp"}, {"png", "image/deep.png"}};
    for (int i = 0; i < 3; i++) {
        char *url = data_url(kinds[i][0], kinds[i][1]);
        json_t *body = request(url);
        json_object_set_new(body, "stream", json_boolean(i == 2));
        check_response r = check_post(&server, "/v1/chat/completions", NULL, body);
        CHECK(r.status == 200 && strstr(r.body, i == 2 ? "data: [DONE]" : "\"completion_tokens\""), "%s", r.body);
        check_response_free(&r);
        free(url);
    }
    CHECK(check_server_stop(&server) == 0);
}

static const struct {
    const char *name, *part, *text;
} refused[] = {
    {"remote", "{\"type\":\"image_url\",\"image_url\":{\"url\":\"https://example.org/a.png\"}}",
     "messages[0].content[0].image_url.url: this server fetches no URLs"},
    {"text", "{\"type\":\"image_url\",\"image_url\":\"data:text/plain;base64,AAAA\"}",
     "expected \\\"data:image/png;base64,"},
    {"no base64", "{\"type\":\"image_url\",\"image_url\":{\"url\":\"data:image/png;base64,a?b\"}}", "is not base64"},
    {"no picture", "{\"type\":\"image_url\",\"image_url\":{\"url\":\"data:image/png;base64,aGVsbG8=\"}}",
     "messages[0].content[0]: not a PNG, JPEG or WebP picture"},
    {"cut off", "{\"type\":\"image_url\",\"image_url\":{\"url\":\"data:image/png;base64,iVBORw0KGgo=\"}}",
     "the file is cut off"},
    {"no url", "{\"type\":\"image_url\"}", "expected an object with the text url"},
    {"another kind", "{\"type\":\"input_audio\"}", "parts of type text and image_url"},
};

static void what_is_no_picture_is_refused(void *arg) {
    (void)arg;
    begin();
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        char *body = NULL;
        CHECK(asprintf(&body, "{\"model\":\"janus-pro-tiny\",\"messages\":[{\"role\":\"user\",\"content\":[%s]}]}",
                       refused[i].part) > 0);
        check_response r = check_http(&server, "POST", "/v1/chat/completions", NULL, body);
        CHECK(r.status == 400 && strstr(r.body, refused[i].text), "%s: %d %s", refused[i].name, r.status, r.body);
        check_response_free(&r);
        free(body);
    }
    char *url = data_url("png", "image/one-bit.png");
    json_t *many = request(url),
           *parts = json_object_get(json_array_get(json_object_get(many, "messages"), 0), "content");
    for (int i = 0; i < 20; i++) json_array_append(parts, json_array_get(parts, 0));
    check_response r = check_post(&server, "/v1/chat/completions", NULL, many);
    CHECK(r.status == 400 && strstr(r.body, "pictures of 36 positions are more than the context of 512"), "%d %s",
          r.status, r.body);
    check_response_free(&r);
    free(url);
    const char *assistant =
        "{\"model\":\"janus-pro-tiny\",\"messages\":[{\"role\":\"user\",\"content\":\"a\"},{\"role\":"
        "\"assistant\",\"prefix\":true,\"content\":[{\"type\":\"image_url\",\"image_url\":\"%s\"}]}]}";
    char *text = NULL, *small = data_url("png", "image/one-bit.png");
    CHECK(asprintf(&text, assistant, small) > 0);
    r = check_http(&server, "POST", "/beta/chat/completions", NULL, text);
    CHECK(r.status == 400 && strstr(r.body, "messages[1].content: only a user shows pictures"), "%d %s", r.status,
          r.body);
    check_response_free(&r);
    free(text), free(small);
    json_t *o = ask(json_pack("{ss si s[{ss ss}]}", "model", "janus-pro-tiny", "max_tokens", 2, "messages", "role",
                              "user", "content", "no picture"));
    json_decref(o);
    CHECK(check_server_stop(&server) == 0);
}

static void models_without_eyes_say_so(void *arg) {
    (void)arg;
    char options[200];
    snprintf(options, sizeof options, "--model %s/deepseek-v3-tiny --ctx 256 --threads 1", check_golden_dir());
    check_server_start(&server, options);
    char *url = data_url("png", "image/one-bit.png");
    json_t *body = request(url);
    json_object_set_new(body, "model", json_string("deepseek-chat"));
    check_response r = check_post(&server, "/v1/chat/completions", NULL, body);
    CHECK(r.status == 400 && strstr(r.body, "messages[0].content[0]: the model deepseek-v3-tiny takes no pictures"),
          "%d %s", r.status, r.body);
    check_response_free(&r);
    free(url);
    CHECK(check_server_stop(&server) == 0);
}

int main(int argc, char **argv) {
    static const check_case cases[] = {
        {"the service answers as the command line", answers_as_the_command_line, NULL},
        {"equal pictures alone share pages", equal_pictures_alone_share_pages, NULL},
        {"every kind of picture, and a stream", every_kind_and_a_stream, NULL},
        {"what is no picture is refused", what_is_no_picture_is_refused, NULL},
        {"models without eyes say so", models_without_eyes_say_so, NULL},
    };
    setenv("FATHOM_BIN", "build/fathom", 0);
    return check_main(argc, argv, cases, sizeof cases / sizeof *cases);
}
