/* From tokens to the JSON of responses: objects of chat and of completions, whole or as events of a stream. The engine thread's. */
#ifndef FA_SERVER_ANSWER_H
#define FA_SERVER_ANSWER_H

#include "host/server/exchange.h"
#include "host/server/job.h"

/* The next token of choice `c`; a stream sends what became certain by it. False when memory ran out. */
bool fa_answer_token(fa_exchange *x, fa_choice *c, const fathom_token *token);

/* The next token of the choice's prompt, which is echoed with its log-probabilities. False when memory ran out. */
bool fa_answer_scored(fa_exchange *x, fa_choice *c, const fathom_token *token);

/* The choice's session ended (c->finish, c->usage are set): what was held back, and why it ended. */
bool fa_answer_end(fa_exchange *x, fa_choice *c, const char *rest);

/* The whole response of a request that is no stream, malloc'd; NULL when memory ran out. */
char *fa_answer_whole(const fa_exchange *x);

/* The event of a stream that tells usage, where the request wanted it. */
void fa_answer_usage(fa_exchange *x);

#endif
