/* Reads board files: inih splits lines, the table of fields.c says what a value may be, and every value carries its source. */
#include "boards/board.h"

#include <ctype.h>
#include <ini.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "boards/fields.h"
#include "host/base/file.h"

enum { LINE = 190, SOURCES = 16, TAG = 8 }; /* inih's own limit is 200 */

typedef struct source {
    char tag[TAG], text[LINE];
} source;

typedef struct reading {
    fa_board *board;
    const char *file;
    const char *at, *end; /* what inih has not seen yet */
    int line;
    int line_of[FA_FIELDS]; /* where a fact was given; 0: not */
    char value[FA_FIELDS][LINE], source_of[FA_FIELDS][LINE];
    source sources[SOURCES];
    int n_sources;
    fa_status status; /* of the first thing that was wrong */
    int wrong_line;
    fa_error *error;
} reading;

__attribute__((format(printf, 3, 4))) static int wrong(reading *r, int line, const char *fmt, ...) {
    if (r->status) return 0;
    r->wrong_line = line;
    char text[FA_ERROR_TEXT];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    r->status = fa_fail(r->error, FA_EFORMAT, "%s:%d: %s", r->file, line, text);
    return 0;
}

/* fgets for inih. Spaces before a line go, because inih would take an indented line for more of the one above. */
static char *next_line(char *to, int size, void *context) {
    reading *r = context;
    if (r->at == r->end || r->status) return NULL;
    const char *newline = memchr(r->at, '\n', (size_t)(r->end - r->at));
    const char *from = r->at, *stop = newline ? newline + 1 : r->end;
    r->line++;
    while (from < stop && (*from == ' ' || *from == '\t')) from++;
    size_t n = (size_t)(stop - from);
    if (n >= LINE || n >= (size_t)size) {
        wrong(r, r->line, "the line is longer than %d characters; put long notes on lines that start with ;", LINE - 1);
        return NULL;
    }
    if (memchr(from, 0, n)) {
        wrong(r, r->line, "a NUL character; a board file is text");
        return NULL;
    }
    memcpy(to, from, n);
    to[n] = 0;
    r->at = stop;
    return to;
}

static bool has_word(const char *text, const char *word) {
    size_t n = strlen(word);
    for (const char *p = text; (p = strstr(p, word)); p += n)
        if ((p == text || !isalnum((unsigned char)p[-1])) && !isalnum((unsigned char)p[n])) return true;
    return false;
}

/* A source is a tag of [sources], words with one in them ("derived: 870720 - 112760, S7"), or a reason of ours. */
static bool source_is_known(const reading *r, const char *text, bool *assumed) {
    static const char assumption[] = "assumed: ", choice[] = "chosen: ";
    *assumed = !strncmp(text, assumption, sizeof assumption - 1);
    if (*assumed) return text[sizeof assumption - 1];
    if (!strncmp(text, choice, sizeof choice - 1)) return text[sizeof choice - 1];
    for (int i = 0; i < r->n_sources; i++)
        if (has_word(text, r->sources[i].tag)) return true;
    return false;
}

static int take_source(reading *r, const char *tag, const char *text) {
    if (r->n_sources == SOURCES) return wrong(r, r->line, "more than %d sources", SOURCES);
    if (!*tag) return wrong(r, r->line, "sources: a tag has a name, TAG = TEXT");
    if (strlen(tag) >= TAG) return wrong(r, r->line, "sources.%s: a tag has at most %d characters", tag, TAG - 1);
    for (int i = 0; i < r->n_sources; i++)
        if (!strcmp(r->sources[i].tag, tag)) return wrong(r, r->line, "sources.%s is given twice", tag);
    if (!*text) return wrong(r, r->line, "sources.%s is empty", tag);
    source *s = &r->sources[r->n_sources++];
    snprintf(s->tag, sizeof s->tag, "%s", tag);
    snprintf(s->text, sizeof s->text, "%s", text);
    return 1;
}

static int store_number(reading *r, const fa_field *f, const char *text) {
    char *end;
    double v = strtod(text, &end);
    bool plain = *text && !*end && strspn(text, "0123456789.eE+-") == strlen(text);
    bool whole = f->kind == FA_FIELD_REAL || v == floor(v);
    if (!plain || !whole || v < f->min || v > f->max)
        return wrong(r, r->line, "%s: expected %s number from %.15g to %.15g%s%s, found '%s'", f->name,
                     f->kind == FA_FIELD_REAL ? "a" : "a whole", f->min, f->max, *f->unit ? " " : "", f->unit, text);
    void *member = (char *)r->board + f->offset;
    int32_t small = f->kind == FA_FIELD_I32 ? (int32_t)v : 0;
    int64_t large = f->kind == FA_FIELD_I64 ? (int64_t)(v * f->scale) : 0;
    double real = v * f->scale;
    memcpy(member,
           f->kind == FA_FIELD_I32   ? (void *)&small
           : f->kind == FA_FIELD_I64 ? (void *)&large
                                     : &real,
           f->size);
    return 1;
}

static int store_choice(reading *r, const fa_field *f, const char *text) {
    char list[LINE] = "";
    for (int i = 0; f->choices[i]; i++) {
        if (!strcmp(f->choices[i], text)) {
            bool yes = i != 0;
            int32_t index = i;
            memcpy((char *)r->board + f->offset, f->size == sizeof yes ? (void *)&yes : &index, f->size);
            return 1;
        }
        size_t n = strlen(list);
        snprintf(list + n, sizeof list - n, "%s%s", i ? ", " : "", f->choices[i]);
    }
    return wrong(r, r->line, "%s: expected one of %s, found '%s'", f->name, list, text);
}

static int store_text(reading *r, const fa_field *f, const char *text) {
    size_t n = strlen(text);
    if (!n || n >= f->size)
        return wrong(r, r->line, "%s: expected a text of 1 to %zu characters, found '%s'", f->name, f->size - 1, text);
    memcpy((char *)r->board + f->offset, text, n + 1);
    return 1;
}

/* Splits "VALUE [SOURCE]" of field `i` and checks the source. */
static int split(reading *r, int i, const char *text) {
    const char *open = strstr(text, " [");
    size_t n = strlen(text);
    if (!open || !*++open || text[n - 1] != ']' || open + 2 > text + n - 1)
        return wrong(r, r->line, "%s: expected VALUE [SOURCE], found '%s'", fa_fields[i].name, text);
    char *value = r->value[i], *from = r->source_of[i];
    snprintf(value, LINE, "%.*s", (int)(open - text), text);
    for (size_t m = strlen(value); m && value[m - 1] == ' ';) value[--m] = 0;
    snprintf(from, LINE, "%.*s", (int)(text + n - 1 - open - 1), open + 1);
    bool assumed;
    if (!source_is_known(r, from, &assumed))
        return wrong(r, r->line,
                     "%s: the source '%s' names no line of [sources], which comes first; or write "
                     "'assumed: WHY' or 'chosen: WHY'",
                     fa_fields[i].name, from);
    if (assumed) r->board->assumed |= UINT64_C(1) << i;
    return 1;
}

static int take(void *context, const char *section, const char *key, const char *text) {
    reading *r = context;
    if (r->status) return 0;
    if (!strcmp(section, "sources")) return take_source(r, key, text);
    int i = fa_field_find(section, key);
    if (i < 0) return wrong(r, r->line, "unknown key '%s' in [%s]; docs/boards.md lists the keys", key, section);
    if (r->line_of[i]) return wrong(r, r->line, "%s is given twice (line %d)", fa_fields[i].name, r->line_of[i]);
    r->line_of[i] = r->line;
    if (!split(r, i, text)) return 0;
    switch (fa_fields[i].kind) {
    case FA_FIELD_TEXT: return store_text(r, &fa_fields[i], r->value[i]);
    case FA_FIELD_CHOICE: return store_choice(r, &fa_fields[i], r->value[i]);
    default: return store_number(r, &fa_fields[i], r->value[i]);
    }
}

static int line_of(const reading *r, const char *section, const char *key) {
    int i = fa_field_find(section, key);
    return i < 0 || !r->line_of[i] ? r->line : r->line_of[i];
}

/* What no single line can show. */
static void check_whole(reading *r) {
    static const char *const keys[] = {"lut", "ff", "dsp", "bram", "uram"};
    const fa_board *b = r->board;
    const double has[] = {b->part_has.lut, b->part_has.ff, b->part_has.dsp, b->part_has.bram, b->part_has.uram};
    const double usable[] = {b->usable.lut, b->usable.ff, b->usable.dsp, b->usable.bram, b->usable.uram};
    for (int i = 0; i < 5; i++)
        if (has[i] > 0 && usable[i] > has[i])
            wrong(r, line_of(r, "usable", keys[i]), "usable.%s: %g is more than fabric.%s, %g", keys[i], usable[i],
                  keys[i], has[i]);
    if (b->full_w < b->idle_w)
        wrong(r, line_of(r, "power", "full_w"), "power.full_w: %g W is less than power.idle_w, %g W", b->full_w,
              b->idle_w);
    bool xrt = b->runtime != FA_RUNTIME_AVED && b->runtime != FA_RUNTIME_NONE;
    if (xrt && !*b->platform)
        wrong(r, line_of(r, "board", "runtime"), "board.platform is missing: the runtime is '%s'",
              fa_board_runtime_name(b->runtime));
    for (int i = 0; i < b->n_bank_kinds; i++)
        if (b->bank[i].count > 1 && !strchr(b->bank[i].tag, '#'))
            wrong(r, line_of(r, i ? "memory2" : "memory", "tag"), "%s.tag: '%s' has no # for the number of the bank",
                  i ? "memory2" : "memory", b->bank[i].tag);
    const fa_board_build *d = &b->build;
    if (d->ports & (d->ports - 1))
        wrong(r, line_of(r, "build", "ports"), "build.ports: expected 1, 2, 4, 8 or 16, found %d", d->ports);
    if (d->port_bytes != 32 && d->port_bytes != 64)
        wrong(r, line_of(r, "build", "port_bytes"), "build.port_bytes: expected 32 or 64, found %d", d->port_bytes);
    if (d->io_kind >= b->n_bank_kinds) wrong(r, line_of(r, "build", "io"), "build.io: the board has no [memory2]");
    if (d->rows & (d->rows - 1))
        wrong(r, line_of(r, "build", "rows"), "build.rows: expected a power of two, found %d", d->rows);
    if (d->lanes_fp32 % 16 || (d->lanes_fp32 & (d->lanes_fp32 - 1)))
        wrong(r, line_of(r, "build", "lanes_fp32"), "build.lanes_fp32: expected 16, 32, 64 .., found %d",
              d->lanes_fp32);
}

static void check_missing(reading *r) {
    bool second = r->line_of[fa_field_find("memory2", "name")] != 0;
    r->board->n_bank_kinds = second ? 2 : 1;
    for (int i = 0; i < FA_FIELDS && !r->status; i++) {
        const fa_field *f = &fa_fields[i];
        bool of_second = !strncmp(f->name, "memory2.", 8);
        if (r->line_of[i] && of_second && !second) wrong(r, r->line_of[i], "%s without memory2.name", f->name);
        if (!r->line_of[i] && !f->optional && (second || !of_second))
            r->status = fa_fail(r->error, FA_EFORMAT, "%s: %s is missing (%s%s%s)", r->file, f->name, f->about,
                                *f->unit ? ", " : "", f->unit);
    }
}

/* `file` names it in errors; `name` is the board's. */
static fa_status parse(reading *r, fa_board *b, const char *text, size_t bytes, const char *file, const char *name,
                       fa_error *e) {
    memset(b, 0, sizeof *b);
    memset(r, 0, sizeof *r);
    r->board = b;
    r->file = file;
    r->at = text;
    r->end = text + bytes;
    r->error = e;
    if (strlen(name) >= sizeof b->name || !*name)
        return fa_fail(e, FA_EFORMAT, "%s: a board's name has 1 to %zu characters", file, sizeof b->name - 1);
    snprintf(b->name, sizeof b->name, "%s", name);
    int bad = ini_parse_stream(next_line, r, take, r);
    if (bad > 0 && (!r->status || bad < r->wrong_line)) /* inih goes on after a line that it cannot read */
        r->status = fa_fail(e, FA_EFORMAT, "%s:%d: expected [SECTION] or KEY = VALUE [SOURCE]", file, bad);
    if (!r->status && bad < 0) r->status = fa_fail(e, FA_ENOMEM, "%s: memory ran out", file);
    if (!r->status) check_missing(r);
    if (!r->status) check_whole(r);
    return r->status;
}

static fa_status read_file(reading *r, fa_board *b, const char *path, fa_error *e) {
    fa_map m;
    fa_status s = fa_map_open(&m, path, e);
    if (s) return s;
    const char *slash = strrchr(path, '/'), *base = slash ? slash + 1 : path;
    size_t n = strlen(base), suffix = strlen(".board");
    if (n > suffix && !strcmp(base + n - suffix, ".board")) n -= suffix;
    char *name = strndup(base, n);
    s = name ? parse(r, b, m.data ? m.data : "", m.bytes, path, name, e)
             : fa_fail(e, FA_ENOMEM, "%s: memory ran out", path);
    free(name);
    fa_map_close(&m);
    return s;
}

static bool is_path(const char *name) {
    size_t n = strlen(name), suffix = strlen(".board");
    return strchr(name, '/') || (n >= suffix && !strcmp(name + n - suffix, ".board"));
}

static fa_status read_any(reading *r, fa_board *b, const char *name, fa_error *e) {
    if (is_path(name)) return read_file(r, b, name, e);
    char known[FA_ERROR_TEXT] = "";
    for (const fa_board_file *f = fa_board_files; f->name; f++) {
        if (!strcasecmp(f->name, name)) return parse(r, b, f->text, strlen(f->text), f->name, f->name, e);
        size_t n = strlen(known);
        snprintf(known + n, sizeof known - n, "%s%s", n ? ", " : "", f->name);
    }
    return fa_fail(e, FA_EINVAL, "no board is called '%s'; there are %s, or give the path of a .board file", name,
                   known);
}

fa_status fa_board_read(fa_board *b, const char *path, fa_error *e) {
    reading r;
    return read_file(&r, b, path, e);
}

fa_status fa_board_find(fa_board *b, const char *name, fa_error *e) {
    reading r;
    return read_any(&r, b, name, e);
}

const char *fa_board_name(int i) {
    int n = 0;
    while (n < i && fa_board_files[n].name) n++;
    return i < 0 ? NULL : fa_board_files[n].name;
}

fa_status fa_board_facts(const char *name, void (*each)(void *context, const fa_board_fact *fact), void *context,
                         fa_error *e) {
    reading r;
    fa_board b;
    fa_status s = read_any(&r, &b, name, e);
    if (s) return s;
    for (int i = 0; i < FA_FIELDS; i++) {
        const fa_field *f = &fa_fields[i];
        bool given = r.line_of[i] != 0;
        each(context, &(fa_board_fact){f->name, f->unit, f->about, given ? r.value[i] : NULL,
                                       given ? r.source_of[i] : NULL, b.assumed >> i & 1});
    }
    for (int i = 0; i < r.n_sources; i++) {
        char tag[16 + TAG];
        snprintf(tag, sizeof tag, "sources.%s", r.sources[i].tag);
        each(context, &(fa_board_fact){tag, "", "", r.sources[i].text, NULL, false});
    }
    return FA_OK;
}
