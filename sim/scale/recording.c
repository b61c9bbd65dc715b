#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sim/scale/arrivals.h"

/* Where a file is being read. */
typedef struct reader {
    const char *path;
    int line;
    bool headed, cached; /* the names were read; they name `cached` */
    int64_t room;
} reader;

static bool whole(const char **text, int64_t min, int64_t max, int32_t *out, char end) {
    char *stop;
    long long v = strtoll(*text, &stop, 10);
    if (stop == *text || v < min || v > max || *stop != end) return false;
    *out = (int32_t)v;
    *text = stop + (end != 0);
    return true;
}

static fa_status parse(const reader *f, const char *text, fa_arrival *a, fa_error *e) {
    char *stop;
    const char *at = text;
    a->seconds = strtod(text, &stop);
    bool ok = stop != text && *stop == ',' && a->seconds >= 0 && a->seconds <= 1e9;
    at = ok ? stop + 1 : at;
    ok = ok && whole(&at, 1, 1 << 24, &a->prompt, ',') && whole(&at, 1, 1 << 24, &a->output, f->cached ? ',' : 0);
    a->cached = 0;
    if (ok && f->cached) ok = whole(&at, 0, a->prompt, &a->cached, 0);
    if (a->cached == a->prompt) a->cached--; /* the last is computed, for its logits */
    if (ok) return FA_OK;
    return fa_fail(e, FA_EFORMAT,
                   "%s:%d: expected seconds from 0, then tokens from 1 to 16777216 as in its first line%s, found '%s'",
                   f->path, f->line, f->cached ? ", cached ones at most the prompt's" : "", text);
}

static fa_status take(fa_recording *r, reader *f, const char *text, fa_error *e) {
    if (r->n == f->room) {
        int64_t room = f->room ? 2 * f->room : 4096;
        fa_arrival *more = realloc(r->item, (size_t)room * sizeof *more);
        if (!more) return fa_fail(e, FA_ENOMEM, "%s: memory ran out", f->path);
        r->item = more;
        f->room = room;
    }
    fa_arrival *a = &r->item[r->n];
    fa_status s = parse(f, text, a, e);
    if (s) return s;
    if (r->n && a->seconds < a[-1].seconds)
        return fa_fail(e, FA_EFORMAT, "%s:%d: seconds fall from %g to %g", f->path, f->line, a[-1].seconds, a->seconds);
    r->n++;
    return FA_OK;
}

static fa_status head(reader *f, const char *text, fa_error *e) {
    f->cached = !strcmp(text, "seconds,prompt,output,cached");
    f->headed = f->cached || !strcmp(text, "seconds,prompt,output");
    return f->headed ? FA_OK
                     : fa_fail(e, FA_EFORMAT,
                               "%s:%d: expected seconds,prompt,output or seconds,prompt,output,cached, found '%s'",
                               f->path, f->line, text);
}

static fa_status read_lines(fa_recording *r, reader *f, FILE *stream, fa_error *e) {
    char text[256];
    fa_status s = FA_OK;
    while (!s && fgets(text, sizeof text, stream)) {
        f->line++;
        size_t n = strlen(text);
        if (n && text[n - 1] != '\n' && !feof(stream))
            return fa_fail(e, FA_EFORMAT, "%s:%d: the line is too long", f->path, f->line);
        while (n && (text[n - 1] == '\n' || text[n - 1] == '\r')) text[--n] = 0;
        if (!n || *text == '#') continue;
        s = f->headed ? take(r, f, text, e) : head(f, text, e);
    }
    if (!s && ferror(stream)) s = fa_fail(e, FA_EIO, "%s: %m", f->path);
    return s;
}

static void measure(fa_recording *r) {
    double prompt = 0, output = 0, cached = 0;
    for (int64_t i = 0; i < r->n; i++) {
        const fa_arrival *a = &r->item[i];
        prompt += a->prompt;
        output += a->output;
        cached += a->cached;
        if (a->prompt + a->output > r->longest) r->longest = a->prompt + a->output;
    }
    r->prompt_mean = prompt / (double)r->n;
    r->output_mean = output / (double)r->n;
    r->cached_share = cached / prompt;
}

/* The first moment becomes 0; the mean gap goes behind the last. */
static void settle(fa_recording *r) {
    double start = r->item[0].seconds, last = r->item[r->n - 1].seconds - start;
    double gap = r->n > 1 && last > 0 ? last / (double)(r->n - 1) : 1;
    r->seconds = last + gap;
    for (int64_t i = 0, end; i < r->n; i = end) {
        double from = r->item[i].seconds;
        for (end = i + 1; end < r->n && r->item[end].seconds == from; end++) {
        }
        double to = end < r->n ? r->item[end].seconds : start + r->seconds;
        for (int64_t k = i; k < end; k++)
            r->item[k].seconds = from - start + (to - from) * (double)(k - i) / (double)(end - i);
    }
}

fa_status fa_recording_read(fa_recording *r, const char *path, fa_error *e) {
    *r = (fa_recording){0};
    reader f = {.path = path};
    FILE *stream = fopen(path, "r");
    if (!stream) return fa_fail(e, FA_EIO, "%s: %m", path);
    fa_status s = read_lines(r, &f, stream, e);
    fclose(stream);
    if (!s && !r->n)
        s = fa_fail(e, FA_EFORMAT, "%s: no requests: expected seconds,prompt,output and a line for each", path);
    if (s) return s;
    measure(r);
    settle(r);
    return FA_OK;
}

void fa_recording_free(fa_recording *r) {
    free(r->item);
    *r = (fa_recording){0};
}
