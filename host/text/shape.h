/* Rewards for the shape of an answer, whatever its content: in which language it is, and how long. The same values as `language` and
 * `length` of models/recipe/problems/reward.py. */
#ifndef FA_TEXT_SHAPE_H
#define FA_TEXT_SHAPE_H

#include <stdbool.h>
#include <stdint.h>

typedef enum fa_script {
    FA_SCRIPT_LATIN, /* "en" */
    FA_SCRIPT_HAN,   /* "zh" */
} fa_script;

/* "en" or "zh"; false for anything else. */
bool fa_script_find(const char *name, fa_script *script);

/* The share of words of the target language in the reasoning (DeepSeek-R1, arXiv 2501.12948, section 2.3.2), told by their script: what
 * stands before </think>, or all of a text without one. A word is a run of letters of one script, and of Chinese each character; 1
 * where there is no word. Bytes that are no UTF-8 count as blanks. */
double fa_language_reward(const char *text, fa_script script);

/* Soft punishment of long answers (DAPO, arXiv 2503.14476, equation 13): 0 up to most - soft tokens, falling to -1 at `most` and
 * staying there. 0 <= soft <= most. */
double fa_length_reward(int64_t tokens, int64_t most, int64_t soft);

#endif
