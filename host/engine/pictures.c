#include "host/engine/pictures.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "host/engine/internal.h"
#include "host/vision/preprocess.h"

enum { KEPT = 8, TRIES = 4 }; /* pictures without a user whose rows are kept; beginnings after a device failed */

/* --- pictures by themselves ------------------------------------------------------------------------------------------------ */

static fa_status need_eyes(const fathom_engine *g, fa_error *e) {
    if (g->pictures.vision) return FA_OK;
    return fa_fail(e, FA_EUNSUPPORTED, "%s does not look at pictures", g->name);
}

fathom_status fathom_picture_open(fathom_engine *g, const void *bytes, size_t n, const char *name, fathom_picture **out,
                                  fathom_error *error) {
    fa_error *e = fa_error_of(error);
    fa_image image = {0};
    *out = NULL;
    fa_status s = need_eyes(g, e);
    if (!s) s = fa_image_decode(&image, bytes, n, name, e);
    if (s) return (fathom_status)s;
    fathom_picture *p = calloc(1, sizeof *p);
    s = p ? fa_preprocess_square(fa_vision_get_config(g->pictures.vision), &image, &p->square, e)
          : fa_fail(e, FA_ENOMEM, "%s: out of memory", name);
    fa_image_free(&image);
    if (s) {
        free(p);
        return (fathom_status)s;
    }
    atomic_init(&p->references, 1);
    crypto_generichash(p->hash, sizeof p->hash, p->square.rgb, (size_t)p->square.width * (size_t)p->square.height * 3,
                       NULL, 0);
    *out = p;
    return FATHOM_OK;
}

static fathom_picture *hold(fathom_picture *p) {
    atomic_fetch_add(&p->references, 1);
    return p;
}

void fathom_picture_close(fathom_picture *p) {
    if (!p || atomic_fetch_sub(&p->references, 1) > 1) return;
    fa_image_free(&p->square);
    free(p);
}

static void drop_next(fa_session_pictures *p) {
    for (size_t i = 0; i < p->n_next; i++) fathom_picture_close(p->next[i]);
    free(p->next);
    p->next = NULL;
    p->n_next = 0;
}

fathom_status fathom_session_show(fathom_session *s, fathom_picture *const *pictures, size_t n, fathom_error *error) {
    fa_error *e = fa_error_of(error);
    fa_session_pictures *p = &s->pictures;
    fa_status st = n ? need_eyes(s->engine, e) : FA_OK;
    fathom_picture **next = st || !n ? NULL : calloc(n, sizeof(fathom_picture *));
    if (!st && n && !next) st = fa_fail(e, FA_ENOMEM, "session: out of memory");
    if (st) return (fathom_status)st;
    for (size_t i = 0; i < n; i++) next[i] = hold(pictures[i]);
    drop_next(p);
    p->next = next;
    p->n_next = n;
    return FATHOM_OK;
}

/* --- tokens ------------------------------------------------------------------------------------------------------------------ */

void fa_pictures_find_tokens(fathom_engine *g) {
    fa_pictures *p = &g->pictures;
    if (!p->vision) return;
    const fa_vision_config *c = fa_vision_get_config(p->vision);
    p->patches = fa_vision_patches(c);
    p->placeholder = c->placeholder;
    p->begin = p->end = -1;
    if (!g->tokenizer) return;
    int32_t found = fa_tokenizer_find(g->tokenizer, "<image_placeholder>");
    if (found >= 0) p->placeholder = found;
    p->begin = fa_tokenizer_find(g->tokenizer, "<begin_of_image>");
    p->end = fa_tokenizer_find(g->tokenizer, "<end_of_image>");
}

static size_t count(const fa_ids *ids, int32_t id) {
    size_t n = 0;
    for (size_t i = 0; i < ids->n; i++) n += ids->data[i] == id;
    return n;
}

fa_status fa_engine_expand_pictures(const fathom_engine *g, fa_ids *ids, fa_error *e) {
    const fa_pictures *p = &g->pictures;
    size_t n = p->vision ? count(ids, p->placeholder) : 0, at = 0;
    if (!n) return FA_OK;
    if (p->begin < 0 || p->end < 0)
        return fa_fail(e, FA_EFORMAT, "%s: the tokenizer lacks <begin_of_image> or <end_of_image>", g->name);
    int32_t *more = calloc(ids->n + n * ((size_t)p->patches + 1), sizeof *more);
    if (!more) return fa_fail(e, FA_ENOMEM, "messages: memory ran out");
    for (size_t i = 0; i < ids->n; i++) {
        bool picture = ids->data[i] == p->placeholder;
        if (picture) more[at++] = p->begin;
        for (int32_t k = 0; k < (picture ? p->patches : 1); k++) more[at++] = ids->data[i];
        if (picture) more[at++] = p->end;
    }
    fa_ids_free(ids);
    *ids = (fa_ids){.data = more, .n = at, .capacity = at};
    return FA_OK;
}

int32_t fa_engine_picture_rows(const fathom_engine *g) {
    return g->pictures.vision ? g->pictures.patches : 0;
}

/* --- what was seen ------------------------------------------------------------------------------------------------------------ */

static void free_seen(fa_seen *x) {
    if (!x) return;
    fathom_picture_close(x->picture);
    free(x->rows);
    free(x);
}

/* Keeps as many of those that no session uses as may be kept: the ones used last. */
static void forget_some(fathom_engine *g) {
    fa_pictures *p = &g->pictures;
    for (;;) {
        fa_seen **oldest = NULL;
        int unused = 0;
        for (fa_seen **at = &p->seen; *at; at = &(*at)->next) {
            if ((*at)->users) continue;
            unused++;
            if (!oldest || (*at)->used < (*oldest)->used) oldest = at;
        }
        if (unused <= KEPT) return;
        fa_seen *gone = *oldest;
        *oldest = gone->next;
        free_seen(gone);
    }
}

/* The owner's entry of a picture, made where there is none; NULL when memory ran out. Not used by anyone yet. */
static fa_seen *seen_of(fathom_engine *g, uint64_t owner, fathom_picture *picture) {
    fa_pictures *p = &g->pictures;
    fa_seen *x = p->seen;
    while (x && (x->owner != owner || memcmp(x->picture->hash, picture->hash, FA_PICTURE_HASH) != 0)) x = x->next;
    if (!x) {
        x = calloc(1, sizeof *x);
        float *rows = calloc((size_t)p->patches, (size_t)g->setup.config.hidden * sizeof *rows);
        if (!x || !rows) {
            free(x);
            free(rows);
            return NULL;
        }
        *x = (fa_seen){.next = p->seen, .owner = owner, .picture = hold(picture), .key = --p->last_key, .rows = rows};
        p->seen = x;
    }
    x->used = ++p->prompts;
    return x;
}

int64_t fa_pictures_bytes(const fathom_engine *g) {
    const fa_pictures *p = &g->pictures;
    if (!p->vision) return 0;
    int64_t rows = (int64_t)p->patches * g->setup.config.hidden * (int64_t)sizeof(float);
    return KEPT * rows + fa_vision_bytes(p->vision);
}

void fa_pictures_close(fathom_engine *g) {
    fa_pictures *p = &g->pictures;
    while (p->seen) {
        fa_seen *x = p->seen;
        p->seen = x->next;
        free_seen(x);
    }
    fa_vision_close(p->vision);
    *p = (fa_pictures){0};
}

/* --- a session's -------------------------------------------------------------------------------------------------------------- */

/* The first of `patches` placeholders in a row, from `at` on; n: none, -1: a run of another length. */
static int32_t next_run(const fa_pictures *p, const int32_t *ids, int32_t n, int32_t at) {
    while (at < n && ids[at] != p->placeholder) at++;
    int32_t end = at;
    while (end < n && end - at < p->patches && ids[end] == p->placeholder) end++;
    return at == n || end - at == p->patches ? at : -1;
}

fa_status fa_pictures_place(fathom_session *s, const int32_t *ids, int32_t n, fa_shown **shown, fa_error *e) {
    const fa_pictures *p = &s->engine->pictures;
    size_t want = s->pictures.n_next, found = 0;
    *shown = NULL;
    if (!want) return FA_OK;
    fa_shown *list = calloc(want, sizeof *list);
    if (!list) return fa_fail(e, FA_ENOMEM, "session: out of memory");
    fa_status st = FA_OK;
    for (int32_t at = next_run(p, ids, n, 0); at < n && !st; at = next_run(p, ids, n, at + p->patches)) {
        if (at < 0)
            st = fa_fail(e, FA_EINVAL, "prompt: placeholders %d of a picture do not come %d in a row", p->placeholder,
                         p->patches);
        else if (found < want &&
                 !(list[found].seen = seen_of(s->engine, fa_sequence_owner(s->sequence), s->pictures.next[found])))
            st = fa_fail(e, FA_ENOMEM, "session: out of memory for a picture");
        if (st) break;
        if (found < want) list[found].first = at;
        found++;
    }
    if (!st && found != want)
        st = fa_fail(e, FA_EINVAL, "prompt: %zu pictures were shown, but there are placeholders for %zu", want, found);
    if (st) {
        free(list);
        forget_some(s->engine);
    } else {
        *shown = list;
    }
    return st;
}

void fa_pictures_release(fathom_session *s) {
    fa_session_pictures *p = &s->pictures;
    fa_pictures *all = &s->engine->pictures;
    for (size_t i = 0; i < p->n_shown; i++) p->shown[i].seen->users--;
    free(p->shown);
    p->shown = NULL;
    p->n_shown = 0;
    if (all->looking && !all->looking->users) {
        fa_vision_stop(all->vision);
        all->looking = NULL;
    }
    drop_next(p);
    if (all->vision) forget_some(s->engine);
}

void fa_pictures_start(fathom_session *s, fa_shown *shown) {
    fa_session_pictures *p = &s->pictures;
    size_t n = shown ? p->n_next : 0;
    for (size_t i = 0; i < n; i++) shown[i].seen->users++;
    fa_pictures_release(s);
    p->shown = shown;
    p->n_shown = n;
    if (!p->keys) return;
    memcpy(p->keys, s->tokens, (size_t)s->n_prompt * sizeof *p->keys);
    for (size_t i = 0; i < n; i++)
        for (int32_t k = 0; k < s->engine->pictures.patches; k++) p->keys[shown[i].first + k] = shown[i].seen->key;
}

const int32_t *fa_pictures_keys(fathom_session *s) {
    int32_t *keys = s->pictures.keys;
    if (!keys) return s->tokens;
    memcpy(keys + s->n_prompt, s->tokens + s->n_prompt, (size_t)s->n_new * sizeof *keys);
    return keys;
}

const float *fa_pictures_row(const fathom_session *s, int32_t pos) {
    const fathom_engine *g = s->engine;
    for (size_t i = 0; i < s->pictures.n_shown; i++) {
        const fa_shown *x = &s->pictures.shown[i];
        if (pos >= x->first && pos < x->first + g->pictures.patches)
            return x->seen->rows + (int64_t)(pos - x->first) * g->setup.config.hidden;
    }
    return NULL;
}

static bool lacks(const fathom_session *s, const fa_shown *x) {
    return !x->seen->known && x->first + s->engine->pictures.patches > fa_sequence_length(s->sequence);
}

static bool is_running(const fathom_session *s) {
    return s->open && s->finish == FATHOM_RUNNING;
}

bool fa_pictures_wait(const fathom_session *s) {
    for (size_t i = 0; i < s->pictures.n_shown; i++)
        if (lacks(s, &s->pictures.shown[i])) return true;
    return false;
}

/* --- the tower ---------------------------------------------------------------------------------------------------------------- */

/* Whether a running session waits for `x`; for any picture when NULL, which is then the one returned. */
static fa_seen *wanted(const fathom_engine *g, const fa_seen *x) {
    for (int32_t i = 0; i < g->setup.sessions; i++) {
        const fathom_session *s = &g->sessions[i];
        for (size_t k = 0; is_running(s) && k < s->pictures.n_shown; k++)
            if ((!x || s->pictures.shown[k].seen == x) && lacks(s, &s->pictures.shown[k]))
                return s->pictures.shown[k].seen;
    }
    return NULL;
}

/* Calls for each running session that waits for `x`: its error, or the time it took. */
static void tell(fathom_engine *g, const fa_seen *x, const fa_error *why, int64_t ns) {
    for (int32_t i = 0; i < g->setup.sessions; i++) {
        fathom_session *s = &g->sessions[i];
        bool waits = false;
        for (size_t k = 0; is_running(s) && k < s->pictures.n_shown; k++)
            waits |= s->pictures.shown[k].seen == x && lacks(s, &s->pictures.shown[k]);
        if (!waits) continue;
        s->usage.prompt_ns += ns;
        if (why) fa_session_fail(s, why);
    }
}

static fa_status look(fa_pictures *p, fa_seen *next, bool *done, fa_error *e) {
    if (p->looking) return fa_vision_advance(p->vision, p->looking->rows, done, e);
    p->looking = next;
    return fa_vision_begin(p->vision, &next->picture->square, e);
}

static int64_t now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * (int64_t)1000000000 + t.tv_nsec;
}

void fa_pictures_advance(fathom_engine *g) {
    fa_pictures *p = &g->pictures;
    if (!p->vision) return;
    if (p->looking && !wanted(g, p->looking)) {
        fa_vision_stop(p->vision);
        p->looking = NULL;
    }
    fa_seen *x = p->looking ? p->looking : wanted(g, NULL);
    if (!x) return;
    fa_error why = {0};
    bool done = false;
    int64_t start = now_ns();
    fa_status st = look(p, x, &done, &why);
    tell(g, x, NULL, now_ns() - start);
    if (!st && !done) return;
    p->looking = NULL;
    fa_vision_stop(p->vision);
    x->known = done && !st;
    if (!st) p->tries = 0;
    if (st == FA_EDEVICE && ++p->tries < TRIES && fa_engine_recover(g, &why)) return; /* it is begun again */
    if (st) tell(g, x, &why, 0);
}
