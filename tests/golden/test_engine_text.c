/* Text through fathom.h: chat messages in, streamed text out, stop texts, ends of sequence, models without a tokenizer. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "host/engine/internal.h"
#include "tests/lib/check.h"
#include "tests/lib/files.h"
#include "tests/lib/golden_engine.h"
#include "tests/lib/golden_model.h"

static const golden_prompt *chat_prompt(const golden *d, int which) {
    for (int i = 0; i < d->n_prompts; i++) {
        if (json_object_get(d->prompts[i].json, "messages") && which-- == 0) return &d->prompts[i];
    }
    check_fail(__FILE__, __LINE__, "chat prompt", "%s has none", d->dir);
}

static void chat_in_text_out(void *folder) {
    golden d;
    golden_open(&d, folder);
    fathom_engine *g = golden_engine_open(golden_exact, folder);
    static golden_answer a;
    for (int k = 0; k < 2; k++) {
        const golden_prompt *p = chat_prompt(&d, k);
        char *messages = json_dumps(json_object_get(p->json, "messages"), 0);
        int32_t *ids;
        size_t n;
        fathom_error e = {0};
        CHECK(fathom_encode_chat(g, NULL, messages, &ids, &n, &e) == FATHOM_OK, "%s", e.text);
        CHECK(n == (size_t)p->n && !memcmp(ids, p->ids, n * sizeof *ids), "%s: %zu ids, expected %d", p->name, n, p->n);
        fathom_session *s = golden_session(g, 1);
        golden_ask(s, ids, (int)n, &golden_greedy);
        golden_run(g, s, &a);
        const json_t *want = json_object_get(p->json, "greedy_text");
        CHECK(a.bytes == json_string_length(want) && !memcmp(a.text, json_string_value(want), a.bytes),
              "'%s', expected '%s'", a.text, json_string_value(want));
        char *whole;
        size_t bytes;
        CHECK(fathom_decode(g, a.ids, (size_t)a.n, true, &whole, &bytes, &e) == FATHOM_OK, "%s", e.text);
        CHECK(bytes == a.bytes && !memcmp(whole, a.text, bytes), "'%s'", whole);
        fathom_free(whole);
        fathom_free(ids);
        free(messages);
        fathom_session_close(s);
    }
    fathom_engine_close(g);
    golden_close(&d);
}

/* Every part of an answer's text as a stop text: the answer ends in front of it, wherever the tokens were cut. */
static void stop_texts_across_tokens(void *folder) {
    golden d;
    golden_open(&d, folder);
    fathom_engine *g = golden_engine_open(golden_exact, folder);
    static golden_answer whole, a;
    const golden_prompt *p = chat_prompt(&d, 0);
    fathom_session *s = golden_session(g, 1);
    golden_ask(s, p->ids, p->n, &golden_greedy);
    golden_run(g, s, &whole);
    size_t tried = 0;
    for (size_t from = 0; from + 5 <= whole.bytes; from++) {
        char stop[6] = {0};
        memcpy(stop, whole.text + from, 5);
        bool inside_a_character = ((unsigned char)stop[0] & 0xc0) == 0x80;
        if (inside_a_character || strlen(stop) < 5) continue;
        fathom_sampling sampling = golden_greedy;
        sampling.stop = (const char *const[]){"never in the text", stop};
        sampling.n_stop = 2;
        golden_ask(s, p->ids, p->n, &sampling);
        golden_run(g, s, &a);
        size_t expected = (size_t)((char *)memmem(whole.text, whole.bytes, stop, 5) - whole.text);
        CHECK(fathom_session_finish(s) == FATHOM_STOP, "'%s' in '%s'", stop, whole.text);
        CHECK(a.bytes == expected && !memcmp(a.text, whole.text, expected), "stop at '%s': '%s'", stop, a.text);
        tried++;
    }
    CHECK(tried > 10);
    fathom_engine_close(g);
    golden_close(&d);
}

static void an_end_of_sequence_token_ends_the_answer_without_text(void *arg) {
    (void)arg;
    golden d;
    golden_open(&d, "deepseek-llm-tiny");
    fathom_engine *g = golden_engine_open(golden_exact, "deepseek-llm-tiny");
    static golden_answer a;
    const golden_prompt *p = chat_prompt(&d, 0);
    fathom_session *s = golden_session(g, 1);
    /* make the third golden_greedy token an end of sequence */
    g->setup.config.eos_ids[0] = p->ids[p->n + 2];
    fathom_sampling sampling = {.max_tokens = 10};
    golden_ask(s, p->ids, p->n, &sampling);
    golden_run(g, s, &a);
    CHECK(a.n == 3 && fathom_session_finish(s) == FATHOM_STOP, "%d tokens", a.n);
    char *two;
    fathom_error e = {0};
    CHECK(fathom_decode(g, a.ids, 2, true, &two, NULL, &e) == FATHOM_OK, "%s", e.text);
    CHECK(!strcmp(a.text, two), "'%s', expected '%s'", a.text, two);
    fathom_free(two);
    sampling.ignore_eos = true;
    golden_ask(s, p->ids, p->n, &sampling);
    golden_run(g, s, &a);
    CHECK(a.n == 10 && fathom_session_finish(s) == FATHOM_LENGTH);
    fathom_engine_close(g);
    golden_close(&d);
}

static void link_file(const char *folder, const char *name, const char *to) {
    char *from = check_golden(folder), target[4096], path[4096];
    char *whole = realpath(from, NULL);
    snprintf(target, sizeof target, "%s/%s", whole, name);
    snprintf(path, sizeof path, "%s/%s", to, name);
    CHECK(whole && symlink(target, path) == 0);
    free(whole);
    free(from);
}

static void a_model_without_a_tokenizer_speaks_ids(void *arg) {
    (void)arg;
    golden d;
    golden_open(&d, "deepseek-llm-tiny");
    char *dir = check_scratch();
    link_file("deepseek-llm-tiny", "config.json", dir);
    link_file("deepseek-llm-tiny", "model.safetensors", dir);
    fathom_options o = golden_exact;
    fathom_error e = {0};
    fathom_engine *g;
    o.model = dir;
    CHECK(fathom_engine_open(&g, &o, &e) == FATHOM_OK, "%s", e.text);
    static golden_answer a;
    fathom_session *s = golden_session(g, 1);
    golden_ask(s, d.prompts[1].ids, d.prompts[1].n, &golden_greedy);
    golden_run(g, s, &a);
    golden_same_ids("ids", &a, d.prompts[1].ids + d.prompts[1].n, GOLDEN_ANSWER);
    CHECK(!*a.text);
    int32_t *ids;
    size_t n;
    char *text;
    CHECK(fathom_encode(g, "x", 1, true, &ids, &n, &e) == FATHOM_EUNSUPPORTED && strstr(e.text, "tokenizer"), "%s",
          e.text);
    CHECK(fathom_decode(g, a.ids, 1, true, &text, NULL, &e) == FATHOM_EUNSUPPORTED && !text);
    CHECK(fathom_encode_chat(g, NULL, "[]", &ids, &n, &e) == FATHOM_EUNSUPPORTED && !ids);
    fathom_sampling stop = {.stop = (const char *const[]){"x"}, .n_stop = 1};
    CHECK(fathom_session_prompt(s, a.ids, 1, &stop, &e) == FATHOM_EINVAL && strstr(e.text, "tokenizer"), "%s", e.text);
    fathom_engine_close(g);
    check_remove(dir);
    free(dir);
    golden_close(&d);
}

/* Messages to text with a real model, several conversations at once: the golden ids as far as their margins are safe. */
static void a_real_model_answers(void *arg) {
    (void)arg;
    const char *path = getenv("FATHOM_SMOLLM2");
    if (!path || !*path) check_skip("FATHOM_SMOLLM2 names no file (make test fetches it)");
    enum { TOKENS = 12 };
    golden d;
    fathom_engine *g;
    fathom_error e = {0};
    golden_open(&d, "smollm2");
    fathom_options o = {.model = path, .sessions = d.n_prompts, .context = 512};
    CHECK(fathom_engine_open(&g, &o, &e) == FATHOM_OK, "%s", e.text);
    static golden_answer a[GOLDEN_MAX_PROMPTS];
    fathom_session *s[GOLDEN_MAX_PROMPTS];
    memset(a, 0, sizeof a);
    for (int i = 0; i < d.n_prompts; i++) {
        char *messages = json_dumps(json_object_get(d.prompts[i].json, "messages"), 0);
        int32_t *ids;
        size_t n;
        CHECK(fathom_encode_chat(g, NULL, messages, &ids, &n, &e) == FATHOM_OK, "%s", e.text);
        CHECK(n == (size_t)d.prompts[i].n && !memcmp(ids, d.prompts[i].ids, n * sizeof *ids), "prompt %d: %zu ids", i,
              n);
        s[i] = golden_session(g, 1);
        golden_ask(s[i], ids, (int)n, &(fathom_sampling){.max_tokens = TOKENS});
        fathom_free(ids);
        free(messages);
    }
    for (int busy = 1; busy;) {
        busy = golden_step(g);
        for (int i = 0; i < d.n_prompts; i++) golden_take(s[i], &a[i]);
    }
    for (int i = 0; i < d.n_prompts; i++) {
        int safe = (int)json_integer_value(json_object_get(d.prompts[i].json, "safe_tokens"));
        for (int k = 0; k < a[i].n && k < safe; k++)
            CHECK(a[i].ids[k] == d.prompts[i].ids[d.prompts[i].n + k], "prompt %d, token %d: %d", i, k, a[i].ids[k]);
        fathom_finish f = fathom_session_finish(s[i]);
        CHECK(a[i].n == TOKENS ? f == FATHOM_LENGTH : f == FATHOM_STOP, "prompt %d: %d tokens, finish %d", i, a[i].n,
              (int)f);
    }
    CHECK(!strcmp(a[0].text, "The capital of France is Paris."), "'%s'", a[0].text);
    fathom_engine_close(g);
    golden_close(&d);
}

#define OF(name, what, folder) \
    { name ": " folder, what, (void *)(uintptr_t)folder }

static const check_case cases[] = {
    OF("chat in, text out", chat_in_text_out, "deepseek-v3-tiny"),
    OF("chat in, text out", chat_in_text_out, "deepseek-llm-tiny"),
    OF("chat in, text out", chat_in_text_out, "r1-distill-qwen-tiny"),
    OF("stop texts across tokens", stop_texts_across_tokens, "deepseek-v3-tiny"),
    {"an end-of-sequence token ends the answer without text", an_end_of_sequence_token_ends_the_answer_without_text,
     NULL},
    {"a real model answers", a_real_model_answers, NULL},
    {"a model without a tokenizer speaks ids", a_model_without_a_tokenizer_speaks_ids, NULL},
};

int main(int argc, char **argv) {
    return check_main(argc, argv, cases, sizeof cases / sizeof *cases);
}
