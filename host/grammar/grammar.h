/* A grammar over bytes and a few single tokens: nodes as in a regular expression's automaton, and rules that call one
 * another, so that brackets nest (a recursive transition network; Woods, "Transition network grammars", 1970).
 *
 * It is built backwards: each function gets the node that comes next and returns the one that comes first. The first failure
 * (memory, a limit) stays in `status` and makes all further calls do nothing, so a builder checks once, in fa_grammar_finish. */
#ifndef FA_GRAMMAR_GRAMMAR_H
#define FA_GRAMMAR_GRAMMAR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "host/base/status.h"

enum {
    FA_NO_NODE = -1,            /* nothing matches; as `next` it makes nothing of what comes before */
    FA_GRAMMAR_NODES = 1 << 18, /* of one grammar at most */
    FA_GRAMMAR_DEPTH = 160,     /* calls that may be open at once */
    FA_GRAMMAR_MARKERS = 16,    /* single tokens of one grammar at most */
    FA_GRAMMAR_NEVER = 1 << 20, /* `need` of a node from which the end cannot be reached */
};

typedef enum fa_node_kind {
    FA_NODE_END = 0, /* of the rule */
    FA_NODE_BYTE,    /* a byte of set a, then node b */
    FA_NODE_MARKER,  /* the token markers[a], then node b; a < 0: any added token that is none of them */
    FA_NODE_SPLIT,   /* node a or node b */
    FA_NODE_CALL,    /* rule a, then node b */
} fa_node_kind;

typedef struct fa_node {
    int32_t kind, a, b;
    int32_t need; /* calls that must still be opened above this rule's frame, at least, to reach the rule's end */
} fa_node;

typedef struct fa_byte_set {
    uint64_t bits[4];
} fa_byte_set;

typedef struct fa_rule {
    int32_t start; /* node; FA_NO_NODE: nothing matches */
    int32_t need;
    bool nullable; /* can match nothing */
} fa_rule;

typedef struct fa_grammar {
    fa_node *nodes;
    fa_byte_set *sets;
    fa_rule *rules;
    int32_t *of_range; /* [256, 256] 1 + the set of the bytes from .. to, 0: not made yet */
    int32_t n_nodes, n_sets, n_rules, node_room, set_room, rule_room;
    int32_t markers[FA_GRAMMAR_MARKERS]; /* token ids */
    int32_t n_markers;
    int32_t root;          /* rule */
    int32_t left;          /* after fa_grammar_finish failed: the rule that begins with itself, or -1 */
    fa_status status;      /* of building: FA_OK, FA_ENOMEM, FA_ELIMIT (too many nodes) */
    uint8_t class_of[256]; /* bytes that no set tells apart share a class */
    int32_t n_classes;
    uint8_t class_byte[256]; /* a byte of each class */
} fa_grammar;

void fa_grammar_open(fa_grammar *g);
void fa_grammar_free(fa_grammar *g);

/* A rule without a body yet; give it one by `rules[i].start = node`. */
int32_t fa_grammar_rule(fa_grammar *g);

/* Of two nodes one may be FA_NO_NODE. */
int32_t fa_node_either(fa_grammar *g, int32_t one, int32_t other);
int32_t fa_node_end(fa_grammar *g);
int32_t fa_node_set(fa_grammar *g, fa_byte_set set, int32_t next);
int32_t fa_node_range(fa_grammar *g, uint8_t first, uint8_t last, int32_t next);
int32_t fa_node_text(fa_grammar *g, const char *text, size_t n, int32_t next);
int32_t fa_node_call(fa_grammar *g, int32_t rule, int32_t next);
/* The token `id`; -1: any other added token. */
int32_t fa_node_marker(fa_grammar *g, int32_t id, int32_t next);
/* A split to be closed by fa_node_close, for loops: its first way is given then. */
int32_t fa_node_loop(fa_grammar *g, int32_t next);
void fa_node_close(fa_grammar *g, int32_t loop, int32_t body);

static inline fa_byte_set fa_set_range(fa_byte_set s, unsigned first, unsigned last) {
    for (unsigned i = first; i <= last; i++) s.bits[i >> 6] |= (uint64_t)1 << (i & 63);
    return s;
}
static inline bool fa_set_has(const fa_byte_set *s, unsigned byte) {
    return s->bits[byte >> 6] >> (byte & 63) & 1;
}

/* A code point of the range as UTF-8, surrogates left out. */
int32_t fa_node_code_points(fa_grammar *g, uint32_t first, uint32_t last, int32_t next);

/* Once all rules have bodies: removes bytes that `can` lacks (those that no token of the model stands for alone), so that
 * what remains can always go on; computes needs and byte classes. FA_EINVAL: a rule begins with itself (`left`), or the
 * root matches nothing within the limits; FA_ELIMIT: more than FA_GRAMMAR_NODES nodes; FA_ENOMEM. */
fa_status fa_grammar_finish(fa_grammar *g, const fa_byte_set *can, fa_error *e);

#endif
