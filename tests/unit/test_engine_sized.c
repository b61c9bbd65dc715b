/* Structures of fathom.h between a program and a library of different age. */
#include <stddef.h>
#include <string.h>

#include "host/engine/sized.h"
#include "host/fathom.h"
#include "tests/lib/check.h"
#include "tests/lib/command.h"

enum { LATER = 8 }; /* bytes that a later version added */

typedef struct later_options {
    fathom_options now;
    char more[LATER];
} later_options;

static char *tiny;

static fathom_status open_with(const void *options, size_t size, fathom_error *e) {
    fathom_engine *engine;
    fathom_status st = fathom_engine_open_sized(&engine, options, size, e);
    fathom_engine_close(engine);
    return st;
}

static void older_program_opens_an_engine(void *arg) {
    (void)arg;
    fathom_error e;
    /* what follows is no part of the older structure */
    fathom_options o = {.model = tiny, .drafts = -1, .experts_by = "/dev/null/none"};
    CHECK(open_with(&o, sizeof o, &e) != FATHOM_OK);
    CHECK(open_with(&o, offsetof(fathom_options, score_rows), &e) == FATHOM_OK, "%s", e.text);
}

static void newer_program_opens_an_engine(void *arg) {
    (void)arg;
    fathom_error e;
    later_options o = {.now = {.model = tiny}};
    CHECK(open_with(&o, sizeof o, &e) == FATHOM_OK, "%s", e.text);
    o.more[LATER - 1] = 1;
    CHECK(open_with(&o, sizeof o, &e) == FATHOM_EINVAL);
    CHECK(!strncmp(e.text, "options: ", 9) && strstr(e.text, "later"), "%s", e.text);
}

static void newer_program_prompts(void *arg) {
    (void)arg;
    struct {
        fathom_sampling now;
        char more[LATER];
    } later = {.now = {.max_tokens = 1}};
    fathom_error e;
    fathom_engine *engine;
    fathom_session *s;
    fathom_options o = {.model = tiny};
    int32_t id = 1;
    CHECK_OK(fathom_engine_open(&engine, &o, &e), &e);
    CHECK_OK(fathom_session_open(engine, 0, &s, &e), &e);
    CHECK_OK(fathom_session_prompt_sized(s, &id, 1, &later.now, sizeof later, &e), &e);
    later.more[0] = 1;
    CHECK(fathom_session_prompt_sized(s, &id, 1, &later.now, sizeof later, &e) == FATHOM_EINVAL);
    CHECK(!strncmp(e.text, "sampling: ", 10), "%s", e.text);
    CHECK_OK(fathom_session_prompt_sized(s, &id, 1, NULL, sizeof later, &e), &e);
    fathom_engine_close(engine);
}

static void results_keep_to_the_callers_room(void *arg) {
    (void)arg;
    fathom_error e;
    fathom_engine *engine;
    fathom_options o = {.model = tiny};
    CHECK_OK(fathom_engine_open(&engine, &o, &e), &e);
    struct {
        fathom_info now;
        char more[LATER];
    } later;
    memset(&later, 0x55, sizeof later);
    fathom_engine_info_sized(engine, &later.now, offsetof(fathom_info, context));
    CHECK(later.now.vocabulary > 0 && later.now.context == 0x55555555, "%d", later.now.context);
    fathom_engine_info_sized(engine, &later.now, sizeof later);
    CHECK(later.now.context > 0);
    for (int i = 0; i < LATER; i++) CHECK(!later.more[i], "what the library does not know is zero");
    fathom_engine_close(engine);
}

int main(int argc, char **argv) {
    static const check_case cases[] = {
        {"a program of an older header opens an engine", older_program_opens_an_engine, NULL},
        {"a program of a later header opens an engine unless it uses what is new", newer_program_opens_an_engine, NULL},
        {"a program of a later header prompts unless it uses what is new", newer_program_prompts, NULL},
        {"results are as long as the caller's structure", results_keep_to_the_callers_room, NULL},
    };
    tiny = check_golden("deepseek-llm-tiny");
    return check_main(argc, argv, cases, sizeof cases / sizeof *cases);
}
