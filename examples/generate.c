/* generate MODEL QUESTION: loads a model, asks one question in its chat template and shows the answer as it comes. */
#include <fathom.h>
#include <stdio.h>

static int fail(const fathom_error *e) {
    fprintf(stderr, "%s\n", e->text);
    return 1;
}

/* The question as a conversation of one message; a real program would let a JSON library escape it. */
static fathom_status encode(fathom_engine *engine, const char *question, int32_t **ids, size_t *n, fathom_error *e) {
    char messages[4096];
    snprintf(messages, sizeof messages, "[{\"role\": \"user\", \"content\": \"%s\"}]", question);
    return fathom_encode_chat(engine, NULL, messages, ids, n, e);
}

int main(int argc, char **argv) {
    if (argc != 3) return fprintf(stderr, "usage: generate MODEL QUESTION\n"), 2;
    fathom_error e;
    fathom_engine *engine;
    fathom_session *session;
    fathom_options options = {.model = argv[1]};
    if (fathom_engine_open(&engine, &options, &e)) return fail(&e);

    int32_t *ids;
    size_t n;
    fathom_sampling sampling = {.temperature = 0.6f, .top_p = 0.95f, .seed = 1};
    if (encode(engine, argv[2], &ids, &n, &e) || fathom_session_open(engine, 0, &session, &e) ||
        fathom_session_prompt(session, ids, n, &sampling, &e))
        return fail(&e);
    fathom_free(ids);

    int busy = 1;
    while (busy) {
        if (fathom_engine_step(engine, &busy, &e)) return fail(&e);
        for (fathom_token token; fathom_session_next(session, &token);) {
            fwrite(token.text, 1, token.bytes, stdout);
            fflush(stdout);
        }
    }
    if (fathom_session_finish(session) == FATHOM_FAILED)
        return fprintf(stderr, "%s\n", fathom_session_error(session)), 1;
    printf("%s\n", fathom_session_rest(session));
    fathom_session_close(session);
    fathom_engine_close(engine);
    return 0;
}
