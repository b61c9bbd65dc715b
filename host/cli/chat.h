/* A conversation under way, for chat.c and chat_commands.c. */
#ifndef FA_CLI_CHAT_H
#define FA_CLI_CHAT_H

#include <jansson.h>
#include <stdbool.h>

#include "host/cli/answer.h"
#include "host/cli/sampling.h"

typedef struct chat {
    fathom_engine *engine;
    fathom_session *session;
    fathom_info info;
    const fa_chat_family *family;
    cli_sampling sampling;
    json_t *messages;    /* the system message first, where there is one; then users' and answers in turn */
    const char **images; /* [n_images] malloc'd paths of the pictures that the next message shows */
    size_t n_images;
    cli_answer last; /* the newest answer, */
    uint64_t last_seed;
    uint64_t answers; /* so far: each takes its own seed, sampling.seed + answers */
    bool hide_reasoning, done;
} chat;

/* Says something about the conversation, apart from its text: on stderr. */
void chat_note(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* Adds a user's message and answers it. What cannot be answered is taken back. */
void chat_say(chat *c, const char *text, size_t n);
/* Answers the conversation as it stands. False when there is no answer; then the conversation is as it was. */
bool chat_answer(chat *c);

/* Runs "/name argument". */
void chat_command(chat *c, const char *line);

/* The next message shows no pictures. */
void chat_forget_images(chat *c);

/* Role of the newest message; "" when there is none. */
const char *chat_last_role(const chat *c);
/* Takes the newest message back. */
void chat_drop_last(chat *c);

#endif
