/* Options and the model's configuration -> what an engine will be, before anything large is taken. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "host/engine/internal.h"

enum {
    AUTO_CONTEXT = 8192,
    AUTO_STEP_ROWS = 256,
    AUTO_SCORE_ROWS = 32,
    MOST_SESSIONS = 4096,
    MOST_STEP_ROWS = 1 << 16
};

static const char *const numerics_names[] = {[FA_W8A8] = "w8a8", [FA_W8A16] = "w8a16", NULL};
static const char *const cache_names[] = {
    [FA_CACHE_F32] = "f32", [FA_CACHE_BF16] = "bf16", [FA_CACHE_FP8] = "fp8", NULL};

/* The index of `word` among `names`, or `fallback` for NULL and "auto". */
static fa_status choose(const char *what, const char *word, const char *const *names, int fallback, int *out,
                        fa_error *e) {
    *out = fallback;
    if (!word || !strcmp(word, "auto")) return FA_OK;
    char known[64] = "auto";
    for (int i = 0; names[i]; i++) {
        if (!strcmp(word, names[i])) {
            *out = i;
            return FA_OK;
        }
        size_t n = strlen(known);
        snprintf(known + n, sizeof known - n, ", %s", names[i]);
    }
    return fa_fail(e, FA_EINVAL, "%s: '%s' is not one of %s", what, word, known);
}

static fa_status in_range(const char *what, int64_t value, int64_t most, fa_error *e) {
    if (value >= 0 && value <= most) return FA_OK;
    return fa_fail(e, FA_EINVAL, "%s: %lld must be in 0 .. %lld (0: chosen for you)", what, (long long)value,
                   (long long)most);
}

static fa_status read_config(fa_config *c, const char *path, fa_error *e) {
    size_t n = strlen(path);
    if (n > 5 && !strcmp(path + n - 5, ".gguf")) {
        fa_tensors *ts;
        fa_status st = fa_tensors_open(&ts, path, e);
        if (st) return st;
        st = fa_config_from_gguf(c, fa_tensors_gguf(ts), e);
        fa_tensors_close(ts);
        return st;
    }
    struct stat info;
    if (stat(path, &info) != 0) return fa_fail(e, FA_EIO, "%s: there is no such model", path);
    if (S_ISDIR(info.st_mode)) return fa_config_load(c, path, e);
    const char *slash = strrchr(path, '/');
    char *dir = slash ? strndup(path, (size_t)(slash - path) + 1) : strdup(".");
    if (!dir) return fa_fail(e, FA_ENOMEM, "%s: out of memory", path);
    fa_status st = fa_config_load(c, dir, e);
    free(dir);
    return st;
}

static fa_status choose_sizes(fa_setup *s, const fathom_options *o, fa_error *e) {
    int32_t most = s->config.max_positions;
    fa_status st = in_range("context", o->context, INT32_MAX - 1, e);
    if (!st) st = in_range("sessions", o->sessions, MOST_SESSIONS, e);
    if (!st) st = in_range("step_rows", o->step_rows, MOST_STEP_ROWS, e);
    if (!st) st = in_range("cache_bytes", o->cache_bytes, INT64_MAX, e);
    if (!st) st = in_range("score_rows", o->score_rows, MOST_STEP_ROWS, e);
    if (!st) st = in_range("drafts", o->drafts, FATHOM_MOST_DRAFTS, e);
    if (st) return st;
    if (o->context > most)
        return fa_fail(e, FA_EINVAL, "context: %d positions, but the model was made for at most %d", o->context, most);
    s->context = o->context ? o->context : most < AUTO_CONTEXT ? most : AUTO_CONTEXT;
    s->sessions = o->sessions ? o->sessions : 1;
    s->step_rows = o->step_rows ? o->step_rows : AUTO_STEP_ROWS;
    if (!o->step_rows && s->step_rows < s->sessions) s->step_rows = s->sessions;
    if (s->step_rows < s->sessions)
        return fa_fail(e, FA_EINVAL, "step_rows: %d is less than one row for each of %d sessions", s->step_rows,
                       s->sessions);
    s->score_rows = o->score_rows ? o->score_rows : AUTO_SCORE_ROWS;
    if (s->score_rows > s->step_rows) s->score_rows = s->step_rows;
    int64_t logits = s->sessions * (1 + (int64_t)o->drafts) + s->score_rows;
    s->drafts = o->drafts;
    s->logit_rows = (int32_t)(logits < s->step_rows ? logits : s->step_rows);
    return FA_OK;
}

fa_status fa_setup_make(fa_setup *s, const fathom_options *o, fa_error *e) {
    *s = (fa_setup){.logits_all = o->logits_all};
    if (!o->model || !*o->model) return fa_fail(e, FA_EINVAL, "model: no path given");
    fa_status st = read_config(&s->config, o->model, e);
    int numerics = 0, cache = 0;
    if (!st) st = choose("numerics", o->numerics, numerics_names, s->config.fp8 ? FA_W8A8 : FA_W8A16, &numerics, e);
    s->numerics = (fa_numerics)numerics;
    if (!st) st = choose("cache", o->cache, cache_names, FA_CACHE_F32, &cache, e);
    s->cache = (fa_cache_type)cache;
    return st ? st : choose_sizes(s, o, e);
}

const char *fa_setup_numerics(const fa_setup *s) {
    return numerics_names[s->numerics];
}

const char *fa_setup_cache(const fa_setup *s) {
    return cache_names[s->cache];
}

/* What this process may use: the machine's memory, or the container's part of it. */
static int64_t machine_bytes(void) {
    int64_t bytes = (int64_t)sysconf(_SC_PHYS_PAGES) * sysconf(_SC_PAGESIZE);
    FILE *f = fopen("/sys/fs/cgroup/memory.max", "re");
    if (!f) return bytes;
    long long limit;
    if (fscanf(f, "%lld", &limit) == 1 && limit < bytes) bytes = limit;
    fclose(f);
    return bytes;
}

fa_status fa_memory_check(int64_t pool_bytes, int64_t table_bytes, int64_t taken_bytes, fa_error *e) {
    int64_t sum, have = machine_bytes();
    if (__builtin_add_overflow(pool_bytes, table_bytes, &sum) || __builtin_add_overflow(sum, taken_bytes, &sum))
        sum = INT64_MAX;
    if (sum <= have) return FA_OK;
    return fa_fail(
        e, FA_ENOMEM,
        "%.1f MB of memory are needed (cache %.1f, sessions %.1f, model buffers %.1f), this machine has %.1f: "
        "choose a smaller context, fewer sessions or fewer cache bytes",
        (double)sum / 1e6, (double)pool_bytes / 1e6, (double)table_bytes / 1e6, (double)taken_bytes / 1e6,
        (double)have / 1e6);
}
