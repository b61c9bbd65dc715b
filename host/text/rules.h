/* Rewards by rules (DeepSeek-R1, arXiv 2501.12948, section 2.2.2): is the answer right, and has the text the form. "boxed" and "answer"
 * are the rules of models/recipe/problems/reward.py, with blanks and case of ASCII. */
#ifndef FA_TEXT_RULES_H
#define FA_TEXT_RULES_H

#include <stdbool.h>
#include <stddef.h>

typedef enum fa_rule {
    FA_RULE_BOXED,  /* what stands in the last \boxed{} is the target */
    FA_RULE_ANSWER, /* the whole answer is the target */
    FA_RULE_NUMBER, /* the last number of the answer is the target, however it is written: 1,234.50 is 1234.5 */
    FA_RULE_CODE,   /* a program that must run: the caller says whether it is right */
} fa_rule;

/* "boxed", "answer", "number" or "code"; false for anything else. */
bool fa_rule_find(const char *name, fa_rule *rule);

typedef struct fa_reward {
    bool accuracy;
    bool format; /* reasoning, </think> once, an answer; boxed: one box, at the end; code: one block between fences */
} fa_reward;

/* Judges what a model wrote. `thinks`: its prompt ended in <think>, so the answer stands behind </think>; otherwise reasoning may stand before
 * one, and the form does not ask for it. Case, runs of blanks and a full stop at the end make no difference to accuracy, which is false for
 * code. */
fa_reward fa_judge(fa_rule rule, const char *target, bool thinks, const char *text);

/* The program in what a model wrote: the last block between lines of ``` in its answer, or the whole answer where there is none. A view
 * into `text`. */
const char *fa_code_of(const char *text, bool thinks, size_t *n);

/* True when a text is one number and nothing else. */
bool fa_is_number(const char *text);

#endif
