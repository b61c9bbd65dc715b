#include "host/cli/common.h"

#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "host/cli/cli.h"
#include "host/cli/shipped.h"
#include "host/cluster/cluster.h"
#include "host/text/chat.h"

int cli_fail(const char *fmt, ...) {
    va_list args;
    int saved = errno; /* for %m */
    fflush(stdout);
    fputs("fathom: ", stderr);
    va_start(args, fmt);
    errno = saved;
    vfprintf(stderr, fmt, args);
    va_end(args);
    fputc('\n', stderr);
    return CLI_ERROR;
}

int cli_parse(const struct argp *argp, int argc, char **argv, void *input) {
    return argp_parse(argp, argc, argv, 0, NULL, input) ? cli_fail("memory ran out") : 0;
}

bool cli_int(const char *text, int64_t min, int64_t max, int64_t *out) {
    char *end;
    if (isspace((unsigned char)*text)) return false;
    errno = 0;
    long long v = strtoll(text, &end, 10);
    if (end == text || *end || errno || v < min || v > max) return false;
    *out = v;
    return true;
}

bool cli_number(const char *text, double min, double max, double *out) {
    char *end;
    if (isspace((unsigned char)*text)) return false;
    double v = strtod(text, &end);
    if (end == text || *end || !(v >= min && v <= max)) return false;
    *out = v;
    return true;
}

int64_t cli_option_int(const struct argp_state *state, const char *option, const char *text, int64_t min, int64_t max) {
    int64_t v = 0;
    if (!cli_int(text, min, max, &v))
        argp_error(state, "%s: expected a whole number in %lld..%lld, found '%s'", option, (long long)min,
                   (long long)max, text);
    return v;
}

double cli_option_number(const struct argp_state *state, const char *option, const char *text, double min, double max) {
    double v = 0;
    if (!cli_number(text, min, max, &v))
        argp_error(state, "%s: expected a number in %g..%g, found '%s'", option, min, max, text);
    return v;
}

const fa_chat_family *cli_option_family(const struct argp_state *state, const char *name) {
    const fa_chat_family *f = fa_chat_find(name);
    if (!f) argp_error(state, "--chat-template: expected " CLI_FAMILIES ", found '%s'", name);
    return f;
}

fa_status cli_parse_ids(const char *text, int32_t **ids, size_t *n, fa_error *e) {
    size_t most = 1;
    for (const char *p = text; *p; p++) most += *p == ',';
    *n = 0;
    *ids = malloc(most * sizeof **ids);
    if (!*ids) return fa_fail(e, FA_ENOMEM, "ids: memory ran out");
    const char *p = text + strspn(text, " \t\r\n");
    while (*p || *n) { /* an id must follow each comma */
        char *end;
        errno = 0;
        long v = isdigit((unsigned char)*p) ? strtol(p, &end, 10) : -1;
        if (v < 0 || v > INT32_MAX || errno) break;
        (*ids)[(*n)++] = (int32_t)v;
        p = end + strspn(end, " \t\r\n");
        if (!*p) return FA_OK;
        if (*p != ',') break;
        p++;
        p += strspn(p, " \t\r\n");
    }
    if (!*p && !*n) return FA_OK;
    free(*ids);
    *ids = NULL;
    return fa_fail(e, FA_EINVAL, "ids: expected numbers with commas between them, found '%.20s'", p);
}

void cli_print_ids(FILE *f, const int32_t *ids, size_t n) {
    for (size_t i = 0; i < n; i++) fprintf(f, "%s%d", i ? "," : "", ids[i]);
    fputc('\n', f);
}

fa_status cli_read_all(FILE *f, const char *name, char **text, size_t *n, fa_error *e) {
    *text = NULL;
    *n = 0;
    size_t capacity = 0, got;
    do {
        if (capacity - *n < 4096) {
            capacity = capacity * 2 + 65536;
            char *more = realloc(*text, capacity);
            if (!more) {
                free(*text);
                *text = NULL;
                return fa_fail(e, FA_ENOMEM, "%s: memory ran out", name);
            }
            *text = more;
        }
        got = fread(*text + *n, 1, capacity - *n - 1, f);
        *n += got;
    } while (got);
    (*text)[*n] = 0;
    if (!ferror(f)) return FA_OK;
    free(*text);
    *text = NULL;
    return fa_fail(e, FA_EIO, "%s: %m", name);
}

fa_status cli_each_line(FILE *f, const char *name, fa_status (*each)(void *ctx, const json_t *line, fa_error *e),
                        void *ctx, fa_error *e) {
    char *text = NULL;
    size_t capacity = 0;
    ssize_t n;
    fa_status s = FA_OK;
    for (size_t number = 1; !s && (n = getline(&text, &capacity, f)) >= 0; number++) {
        json_error_t je;
        json_t *line = json_loadb(text, (size_t)n, JSON_DECODE_ANY | JSON_ALLOW_NUL, &je);
        s = line ? each(ctx, line, e) : fa_fail(e, FA_EFORMAT, "%s", je.text);
        if (s) fa_error_prefix(e, s, "%s: line %zu", name, number);
        json_decref(line);
        fflush(stdout);
    }
    free(text);
    if (!s && ferror(f)) s = fa_fail(e, FA_EIO, "%s: %m", name);
    return s;
}

void cli_print_text(const char *text, size_t n) {
    fwrite(text, 1, n, stdout);
    if (isatty(STDOUT_FILENO) && n && text[n - 1] != '\n') putchar('\n');
}

enum { BAR_COLUMNS = 30 };
#define BAR_AFTER_SECONDS 0.5 /* what is done sooner needs no bar */

void cli_progress(void *ctx, int64_t done, int64_t total) {
    cli_progress_bar *bar = ctx;
    if (total <= 0 || !isatty(STDERR_FILENO)) return;
    if (done >= total) {
        cli_progress_end(bar);
        return;
    }
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    double seconds = (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
    if (bar->first == 0) bar->first = seconds;
    if (seconds - bar->first < BAR_AFTER_SECONDS) return;
    int permille = (int)((double)done / (double)total * 1000);
    if (permille + 1 == bar->permille) return;
    bar->permille = permille + 1;
    char cells[BAR_COLUMNS + 1];
    memset(cells, ' ', BAR_COLUMNS);
    memset(cells, '#', (size_t)(permille * BAR_COLUMNS / 1000));
    cells[BAR_COLUMNS] = 0;
    fprintf(stderr, "\r%s [%s] %3d %%", bar->label, cells, permille / 10);
    fflush(stderr);
}

void cli_progress_end(cli_progress_bar *bar) {
    if (!bar->permille) return;
    bar->permille = 0;
    fputs("\r\033[K", stderr);
    fflush(stderr);
}

/* Started by mpirun, all ranks but the first are workers from here on. False: this one is not. */
static bool become_rank(const fathom_options *options, fa_error *e) {
    char program[PATH_MAX];
    fa_cluster_self self = fa_cluster_find_self();
    if (!options->cluster || !self.started || !self.rank) return false;
    if (!fa_cluster_program(program, e)) {
        execl(program, program, (char *)NULL);
        fa_fail(e, FA_EIO, "%s: %m", program);
    }
    return true;
}

fathom_status cli_engine_open(fathom_engine **engine, const fathom_options *options, fathom_error *e) {
    fa_error why = {0};
    if (become_rank(options, &why)) {
        e->status = (fathom_status)why.status;
        snprintf(e->text, sizeof e->text, "%s", why.text);
        return e->status;
    }
    cli_progress_bar bar = {.label = "loading"};
    fathom_options with_bar = *options;
    with_bar.progress = cli_progress;
    with_bar.progress_ctx = &bar;
    fathom_status status = fathom_engine_open(engine, &with_bar, e);
    cli_progress_end(&bar);
    return status;
}

/* ---- option parsers ---- */

static char shipped[PATH_MAX]; /* argp's callers borrow it */

static error_t parse_model(int key, char *arg, struct argp_state *state) {
    const char **model = state->input;
    switch (key) {
    case ARGP_KEY_INIT: {
        const char *from_env = getenv("FATHOM_MODEL");
        *model = from_env && *from_env ? from_env : NULL;
        return 0;
    }
    case 'm': *model = arg; return 0;
    case ARGP_KEY_END:
        if (!*model && cli_shipped_model(shipped, sizeof shipped)) *model = shipped;
        if (!*model)
            argp_error(
                state,
                "no model: give --model PATH (a model's folder or a .gguf file) or set FATHOM_MODEL; " CLI_SHIPPED_MODEL
                ", which is used otherwise, is not where `make install' puts it");
        return 0;
    }
    return ARGP_ERR_UNKNOWN;
}

static const struct argp_option model_options[] = {
    {"model", 'm', "PATH", 0,
     "The model: a folder with config.json, tokenizer.json and safetensors, or a .gguf file. "
     "Default: what FATHOM_MODEL says, else the model that ships with fathom",
     0},
    {0},
};

const struct argp cli_model_argp = {.options = model_options, .parser = parse_model};

enum {
    OPTION_BACKEND = 0x1001,
    OPTION_BOARD,
    OPTION_XCLBIN,
    OPTION_PLACEMENT,
    OPTION_NUMERICS,
    OPTION_CACHE,
    OPTION_THREADS,
    OPTION_CTX,
    OPTION_DRAFTS,
    OPTION_EXPERTS_BY,
    OPTION_CLUSTER,
    OPTION_RANKS,
    OPTION_LAUNCH,
    OPTION_DEADLINE
};

static error_t parse_engine(int key, char *arg, struct argp_state *state) {
    fathom_options *o = state->input;
    switch (key) {
    case ARGP_KEY_INIT: state->child_inputs[0] = &o->model; return 0;
    case OPTION_BACKEND: o->backend = arg; return 0;
    case OPTION_BOARD: o->board = arg; return 0;
    case OPTION_XCLBIN: o->xclbin = arg; return 0;
    case OPTION_PLACEMENT: o->placement = arg; return 0;
    case OPTION_NUMERICS: o->numerics = arg; return 0;
    case OPTION_CACHE: o->cache = arg; return 0;
    case OPTION_THREADS: o->threads = (int)cli_option_int(state, "--threads", arg, 0, 4096); return 0;
    case OPTION_CTX: o->context = (int32_t)cli_option_int(state, "--ctx", arg, 0, INT32_MAX); return 0;
    case OPTION_EXPERTS_BY: o->experts_by = arg; return 0;
    case OPTION_CLUSTER: o->cluster = arg; return 0;
    case OPTION_RANKS: o->ranks = (int32_t)cli_option_int(state, "--ranks", arg, 1, 1024); return 0;
    case OPTION_LAUNCH: o->cluster_launch = arg; return 0;
    case OPTION_DEADLINE:
        o->cluster_deadline_ms = (int32_t)(1000 * cli_option_number(state, "--cluster-deadline", arg, 0.1, 86400));
        return 0;
    case ARGP_KEY_END:
        if (!o->cluster && (o->ranks || o->cluster_launch || o->cluster_deadline_ms))
            argp_error(state, "--ranks, --cluster-launch and --cluster-deadline are for --cluster MODE");
        return 0;
    case OPTION_DRAFTS:
        o->drafts = (int32_t)cli_option_int(state, "--drafts", arg, 0, FATHOM_MOST_DRAFTS);
        o->mtp = o->drafts > 0;
        return 0;
    }
    return ARGP_ERR_UNKNOWN;
}

static const struct argp_option engine_options[] = {
    {"backend", OPTION_BACKEND, "NAME", 0,
     "auto (default), cpu, opencl or opencl:PLATFORM.DEVICE (see fathom devices), sim (a simulated board: slow, counts what "
     "the board would take), xrt:BDF (a card through XRT), xrt:emu or xrt:emu:BOARD (XRT's emulation of one), xrt-opencl:.. (the same through Xilinx's OpenCL), or reference "
     "(slow, for checking)",
     0},
    {"board", OPTION_BOARD, "NAME", 0,
     "The board of sim or xrt: a name that `fathom boards' lists (default u55c), or a file", 0},
    {"xclbin", OPTION_XCLBIN, "FILE", 0, "The image of a card (xrt:BDF), as `make xclbin' makes it", 0},
    {"placement", OPTION_PLACEMENT, "FILE", 0,
     "Spread the model over several boards, each such a backend, as `fathom plan --emit' says", 0},
    {"numerics", OPTION_NUMERICS, "NAME", 0,
     "How FP8 weights multiply: auto (default), w8a8 (activations in FP8 too) or w8a16 (activations in FP32)", 0},
    {"cache", OPTION_CACHE, "TYPE", 0,
     "What the KV cache keeps: auto (default; f32, as computed), f32, bf16 (half the bytes) or fp8 (about a quarter)",
     0},
    {"drafts", OPTION_DRAFTS, "N", 0,
     "Tokens to guess ahead in a step, by the model's multi-token-prediction layer or else by what the text repeats; the "
     "answer stays the same, bit for bit. 0 (default): none",
     0},
    {"experts-by", OPTION_EXPERTS_BY, "FILE", 0,
     "Where a device does not hold all experts: those that this trace (see fathom trace) visits most", 0},
    {"threads", OPTION_THREADS, "N", 0, "CPU threads; 0 (default): all", 0},
    {"cluster", OPTION_CLUSTER, "MODE", 0,
     "Let several processes run the model, started by Open MPI: expert (they divide the experts and the rows of a step), pipeline "
     "(the layers), both or both:STAGES. The answer stays the same, bit for bit",
     0},
    {"ranks", OPTION_RANKS, "N", 0, "Of --cluster: how many processes; 2 is the default", 0},
    {"cluster-launch", OPTION_LAUNCH, "COMMAND", 0,
     "Of --cluster: what starts them, up to -n N. Default: mpirun --oversubscribe --bind-to none; with other machines: \"mpirun --hostfile "
     "FILE\", this one first",
     0},
    {"cluster-deadline", OPTION_DEADLINE, "SECONDS", 0,
     "Of --cluster: how long a step may take before a process counts as lost; 60 is the default, 8 that of serve", 0},
    {"ctx", OPTION_CTX, "N", 0, "Positions of a sequence; 0 (default): what the model allows, at most 8192", 0},
    {0},
};

static const struct argp_child engine_children[] = {{&cli_model_argp, 0, NULL, 0}, {0}};

const struct argp cli_engine_argp = {
    .options = engine_options,
    .parser = parse_engine,
    .children = engine_children,
};
