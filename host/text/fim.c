#include "host/text/fim.h"

#include <string.h>

#include "host/text/chat.h"

enum { BEGIN, HOLE, END, MARKS };
static const char *const marks[MARKS] = {"<｜fim▁begin｜>", "<｜fim▁hole｜>", "<｜fim▁end｜>"};

bool fa_fim_known(const fa_tokenizer *t) {
    for (int i = 0; i < MARKS; i++)
        if (fa_tokenizer_find(t, marks[i]) < 0) return false;
    return true;
}

static fa_status put(fa_prompt *out, int mark) {
    return fa_text_append(&out->text, marks[mark], strlen(marks[mark]));
}

fa_status fa_fim_encode(const fa_tokenizer *t, const char *prefix, size_t n_prefix, const char *suffix, size_t n_suffix,
                        fa_ids *ids, fa_error *e) {
    fa_prompt out = {0};
    if (!fa_fim_known(t)) return fa_fail(e, FA_EUNSUPPORTED, "this model has no tokens for fill-in-the-middle");
    fa_status s = put(&out, BEGIN);
    if (!s) s = fa_prompt_append(&out, prefix, n_prefix);
    if (!s) s = put(&out, HOLE);
    if (!s) s = fa_prompt_append(&out, suffix, n_suffix);
    if (!s) s = put(&out, END);
    if (s) fa_fail(e, s, "fill-in-the-middle: memory ran out");
    fa_encode_options options = {.prefix = true, .literal = out.literal, .n_literal = out.n_literal};
    if (!s) s = fa_encode(t, out.text.data, out.text.n, &options, ids, e);
    fa_prompt_free(&out);
    return s;
}
