/* Tool calls as they stream: the text between two pieces of markup belongs to the part that the first one began. */
#include "host/text/tool_calls.h"

#include <stdlib.h>
#include <string.h>

const char *const fa_tool_mark_text[FA_TOOL_MARKS] = {
    "<｜tool▁calls▁begin｜>", "<｜tool▁call▁begin｜>", "<｜tool▁sep｜>", "<｜tool▁call▁end｜>", "<｜tool▁calls▁end｜>",
};
const char fa_tool_arguments_begin[] = "\n```json\n";
const char fa_tool_arguments_end[] = "\n```";

/* A mark that came as a token is held as one byte that no UTF-8 text has. */
enum { MARK_BYTE = 0xf8, LONGEST_MARKUP = 64 };

typedef enum part { CONTENT = 0, BETWEEN, TYPE, NAME, ARGUMENTS, PARTS } part;

/* What ends a part: a text, then a mark (either may be missing), and the part behind it. */
typedef struct part_end {
    const char *text;
    int mark; /* -1: none */
    part next;
} part_end;

enum { MAX_ENDS = 2 };
static const part_end ends[PARTS][MAX_ENDS] = {
    [CONTENT] = {{"", FA_TOOL_CALLS_BEGIN, BETWEEN}},
    [BETWEEN] = {{"", FA_TOOL_CALL_BEGIN, TYPE}, {"", FA_TOOL_CALLS_END, CONTENT}},
    [TYPE] = {{"", FA_TOOL_SEP, NAME}},
    [NAME] = {{fa_tool_arguments_begin, -1, ARGUMENTS}},
    [ARGUMENTS] = {{fa_tool_arguments_end, FA_TOOL_CALL_END, BETWEEN}},
};

int32_t fa_tool_mark_id(const fa_tokenizer *t, fa_tool_mark mark) {
    int32_t id = t ? fa_tokenizer_find(t, fa_tool_mark_text[mark]) : -1;
    return id >= 0 && fa_tokenizer_is_added(t, id) ? id : -1;
}

void fa_tool_parser_open(fa_tool_parser *p, const fa_tokenizer *t) {
    *p = (fa_tool_parser){0};
    for (int m = 0; m < FA_TOOL_MARKS; m++) p->ids[m] = fa_tool_mark_id(t, (fa_tool_mark)m);
}

void fa_tool_parser_free(fa_tool_parser *p) {
    fa_text_free(&p->held);
}

/* The bytes of an end as they are held; 0 for none. */
static size_t markup(const fa_tool_parser *p, const part_end *end, char out[LONGEST_MARKUP]) {
    if (!end->text) return 0;
    size_t n = strlen(end->text);
    memcpy(out, end->text, n);
    if (end->mark < 0) return n;
    if (p->ids[end->mark] >= 0) {
        out[n] = (char)(MARK_BYTE + end->mark);
        return n + 1;
    }
    size_t more = strlen(fa_tool_mark_text[end->mark]);
    memcpy(out + n, fa_tool_mark_text[end->mark], more);
    return n + more;
}

static int mark_of(char byte) {
    unsigned b = (unsigned char)byte;
    return b >= MARK_BYTE && b < MARK_BYTE + FA_TOOL_MARKS ? (int)(b - MARK_BYTE) : -1;
}

/* Hands out text of a part; marks that have no meaning there go out as their texts. */
static fa_status emit(const fa_tool_parser *p, fa_tool_event_kind kind, const char *text, size_t n, fa_tool_sink *sink,
                      void *ctx) {
    fa_status s = FA_OK;
    for (size_t i = 0; i < n && !s;) {
        int mark = mark_of(text[i]);
        size_t k = 1;
        while (mark < 0 && i + k < n && mark_of(text[i + k]) < 0) k++;
        const char *piece = mark < 0 ? text + i : fa_tool_mark_text[mark];
        s = sink(ctx, &(fa_tool_event){kind, p->calls - 1, piece, mark < 0 ? k : strlen(piece)});
        i += k;
    }
    return s;
}

/* The part's text[n]; `whole` when its end was found behind it. */
static fa_status pass(fa_tool_parser *p, const char *text, size_t n, bool whole, fa_tool_sink *sink, void *ctx) {
    if (p->state == CONTENT) return emit(p, FA_EVENT_CONTENT, text, n, sink, ctx);
    if (p->state == ARGUMENTS) {
        fa_status s = emit(p, FA_EVENT_ARGUMENTS, text, n, sink, ctx);
        return s || !whole ? s : sink(ctx, &(fa_tool_event){FA_EVENT_CALL_END, p->calls - 1, "", 0});
    }
    if (p->state != NAME || !whole) return FA_OK;
    p->calls++;
    return sink(ctx, &(fa_tool_event){FA_EVENT_CALL, p->calls - 1, text, n});
}

/* Bytes at the end of text[n] that may be the beginning of find[k]. */
static size_t could_begin(const char *text, size_t n, const char *find, size_t k) {
    size_t keep = n < k ? n : k - 1;
    while (keep && memcmp(text + n - keep, find, keep)) keep--;
    return keep;
}

/* The first end of the current part in what is held; else how much of it must stay. */
static const char *find_end(const fa_tool_parser *p, const part_end **which, size_t *bytes, size_t *keep) {
    const char *first = NULL;
    *keep = 0;
    for (int i = 0; i < MAX_ENDS; i++) {
        char find[LONGEST_MARKUP];
        const part_end *end = &ends[p->state][i];
        size_t k = markup(p, end, find);
        const char *at = k ? memmem(p->held.data, p->held.n, find, k) : NULL;
        if (at && (!first || at < first)) {
            first = at;
            *which = end;
            *bytes = k;
        }
        size_t could = k ? could_begin(p->held.data, p->held.n, find, k) : 0;
        if (could > *keep) *keep = could;
    }
    return first;
}

static void drop(fa_text *t, size_t n) {
    t->n -= n;
    memmove(t->data, t->data + n, t->n);
}

static fa_status advance(fa_tool_parser *p, fa_tool_sink *sink, void *ctx) {
    const part_end *end = NULL;
    size_t bytes = 0, keep;
    for (const char *at; p->held.n && (at = find_end(p, &end, &bytes, &keep));) {
        size_t n = (size_t)(at - p->held.data);
        fa_status s = pass(p, p->held.data, n, true, sink, ctx);
        if (s) return s;
        drop(&p->held, n + bytes);
        p->state = end->next;
    }
    if (!p->held.n || p->state == NAME) return FA_OK;
    size_t n = p->held.n - keep;
    fa_status s = pass(p, p->held.data, n, false, sink, ctx);
    if (!s) drop(&p->held, n);
    return s;
}

fa_status fa_tool_parser_feed(fa_tool_parser *p, int32_t id, const char *text, size_t n, fa_tool_sink *sink,
                              void *ctx) {
    for (int m = 0; m < FA_TOOL_MARKS; m++) {
        if (id < 0 || p->ids[m] != id) continue;
        /* what an unfinished character left comes in front of the mark's own text */
        size_t own = strlen(fa_tool_mark_text[m]);
        size_t before = n >= own && !memcmp(text + n - own, fa_tool_mark_text[m], own) ? n - own : n;
        fa_status s = fa_text_append(&p->held, text, before);
        char byte = (char)(MARK_BYTE + m);
        if (!s) s = fa_text_append(&p->held, &byte, 1);
        return s ? s : advance(p, sink, ctx);
    }
    fa_status s = fa_text_append(&p->held, text, n);
    return s ? s : advance(p, sink, ctx);
}

fa_status fa_tool_parser_end(fa_tool_parser *p, fa_tool_sink *sink, void *ctx) {
    fa_status s = pass(p, p->held.data, p->held.n, false, sink, ctx);
    p->held.n = 0;
    return s;
}
