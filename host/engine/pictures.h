/* Pictures in prompts: which positions they take, the rows that stand there instead of tokens' embeddings, and what the cache knows those positions
 * by. Private to host/engine.
 *
 * A picture's rows come from the tower, a layer a step, before the session's positions are computed; sessions without pictures go on
 * meanwhile. Rows of the pictures used last are kept, since a conversation shows its pictures again with every turn. For the prefix cache a
 * picture's positions have a number of their own in the place of the placeholder's id, which no other picture (and no other owner's) ever
 * had, so that pages are shared only where the pictures are equal. */
#ifndef FA_ENGINE_PICTURES_H
#define FA_ENGINE_PICTURES_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "host/base/status.h"
#include "host/fathom.h"
#include "host/image/image.h"
#include "host/text/tokenizer.h"
#include "host/vision/vision.h"

enum { FA_PICTURE_HASH = 32 };

struct fathom_picture {
    atomic_int references;
    fa_image square;               /* as the tower takes it */
    uint8_t hash[FA_PICTURE_HASH]; /* BLAKE2b of the square */
};

/* A picture as sessions of one owner use it. */
typedef struct fa_seen {
    struct fa_seen *next;
    uint64_t owner, used; /* used: when last, by the count of prompts */
    fathom_picture *picture;
    int32_t key;   /* negative: what its positions are called in the cache */
    int32_t users; /* sessions */
    bool known;    /* rows are written */
    float *rows;   /* [patches, hidden] */
} fa_seen;

/* A picture at positions first .. first + patches - 1 of a session's prompt. */
typedef struct fa_shown {
    int32_t first;
    fa_seen *seen;
} fa_shown;

/* Of an engine; zeroed where the model has no eyes. */
typedef struct fa_pictures {
    fa_vision *vision;
    int32_t patches, placeholder, begin, end; /* rows of a picture; ids of its tokens, -1: unknown */
    fa_seen *seen, *looking;                  /* all; the one in the tower */
    uint64_t prompts;
    int32_t last_key, tries;
} fa_pictures;

/* Of a session. */
typedef struct fa_session_pictures {
    fathom_picture **next; /* [n_next] of the next prompt */
    size_t n_next;
    fa_shown *shown; /* [n_shown] of this prompt */
    size_t n_shown;
    int32_t *keys; /* [context + 1] what the cache knows the positions by; NULL: their tokens */
} fa_session_pictures;

/* The ids of the tokens that frame and stand for a picture, where the tokenizer has them. */
void fa_pictures_find_tokens(fathom_engine *g);
void fa_pictures_close(fathom_engine *g);

/* Memory that kept rows may take, in bytes. */
int64_t fa_pictures_bytes(const fathom_engine *g);

/* Finds the places of the session's next pictures in `ids` [n]; the caller gives them to fa_pictures_start, or frees them. FA_EINVAL when there
 * are more or fewer. */
fa_status fa_pictures_place(fathom_session *s, const int32_t *ids, int32_t n, fa_shown **shown, fa_error *e);

/* The prompt that stands in the session begins with these pictures; those of the prompt before are let go. */
void fa_pictures_start(fathom_session *s, fa_shown *shown);
void fa_pictures_release(fathom_session *s);

/* What the cache knows the session's positions by, as far as there are tokens. */
const int32_t *fa_pictures_keys(fathom_session *s);

/* The row of position `pos` that stands for a token's embedding; NULL: none. */
const float *fa_pictures_row(const fathom_session *s, int32_t pos);

/* Whether positions that are to be computed lack their rows. */
bool fa_pictures_wait(const fathom_session *s);

/* One layer of the tower, for a session that waits. Sessions whose picture fails end with the error. */
void fa_pictures_advance(fathom_engine *g);

#endif
