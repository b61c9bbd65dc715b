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
/* True when the assistant's turn starts inside <think> (the template ends in "<think>\n") and has no switch for it, as R1's: a model
 * that never saw an answer without reasoning, so one that only reasons. Templates with a switch (V3.1's `thinking`) are no family here. */
bool fa_chat_starts_in_think(const fa_chat_family *f);
/* True when the text itself begins as the model expects, with the BOS where there is one, so that encoding it must not add the tokenizer's prefix. */
bool fa_chat_prints_bos(const fa_chat_family *f);

/* The special token that stands for a picture in the rendered text, or NULL where the family takes none. */
const char *fa_chat_picture(const fa_chat_family *f);

/* The family a model's own files ask for: recognised by its Jinja template, else by architecture and tokens.
 * NULL when nothing fits: a base model, or a template that is not one of ours. `architecture` may be NULL. */
const fa_chat_family *fa_chat_guess(const fa_tokenizer *t, const char *architecture);
/* The part of it that reads the Jinja text; NULL when it is not one of ours. */
const fa_chat_family *fa_chat_guess_template(const char *jinja);

/* A prompt and the ranges of it that came from messages (never to be read as special tokens). */
typedef struct fa_prompt {
    fa_text text;
    fa_text_range *literal; /* rising, none empty */
    size_t n_literal, capacity;
} fa_prompt;
void fa_prompt_free(fa_prompt *p);
/* Appends text of a message. FA_ENOMEM. */
fa_status fa_prompt_append(fa_prompt *p, const char *text, size_t n);

/* Renders `messages`, an array of {"role", "content", ...} as the API has them (tool_calls and role "tool"
 * where the family knows them; where it takes pictures, a user's content may be an array of {"type": "text", "text"} and
 * {"type": "image"}, each of which gives one placeholder and a newline), into `out`, which is overwritten and which the caller frees. bos and eos are
 * the texts that the template prints. FA_EFORMAT names the message and the field, and leaves `out` empty. */
fa_status fa_chat_render(const fa_chat_family *f, const json_t *messages, bool generation_prompt, const char *bos,
                         const char *eos, fa_prompt *out, fa_error *e);

/* The family's default BOS and EOS texts, for rendering without a model. */
const char *fa_chat_default_bos(const fa_chat_family *f);
const char *fa_chat_default_eos(const fa_chat_family *f);

/* Splits a stream of answer text into reasoning and answer. Reasoning is one <think> .. </think> block with
 * which the text begins, or whose beginning the prompt already held; later tags are text like any other. A
 * tag is never emitted in part: bytes that could begin one are held back. The newlines that surround the tags
 * belong to neither. Zeroed is a fresh stream. */
typedef struct fa_think {
    bool inside;     /* in the reasoning; set it before the first feed to start there */
    bool answer;     /* in the answer: no tag is looked for any more */
    bool begun;      /* the current part has text already, so newlines belong to it */
    int matched;     /* bytes of the awaited tag that are held back, */
    size_t newlines; /* and newlines held back before them */
} fa_think;
/* Appends to `reasoning` and `answer` what is certain. FA_ENOMEM. */
fa_status fa_think_feed(fa_think *s, const char *text, size_t n, fa_text *reasoning, fa_text *answer);
/* The end of the stream: what is still held was no tag. */
fa_status fa_think_end(fa_think *s, fa_text *reasoning, fa_text *answer);

#endif
