/* The grammar of a whole answer: reasoning, then text, a value or tool calls. Private to this folder. */
#ifndef FA_GRAMMAR_ANSWER_H
#define FA_GRAMMAR_ANSWER_H

#include "host/grammar/constraint.h"

/* Makes and finishes the grammar; errors as fa_constraint_open. */
fa_status fa_answer_grammar(fa_grammar *g, const fa_constraint_spec *s, const fa_vocabulary *v, bool has_tools,
                            fa_error *e);

#endif
