#include "host/engine/drawing.h"

#include <stdlib.h>
#include <string.h>

#include "host/base/json.h"
#include "host/engine/internal.h"

enum { TRIES = 4 };

/* --- of an engine --------------------------------------------------------------------------------------------------- */

static void find_tokens(fathom_engine *g) {
    fa_drawings *d = &g->drawings;
    d->begin = -1;
    d->pad = g->setup.config.pad_id;
    if (!g->tokenizer) return;
    int32_t pad = fa_tokenizer_find(g->tokenizer, "<｜▁pad▁｜>");
    if (pad >= 0) d->pad = pad;
    d->begin = fa_tokenizer_find(g->tokenizer, "<begin_of_image>");
}

fa_status fa_drawings_open(fathom_engine *g, fa_error *e) {
    fa_drawings *d = &g->drawings;
    const fa_setup *s = &g->setup;
    if (d->draw && !fa_draw_can(d->draw)) fa_drawings_close(g);
    if (!d->draw) return FA_OK;
    find_tokens(g);
    size_t rows = (size_t)s->step_rows, pairs = 2 * (size_t)s->sessions, hidden = (size_t)s->config.hidden;
    size_t codes = (size_t)fa_draw_codes(d->draw);
    d->codes = fa_arena_array(&g->arena, rows, sizeof *d->codes);
    d->rows = fa_arena_array(&g->arena, rows, hidden * sizeof *d->rows);
    d->hidden_rows = fa_arena_array(&g->arena, pairs, sizeof *d->hidden_rows);
    d->hidden = fa_arena_array(&g->arena, pairs, hidden * sizeof *d->hidden);
    d->logits = fa_arena_array(&g->arena, pairs, codes * sizeof *d->logits);
    d->guided = fa_arena_array(&g->arena, codes, sizeof *d->guided);
    bool ok = d->codes && d->rows && d->hidden_rows && d->hidden && d->logits && d->guided;
    for (int32_t i = 0; i < s->sessions && ok; i++) {
        fa_drawing *of = &g->sessions[i].drawing;
        of->tokens = fa_arena_array(&g->arena, (size_t)s->context + 1, sizeof *of->tokens);
        ok = of->tokens != NULL;
    }
    if (!ok) return fa_fail(e, FA_ENOMEM, "engine: out of memory for drawing in %d sessions", s->sessions);
    return fa_sampler_open(&d->sampler, &g->arena, (int32_t)codes, e);
}

void fa_drawings_close(fathom_engine *g) {
    fa_vq_close(g->drawings.pass);
    fa_draw_close(g->drawings.draw);
    g->drawings = (fa_drawings){0};
}

int64_t fa_drawings_bytes(const fathom_engine *g) {
    const fa_drawings *d = &g->drawings;
    if (!d->draw || !fa_draw_can(d->draw)) return 0;
    int64_t hidden = g->setup.config.hidden, codes = fa_draw_codes(d->draw);
    int64_t sessions = g->setup.sessions, rows = g->setup.step_rows;
    int64_t floats = rows * (1 + hidden) + 2 * sessions * (1 + hidden + codes) + sessions * (g->setup.context + 1);
    int32_t grid = fa_draw_grid(d->draw);
    return 4 * floats + fa_draw_bytes(d->draw) + fa_vq_bytes(fa_draw_vq(d->draw), grid, grid);
}

static int32_t codes_of_picture(const fathom_engine *g) {
    int32_t grid = fa_draw_grid(g->drawings.draw);
    return grid * grid;
}

void fa_drawings_describe(const fathom_engine *g, int32_t *side, int32_t *codes) {
    const fa_draw *d = g->drawings.draw;
    *side = d ? fa_draw_grid(d) * fa_vq_scale(fa_draw_vq(d)) : 0;
    *codes = d ? codes_of_picture(g) : 0;
}

/* --- a drawing begins ------------------------------------------------------------------------------------------------- */

static fa_status need_hand(const fathom_engine *g, fa_error *e) {
    const fa_drawings *d = &g->drawings;
    if (!d->draw) return fa_fail(e, FA_EUNSUPPORTED, "%s does not draw pictures", g->name);
    if (g->setup.step_rows < 2 * g->setup.sessions)
        return fa_fail(e, FA_ELIMIT, "drawing: a step of %d rows is too small for two of each of %d sessions",
                       g->setup.step_rows, g->setup.sessions);
    if (d->pad >= 0 && d->pad < g->setup.config.vocab) return FA_OK;
    return fa_fail(e, FA_EFORMAT, "%s: neither the tokenizer nor config.json knows a padding token", g->name);
}

fathom_status fathom_encode_drawing(fathom_engine *g, const char *text, size_t bytes, int32_t **ids, size_t *n,
                                    fathom_error *error) {
    fa_error *e = fa_error_of(error);
    *ids = NULL;
    *n = 0;
    fa_status st = need_hand(g, e);
    if (!st && g->tokenizer && g->drawings.begin < 0)
        st = fa_fail(e, FA_EFORMAT, "%s: the tokenizer lacks <begin_of_image>", g->name);
    if (st) return (fathom_status)st;
    json_t *content = json_stringn(text, bytes);
    if (!content) return (fathom_status)fa_fail(e, FA_EINVAL, "drawing: the prompt is not UTF-8");
    json_t *messages = json_pack("[{s:s, s:o}]", "role", "user", "content", content);
    char *json = messages ? fa_json_print(messages, 0) : NULL;
    json_decref(messages);
    if (!json) return (fathom_status)fa_fail(e, FA_ENOMEM, "drawing: out of memory");
    int32_t *prompt = NULL;
    st = (fa_status)fathom_encode_chat(g, "janus", json, &prompt, n, error);
    free(json);
    if (st) return (fathom_status)st;
    int32_t *more = realloc(prompt, (*n + 1) * sizeof *more);
    if (!more) {
        free(prompt);
        *n = 0;
        return (fathom_status)fa_fail(e, FA_ENOMEM, "drawing: out of memory");
    }
    more[(*n)++] = g->drawings.begin;
    *ids = more;
    return FATHOM_OK;
}

static fa_status check_drawing(const fathom_session *s, size_t n, const fathom_sampling *p, float guidance,
                               fa_error *e) {
    const fathom_engine *g = s->engine;
    fa_status st = need_hand(g, e);
    if (st) return st;
    int32_t codes = codes_of_picture(g);
    if (!(guidance >= 0 && guidance <= 1000))
        return fa_fail(e, FA_EINVAL, "drawing: guidance is %g, must be in 0 .. 1000", (double)guidance);
    if (n < 2) return fa_fail(e, FA_EINVAL, "drawing: a prompt of %zu tokens, must be 2 or more", n);
    if (n + (size_t)codes > (size_t)g->setup.context)
        return fa_fail(e, FA_ELIMIT, "drawing: %zu tokens and %d codes, but the context holds %d", n, codes,
                       g->setup.context);
    return fa_sampling_check(p, g->setup.config.vocab, e);
}

/* What the steps of a drawing need beside what the engine has: a sequence, its pixels, and the decoder's maps, once. */
static fa_status take_memory(fathom_session *s, fa_sequence **without, uint8_t **rgb, fa_error *e) {
    fathom_engine *g = s->engine;
    fa_drawings *d = &g->drawings;
    int32_t side, codes, grid = fa_draw_grid(d->draw);
    fa_drawings_describe(g, &side, &codes);
    fa_status st = FA_OK;
    if (!d->pass) st = fa_vq_open(&d->pass, fa_draw_vq(d->draw), fa_draw_ops(d->draw), grid, grid, e);
    if (!st && !(*rgb = malloc((size_t)side * (size_t)side * 3)))
        st = fa_fail(e, FA_ENOMEM, "drawing: out of memory for %d x %d pixels", side, side);
    return st ? st : fa_sequence_open(g->cache, fa_sequence_owner(s->sequence), without, e);
}

fathom_status fathom_session_draw(fathom_session *s, const int32_t *ids, size_t n, const fathom_sampling *sampling,
                                  float guidance, fathom_error *error) {
    fa_error *e = fa_error_of(error);
    static const fathom_sampling greedy = {0};
    const fathom_sampling *from = sampling ? sampling : &greedy;
    /* what of it is about choosing one of many codes */
    const fathom_sampling p = {.temperature = from->temperature,
                               .top_k = from->top_k,
                               .top_p = from->top_p,
                               .min_p = from->min_p,
                               .seed = from->seed};
    fa_drawing *d = &s->drawing;
    fa_sequence *without = NULL;
    uint8_t *rgb = NULL;
    fa_status st = check_drawing(s, n, from, guidance, e);
    if (!st) st = take_memory(s, &without, &rgb, e);
    if (!st) st = (fa_status)fathom_session_prompt(s, ids, n, &p, error);
    if (st) {
        free(rgb);
        fa_sequence_close(without);
        return (fathom_status)st;
    }
    d->on = true;
    d->guidance = guidance;
    d->without = without;
    d->rgb = rgb;
    for (size_t i = 0; i < n; i++) d->tokens[i] = i == 0 || i == n - 1 ? ids[i] : s->engine->drawings.pad;
    fa_sequence_truncate(s->sequence, 0); /* both sequences are always equally long */
    s->usage.cached_tokens = 0;
    return FATHOM_OK;
}

void fa_drawing_end(fathom_session *s) {
    fa_drawings *all = &s->engine->drawings;
    if (all->decoding == s) all->decoding = NULL;
    s->drawing.layers = 0;
}

void fa_drawing_release(fathom_session *s) {
    fa_drawing *d = &s->drawing;
    fa_drawing_end(s);
    fa_sequence_close(d->without);
    free(d->rgb);
    *d = (fa_drawing){.tokens = d->tokens, .first_hidden = -1};
}

/* --- codes -------------------------------------------------------------------------------------------------------------- */

bool fa_drawing_is_full(const fathom_session *s) {
    return s->drawing.on && s->n_new == codes_of_picture(s->engine);
}

void fa_drawing_want(fathom_session *s, int32_t with, int32_t without, bool code) {
    fa_drawings *d = &s->engine->drawings;
    s->drawing.first_hidden = code ? d->n_hidden : -1;
    if (!code) return;
    d->hidden_rows[d->n_hidden++] = with;
    d->hidden_rows[d->n_hidden++] = without;
}

const float *fa_drawing_row(fathom_session *s, int32_t pos) {
    fa_drawings *d = &s->engine->drawings;
    if (!s->drawing.on || pos < s->n_prompt) return NULL;
    d->codes[d->n_rows] = s->tokens[pos] - s->engine->setup.config.vocab;
    return d->rows + (int64_t)d->n_rows++ * s->engine->setup.config.hidden;
}

static bool is_drawing(const fathom_session *s) {
    return s->open && s->finish == FATHOM_RUNNING && s->drawing.on;
}

/* After work for the drawings of a step: true when it succeeded. Else either a device works again, or the drawings end. */
static bool succeeded(fathom_engine *g, fa_status st, const fa_error *why) {
    fa_drawings *d = &g->drawings;
    if (!st) d->tries = 0;
    if (!st) return true;
    if (st == FA_EDEVICE && ++d->tries < TRIES && fa_engine_recover(g, why)) return false;
    d->tries = 0;
    for (int32_t i = 0; i < g->setup.sessions; i++)
        if (is_drawing(&g->sessions[i])) fa_session_fail(&g->sessions[i], why);
    return false;
}

bool fa_drawings_embed(fathom_engine *g) {
    fa_drawings *d = &g->drawings;
    fa_error why = {0};
    return !d->n_rows || succeeded(g, fa_draw_embed(d->draw, d->codes, d->n_rows, d->rows, &why), &why);
}

bool fa_drawings_score(fathom_engine *g) {
    fa_drawings *d = &g->drawings;
    fa_error why = {0};
    return !d->n_hidden || succeeded(g, fa_draw_logits(d->draw, d->hidden, d->n_hidden, d->logits, &why), &why);
}

bool fa_drawing_take(fathom_session *s) {
    fathom_engine *g = s->engine;
    fa_drawings *all = &g->drawings;
    int64_t codes = fa_draw_codes(all->draw);
    const float *with = all->logits + s->drawing.first_hidden * codes;
    fa_history h = {.tokens = s->tokens, .n_prompt = s->n_prompt, .n_new = s->n_new};
    fa_choice choice = {0};
    fa_error e = {0};
    fa_session_begin_step(s);
    fa_draw_guide(with, with + codes, s->drawing.guidance, codes, all->guided);
    if (fa_sample(&all->sampler, &s->sampling, all->guided, &h, &choice, &e)) {
        fa_session_fail(s, &e);
        return false;
    }
    int32_t at = s->n_prompt + s->n_new++;
    s->tokens[at] = s->drawing.tokens[at] = g->setup.config.vocab + choice.id;
    s->usage.new_tokens = s->n_new;
    s->made[s->n_made++] = (fathom_token){.id = choice.id, .text = "", .logprob = choice.logprob};
    return true;
}

/* --- pixels ------------------------------------------------------------------------------------------------------------- */

static fa_status begin_decoding(fathom_session *s, fa_error *e) {
    fathom_engine *g = s->engine;
    fa_drawings *d = &g->drawings;
    int32_t *codes = s->drawing.tokens; /* of the sequence without the prompt, which is done with */
    for (int32_t i = 0; i < s->n_new; i++) codes[i] = s->tokens[s->n_prompt + i] - g->setup.config.vocab;
    d->decoding = s;
    return fa_vq_decode(d->pass, codes, e);
}

static void end_whole(fathom_session *s) {
    int32_t side, codes;
    fa_drawings_describe(s->engine, &side, &codes);
    fa_vq_to_rgb(fa_vq_values(s->engine->drawings.pass), (int64_t)side * side * 3, s->drawing.rgb);
    s->drawing.whole = true;
    fa_session_end(s, FATHOM_STOP);
}

static void decode_layer(fathom_session *s) {
    fa_drawing *d = &s->drawing;
    fathom_engine *g = s->engine;
    fa_error why = {0};
    bool done = false;
    fa_status st = g->drawings.decoding == s ? FA_OK : begin_decoding(s, &why);
    if (!st) st = fa_vq_advance(g->drawings.pass, &done, &why);
    if (!st) {
        d->layers = fa_vq_layers_done(g->drawings.pass);
        g->drawings.tries = 0;
        if (done) end_whole(s);
        return;
    }
    fa_drawing_end(s);
    if (st == FA_EDEVICE && ++g->drawings.tries < TRIES && fa_engine_recover(g, &why)) return; /* it is begun again */
    g->drawings.tries = 0;
    if (is_drawing(s)) fa_session_fail(s, &why);
}

bool fa_drawings_advance(fathom_engine *g) {
    fathom_session *next = g->drawings.decoding;
    for (int32_t i = 0; g->drawings.draw && i < g->setup.sessions && !next; i++) {
        fathom_session *s = &g->sessions[i];
        if (is_drawing(s) && fa_drawing_is_full(s) && s->n_seen == s->n_made) next = s;
    }
    if (next) decode_layer(next);
    return next != NULL;
}

void fathom_session_drawing_progress(const fathom_session *s, int32_t *done, int32_t *total) {
    *done = *total = 0;
    if (!s->drawing.on) return;
    int32_t layers = fa_vq_layers(fa_draw_vq(s->engine->drawings.draw));
    *total = codes_of_picture(s->engine) + layers;
    *done = s->drawing.whole ? *total : s->n_new + s->drawing.layers;
}

bool fathom_session_drawn(const fathom_session *s, const uint8_t **rgb, int32_t *side) {
    int32_t codes;
    fa_drawings_describe(s->engine, side, &codes);
    *rgb = s->drawing.rgb;
    return s->drawing.whole;
}
