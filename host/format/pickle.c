#include "host/format/pickle.h"

#include <string.h>

enum { MOST_VALUES = 1 << 22 }; /* of a stack, a memo, a list */

/* A growing array in the arena: it doubles, and what it outgrew stays there. */
typedef struct values {
    fa_pickle **at;
    size_t n, room;
} values;

typedef struct reader {
    fa_arena *arena;
    const uint8_t *data;
    size_t bytes, at;
    const char *where;
    values stack, memo;
    size_t *mark; /* [n_marks] depths of the stack */
    size_t n_marks, marks_room;
    fa_error *e;
    fa_status status;
} reader;

static fa_status fail(reader *r, const char *what) {
    if (!r->status) r->status = fa_fail(r->e, FA_EFORMAT, "%s: byte %zu: %s", r->where, r->at, what);
    return r->status;
}

static void *take_memory(reader *r, size_t n, size_t size) {
    void *p = n <= MOST_VALUES ? fa_arena_array(r->arena, n, size) : NULL;
    if (!p && !r->status) r->status = fa_fail(r->e, FA_ENOMEM, "%s: out of memory for the pickle", r->where);
    return p;
}

/* Room for index `n` in an array of pointers. */
static bool make_room(reader *r, fa_pickle ***at, size_t *room, size_t n) {
    if (n < *room) return true;
    size_t more = n < 8 ? 16 : 2 * n;
    fa_pickle **larger = take_memory(r, more, sizeof **at);
    if (!larger) return false;
    if (*room) memcpy(larger, *at, *room * sizeof **at);
    *at = larger;
    *room = more;
    return true;
}

/* `n` bytes of the pickle; NULL and an error when they are not there. */
static const uint8_t *take(reader *r, uint64_t n) {
    if (n > r->bytes - r->at) {
        fail(r, "the pickle is cut short");
        return NULL;
    }
    r->at += (size_t)n;
    return r->data + r->at - n;
}

/* A little-endian number of up to 8 bytes; 0 after an error. */
static uint64_t take_number(reader *r, int bytes) {
    const uint8_t *p = take(r, (uint64_t)bytes);
    uint64_t v = 0;
    for (int i = bytes - 1; p && i >= 0; i--) v = v << 8 | p[i];
    return v;
}

/* --- the stack ---------------------------------------------------------------------------------------------------------- */

static fa_pickle *make(reader *r, fa_pickle_kind kind) {
    fa_pickle *v = take_memory(r, 1, sizeof *v);
    if (v) v->kind = kind;
    return v;
}

static void push(reader *r, fa_pickle *v) {
    if (v && make_room(r, &r->stack.at, &r->stack.room, r->stack.n)) r->stack.at[r->stack.n++] = v;
}

static size_t floor_of(const reader *r) {
    return r->n_marks ? r->mark[r->n_marks - 1] : 0;
}

static fa_pickle *pop(reader *r) {
    if (r->stack.n > floor_of(r)) return r->stack.at[--r->stack.n];
    fail(r, "a value is missing");
    return NULL;
}

static fa_pickle *top(reader *r) {
    fa_pickle *v = pop(r);
    if (v) r->stack.n++;
    return v;
}

static void push_mark(reader *r) {
    if (r->n_marks == r->marks_room) {
        size_t more = r->marks_room ? 2 * r->marks_room : 16;
        size_t *larger = take_memory(r, more, sizeof *larger);
        if (!larger) return;
        if (r->n_marks) memcpy(larger, r->mark, r->n_marks * sizeof *larger);
        r->mark = larger;
        r->marks_room = more;
    }
    r->mark[r->n_marks++] = r->stack.n;
}

/* The values above the last mark, which goes: a view that the next push overwrites. */
static fa_pickle **pop_to_mark(reader *r, size_t *n) {
    *n = 0;
    if (!r->n_marks) {
        fail(r, "a mark is missing");
        return NULL;
    }
    size_t floor = r->mark[--r->n_marks];
    *n = r->stack.n - floor;
    r->stack.n = floor;
    return r->stack.at + floor;
}

/* --- values ------------------------------------------------------------------------------------------------------------- */

static void push_int(reader *r, int64_t number) {
    fa_pickle *v = make(r, FA_PICKLE_INT);
    if (v) v->number = number;
    push(r, v);
}

static void push_text(reader *r, fa_pickle_kind kind, const uint8_t *text, uint64_t bytes) {
    fa_pickle *v = text ? make(r, kind) : NULL;
    if (!v) return;
    v->text = fa_arena_text(r->arena, (const char *)text, (size_t)bytes);
    if (!v->text && !r->status) r->status = fa_fail(r->e, FA_ENOMEM, "%s: out of memory for the pickle", r->where);
    if (v->text && strlen(v->text) != bytes) fail(r, "a text holds a zero byte");
    push(r, v);
}

static void append(reader *r, fa_pickle *to, fa_pickle *v) {
    if (v && make_room(r, &to->items, &to->room, to->n)) to->items[to->n++] = v;
}

static void push_tuple(reader *r, fa_pickle *const *items, size_t n) {
    fa_pickle *v = make(r, FA_PICKLE_TUPLE);
    for (size_t i = 0; v && i < n && !r->status; i++) append(r, v, items[i]);
    push(r, v);
}

/* A tuple of the last n values, n <= 3. */
static void gather_tuple(reader *r, size_t n) {
    fa_pickle *items[3];
    for (size_t i = n; i-- > 0 && !r->status;) items[i] = pop(r);
    if (!r->status) push_tuple(r, items, n);
}

static void set_items(reader *r, fa_pickle *const *items, size_t n) {
    fa_pickle *to = top(r);
    if (!to) return;
    if (n % 2 || (to->kind != FA_PICKLE_DICT && to->kind != FA_PICKLE_CALL)) {
        fail(r, "items are set on something that is no dictionary");
        return;
    }
    for (size_t i = 0; i < n; i += 2) {
        if (!make_room(r, &to->pairs, &to->pairs_room, 2 * to->n_pairs + 1)) return;
        to->pairs[2 * to->n_pairs] = items[i];
        to->pairs[2 * to->n_pairs++ + 1] = items[i + 1];
    }
}

/* The items come from the stack, above the list or dictionary that they belong to. */
static void set_last(reader *r) {
    fa_pickle *value = pop(r), *key = value ? pop(r) : NULL;
    if (key) set_items(r, (fa_pickle *[]){key, value}, 2);
}

static void append_items(reader *r, fa_pickle *const *items, size_t n) {
    fa_pickle *to = r->status ? NULL : top(r);
    if (to && to->kind != FA_PICKLE_LIST) fail(r, "an item is appended to something that is no list");
    for (size_t i = 0; to && i < n && !r->status; i++) append(r, to, items[i]);
}

static void append_last(reader *r) {
    fa_pickle *v = pop(r);
    if (v) append_items(r, &v, 1);
}

static void call(reader *r) {
    fa_pickle *arguments = pop(r), *callable = arguments ? pop(r) : NULL,
              *v = callable ? make(r, FA_PICKLE_CALL) : NULL;
    if (!v) return;
    if (callable->kind != FA_PICKLE_GLOBAL || arguments->kind != FA_PICKLE_TUPLE) {
        fail(r, "something is called that is no name, or without a tuple of arguments");
        return;
    }
    append(r, v, callable);
    append(r, v, arguments);
    push(r, v);
}

static void refer(reader *r) {
    fa_pickle *id = pop(r), *v = id ? make(r, FA_PICKLE_REFERENCE) : NULL;
    if (!v) return;
    append(r, v, id);
    push(r, v);
}

/* Module and name, each up to a newline, as one text with a space between. */
static void push_global(reader *r) {
    const uint8_t *begin = r->data + r->at, *end = begin;
    for (int newlines = 0; newlines < 2;) {
        const uint8_t *p = take(r, 1);
        if (!p) return;
        newlines += *p == '\n';
        end = p;
    }
    push_text(r, FA_PICKLE_GLOBAL, begin, (uint64_t)(end - begin));
    if (!r->status) *strchr((char *)r->stack.at[r->stack.n - 1]->text, '\n') = ' ';
}

/* The same from two texts on the stack. */
static void push_stack_global(reader *r) {
    const fa_pickle *name = pop(r), *module = name ? pop(r) : NULL;
    if (!module) return;
    if (name->kind != FA_PICKLE_TEXT || module->kind != FA_PICKLE_TEXT) {
        fail(r, "a name that is no text");
        return;
    }
    size_t first = strlen(module->text), second = strlen(name->text);
    fa_pickle *v = make(r, FA_PICKLE_GLOBAL);
    char *text = take_memory(r, first + second + 2, 1);
    if (!v || !text) return;
    memcpy(text, module->text, first);
    text[first] = ' ';
    memcpy(text + first + 1, name->text, second + 1);
    v->text = text;
    push(r, v);
}

/* An integer of n bytes in two's complement. */
static void push_long(reader *r, uint64_t n) {
    const uint8_t *p = take(r, n);
    if (!p) return;
    if (n > 8) {
        push(r, make(r, FA_PICKLE_OTHER));
        return;
    }
    uint64_t v = n && p[n - 1] & 0x80 ? ~(uint64_t)0 : 0;
    for (uint64_t i = n; i-- > 0;) v = v << 8 | p[i];
    push_int(r, (int64_t)v);
}

static void remember(reader *r, uint64_t at) {
    fa_pickle *v = top(r);
    if (!v) return;
    if (at >= MOST_VALUES || !make_room(r, &r->memo.at, &r->memo.room, (size_t)at)) {
        fail(r, "a memo of too many values");
        return;
    }
    r->memo.at[at] = v;
    if (at >= r->memo.n) r->memo.n = (size_t)at + 1;
}

static void recall(reader *r, uint64_t at) {
    if (at < r->memo.n && r->memo.at[at])
        push(r, r->memo.at[at]);
    else
        fail(r, "a memo that was not filled");
}

/* --- opcodes ------------------------------------------------------------------------------------------------------------ */

static void literal(reader *r, uint8_t opcode) {
    uint64_t n;
    switch (opcode) {
    case 'N': push(r, make(r, FA_PICKLE_NONE)); break;
    case 0x88: push_int(r, 1); break;
    case 0x89: push_int(r, 0); break;
    case 'K': push_int(r, (int64_t)take_number(r, 1)); break;
    case 'M': push_int(r, (int64_t)take_number(r, 2)); break;
    case 'J': push_int(r, (int32_t)take_number(r, 4)); break;
    case 0x8a: push_long(r, take_number(r, 1)); break;
    case 'G':
        if (take(r, 8)) push(r, make(r, FA_PICKLE_OTHER));
        break;
    case 0x8c:
    case 'X':
    case 0x8d:
        n = take_number(r, opcode == 0x8c ? 1 : opcode == 'X' ? 4 : 8);
        push_text(r, FA_PICKLE_TEXT, r->status ? NULL : take(r, n), n);
        break;
    default:
        r->status = fa_fail(r->e, FA_EUNSUPPORTED, "%s: byte %zu: opcode 0x%02x is in no checkpoint", r->where,
                            r->at - 1, opcode);
    }
}

static void step(reader *r, uint8_t opcode) {
    size_t n;
    fa_pickle **items;
    switch (opcode) {
    case 0x80: take(r, 1); break; /* protocol */
    case 0x95: take(r, 8); break; /* frame */
    case '(': push_mark(r); break;
    case ')': push_tuple(r, NULL, 0); break;
    case ']': push(r, make(r, FA_PICKLE_LIST)); break;
    case '}': push(r, make(r, FA_PICKLE_DICT)); break;
    case 't':
        items = pop_to_mark(r, &n);
        if (items) push_tuple(r, items, n);
        break;
    case 0x85:
    case 0x86:
    case 0x87: gather_tuple(r, (size_t)opcode - 0x84); break;
    case 'e':
        items = pop_to_mark(r, &n);
        append_items(r, items, n);
        break;
    case 'a': append_last(r); break;
    case 'u':
        items = pop_to_mark(r, &n);
        if (items) set_items(r, items, n);
        break;
    case 's': set_last(r); break;
    case 'c': push_global(r); break;
    case 0x93: push_stack_global(r); break;
    case 'R': call(r); break;
    case 'Q': refer(r); break;
    case 'b': pop(r); break; /* attributes of an object are nothing that a tensor depends on */
    case 'q': remember(r, take_number(r, 1)); break;
    case 'r': remember(r, take_number(r, 4)); break;
    case 0x94: remember(r, r->memo.n); break;
    case 'h': recall(r, take_number(r, 1)); break;
    case 'j': recall(r, take_number(r, 4)); break;
    default: literal(r, opcode);
    }
}

fa_status fa_pickle_read(const fa_pickle **out, fa_arena *arena, const uint8_t *data, size_t bytes, const char *where,
                         fa_error *e) {
    reader r = {.arena = arena, .data = data, .bytes = bytes, .where = where, .e = e};
    *out = NULL;
    while (!r.status) {
        const uint8_t *opcode = take(&r, 1);
        if (opcode && *opcode == '.') break;
        if (opcode) step(&r, *opcode);
    }
    *out = r.status ? NULL : pop(&r);
    return r.status;
}
