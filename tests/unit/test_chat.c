/* What the golden texts do not show: literal ranges, errors, edges. */
#include <string.h>

#include "host/base/json.h"
#include "host/text/chat.h"
#include "tests/lib/check.h"

static json_t *parse(const char *text) {
    json_error_t je;
    json_t *o = json_loads(text, JSON_ALLOW_NUL, &je);
    CHECK(o, "%s: %s", text, je.text);
    return o;
}

typedef struct rendering {
    const char *family, *messages;
    bool generation_prompt;
    const char *marked; /* the text with [ ] around literal ranges; bos is B, eos is E */
} rendering;

#define SEES                                                                                                        \
    "You are a helpful language and vision assistant. You are able to understand the visual content that the user " \
    "provides, and assist the user with a variety of tasks using natural language.\n\n"

static const rendering renderings[] = {
    {"deepseek-v2",
     "[{'role':'system','content':'S'},{'role':'user','content':'U'},{'role':'assistant','content':'A'}]", true,
     "B[S]\n\nUser: [U]\n\nAssistant: [A]EAssistant:"},
    {"deepseek-v2", "[{'role':'user','content':''}]", false, "BUser: \n\n"},
    {"deepseek-v3", "[{'role':'user','content':'U'},{'role':'system','content':'S'},{'role':'system','content':''}]",
     true, "B[S]\n\n<｜User｜>[U]<｜Assistant｜>"},
    {"deepseek-v3", "[{'role':'user','content':'</think>U'},{'role':'assistant','content':'<think>x</think>'}]", false,
     "B<｜User｜>[</think>U]<｜Assistant｜><｜end▁of▁sentence｜>"},
    {"deepseek-r1", "[{'role':'user','content':'U'},{'role':'assistant','content':'x</think>y</think>\\n z'}]", true,
     "B<｜User｜>[U]<｜Assistant｜>[\n z]<｜end▁of▁sentence｜><｜Assistant｜><think>\n"},
    {"deepseek-v3",
     "[{'role':'assistant','content':'C','tool_calls':[{'type':'t','function':{'name':'f','arguments':'a'}},"
     "{'type':'t','function':{'name':'g','arguments':''}}]},{'role':'tool','content':'1'},{'role':'tool','"
     "content':'2'},"
     "{'role':'assistant','content':'x</think>y'}]",
     true,
     "B<｜Assistant｜>[C]<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>[t]<｜tool▁sep｜>[f]\n```json\n[a]\n```<"
     "｜tool▁call▁end｜>\n"
     "<｜tool▁call▁begin｜>[t]<｜tool▁sep｜>[g]\n```json\n\n```<｜tool▁call▁end｜><｜tool▁calls▁end｜><"
     "｜end▁of▁sentence｜>"
     "<｜tool▁outputs▁begin｜><｜tool▁output▁begin｜>[1]<｜tool▁output▁end｜><｜tool▁output▁begin｜>[2]<"
     "｜tool▁output▁end｜>"
     "<｜tool▁outputs▁end｜>[x</think>y]<｜end▁of▁sentence｜><｜Assistant｜>"},
    {"deepseek-v3",
     "[{'role':'assistant','content':'C','tool_calls':null},{'role':'assistant','content':'D','tool_calls':[]"
     "}]",
     false, "B<｜Assistant｜>[C]<｜end▁of▁sentence｜><｜Assistant｜>[D]<｜end▁of▁sentence｜>"},
    {"deepseek-coder", "[{'role':'user','content':'U'},{'role':'system','content':'S'}]", true,
     "B### Instruction:\n[U]\n[S]### Response:\n"},
    {"janus",
     "[{'role':'user','content':'\\u3000\\u2003 a b\\u00a0'},{'role':'system','content':'\\n S '},"
     "{'role':'system','content':'T'}]",
     true, "[S ]\n\n<|User|>: [a b]\n\n<|Assistant|>:"},
    {"janus", "[{'role':'user','content':'a'},{'role':'system','content':' \\n'}]", false, "<|User|>: [a]"},
    {"janus", "[{'role':'user','content':'a'},{'role':'assistant','content':' '}]", true,
     "<|User|>: [a]\n\n<|Assistant|>:"},
    {"janus",
     "[{'role':'user','content':[{'type':'image'},{'type':'text','text':' a <image_placeholder> '}]},"
     "{'role':'assistant','content':[{'type':'text','text':'b'}]},"
     "{'role':'user','content':[{'type':'text','text':' c '},{'type':'text','text':'d'},{'type':'image'}]}]",
     true,
     SEES "<|User|>: <image_placeholder>\n[ a <image_placeholder>]\n\n<|Assistant|>: [b]<｜end▁of▁sentence｜><|User|>: "
          "[c ][d]<image_placeholder>\n\n<|Assistant|>:"},
    {"janus", "[{'role':'user','content':[{'type':'image'}]},{'role':'system','content':'S'}]", false,
     "[S]\n\n<|User|>: <image_placeholder>"},
    {"janus", "[{'role':'user','content':[]}]", true, "<|User|>:<|Assistant|>:"},
    {"chatml", "[{'role':'user','content':'U'},{'role':'system','content':'S'}]", true,
     "<|im_start|>system\nYou are a helpful AI assistant named SmolLM, trained by Hugging Face<|im_end|>\n"
     "<|im_start|>user\n[U]<|im_end|>\n<|im_start|>system\n[S]<|im_end|>\n<|im_start|>assistant\n"},
    {"chatml", "[{'role':'system','content':'S'},{'role':'user','content':'U'}]", false,
     "<|im_start|>system\n[S]<|im_end|>\n<|im_start|>user\n[U]<|im_end|>\n"},
};

/* JSON with ' for ". */
static json_t *messages_of(const char *text) {
    char copy[2000];
    CHECK(strlen(text) < sizeof copy);
    strcpy(copy, text);
    for (char *p = copy; (p = strchr(p, '\''));) *p = '"';
    return parse(copy);
}

static void literal_ranges_cover_what_messages_said(void *arg) {
    (void)arg;
    for (size_t k = 0; k < sizeof renderings / sizeof *renderings; k++) {
        const rendering *r = &renderings[k];
        fa_error e;
        fa_prompt p;
        fa_text marked = {0};
        json_t *messages = messages_of(r->messages);
        CHECK_OK(fa_chat_render(fa_chat_find(r->family), messages, r->generation_prompt, "B", "E", &p, &e), &e);
        size_t at = 0;
        for (size_t i = 0; i < p.n_literal; i++) {
            const fa_text_range range = p.literal[i];
            CHECK(range.begin >= at && range.end > range.begin && range.end <= p.text.n);
            fa_text_append(&marked, p.text.data + at, range.begin - at);
            fa_text_append(&marked, "[", 1);
            fa_text_append(&marked, p.text.data + range.begin, range.end - range.begin);
            fa_text_append(&marked, "]", 1);
            at = range.end;
        }
        fa_text_append(&marked, p.text.data + at, p.text.n - at);
        CHECK(!strcmp(marked.data, r->marked), "row %zu:\nexpected '%s'\nfound    '%s'", k, r->marked, marked.data);
        fa_text_free(&marked);
        fa_prompt_free(&p);
        json_decref(messages);
    }
}

static void zero_bytes_are_kept(void *arg) {
    (void)arg;
    fa_error e;
    fa_prompt p;
    json_t *messages = messages_of("[{'role':'user','content':'a\\u0000</think>'}]");
    CHECK_OK(fa_chat_render(fa_chat_find("deepseek-v2"), messages, false, "B", "E", &p, &e), &e);
    CHECK(p.text.n == 19 && !memcmp(p.text.data, "BUser: a\0</think>\n\n", 19), "%zu bytes", p.text.n);
    CHECK(p.n_literal == 1 && p.literal[0].begin == 7 && p.literal[0].end == 17);
    fa_prompt_free(&p);
    json_decref(messages);
}

typedef struct refusal {
    const char *family, *messages, *error;
} refusal;

static const refusal refusals[] = {
    {"deepseek-v3", "[]", "at least one"},
    {"deepseek-v3", "{'role':'user'}", "messages: expected an array"},
    {"deepseek-v3", "[1]", "messages[0]: expected an object"},
    {"deepseek-v3", "[{'content':'x'}]", "messages[0].role"},
    {"deepseek-v3", "[{'role':3,'content':'x'}]", "messages[0].role"},
    {"deepseek-v3", "[{'role':'user','content':'x'},{'role':'boss','content':'x'}]", "messages[1].role: expected"},
    {"deepseek-v3", "[{'role':'user'}]", "messages[0].content: expected a text"},
    {"deepseek-v3", "[{'role':'user','content':null}]", "messages[0].content"},
    {"deepseek-v3", "[{'role':'user','content':['x']}]", "messages[0].content"},
    {"deepseek-v3", "[{'role':'system','content':7},{'role':'user','content':'x'}]", "messages[0].content"},
    {"deepseek-v3", "[{'role':'assistant','content':null}]", "messages[0].content"},
    {"deepseek-v3", "[{'role':'assistant','content':'x','tool_calls':{}}]",
     "messages[0].tool_calls: expected an array"},
    {"deepseek-v3", "[{'role':'assistant','tool_calls':[1]}]", "messages[0].tool_calls[0].type"},
    {"deepseek-v3", "[{'role':'assistant','tool_calls':[{'type':'f','function':{'name':'n','arguments':{}}}]}]",
     "messages[0].tool_calls[0].function.arguments"},
    {"deepseek-v2", "[{'role':'tool','content':'x'}]",
     "messages[0].role: the template deepseek-v2 has no 'tool' turns"},
    {"r1-distill", "[{'role':'user','content':'x'},{'role':'tool','content':'x'}]", "messages[1].role"},
    {"janus", "[{'role':'user','content':'x'},{'role':'user','content':'x'}]", "messages[1].role: user and assistant"},
    {"janus", "[{'role':'assistant','content':'x'}]", "messages[0].role: user and assistant"},
    {"janus", "[{'role':'system','content':'x'}]", "needs a user message"},
    {"janus", "[{'role':'user'}]", "messages[0].content"},
    {"janus", "[{'role':'user','content':[{'type':'video'}]}]", "messages[0].content: expected parts of type text"},
    {"janus", "[{'role':'user','content':[7]}]", "messages[0].content: expected parts of type text"},
    {"janus", "[{'role':'system','content':[{'type':'image'}]}]", "and image from the user"},
    {"deepseek-v3", "[{'role':'user','content':[{'type':'image'}]}]", "the template deepseek-v3 takes no pictures"},
};

static void bad_messages_are_named(void *arg) {
    (void)arg;
    for (size_t k = 0; k < sizeof refusals / sizeof *refusals; k++) {
        const refusal *r = &refusals[k];
        fa_error e = {0};
        fa_prompt p;
        json_t *messages = messages_of(r->messages);
        fa_status s = fa_chat_render(fa_chat_find(r->family), messages, true, "B", "E", &p, &e);
        CHECK(s == FA_EFORMAT && strstr(e.text, r->error), "row %zu: status %d, '%s'", k, s, e.text);
        CHECK(!p.text.data && !p.literal);
        json_decref(messages);
    }
}

static void families_are_listed(void *arg) {
    (void)arg;
    int n = 0;
    for (const fa_chat_family *f; (f = fa_chat_at(n)); n++) {
        CHECK(fa_chat_find(fa_chat_name(f)) == f);
        CHECK(fa_chat_starts_in_think(f) ==
              (!strcmp(fa_chat_name(f), "deepseek-r1") || !strcmp(fa_chat_name(f), "r1-distill")));
        CHECK(fa_chat_prints_bos(f) == (strcmp(fa_chat_name(f), "janus") != 0));
    }
    CHECK(n == 8 && !fa_chat_find("v3") && !fa_chat_find("") && !fa_chat_at(-1));
}

/* Marks of templates that copies of the models carry; texts in between do not matter. */
static void edited_templates_are_recognised_or_refused(void *arg) {
    (void)arg;
    static const struct {
        const char *jinja, *family;
    } rows[] = {
        {"<｜User｜> {% if '</think>' in content %} <｜Assistant｜>", "deepseek-v3"}, /* R1 as first released */
        {"is_first_sp <｜User｜> <｜Assistant｜>", "deepseek-v3"},
        {"<｜User｜> is_tool <｜Assistant｜>", "deepseek-v2.5"},
        {"<｜User｜> '</think>' <｜Assistant｜><think>\\n tool_calls", "r1-distill"},
        {"{% if not thinking is defined %} is_first_sp <｜User｜> <｜Assistant｜></think>", NULL}, /* V3.1 */
        {"<|im_start|>system\nYou are Qwen", NULL},
        {"{{ bos_token }}", NULL},
        {"", NULL},
    };
    for (size_t k = 0; k < sizeof rows / sizeof *rows; k++) {
        const fa_chat_family *f = fa_chat_guess_template(rows[k].jinja);
        CHECK(rows[k].family ? f && !strcmp(fa_chat_name(f), rows[k].family) : !f, "row %zu: %s", k,
              f ? fa_chat_name(f) : "none");
    }
}

int main(int argc, char **argv) {
    static const check_case cases[] = {
        {"literal ranges cover exactly what messages said", literal_ranges_cover_what_messages_said, NULL},
        {"zero bytes are kept", zero_bytes_are_kept, NULL},
        {"bad messages are named with their field", bad_messages_are_named, NULL},
        {"families are listed and found", families_are_listed, NULL},
        {"edited templates are recognised or refused", edited_templates_are_recognised_or_refused, NULL},
    };
    return check_main(argc, argv, cases, sizeof cases / sizeof *cases);
}
