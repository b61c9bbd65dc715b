/* Tool calls in a stream, cut at every byte, with marks that are tokens and marks that are texts. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/text/tool_calls.h"
#include "tests/lib/check.h"

#define CALLS "<｜tool▁calls▁begin｜>"
#define CALL "<｜tool▁call▁begin｜>"
#define SEP "<｜tool▁sep｜>"
#define END "<｜tool▁call▁end｜>"
#define ENDS "<｜tool▁calls▁end｜>"
#define ONE(name, arguments) CALL "function" SEP name "\n```json\n" arguments "\n```" END

typedef struct stream {
    const char *name, *in, *out; /* out: "c:" content, "0:" name, "0=" arguments, "0." end, pieces of a kind joined */
} stream;

static const stream table[] = {
    {"text alone is content", "Hello, 世界!", "c:Hello, 世界!"},
    {"an empty answer has no events", "", ""},
    {"a call after content", "Sure." CALLS ONE("get_time", "{}") ENDS, "c:Sure.|0:get_time|0={}|0."},
    {"two calls with a newline between them", CALLS ONE("a", "{\"x\": 1}") "\n" ONE("b", "{\"y\": \"`\"}") ENDS,
     "0:a|0={\"x\": 1}|0.|1:b|1={\"y\": \"`\"}|1."},
    {"arguments over several lines", CALLS ONE("f", "{\n  \"a\": \"```\"\n}") ENDS, "0:f|0={\n  \"a\": \"```\"\n}|0."},
    {"arguments without an end", CALLS CALL "function" SEP "f\n```json\n{\"a\": 1", "0:f|0={\"a\": 1"},
    {"arguments that end in part of their end", CALLS CALL "function" SEP "f\n```json\n{}\n``", "0:f|0={}\n``"},
    {"a name without an end is no call", CALLS CALL "function" SEP "get_ti", ""},
    {"content that ends in part of a mark", "a <｜tool▁calls", "c:a <｜tool▁calls"},
    {"content with marks that begin alike", "<<｜tool▁outputs▁begin｜> <b>", "c:<<｜tool▁outputs▁begin｜> <b>"},
    {"content behind the calls", CALLS ONE("f", "{}") ENDS "bye", "0:f|0={}|0.|c:bye"},
    {"a mark out of place is text", "a" END "b", "c:a" END "b"},
};

typedef struct joined {
    char text[4096], last[16];
} joined;

static fa_status join(void *ctx, const fa_tool_event *event) {
    joined *j = ctx;
    char head[16];
    const char sign[] = {
        [FA_EVENT_CONTENT] = ':', [FA_EVENT_CALL] = ':', [FA_EVENT_ARGUMENTS] = '=', [FA_EVENT_CALL_END] = '.'};
    if (event->kind == FA_EVENT_CONTENT)
        strcpy(head, "c:");
    else
        snprintf(head, sizeof head, "%d%c", event->call, sign[event->kind]);
    if (strcmp(head, j->last) != 0) {
        if (*j->text) strcat(j->text, "|");
        strcat(j->text, head);
    }
    strcpy(j->last, head);
    strncat(j->text, event->text, event->n);
    return FA_OK;
}

/* The stream in pieces of `cut` bytes. */
static void marks_as_text(void *arg) {
    const stream *t = arg;
    size_t n = strlen(t->in);
    for (size_t cut = 1; cut <= n + 1; cut++) {
        fa_tool_parser p;
        joined j = {0};
        fa_tool_parser_open(&p, NULL);
        for (size_t at = 0; at < n; at += cut)
            CHECK(!fa_tool_parser_feed(&p, -1, t->in + at, n - at < cut ? n - at : cut, join, &j));
        CHECK(!fa_tool_parser_end(&p, join, &j));
        fa_tool_parser_free(&p);
        CHECK(!strcmp(j.text, t->out), "in pieces of %zu: '%s', expected '%s'", cut, j.text, t->out);
    }
}

/* The same with DeepSeek-V3's tokenizer, whose marks are tokens; `skipped`: they have no text, as special tokens do. */
static void as_tokens(const stream *t, const fa_tokenizer *tokenizer, bool skipped) {
    fa_ids ids = {0};
    fa_error e = {0};
    fa_tool_parser p;
    joined j = {0};
    fa_decoder d = {0};
    fa_text piece = {0};
    CHECK_OK(fa_encode(tokenizer, t->in, strlen(t->in), NULL, &ids, &e), &e);
    fa_tool_parser_open(&p, tokenizer);
    CHECK(p.ids[FA_TOOL_SEP] >= 0, "the tokenizer has no marks");
    for (size_t i = 0; i < ids.n; i++) {
        piece.n = 0;
        CHECK_OK(fa_decoder_feed(&d, tokenizer, ids.data[i], false, &piece, &e), &e);
        bool mark = false;
        for (int m = 0; m < FA_TOOL_MARKS; m++) mark |= p.ids[m] == ids.data[i];
        CHECK(!fa_tool_parser_feed(&p, ids.data[i], piece.data, mark && skipped ? 0 : piece.n, join, &j));
    }
    CHECK(!fa_tool_parser_end(&p, join, &j));
    fa_tool_parser_free(&p);
    fa_text_free(&piece);
    fa_ids_free(&ids);
    CHECK(!strcmp(j.text, t->out), "'%s', expected '%s'", j.text, t->out);
}

static void marks_as_tokens(void *arg) {
    (void)arg;
    fa_tokenizer *tokenizer;
    fa_error e = {0};
    char *path = check_golden("tokenizer/deepseek-v3-real");
    CHECK_OK(fa_tokenizer_open(&tokenizer, path, &e), &e);
    free(path);
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        for (int skipped = 0; skipped < 2; skipped++) as_tokens(&table[i], tokenizer, skipped);
    fa_tokenizer_close(tokenizer);
}

/* A text that only looks like a mark must not end the arguments where marks are tokens. */
static void a_mark_in_a_text_is_text(void *arg) {
    (void)arg;
    fa_tool_parser p;
    joined j = {0};
    fa_tool_parser_open(&p, NULL);
    for (int m = 0; m < FA_TOOL_MARKS; m++) p.ids[m] = 100 + m;
    static const struct {
        int32_t id;
        const char *text;
    } fed[] = {{100, CALLS},           {101, CALL}, {7, "function"}, {102, SEP}, {7, "f\n```json\n"},
               {7, "{\"a\": \"" ENDS}, {7, END},    {7, "\"}\n```"}, {103, END}, {104, ENDS}};
    for (size_t i = 0; i < sizeof fed / sizeof *fed; i++)
        CHECK(!fa_tool_parser_feed(&p, fed[i].id, fed[i].text, strlen(fed[i].text), join, &j));
    CHECK(!fa_tool_parser_end(&p, join, &j));
    fa_tool_parser_free(&p);
    CHECK(!strcmp(j.text, "0:f|0={\"a\": \"" ENDS END "\"}|0."), "'%s'", j.text);
}

int main(int argc, char **argv) {
    enum { N = sizeof table / sizeof *table };
    check_case cases[N + 2];
    for (size_t i = 0; i < N; i++) cases[i] = (check_case){table[i].name, marks_as_text, (void *)&table[i]};
    cases[N] = (check_case){"the same where marks are tokens", marks_as_tokens, NULL};
    cases[N + 1] = (check_case){"a mark in a text is text where marks are tokens", a_mark_in_a_text_is_text, NULL};
    return check_main(argc, argv, cases, N + 2);
}
