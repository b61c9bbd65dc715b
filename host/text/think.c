/* The split of reasoning from the answer. */
#include <string.h>

#include "host/text/chat.h"

static const char *awaited(const fa_think *s) {
    return s->inside ? "</think>" : "<think>";
}

/* What was held back was no tag: it belongs to the current part. */
static fa_status release(fa_think *s, fa_text *part) {
    fa_status status = FA_OK;
    for (; s->newlines && !status; s->newlines--) status = fa_text_append(part, "\n", 1);
    if (!status) status = fa_text_append(part, awaited(s), (size_t)s->matched);
    s->matched = 0;
    s->begun = true;
    if (!s->inside) s->answer = true; /* a text that does not begin with the tag is all answer */
    return status;
}

static void pass_tag(fa_think *s) {
    s->answer = s->inside;
    s->inside = !s->inside;
    s->begun = false;
    s->matched = 0;
    s->newlines = 0;
}

/* One byte before or inside the reasoning. The tags have their first byte nowhere else, so after a mismatch
 * the search starts again at the byte that did not match. */
static fa_status take(fa_think *s, char c, fa_text *part) {
    const char *tag = awaited(s);
    if (c == tag[s->matched]) {
        if (!tag[++s->matched]) pass_tag(s);
        return FA_OK;
    }
    if (s->matched) {
        fa_status status = release(s, part);
        if (status) return status;
        return s->answer ? fa_text_append(part, &c, 1) : take(s, c, part);
    }
    if (c == '\n') {
        s->newlines += !s->inside || s->begun;
        return FA_OK;
    }
    fa_status status = release(s, part);
    return status ? status : fa_text_append(part, &c, 1);
}

fa_status fa_think_feed(fa_think *s, const char *text, size_t n, fa_text *reasoning, fa_text *answer) {
    size_t i = 0;
    for (; i < n && !s->answer; i++) {
        fa_status status = take(s, text[i], s->inside ? reasoning : answer);
        if (status) return status;
    }
    for (; i < n && !s->begun && text[i] == '\n'; i++) {
    }
    if (i == n) return FA_OK;
    s->begun = true;
    return fa_text_append(answer, text + i, n - i);
}

fa_status fa_think_end(fa_think *s, fa_text *reasoning, fa_text *answer) {
    return release(s, s->inside ? reasoning : answer);
}
