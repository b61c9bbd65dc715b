#include "host/server/job.h"

#include <stdlib.h>
#include <string.h>

#include "host/grammar/constraint.h"

void fa_job_free(fa_job *j) {
    if (!j) return;
    for (size_t i = 0; i < j->n_choices; i++) {
        fa_choice *c = &j->choices[i];
        fa_text_free(&c->reasoning);
        fa_text_free(&c->content);
        fa_tool_parser_free(&c->parser);
        json_decref(c->calls);
        json_decref(c->reasoning_logprobs);
        json_decref(c->logprobs);
        fa_constraint_close(c->constraint);
    }
    for (size_t i = 0; i < j->n_prompts; i++) {
        free(j->prompts[i].ids);
        fa_echo_close(&j->prompts[i].echo);
    }
    fa_picture_list_free(&j->pictures);
    free(j->choices);
    free(j->prompts);
    free(j->schema);
    free(j->tools);
    free(j->prefix);
    json_decref(j->body);
    free(j);
}

bool fa_job_make_choices(fa_job *j, int64_t n, const fa_tokenizer *t) {
    size_t each = (size_t)n;
    j->choices = calloc(j->n_prompts * each, sizeof *j->choices);
    if (!j->choices) return false;
    j->n_choices = j->n_prompts * each;
    for (size_t i = 0; i < j->n_choices; i++) {
        j->choices[i].prompt = &j->prompts[i / each];
        j->choices[i].think = (fa_think){.inside = j->inside, .answer = !j->reasons, .begun = !j->reasons};
        /* newlines behind the reasoning are no part of the answer */
        if (j->prefix) j->choices[i].prefix_left = strlen(j->prefix) - strspn(j->prefix, "\n");
        if (j->tools) fa_tool_parser_open(&j->choices[i].parser, t);
    }
    return true;
}

fa_job_usage fa_job_sum(const fa_job *j) {
    fa_job_usage u = {0};
    for (size_t i = 0; i < j->n_choices; i++) {
        const fa_choice *c = &j->choices[i];
        bool first = i == 0 || c->prompt != j->choices[i - 1].prompt;
        if (first && c->started) {
            u.prompt += c->usage.prompt_tokens;
            u.cached += c->usage.cached_tokens;
        }
        u.completion += c->usage.new_tokens;
        u.reasoning += c->reasoning_tokens;
    }
    return u;
}
