/* Chat and completions over HTTP: the shapes that clients read, streamed and whole. */
#include <stdlib.h>
#include <string.h>

#include "tests/lib/check.h"
#include "tests/lib/http.h"

static check_server server;

/* The first choice of a whole answer; the caller decrefs *whole. */
static json_t *choice_of(const check_response *r, json_t **whole) {
    CHECK(r->status == 200, "%d %s", r->status, r->body);
    *whole = check_response_json(r);
    return json_array_get(json_object_get(*whole, "choices"), 0);
}

/* The text of member `part` of all events of choice `index`, joined; malloc'd. */
static char *streamed(const check_response *r, const char *part, int index, const char **finish) {
    static char last[32];
    char *text = calloc(1, r->bytes + 1);
    last[0] = 0;
    CHECK(r->status == 200, "%d %s", r->status, r->body);
    for (const char *at = r->body; (at = strstr(at, "data: ")); at++) {
        if (!strncmp(at, "data: [DONE]", 12)) break;
        json_t *o = json_loadb(at + 6, strcspn(at + 6, "\n"), 0, NULL);
        CHECK(o, "%s", at);
        size_t i;
        json_t *c;
        json_array_foreach(json_object_get(o, "choices"), i, c) {
            if (json_integer_value(json_object_get(c, "index")) != index) continue;
            CHECK(!last[0], "an event after the last one: %s", at);
            const json_t *delta = json_object_get(c, "delta");
            const char *piece = json_string_value(json_object_get(delta ? delta : c, part));
            if (piece) strcat(text, piece);
            const char *f = json_string_value(json_object_get(c, "finish_reason"));
            if (f) snprintf(last, sizeof last, "%s", f);
        }
        json_decref(o);
    }
    if (finish) *finish = last;
    return text;
}

static json_t *with(json_t *body, const char *name, json_t *value) {
    json_object_set_new(body, name, value);
    return body;
}

static json_t *question(const char *model) {
    return with(with(check_chat(model, "What is 47 * 68?"), "temperature", json_integer(0)), "max_tokens",
                json_integer(300));
}

static void a_stream_is_the_same_answer(void *arg) {
    const char *model = arg;
    json_t *whole;
    check_response a = check_post(&server, "/chat/completions", NULL, question(model));
    check_response b = check_post(&server, "/v1/chat/completions", NULL, with(question(model), "stream", json_true()));
    json_t *choice = choice_of(&a, &whole), *message = json_object_get(choice, "message");
    const char *finish, *reasoning = json_string_value(json_object_get(message, "reasoning_content"));
    char *content = streamed(&b, "content", 0, &finish), *thought = streamed(&b, "reasoning_content", 0, NULL);
    CHECK(!strcmp(content, json_string_value(json_object_get(message, "content"))), "'%s', whole %s", content, a.body);
    CHECK(!strcmp(thought, reasoning ? reasoning : ""), "'%s', whole %s", thought, a.body);
    CHECK(!strcmp(finish, json_string_value(json_object_get(choice, "finish_reason"))), "%s", finish);
    CHECK(strstr(b.body, "data: [DONE]\n\n") && b.body[b.bytes - 1] == '\n', "%s", b.body);
    CHECK(!strcmp(model, "deepseek-chat") == !reasoning && !strstr(content, "think>") && !strstr(thought, "think>"),
          "%s", a.body);
    char *type = check_response_header(&b, "Content-Type");
    CHECK(!strncmp(type, "text/event-stream", 17), "%s", type);
    free(type);
    free(content);
    free(thought);
    json_decref(whole);
    check_response_free(&a);
    check_response_free(&b);
}

static void usage_adds_up(void *arg) {
    json_t *whole, *usage;
    (void)arg;
    check_response first = check_post(&server, "/chat/completions", NULL, question("deepseek-reasoner"));
    check_response r = check_post(&server, "/chat/completions", NULL,
                                  with(with(question("deepseek-reasoner"), "stream", json_true()), "stream_options",
                                       json_pack("{s:b}", "include_usage", 1)));
    const char *last = NULL;
    for (const char *at = r.body; (at = strstr(at, "data: {")); at++) last = at;
    CHECK(last, "%s", r.body);
    whole = json_loadb(last + 6, strcspn(last + 6, "\n"), 0, NULL);
    usage = json_object_get(whole, "usage");
    json_int_t prompt = json_integer_value(json_object_get(usage, "prompt_tokens")),
               answer = json_integer_value(json_object_get(usage, "completion_tokens")),
               hit = json_integer_value(json_object_get(usage, "prompt_cache_hit_tokens"));
    CHECK(json_array_size(json_object_get(whole, "choices")) == 0, "%s", last);
    CHECK(prompt > 0 && answer > 0 && json_integer_value(json_object_get(usage, "total_tokens")) == prompt + answer,
          "%s", last);
    CHECK(json_integer_value(json_object_get(usage, "prompt_cache_miss_tokens")) == prompt - hit, "%s", last);
    json_int_t reasoning =
        json_integer_value(json_object_get(json_object_get(usage, "completion_tokens_details"), "reasoning_tokens"));
    CHECK(reasoning > 0 && reasoning < answer, "%s", last);
    json_decref(whole);
    check_response_free(&first);
    check_response_free(&r);
}

static void choices_differ_by_seed_and_repeat_with_it(void *arg) {
    char *text[2][3];
    (void)arg;
    for (int k = 0; k < 2; k++) {
        json_t *body = with(with(with(check_chat("deepseek-reasoner", "What is 47 * 68?"), "n", json_integer(3)),
                                 "seed", json_integer(7)),
                            "temperature", json_integer(2));
        body = with(body, "top_p", json_integer(1));
        check_response r = check_post(&server, "/chat/completions", NULL,
                                      with(with(body, "max_tokens", json_integer(24)), "stream", json_true()));
        for (int i = 0; i < 3; i++) text[k][i] = streamed(&r, "reasoning_content", i, NULL);
        check_response_free(&r);
    }
    for (int i = 0; i < 3; i++)
        CHECK(text[0][i][0] && !strcmp(text[0][i], text[1][i]), "%d: '%s', '%s'", i, text[0][i], text[1][i]);
    CHECK(strcmp(text[0][0], text[0][1]) != 0 || strcmp(text[0][0], text[0][2]) != 0, "all '%s'", text[0][0]);
    for (int i = 0; i < 6; i++) free(text[i / 3][i % 3]);
}

static void a_stop_text_ends_the_answer_and_does_not_come_out(void *arg) {
    json_t *whole;
    (void)arg;
    check_response r = check_post(&server, "/chat/completions", NULL,
                                  with(question("deepseek-chat"), "stop", json_pack("[s]", "boxed")));
    const json_t *choice = choice_of(&r, &whole);
    const char *content = json_string_value(json_object_get(json_object_get(choice, "message"), "content"));
    CHECK(!strstr(content, "boxed") && strstr(content, "answer"), "%s", content);
    CHECK(!strcmp(json_string_value(json_object_get(choice, "finish_reason")), "stop"), "%s", r.body);
    json_decref(whole);
    check_response_free(&r);
}

static void logprobs_name_every_token_of_the_answer(void *arg) {
    json_t *whole, *entry;
    size_t i;
    (void)arg;
    json_t *body = with(with(question("deepseek-chat"), "logprobs", json_true()), "top_logprobs", json_integer(3));
    check_response r = check_post(&server, "/chat/completions", NULL, body);
    json_t *choice = choice_of(&r, &whole), *content = json_object_get(json_object_get(choice, "logprobs"), "content");
    char *joined = calloc(1, r.bytes + 1);
    json_array_foreach(content, i, entry) {
        const json_t *top = json_object_get(entry, "top_logprobs");
        double own = json_real_value(json_object_get(entry, "logprob"));
        double best = json_real_value(json_object_get(json_array_get(top, 0), "logprob"));
        strcat(joined, json_string_value(json_object_get(entry, "token")));
        CHECK(json_array_size(top) == 3 && own <= 0 && own == best, "greedy takes the best: %f, %f", own, best);
    }
    CHECK(!strcmp(joined, json_string_value(json_object_get(json_object_get(choice, "message"), "content"))),
          "'%s': %s", joined, r.body);
    free(joined);
    json_decref(whole);
    check_response_free(&r);
}

static void a_prefix_is_continued(void *arg) {
    json_t *whole, *rest;
    (void)arg;
    check_response plain = check_post(&server, "/chat/completions", NULL, question("deepseek-chat"));
    const char *answer =
        json_string_value(json_object_get(json_object_get(choice_of(&plain, &whole), "message"), "content"));
    const char *cut = strchr(answer, '{');
    CHECK(cut++, "%s", answer);
    json_t *body = question("deepseek-chat");
    json_array_append_new(
        json_object_get(body, "messages"),
        json_pack("{s:s, s:s%, s:b}", "role", "assistant", "content", answer, (size_t)(cut - answer), "prefix", 1));
    check_response r = check_post(&server, "/v1/chat/completions", NULL, json_deep_copy(body));
    CHECK(r.status == 400 && strstr(r.body, "/beta"), "%d %s", r.status, r.body);
    check_response_free(&r);
    r = check_post(&server, "/beta/chat/completions", NULL, body);
    const char *content =
        json_string_value(json_object_get(json_object_get(choice_of(&r, &rest), "message"), "content"));
    CHECK(!strcmp(content, cut), "'%s' does not continue '%s'", content, answer);
    json_decref(whole);
    json_decref(rest);
    check_response_free(&plain);
    check_response_free(&r);
}

static void the_student_thinks_unseen_too(void *arg) {
    check_server small;
    json_t *whole;
    (void)arg;
    check_server_start(&small, "--threads 1 --model models/fathom-r1-mini-student");
    check_response r = check_post(&small, "/chat/completions", NULL,
                                  with(check_chat("deepseek-chat", "What is 7 + 8?"), "temperature", json_integer(0)));
    const json_t *message = json_object_get(choice_of(&r, &whole), "message");
    const char *content = json_string_value(json_object_get(message, "content"));
    CHECK(strstr(content, "15") && !strstr(content, "think>") && !json_object_get(message, "reasoning_content"), "%s",
          r.body);
    json_decref(whole);
    check_response_free(&r);
    CHECK(check_server_stop(&small) == 0);
}

static void completions_continue_and_echo(void *arg) {
    json_t *whole;
    (void)arg;
    json_t *body = json_pack("{s:s, s:s, s:i, s:b, s:i}", "model", "fathom-r1-mini", "prompt", "The answer is",
                             "max_tokens", 4, "echo", 1, "temperature", 0);
    check_response r = check_post(&server, "/completions", NULL, body);
    json_t *choice = choice_of(&r, &whole);
    const char *text = json_string_value(json_object_get(choice, "text"));
    CHECK(!strncmp(text, "The answer is", 13) && strlen(text) > 13, "%s", r.body);
    json_decref(whole);
    check_response_free(&r);
    body = json_pack("{s:s, s:[s,s], s:i, s:i}", "model", "fathom-r1-mini", "prompt",
                     "1 + 1 =", "2 + 2 =", "max_tokens", 4, "logprobs", 2);
    r = check_post(&server, "/completions", NULL, body);
    choice = json_array_get(json_object_get(check_response_json(&r), "choices"), 1);
    CHECK(json_integer_value(json_object_get(choice, "index")) == 1, "%s", r.body);
    CHECK(json_array_size(json_object_get(json_object_get(choice, "logprobs"), "tokens")) > 0, "%s", r.body);
    check_response_free(&r);
}

/* The log-probabilities of a completion's first choice; the caller decrefs *whole. */
static const json_t *logprobs_of(const check_response *r, json_t **whole) {
    const json_t *columns = json_object_get(choice_of(r, whole), "logprobs");
    size_t n = json_array_size(json_object_get(columns, "tokens"));
    CHECK(json_array_size(json_object_get(columns, "token_logprobs")) == n &&
              json_array_size(json_object_get(columns, "text_offset")) == n,
          "%s", r->body);
    return json_object_get(columns, "token_logprobs");
}

static void echo_with_logprobs_scores_the_prompt_the_same_alone_and_in_company(void *arg) {
    (void)arg;
    json_t *whole[3];
    const json_t *of[3];
    check_response r[3];
    char prompt[1000] = "";
    for (int i = 0; i < 60; i++)
        snprintf(prompt + strlen(prompt), sizeof prompt - strlen(prompt), "%d + %d = %d. ", i, i + 1, 2 * i + 1);
    for (int i = 0; i < 3; i++) {
        json_t *body = json_pack("{s:s, s:s, s:i, s:i, s:b}", "model", "fathom-r1-mini", "prompt", prompt, "max_tokens",
                                 i == 1, "logprobs", 1, "echo", 1);
        if (i == 2) json_object_set_new(body, "prompt", json_pack("[s,s,s,s]", prompt, "1", prompt + 40, prompt));
        r[i] = check_post(&server, "/completions", NULL, body);
        of[i] = logprobs_of(&r[i], &whole[i]);
    }
    size_t n = json_array_size(of[0]);
    CHECK(n > 300 && json_array_size(of[1]) == n + 1 && json_array_size(of[2]) == n, "%zu tokens", n);
    CHECK(json_is_null(json_array_get(of[0], 0)), "%s", r[0].body);
    for (size_t i = 1; i < n; i++)
        for (int k = 1; k < 3; k++)
            CHECK(json_real_value(json_array_get(of[0], i)) < 0 &&
                      json_equal(json_array_get(of[0], i), json_array_get(of[k], i)),
                  "token %zu: %g and %g", i, json_real_value(json_array_get(of[0], i)),
                  json_real_value(json_array_get(of[k], i)));
    for (int i = 0; i < 3; i++) {
        json_decref(whole[i]);
        check_response_free(&r[i]);
    }
}

static void tokens_go_to_text_and_back(void *arg) {
    (void)arg;
    check_response r = check_post(&server, "/tokenize", NULL, json_pack("{s:s}", "text", "12 * 34 = ü😀"));
    json_t *o = check_response_json(&r), *tokens = json_object_get(o, "tokens");
    CHECK(r.status == 200 && json_array_size(tokens) > 4, "%s", r.body);
    check_response back = check_post(&server, "/detokenize", NULL, json_pack("{s:O}", "tokens", tokens));
    json_t *text = check_response_json(&back);
    CHECK(!strcmp(json_string_value(json_object_get(text, "text")), "12 * 34 = ü😀"), "%s", back.body);
    json_decref(o);
    json_decref(text);
    check_response_free(&r);
    check_response_free(&back);
}

static const struct {
    const char *name, *path, *body;
    int status;
    const char *says;
} refused[] = {
    {"a body that is no JSON is 400", "/chat/completions", "{\"model\": ", 400, "not JSON"},
    {"a body that is no object is 400", "/chat/completions", "[1]", 400, "object"},
    {"an empty body is 400", "/chat/completions", "", 400, "not JSON"},
    {"a missing model is named", "/chat/completions", "{\"messages\": []}", 400, "model: missing"},
    {"an unknown model is 404 and the known ones are named", "/chat/completions",
     "{\"model\": \"gpt-4\", \"messages\": [{\"role\": \"user\", \"content\": \"a\"}]}", 404, "deepseek-reasoner"},
    {"no messages are 400", "/chat/completions", "{\"model\": \"deepseek-chat\", \"messages\": []}", 400, "messages"},
    {"an unknown role is named", "/chat/completions",
     "{\"model\": \"deepseek-chat\", \"messages\": [{\"role\": \"king\", \"content\": \"a\"}]}", 400,
     "messages[0].role"},
    {"a picture is refused by name", "/chat/completions",
     "{\"model\": \"deepseek-chat\", \"messages\": [{\"role\": \"user\", \"content\": [{\"type\": \"image_url\"}]}]}",
     400, "messages[0].content"},
    {"reasoning_content of an earlier turn is refused by a reasoning model", "/chat/completions",
     "{\"model\": \"deepseek-reasoner\", \"messages\": [{\"role\": \"user\", \"content\": \"a\"}, {\"role\": \"assistant\", \"content\": \"b\", "
     "\"reasoning_content\": \"c\"}, {\"role\": \"user\", \"content\": \"d\"}]}",
     400, "messages[1].reasoning_content"},
    {"stream_options need a stream", "/chat/completions",
     "{\"model\": \"deepseek-chat\", \"stream_options\": {}, \"messages\": [{\"role\": \"user\", \"content\": \"a\"}]}",
     400, "stream_options"},
    {"top_logprobs need logprobs", "/chat/completions",
     "{\"model\": \"deepseek-chat\", \"top_logprobs\": 2, \"messages\": [{\"role\": \"user\", \"content\": \"a\"}]}",
     400, "logprobs"},
    {"a field given twice is 400", "/chat/completions",
     "{\"model\": \"deepseek-chat\", \"model\": \"deepseek-chat\", \"messages\": []}", 400, "is there twice"},
    {"a body that is not UTF-8 is 400", "/chat/completions", "{\"model\": \"\xff\xfe\"}", 400, "decode"},
    {"a suffix needs a model with its tokens", "/completions",
     "{\"model\": \"deepseek-chat\", \"prompt\": \"a\", \"suffix\": \"b\"}", 400, "fill-in-the-middle"},
    {"max_tokens 0 needs an echo", "/completions",
     "{\"model\": \"deepseek-chat\", \"prompt\": \"a\", \"max_tokens\": 0}", 422, "max_tokens"},
    {"ids beyond the vocabulary are 422", "/completions", "{\"model\": \"deepseek-chat\", \"prompt\": [1, 99999999]}",
     422, "99999999"},
    {"embeddings are refused cleanly", "/v1/embeddings", "{\"model\": \"deepseek-chat\", \"input\": \"a\"}", 404,
     "embeddings"},
};

static void is_refused(void *arg) {
    size_t i = (size_t)(uintptr_t)arg;
    check_response r = check_http(&server, "POST", refused[i].path, NULL, refused[i].body);
    CHECK(r.status == refused[i].status && strstr(r.body, refused[i].says), "%d %s", r.status, r.body);
    json_decref(check_response_json(&r));
    check_response_free(&r);
}

static void a_prompt_beyond_the_context_is_refused(void *arg) {
    (void)arg;
    char *text = malloc(20001);
    memset(text, '7', 20000);
    text[20000] = 0;
    check_response r = check_post(&server, "/chat/completions", NULL, check_chat("deepseek-chat", text));
    CHECK(r.status == 400 && strstr(r.body, "context_length_exceeded"), "%d %s", r.status, r.body);
    check_response_free(&r);
    free(text);
}

enum { SHAPES = 9, REFUSED = sizeof refused / sizeof *refused };

int main(int argc, char **argv) {
    check_case cases[SHAPES + REFUSED + 1] = {
        {"a stream of a chat profile is the same answer", a_stream_is_the_same_answer, "deepseek-chat"},
        {"a stream of a reasoning profile is the same answer", a_stream_is_the_same_answer, "deepseek-reasoner"},
        {"usage adds up and comes last in a stream", usage_adds_up, NULL},
        {"choices differ by seed and repeat with it", choices_differ_by_seed_and_repeat_with_it, NULL},
        {"a stop text ends the answer and does not come out", a_stop_text_ends_the_answer_and_does_not_come_out, NULL},
        {"logprobs name every token of the answer", logprobs_name_every_token_of_the_answer, NULL},
        {"a prefix is continued, under /beta", a_prefix_is_continued, NULL},
        {"the student thinks unseen too", the_student_thinks_unseen_too, NULL},
        {"echo with logprobs scores the prompt, the same alone and in company",
         echo_with_logprobs_scores_the_prompt_the_same_alone_and_in_company, NULL},
        {"completions continue, echo and take several prompts", completions_continue_and_echo, NULL},
        {"tokens go to text and back", tokens_go_to_text_and_back, NULL},
    };
    for (size_t i = 0; i < REFUSED; i++)
        cases[SHAPES + i] = (check_case){refused[i].name, is_refused, (void *)(uintptr_t)i};
    cases[SHAPES + REFUSED] =
        (check_case){"a prompt beyond the context is refused", a_prompt_beyond_the_context_is_refused, NULL};
    check_server_start(&server, "--threads 1");
    int failed = check_main(argc, argv, cases, sizeof cases / sizeof *cases);
    return check_server_stop(&server) || failed;
}
