/* The /commands of `fathom chat`. */
#include <stdlib.h>
#include <string.h>

#include "host/base/file.h"
#include "host/base/json.h"
#include "host/cli/chat.h"
#include "host/cli/messages.h"

static void on_new(chat *c, const char *argument);
static void on_system(chat *c, const char *argument);
static void on_image(chat *c, const char *argument);
static void on_undo(chat *c, const char *argument);
static void on_regen(chat *c, const char *argument);
static void on_save(chat *c, const char *argument);
static void on_load(chat *c, const char *argument);
static void on_set(chat *c, const char *argument);
static void on_think(chat *c, const char *argument);
static void on_stats(chat *c, const char *argument);
static void on_help(chat *c, const char *argument);
static void on_quit(chat *c, const char *argument);

static const struct {
    const char *name, *argument, *help;
    void (*run)(chat *c, const char *argument); /* argument: without blanks around, may be "" */
} commands[] = {
    {"new", "", "begin a new conversation", on_new},
    {"system", "[TEXT]", "set the system message, or remove it", on_system},
    {"image", "[FILE]", "show a picture with the next message, or none", on_image},
    {"undo", "", "take the last message and its answer back", on_undo},
    {"regen", "", "answer the last message again", on_regen},
    {"save", "FILE", "write the conversation to a JSON file", on_save},
    {"load", "FILE", "go on with a conversation from a file", on_load},
    {"set", "[NAME VALUE]", "change how tokens are chosen; alone: show it", on_set},
    {"think", "on|off", "show the reasoning, or only answers", on_think},
    {"stats", "", "speed of the last answer, room in the context", on_stats},
    {"help", "", "this list", on_help},
    {"quit", "", "end (also Ctrl-D)", on_quit},
};

enum { COMMANDS = sizeof commands / sizeof *commands };

void chat_command(chat *c, const char *line) {
    size_t n = strcspn(line + 1, " \t\n");
    const char *argument = line + 1 + n;
    argument += strspn(argument, " \t\n");
    size_t rest = strlen(argument);
    while (rest && strchr(" \t\n", argument[rest - 1])) rest--;
    char *text = strndup(argument, rest);
    for (int i = 0; i < COMMANDS && text; i++)
        if (strlen(commands[i].name) == n && !strncmp(commands[i].name, line + 1, n)) {
            commands[i].run(c, text);
            free(text);
            return;
        }
    free(text);
    chat_note("/%.*s is not a command; /help lists them (// at the start sends a text that begins with /)", (int)n,
              line + 1);
}

static void on_help(chat *c, const char *argument) {
    (void)c;
    (void)argument;
    for (int i = 0; i < COMMANDS; i++)
        chat_note("  /%-7s%-14s%s", commands[i].name, commands[i].argument, commands[i].help);
    chat_note("  A backslash at the end of a line goes on in the next. Ctrl-C stops an answer.");
}

static void on_quit(chat *c, const char *argument) {
    (void)argument;
    c->done = true;
}

static bool has_system(const chat *c) {
    const char *role = json_string_value(json_object_get(json_array_get(c->messages, 0), "role"));
    return role && !strcmp(role, "system");
}

static void on_new(chat *c, const char *argument) {
    (void)argument;
    while (json_array_size(c->messages) > has_system(c)) chat_drop_last(c);
    chat_note("a new conversation%s", has_system(c) ? ", with the same system message" : "");
}

static void on_system(chat *c, const char *argument) {
    if (has_system(c)) json_array_remove(c->messages, 0);
    if (!*argument) {
        chat_note("no system message");
        return;
    }
    json_t *message = json_pack("{ssss}", "role", "system", "content", argument);
    if (!message || json_array_insert_new(c->messages, 0, message)) chat_note("the text is not UTF-8");
}

/* Opened at once, so that a wrong file is known before the message is written. */
static void on_image(chat *c, const char *argument) {
    fathom_error e = {0};
    fathom_picture *picture = NULL;
    if (!*argument) {
        chat_forget_images(c);
        chat_note("the next message shows no picture");
        return;
    }
    if (cli_open_picture(c->engine, argument, &picture, &e)) {
        chat_note("%s", e.text);
        return;
    }
    fathom_picture_close(picture);
    const char **more = realloc(c->images, (c->n_images + 1) * sizeof(const char *));
    char *path = strdup(argument);
    if (more) c->images = more;
    if (!more || !path) {
        free(path);
        chat_note("memory ran out");
        return;
    }
    c->images[c->n_images++] = path;
    chat_note("shown with the next message: %s", argument);
}

/* What a message says, beside its pictures. */
static const char *text_of(const json_t *message) {
    const json_t *content = json_object_get(message, "content");
    if (!json_is_array(content)) return json_string_value(content);
    return json_string_value(json_object_get(json_array_get(content, json_array_size(content) - 1), "text"));
}

static void on_undo(chat *c, const char *argument) {
    (void)argument;
    if (!strcmp(chat_last_role(c), "assistant")) chat_drop_last(c);
    if (strcmp(chat_last_role(c), "user")) {
        chat_note("there is nothing to take back");
        return;
    }
    const json_t *message = json_array_get(c->messages, json_array_size(c->messages) - 1);
    const char *text = text_of(message);
    chat_note("taken back: %s", text ? text : "");
    chat_drop_last(c);
}

static void on_regen(chat *c, const char *argument) {
    (void)argument;
    json_t *old = NULL;
    if (!strcmp(chat_last_role(c), "assistant")) {
        old = json_incref(json_array_get(c->messages, json_array_size(c->messages) - 1));
        chat_drop_last(c);
    }
    if (strcmp(chat_last_role(c), "user"))
        chat_note("there is no message to answer");
    else if (!chat_answer(c) && old)
        json_array_append(c->messages, old);
    json_decref(old);
    if (c->sampling.values.temperature <= 0) chat_note("(the temperature is 0, so answers repeat: /set temp 0.7)");
}

static void on_save(chat *c, const char *argument) {
    fa_error e = {0};
    fa_new_file f;
    if (!*argument) {
        chat_note("/save needs a file name");
        return;
    }
    fa_status s = fa_new_file_open(&f, argument, &e);
    if (!s && (json_dumpf(c->messages, f.stream, JSON_INDENT(2)) || fputc('\n', f.stream) == EOF))
        s = fa_fail(&e, FA_EIO, "%s: %m", argument);
    if (!s) s = fa_new_file_commit(&f, &e);
    fa_new_file_abandon(&f);
    if (s)
        chat_note("%s", e.text);
    else
        chat_note("%zu messages saved to %s", json_array_size(c->messages), argument);
}

static void on_load(chat *c, const char *argument) {
    fa_error e = {0};
    fa_prompt prompt;
    json_t *messages = NULL;
    if (!*argument) {
        chat_note("/load needs a file name");
        return;
    }
    fa_status s = fa_json_load(&messages, argument, &e);
    if (!s) { /* a rendering shows whether the family takes it */
        s = fa_chat_render(c->family, messages, true, "", "", &prompt, &e);
        if (s) fa_error_prefix(&e, s, "%s", argument);
        fa_prompt_free(&prompt);
    }
    if (s) {
        chat_note("%s", e.text);
        json_decref(messages);
        return;
    }
    json_decref(c->messages);
    c->messages = messages;
    chat_note("%zu messages loaded from %s%s", json_array_size(messages), argument,
              strcmp(chat_last_role(c), "user") ? "" : "; /regen answers the last one");
}

static void on_set(chat *c, const char *argument) {
    fa_error e = {0};
    char name[32], value[32], more;
    if (!*argument)
        cli_sampling_print(stderr, &c->sampling);
    else if (sscanf(argument, "%31s %31s %c", name, value, &more) != 2)
        chat_note("/set NAME VALUE, as in: /set temp 0.7");
    else if (cli_sampling_set(&c->sampling, name, value, &e))
        chat_note("%s", e.text);
}

static void on_think(chat *c, const char *argument) {
    if (!strcmp(argument, "on") || !strcmp(argument, "off"))
        c->hide_reasoning = !strcmp(argument, "off");
    else
        chat_note("/think on shows the reasoning, /think off hides it");
}

static void on_stats(chat *c, const char *argument) {
    (void)argument;
    if (!c->last.n_ids) {
        chat_note("no answer yet; the context has room for %d tokens", c->info.context);
        return;
    }
    cli_answer_print_statistics(stderr, &c->last, c->sampling.values.temperature > 0 ? &c->last_seed : NULL);
    chat_note("the context holds %d of %d tokens", c->last.usage.prompt_tokens + c->last.usage.new_tokens,
              c->info.context);
}
