/* Whole engines through fathom.h: the golden answers, alone and in company, from the cache, with any number of threads; and
 * that the numbers behind them are the same bits each time. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "host/engine/internal.h"
#include "tests/lib/check.h"
#include "tests/lib/files.h"
#include "tests/lib/golden_model.h"

enum { SESSIONS = 5, ANSWER = 16, STEP_ROWS = 48 };

static const char *const folders[] = {"deepseek-v3-tiny",      "deepseek-v3-tiny-fp8", "deepseek-v3-tiny-mtp",
                                      "deepseek-v2-lite-tiny", "deepseek-v2-tiny",     "deepseek-llm-tiny",
                                      "deepseek-coder-tiny",   "r1-distill-qwen-tiny", "r1-distill-qwen-tiny-untied",
                                      "r1-distill-llama-tiny"};
enum { N_FOLDERS = sizeof folders / sizeof *folders };

static fathom_engine *open_with(fathom_options o, const char *folder) {
    char *path = check_golden(folder);
    fathom_engine *g;
    fathom_error e = {0};
    o.model = path;
    if (!o.sessions) o.sessions = SESSIONS;
    if (!o.step_rows) o.step_rows = STEP_ROWS;
    fathom_status st = fathom_engine_open(&g, &o, &e);
    free(path);
    CHECK(st == FATHOM_OK, "%s", e.text);
    return g;
}

/* Weights as they are, activations and cache in FP32: what the golden numbers are made with. */
static const fathom_options exact = {.numerics = "w8a16", .cache = "f32", .threads = 2};

static fathom_session *open_session(fathom_engine *g, uint64_t owner) {
    fathom_session *s;
    fathom_error e = {0};
    CHECK(fathom_session_open(g, owner, &s, &e) == FATHOM_OK, "%s", e.text);
    return s;
}

static void ask(fathom_session *s, const int32_t *ids, int n, const fathom_sampling *p) {
    fathom_error e = {0};
    CHECK(fathom_session_prompt(s, ids, (size_t)n, p, &e) == FATHOM_OK, "%s", e.text);
}

static int step(fathom_engine *g) {
    fathom_error e = {0};
    int busy;
    CHECK(fathom_engine_step(g, &busy, &e) == FATHOM_OK, "%s", e.text);
    return busy;
}

/* An answer: its ids, its text with the rest, and the numbers reported with each token. */
typedef struct answer {
    int n;
    int32_t ids[512];
    fathom_token token[512]; /* without text */
    char text[4096];         /* may hold NUL bytes */
    size_t bytes;
} answer;

static void add_text(answer *a, const char *text, size_t bytes) {
    CHECK(a->bytes + bytes < sizeof a->text && text[bytes] == 0);
    memcpy(a->text + a->bytes, text, bytes + 1);
    a->bytes += bytes;
}

static void take(fathom_session *s, answer *a) {
    fathom_token t;
    while (fathom_session_next(s, &t)) {
        CHECK(a->n < 512);
        add_text(a, t.text, t.bytes);
        t.text = NULL;
        t.bytes = 0;
        a->token[a->n] = t;
        a->ids[a->n++] = t.id;
    }
}

static void run_to_end(fathom_engine *g, fathom_session *s, answer *a) {
    *a = (answer){0};
    for (int busy = 1; busy;) {
        busy = step(g);
        take(s, a);
    }
    CHECK(fathom_session_finish(s) != FATHOM_FAILED, "%s", fathom_session_error(s));
    add_text(a, fathom_session_rest(s), strlen(fathom_session_rest(s)));
}

static void check_ids(const char *what, const answer *a, const int32_t *want, int n) {
    CHECK(a->n == n, "%s: %d tokens, expected %d", what, a->n, n);
    for (int i = 0; i < n; i++)
        CHECK(a->ids[i] == want[i], "%s: token %d is %d, expected %d", what, i, a->ids[i], want[i]);
}

/* Equal tokens with equal bits of every number that came with them. */
static void check_same(const char *what, const answer *a, const answer *b) {
    check_ids(what, a, b->ids, b->n);
    for (int i = 0; i < a->n; i++) {
        const fathom_token *x = &a->token[i], *y = &b->token[i];
        CHECK(!memcmp(&x->logprob, &y->logprob, sizeof x->logprob) && x->n_top == y->n_top &&
                  !memcmp(x->top_ids, y->top_ids, sizeof x->top_ids) &&
                  !memcmp(x->top_logprobs, y->top_logprobs, sizeof x->top_logprobs),
              "%s: token %d: logprob %a and %a", what, i, (double)x->logprob, (double)y->logprob);
    }
}

static const fathom_sampling greedy = {.max_tokens = ANSWER, .ignore_eos = true, .top_logprobs = 20};

/* --- golden answers ------------------------------------------------------------------------------------------------- */

static void greedy_ids(void *folder) {
    golden d;
    golden_open(&d, folder);
    fathom_engine *g = open_with(exact, folder);
    answer a;
    for (int i = 0; i < d.n_prompts; i++) {
        const golden_prompt *p = &d.prompts[i];
        fathom_session *s = open_session(g, (uint64_t)i);
        ask(s, p->ids, p->n, &greedy);
        run_to_end(g, s, &a);
        check_ids(p->name, &a, p->ids + p->n, p->n_greedy);
        CHECK(fathom_session_finish(s) == FATHOM_LENGTH);
        fathom_session_close(s);
    }
    fathom_engine_close(g);
    golden_close(&d);
}

/* The logits of each session's last rows, as a hash, by position. */
typedef struct logits_log {
    uint64_t at[SESSIONS][600];
} logits_log;
static struct {
    fathom_engine *engine;
    logits_log *log;
} listening;

static uint64_t hash_row(const float *x, int32_t n) {
    uint64_t h = 1;
    for (int32_t i = 0; i < n; i++) {
        uint32_t u;
        memcpy(&u, &x[i], sizeof u);
        h = (h ^ u) * 0x9e3779b97f4a7c15u;
        h ^= h >> 29;
    }
    return h;
}

static fa_status run_and_listen(fa_model *m, const fa_step *step, fa_error *e) {
    fa_status st = fa_model_step(m, step, e);
    int32_t vocab = fa_model_config(m)->vocab;
    for (int32_t i = 0; i < step->n_logits; i++) {
        const fa_place *p = &step->place[step->logit_rows[i]];
        for (int k = 0; k < SESSIONS; k++) {
            const fathom_session *s = &listening.engine->sessions[k];
            if (s->open && fa_sequence_pages(s->sequence) == p->pages)
                listening.log->at[k][p->pos] = hash_row(step->logits + (int64_t)i * vocab, vocab);
        }
    }
    return st;
}

/* Five sessions that come in one after another, each with another prompt and owner; what each answers, and its logits bit by
 * bit, are those of a session alone. */
static void company_changes_no_bit(const char *folder, const fathom_options *o) {
    golden d;
    golden_open(&d, folder);
    fathom_engine *alone = open_with(*o, folder), *together = open_with(*o, folder);
    static logits_log one, all;
    static answer want, got[SESSIONS];
    fathom_session *s[SESSIONS] = {0};
    int n = d.n_prompts < SESSIONS ? d.n_prompts : SESSIONS;
    memset(got, 0, sizeof got);
    memset(&all, 0, sizeof all);
    together->run = alone->run = run_and_listen;
    for (int k = 0, busy = 1; busy || k < 3 * SESSIONS; k++) {
        int i = k / 3;
        if (k % 3 == 0 && i < n) {
            const golden_prompt *p = &d.prompts[(i * 3) % d.n_prompts];
            s[i] = open_session(together, (uint64_t)i);
            ask(s[i], p->ids, p->n, &greedy);
        }
        listening.engine = together;
        listening.log = &all;
        busy = step(together);
        for (int j = 0; j < n; j++) {
            if (s[j] && (j + k) % 7) take(s[j], &got[j]); /* now and then a reader is late */
        }
    }
    for (int i = 0; i < n; i++) {
        const golden_prompt *p = &d.prompts[(i * 3) % d.n_prompts];
        take(s[i], &got[i]);
        fathom_session *single = open_session(alone, (uint64_t)i);
        memset(&one, 0, sizeof one);
        listening.engine = alone;
        listening.log = &one;
        ask(single, p->ids, p->n, &greedy);
        run_to_end(alone, single, &want);
        check_same(p->name, &got[i], &want);
        for (int pos = p->n - 1; pos < p->n + ANSWER - 1; pos++)
            CHECK(one.at[0][pos] && all.at[i][pos] == one.at[0][pos], "%s: logits of position %d differ", p->name, pos);
        fathom_session_close(single);
    }
    fathom_engine_close(together);
    fathom_engine_close(alone);
    golden_close(&d);
}

static void company(void *folder) {
    company_changes_no_bit(folder, &exact);
}

static void company_w8a8(void *folder) {
    company_changes_no_bit(folder, &(fathom_options){.numerics = "w8a8", .threads = 2});
}

/* --- the cache ------------------------------------------------------------------------------------------------------ */

static void a_cached_prefix_changes_nothing_but_the_time(void *folder) {
    golden d;
    golden_open(&d, folder);
    fathom_engine *g = open_with((fathom_options){.threads = 2}, folder); /* the cache's own default type */
    const golden_prompt *p = NULL;
    for (int i = 0; i < d.n_prompts; i++) {
        if (d.prompts[i].n >= 130) p = &d.prompts[i];
    }
    CHECK(p);
    static answer first, again, cut, other;
    fathom_session *s = open_session(g, 1), *t = open_session(g, 1), *stranger = open_session(g, 2);
    ask(s, p->ids, p->n, &greedy);
    CHECK(fathom_session_usage(s).cached_tokens == 0);
    run_to_end(g, s, &first);

    ask(t, p->ids, p->n, &greedy);
    CHECK(fathom_session_usage(t).cached_tokens == (p->n - 1) / 64 * 64, "%d", fathom_session_usage(t).cached_tokens);
    run_to_end(g, t, &again);
    check_same("from published pages", &again, &first);

    ask(stranger, p->ids, p->n, &greedy);
    CHECK(fathom_session_usage(stranger).cached_tokens == 0, "owners share nothing");
    run_to_end(g, stranger, &other);
    check_same("another owner", &other, &first);

    /* a second turn: the prompt goes on behind the answer, all of which is in the cache but its last token */
    int32_t longer[GOLDEN_MAX_IDS + 64];
    memcpy(longer, p->ids, sizeof *longer * (size_t)p->n);
    memcpy(longer + p->n, first.ids, sizeof *longer * ANSWER);
    for (int i = 0; i < 20; i++) longer[p->n + ANSWER + i] = p->ids[i];
    ask(s, longer, p->n + ANSWER + 20, &greedy);
    CHECK(fathom_session_usage(s).cached_tokens == p->n + ANSWER - 1, "%d", fathom_session_usage(s).cached_tokens);
    run_to_end(g, s, &again);
    fathom_session *fresh = open_session(g, 3);
    ask(fresh, longer, p->n + ANSWER + 20, &greedy);
    run_to_end(g, fresh, &other);
    check_same("second turn", &again, &other);

    /* back to the first prompt, cut in the middle of a page */
    ask(s, p->ids, 100, &greedy);
    CHECK(fathom_session_usage(s).cached_tokens == 64);
    run_to_end(g, s, &cut);
    fathom_session_close(fresh);
    fresh = open_session(g, 4);
    ask(fresh, p->ids, 100, &greedy);
    run_to_end(g, fresh, &other);
    check_same("shorter prompt", &cut, &other);
    fathom_engine_close(g);
    golden_close(&d);
}

/* --- sampling --------------------------------------------------------------------------------------------------------- */

static void a_seed_gives_the_same_text_with_any_number_of_threads(void *arg) {
    (void)arg;
    golden d;
    golden_open(&d, "deepseek-v3-tiny-fp8");
    static answer want, got;
    const golden_prompt *p = &d.prompts[2];
    fathom_sampling sampling = {
        .temperature = 0.8f, .top_p = 0.95f, .seed = 1234, .max_tokens = 40, .ignore_eos = true};
    static const int threads[] = {1, 2, 7};
    static const char *const backends[] = {"cpu", "reference"};
    for (int i = 0; i < 6; i++) {
        fathom_engine *g =
            open_with((fathom_options){.numerics = "w8a8", .backend = backends[i / 3], .threads = threads[i % 3]},
                      "deepseek-v3-tiny-fp8");
        fathom_session *s = open_session(g, 1);
        ask(s, p->ids, p->n, &sampling);
        run_to_end(g, s, i ? &got : &want);
        if (i) check_same(backends[i / 3], &got, &want);
        if (i == 0) {
            sampling.seed++;
            ask(s, p->ids, p->n, &sampling);
            run_to_end(g, s, &got);
            CHECK(memcmp(got.ids, want.ids, sizeof *got.ids * 40) != 0, "another seed gives another text");
            sampling.seed--;
        }
        fathom_engine_close(g);
    }
    golden_close(&d);
}

/* --- text ---------------------------------------------------------------------------------------------------------- */

static const golden_prompt *chat_prompt(const golden *d, int which) {
    for (int i = 0; i < d->n_prompts; i++) {
        if (json_object_get(d->prompts[i].json, "messages") && which-- == 0) return &d->prompts[i];
    }
    check_fail(__FILE__, __LINE__, "chat prompt", "%s has none", d->dir);
}

static void chat_in_text_out(void *folder) {
    golden d;
    golden_open(&d, folder);
    fathom_engine *g = open_with(exact, folder);
    static answer a;
    for (int k = 0; k < 2; k++) {
        const golden_prompt *p = chat_prompt(&d, k);
        char *messages = json_dumps(json_object_get(p->json, "messages"), 0);
        int32_t *ids;
        size_t n;
        fathom_error e = {0};
        CHECK(fathom_encode_chat(g, NULL, messages, &ids, &n, &e) == FATHOM_OK, "%s", e.text);
        CHECK(n == (size_t)p->n && !memcmp(ids, p->ids, n * sizeof *ids), "%s: %zu ids, expected %d", p->name, n, p->n);
        fathom_session *s = open_session(g, 1);
        ask(s, ids, (int)n, &greedy);
        run_to_end(g, s, &a);
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
    fathom_engine *g = open_with(exact, folder);
    static answer whole, a;
    const golden_prompt *p = chat_prompt(&d, 0);
    fathom_session *s = open_session(g, 1);
    ask(s, p->ids, p->n, &greedy);
    run_to_end(g, s, &whole);
    size_t tried = 0;
    for (size_t from = 0; from + 5 <= whole.bytes; from++) {
        char stop[6] = {0};
        memcpy(stop, whole.text + from, 5);
        bool inside_a_character = ((unsigned char)stop[0] & 0xc0) == 0x80;
        if (inside_a_character || strlen(stop) < 5) continue;
        fathom_sampling sampling = greedy;
        sampling.stop = (const char *const[]){"never in the text", stop};
        sampling.n_stop = 2;
        ask(s, p->ids, p->n, &sampling);
        run_to_end(g, s, &a);
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
    fathom_engine *g = open_with(exact, "deepseek-llm-tiny");
    static answer a;
    const golden_prompt *p = chat_prompt(&d, 0);
    fathom_session *s = open_session(g, 1);
    /* make the third greedy token an end of sequence */
    g->setup.config.eos_ids[0] = p->ids[p->n + 2];
    fathom_sampling sampling = {.max_tokens = 10};
    ask(s, p->ids, p->n, &sampling);
    run_to_end(g, s, &a);
    CHECK(a.n == 3 && fathom_session_finish(s) == FATHOM_STOP, "%d tokens", a.n);
    char *two;
    fathom_error e = {0};
    CHECK(fathom_decode(g, a.ids, 2, true, &two, NULL, &e) == FATHOM_OK, "%s", e.text);
    CHECK(!strcmp(a.text, two), "'%s', expected '%s'", a.text, two);
    fathom_free(two);
    sampling.ignore_eos = true;
    ask(s, p->ids, p->n, &sampling);
    run_to_end(g, s, &a);
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
    fathom_options o = exact;
    fathom_error e = {0};
    fathom_engine *g;
    o.model = dir;
    CHECK(fathom_engine_open(&g, &o, &e) == FATHOM_OK, "%s", e.text);
    static answer a;
    fathom_session *s = open_session(g, 1);
    ask(s, d.prompts[1].ids, d.prompts[1].n, &greedy);
    run_to_end(g, s, &a);
    check_ids("ids", &a, d.prompts[1].ids + d.prompts[1].n, ANSWER);
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

/* --- engines ------------------------------------------------------------------------------------------------------- */

static void two_engines_live_in_one_process(void *arg) {
    (void)arg;
    static const char *const two[2] = {"deepseek-v3-tiny-fp8", "r1-distill-llama-tiny"};
    golden d[2];
    fathom_engine *g[2];
    fathom_session *s[2];
    static answer a[2];
    memset(a, 0, sizeof a);
    for (int i = 0; i < 2; i++) {
        golden_open(&d[i], two[i]);
        g[i] = open_with(exact, two[i]);
        s[i] = open_session(g[i], 1);
        ask(s[i], d[i].prompts[2].ids, d[i].prompts[2].n, &greedy);
    }
    for (int busy = 1; busy;) {
        busy = 0;
        for (int i = 0; i < 2; i++) {
            busy += step(g[i]);
            take(s[i], &a[i]);
        }
    }
    for (int i = 0; i < 2; i++) {
        check_ids(two[i], &a[i], d[i].prompts[2].ids + d[i].prompts[2].n, ANSWER);
        fathom_engine_close(g[i]);
        golden_close(&d[i]);
    }
}

static void logits_of_all_positions_are_those_of_each_alone(void *arg) {
    (void)arg;
    golden d;
    golden_open(&d, "deepseek-v3-tiny-fp8");
    fathom_engine *g = open_with((fathom_options){.logits_all = true, .threads = 2}, "deepseek-v3-tiny-fp8");
    fathom_engine *small = open_with((fathom_options){.step_rows = 5, .threads = 1}, "deepseek-v3-tiny-fp8");
    const golden_prompt *p = &d.prompts[2];
    fathom_info info;
    fathom_error e = {0};
    fathom_engine_info(g, &info);
    size_t vocab = (size_t)info.vocabulary;
    float *all = must_alloc((size_t)p->n * vocab * sizeof *all), *last = must_alloc(vocab * sizeof *last);
    CHECK(fathom_logits(g, p->ids, (size_t)p->n, true, all, &e) == FATHOM_OK, "%s", e.text);
    for (int n = 1; n <= p->n; n += 9) {
        CHECK(fathom_logits(small, p->ids, (size_t)n, false, last, &e) == FATHOM_OK, "%s", e.text);
        CHECK(!memcmp(last, all + (size_t)(n - 1) * vocab, vocab * sizeof *last), "position %d", n - 1);
    }
    CHECK(fathom_logits(small, p->ids, (size_t)p->n, true, all, &e) == FATHOM_EINVAL && strstr(e.text, "logits_all"),
          "%s", e.text);
    CHECK(fathom_logits(g, p->ids, 0, false, last, &e) == FATHOM_EINVAL);
    CHECK(fathom_logits(g, (const int32_t[]){1, -7}, 2, false, last, &e) == FATHOM_EINVAL &&
              strstr(e.text, "ids[1] is -7"),
          "%s", e.text);
    free(all);
    free(last);
    fathom_engine_close(small);
    fathom_engine_close(g);
    golden_close(&d);
}

static void bad_options_name_the_option(void *arg) {
    (void)arg;
    char *path = check_golden("deepseek-llm-tiny");
    const struct {
        fathom_options o;
        fathom_status status;
        const char *text;
    } table[] = {
        {{.model = NULL}, FATHOM_EINVAL, "model"},
        {{.model = "/does/not/exist"}, FATHOM_EIO, "/does/not/exist"},
        {{.model = path, .numerics = "w4a4"}, FATHOM_EINVAL, "numerics: 'w4a4' is not one of auto, w8a8, w8a16"},
        {{.model = path, .cache = "int8"}, FATHOM_EINVAL, "cache: 'int8' is not one of auto, f32, bf16, fp8"},
        {{.model = path, .backend = "abacus"}, FATHOM_EINVAL, "abacus"},
        {{.model = path, .context = 513},
         FATHOM_EINVAL,
         "context: 513 positions, but the model was made for at most 512"},
        {{.model = path, .context = -1}, FATHOM_EINVAL, "context"},
        {{.model = path, .sessions = -1}, FATHOM_EINVAL, "sessions"},
        {{.model = path, .sessions = 8, .step_rows = 7}, FATHOM_EINVAL, "step_rows: 7"},
        {{.model = path, .threads = -1}, FATHOM_EINVAL, "thread"},
        {{.model = path, .cache_bytes = 1000}, FATHOM_ELIMIT, "1000 bytes hold no page"},
        {{.model = path, .cache_bytes = (int64_t)1 << 45}, FATHOM_ENOMEM, "this machine has"},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        fathom_engine *g;
        fathom_error e = {0};
        fathom_status st = fathom_engine_open(&g, &table[i].o, &e);
        CHECK(st == table[i].status && e.status == st && !g, "case %zu: %d %s", i, (int)st, e.text);
        CHECK(strstr(e.text, table[i].text), "case %zu: %s", i, e.text);
    }
    free(path);
}

static void what_auto_chose_is_reported(void *arg) {
    (void)arg;
    static const struct {
        const char *folder, *architecture, *numerics, *cache;
        int32_t vocabulary, context, layers, hidden;
    } table[] = {
        {"deepseek-v3-tiny-fp8", "DeepseekV3ForCausalLM", "w8a8", "bf16", 1040, 2560, 3, 192},
        {"deepseek-llm-tiny", "LlamaForCausalLM", "w8a16", "f32", 960, 512, 3, 128},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        fathom_engine *g = open_with((fathom_options){.threads = 1}, table[i].folder);
        fathom_info f;
        fathom_engine_info(g, &f);
        CHECK(!strcmp(f.architecture, table[i].architecture) && !strcmp(f.model_name, table[i].folder), "%s %s",
              f.architecture, f.model_name);
        CHECK(!strcmp(f.numerics, table[i].numerics) && !strcmp(f.cache, table[i].cache), "%s %s", f.numerics, f.cache);
        CHECK(f.vocabulary == table[i].vocabulary && f.context == table[i].context && f.layers == table[i].layers &&
                  f.hidden == table[i].hidden,
              "%d %d %d %d", f.vocabulary, f.context, f.layers, f.hidden);
        int64_t pages = SESSIONS * ((f.context + 63) / 64);
        CHECK(f.cache_bytes == pages * 64 * f.cache_bytes_per_token && f.cache_bytes_per_token > 0 &&
              f.other_bytes > 0);
        CHECK(f.parameters > 100000 && f.file_bytes >= f.parameters && *f.backend && *f.backend_detail);
        fathom_engine_close(g);
    }
    CHECK(*fathom_version());
}

#define OF(name, what, folder) \
    { name ": " folder, what, (void *)(uintptr_t)folder }

static const check_case cases[] = {
    OF("company changes no bit", company, "deepseek-v3-tiny"),
    OF("company changes no bit", company, "deepseek-v2-lite-tiny"),
    OF("company changes no bit", company, "r1-distill-llama-tiny"),
    OF("company changes no bit in w8a8", company_w8a8, "deepseek-v3-tiny-fp8"),
    OF("a cached prefix changes nothing but the time", a_cached_prefix_changes_nothing_but_the_time,
       "deepseek-v3-tiny-fp8"),
    OF("a cached prefix changes nothing but the time", a_cached_prefix_changes_nothing_but_the_time,
       "deepseek-llm-tiny"),
    {"a seed gives the same text with any number of threads", a_seed_gives_the_same_text_with_any_number_of_threads,
     NULL},
    OF("chat in, text out", chat_in_text_out, "deepseek-v3-tiny"),
    OF("chat in, text out", chat_in_text_out, "deepseek-llm-tiny"),
    OF("chat in, text out", chat_in_text_out, "r1-distill-qwen-tiny"),
    OF("stop texts across tokens", stop_texts_across_tokens, "deepseek-v3-tiny"),
    {"an end-of-sequence token ends the answer without text", an_end_of_sequence_token_ends_the_answer_without_text,
     NULL},
    {"a model without a tokenizer speaks ids", a_model_without_a_tokenizer_speaks_ids, NULL},
    {"two engines live in one process", two_engines_live_in_one_process, NULL},
    {"logits of all positions are those of each alone", logits_of_all_positions_are_those_of_each_alone, NULL},
    {"bad options name the option", bad_options_name_the_option, NULL},
    {"what auto chose is reported", what_auto_chose_is_reported, NULL},
};
enum { N_CASES = sizeof cases / sizeof *cases };

int main(int argc, char **argv) {
    static char names[N_FOLDERS][64];
    check_case all[N_FOLDERS + N_CASES];
    for (int i = 0; i < N_FOLDERS; i++) {
        snprintf(names[i], sizeof names[i], "greedy ids: %s", folders[i]);
        all[i] = (check_case){names[i], greedy_ids, (void *)(uintptr_t)folders[i]};
    }
    memcpy(all + N_FOLDERS, cases, sizeof cases);
    return check_main(argc, argv, all, N_FOLDERS + N_CASES);
}
