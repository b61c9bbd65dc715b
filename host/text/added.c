#include "host/text/added.h"

#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

#include "host/text/unicode.h"

struct fa_added_node {
    int32_t child, sibling; /* nodes; 0: none */
    int32_t token;          /* that ends here; -1: none */
    unsigned char byte;     /* that leads here from the parent */
};

void fa_added_free(fa_added *a) {
    free(a->tokens);
    free(a->nodes);
    *a = (fa_added){0};
}

static int32_t child_of(const fa_added *a, int32_t node, unsigned char byte) {
    if (node == 0) return a->first[byte];
    int32_t c = a->nodes[node].child;
    while (c && a->nodes[c].byte != byte) c = a->nodes[c].sibling;
    return c;
}

static int32_t add_child(fa_added *a, int32_t node, unsigned char byte) {
    int32_t c = (int32_t)a->n_nodes++;
    a->nodes[c] = (fa_added_node){.token = -1, .byte = byte};
    if (node == 0) {
        a->first[byte] = c;
    } else {
        a->nodes[c].sibling = a->nodes[node].child;
        a->nodes[node].child = c;
    }
    return c;
}

/* Room for one more token and for `bytes` more nodes. */
static fa_status reserve(fa_added *a, size_t bytes) {
    if (a->n == a->capacity) {
        size_t capacity = a->capacity * 2 + 16;
        fa_added_token *tokens = realloc(a->tokens, capacity * sizeof *tokens);
        if (!tokens) return FA_ENOMEM;
        a->tokens = tokens;
        a->capacity = capacity;
    }
    if (bytes > INT32_MAX / 4 || a->n_nodes > INT32_MAX / 4) return FA_ENOMEM;
    if (a->n_nodes + bytes + 1 > a->nodes_capacity) {
        size_t capacity = (a->n_nodes + bytes + 1) * 2;
        fa_added_node *nodes = realloc(a->nodes, capacity * sizeof *nodes);
        if (!nodes) return FA_ENOMEM;
        a->nodes = nodes;
        a->nodes_capacity = capacity;
    }
    if (a->n_nodes == 0) a->nodes[a->n_nodes++] = (fa_added_node){.token = -1};
    return FA_OK;
}

fa_status fa_added_put(fa_added *a, const fa_added_token *t) {
    fa_status s = reserve(a, t->bytes);
    if (s) return s;
    int32_t node = 0;
    for (size_t i = 0; i < t->bytes; i++) {
        unsigned char byte = (unsigned char)t->content[i];
        int32_t next = child_of(a, node, byte);
        node = next ? next : add_child(a, node, byte);
    }
    if (a->nodes[node].token >= 0) return FA_OK;
    a->nodes[node].token = (int32_t)a->n;
    a->tokens[a->n++] = *t;
    return FA_OK;
}

/* The longest token that text[n] begins with and that ends at or before byte `end`; NULL. */
static const fa_added_token *longest(const fa_added *a, const char *text, size_t end) {
    const fa_added_token *best = NULL;
    int32_t node = 0;
    for (size_t i = 0; i < end && (node = child_of(a, node, (unsigned char)text[i])); i++)
        if (a->nodes[node].token >= 0) best = &a->tokens[a->nodes[node].token];
    return best;
}

static size_t character_before(const char *text, size_t at, uint32_t *c) {
    size_t begin = at - 1;
    while (begin > 0 && ((unsigned char)text[begin] & 0xc0) == 0x80) begin--;
    fa_utf8_read(text + begin, at - begin, c);
    return begin;
}

static bool is_word(uint32_t c) {
    switch (utf8proc_category((utf8proc_int32_t)c)) {
    case UTF8PROC_CATEGORY_LU:
    case UTF8PROC_CATEGORY_LL:
    case UTF8PROC_CATEGORY_LT:
    case UTF8PROC_CATEGORY_LM:
    case UTF8PROC_CATEGORY_LO:
    case UTF8PROC_CATEGORY_MN:
    case UTF8PROC_CATEGORY_MC:
    case UTF8PROC_CATEGORY_ME:
    case UTF8PROC_CATEGORY_ND:
    case UTF8PROC_CATEGORY_NL:
    case UTF8PROC_CATEGORY_PC: return true;
    default: return false;
    }
}

static bool is_space(uint32_t c) {
    if (c < 0x80) return c == ' ' || (c >= '\t' && c <= '\r');
    if (c == 0x85) return true;
    utf8proc_category_t k = utf8proc_category((utf8proc_int32_t)c);
    return k == UTF8PROC_CATEGORY_ZS || k == UTF8PROC_CATEGORY_ZL || k == UTF8PROC_CATEGORY_ZP;
}

static bool stands_alone(const char *text, size_t n, size_t begin, size_t end) {
    uint32_t c;
    if (begin > 0) {
        character_before(text, begin, &c);
        if (is_word(c)) return false;
    }
    if (end == n) return true;
    fa_utf8_read(text + end, n - end, &c);
    return !is_word(c);
}

static size_t spaces_before(const char *text, size_t from, size_t at) {
    uint32_t c;
    while (at > from) {
        size_t before = character_before(text, at, &c);
        if (!is_space(c)) break;
        at = before;
    }
    return at;
}

static size_t spaces_behind(const char *text, size_t n, size_t at) {
    uint32_t c;
    while (at < n) {
        int length = fa_utf8_read(text + at, n - at, &c);
        if (!is_space(c)) break;
        at += (size_t)length;
    }
    return at;
}

fa_added_match fa_added_find(const fa_added *a, const char *text, size_t n, size_t from, const fa_text_range *literal,
                             size_t n_literal) {
    if (!a->n) return (fa_added_match){n, n, -1};
    size_t k = fa_ranges_after(literal, n_literal, from);
    for (size_t at = from; at < n;) {
        if (!a->first[(unsigned char)text[at]]) {
            at++;
            continue;
        }
        while (k < n_literal && literal[k].end <= at) k++;
        size_t free_to = k < n_literal ? literal[k].begin : n;
        if (free_to <= at) {
            at = literal[k].end;
            continue;
        }
        const fa_added_token *t = longest(a, text + at, free_to - at);
        if (!t) {
            at++;
            continue;
        }
        size_t end = at + t->bytes;
        if (t->single_word && !stands_alone(text, n, at, end)) {
            at = end;
            continue;
        }
        if (t->rstrip) end = spaces_behind(text, n, end);
        return (fa_added_match){t->lstrip ? spaces_before(text, from, at) : at, end, t->id};
    }
    return (fa_added_match){n, n, -1};
}
