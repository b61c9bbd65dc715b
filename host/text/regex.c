#define PCRE2_CODE_UNIT_WIDTH 8
#include "host/text/regex.h"

#include <pcre2.h>
#include <stdlib.h>
#include <string.h>

#include "host/text/regex_syntax.h"

enum {
    MAX_PATTERN_BYTES = 1 << 16,
    STACK_BYTES = 1 << 15,
    MAX_STACK_BYTES = 1 << 22,
    MAX_HEAP_KIB = 1 << 18,
    WORK_AT_LEAST = 1 << 20,
    WORK_PER_BYTE = 256, /* the real patterns need less than 60 */
};

struct fa_regex {
    pcre2_code *code;
    char *name; /* for error texts */
};

struct fa_matcher {
    pcre2_match_data *data;
    pcre2_match_context *context;
    pcre2_jit_stack *stack;
    size_t work_left;
    PCRE2_SIZE last_position;
};

/* Called before each item of a pattern: counts what was looked at since the last call. */
static int count_work(pcre2_callout_block *b, void *arg) {
    fa_matcher *m = arg;
    PCRE2_SIZE at = b->current_position, last = m->last_position;
    size_t work = 1 + (at > last ? at - last : 0);
    m->last_position = at;
    if (work > m->work_left) return PCRE2_ERROR_CALLOUT;
    m->work_left -= work;
    return 0;
}

static fa_status compile(fa_regex *r, const char *text, size_t n, uint32_t options, const char *name, fa_error *e) {
    pcre2_compile_context *c = pcre2_compile_context_create(NULL);
    if (!c) return fa_fail(e, FA_ENOMEM, "%s: out of memory", name);
    pcre2_set_newline(c, PCRE2_NEWLINE_LF);
    pcre2_set_max_pattern_length(c, MAX_PATTERN_BYTES);
    int code;
    PCRE2_SIZE at;
    r->code = pcre2_compile((PCRE2_SPTR)text, n, options, &code, &at, c);
    pcre2_compile_context_free(c);
    if (!r->code) {
        PCRE2_UCHAR why[128];
        pcre2_get_error_message(code, why, sizeof why);
        return fa_fail(e, FA_EFORMAT, "%s: pattern, byte %zu: %s", name, (size_t)at, (const char *)why);
    }
    pcre2_jit_compile(r->code, PCRE2_JIT_COMPLETE); /* where it fails, matching interprets */
    return FA_OK;
}

static fa_status open_regex(fa_regex **out, const char *pattern, size_t n, bool plain, const char *name, fa_error *e) {
    uint32_t options = plain ? PCRE2_LITERAL | PCRE2_UTF
                             : PCRE2_UTF | PCRE2_UCP | PCRE2_MULTILINE | PCRE2_AUTO_CALLOUT | PCRE2_NEVER_BACKSLASH_C;
    fa_text text = {0};
    fa_regex *r = calloc(1, sizeof *r);
    *out = NULL;
    if (!r) return fa_fail(e, FA_ENOMEM, "%s: out of memory", name);
    r->name = strdup(name);
    fa_status s = r->name ? FA_OK : fa_fail(e, FA_ENOMEM, "%s: out of memory", name);
    if (!s) s = plain ? fa_text_append(&text, pattern, n) : fa_regex_translate(pattern, n, &text, name, e);
    if (!s) s = compile(r, text.data ? text.data : "", text.n, options, name, e);
    fa_text_free(&text);
    if (s)
        fa_regex_close(r);
    else
        *out = r;
    return s;
}

fa_status fa_regex_open(fa_regex **out, const char *pattern, size_t n, const char *name, fa_error *e) {
    return open_regex(out, pattern, n, false, name, e);
}

fa_status fa_regex_open_plain(fa_regex **out, const char *word, size_t n, const char *name, fa_error *e) {
    *out = NULL;
    return n ? open_regex(out, word, n, true, name, e) : fa_fail(e, FA_EFORMAT, "%s: an empty text to look for", name);
}

void fa_regex_close(fa_regex *r) {
    if (!r) return;
    pcre2_code_free(r->code);
    free(r->name);
    free(r);
}

fa_status fa_matcher_open(fa_matcher **out, size_t text_bytes) {
    fa_matcher *m = calloc(1, sizeof *m);
    *out = m;
    if (!m) return FA_ENOMEM;
    m->data = pcre2_match_data_create(1, NULL);
    m->context = pcre2_match_context_create(NULL);
    m->stack = pcre2_jit_stack_create(STACK_BYTES, MAX_STACK_BYTES, NULL); /* NULL where there is no JIT */
    if (!m->data || !m->context) {
        fa_matcher_close(m);
        *out = NULL;
        return FA_ENOMEM;
    }
    if (m->stack) pcre2_jit_stack_assign(m->context, NULL, m->stack);
    pcre2_set_callout(m->context, count_work, m);
    pcre2_set_heap_limit(m->context, MAX_HEAP_KIB);
    m->work_left = WORK_AT_LEAST + text_bytes * WORK_PER_BYTE;
    return FA_OK;
}

void fa_matcher_close(fa_matcher *m) {
    if (!m) return;
    pcre2_match_data_free(m->data);
    pcre2_match_context_free(m->context);
    pcre2_jit_stack_free(m->stack);
    free(m);
}

void fa_search_begin(fa_search *s, const fa_regex *r, fa_matcher *m, const char *text, size_t n) {
    *s = (fa_search){.regex = r, .matcher = m, .text = text ? text : "", .n = n, .last_end = SIZE_MAX};
}

/* PCRE2's code for a match at or behind s->at. */
static int match(const fa_search *s) {
    fa_matcher *m = s->matcher;
    m->last_position = s->at;
    PCRE2_SPTR text = (PCRE2_SPTR)s->text;
    int rc = pcre2_match(s->regex->code, text, s->n, s->at, PCRE2_NO_UTF_CHECK, m->data, m->context);
    if (rc != PCRE2_ERROR_JIT_STACKLIMIT) return rc;
    return pcre2_match(s->regex->code, text, s->n, s->at, PCRE2_NO_UTF_CHECK | PCRE2_NO_JIT, m->data, m->context);
}

static size_t next_character(const fa_search *s) {
    size_t at = s->at + 1;
    while (at < s->n && ((unsigned char)s->text[at] & 0xc0) == 0x80) at++;
    return at;
}

fa_status fa_search_next(fa_search *s, fa_text_range *found, fa_error *e) {
    s->found = false;
    while (s->at <= s->n) {
        int rc = match(s);
        if (rc == PCRE2_ERROR_NOMATCH) {
            s->at = s->n + 1;
            break;
        }
        if (rc < 0)
            return fa_fail(e, rc == PCRE2_ERROR_NOMEMORY ? FA_ENOMEM : FA_ELIMIT,
                           "%s: its pattern takes too long on this text (PCRE2 error %d)", s->regex->name, rc);
        const PCRE2_SIZE *o = pcre2_get_ovector_pointer(s->matcher->data);
        if (o[0] == o[1] && o[1] == s->last_end) { /* an empty match right behind the last one does not count */
            s->at = next_character(s);
            continue;
        }
        *found = (fa_text_range){o[0], o[1]};
        s->at = s->last_end = o[1];
        s->found = true;
        break;
    }
    return FA_OK;
}
