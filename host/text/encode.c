/* From text to ids: repair, added tokens, normalizer, added tokens again, pre-tokenizer, merges. */
#include "host/text/parts.h"
#include "host/text/unicode.h"

enum { MAX_TEXT_BYTES = 1 << 28 };

/* One encoding on its way. */
typedef struct encoder {
    const fa_tokenizer *t;
    fa_matcher *matcher;
    fa_bpe_scratch *bpe;
    fa_text normal, spare; /* the normalized text between two added tokens */
    fa_ranges literal;     /* of `normal` */
    fa_pieces pieces, spare_pieces;
    fa_ids *out;
    fa_error *e;
} encoder;

/* Cuts normalized text without added tokens into pieces, and these into ids. */
static fa_status encode_words(encoder *c, const char *text, size_t n, bool at_start) {
    fa_pieces *p = &c->pieces;
    p->text.n = 0;
    fa_status s = fa_text_append(&p->text, text, n);
    if (!s)
        s = fa_pretokenize(c->t->pretokenizers, c->t->n_pretokenizers, at_start, c->matcher, p, &c->spare_pieces, c->e);
    for (size_t i = 0; i < p->ranges.n && !s; i++) {
        fa_text_range r = p->ranges.data[i];
        s = fa_bpe_encode(&c->t->model, c->bpe, p->text.data + r.begin, r.end - r.begin, c->out);
    }
    return s;
}

/* Text in which the added tokens that are found before normalizing have been found. `literal` lies within it. */
static fa_status encode_between(encoder *c, const char *text, size_t n, const fa_ranges *literal, bool at_start) {
    const fa_tokenizer *t = c->t;
    c->normal.n = c->literal.n = 0;
    fa_status s = fa_text_append(&c->normal, text, n);
    for (size_t i = 0; i < literal->n && !s; i++)
        s = fa_ranges_push(&c->literal, literal->data[i].begin, literal->data[i].end);
    if (!s) s = fa_normalize(t->normalizers, t->n_normalizers, c->matcher, &c->normal, &c->spare, &c->literal, c->e);
    for (size_t done = 0; !s && done < c->normal.n;) {
        fa_added_match m =
            fa_added_find(&t->normalized, c->normal.data, c->normal.n, done, c->literal.data, c->literal.n);
        if (done < m.begin) s = encode_words(c, c->normal.data + done, m.begin - done, at_start && done == 0);
        if (!s && m.id >= 0) s = fa_ids_push(c->out, m.id);
        done = m.end;
    }
    return s;
}

/* What lies of the rising ranges in [begin, end), from `begin` on. */
static fa_status cut_ranges(const fa_text_range *r, size_t n, size_t begin, size_t end, fa_ranges *out) {
    out->n = 0;
    for (size_t i = fa_ranges_after(r, n, begin); i < n && r[i].begin < end; i++) {
        size_t from = r[i].begin > begin ? r[i].begin : begin, to = r[i].end < end ? r[i].end : end;
        fa_status s = fa_ranges_push(out, from - begin, to - begin);
        if (s) return s;
    }
    return FA_OK;
}

static fa_status encode_text(encoder *c, const char *text, size_t n, const fa_ranges *literal) {
    fa_ranges within = {0};
    fa_status s = FA_OK;
    for (size_t done = 0; !s && done < n;) {
        fa_added_match m = fa_added_find(&c->t->raw, text, n, done, literal->data, literal->n);
        if (done < m.begin) {
            s = cut_ranges(literal->data, literal->n, done, m.begin, &within);
            if (!s) s = encode_between(c, text + done, m.begin - done, &within, done == 0);
        }
        if (!s && m.id >= 0) s = fa_ids_push(c->out, m.id);
        done = m.end;
    }
    fa_ranges_free(&within);
    return s;
}

/* The caller's ranges without the empty ones. */
static fa_status check_literal(const fa_encode_options *o, size_t n, fa_ranges *out, fa_error *e) {
    size_t last = 0;
    for (size_t i = 0; o && i < o->n_literal; i++) {
        fa_text_range r = o->literal[i];
        if (r.begin < last || r.end < r.begin || r.end > n)
            return fa_fail(e, FA_EINVAL, "literal range %zu is not behind the one before it and within the text", i);
        last = r.end;
        fa_status s = r.begin < r.end ? fa_ranges_push(out, r.begin, r.end) : FA_OK;
        if (s) return s;
    }
    return FA_OK;
}

/* Encodes text that may be no UTF-8. */
static fa_status encode_bytes(encoder *c, const char *text, size_t n, const fa_ranges *literal) {
    if (fa_utf8_valid(text, n) == n) return encode_text(c, text, n, literal);
    fa_text good = {0};
    fa_ranges moved = {0};
    fa_range_map map = {.in = literal->data, .n = literal->n, .out = &moved};
    fa_status s = fa_utf8_repair(text, n, &map, &good);
    if (!s) s = encode_text(c, good.data, good.n, &moved);
    fa_text_free(&good);
    fa_ranges_free(&moved);
    return s;
}

static void encoder_free(encoder *c) {
    fa_matcher_close(c->matcher);
    fa_bpe_scratch_close(c->bpe);
    fa_text_free(&c->normal);
    fa_text_free(&c->spare);
    fa_ranges_free(&c->literal);
    fa_text_free(&c->pieces.text);
    fa_ranges_free(&c->pieces.ranges);
    fa_text_free(&c->spare_pieces.text);
    fa_ranges_free(&c->spare_pieces.ranges);
}

fa_status fa_encode(const fa_tokenizer *t, const char *text, size_t n, const fa_encode_options *options, fa_ids *out,
                    fa_error *e) {
    if (n > MAX_TEXT_BYTES)
        return fa_fail(e, FA_ELIMIT, "text of %zu bytes: at most %d can be encoded at once", n, MAX_TEXT_BYTES);
    encoder c = {.t = t, .out = out, .e = e};
    fa_ranges literal = {0};
    fa_error own = {0};
    if (!e) c.e = &own;
    size_t before = out->n;
    fa_status s = check_literal(options, n, &literal, c.e);
    if (!s) s = fa_matcher_open(&c.matcher, n);
    if (!s) s = fa_bpe_scratch_open(&c.bpe);
    for (size_t i = 0; !s && options && options->prefix && i < t->n_prefix; i++) s = fa_ids_push(out, t->prefix[i]);
    if (!s) s = encode_bytes(&c, text, n, &literal);
    encoder_free(&c);
    fa_ranges_free(&literal);
    if (s) out->n = before;
    return s == FA_ENOMEM ? fa_fail(e, s, "out of memory while encoding %zu bytes", n) : s;
}
