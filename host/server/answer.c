#include "host/server/answer.h"

#include <string.h>

#include "host/base/json.h"
#include "host/engine/engine.h"
#include "host/server/calls.h"
#include "host/server/internal.h"
#include "host/server/logprobs.h"
#include "host/server/reply.h"

/* --- the parts that every object has --------------------------------------------------------------------------------- */

static json_t *object(const fa_exchange *x, json_t *choices) {
    const fa_job *j = x->job;
    const char *kind = !j->chat ? "text_completion" : j->stream ? "chat.completion.chunk" : "chat.completion";
    return json_pack("{s:s+, s:s, s:I, s:s, s:s+, s:o}", "id", j->chat ? "chatcmpl-" : "cmpl-", x->id, "object", kind,
                     "created", (json_int_t)j->created, "model", j->model, "system_fingerprint", "fathom-",
                     x->server->info.numerics, "choices", choices);
}

static json_t *usage_object(const fa_job *j) {
    fa_job_usage u = fa_job_sum(j);
    return json_pack("{s:I, s:I, s:I, s:I, s:I, s:{s:I}, s:{s:I}}", "prompt_tokens", (json_int_t)u.prompt,
                     "completion_tokens", (json_int_t)u.completion, "total_tokens", (json_int_t)u.prompt + u.completion,
                     "prompt_cache_hit_tokens", (json_int_t)u.cached, "prompt_cache_miss_tokens",
                     (json_int_t)(u.prompt - u.cached), "prompt_tokens_details", "cached_tokens", (json_int_t)u.cached,
                     "completion_tokens_details", "reasoning_tokens", (json_int_t)u.reasoning);
}

static json_int_t index_of(const fa_job *j, const fa_choice *c) {
    return (json_int_t)(c - j->choices);
}

static const char *finish_reason(const fa_choice *c) {
    return c->finish != FATHOM_STOP ? "length" : c->parser.calls ? "tool_calls" : "stop";
}

static json_t *text_of(const fa_text *t) {
    return json_stringn(t->data ? t->data : "", t->n);
}

/* Hands out what the array has and leaves none; null where log-probabilities were not asked for. */
static json_t *take_array(json_t **array) {
    json_t *taken = *array;
    *array = NULL;
    return taken ? taken : json_null();
}

static json_t *chat_logprobs(const fa_job *j, fa_choice *c) {
    if (!j->logprobs) return json_null();
    json_t *reasoning = take_array(&c->reasoning_logprobs);
    json_t *o = json_pack("{s:o}", "content", take_array(&c->logprobs));
    if (json_is_null(reasoning))
        json_decref(reasoning);
    else
        json_object_set_new(o, "reasoning_content", reasoning);
    return o;
}

static json_t *completion_logprobs(const fa_job *j, fa_choice *c) {
    if (!j->logprobs) return json_null();
    if (!c->logprobs) return fa_logprobs_columns();
    return take_array(&c->logprobs);
}

/* --- streams ---------------------------------------------------------------------------------------------------------- */

/* One event for one choice; `delta` is taken over. */
static void send_delta(fa_exchange *x, fa_choice *c, json_t *delta, const char *finish) {
    json_t *choice = json_pack("{s:I, s:o, s:o, s:s?}", "index", index_of(x->job, c), "delta", delta, "logprobs",
                               finish ? json_null() : chat_logprobs(x->job, c), "finish_reason", finish);
    json_t *o = object(x, json_pack("[o]", choice));
    if (x->job->include_usage) json_object_set_new(o, "usage", json_null());
    fa_reply_event(x, o);
}

static void greet(fa_exchange *x, fa_choice *c) {
    if (c->greeted) return;
    c->greeted = true;
    json_t *delta = json_pack("{s:s, s:s}", "role", "assistant", "content", "");
    json_t *choice =
        json_pack("{s:I, s:o, s:n, s:n}", "index", index_of(x->job, c), "delta", delta, "logprobs", "finish_reason");
    json_t *o = object(x, json_pack("[o]", choice));
    if (x->job->include_usage) json_object_set_new(o, "usage", json_null());
    fa_reply_event(x, o);
}

static void send_chat(fa_exchange *x, fa_choice *c) {
    if (c->reasoning.n || c->content.n || x->job->hides) greet(x, c);
    if (c->reasoning.n)
        send_delta(x, c, json_pack("{s:o, s:n}", "reasoning_content", text_of(&c->reasoning), "content"), NULL);
    c->reasoning.n = 0;
    if (c->content.n) send_delta(x, c, json_pack("{s:o}", "content", text_of(&c->content)), NULL);
    c->content.n = 0;
}

static json_t *completion_choice(const fa_job *j, fa_choice *c, const char *finish) {
    return json_pack("{s:I, s:o, s:o, s:s?}", "index", index_of(j, c), "text", text_of(&c->content), "logprobs",
                     completion_logprobs(j, c), "finish_reason", finish);
}

static void send_completion(fa_exchange *x, fa_choice *c, const char *finish) {
    if (!c->content.n && !finish) return;
    json_t *o = object(x, json_pack("[o]", completion_choice(x->job, c, finish)));
    if (x->job->include_usage) json_object_set_new(o, "usage", json_null());
    c->content.n = 0;
    fa_reply_event(x, o);
}

/* --- tokens ----------------------------------------------------------------------------------------------------------- */

/* The token that ended the answer and brought no text is no part of it: end of sequence, the last of a stop text. */
static bool is_part(const fa_choice *c, const fathom_token *token) {
    return token->bytes > 0 || fathom_session_finish(c->session) != FATHOM_STOP;
}

/* Special tokens have no place in the text of a completion. */
static bool keep_column(const fa_exchange *x, fa_choice *c, const fathom_token *token) {
    const fa_tokenizer *t = fa_engine_tokenizer(x->server->engine);
    if (!c->logprobs) c->logprobs = fa_logprobs_columns();
    bool ok = fa_logprobs_append(c->logprobs, t, token, false, c->text_at);
    if (!fa_tokenizer_is_special(t, token->id)) c->text_at += fa_logprobs_characters(t, token->id);
    return ok;
}

static bool keep_logprob(const fa_exchange *x, fa_choice *c, const fathom_token *token, bool reasoning) {
    if (!x->job->chat) return keep_column(x, c, token);
    json_t **to = reasoning ? &c->reasoning_logprobs : &c->logprobs;
    if (!*to) *to = json_array();
    return json_array_append_new(*to, fa_logprobs_entry(fa_engine_tokenizer(x->server->engine), token)) == 0;
}

static void send_call(fa_exchange *x, fa_choice *c, json_t *delta) {
    send_chat(x, c);
    greet(x, c);
    send_delta(x, c, delta, NULL);
}

/* What the client wrote itself, or does not see, is taken off again; `before`: bytes of the content that are its own. */
static void hide(const fa_job *j, fa_choice *c, size_t before) {
    size_t more = c->content.n - before, off = more < c->prefix_left ? more : c->prefix_left;
    if (off) memmove(c->content.data + before, c->content.data + before + off, more - off);
    c->content.n -= off;
    c->prefix_left -= off;
    if (j->hides) c->reasoning.n = 0;
}

/* Text through the split of reasoning, and behind it through the parser of calls. */
static fa_status feed(fa_exchange *x, fa_choice *c, int32_t id, const char *text, size_t n) {
    if (!x->job->tools) return fa_think_feed(&c->think, text, n, &c->reasoning, &c->content);
    fa_text answer = {0};
    bool inside = c->think.inside;
    fa_status s = fa_think_feed(&c->think, text, n, &c->reasoning, &answer);
    if (!s)
        s = fa_calls_feed(x, c, inside ? -1 : id, answer.data ? answer.data : "", answer.n,
                          x->job->stream ? send_call : NULL);
    fa_text_free(&answer);
    return s;
}

static fa_status feed_end(fa_exchange *x, fa_choice *c) {
    if (!x->job->tools) return fa_think_end(&c->think, &c->reasoning, &c->content);
    fa_text answer = {0};
    fa_calls_send *send = x->job->stream ? send_call : NULL;
    fa_status s = fa_think_end(&c->think, &c->reasoning, &answer);
    if (!s) s = fa_calls_feed(x, c, -1, answer.data ? answer.data : "", answer.n, send);
    if (!s) s = fa_calls_end(x, c, send);
    fa_text_free(&answer);
    return s;
}

bool fa_answer_scored(fa_exchange *x, fa_choice *c, const fathom_token *token) {
    return fa_echo_score(&c->prompt->echo, fa_engine_tokenizer(x->server->engine), token);
}

/* What a completion repeats of its prompt, before anything else. */
static bool put_echo(fa_choice *c) {
    const fa_echo *echo = &c->prompt->echo;
    if (c->echoed || !echo->text) return true;
    c->echoed = true;
    for (size_t i = 0; i < echo->bytes; i++) c->text_at += ((unsigned char)echo->text[i] & 0xc0) != 0x80;
    if (echo->columns) c->logprobs = fa_logprobs_columns();
    if (echo->columns && !fa_logprobs_extend(c->logprobs, echo->columns)) return false;
    return fa_text_append(&c->content, echo->text, echo->bytes) == FA_OK;
}

bool fa_answer_token(fa_exchange *x, fa_choice *c, const fathom_token *token) {
    const fa_job *j = x->job;
    if (!put_echo(c)) return false;
    c->usage = fathom_session_usage(c->session);
    size_t before = c->content.n;
    bool reasoning = c->think.inside, in_prefix = c->prefix_left > 0;
    if (feed(x, c, token->id, token->text, token->bytes)) return false;
    hide(j, c, before);
    reasoning |= c->think.inside || (c->think.answer && !c->think.begun); /* and the newlines behind it */
    c->reasoning_tokens += reasoning;
    bool shown = reasoning ? !j->hides : !in_prefix || c->content.n > before;
    if (j->logprobs && shown && is_part(c, token) && !keep_logprob(x, c, token, reasoning)) return false;
    if (j->stream && j->chat) send_chat(x, c);
    if (j->stream && !j->chat) send_completion(x, c, NULL);
    return true;
}

bool fa_answer_end(fa_exchange *x, fa_choice *c, const char *rest) {
    const fa_job *j = x->job;
    size_t before = c->content.n;
    if (!put_echo(c) || feed(x, c, -1, rest, strlen(rest)) || feed_end(x, c)) return false;
    hide(j, c, before);
    if (!j->stream) return true;
    if (!j->chat) {
        send_completion(x, c, finish_reason(c));
        return true;
    }
    send_chat(x, c);
    greet(x, c);
    send_delta(x, c, json_object(), finish_reason(c));
    return true;
}

void fa_answer_usage(fa_exchange *x) {
    if (!x->job->include_usage) return;
    json_t *o = object(x, json_array());
    json_object_set_new(o, "usage", usage_object(x->job));
    fa_reply_event(x, o);
}

/* --- whole responses -------------------------------------------------------------------------------------------------- */

static json_t *message_of(const fa_choice *c) {
    bool only_calls = c->calls && !c->content.n;
    json_t *m =
        json_pack("{s:s, s:o}", "role", "assistant", "content", only_calls ? json_null() : text_of(&c->content));
    if (c->calls) json_object_set(m, "tool_calls", c->calls);
    if (c->reasoning.n) json_object_set_new(m, "reasoning_content", text_of(&c->reasoning));
    return m;
}

static json_t *chat_choice(const fa_job *j, fa_choice *c) {
    return json_pack("{s:I, s:o, s:o, s:s}", "index", index_of(j, c), "message", message_of(c), "logprobs",
                     chat_logprobs(j, c), "finish_reason", finish_reason(c));
}

char *fa_answer_whole(const fa_exchange *x) {
    const fa_job *j = x->job;
    json_t *choices = json_array();
    for (size_t i = 0; i < j->n_choices; i++) {
        fa_choice *c = &j->choices[i];
        json_array_append_new(choices, j->chat ? chat_choice(j, c) : completion_choice(j, c, finish_reason(c)));
    }
    json_t *o = object(x, choices);
    json_object_set_new(o, "usage", usage_object(j));
    char *text = o ? fa_json_print(o, JSON_COMPACT) : NULL;
    json_decref(o);
    return text;
}
