/* Tool calls in an answer: the markup that DeepSeek-V3 and R1 write around them, and a parser that takes an answer as it
 * streams.
 *
 *   content<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>function<｜tool▁sep｜>NAME
 *   ```json
 *   ARGUMENTS
 *   ```<｜tool▁call▁end｜>
 *   <｜tool▁call▁begin｜>...<｜tool▁call▁end｜><｜tool▁calls▁end｜> */
#ifndef FA_TEXT_TOOL_CALLS_H
#define FA_TEXT_TOOL_CALLS_H

#include <stdbool.h>

#include "host/text/chat.h"
#include "host/text/tokenizer.h"

/* The parts of the markup that can be single tokens. */
typedef enum fa_tool_mark {
    FA_TOOL_CALLS_BEGIN = 0,
    FA_TOOL_CALL_BEGIN,
    FA_TOOL_SEP,
    FA_TOOL_CALL_END,
    FA_TOOL_CALLS_END,
    FA_TOOL_MARKS
} fa_tool_mark;
extern const char *const fa_tool_mark_text[FA_TOOL_MARKS];
extern const char fa_tool_arguments_begin[]; /* between the name and the arguments */
extern const char fa_tool_arguments_end[];   /* between the arguments and FA_TOOL_CALL_END */

/* The added token that is this mark; -1 where the mark is a text of other tokens, or `t` is NULL. */
int32_t fa_tool_mark_id(const fa_tokenizer *t, fa_tool_mark mark);

/* Whether the family's template knows tool calls. */
bool fa_chat_has_tools(const fa_chat_family *f);

typedef enum fa_tool_event_kind {
    FA_EVENT_CONTENT = 0, /* text: some of the answer's content */
    FA_EVENT_CALL,        /* text: the name of the function that is called; a whole name */
    FA_EVENT_ARGUMENTS,   /* text: some of the arguments */
    FA_EVENT_CALL_END,    /* the arguments are whole; no text */
} fa_tool_event_kind;

typedef struct fa_tool_event {
    fa_tool_event_kind kind;
    int32_t call;     /* which one: 0, 1, ... */
    const char *text; /* a view for the time of the call; not terminated */
    size_t n;
} fa_tool_event;

/* Gets each event; a status other than FA_OK stops the parser and is returned by it. */
typedef fa_status fa_tool_sink(void *ctx, const fa_tool_event *event);

typedef struct fa_tool_parser {
    int32_t ids[FA_TOOL_MARKS]; /* of marks that are tokens; -1: the mark is a text */
    int state;                  /* the part that the stream is in: the parser's own */
    int32_t calls;              /* begun so far */
    fa_text held;               /* what may be a part of the markup, or an unfinished name */
} fa_tool_parser;

/* `t` may be NULL: marks are found as texts. Free with fa_tool_parser_free. */
void fa_tool_parser_open(fa_tool_parser *p, const fa_tokenizer *t);
void fa_tool_parser_free(fa_tool_parser *p);

/* One token of the answer, behind the reasoning (fa_think): its id (-1: none), and the text that became whole with it, which may
 * be empty or belong to tokens before it. A mark that is a token counts as a mark whatever its text is; a mark that the tokenizer has
 * as a token is not looked for in texts. Nothing that may be markup is passed on before it is certain. FA_ENOMEM, and what the sink
 * returns. */
fa_status fa_tool_parser_feed(fa_tool_parser *p, int32_t id, const char *text, size_t n, fa_tool_sink *sink, void *ctx);
/* The end of the answer: what is held was no mark. A call whose arguments are not whole gets no FA_EVENT_CALL_END. */
fa_status fa_tool_parser_end(fa_tool_parser *p, fa_tool_sink *sink, void *ctx);

#endif
