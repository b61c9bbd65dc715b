/* Tool calls and their outputs, as the template of DeepSeek-V3 and R1 prints them. `called` and `answered`
 * are never reset: from the second message with calls on, the template prints no new assistant turn for them,
 * and neither do we. */
#include "host/text/chat_family.h"
#include "host/text/tool_calls.h"

bool fa_chat_has_tools(const fa_chat_family *f) {
    return f->tools;
}

bool fa_chat_has_calls(const json_t *message) {
    const json_t *calls = json_object_get(message, "tool_calls");
    return calls && !json_is_null(calls) && !(json_is_array(calls) && json_array_size(calls) == 0);
}

static void put_value(fa_chat_writer *w, const json_t *text) {
    fa_chat_put_literal(w, json_string_value(text), json_string_length(text));
}

static fa_status put_call(fa_chat_writer *w, const json_t *call, size_t i, size_t k, fa_error *e) {
    const json_t *type = json_object_get(call, "type");
    const json_t *function = json_object_get(call, "function");
    const json_t *name = json_object_get(function, "name"), *arguments = json_object_get(function, "arguments");
    const struct {
        const json_t *value;
        const char *field;
    } needed[] = {{type, "type"}, {name, "function.name"}, {arguments, "function.arguments"}};
    for (size_t f = 0; f < sizeof needed / sizeof *needed; f++)
        if (!json_is_string(needed[f].value))
            return fa_fail(e, FA_EFORMAT, "messages[%zu].tool_calls[%zu].%s: expected a text", i, k, needed[f].field);
    fa_chat_put(w, fa_tool_mark_text[FA_TOOL_CALL_BEGIN]);
    put_value(w, type);
    fa_chat_put(w, fa_tool_mark_text[FA_TOOL_SEP]);
    put_value(w, name);
    fa_chat_put(w, fa_tool_arguments_begin);
    put_value(w, arguments);
    fa_chat_put(w, fa_tool_arguments_end);
    fa_chat_put(w, fa_tool_mark_text[FA_TOOL_CALL_END]);
    return FA_OK;
}

fa_status fa_chat_put_calls(fa_chat_writer *w, fa_chat_tools *state, size_t i, const char *text, size_t n,
                            fa_error *e) {
    const json_t *calls = json_object_get(json_array_get(w->messages, i), "tool_calls");
    if (!json_is_array(calls)) return fa_fail(e, FA_EFORMAT, "messages[%zu].tool_calls: expected an array", i);
    state->in_outputs = false;
    for (size_t k = 0; k < json_array_size(calls); k++) {
        if (state->called) {
            fa_chat_put(w, "\n");
        } else {
            fa_chat_put(w, w->family->turn[FA_ROLE_ASSISTANT].before);
            fa_chat_put_literal(w, text, n);
            fa_chat_put(w, fa_tool_mark_text[FA_TOOL_CALLS_BEGIN]);
        }
        state->called = true;
        fa_status s = put_call(w, json_array_get(calls, k), i, k, e);
        if (s) return s;
    }
    fa_chat_put(w, fa_tool_mark_text[FA_TOOL_CALLS_END]);
    fa_chat_put(w, w->family->turn[FA_ROLE_ASSISTANT].after);
    return FA_OK;
}

void fa_chat_put_output(fa_chat_writer *w, fa_chat_tools *state, const char *text, size_t n) {
    if (!state->answered) fa_chat_put(w, "<｜tool▁outputs▁begin｜>");
    state->answered = state->in_outputs = true;
    fa_chat_put(w, "<｜tool▁output▁begin｜>");
    fa_chat_put_literal(w, text, n);
    fa_chat_put(w, "<｜tool▁output▁end｜>");
}

void fa_chat_end_outputs(fa_chat_writer *w, fa_chat_tools *state) {
    state->in_outputs = false;
    fa_chat_put(w, "<｜tool▁outputs▁end｜>");
}
