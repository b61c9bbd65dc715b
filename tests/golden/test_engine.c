/* Whole engines through fathom.h: the golden answers, alone and in company, from the cache, with any number of threads; and
 * that the numbers behind them are the same bits each time. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/engine/internal.h"
#include "tests/lib/check.h"
#include "tests/lib/golden_engine.h"
#include "tests/lib/golden_model.h"

static const char *const folders[] = {"deepseek-v3-tiny",      "deepseek-v3-tiny-fp8", "deepseek-v3-tiny-mtp",
                                      "deepseek-v2-lite-tiny", "deepseek-v2-tiny",     "deepseek-llm-tiny",
                                      "deepseek-coder-tiny",   "r1-distill-qwen-tiny", "r1-distill-qwen-tiny-untied",
                                      "r1-distill-llama-tiny"};
enum { N_FOLDERS = sizeof folders / sizeof *folders };

/* --- golden answers ------------------------------------------------------------------------------------------------- */

static void greedy_ids(void *folder) {
    golden d;
    golden_open(&d, folder);
    fathom_engine *g = golden_engine_open(golden_exact, folder);
    golden_answer a;
    for (int i = 0; i < d.n_prompts; i++) {
        const golden_prompt *p = &d.prompts[i];
        fathom_session *s = golden_session(g, (uint64_t)i);
        golden_ask(s, p->ids, p->n, &golden_greedy);
        golden_run(g, s, &a);
        golden_same_ids(p->name, &a, p->ids + p->n, p->n_greedy);
        CHECK(fathom_session_finish(s) == FATHOM_LENGTH);
        fathom_session_close(s);
    }
    fathom_engine_close(g);
    golden_close(&d);
}

/* The logits of each session's last rows, as a hash, by position. */
typedef struct logits_log {
    uint64_t at[GOLDEN_SESSIONS][600];
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
        for (int k = 0; k < GOLDEN_SESSIONS; k++) {
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
    fathom_engine *alone = golden_engine_open(*o, folder), *together = golden_engine_open(*o, folder);
    static logits_log one, all;
    static golden_answer want, got[GOLDEN_SESSIONS];
    fathom_session *s[GOLDEN_SESSIONS] = {0};
    int n = d.n_prompts < GOLDEN_SESSIONS ? d.n_prompts : GOLDEN_SESSIONS;
    memset(got, 0, sizeof got);
    memset(&all, 0, sizeof all);
    together->run = alone->run = run_and_listen;
    for (int k = 0, busy = 1; busy || k < 3 * GOLDEN_SESSIONS; k++) {
        int i = k / 3;
        if (k % 3 == 0 && i < n) {
            const golden_prompt *p = &d.prompts[(i * 3) % d.n_prompts];
            s[i] = golden_session(together, (uint64_t)i);
            golden_ask(s[i], p->ids, p->n, &golden_greedy);
        }
        listening.engine = together;
        listening.log = &all;
        busy = golden_step(together);
        for (int j = 0; j < n; j++) {
            if (s[j] && (j + k) % 7) golden_take(s[j], &got[j]); /* now and then a reader is late */
        }
    }
    for (int i = 0; i < n; i++) {
        const golden_prompt *p = &d.prompts[(i * 3) % d.n_prompts];
        golden_take(s[i], &got[i]);
        fathom_session *single = golden_session(alone, (uint64_t)i);
        memset(&one, 0, sizeof one);
        listening.engine = alone;
        listening.log = &one;
        golden_ask(single, p->ids, p->n, &golden_greedy);
        golden_run(alone, single, &want);
        golden_same_answer(p->name, &got[i], &want);
        for (int pos = p->n - 1; pos < p->n + GOLDEN_ANSWER - 1; pos++)
            CHECK(one.at[0][pos] && all.at[i][pos] == one.at[0][pos], "%s: logits of position %d differ", p->name, pos);
        fathom_session_close(single);
    }
    fathom_engine_close(together);
    fathom_engine_close(alone);
    golden_close(&d);
}

static void company(void *folder) {
    company_changes_no_bit(folder, &golden_exact);
}

static void company_w8a8(void *folder) {
    company_changes_no_bit(folder, &(fathom_options){.numerics = "w8a8", .threads = 2});
}

/* --- the cache ------------------------------------------------------------------------------------------------------ */

static void a_cached_prefix_changes_nothing_but_the_time(void *folder) {
    golden d;
    golden_open(&d, folder);
    fathom_engine *g = golden_engine_open((fathom_options){.threads = 2}, folder); /* the cache's own default type */
    const golden_prompt *p = NULL;
    for (int i = 0; i < d.n_prompts; i++) {
        if (d.prompts[i].n >= 130) p = &d.prompts[i];
    }
    CHECK(p);
    static golden_answer first, again, cut, other;
    fathom_session *s = golden_session(g, 1), *t = golden_session(g, 1), *stranger = golden_session(g, 2);
    golden_ask(s, p->ids, p->n, &golden_greedy);
    CHECK(fathom_session_usage(s).cached_tokens == 0);
    golden_run(g, s, &first);

    golden_ask(t, p->ids, p->n, &golden_greedy);
    CHECK(fathom_session_usage(t).cached_tokens == (p->n - 1) / 64 * 64, "%d", fathom_session_usage(t).cached_tokens);
    golden_run(g, t, &again);
    golden_same_answer("from published pages", &again, &first);

    golden_ask(stranger, p->ids, p->n, &golden_greedy);
    CHECK(fathom_session_usage(stranger).cached_tokens == 0, "owners share nothing");
    golden_run(g, stranger, &other);
    golden_same_answer("another owner", &other, &first);

    /* a second turn: the prompt goes on behind the answer, all of which is in the cache but its last token */
    int32_t longer[GOLDEN_MAX_IDS + 64];
    memcpy(longer, p->ids, sizeof *longer * (size_t)p->n);
    memcpy(longer + p->n, first.ids, sizeof *longer * GOLDEN_ANSWER);
    for (int i = 0; i < 20; i++) longer[p->n + GOLDEN_ANSWER + i] = p->ids[i];
    golden_ask(s, longer, p->n + GOLDEN_ANSWER + 20, &golden_greedy);
    CHECK(fathom_session_usage(s).cached_tokens == p->n + GOLDEN_ANSWER - 1, "%d",
          fathom_session_usage(s).cached_tokens);
    golden_run(g, s, &again);
    fathom_session *fresh = golden_session(g, 3);
    golden_ask(fresh, longer, p->n + GOLDEN_ANSWER + 20, &golden_greedy);
    golden_run(g, fresh, &other);
    golden_same_answer("second turn", &again, &other);

    /* back to the first prompt, cut in the middle of a page */
    golden_ask(s, p->ids, 100, &golden_greedy);
    CHECK(fathom_session_usage(s).cached_tokens == 64);
    golden_run(g, s, &cut);
    fathom_session_close(fresh);
    fresh = golden_session(g, 4);
    golden_ask(fresh, p->ids, 100, &golden_greedy);
    golden_run(g, fresh, &other);
    golden_same_answer("shorter prompt", &cut, &other);
    fathom_engine_close(g);
    golden_close(&d);
}

/* --- sampling --------------------------------------------------------------------------------------------------------- */

static void a_seed_gives_the_same_text_with_any_number_of_threads(void *arg) {
    (void)arg;
    golden d;
    golden_open(&d, "deepseek-v3-tiny-fp8");
    static golden_answer want, got;
    const golden_prompt *p = &d.prompts[2];
    fathom_sampling sampling = {
        .temperature = 0.8f, .top_p = 0.95f, .seed = 1234, .max_tokens = 40, .ignore_eos = true};
    static const int threads[] = {1, 2, 7};
    static const char *const backends[] = {"cpu", "reference"};
    for (int i = 0; i < 6; i++) {
        fathom_engine *g = golden_engine_open(
            (fathom_options){.numerics = "w8a8", .backend = backends[i / 3], .threads = threads[i % 3]},
            "deepseek-v3-tiny-fp8");
        fathom_session *s = golden_session(g, 1);
        golden_ask(s, p->ids, p->n, &sampling);
        golden_run(g, s, i ? &got : &want);
        if (i) golden_same_answer(backends[i / 3], &got, &want);
        if (i == 0) {
            sampling.seed++;
            golden_ask(s, p->ids, p->n, &sampling);
            golden_run(g, s, &got);
            CHECK(memcmp(got.ids, want.ids, sizeof *got.ids * 40) != 0, "another seed gives another text");
            sampling.seed--;
        }
        fathom_engine_close(g);
    }
    golden_close(&d);
}

/* --- engines ------------------------------------------------------------------------------------------------------- */

static void two_engines_live_in_one_process(void *arg) {
    (void)arg;
    static const char *const two[2] = {"deepseek-v3-tiny-fp8", "r1-distill-llama-tiny"};
    golden d[2];
    fathom_engine *g[2];
    fathom_session *s[2];
    static golden_answer a[2];
    memset(a, 0, sizeof a);
    for (int i = 0; i < 2; i++) {
        golden_open(&d[i], two[i]);
        g[i] = golden_engine_open(golden_exact, two[i]);
        s[i] = golden_session(g[i], 1);
        golden_ask(s[i], d[i].prompts[2].ids, d[i].prompts[2].n, &golden_greedy);
    }
    for (int busy = 1; busy;) {
        busy = 0;
        for (int i = 0; i < 2; i++) {
            busy += golden_step(g[i]);
            golden_take(s[i], &a[i]);
        }
    }
    for (int i = 0; i < 2; i++) {
        golden_same_ids(two[i], &a[i], d[i].prompts[2].ids + d[i].prompts[2].n, GOLDEN_ANSWER);
        fathom_engine_close(g[i]);
        golden_close(&d[i]);
    }
}

static void logits_of_all_positions_are_those_of_each_alone(void *arg) {
    (void)arg;
    golden d;
    golden_open(&d, "deepseek-v3-tiny-fp8");
    fathom_engine *g = golden_engine_open((fathom_options){.logits_all = true, .threads = 2}, "deepseek-v3-tiny-fp8");
    fathom_engine *small = golden_engine_open((fathom_options){.step_rows = 5, .threads = 1}, "deepseek-v3-tiny-fp8");
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
        {"deepseek-v3-tiny-fp8", "DeepseekV3ForCausalLM", "w8a8", "f32", 1040, 2560, 3, 192},
        {"deepseek-llm-tiny", "LlamaForCausalLM", "w8a16", "f32", 960, 512, 3, 128},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        fathom_engine *g = golden_engine_open((fathom_options){.threads = 1}, table[i].folder);
        fathom_info f;
        fathom_engine_info(g, &f);
        CHECK(!strcmp(f.architecture, table[i].architecture) && !strcmp(f.model_name, table[i].folder), "%s %s",
              f.architecture, f.model_name);
        CHECK(!strcmp(f.numerics, table[i].numerics) && !strcmp(f.cache, table[i].cache), "%s %s", f.numerics, f.cache);
        CHECK(f.vocabulary == table[i].vocabulary && f.context == table[i].context && f.layers == table[i].layers &&
                  f.hidden == table[i].hidden,
              "%d %d %d %d", f.vocabulary, f.context, f.layers, f.hidden);
        int64_t pages = GOLDEN_SESSIONS * ((f.context + 63) / 64);
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
