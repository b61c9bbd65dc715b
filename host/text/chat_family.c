/* The built-in families. Their texts are those of the Jinja templates that the models ship with. */
#include <string.h>

#include "host/text/chat_family.h"

#define BOS "<｜begin▁of▁sentence｜>"
#define EOS "<｜end▁of▁sentence｜>"
#define USER "<｜User｜>"
#define ASSISTANT "<｜Assistant｜>"

static const fa_chat_family families[] = {
    {
        .name = "deepseek-v3",
        .bos = BOS,
        .eos = EOS,
        .prints_bos = true,
        .system = FA_SYSTEM_JOINED,
        .turn = {[FA_ROLE_USER] = {USER, ""}, [FA_ROLE_ASSISTANT] = {ASSISTANT, EOS}},
        .generation = ASSISTANT,
        .strips_think = true,
        .tools = true,
    },
    {
        .name = "deepseek-r1",
        .bos = BOS,
        .eos = EOS,
        .prints_bos = true,
        .system = FA_SYSTEM_JOINED,
        .turn = {[FA_ROLE_USER] = {USER, ""}, [FA_ROLE_ASSISTANT] = {ASSISTANT, EOS}},
        .generation = ASSISTANT "<think>\n",
        .strips_think = true,
        .tools = true,
    },
    {
        .name = "r1-distill",
        .bos = BOS,
        .eos = EOS,
        .prints_bos = true,
        .system = FA_SYSTEM_LAST,
        .turn = {[FA_ROLE_USER] = {USER, ""}, [FA_ROLE_ASSISTANT] = {ASSISTANT, EOS}},
        .generation = ASSISTANT "<think>\n",
        .strips_think = true,
    },
    {
        .name = "deepseek-v2.5",
        .bos = BOS,
        .eos = EOS,
        .prints_bos = true,
        .system = FA_SYSTEM_LAST,
        .turn = {[FA_ROLE_USER] = {USER, ""}, [FA_ROLE_ASSISTANT] = {ASSISTANT, EOS}},
        .generation = ASSISTANT,
    },
    {
        .name = "deepseek-v2", /* and DeepSeek-LLM, Coder-V2 */
        .bos = BOS,
        .eos = EOS,
        .prints_bos = true,
        .system = FA_SYSTEM_TURN,
        .turn = {[FA_ROLE_SYSTEM] = {"", "\n\n"},
                 [FA_ROLE_USER] = {"User: ", "\n\n"},
                 [FA_ROLE_ASSISTANT] = {"Assistant: ", "", .eos = true}},
        .generation = "Assistant:",
    },
    {
        .name = "deepseek-coder",
        .bos = BOS,
        .eos = "<|EOT|>",
        .prints_bos = true,
        .system = FA_SYSTEM_TURN,
        .when_default = FA_DEFAULT_IF_NONE,
        .default_system =
            "You are an AI programming assistant, utilizing the Deepseek Coder model, developed by Deepseek "
            "Company, and you only answer questions related to computer science. For politically sensitive "
            "questions, security and privacy issues, and other non-computer science questions, you will "
            "refuse to answer\n",
        .turn = {[FA_ROLE_SYSTEM] = {"", ""},
                 [FA_ROLE_USER] = {"### Instruction:\n", "\n"},
                 [FA_ROLE_ASSISTANT] = {"### Response:\n", "\n<|EOT|>\n"}},
        .generation = "### Response:\n",
    },
    {
        .name = "janus",
        .bos = BOS,
        .eos = EOS,
        .system = FA_SYSTEM_FIRST,
        .turn = {[FA_ROLE_USER] = {"<|User|>:", "\n\n"}, [FA_ROLE_ASSISTANT] = {"<|Assistant|>:", EOS}},
        .generation = "<|Assistant|>:",
        .strict_turns = true,
        .wants_prefix = true,
        .picture = "<image_placeholder>",
        .when_default = FA_DEFAULT_IF_PICTURES, /* VLChatProcessor's, which it has for looking at pictures */
        .default_system = "You are a helpful language and vision assistant. You are able to understand the visual "
                          "content that the user provides, and assist the user with a variety of tasks using natural "
                          "language.",
    },
    {
        .name = "chatml", /* SmolLM2 */
        .bos = "<|im_start|>",
        .eos = "<|im_end|>",
        .system = FA_SYSTEM_TURN,
        .when_default = FA_DEFAULT_IF_NOT_FIRST,
        .default_system = "<|im_start|>system\nYou are a helpful AI assistant named SmolLM, trained by Hugging Face"
                          "<|im_end|>\n",
        .turn = {[FA_ROLE_SYSTEM] = {"<|im_start|>system\n", "<|im_end|>\n"},
                 [FA_ROLE_USER] = {"<|im_start|>user\n", "<|im_end|>\n"},
                 [FA_ROLE_ASSISTANT] = {"<|im_start|>assistant\n", "<|im_end|>\n"}},
        .generation = "<|im_start|>assistant\n",
    },
};

enum { FAMILIES = sizeof families / sizeof *families };

const fa_chat_family *fa_chat_at(int i) {
    return i >= 0 && i < FAMILIES ? &families[i] : NULL;
}

const fa_chat_family *fa_chat_find(const char *name) {
    for (int i = 0; i < FAMILIES; i++)
        if (!strcmp(families[i].name, name)) return &families[i];
    return NULL;
}

const char *fa_chat_name(const fa_chat_family *f) {
    return f->name;
}

bool fa_chat_starts_in_think(const fa_chat_family *f) {
    return strstr(f->generation, "<think>") != NULL;
}

bool fa_chat_prints_bos(const fa_chat_family *f) {
    return !f->wants_prefix;
}

const char *fa_chat_default_bos(const fa_chat_family *f) {
    return f->bos;
}

const char *fa_chat_default_eos(const fa_chat_family *f) {
    return f->eos;
}

const char *fa_chat_picture(const fa_chat_family *f) {
    return f->picture;
}
