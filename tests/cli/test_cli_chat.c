/* Conversations at a terminal and through pipes, with a random model: what is tested is everything but the words. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "host/base/file.h"
#include "tests/lib/check.h"
#include "tests/lib/command.h"
#include "tests/lib/terminal.h"

static char *state; /* a folder for the history */

static void expect_prompt(check_terminal *t) {
    check_terminal_expect(t, "> ");
    check_terminal_expect_editor(t);
}

static void open_chat(check_terminal *t, const char *model, const char *options) {
    check_terminal_open(t, "XDG_STATE_HOME=%s HOME=%s exec \"$FATHOM_BIN\" chat --model %s/%s --threads 1 %s", state,
                        state, check_golden_dir(), model, options);
    check_terminal_expect(t, "/help lists the commands.");
    expect_prompt(t);
}

static void say(check_terminal *t, const char *line) {
    check_terminal_type(t, line);
    check_terminal_type(t, "\r");
}

static void ctrl_c_stops_the_answer_and_not_the_program(void *arg) {
    (void)arg;
    check_terminal t;
    /* slow, with a long context: the answer goes on for seconds */
    open_chat(&t, "r1-distill-llama-tiny", "--backend reference --ignore-eos");
    say(&t, "hello");
    check_terminal_expect(&t, "\033[2m"); /* the reasoning has begun */
    check_terminal_type(&t, "\003");
    check_terminal_expect(&t, "[stopped]");
    check_terminal_expect(&t, "[your message was taken back]");
    expect_prompt(&t);
    say(&t, "/set max-tokens 3");
    expect_prompt(&t);
    say(&t, "again");
    check_terminal_expect(&t, "[ended after 3 tokens");
    expect_prompt(&t);
    check_terminal_type(&t, "\004");
    CHECK(check_terminal_close(&t) == 0);
}

static void ctrl_c_drops_the_line_and_ctrl_d_ends(void *arg) {
    (void)arg;
    check_terminal t;
    open_chat(&t, "r1-distill-qwen-tiny", "");
    check_terminal_type(&t, "half a li\003");
    check_terminal_expect(&t, "^C");
    check_terminal_expect(&t, "(Ctrl-D or /quit ends)");
    expect_prompt(&t);
    check_terminal_type(&t, "\003");
    check_terminal_expect(&t, "(Ctrl-D or /quit ends)");
    expect_prompt(&t);
    say(&t, "/undo"); /* the dropped line was not sent */
    check_terminal_expect(&t, "there is nothing to take back");
    expect_prompt(&t);
    check_terminal_type(&t, "\004");
    CHECK(check_terminal_close(&t) == 0);
}

static void the_history_outlives_the_program(void *arg) {
    (void)arg;
    check_terminal t;
    open_chat(&t, "r1-distill-qwen-tiny", "-n 1");
    say(&t, "Grüße an alle");
    check_terminal_expect(&t, "[ended after 1 tokens");
    expect_prompt(&t);
    say(&t, "/quit");
    CHECK(check_terminal_close(&t) == 0);
    char *path = fa_path_join(state, "fathom/history");
    struct stat st;
    CHECK(stat(path, &st) == 0 && (st.st_mode & 0777) == 0600, "mode %o", st.st_mode & 0777);
    free(path);
    open_chat(&t, "r1-distill-qwen-tiny", "-n 1");
    check_terminal_type(&t, "\033[A\033[A"); /* up, up */
    check_terminal_expect(&t, "Grüße an alle");
    check_terminal_type(&t, "\r");
    check_terminal_expect(&t, "[ended after 1 tokens");
    expect_prompt(&t);
    check_terminal_type(&t, "\004");
    CHECK(check_terminal_close(&t) == 0);
}

static void a_backslash_goes_on_in_the_next_line(void *arg) {
    (void)arg;
    check_terminal t;
    open_chat(&t, "r1-distill-qwen-tiny", "-n 1");
    say(&t, "one\\");
    check_terminal_expect(&t, "… ");
    check_terminal_expect_editor(&t);
    say(&t, "two");
    expect_prompt(&t);
    say(&t, "/undo");
    check_terminal_expect(&t, "taken back: one\r\ntwo");
    expect_prompt(&t);
    say(&t, "/quit");
    CHECK(check_terminal_close(&t) == 0);
}

/* Lines through a pipe, with standard error in the output; $F is a file name for /save. */
static check_output piped(const char *options, const char *lines) {
    return check_command(
        "F=%s/saved.json; printf '%s' \"$F\" \"$F\" | \"$FATHOM_BIN\" chat --model %s/r1-distill-qwen-tiny "
        "--threads 1 --seed 1 %s 2>&1",
        state, lines, check_golden_dir(), options);
}

static const struct {
    const char *name, *options, *lines; /* %s: the file */
    int status;
    const char *shows[4], *hides;
} talks[] = {
    {"commands are answered",
     "-n 2",
     "/help\\n/nope\\n/set\\n/set temp 0.25\\n/set temp x\\n/set heat 3\\n/set\\n",
     0,
     {"/regen ", "/nope is not a command", "temp              0.25", "temp: expected a number in 0..100, found"},
     NULL},
    {"nothing to do is said",
     "",
     "/undo\\n/regen\\n/stats\\n/save\\n/load\\n/think maybe\\n",
     0,
     {"there is nothing to take back", "there is no message to answer", "no answer yet", "/load needs a file name"},
     NULL},
    {"a conversation is saved and loaded",
     "-n 40 --system Brief. --ignore-eos",
     "hi\\n/save %s\\n/new\\n/load %s\\n/undo\\n/stats\\n",
     0,
     {"3 messages saved to", "a new conversation, with the same system message", "3 messages loaded from",
      "taken back: hi"},
     NULL},
    {"a missing file is named",
     "",
     "/load /nonexistent/x\\n/save /nonexistent/x\\n",
     0,
     {"/nonexistent/x", NULL},
     "messages"},
    {"a message that does not fit is taken back",
     "--ctx 8",
     "a message of more than eight tokens, surely\\n/undo\\n",
     0,
     {"no room: /new begins", "[your message was taken back]", "there is nothing to take back"},
     NULL},
    {"a full context is said",
     "--ctx 64 --ignore-eos",
     "hi\\n",
     0,
     {"the context of 64 tokens is full: /new begins"},
     NULL},
    {"a double slash sends a text", "-n 1", "//new\\n/undo\\n", 0, {"taken back: /new"}, NULL},
    {"/quit ends before the input does", "-n 1", "/quit\\n/undo\\n", 0, {NULL}, "take back"},
    {"each answer has a seed of its own",
     "-n 2 --temp 1",
     "hi\\n/stats\\n/regen\\n/stats\\n",
     0,
     {"seed 1\n", "seed 2\n"},
     NULL},
    {"reasoning is hidden", "-n 8 --ignore-eos", "/think off\\nhi\\n", 0, {"[ended after 8 tokens"}, "<think>"},
    {"reasoning is shown in tags", "-n 8 --ignore-eos", "hi\\n", 0, {"<think>\n", "\n</think>"}, NULL},
};

static void talk_through_a_pipe(void *arg) {
    size_t i = (size_t)(uintptr_t)arg;
    check_output o = piped(talks[i].options, talks[i].lines);
    CHECK(o.status == talks[i].status, "status %d: %s", o.status, o.out);
    for (int k = 0; k < 4 && talks[i].shows[k]; k++)
        CHECK(strstr(o.out, talks[i].shows[k]), "'%s' is missing in: %s", talks[i].shows[k], o.out);
    CHECK(!talks[i].hides || !strstr(o.out, talks[i].hides), "%s", o.out);
    check_output_free(&o);
}

static void a_base_model_is_refused(void *arg) {
    (void)arg;
    check_output o = check_command("\"$FATHOM_BIN\" chat --model /nonexistent </dev/null");
    CHECK(o.status == 1 && strstr(o.err, "fathom: /nonexistent"), "%s", o.err);
    check_output_free(&o);
}

/* The answer is that of `fathom run --image`, at first and after the conversation was saved, taken back and loaded. */
static void pictures_are_shown(void *arg) {
    (void)arg;
    static const char model[] = "--model %s/janus-pro-tiny --temp 0 -n 8 --threads 1";
    char options[300], picture[300];
    snprintf(options, sizeof options, model, check_golden_dir());
    snprintf(picture, sizeof picture, "%s/janus-pro-tiny/wide.png", check_golden_dir());
    check_output want = check_command("\"$FATHOM_BIN\" run --quiet %s --image %s What", options, picture);
    CHECK(want.status == 0 && want.out_bytes > 8, "%s", want.err);
    check_output o = check_command(
        "printf '/image nothing.png\\n/image %s\\nWhat\\n/save %s/c.json\\n/undo\\n/undo\\n/load %s/c.json\\n"
        "/regen\\n/image %s\\n/image\\n/undo\\n' | XDG_STATE_HOME=%s \"$FATHOM_BIN\" chat %s",
        picture, state, state, picture, state, options);
    CHECK(o.status == 0 && !strncmp(o.out, want.out, want.out_bytes) && !strcmp(o.out + want.out_bytes, want.out),
          "'%s', expected '%s'", o.out, want.out);
    static const char *const said[] = {
        "nothing.png: cannot open", "shown with the next message",   "2 messages saved",
        "taken back: What",         "there is nothing to take back", "the next message shows no picture"};
    for (size_t i = 0; i < sizeof said / sizeof *said; i++)
        CHECK(strstr(o.err, said[i]), "'%s' is missing in: %s", said[i], o.err);
    check_output_free(&o), check_output_free(&want);
    o = piped("", "/image Makefile\\n");
    CHECK(strstr(o.out, "does not look at pictures"), "%s", o.out);
    check_output_free(&o);
}

int main(int argc, char **argv) {
    enum { TALKS = sizeof talks / sizeof *talks };
    check_case cases[6 + TALKS] = {
        {"Ctrl-C stops the answer and not the program", ctrl_c_stops_the_answer_and_not_the_program, NULL},
        {"Ctrl-C drops the line and Ctrl-D ends", ctrl_c_drops_the_line_and_ctrl_d_ends, NULL},
        {"the history outlives the program", the_history_outlives_the_program, NULL},
        {"a backslash goes on in the next line", a_backslash_goes_on_in_the_next_line, NULL},
        {"a missing model is refused", a_base_model_is_refused, NULL},
        {"pictures are shown, taken back and saved", pictures_are_shown, NULL},
    };
    for (size_t i = 0; i < TALKS; i++)
        cases[6 + i] = (check_case){talks[i].name, talk_through_a_pipe, (void *)(uintptr_t)i};
    setenv("FATHOM_BIN", "build/fathom", 0);
    state = check_folder();
    int code = check_main(argc, argv, cases, 6 + TALKS);
    check_folder_remove(state);
    return code;
}
