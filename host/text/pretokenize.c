#include "host/text/pretokenize.h"

#include <string.h>

/* The pieces that one text is cut into, as the matches and what lies between them come in. */
typedef struct cutter {
    fa_split_behavior behavior;
    bool invert, any, after_match; /* whether a part came, and was a match */
    fa_text_range part;            /* not given out yet: it may still grow */
    fa_ranges *out;
} cutter;

static fa_status give_out(cutter *c) {
    return c->any && c->part.begin < c->part.end ? fa_ranges_push(c->out, c->part.begin, c->part.end) : FA_OK;
}

/* Whether the next part belongs to the piece before it. */
static bool joins(const cutter *c, bool match) {
    switch (c->behavior) {
    case FA_SPLIT_CONTIGUOUS: return match == c->after_match;
    case FA_SPLIT_MERGED_WITH_PREVIOUS: return match && !c->after_match;
    case FA_SPLIT_MERGED_WITH_NEXT: return !match && c->after_match;
    default: return false;
    }
}

static fa_status part(cutter *c, size_t begin, size_t end, bool match) {
    match = match != c->invert;
    if (c->any && joins(c, match)) {
        c->part.end = end;
    } else {
        fa_status s = give_out(c);
        if (s) return s;
        c->part = (fa_text_range){begin, match && c->behavior == FA_SPLIT_REMOVED ? begin : end};
    }
    c->any = true;
    c->after_match = match;
    return FA_OK;
}

static fa_status split(const fa_pretokenizer *step, fa_matcher *m, const fa_text *text, fa_text_range piece,
                       fa_ranges *out, fa_error *e) {
    cutter c = {.behavior = step->behavior, .invert = step->invert, .out = out};
    fa_search search;
    fa_search_begin(&search, step->regex, m, text->data + piece.begin, piece.end - piece.begin);
    size_t done = piece.begin;
    fa_text_range found;
    fa_status s;
    while (!(s = fa_search_next(&search, &found, e)) && search.found) {
        size_t begin = piece.begin + found.begin, end = piece.begin + found.end;
        if (done < begin) s = part(&c, done, begin, false);
        if (!s) s = part(&c, begin, end, true);
        if (s) return s;
        done = end;
    }
    if (!s && done < piece.end) s = part(&c, done, piece.end, false);
    return s ? s : give_out(&c);
}

static fa_status replace(const fa_pretokenizer *step, fa_matcher *m, const fa_text *text, fa_text_range piece,
                         fa_text *to, fa_error *e) {
    fa_search search;
    fa_search_begin(&search, step->regex, m, text->data + piece.begin, piece.end - piece.begin);
    size_t done = piece.begin;
    fa_text_range found;
    fa_status s;
    while (!(s = fa_search_next(&search, &found, e)) && search.found) {
        s = fa_text_append(to, text->data + done, piece.begin + found.begin - done);
        if (!s) s = fa_text_append(to, step->content, step->content_bytes);
        if (s) return s;
        done = piece.begin + found.end;
    }
    return s ? s : fa_text_append(to, text->data + done, piece.end - done);
}

static fa_status prefix(const fa_pretokenizer *step, bool first, const fa_text *text, fa_text_range piece,
                        fa_text *to) {
    size_t n = piece.end - piece.begin;
    const char *p = text->data + piece.begin;
    bool there = n >= step->content_bytes && memcmp(p, step->content, step->content_bytes) == 0;
    fa_status s = FA_OK;
    if (!there && (first || !step->first_only)) s = fa_text_append(to, step->content, step->content_bytes);
    return s ? s : fa_text_append(to, p, n);
}

static fa_status run(const fa_pretokenizer *step, bool at_start, fa_matcher *m, const fa_pieces *from, fa_pieces *to,
                     fa_error *e) {
    fa_status s = FA_OK;
    for (size_t i = 0; i < from->ranges.n && !s; i++) {
        fa_text_range piece = from->ranges.data[i];
        if (step->kind == FA_PRE_SPLIT) {
            s = split(step, m, &from->text, piece, &to->ranges, e);
            continue;
        }
        size_t begin = to->text.n;
        if (step->kind == FA_PRE_REPLACE)
            s = replace(step, m, &from->text, piece, &to->text, e);
        else
            s = prefix(step, at_start && piece.begin == 0, &from->text, piece, &to->text);
        if (!s && begin < to->text.n) s = fa_ranges_push(&to->ranges, begin, to->text.n);
    }
    return s;
}

fa_status fa_pretokenize(const fa_pretokenizer *steps, size_t n, bool at_start, fa_matcher *m, fa_pieces *p,
                         fa_pieces *spare, fa_error *e) {
    p->ranges.n = 0;
    fa_status s = p->text.n ? fa_ranges_push(&p->ranges, 0, p->text.n) : FA_OK;
    for (size_t i = 0; i < n && !s; i++) {
        spare->ranges.n = spare->text.n = 0;
        s = run(&steps[i], at_start, m, p, spare, e);
        fa_ranges r = p->ranges;
        p->ranges = spare->ranges;
        spare->ranges = r;
        if (steps[i].kind == FA_PRE_SPLIT) continue; /* the text stayed as it is */
        fa_text t = p->text;
        p->text = spare->text;
        spare->text = t;
    }
    return s;
}
