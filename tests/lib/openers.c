#include "tests/lib/openers.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "boards/board.h"
#include "boards/placement.h"
#include "boards/xclbin.h"
#include "host/format/tensor.h"
#include "host/model/config.h"
#include "host/model/trace.h"
#include "host/text/chat.h"
#include "host/text/tokenizer.h"
#include "sim/scale/arrivals.h"
#include "tests/lib/check.h"
#include "tests/lib/files.h"
#include "tests/lib/grammar.h"

fa_status check_open_tensors(const char *path, fa_error *e) {
    fa_tensors *ts;
    fa_status s = fa_tensors_open(&ts, path, e);
    if (s) return s;
    float run[256], sum = 0;
    for (int64_t i = 0; i < fa_tensors_count(ts); i++) {
        const fa_tensor *t = fa_tensors_at(ts, i);
        CHECK(fa_tensors_find(ts, t->name) == t);
        int64_t n = fa_tensor_elements(t), some = n < 256 ? n : 256;
        if (fa_dtype_get(t->type)->block_elements == 1 || n >= 256) {
            fa_decode(t->type, t->data, 0, some, run);
            if (n) sum += run[0];
            fa_decode(t->type, t->data, n - some, some, run);
            if (n) sum += run[some - 1];
        }
    }
    const fa_gguf *g = fa_tensors_gguf(ts);
    int64_t n = g ? fa_gguf_array_count(g, "k.texts") : -1;
    fa_gguf_text *texts = calloc(n > 0 ? (size_t)n : 1, sizeof *texts);
    if (n > 0 && !fa_gguf_strings(g, "k.texts", texts, n, e))
        for (int64_t i = 0; i < n; i++) sum += texts[i].bytes ? texts[i].data[texts[i].bytes - 1] : 0;
    free(texts);
    fa_tensors_close(ts);
    CHECK(sum != 0.123f);
    return FA_OK;
}

fa_status check_open_tokenizer(const char *path, fa_error *e) {
    static const char text[] = "Hello, world 1234! \xE4\xBD\xA0\xE5\xA5\xBD <think>\n\n x\xFF";
    fa_tokenizer *t;
    fa_status s = fa_tokenizer_open(&t, path, e);
    if (s) return s;
    fa_ids ids = {0};
    char *back = NULL;
    s = fa_encode(t, text, sizeof text - 1, &(fa_encode_options){.prefix = true}, &ids, e);
    if (!s) s = fa_decode_ids(t, ids.data, ids.n, false, &back, NULL, e);
    free(back);
    fa_ids_free(&ids);
    fa_tokenizer_close(t);
    return s;
}

fa_status check_open_config(const char *path, fa_error *e) {
    fa_config c;
    return fa_config_load(&c, path, e);
}

fa_status check_open_board(const char *path, fa_error *e) {
    fa_board b;
    fa_status s = fa_board_read(&b, path, e);
    if (!s && fa_board_fits(&b, &b.build, e)) s = e->status;
    return s;
}

fa_status check_open_xclbin(const char *path, fa_error *e) {
    fa_xclbin x;
    char text[24];
    size_t sum = 0;
    fa_status s = fa_xclbin_read(&x, path, e);
    for (int i = 0; i < x.n_sections && !s; i++) sum += strlen(fa_xclbin_section_name(x.section[i].kind, text));
    for (int i = 0; i < x.n_mems && !s; i++) sum += strlen(x.mem[i].tag);
    for (int i = 0; i < x.n_ips && !s; i++) sum += strlen(x.ip[i].name);
    for (int i = 0; i < x.n_clocks && !s; i++) sum += strlen(x.clock[i].name);
    for (int i = 0; i < x.n_connections && !s; i++)
        sum += x.mem[x.connection[i].mem].used + x.ip[x.connection[i].ip].type;
    for (int k = 0; k < x.n_kernels && !s; k++) {
        CHECK(x.kernel[k].first_arg + x.kernel[k].n_args <= x.n_args);
        for (int i = 0; i < x.kernel[k].n_args; i++) sum += strlen(x.arg[x.kernel[k].first_arg + i].name);
    }
    CHECK(s || strlen(x.platform) + strlen(x.uuid) + sum > 36);
    fa_xclbin_free(&x);
    return s;
}

fa_status check_open_trace(const char *path, fa_error *e) {
    enum { LAYERS = 4, EXPERTS = 32 };
    static double visits[LAYERS * EXPERTS];
    static int64_t tokens[LAYERS];
    static fa_config c;
    char *folder = check_golden("../../models/fathom-r1-mini");
    if (!c.layers) CHECK_OK(fa_config_load(&c, folder, e), e);
    CHECK(c.layers == LAYERS && c.experts == EXPERTS);
    free(folder);
    memset(visits, 0, sizeof visits);
    memset(tokens, 0, sizeof tokens);
    return fa_trace_count(&c, path, visits, tokens, e);
}

fa_status check_open_requests(const char *path, fa_error *e) {
    fa_recording r;
    fa_replay *replay = NULL;
    fa_arrival a;
    fa_status s = fa_recording_read(&r, path, e);
    if (!s) s = fa_replay_open(&replay, &r, 0, r.seconds, 1, e);
    fa_arrivals arrivals = fa_replay_arrivals(replay);
    for (int64_t i = 0; !s && arrivals.next(arrivals.ctx, &a); i++)
        CHECK(i < r.n && a.prompt > a.cached && a.output > 0);
    fa_replay_close(replay);
    fa_recording_free(&r);
    return s;
}

fa_status check_open_placement(const char *path, fa_error *e) {
    fa_board_placement p;
    fa_status s = fa_board_placement_read(&p, path, e);
    for (int64_t i = 0; !s && i < (int64_t)p.layers * p.experts; i++)
        CHECK(p.expert[i] && p.expert[i] >> (p.n_boards - 1) <= 1);
    fa_board_placement_free(&p);
    return s;
}

/* The file's text, malloc'd and terminated; a text with a NUL ends there. */
static char *text_of(const char *path) {
    size_t n;
    return (char *)check_read(path, &n);
}

fa_status check_open_schema(const char *path, fa_error *e) {
    enum { ROOM = 200 };
    static grammar_words words;
    static int32_t ids[ROOM];
    if (!words.tokenizer) grammar_words_open(&words, "tokenizer/qwen2");
    char *schema = text_of(path), *answer = NULL;
    fa_constraint_spec spec = {.json_schema = schema};
    fa_constraint *c;
    check_rng r = {1};
    fa_status s = fa_constraint_open(&c, &spec, &words.vocabulary, false, &words.end, 1, e);
    if (!s && grammar_draw(&words, c, &r, 0.6, ids, ROOM, &answer) >= 0) {
        json_t *value = json_loads(answer, JSON_DECODE_ANY, NULL);
        CHECK(value, "%.300s: '%s' is no JSON", schema, answer);
        json_decref(value);
    }
    if (!s) fa_constraint_close(c);
    free(answer), free(schema);
    return s;
}

fa_status check_open_messages(const char *path, fa_error *e) {
    char *text = text_of(path);
    json_t *messages = json_loads(text, 0, NULL);
    free(text);
    if (!messages) return fa_fail(e, FA_EFORMAT, "no JSON");
    fa_status s = FA_OK;
    for (int i = 0; fa_chat_at(i); i++) {
        const fa_chat_family *f = fa_chat_at(i);
        fa_prompt p = {0};
        fa_status one = fa_chat_render(f, messages, true, fa_chat_default_bos(f), fa_chat_default_eos(f), &p, e);
        CHECK(!one || !p.text.n, "%s: an error and a text", fa_chat_name(f));
        for (size_t k = 0; k < p.n_literal; k++)
            CHECK(p.literal[k].begin < p.literal[k].end && p.literal[k].end <= p.text.n, "%s", fa_chat_name(f));
        fa_prompt_free(&p);
        if (one) s = one;
    }
    json_decref(messages);
    return s;
}
