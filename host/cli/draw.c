/* fathom draw: pictures from a text, by models that draw (Janus-Pro). */
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include "host/cli/board_use.h"
#include "host/cli/cli.h"
#include "host/cli/common.h"
#include "host/cli/parts.h"
#include "host/image/image.h"

enum { MOST_PICTURES = 1000, AT_ONCE = 4, CONTEXT = 1024 };

typedef struct settings {
    fathom_options engine;
    fathom_sampling sampling;
    const char *prompt, *out;
    float guidance;
    int32_t pictures;
    bool seeded, quiet;
} settings;

enum { OPTION_SEED = 0x4001, OPTION_GUIDANCE, OPTION_TEMPERATURE, OPTION_TOP_K, OPTION_TOP_P };

static void check_settings(const settings *s, struct argp_state *state) {
    if (!s->prompt && isatty(STDIN_FILENO))
        argp_error(state, "no prompt: say what to draw, as an argument or on standard input");
    if (!s->out) {
        argp_error(state, "no file: -o FILE says where the picture goes");
        return;
    }
    if (strcmp(s->out, "-")) return;
    if (s->pictures > 1) argp_error(state, "-o -: standard output takes one picture, not %d", s->pictures);
    if (isatty(STDOUT_FILENO)) argp_error(state, "-o -: a picture is nothing for a terminal");
}

static error_t parse(int key, char *arg, struct argp_state *state) {
    settings *s = state->input;
    fathom_sampling *p = &s->sampling;
    switch (key) {
    case ARGP_KEY_INIT: state->child_inputs[0] = &s->engine; return 0;
    case 'o': s->out = arg; return 0;
    case 'n': s->pictures = (int32_t)cli_option_int(state, "-n", arg, 1, MOST_PICTURES); return 0;
    case OPTION_SEED:
        p->seed = (uint64_t)cli_option_int(state, "--seed", arg, 0, INT64_MAX - MOST_PICTURES);
        s->seeded = true;
        return 0;
    case OPTION_GUIDANCE: s->guidance = (float)cli_option_number(state, "--guidance", arg, 0, 1000); return 0;
    case OPTION_TEMPERATURE: p->temperature = (float)cli_option_number(state, "--temperature", arg, 0, 100); return 0;
    case OPTION_TOP_K: p->top_k = (int32_t)cli_option_int(state, "--top-k", arg, 0, INT32_MAX); return 0;
    case OPTION_TOP_P: p->top_p = (float)cli_option_number(state, "--top-p", arg, 0, 1); return 0;
    case 'q': s->quiet = true; return 0;
    case ARGP_KEY_ARG:
        if (s->prompt) argp_error(state, "more than one prompt: put quotes around it");
        s->prompt = arg;
        return 0;
    case ARGP_KEY_END: check_settings(s, state); return 0;
    }
    return ARGP_ERR_UNKNOWN;
}

static const struct argp_option options[] = {
    {"output", 'o', "FILE", 0, "The picture's file (PNG); -: standard output. Several: a number before its ending", 0},
    {"count", 'n', "N", 0, "Draw N pictures: of the seed, the one after it, ...; default 1", 0},
    {"seed", OPTION_SEED, "N", 0, "Same seed, same picture on any machine. Default: a new one each time", 0},
    {"guidance", OPTION_GUIDANCE, "X", 0,
     "How strongly the prompt counts against no prompt; 1: as the model says, default 5", 0},
    {"temperature", OPTION_TEMPERATURE, "X", 0, "0: always the likeliest code; default 1", 0},
    {"top-k", OPTION_TOP_K, "N", 0, "Only the N likeliest codes; 0 (default): all", 0},
    {"top-p", OPTION_TOP_P, "X", 0, "Only the likeliest codes that make up the share X; default 1", 0},
    {"quiet", 'q', NULL, 0, "No statistics on standard error", 0},
    {0},
};

static const struct argp_child children[] = {
    {&cli_engine_argp, 0, "Model and machine:", 1},
    {0},
};

static const struct argp argp = {
    .options = options,
    .parser = parse,
    .args_doc = "[PROMPT]",
    .doc =
        "Draw what PROMPT, or standard input, says. The model must be one that draws: Janus-Pro.\v"
        "Where --ctx is not given, it is 1024 positions, enough for a prompt of 448 tokens. Ctrl-C ends the drawing and "
        "writes nothing.\n"
        "\n"
        "Examples:\n"
        "  fathom draw --model DIR \"A fox in the snow, oil on canvas\" -o fox.png\n"
        "  fathom draw --model DIR -n 4 --seed 1 -o fox.png \"A fox in the snow\"    # fox-1.png ... fox-4.png",
    .children = children,
};

/* What the command holds; release() gives it back. */
typedef struct studio {
    const settings *settings;
    fathom_engine *engine;
    fathom_info info;
    int32_t *ids;
    size_t n_ids;
    fathom_session *session[AT_ONCE];
    int32_t picture[AT_ONCE]; /* that the session draws, from 0 */
    int n_sessions;
    int32_t begun, done;
    cli_progress_bar bar;
    fathom_device start;
} studio;

static void release(studio *d) {
    cli_progress_end(&d->bar);
    for (int i = 0; i < d->n_sessions; i++) fathom_session_close(d->session[i]);
    fathom_engine_close(d->engine);
    fathom_free(d->ids);
}

static int encode(studio *d) {
    const settings *s = d->settings;
    fathom_error e = {0};
    fa_error bad = {0};
    char *input = NULL;
    size_t n = s->prompt ? strlen(s->prompt) : 0;
    if (!s->prompt) {
        if (cli_read_all(stdin, "standard input", &input, &n, &bad)) return cli_fail("%s", bad.text);
        n -= n && input[n - 1] == '\n';
    }
    int code = CLI_OK;
    if (fathom_encode_drawing(d->engine, s->prompt ? s->prompt : input, n, &d->ids, &d->n_ids, &e))
        code = cli_fail("%s", e.text);
    free(input);
    return code;
}

/* As many positions as a picture and its prompt take, or as the model was made for. */
static int choose_context(settings *s) {
    fa_error e = {0};
    cli_files f;
    if (s->engine.context) return CLI_OK;
    if (cli_files_open(&f, s->engine.model, &e)) return cli_fail("%s", e.text);
    s->engine.context = f.config.max_positions < CONTEXT ? f.config.max_positions : CONTEXT;
    cli_files_close(&f);
    return CLI_OK;
}

static int open_studio(studio *d, settings *s) {
    fathom_error e = {0};
    d->n_sessions = s->pictures < AT_ONCE ? s->pictures : AT_ONCE;
    s->engine.sessions = 2 * d->n_sessions; /* each holds two sequences in the cache */
    if (cli_engine_open(&d->engine, &s->engine, &e)) return cli_fail("%s", e.text);
    fathom_engine_info(d->engine, &d->info);
    if (!d->info.drawing_side)
        return cli_fail("%s does not draw pictures: choose a Janus-Pro model with --model", d->info.model_name);
    int n = d->n_sessions;
    for (d->n_sessions = 0; d->n_sessions < n; d->n_sessions++)
        if (fathom_session_open(d->engine, 0, &d->session[d->n_sessions], &e)) return cli_fail("%s", e.text);
    fathom_engine_device(d->engine, &d->start);
    return CLI_OK;
}

/* The session goes on with the next picture, if there is one. */
static int begin(studio *d, int i) {
    const settings *s = d->settings;
    if (d->begun == s->pictures) return CLI_OK;
    fathom_error e = {0};
    fathom_sampling p = s->sampling;
    d->picture[i] = d->begun++;
    p.seed += (uint64_t)d->picture[i];
    if (fathom_session_draw(d->session[i], d->ids, d->n_ids, &p, s->guidance, &e)) return cli_fail("%s", e.text);
    return CLI_OK;
}

/* "fox.png" -> "fox-2.png", malloc'd. */
static char *numbered(const char *file, int32_t number) {
    const char *slash = strrchr(file, '/'), *dot = strrchr(slash ? slash : file, '.');
    int stem = (int)(dot ? dot - file : (long)strlen(file));
    char *name = NULL;
    return asprintf(&name, "%.*s-%d%s", stem, file, number, dot ? dot : "") < 0 ? NULL : name;
}

static int write_output(const fa_image *image) {
    fa_error e = {0};
    uint8_t *bytes;
    size_t n;
    if (fa_image_encode_png(image, &bytes, &n, &e)) return cli_fail("%s", e.text);
    bool ok = fwrite(bytes, 1, n, stdout) == n;
    free(bytes);
    return ok ? CLI_OK : cli_fail("standard output: %m");
}

static int save(studio *d, int i) {
    const settings *s = d->settings;
    fa_error e = {0};
    const uint8_t *rgb;
    int32_t side;
    if (!fathom_session_drawn(d->session[i], &rgb, &side)) return cli_fail("%s", fathom_session_error(d->session[i]));
    const fa_image image = {.width = side, .height = side, .rgb = (uint8_t *)rgb};
    d->done++;
    if (!strcmp(s->out, "-")) return write_output(&image);
    char *name = s->pictures > 1 ? numbered(s->out, d->picture[i] + 1) : strdup(s->out);
    if (!name) return cli_fail("memory ran out");
    int code = fa_image_write_png(&image, name, &e) ? cli_fail("%s", e.text) : CLI_OK;
    free(name);
    return code;
}

static void show_progress(studio *d) {
    int64_t of_one = 0, sum = 0;
    for (int i = 0; i < d->n_sessions; i++) {
        int32_t done, total;
        fathom_session_drawing_progress(d->session[i], &done, &total);
        if (fathom_session_finish(d->session[i]) == FATHOM_RUNNING) sum += done;
        of_one = total > of_one ? total : of_one;
    }
    if (of_one) cli_progress(&d->bar, d->done * of_one + sum, d->settings->pictures * of_one);
}

static int draw(studio *d) {
    fathom_error e = {0};
    int code = CLI_OK, busy = 1;
    for (int i = 0; i < d->n_sessions && !code; i++) code = begin(d, i);
    while (busy && !code) {
        if (fathom_engine_step(d->engine, &busy, &e)) return cli_fail("%s", e.text);
        show_progress(d);
        for (int i = 0; i < d->n_sessions && !code; i++) {
            fathom_token code_made;
            while (fathom_session_next(d->session[i], &code_made)) continue;
            if (d->picture[i] < 0 || fathom_session_finish(d->session[i]) == FATHOM_RUNNING) continue;
            code = save(d, i);
            d->picture[i] = -1;
            busy |= d->begun < d->settings->pictures;
            if (!code) code = begin(d, i);
        }
    }
    return code;
}

static double seconds(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static void print_statistics(const studio *d, double took) {
    const settings *s = d->settings;
    int64_t codes = (int64_t)s->pictures * d->info.drawing_codes;
    fprintf(stderr, "%d picture%s of %d x %d pixels, %d codes each, in %.1f s (%.1f codes/s); seed %llu\n", s->pictures,
            s->pictures == 1 ? "" : "s", d->info.drawing_side, d->info.drawing_side, d->info.drawing_codes, took,
            (double)codes / took, (unsigned long long)s->sampling.seed);
    cli_print_board_use(stderr, d->engine, &d->start, (int32_t)(codes + (int64_t)d->n_ids * s->pictures));
}

int cli_draw(int argc, char **argv) {
    settings s = {.guidance = 5, .pictures = 1, .sampling.temperature = 1};
    studio d = {.settings = &s, .bar.label = "drawing"};
    if (cli_parse(&argp, argc, argv, &s)) return CLI_ERROR;
    uint32_t random = 0;
    if (!s.seeded && getrandom(&random, sizeof random, 0) == sizeof random) s.sampling.seed = random;
    int code = choose_context(&s);
    if (!code) code = open_studio(&d, &s);
    if (!code) code = encode(&d);
    double start = seconds();
    if (!code) code = draw(&d);
    if (!code && !s.quiet) print_statistics(&d, seconds() - start);
    release(&d);
    return code;
}
