/* The rules of JSON itself (RFC 8259), with white space as people write it: bounded, so that no model runs away in blanks. */
#include <stdlib.h>
#include <string.h>

#include "host/grammar/number.h"
#include "host/grammar/schema_inside.h"
#include "host/grammar/text.h"

enum { INDENT = 32 }; /* blanks at the beginning of a line at most */

/* Nothing, a blank, or a new line and its indent. */
static int32_t make_space(fa_grammar *g) {
    int32_t end = fa_node_end(g), indent = end;
    fa_byte_set blank = fa_set_range(fa_set_range((fa_byte_set){{0}}, ' ', ' '), '\t', '\t');
    for (int i = 0; i < INDENT; i++) indent = fa_node_either(g, end, fa_node_set(g, blank, indent));
    int32_t all = fa_node_either(g, end, fa_node_text(g, " ", 1, end));
    return fa_node_either(g, all, fa_node_text(g, "\n", 1, indent));
}

/* `open` space [element {"," space element}] space `close`. */
static int32_t make_list(fa_schema_builder *b, const char *open, const char *close,
                         int32_t (*element)(fa_schema_builder *, int32_t)) {
    fa_grammar *g = b->g;
    int32_t end = fa_node_text(g, close, 1, fa_node_end(g));
    int32_t more = fa_node_loop(g, fa_node_call(g, b->space, end));
    fa_node_close(g, more, fa_node_text(g, ",", 1, fa_node_call(g, b->space, element(b, more))));
    return fa_node_text(g, open, 1, fa_node_call(g, b->space, fa_node_either(g, end, element(b, more))));
}

static int32_t any_value(fa_schema_builder *b, int32_t next) {
    return fa_node_call(b->g, b->any, next);
}

static int32_t any_member(fa_schema_builder *b, int32_t next) {
    fa_grammar *g = b->g;
    int32_t value = any_value(b, next);
    value = fa_node_either(g, value, fa_node_text(g, " ", 1, value));
    return fa_node_call(g, b->text, fa_node_text(g, ":", 1, value));
}

static int32_t make_any(fa_schema_builder *b) {
    static const char *const words[] = {"null", "true", "false"};
    fa_grammar *g = b->g;
    int32_t end = fa_node_end(g), all = fa_node_call(g, b->number, end);
    for (int i = 0; i < 3; i++) all = fa_node_either(g, all, fa_node_text(g, words[i], strlen(words[i]), end));
    all = fa_node_either(g, all, fa_node_call(g, b->text, end));
    all = fa_node_either(g, all, fa_node_call(g, b->array, end));
    return fa_node_either(g, all, fa_node_call(g, b->object, end));
}

/* Characters without an end of their own. */
static int32_t make_text_rest(fa_schema_builder *b) {
    int32_t loop = fa_node_loop(b->g, fa_node_end(b->g));
    fa_node_close(b->g, loop, fa_json_any_point(b->g, loop));
    return loop;
}

static int32_t make_number(fa_schema_builder *b, bool whole) {
    int32_t start = FA_NO_NODE;
    fa_number_nodes(b->g, &(fa_number_range){.whole = whole}, fa_node_end(b->g), &start, NULL);
    return start;
}

fa_status fa_schema_builder_open(fa_schema_builder **out, fa_grammar *g, fa_error *e) {
    fa_schema_builder *b = *out = calloc(1, sizeof *b);
    if (!b) return fa_fail(e, FA_ENOMEM, "grammar: out of memory");
    b->g = g;
    int32_t *rules[] = {&b->any,   &b->object, &b->array,  &b->text,   &b->text_rest,
                        &b->point, &b->space,  &b->number, &b->integer};
    for (size_t i = 0; i < sizeof rules / sizeof *rules; i++) *rules[i] = fa_grammar_rule(g);
    const struct {
        int32_t rule, start;
    } bodies[] = {
        {b->space, make_space(g)},
        {b->point, fa_json_any_point(g, fa_node_end(g))},
        {b->text_rest, make_text_rest(b)},
        {b->text, fa_node_text(g, "\"", 1, fa_node_call(g, b->text_rest, fa_node_text(g, "\"", 1, fa_node_end(g))))},
        {b->number, make_number(b, false)},
        {b->integer, make_number(b, true)},
        {b->array, make_list(b, "[", "]", any_value)},
        {b->object, make_list(b, "{", "}", any_member)},
        {b->any, make_any(b)},
    };
    if (!g->status) {
        for (size_t i = 0; i < sizeof bodies / sizeof *bodies; i++) g->rules[bodies[i].rule].start = bodies[i].start;
        return FA_OK;
    }
    fa_schema_builder_close(b);
    *out = NULL;
    return fa_fail(e, FA_ENOMEM, "grammar: out of memory");
}

void fa_schema_builder_close(fa_schema_builder *b) {
    if (!b) return;
    for (int32_t i = 0; i < b->n_what; i++) free(b->what[i]);
    free(b->items);
    free(b->slots);
    free(b);
}

int32_t fa_schema_any_object(fa_schema_builder *b) {
    return b->object;
}

int32_t fa_schema_space(fa_schema_builder *b) {
    return b->space;
}
