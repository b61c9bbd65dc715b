/* fathom chat: a conversation at the terminal. */
#include "host/cli/chat.h"

#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "host/cli/cli.h"
#include "host/cli/common.h"
#include "host/cli/line.h"
#include "host/cli/messages.h"

typedef struct settings {
    fathom_options engine;
    cli_sampling sampling;
    const char *system;
    const fa_chat_family *family;
    bool hide_reasoning;
} settings;

enum { OPTION_SYSTEM = 0x2001, OPTION_TEMPLATE, OPTION_HIDE_REASONING };

static error_t parse(int key, char *arg, struct argp_state *state) {
    settings *s = state->input;
    switch (key) {
    case ARGP_KEY_INIT:
        state->child_inputs[0] = &s->sampling;
        state->child_inputs[1] = &s->engine;
        return 0;
    case OPTION_SYSTEM: s->system = arg; return 0;
    case OPTION_TEMPLATE: s->family = cli_option_family(state, arg); return 0;
    case OPTION_HIDE_REASONING: s->hide_reasoning = true; return 0;
    }
    return ARGP_ERR_UNKNOWN;
}

static const struct argp_option options[] = {
    {"system", OPTION_SYSTEM, "TEXT", 0, "System message", 0},
    {"chat-template", OPTION_TEMPLATE, "FAMILY", 0, "Use this template instead of the model's own: " CLI_FAMILIES, 0},
    {"hide-reasoning", OPTION_HIDE_REASONING, NULL, 0, "Show answers without the reasoning", 0},
    {0},
};

static const struct argp_child children[] = {
    {&cli_sampling_argp, 0, "Choosing tokens:", 1},
    {&cli_engine_argp, 0, "Model and machine:", 2},
    {0},
};

static const struct argp argp = {
    .options = options,
    .parser = parse,
    .doc = "Talk with a model.\v"
           "/help lists the commands. A backslash at the end of a line goes on in the next; Ctrl-C stops an answer, "
           "Ctrl-D "
           "ends. Lines are kept in $XDG_STATE_HOME/fathom/history (~/.local/state without it). Where standard input "
           "is no "
           "terminal each of its lines is a message.\n"
           "\n"
           "Example:\n"
           "  fathom chat --model DIR --system \"Be brief.\"",
    .children = children,
};

void chat_note(const char *fmt, ...) {
    va_list args;
    va_start(args, fmt);
    vfprintf(stderr, fmt, args);
    va_end(args);
    fputc('\n', stderr);
}

const char *chat_last_role(const chat *c) {
    size_t n = json_array_size(c->messages);
    const char *role = n ? json_string_value(json_object_get(json_array_get(c->messages, n - 1), "role")) : NULL;
    return role ? role : "";
}

void chat_forget_images(chat *c) {
    for (size_t i = 0; i < c->n_images; i++) free((char *)(uintptr_t)c->images[i]);
    free(c->images);
    c->images = NULL;
    c->n_images = 0;
}

void chat_drop_last(chat *c) {
    json_array_remove(c->messages, json_array_size(c->messages) - 1);
}

/* The answer joins the conversation; false when there is none worth keeping. */
static bool keep_answer(chat *c) {
    const cli_answer *a = &c->last;
    if (!a->text.n && a->interrupted) return false;
    json_t *message = json_pack("{ssss%}", "role", "assistant", "content", a->text.data ? a->text.data : "", a->text.n);
    if (a->reasoning.n)
        json_object_set_new(message, "reasoning_content", json_stringn(a->reasoning.data, a->reasoning.n));
    return json_array_append_new(c->messages, message) == 0;
}

static void note_end(const chat *c) {
    switch (c->last.finish) {
    case FATHOM_CONTEXT:
        chat_note(
            "[the context of %d tokens is full: /new begins a new conversation, /undo takes the last exchange back, "
            "and `fathom chat --ctx N' has more room]",
            c->info.context);
        break;
    case FATHOM_LENGTH:
        chat_note("[ended after %d tokens: /set max-tokens 0 lifts the limit]", c->last.usage.new_tokens);
        break;
    case FATHOM_CANCELLED: chat_note("[stopped]"); break;
    default: break;
    }
}

bool chat_answer(chat *c) {
    fathom_error e = {0};
    int32_t *ids = NULL;
    size_t n = 0;
    fathom_sampling sampling = c->sampling.values;
    sampling.seed += c->answers++;
    c->last_seed = sampling.seed;
    fathom_status s = cli_encode_messages(c->engine, fa_chat_name(c->family), c->messages, &ids, &n, &e);
    if (!s) s = cli_show_pictures(c->engine, c->session, c->messages, &e);
    cli_answer_free(&c->last);
    if (!s)
        s = cli_answer_run(&c->last, c->engine, c->session, ids, n, &sampling,
                           c->hide_reasoning ? CLI_SHOW_ANSWER : CLI_SHOW_PARTS, fa_chat_starts_in_think(c->family),
                           &e);
    fathom_free(ids);
    if (c->last.n_ids || !s) puts("");
    fflush(stdout);
    if (s) {
        cli_fail("%s", e.text);
        if (s == FATHOM_ELIMIT)
            chat_note("[no room: /new begins a new conversation, /undo takes the last exchange back, and `fathom chat "
                      "--ctx N' "
                      "has more room]");
        return false;
    }
    note_end(c);
    return keep_answer(c);
}

void chat_say(chat *c, const char *text, size_t n) {
    fa_error e = {0};
    if (cli_add_shown(c->messages, c->images, c->n_images, text, n, &e)) {
        chat_note("%s", e.text);
        return;
    }
    chat_forget_images(c);
    if (!chat_answer(c)) {
        chat_drop_last(c);
        chat_note("[your message was taken back]");
    }
}

static void talk(chat *c, cli_line *line) {
    const char *text;
    bool terminal = isatty(STDIN_FILENO);
    while (!c->done) {
        cli_line_end end = cli_line_read(line, "> ", "… ", &text);
        if (end == CLI_LINE_EOF) return;
        if (end == CLI_LINE_INTERRUPTED) {
            chat_note("(Ctrl-D or /quit ends)");
            continue;
        }
        if (!text[strspn(text, " \t\n")]) continue;
        if (text[0] == '/' && text[1] != '/') {
            chat_command(c, text);
            continue;
        }
        text += text[0] == '/';
        chat_say(c, text, strlen(text));
        if (terminal) puts("");
    }
}

static int open_chat(chat *c, settings *s) {
    fathom_error e = {0};
    fa_error bad = {0};
    fathom_status status = cli_engine_open(&c->engine, &s->engine, &e);
    if (!status) status = fathom_session_open(c->engine, 0, &c->session, &e);
    if (status) return cli_fail("%s", e.text);
    fathom_engine_info(c->engine, &c->info);
    c->family = s->family ? s->family : c->info.chat_family ? fa_chat_find(c->info.chat_family) : NULL;
    if (!c->family) return cli_fail("the model has no chat template that is built in; choose one with --chat-template");
    cli_sampling_defaults(&s->sampling, fa_chat_starts_in_think(c->family));
    c->sampling = s->sampling;
    c->sampling.values.stop = c->sampling.stops;
    c->sampling.values.thinking = fa_chat_starts_in_think(c->family);
    c->hide_reasoning = s->hide_reasoning;
    c->messages = json_array();
    if (s->system && cli_add_message(c->messages, "system", s->system, strlen(s->system), &bad))
        return cli_fail("%s", bad.text);
    if (isatty(STDIN_FILENO))
        chat_note("%s on %s (%s), %s, room for %d tokens. /help lists the commands.", c->info.model_name,
                  c->info.backend, c->info.backend_detail, c->info.numerics, c->info.context);
    return CLI_OK;
}

int cli_chat(int argc, char **argv) {
    settings s = {0};
    chat c = {0};
    cli_line *line = NULL;
    fa_error e = {0};
    if (cli_parse(&argp, argc, argv, &s)) return CLI_ERROR;
    int code = open_chat(&c, &s);
    if (!code && cli_line_open(&line, &e)) code = cli_fail("%s", e.text);
    if (!code) {
        if (isatty(STDIN_FILENO)) signal(SIGINT, SIG_IGN); /* Ctrl-C is for answers and for the line */
        talk(&c, line);
    }
    cli_line_close(line);
    cli_answer_free(&c.last);
    chat_forget_images(&c);
    json_decref(c.messages);
    fathom_session_close(c.session);
    fathom_engine_close(c.engine);
    return code;
}
