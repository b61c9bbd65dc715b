/* The messages of a chat request: from the forms that clients send to the prompt's ids. */
#ifndef FA_SERVER_MESSAGES_H
#define FA_SERVER_MESSAGES_H

#include <jansson.h>
#include <stdbool.h>

#include "host/server/pictures.h"
#include "host/server/reply.h"
#include "host/text/chat.h"

typedef struct fa_conversation {
    fathom_engine *engine;
    const fathom_info *info;
    const fa_chat_family *family;
    const json_t *tools;               /* what the prompt tells of, or NULL */
    bool reasons;                      /* the profile shows its reasoning */
    bool beta;                         /* the path was /beta's */
    json_t *messages;                  /* as fa_chat_render takes them, without the one that is continued */
    bool continues;                    /* the last message, of the assistant, is the beginning of the answer */
    const json_t *reasoning, *content; /* of that message, views; NULL: none */
    bool inside;                       /* after encoding: the prompt ends inside <think>, */
    const json_t *prefix;     /* and behind the reasoning the answer is to begin so; a view; NULL: as it will */
    fa_picture_list pictures; /* in the order of the messages */
} fa_conversation;

/* Content parts of type text become one text, "developer" becomes "system"; pictures that the model does not take, and reasoning_content where it may
 * not be, are problems that name the message. `messages` must outlive `c`. */
bool fa_messages_read(fa_conversation *c, const json_t *messages, fa_problem *p);

/* The prompt, up to where the answer begins; behind a template that begins a reasoning, up to that, as a model that only reasons was never shown an answer
 * without. A text to be continued then waits behind the reasoning, unless the message brings that too. */
bool fa_messages_encode(fa_conversation *c, fa_ids *ids, fa_problem *p);

void fa_messages_free(fa_conversation *c);

#endif
