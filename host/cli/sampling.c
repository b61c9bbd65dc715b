#include "host/cli/sampling.h"

#include <string.h>
#include <sys/random.h>

#include "host/cli/common.h"

typedef enum kind { FLOAT, INT32, SEED } kind;

/* name, key, kind, field, range, what --help says: one row is one option, and one name for /set */
#define ROWS(X)                                                                                                      \
    X("max-tokens", 'n', INT32, max_tokens, 0, INT32_MAX, "N",                                                       \
      "End after N new tokens; 0 (default): when the context is full")                                               \
    X("temp", 0x3001, FLOAT, temperature, 0, 100, "X",                                                               \
      "Temperature; 0: always the likeliest token. Default: 0.6 where the model reasons (R1), 0 elsewhere and with " \
      "--ids")                                                                                                       \
    X("top-k", 0x3002, INT32, top_k, 0, INT32_MAX, "N", "Only the N likeliest tokens; 0 (default): all")             \
    X("top-p", 0x3003, FLOAT, top_p, 0, 1, "X",                                                                      \
      "Only the likeliest tokens that make up the share X. Default: 0.95 where the model reasons, else 1")           \
    X("min-p", 0x3004, FLOAT, min_p, 0, 1, "X",                                                                      \
      "Only tokens with at least X times the probability of the likeliest; 0 (default): all")                        \
    X("repeat-penalty", 0x3005, FLOAT, repetition_penalty, 0, 100, "X",                                              \
      "Divide the logits of tokens that were seen by X; 0 or 1 (default): off")                                      \
    X("presence-penalty", 0x3006, FLOAT, presence_penalty, -100, 100, "X",                                           \
      "Subtract X from the logits of tokens that were answered already")                                             \
    X("frequency-penalty", 0x3007, FLOAT, frequency_penalty, -100, 100, "X",                                         \
      "Subtract X from a token's logit as often as it was answered already")                                         \
    X("seed", 0x3008, SEED, seed, 0, 0, "N", "Same seed, same text on any machine. Default: a new one each time")

enum { KEY_STOP = 0x3100, KEY_IGNORE_EOS };

static const struct {
    const char *name;
    int key;
    kind kind;
    size_t at; /* in fathom_sampling */
    double min, max;
} rows[] = {
#define ROW(name, key, kind, field, min, max, value, help) \
    {name, key, kind, offsetof(fathom_sampling, field), min, max},
    ROWS(ROW)};

enum { N_ROWS = sizeof rows / sizeof *rows };

static const struct argp_option options[] = {
#define OPTION(name, key, kind, field, min, max, value, help) {name, key, value, 0, help, 0},
    ROWS(OPTION){"stop", KEY_STOP, "TEXT", 0,
                 "End where this text would come in the answer; may be given several times", 0},
    {"ignore-eos", KEY_IGNORE_EOS, NULL, 0, "Go on after the end-of-sequence token", 0},
    {0},
};

static fa_status set_row(cli_sampling *s, int r, const char *text, fa_error *e) {
    char *at = (char *)&s->values + rows[r].at;
    int64_t i;
    double d;
    switch (rows[r].kind) {
    case FLOAT:
        if (!cli_number(text, rows[r].min, rows[r].max, &d))
            return fa_fail(e, FA_EINVAL, "%s: expected a number in %g..%g, found '%s'", rows[r].name, rows[r].min,
                           rows[r].max, text);
        *(float *)(void *)at = (float)d;
        break;
    case INT32:
        if (!cli_int(text, (int64_t)rows[r].min, (int64_t)rows[r].max, &i))
            return fa_fail(e, FA_EINVAL, "%s: expected a whole number in %.0f..%.0f, found '%s'", rows[r].name,
                           rows[r].min, rows[r].max, text);
        *(int32_t *)(void *)at = (int32_t)i;
        break;
    case SEED:
        if (!cli_int(text, 0, INT64_MAX, &i))
            return fa_fail(e, FA_EINVAL, "%s: expected a whole number that is not negative, found '%s'", rows[r].name,
                           text);
        *(uint64_t *)(void *)at = (uint64_t)i;
        break;
    }
    s->temperature_given |= rows[r].at == offsetof(fathom_sampling, temperature);
    s->top_p_given |= rows[r].at == offsetof(fathom_sampling, top_p);
    s->seed_given |= rows[r].at == offsetof(fathom_sampling, seed);
    return FA_OK;
}

fa_status cli_sampling_set(cli_sampling *s, const char *name, const char *text, fa_error *e) {
    for (int r = 0; r < N_ROWS; r++)
        if (!strcmp(rows[r].name, name)) return set_row(s, r, text, e);
    char names[256] = "";
    for (int r = 0; r < N_ROWS; r++) snprintf(names + strlen(names), sizeof names - strlen(names), " %s", rows[r].name);
    return fa_fail(e, FA_EINVAL, "'%s' is none of%s", name, names);
}

void cli_sampling_print(FILE *f, const cli_sampling *s) {
    for (int r = 0; r < N_ROWS; r++) {
        const char *at = (const char *)&s->values + rows[r].at;
        fprintf(f, "%-18s", rows[r].name);
        switch (rows[r].kind) {
        case FLOAT: fprintf(f, "%g\n", (double)*(const float *)(const void *)at); break;
        case INT32: fprintf(f, "%d\n", *(const int32_t *)(const void *)at); break;
        case SEED: fprintf(f, "%llu\n", (unsigned long long)*(const uint64_t *)(const void *)at); break;
        }
    }
}

void cli_sampling_defaults(cli_sampling *s, bool reasons) {
    if (!s->temperature_given) s->values.temperature = reasons ? 0.6f : 0.0f;
    if (!s->top_p_given) s->values.top_p = reasons ? 0.95f : 1.0f;
    if (s->seed_given) return;
    uint32_t random = 0;
    if (getrandom(&random, sizeof random, 0) == sizeof random) s->values.seed = random;
}

static error_t parse(int key, char *arg, struct argp_state *state) {
    cli_sampling *s = state->input;
    if (key == KEY_IGNORE_EOS) {
        s->values.ignore_eos = true;
        return 0;
    }
    if (key == KEY_STOP) {
        if (!*arg) argp_error(state, "--stop: expected a text");
        if (s->values.n_stop == CLI_MAX_STOPS) argp_error(state, "--stop: at most %d texts", CLI_MAX_STOPS);
        s->stops[s->values.n_stop++] = arg;
        s->values.stop = s->stops;
        return 0;
    }
    for (int r = 0; r < N_ROWS; r++)
        if (key == rows[r].key) {
            fa_error e;
            if (set_row(s, r, arg, &e)) argp_error(state, "--%s", e.text);
            return 0;
        }
    return ARGP_ERR_UNKNOWN;
}

const struct argp cli_sampling_argp = {.options = options, .parser = parse};
