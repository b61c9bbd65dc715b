/* Speculative decoding: tokens that are guessed ahead change no id, no text and no bit of an answer, whoever guesses, however
 * many and in whatever company; and the guesses are those that the golden model makes. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/engine/internal.h"
#include "tests/lib/check.h"
#include "tests/lib/golden_engine.h"
#include "tests/lib/golden_model.h"

enum { SESSIONS = 3, LONGEST = 60 };

typedef struct setting {
    const char *folder, *model, *numerics;
    bool mtp;
    bool trained; /* so that some guesses are right */
} setting;

/* What may end an answer, and what changes with the number of tokens that were made before. */
static const struct {
    const char *name;
    fathom_sampling sampling;
} ways[] = {
    {"greedy", {.max_tokens = LONGEST, .ignore_eos = true, .top_logprobs = 5}},
    {"to the end of sequence", {.max_tokens = LONGEST}},
    {"one token", {.max_tokens = 1}},
    {"two tokens", {.max_tokens = 2, .ignore_eos = true}},
    {"drawn", {.temperature = 0.7f, .top_p = 0.95f, .seed = 7, .max_tokens = LONGEST, .top_logprobs = 2}},
    {"penalties",
     {.repetition_penalty = 1.2f, .presence_penalty = 0.5f, .frequency_penalty = 0.2f, .max_tokens = LONGEST}},
    {"a stop text", {.stop = (const char *const[]){"e", "7"}, .n_stop = 2, .max_tokens = LONGEST}},
    {"to the end of the context", {.ignore_eos = true}},
};

typedef struct outcome {
    golden_answer answer[SESSIONS];
    fathom_finish finish[SESSIONS];
    fathom_usage usage[SESSIONS];
    int steps;
} outcome;

/* Three sessions that begin in turn; readers are late now and then. */
static void answer_all(fathom_engine *g, const golden *d, const fathom_sampling *p, outcome *o) {
    fathom_session *s[SESSIONS] = {0};
    memset(o, 0, sizeof *o);
    for (int busy = 1; busy || o->steps <= 2 * SESSIONS; o->steps++) {
        int i = o->steps / 2;
        if (o->steps % 2 == 0 && i < SESSIONS) {
            const golden_prompt *prompt = &d->prompts[i % d->n_prompts];
            s[i] = golden_session(g, (uint64_t)i);
            golden_ask(s[i], prompt->ids, prompt->n < 24 ? prompt->n : 24, p);
        }
        busy = golden_step(g);
        for (int k = 0; k < SESSIONS; k++)
            if (s[k] && (o->steps + k) % 5) golden_take(s[k], &o->answer[k]);
    }
    for (int k = 0; k < SESSIONS; k++) {
        golden_take(s[k], &o->answer[k]);
        o->finish[k] = fathom_session_finish(s[k]);
        o->usage[k] = fathom_session_usage(s[k]);
        CHECK(o->finish[k] != FATHOM_FAILED, "%s", fathom_session_error(s[k]));
        CHECK((size_t)snprintf(o->answer[k].text + o->answer[k].bytes, sizeof o->answer[k].text - o->answer[k].bytes,
                               "%s", fathom_session_rest(s[k])) < sizeof o->answer[k].text - o->answer[k].bytes);
        fathom_session_close(s[k]);
    }
}

static void change_nothing(void *arg) {
    const setting *set = arg;
    static const int32_t drafts[] = {1, 3, FATHOM_MOST_DRAFTS};
    static outcome want, got;
    golden d;
    golden_open(&d, set->folder);
    fathom_options o = {.numerics = set->numerics, .threads = 1, .sessions = SESSIONS, .context = 128, .step_rows = 20};
    fathom_engine *plain = golden_engine_open(o, set->model);
    int accepted = 0;
    for (size_t k = 0; k < sizeof drafts / sizeof *drafts; k++) {
        o.drafts = drafts[k];
        o.mtp = set->mtp;
        fathom_engine *guessing = golden_engine_open(o, set->model);
        for (size_t w = 0; w < sizeof ways / sizeof *ways; w++) {
            answer_all(plain, &d, &ways[w].sampling, &want);
            answer_all(guessing, &d, &ways[w].sampling, &got);
            for (int i = 0; i < SESSIONS; i++) {
                golden_same_answer(ways[w].name, &got.answer[i], &want.answer[i]);
                CHECK(!strcmp(got.answer[i].text, want.answer[i].text), "%s: '%s', expected '%s'", ways[w].name,
                      got.answer[i].text, want.answer[i].text);
                CHECK(got.finish[i] == want.finish[i], "%s: ended by %d, expected %d", ways[w].name, got.finish[i],
                      want.finish[i]);
                CHECK(want.usage[i].draft_tokens == 0 && got.usage[i].accepted_tokens <= got.usage[i].draft_tokens);
                accepted += got.usage[i].accepted_tokens;
            }
            CHECK(got.steps <= want.steps, "%s: %d steps, but %d without drafts", ways[w].name, got.steps, want.steps);
        }
        fathom_engine_close(guessing);
    }
    CHECK(accepted > 0 || !set->trained, "no guess was right");
    fathom_engine_close(plain);
    golden_close(&d);
}

/* What golden.json says of the drafts along the greedy answer: those that are made when each right one is taken. */
static void are_the_golden_ones(void *folder) {
    golden d;
    golden_open(&d, folder);
    fathom_options o = golden_exact;
    o.drafts = 1;
    o.mtp = true;
    fathom_engine *g = golden_engine_open(o, folder);
    const json_t *prompts = json_object_get(json_object_get(d.json, "mtp"), "prompts");
    static golden_answer a;
    for (int i = 0; i < d.n_prompts; i++) {
        const golden_prompt *p = &d.prompts[i];
        const json_t *stands = json_object_get(json_object_get(prompts, p->name), "accepted");
        int tried = 0, accepted = 0;
        for (int k = 0; k < p->n_greedy - 2;
             tried++) { /* the last token is not guessed: it is the last that is wanted */
            bool right = json_is_true(json_array_get(stands, (size_t)k));
            accepted += right;
            k += right ? 2 : 1;
        }
        fathom_session *s = golden_session(g, (uint64_t)i);
        golden_ask(s, p->ids, p->n, &(fathom_sampling){.max_tokens = p->n_greedy, .ignore_eos = true});
        golden_run(g, s, &a);
        golden_same_ids(p->name, &a, p->ids + p->n, p->n_greedy);
        fathom_usage u = fathom_session_usage(s);
        CHECK(u.accepted_tokens == accepted && u.draft_tokens == tried, "%s: %d of %d, expected %d of %d", p->name,
              u.accepted_tokens, u.draft_tokens, accepted, tried);
        fathom_session_close(s);
    }
    fathom_engine_close(g);
    golden_close(&d);
}

/* Guesses need room; where there is none left they are not made. */
static void need_no_page(void *folder) {
    static outcome want, got;
    golden d;
    golden_open(&d, folder);
    fathom_options o = {.threads = 1, .sessions = SESSIONS, .context = 128, .step_rows = 20};
    fathom_engine *g = golden_engine_open(o, folder);
    answer_all(g, &d, &ways[0].sampling, &want);
    o.cache_bytes = SESSIONS * 2 * fa_model_kv_layout(g->model)->page_bytes;
    fathom_engine_close(g);
    o.drafts = FATHOM_MOST_DRAFTS;
    g = golden_engine_open(o, folder);
    answer_all(g, &d, &(fathom_sampling){.ignore_eos = true}, &got);
    for (int i = 0; i < SESSIONS; i++) {
        CHECK(got.finish[i] == FATHOM_CONTEXT && got.answer[i].n > LONGEST);
        got.answer[i].n = LONGEST;
        golden_same_ids("as far as the other goes", &got.answer[i], want.answer[i].ids, LONGEST);
    }
    fathom_engine_close(g);
    golden_close(&d);
}

static void out_of_range(void *folder) {
    char *path = check_golden(folder);
    for (int32_t drafts = -1; drafts <= FATHOM_MOST_DRAFTS + 1; drafts += FATHOM_MOST_DRAFTS + 2) {
        fathom_options o = {.model = path, .drafts = drafts};
        fathom_engine *g;
        fathom_error e = {0};
        CHECK(fathom_engine_open(&g, &o, &e) == FATHOM_EINVAL && strstr(e.text, "drafts"), "%d: %s", drafts, e.text);
    }
    free(path);
}

#define SHIPPED "fathom-r1-mini", "../../models/fathom-r1-mini", "w8a8"

static setting mtp = {"deepseek-v3-tiny-mtp", "deepseek-v3-tiny-mtp", "w8a16", true, false},
               dense = {"r1-distill-qwen-tiny", "r1-distill-qwen-tiny", "w8a16", false, false},
               shipped = {SHIPPED, true, true}, repeating = {SHIPPED, false, true};

static const check_case cases[] = {
    {"drafts change nothing: MTP layer, tiny", change_nothing, &mtp},
    {"drafts change nothing: MTP layer, the shipped model", change_nothing, &shipped},
    {"drafts change nothing: what the text repeats, dense", change_nothing, &dense},
    {"drafts change nothing: what the text repeats, the shipped model", change_nothing, &repeating},
    {"drafts of the MTP layer are the golden ones", are_the_golden_ones, "deepseek-v3-tiny-mtp"},
    {"drafts take no page that an answer needs", need_no_page, "deepseek-v3-tiny-mtp"},
    {"a number of drafts out of range is refused", out_of_range, "deepseek-v3-tiny-mtp"},
};

int main(int argc, char **argv) {
    return check_main(argc, argv, cases, sizeof cases / sizeof *cases);
}
