/* Which family a Jinja template belongs to. */
#include <string.h>

#include "host/text/chat.h"

enum { MARKS = 4 };

/* A Jinja template belongs to the first row whose `has` it all contains and of whose `lacks` it contains
 * none. Marks are pieces that survive the small edits that copies of a template go through. */
static const struct {
    const char *family, *has[MARKS], *lacks[MARKS];
} templates[] = {
    {"deepseek-r1", {"<｜User｜>", "<｜Assistant｜><think>", "is_first_sp"}, {"thinking"}},
    {"r1-distill", {"<｜User｜>", "<｜Assistant｜><think>"}, {"thinking"}},
    {"deepseek-v3", {"<｜User｜>", "</think>"}, {"thinking"}}, /* also R1 as first released, and R1-0528 */
    {"deepseek-v3", {"<｜User｜>", "is_first_sp"}, {"thinking"}},
    {"deepseek-v2.5", {"<｜User｜>", "<｜Assistant｜>"}, {"think"}},
    {"deepseek-coder", {"### Instruction:", "### Response:", "<|EOT|>"}, {0}},
    {"janus", {"<|User|>", "<|Assistant|>"}, {0}},
    {"deepseek-v2", {"'User: '", "'Assistant: '", "'Assistant:'"}, {0}},
    {"chatml", {"<|im_start|>", "SmolLM"}, {0}},
};

const fa_chat_family *fa_chat_guess_template(const char *jinja) {
    for (size_t i = 0; i < sizeof templates / sizeof *templates; i++) {
        bool fits = true;
        for (int k = 0; k < MARKS; k++) {
            if (templates[i].has[k] && !strstr(jinja, templates[i].has[k])) fits = false;
            if (templates[i].lacks[k] && strstr(jinja, templates[i].lacks[k])) fits = false;
        }
        if (fits) return fa_chat_find(templates[i].family);
    }
    return NULL;
}
