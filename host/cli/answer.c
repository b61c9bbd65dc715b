#include "host/cli/answer.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* ---- Ctrl-C ---- */

static volatile sig_atomic_t interrupted;

static void on_interrupt(int signal) {
    (void)signal;
    interrupted = 1;
}

static void watch_interrupt(struct sigaction *old) {
    struct sigaction new = {.sa_handler = on_interrupt, .sa_flags = SA_RESTART};
    interrupted = 0;
    sigemptyset(&new.sa_mask);
    sigaction(SIGINT, NULL, old);
    if (old->sa_handler == SIG_DFL) new.sa_flags |= (int)SA_RESETHAND; /* a long step must not keep the program */
    sigaction(SIGINT, &new, NULL);
}

/* ---- printing ---- */

typedef struct printer {
    cli_answer *answer;
    cli_show show;
    fa_think think;
    bool dims;      /* a terminal that may have colours */
    bool reasoning; /* reasoning was begun on the screen, and not ended */
} printer;

static void print_part(const printer *p, const fa_text *part, size_t from) {
    if (p->show != CLI_SHOW_NOTHING && part->n > from) fwrite(part->data + from, 1, part->n - from, stdout);
}

static void end_reasoning(printer *p) {
    if (!p->reasoning) return;
    fputs(p->dims ? "\033[0m" : "\n</think>", stdout);
    p->reasoning = false;
}

/* Prints what `reasoning` and `text` have beyond these lengths. */
static void print_growth(printer *p, size_t reasoning, size_t text) {
    const cli_answer *a = p->answer;
    if (a->reasoning.n > reasoning && p->show == CLI_SHOW_PARTS) {
        if (!p->reasoning) fputs(p->dims ? "\033[2m" : "<think>\n", stdout);
        p->reasoning = true;
        print_part(p, &a->reasoning, reasoning);
    }
    if (a->text.n > text) {
        if (p->reasoning) {
            end_reasoning(p);
            fputs("\n\n", stdout);
        }
        print_part(p, &a->text, text);
    }
    fflush(stdout);
}

static fa_status print(printer *p, const char *text, size_t n) {
    cli_answer *a = p->answer;
    size_t before = a->reasoning.n, before_text = a->text.n;
    fa_status s = p->show == CLI_SHOW_PLAIN || p->show == CLI_SHOW_NOTHING
                      ? fa_text_append(&a->text, text, n)
                      : fa_think_feed(&p->think, text, n, &a->reasoning, &a->text);
    if (!s) print_growth(p, before, before_text);
    return s;
}

static fa_status print_end(printer *p) {
    cli_answer *a = p->answer;
    size_t before = a->reasoning.n, before_text = a->text.n;
    fa_status s = fa_think_end(&p->think, &a->reasoning, &a->text);
    print_growth(p, before, before_text);
    end_reasoning(p);
    fflush(stdout);
    return s;
}

/* ---- the run ---- */

void cli_answer_free(cli_answer *a) {
    fa_text_free(&a->reasoning);
    fa_text_free(&a->text);
    free(a->ids);
    *a = (cli_answer){0};
}

static int64_t now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static fathom_status fail(fathom_error *e, fathom_status s, const char *text) {
    e->status = s;
    snprintf(e->text, sizeof e->text, "%s", text);
    return s;
}

static fathom_status no_memory(fathom_error *e) {
    return fail(e, FATHOM_ENOMEM, "the answer's memory ran out");
}

static fathom_status keep_id(cli_answer *a, int32_t id) {
    if (a->n_ids == a->ids_capacity) {
        size_t capacity = a->ids_capacity * 2 + 256;
        int32_t *more = realloc(a->ids, capacity * sizeof *more);
        if (!more) return FATHOM_ENOMEM;
        a->ids = more;
        a->ids_capacity = capacity;
    }
    a->ids[a->n_ids++] = id;
    return FATHOM_OK;
}

static fathom_status take_tokens(printer *p, fathom_session *session, int64_t start, fathom_error *e) {
    fathom_token token;
    while (fathom_session_next(session, &token)) {
        if (!p->answer->n_ids) p->answer->first_ns = now_ns() - start;
        if (keep_id(p->answer, token.id) || print(p, token.text, token.bytes)) return no_memory(e);
    }
    return FATHOM_OK;
}

static fathom_status run(printer *p, fathom_engine *engine, fathom_session *session, int64_t start, fathom_error *e) {
    while (fathom_session_finish(session) == FATHOM_RUNNING) {
        if (interrupted) fathom_session_cancel(session);
        int busy;
        fathom_status s = fathom_engine_step(engine, &busy, e);
        if (!s) s = take_tokens(p, session, start, e);
        if (s) return s;
    }
    const char *rest = fathom_session_rest(session);
    if (print(p, rest, strlen(rest)) || print_end(p)) return no_memory(e);
    if (fathom_session_finish(session) != FATHOM_FAILED) return FATHOM_OK;
    return fail(e, FATHOM_EINVAL, fathom_session_error(session));
}

fathom_status cli_answer_run(cli_answer *a, fathom_engine *engine, fathom_session *session, const int32_t *ids,
                             size_t n, const fathom_sampling *sampling, cli_show show, bool thinking, fathom_error *e) {
    const char *no_color = getenv("NO_COLOR");
    printer p = {.answer = a, .show = show, .think = {.inside = thinking}};
    p.dims = isatty(STDOUT_FILENO) && !(no_color && *no_color);
    *a = (cli_answer){0};
    struct sigaction old;
    watch_interrupt(&old);
    int64_t start = now_ns();
    fathom_status s = fathom_session_prompt(session, ids, n, sampling, e);
    if (!s) s = run(&p, engine, session, start, e);
    a->total_ns = now_ns() - start;
    a->finish = fathom_session_finish(session);
    a->usage = fathom_session_usage(session);
    a->interrupted = interrupted;
    sigaction(SIGINT, &old, NULL);
    return s;
}

/* ---- statistics ---- */

static double rate(int32_t tokens, int64_t ns) {
    return ns > 0 ? tokens * 1e9 / (double)ns : 0;
}

void cli_answer_print_statistics(FILE *f, const cli_answer *a, const uint64_t *seed) {
    static const char *const ends[] = {
        [FATHOM_RUNNING] = "an error",          [FATHOM_STOP] = "the model's end",
        [FATHOM_LENGTH] = "the token limit",    [FATHOM_CONTEXT] = "the full context",
        [FATHOM_CANCELLED] = "an interruption", [FATHOM_FAILED] = "an error",
    };
    const fathom_usage *u = &a->usage;
    fprintf(f, "%d prompt tokens", u->prompt_tokens);
    if (u->cached_tokens) fprintf(f, " (%d cached)", u->cached_tokens);
    fprintf(f, ", %.1f tokens/s; ", rate(u->prompt_tokens - u->cached_tokens, u->prompt_ns));
    if (a->n_ids) fprintf(f, "first token after %.2f s; ", (double)a->first_ns / 1e9);
    fprintf(f, "%d new tokens, %.1f tokens/s; ended by %s", u->new_tokens, rate(u->new_tokens, u->new_ns),
            ends[a->finish]);
    if (u->draft_tokens) fprintf(f, "; %d of %d drafts right", u->accepted_tokens, u->draft_tokens);
    if (seed) fprintf(f, "; seed %llu", (unsigned long long)*seed);
    fputc('\n', f);
}
