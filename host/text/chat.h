/* Chat templates: messages -> prompt text, for the families whose templates are built in. */
#ifndef FA_TEXT_CHAT_H
#define FA_TEXT_CHAT_H

#include <jansson.h>
#include <stdbool.h>

#include "host/base/status.h"
#include "host/text/tokenizer.h"

typedef struct fa_chat_family fa_chat_family; /* static data */

/* By name: deepseek-v3, deepseek-r1, r1-distill, deepseek-v2.5, deepseek-v2, deepseek-coder, janus, chatml.
 * NULL when unknown. */
const fa_chat_family *fa_chat_find(const char *name);
/* NULL after the last one. */
const fa_chat_family *fa_chat_at(int i);
const char *fa_chat_name(const fa_chat_family *f);
/* True when the assistant's turn starts inside <think> (the template ends in "<think>\n"). */
bool fa_chat_starts_in_think(const fa_chat_family *f);

/* The family a model's own files ask for: recognised by its Jinja template, else by architecture and tokens. NULL when nothing
 * fits (a base model). `architecture` may be NULL. */
const fa_chat_family *fa_chat_guess(const fa_tokenizer *t, const char *architecture);

/* A prompt and the ranges of it that came from messages (never to be read as special tokens). */
typedef struct fa_prompt {
    fa_text text;
    fa_text_range *literal;
    size_t n_literal, capacity;
} fa_prompt;
void fa_prompt_free(fa_prompt *p);

/* Renders `messages`, an array of {"role", "content", ...} as the API has them (tool_calls and role "tool" where the
 * family knows them). bos and eos are the texts that the template prints. FA_EFORMAT names the message and the field. */
fa_status fa_chat_render(const fa_chat_family *f, const json_t *messages, bool generation_prompt, const char *bos,
                         const char *eos, fa_prompt *out, fa_error *e);

/* The family's default BOS and EOS texts, for rendering without a model. */
const char *fa_chat_default_bos(const fa_chat_family *f);
const char *fa_chat_default_eos(const fa_chat_family *f);

/* Splits a stream of answer text into reasoning (inside <think> .. </think>) and answer. A tag is never emitted in part:
 * bytes that could begin one are held back. The newlines that surround the tags belong to neither. */
typedef struct fa_think {
    bool inside, seen; /* set `inside` to start within a reasoning block */
    char held[16];
    int n_held;
    bool trim; /* newlines at the start of the current part are being dropped */
} fa_think;
fa_status fa_think_feed(fa_think *s, const char *text, size_t n, fa_text *reasoning, fa_text *answer);
fa_status fa_think_end(fa_think *s, fa_text *reasoning, fa_text *answer);

#endif
