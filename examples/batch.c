/* batch MODEL TEXT...: continues several texts at a time. Each has a session of its own; a step computes one token of all of them and
 * reads the weights once. Each text comes out as it would alone, bit for bit. */
#include <fathom.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void must(fathom_status status, const fathom_error *e) {
    if (!status) return;
    fprintf(stderr, "%s\n", e->text);
    exit(1);
}

int main(int argc, char **argv) {
    enum { MOST = 64, TEXT = 4096 };
    int count = argc - 2;
    if (count < 1 || count > MOST) return fprintf(stderr, "usage: batch MODEL TEXT... (at most %d)\n", MOST), 2;
    fathom_error e;
    fathom_engine *engine;
    fathom_session *sessions[MOST];
    static char answers[MOST][TEXT];
    size_t used[MOST] = {0};
    fathom_options options = {.model = argv[1], .sessions = count, .context = 512};
    must(fathom_engine_open(&engine, &options, &e), &e);

    fathom_sampling sampling = {.max_tokens = 24};
    for (int i = 0; i < count; i++) {
        int32_t *ids;
        size_t n;
        must(fathom_encode(engine, argv[2 + i], strlen(argv[2 + i]), true, &ids, &n, &e), &e);
        must(fathom_session_open(engine, 0, &sessions[i], &e), &e);
        must(fathom_session_prompt(sessions[i], ids, n, &sampling, &e), &e);
        fathom_free(ids);
    }
    int busy = 1;
    while (busy) {
        must(fathom_engine_step(engine, &busy, &e), &e);
        for (int i = 0; i < count; i++)
            for (fathom_token token; fathom_session_next(sessions[i], &token);)
                used[i] += (size_t)snprintf(answers[i] + used[i], TEXT - used[i], "%s", token.text);
    }
    for (int i = 0; i < count; i++) {
        fathom_usage usage = fathom_session_usage(sessions[i]);
        printf("%s ->%s (%d tokens)\n", argv[2 + i], answers[i], usage.new_tokens);
    }
    fathom_engine_close(engine);
    return 0;
}
