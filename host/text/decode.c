/* From ids to text, a token at a time or all at once. */
#include <stdlib.h>
#include <string.h>

#include "host/text/parts.h"
#include "host/text/unicode.h"

static fa_status append_replacements(fa_text *out, size_t n) {
    fa_status s = FA_OK;
    for (size_t i = 0; i < n && !s; i++) s = fa_text_append(out, FA_REPLACEMENT, sizeof FA_REPLACEMENT - 1);
    return s;
}

/* The bytes that are held are no character: one U+FFFD for all of them, or for each where bytes stand apart. */
static fa_status give_up(fa_decoder *d, size_t n, fa_text *out) {
    d->n_held -= (int)n;
    memmove(d->held, d->held + n, (size_t)d->n_held);
    return append_replacements(out, d->bytes_apart ? n : 1);
}

/* One more byte: whole characters go out, and what can no longer become one goes out as U+FFFD. */
static fa_status feed_byte(fa_decoder *d, unsigned char byte, fa_text *out) {
    d->held[d->n_held++] = byte;
    while (d->n_held) {
        uint32_t c;
        int r = fa_utf8_read((const char *)d->held, (size_t)d->n_held, &c);
        if (r == 0) break;
        fa_status s = FA_OK;
        if (r < 0) {
            s = give_up(d, (size_t)-r, out);
        } else {
            s = fa_text_append(out, (const char *)d->held, (size_t)r);
            d->n_held -= r; /* a character ends with the byte that came last */
        }
        if (s) return s;
    }
    return FA_OK;
}

static fa_status feed_bytes(fa_decoder *d, const char *p, size_t n, fa_text *out) {
    fa_status s = FA_OK;
    for (size_t i = 0; i < n && !s;) {
        size_t whole = d->n_held ? 0 : fa_utf8_valid(p + i, n - i);
        s = fa_text_append(out, p + i, whole);
        i += whole;
        if (!s && i < n) s = feed_byte(d, (unsigned char)p[i++], out);
    }
    return s;
}

/* The content without any `drop`. */
static fa_status append_without(const char *p, size_t n, const char *drop, fa_text *out) {
    size_t k = strlen(drop);
    const char *end = p + n, *at;
    fa_status s = FA_OK;
    while (!s && (at = memmem(p, (size_t)(end - p), drop, k))) {
        s = fa_text_append(out, p, (size_t)(at - p));
        p = at + k;
    }
    return s ? s : fa_text_append(out, p, (size_t)(end - p));
}

/* How many bytes p[n] loses if it is the start of the text. */
static size_t to_strip(const fa_decoder *d, const fa_decode_plan *plan, const char *p, size_t n) {
    size_t k = strlen(plan->strip);
    return !d->started && n >= k && memcmp(p, plan->strip, k) == 0 ? k : 0;
}

/* A token of characters, with what the decoder does to the start of the text. */
static fa_status append_piece(fa_decoder *d, const fa_decode_plan *plan, const fa_token *k, fa_text *out) {
    if (!d->started && *plan->drop_first) {
        d->started = true;
        return append_without(k->text, k->text_bytes, plan->drop_first, out);
    }
    size_t strip = to_strip(d, plan, k->piece, k->piece_bytes);
    d->started = d->started || k->piece_bytes > 0;
    return fa_text_append(out, k->piece + strip, k->piece_bytes - strip);
}

/* The token that `id` puts into the text; *k is NULL when it puts none. */
static fa_status find_token(const fa_tokenizer *t, int32_t id, bool skip_special, const fa_token **k, fa_error *e) {
    *k = NULL;
    if (id < 0) return fa_fail(e, FA_EINVAL, "id %d is negative", id);
    unsigned flags = id < t->count ? t->tokens[id].flags : 0;
    if ((flags & FA_TOKEN_PRESENT) && !(skip_special && (flags & FA_TOKEN_SPECIAL))) *k = &t->tokens[id];
    return FA_OK;
}

static fa_status feed(fa_decoder *d, const fa_tokenizer *t, const fa_token *k, fa_text *out) {
    const fa_decode_plan *plan = &t->decode;
    if (plan->byte_level) return feed_bytes(d, k->piece, k->piece_bytes, out);
    d->bytes_apart = true;
    if (k->flags & FA_TOKEN_BYTE) {
        size_t strip = to_strip(d, plan, k->piece, 1);
        d->started = true;
        return strip ? FA_OK : feed_byte(d, (unsigned char)*k->piece, out);
    }
    fa_status s = fa_decoder_end(d, out);
    if (!s && plan->spaced && d->started) s = fa_text_append(out, " ", 1);
    if (plan->spaced) d->started = true;
    return s ? s : append_piece(d, plan, k, out);
}

fa_status fa_decoder_feed(fa_decoder *d, const fa_tokenizer *t, int32_t id, bool skip_special, fa_text *append,
                          fa_error *e) {
    const fa_token *k;
    fa_status s = find_token(t, id, skip_special, &k, e);
    if (s || !k) return s;
    s = feed(d, t, k, append);
    return s ? fa_fail(e, s, "out of memory while decoding") : FA_OK;
}

fa_status fa_decoder_end(fa_decoder *d, fa_text *append) {
    return d->n_held ? give_up(d, (size_t)d->n_held, append) : FA_OK;
}

/* The end of a run of byte tokens: one that is no valid text as a whole is U+FFFD for each byte. */
static fa_status end_run(fa_decoder *d, const fa_decode_plan *plan, fa_text *run, fa_text *out) {
    if (!run->n) return FA_OK;
    bool valid = fa_utf8_valid(run->data, run->n) == run->n;
    size_t strip = valid ? to_strip(d, plan, run->data, run->n) : 0;
    d->started = true;
    fa_status s = valid ? fa_text_append(out, run->data + strip, run->n - strip) : append_replacements(out, run->n);
    run->n = 0;
    return s;
}

static fa_status decode_all(const fa_tokenizer *t, const int32_t *ids, size_t n, bool skip_special, fa_text *run,
                            fa_text *out, fa_error *e) {
    fa_decoder d = {0};
    for (size_t i = 0; i < n; i++) {
        const fa_token *k;
        fa_status s = find_token(t, ids[i], skip_special, &k, e);
        if (s) return s;
        if (!k) continue;
        if (k->flags & FA_TOKEN_BYTE) {
            s = fa_text_append(run, k->piece, k->piece_bytes);
        } else {
            s = end_run(&d, &t->decode, run, out);
            if (!s) s = feed(&d, t, k, out);
        }
        if (s) return s;
    }
    fa_status s = end_run(&d, &t->decode, run, out);
    return s ? s : fa_decoder_end(&d, out);
}

fa_status fa_decode_ids(const fa_tokenizer *t, const int32_t *ids, size_t n, bool skip_special, char **text,
                        size_t *n_out, fa_error *e) {
    fa_text out = {0}, run = {0};
    *text = NULL;
    fa_status s = fa_text_append(&out, "", 0);
    if (!s) s = decode_all(t, ids, n, skip_special, &run, &out, e);
    fa_text_free(&run);
    if (s) {
        fa_text_free(&out);
        return s == FA_ENOMEM ? fa_fail(e, s, "out of memory while decoding") : s;
    }
    if (n_out) *n_out = out.n;
    *text = out.data;
    return FA_OK;
}
