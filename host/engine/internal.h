/* The inside of an engine and of a session; shared by the files of this folder and by tests of failures. */
#ifndef FA_ENGINE_INTERNAL_H
#define FA_ENGINE_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>

#include "host/base/arena.h"
#include "host/cache/cache.h"
#include "host/engine/drawing.h"
#include "host/engine/engine.h"
#include "host/engine/pictures.h"
#include "host/engine/sampler.h"
#include "host/engine/stop.h"
#include "host/fathom.h"
#include "host/grammar/constraint.h"
#include "host/model/model.h"
#include "host/text/chat.h"
#include "host/text/tokenizer.h"

/* One session's part of a step: rows that the cache does not hold yet, then drafts. */
typedef struct fa_turn {
    fathom_session *session;
    int32_t wanted;       /* rows that it has a use for */
    int32_t rows, drafts; /* rows counts the drafts; after the step, drafts to be made for the next one */
    int32_t first;        /* of its rows in the batch; after the step, its last row in the pass of the MTP layer */
    int32_t first_logits; /* of its rows of logits, which are those of its last rows: */
    int32_t n_logits;     /* one, one for each draft, one for each token of a prompt whose log-probability is wanted */
    int32_t kept;         /* rows that stand after the step; 0 where the session ended by an error */
    bool prompt;          /* rows of a prompt */
    bool has_room;        /* behind its rows, fa_draft_room in all */
} fa_turn;

/* The arrays of one step, sized at opening. */
typedef struct fa_batch {
    int32_t *tokens; /* [step_rows] */
    const float *
        *rows_given; /* [step_rows] rows that stand for their tokens' embeddings, or NULL; NULL: the model takes none */
    fa_place *place; /* [step_rows] */
    int32_t *logit_rows; /* [step_rows] */
    int32_t *from;       /* [step_rows] rows that a pass of the MTP layer goes on from */
    float *logits;       /* [logit rows, vocab] */
    fa_turn *turns;      /* [sessions] */
    int32_t rows, n_logits, n_turns;
    int32_t background; /* of the rows, those of background sessions */
} fa_batch;

/* How an engine was set up: the options with every "auto" decided. */
typedef struct fa_setup {
    fa_config config;
    fa_numerics numerics;
    fa_cache_type cache;
    int32_t context, sessions, step_rows;
    int32_t drafts, logit_rows; /* drafts of a session, rows of logits of a step: at most */
    int32_t score_rows;         /* of these, those for log-probabilities of prompts */
    bool mtp;                   /* drafts come from the MTP layer */
    bool logits_all;
    bool cluster; /* ranks compute */
} fa_setup;

struct fathom_engine {
    fa_setup setup;
    char *name; /* last part of the model's path */
    fa_backend *backend;
    fa_model *model;
    fa_tokenizer *tokenizer;  /* or NULL */
    fa_vocabulary vocabulary; /* of the tokenizer; made, under the lock, for the first answer that is constrained */
    pthread_mutex_t vocabulary_lock;
    const fa_chat_family *chat; /* or NULL */
    fa_cache *cache;
    fa_pictures pictures;
    fa_drawings drawings;
    fa_arena arena;           /* all below */
    fathom_session *sessions; /* [setup.sessions] */
    fa_batch batch;
    fa_sampler sampler;
    size_t longest_piece; /* bytes of the longest token */
    const fa_probe *probe;
    int32_t rows_limit;                                        /* of a step, least .. setup.step_rows */
    int32_t background_limit;                                  /* of these, for background sessions */
    bool worked;                                               /* the last step computed something */
    int64_t turns;                                             /* of background sessions so far */
    fa_status (*run)(fa_model *, const fa_step *, fa_error *); /* fa_model_step; tests put failures in between */
};

struct fathom_session {
    fathom_engine *engine;
    bool open;
    bool background, held; /* held: has no rows in this step */
    int64_t last_turn;     /* of a background session: the number of its last turn among those of all */
    fa_sequence *sequence;
    int32_t *tokens; /* [context + 1] the prompt, the answer, then drafts */
    int32_t n_prompt, n_new, n_draft;
    int32_t most_drafts;      /* as far as guessing ahead has been worth it of late */
    fathom_sampling sampling; /* its arrays are copies */
    fa_session_pictures pictures;
    fa_drawing drawing;
    int32_t *stop_ids; /* [sampling.n_stop_ids] */
    fa_stops stops;
    fa_constraint *constraint; /* or NULL */
    fa_decoder decoder;
    fa_text piece;          /* what the decoder made of the last token; after the end, the rest that was held back */
    fa_text text;           /* of the made tokens' texts, what may go out; each is terminated */
    fathom_token *made;     /* [drafts + 1] of the last step */
    int32_t n_made, n_seen; /* the caller has seen the first n_seen */
    fathom_token *scored;   /* [score_rows] the prompt's tokens whose log-probability the last step gave */
    int32_t n_scored, n_scored_seen;
    int32_t score_next; /* the next token of the prompt that is to be scored; n_prompt: none */
    fathom_finish finish;
    fa_error error;
    atomic_bool cancelled;
    fathom_usage usage;
};

/* options -> setup: reads the model's configuration and decides what was left to us. */
fa_status fa_setup_make(fa_setup *s, const fathom_options *options, fa_error *e);

/* "w8a8", "bf16", ... */
const char *fa_setup_numerics(const fa_setup *s);
const char *fa_setup_cache(const fa_setup *s);

/* FA_ENOMEM with the sum and its parts when the page pool and tables to come exceed this machine's memory. */
fa_status fa_memory_check(int64_t pool_bytes, int64_t table_bytes, int64_t taken_bytes, fa_error *e);

/* The tokens of the last step make room for those of this one. */
void fa_session_begin_step(fathom_session *s);

/* Token `c` is the session's next: keeps it, makes its text, decides whether the answer ends. */
void fa_session_take(fathom_session *s, const fa_choice *c);

/* The tokens that may come next: *allowed stays as it is where all may. */
fa_status fa_session_allowed(fathom_session *s, const uint32_t **allowed, fa_error *e);
/* Follows the token that was chosen; true when the answer is complete with it. */
bool fa_session_completes(fathom_session *s, int32_t id);

/* After a device failed outside a step of the model: true when it works again and the work may be begun anew; sessions whose cached positions
 * were lost compute them again, or ended with `why`. */
bool fa_engine_recover(fathom_engine *g, const fa_error *why);

/* Ends the answer. */
void fa_session_end(fathom_session *s, fathom_finish why);
void fa_session_fail(fathom_session *s, const fa_error *why);

/* Rows that a turn has a use for: all that wait, but of those to be scored at most `share`. */
int32_t fa_score_wanted(const fathom_session *s, int32_t share);
/* Whether the session waits for log-probabilities of its prompt. */
bool fa_score_waits(const fathom_session *s);
/* How many of the turn's last rows must give logits for its prompt's sake: 0 where nothing is to be scored. */
int32_t fa_score_logits(const fa_turn *turn);
/* Keeps the log-probabilities of the prompt that the step gave. FA_ENUMERIC names the position. */
fa_status fa_score_take(const fathom_engine *g, const fa_turn *turn, fa_error *e);

/* Tokens, drafts aside, that are not in the cache yet: 1 while answering, more before. */
int32_t fa_session_waiting(const fathom_session *s);

/* Rows behind those of a turn that its sequence needs room for, so that drafts can be made. */
int32_t fa_draft_room(const fathom_engine *g);

/* Guesses ahead for every session that goes on, after a step and before its rows are recorded in the cache. A guess that cannot
 * be made is no error. */
void fa_draft(fathom_engine *g);

/* A session's drafts were tried: `accepted` of `tried` proved right. */
void fa_draft_learn(fathom_session *s, int32_t tried, int32_t accepted);

/* fathom.h and status.h number alike, so an error is one thing. */
static inline fa_error *fa_error_of(fathom_error *e) {
    return (fa_error *)e;
}

#endif
