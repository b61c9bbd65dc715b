/* What tells one chat template from another, as data. Private to the chat templates. */
#ifndef FA_TEXT_CHAT_FAMILY_H
#define FA_TEXT_CHAT_FAMILY_H

#include "host/text/chat.h"

/* Where the texts of system messages go. */
typedef enum fa_chat_system {
    FA_SYSTEM_TURN = 0, /* each in its place, as a turn */
    FA_SYSTEM_JOINED,   /* all of them in front, a blank line between */
    FA_SYSTEM_LAST,     /* the last one in front, the others dropped */
    FA_SYSTEM_FIRST,    /* the first one in front, the others dropped */
} fa_chat_system;

/* When the family's own system text is printed. */
typedef enum fa_chat_default {
    FA_DEFAULT_NEVER = 0,
    FA_DEFAULT_IF_NONE,      /* no message is a system message */
    FA_DEFAULT_IF_NOT_FIRST, /* the first message is not one */
    FA_DEFAULT_IF_PICTURES,  /* no message is one, and there are pictures */
} fa_chat_default;

typedef enum fa_chat_role {
    FA_ROLE_SYSTEM = 0,
    FA_ROLE_USER,
    FA_ROLE_ASSISTANT,
    FA_ROLE_TOOL,
    FA_ROLE_COUNT
} fa_chat_role;

/* A turn is before + content + after (+ the EOS text). NULL before: the family has no such turn. */
typedef struct fa_chat_turn {
    const char *before, *after;
    bool eos;
} fa_chat_turn;

struct fa_chat_family {
    const char *name;
    const char *bos, *eos; /* default texts */
    fa_chat_system system;
    fa_chat_default when_default;
    const char *default_system;       /* the whole turn */
    fa_chat_turn turn[FA_ROLE_COUNT]; /* of FA_SYSTEM_TURN families the system turn too */
    const char *generation;           /* what the assistant's turn begins with */
    bool prints_bos;                  /* the BOS text comes first */
    bool wants_prefix;                /* the ids begin with the BOS, though the text does not */
    bool strips_think;                /* history keeps only what follows the last </think> */
    bool tools;                       /* tool calls and outputs, as V3 and R1 write them */
    bool strict_turns;                /* user and assistant take turns, texts are stripped: Janus */
    const char *picture;              /* the placeholder of a picture; NULL: the family takes none */
};

/* A rendering under way: a failed append sets `status`, and further ones do nothing. */
typedef struct fa_chat_writer {
    const fa_chat_family *family;
    const char *eos;
    const json_t *messages;
    fa_prompt *out;
    fa_status status;
} fa_chat_writer;

/* Text of the template, and text of a message. */
void fa_chat_put(fa_chat_writer *w, const char *text);
void fa_chat_put_literal(fa_chat_writer *w, const char *text, size_t n);

/* Role and content of message i, a view. Optional content that is absent or null is *text = NULL. */
fa_status fa_chat_role_of(const fa_chat_writer *w, size_t i, fa_chat_role *role, fa_error *e);
fa_status fa_chat_content(const fa_chat_writer *w, size_t i, bool optional, const char **text, size_t *n, fa_error *e);

/* chat_tools.c: assistant messages with tool_calls, and messages of role tool. Zeroed before the first
 * message. */
typedef struct fa_chat_tools {
    bool in_outputs;       /* the last message was of role tool */
    bool called, answered; /* calls, outputs were printed before */
} fa_chat_tools;
bool fa_chat_has_calls(const json_t *message);
/* `text` is the message's content, or NULL. */
fa_status fa_chat_put_calls(fa_chat_writer *w, fa_chat_tools *state, size_t i, const char *text, size_t n, fa_error *e);
void fa_chat_put_output(fa_chat_writer *w, fa_chat_tools *state, const char *text, size_t n);
void fa_chat_end_outputs(fa_chat_writer *w, fa_chat_tools *state);

/* chat_janus.c */
fa_status fa_chat_render_janus(fa_chat_writer *w, bool generation_prompt, fa_error *e);

#endif
