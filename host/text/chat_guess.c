/* Which family a model's own files ask for. */
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

/* Without a template: the architecture begins so, and the vocabulary has the token. Where R1's own tokens are
 * missing the model is V3. Families without tokens of their own cannot be told from a base model. */
static const struct {
    const char *family, *architecture, *has_token, *lacks_token;
} vocabularies[] = {
    {"deepseek-r1", "DeepseekV3", "<think>", NULL},
    {"deepseek-v3", "DeepseekV3", "<｜User｜>", "<think>"},
    {"deepseek-v2.5", "DeepseekV2", "<｜User｜>", NULL},
    {"r1-distill", "Qwen2", "<｜User｜>", NULL},
    {"r1-distill", "Llama", "<｜User｜>", NULL},
    {"janus", "MultiModality", "<|User|>", NULL},
    {"janus", "Janus", "<|User|>", NULL},
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

const fa_chat_family *fa_chat_guess(const fa_tokenizer *t, const char *architecture) {
    const char *jinja = fa_tokenizer_chat_template(t);
    if (jinja) return fa_chat_guess_template(jinja);
    for (size_t i = 0; architecture && i < sizeof vocabularies / sizeof *vocabularies; i++) {
        const char *begins = vocabularies[i].architecture, *lacks = vocabularies[i].lacks_token;
        if (!strncmp(architecture, begins, strlen(begins)) && fa_tokenizer_find(t, vocabularies[i].has_token) >= 0 &&
            !(lacks && fa_tokenizer_find(t, lacks) >= 0))
            return fa_chat_find(vocabularies[i].family);
    }
    return NULL;
}
