/* event_loop MODEL: answers each line of standard input, in a program whose own loop waits for events. A step of the engine is short, so it is
 * made between two looks at the events: with poll() that does not wait while answers go on, and waits when there is nothing to compute.
 * A new line while an answer comes abandons that answer. */
#include <fathom.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void must(fathom_status status, const fathom_error *e) {
    if (!status) return;
    fprintf(stderr, "%s\n", e->text);
    exit(1);
}

typedef struct loop {
    fathom_engine *engine;
    fathom_session *session;
    char line[1024];
    size_t used;
    int busy; /* answers that go on */
    int open; /* standard input has not ended */
} loop;

static void ask(loop *l, const char *text) {
    static const fathom_sampling sampling = {.max_tokens = 32};
    fathom_error e;
    int32_t *ids;
    size_t n;
    must(fathom_encode(l->engine, text, strlen(text), true, &ids, &n, &e), &e);
    must(fathom_session_prompt(l->session, ids, n, &sampling, &e), &e);
    fathom_free(ids);
    l->busy = 1;
}

/* What came in; a whole line becomes a question. */
static void on_input(loop *l) {
    ssize_t n = read(STDIN_FILENO, l->line + l->used, sizeof l->line - 1 - l->used);
    if (n <= 0) {
        l->open = 0;
        return;
    }
    l->used += (size_t)n;
    l->line[l->used] = 0;
    char *end = strchr(l->line, '\n');
    if (!end && l->used + 1 < sizeof l->line) return;
    if (end) *end = 0;
    l->used = 0;
    ask(l, l->line);
}

static void step(loop *l) {
    fathom_error e;
    must(fathom_engine_step(l->engine, &l->busy, &e), &e);
    for (fathom_token token; fathom_session_next(l->session, &token);) printf("%s", token.text);
    if (!l->busy) printf("%s\n", fathom_session_rest(l->session));
    fflush(stdout);
}

int main(int argc, char **argv) {
    if (argc != 2) return fprintf(stderr, "usage: event_loop MODEL\n"), 2;
    fathom_error e;
    loop l = {.open = 1};
    fathom_options options = {.model = argv[1]};
    must(fathom_engine_open(&l.engine, &options, &e), &e);
    must(fathom_session_open(l.engine, 0, &l.session, &e), &e);
    while (l.open || l.busy) {
        struct pollfd input = {.fd = l.open ? STDIN_FILENO : -1, .events = POLLIN};
        if (poll(&input, 1, l.busy ? 0 : -1) > 0) on_input(&l);
        if (l.busy) step(&l);
    }
    fathom_engine_close(l.engine);
    return 0;
}
