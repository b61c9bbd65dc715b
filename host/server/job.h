/* What is computed for one request of chat or completions: prompts as ids, how to sample, and the choices under way. Made by the preparing thread, then the
 * engine thread's alone. */
#ifndef FA_SERVER_JOB_H
#define FA_SERVER_JOB_H

#include <jansson.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "host/base/status.h"
#include "host/fathom.h"
#include "host/server/echo.h"
#include "host/server/pictures.h"
#include "host/server/pool.h"
#include "host/text/chat.h"
#include "host/text/tool_calls.h"

enum { FA_JOB_CHOICES = 16, FA_JOB_STOPS = 16 };

/* One answer. */
typedef struct fa_choice {
    fathom_session *session; /* NULL: not started, or over */
    bool started, over;
    bool compiling;                   /* it has a session, and waits for its grammar */
    fa_task task;                     /* in the queue of grammars */
    struct fa_exchange *exchange;     /* held while it is there */
    struct fa_constraint *constraint; /* made there, until the session has it; NULL with a problem */
    fa_error problem;                 /* neither: nobody waits for it any more */
    atomic_bool compiled;
    struct fa_job_prompt *prompt;
    fa_think think;
    fa_text reasoning, content;            /* of a stream: what was not sent yet; else all so far */
    fa_tool_parser parser;                 /* of a request with tools */
    json_t *calls;                         /* of a whole answer: the API's tool_calls, or NULL */
    json_t *reasoning_logprobs, *logprobs; /* in step with them, or NULL: arrays, of a completion its columns */
    size_t prefix_left;                    /* bytes of job's prefix that are still to come, and not to be shown */
    bool greeted;                          /* a stream's first event, which names the role, is out */
    int32_t reasoning_tokens;
    bool echoed;     /* what the answer begins with of its prompt is in `content` */
    int64_t text_at; /* of completions: characters of the tokens so far */
    fathom_finish finish;
    fathom_usage usage;
} fa_choice;

typedef struct fa_job_prompt {
    int32_t *ids; /* [n] */
    size_t n;
    fa_echo echo; /* its log-probabilities come while the first choice is computed */
} fa_job_prompt;

typedef struct fa_job {
    json_t *body; /* the request; texts below are views into it */
    bool chat;    /* else a completion, or: */
    bool draws;   /* answers are pictures, whose PNG in base64 becomes a choice's content */
    float guidance;
    bool stream, include_usage;
    bool reasons; /* an answer may begin with reasoning, which is told apart */
    bool hides;   /* and not shown */
    bool inside;  /* the prompt ends inside <think> */
    bool logprobs;
    const char *model; /* as the request named it */
    int64_t created;   /* s since 1970 */
    fathom_sampling sampling;
    char *schema, *tools, *prefix; /* texts of the sampling, or NULL */
    const char *stops[FA_JOB_STOPS];
    fa_job_prompt *prompts;
    size_t n_prompts;
    fa_picture_list pictures; /* of the prompt of a chat */
    fa_choice *choices;       /* [n_choices]: n for each prompt, in the order of prompts */
    size_t n_choices;
    int64_t first_ns; /* monotonic, of the first token; 0: none yet */
} fa_job;

/* Also closes its sessions' buffers, not the sessions. NULL allowed. */
void fa_job_free(fa_job *j);

/* Makes the prompts' choices, `n` of each; `t` may be NULL where there are no tools. False when memory ran out. */
bool fa_job_make_choices(fa_job *j, int64_t n, const fa_tokenizer *t);

/* Sums over choices: prompts count once. */
typedef struct fa_job_usage {
    int64_t prompt, cached, completion, reasoning;
} fa_job_usage;
fa_job_usage fa_job_sum(const fa_job *j);

#endif
