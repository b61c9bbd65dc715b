/* bench_model [THREADS]: whole models against what this machine can do at most. Prints JSON lines:
 *   read_rate, kernel_rate   bytes/s: reading memory; the FP8 kernel on a block that stays in L2
 *   decode                   tokens/s and weight bytes/s of generated FP8 models, as a share of the smaller of those rates
 *   start                    seconds from exec to the first token of a 2 GB model that is in the page cache
 *   memory                   resident bytes beyond the mapped files and the KV cache
 * Models are generated below $FATHOM_BENCH_MODELS, next to them make_model is found by $FATHOM_BUILD; $FATHOM_BIN is fathom. */
#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/base/cpu.h"
#include "tests/lib/measure.h"

typedef struct limits {
    double read, kernel; /* bytes/s */
} limits;

static char *text_of(const char *fmt, ...) {
    char *text;
    va_list args;
    va_start(args, fmt);
    if (vasprintf(&text, fmt, args) < 0) abort();
    va_end(args);
    return text;
}

static const char *setting(const char *name, const char *otherwise) {
    const char *value = getenv(name);
    return value && *value ? value : otherwise;
}

static void print_line(json_t *line) {
    json_dumpf(line, stdout, JSON_COMPACT | JSON_REAL_PRECISION(5));
    putchar('\n');
    fflush(stdout);
    json_decref(line);
}

static limits measure_limits(int threads) {
    fa_error e = {0};
    limits l = {measure_read_rate(threads), measure_kernel_rate("cpu", FA_W8A8, threads, &e)};
    if (*e.text) fprintf(stderr, "bench_model: %s\n", e.text);
    print_line(json_pack("{s:s, s:i, s:f}", "measure", "read_rate", "threads", threads, "bytes_per_s", l.read));
    print_line(json_pack("{s:s, s:i, s:f}", "measure", "kernel_rate", "threads", threads, "bytes_per_s", l.kernel));
    return l;
}

/* Generates the model if it is not there and reads it once, so that it lies in the page cache; its folder, or NULL. */
static char *prepare(const char *shape) {
    char *folder = text_of("%s/%s", setting("FATHOM_BENCH_MODELS", "build/bench-models"), shape);
    char *command = text_of("mkdir -p '%s' && '%s/tests/bench/make_model' %s '%s' && cat '%s'/*.safetensors >/dev/null",
                            folder, setting("FATHOM_BUILD", "build"), shape, folder, folder);
    int bad = system(command);
    free(command);
    if (!bad) return folder;
    fprintf(stderr, "bench_model: cannot make %s\n", folder);
    free(folder);
    return NULL;
}

/* The line of `fathom bench` with the fastest decoding; NULL when it failed. */
static json_t *best_run(const char *folder, int threads) {
    char *command =
        text_of("'%s' bench --model '%s' --threads %d --numerics w8a8 --backend cpu --prompt 32 -n 24 --repeat 8",
                setting("FATHOM_BIN", "build/fathom"), folder, threads);
    FILE *f = popen(command, "r");
    char line[4096];
    json_t *best = NULL;
    while (f && fgets(line, sizeof line, f)) {
        json_t *one = json_loads(line, 0, NULL);
        double rate = json_real_value(json_object_get(one, "decode_tokens_per_s"));
        if (one && (!best || rate > json_real_value(json_object_get(best, "decode_tokens_per_s")))) {
            json_decref(best);
            best = json_incref(one);
        }
        json_decref(one);
    }
    if (f) pclose(f);
    free(command);
    return best;
}

static int bench_decode(const char *shape, int threads) {
    char *folder = prepare(shape);
    if (!folder) return 1;
    limits l = measure_limits(threads);
    json_t *run = best_run(folder, threads);
    free(folder);
    if (!run) return 1;
    double limit = l.read < l.kernel ? l.read : l.kernel;
    double rate = json_real_value(json_object_get(run, "weight_bytes_per_s"));
    json_int_t files = json_integer_value(json_object_get(run, "file_bytes"));
    json_int_t cache = json_integer_value(json_object_get(run, "cache_bytes"));
    json_int_t resident = json_integer_value(json_object_get(run, "peak_resident_bytes"));
    print_line(json_pack("{s:s, s:s, s:s, s:i, s:O, s:O, s:O, s:f, s:f, s:f}", "measure", "decode", "model", shape,
                         "numerics", "w8a8", "threads", threads, "tokens_per_s",
                         json_object_get(run, "decode_tokens_per_s"), "prompt_tokens_per_s",
                         json_object_get(run, "prompt_tokens_per_s"), "weight_bytes_per_token",
                         json_object_get(run, "weight_bytes_per_token"), "bytes_per_s", rate, "limit_bytes_per_s",
                         limit, "percent", 100 * rate / limit));
    print_line(json_pack("{s:s, s:s, s:I, s:I, s:I, s:I}", "measure", "memory", "model", shape, "peak_resident_bytes",
                         resident, "file_bytes", files, "cache_bytes", cache, "beyond_bytes",
                         resident - files - cache));
    json_decref(run);
    return 0;
}

/* From starting the program to the first byte of its answer. */
static int bench_start(const char *shape, int threads) {
    char *folder = prepare(shape);
    if (!folder) return 1;
    char *command =
        text_of("exec '%s' run --model '%s' --threads %d --ids 1,2,3,4 -n 1 --temp 0 --ignore-eos --print-ids 2>&1",
                setting("FATHOM_BIN", "build/fathom"), folder, threads);
    int bad = 0;
    for (int i = 0; i < 3 && !bad; i++) {
        double start = measure_now();
        FILE *f = popen(command, "r");
        int c = f ? fgetc(f) : EOF;
        double first = measure_now() - start;
        while (f && fgetc(f) != EOF) {
        }
        bad = !f || pclose(f) || c == EOF;
        if (!bad)
            print_line(json_pack("{s:s, s:s, s:i, s:f}", "measure", "start", "model", shape, "threads", threads,
                                 "first_token_s", first));
    }
    free(command);
    free(folder);
    return bad;
}

int main(int argc, char **argv) {
    int threads = argc > 1 ? atoi(argv[1]) : 2;
    char name[64];
    fa_isa isa;
    fa_error e;
    fa_cpu_name(name, sizeof name);
    if (fa_isa_select(&isa, &e)) {
        fprintf(stderr, "bench_model: %s\n", e.text);
        return 1;
    }
    print_line(json_pack("{s:s, s:s, s:s}", "measure", "machine", "cpu", name, "isa", fa_isa_name(isa)));
    int bad = bench_decode("llama-1gb", threads);
    bad |= bench_decode("v3-moe-1gb", threads);
    bad |= bench_start("llama-2gb", threads);
    return bad;
}
