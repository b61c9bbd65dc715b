/* Rewards by rules (DeepSeek-R1, arXiv 2501.12948, section 2.2.2): is the answer right, and has the text the form. The same rules as
 * models/recipe/problems/reward.py, with blanks and case of ASCII. */
#ifndef FA_TEXT_RULES_H
#define FA_TEXT_RULES_H

#include <stdbool.h>

typedef enum fa_rule {
    FA_RULE_BOXED,  /* what stands in the last \boxed{} is the target */
    FA_RULE_ANSWER, /* the whole answer is the target */
} fa_rule;

/* "boxed" or "answer"; false for anything else. */
bool fa_rule_find(const char *name, fa_rule *rule);

typedef struct fa_reward {
    bool accuracy;
    bool format; /* reasoning, </think> once, an answer; boxed: one box, at the end */
} fa_reward;

/* Judges what a model wrote after a prompt that ends in <think>. Case, runs of blanks and a full stop at the end make no difference to
 * accuracy. */
fa_reward fa_judge(fa_rule rule, const char *target, const char *text);

#endif
