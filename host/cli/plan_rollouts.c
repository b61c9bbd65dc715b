/* What rollouts for a trainer take on boards: groups of answers to one prompt, which is read once a group. */
#include <jansson.h>
#include <stdio.h>

#include "host/cli/plan_options.h"

/* A group on the planned boards, with the energy of boards and hosts. */
typedef struct rollouts {
    double seconds;      /* of a group: its prompt once, then its share of a full batch */
    double tokens_per_s; /* written, in all, while prompts are read too */
    double tokens_per_j; /* written */
    double apart_per_s;  /* the same if each answer read the prompt for itself */
    double joules_a_group;
} rollouts;

static rollouts of_plan(const fa_plan_request *q, const fa_plan *p, int32_t samples) {
    double written = (double)samples * (q->context - q->prompt), decode = written / p->decode_tokens_per_s;
    double prefill = q->prompt / p->prefill_tokens_per_s, seconds = decode + prefill;
    return (rollouts){.seconds = seconds,
                      .tokens_per_s = written / seconds,
                      .tokens_per_j = written / seconds / p->watts,
                      .apart_per_s = written / (decode + samples * prefill),
                      .joules_a_group = seconds * p->watts};
}

void cli_plan_print_rollouts(const cli_plan_options *o, const fa_plan *plans, int32_t samples) {
    const fa_plan_request *q = &o->request;
    printf("\nrollouts: groups of %d answers of %d tokens to prompts of %d, which are read once a group\n", samples,
           q->context - q->prompt, q->prompt);
    printf("%6s  %12s %12s %14s %12s %26s\n", "batch", "groups/hour", "tokens/s", "tokens/J", "J/group",
           "tokens/s, prompts apart");
    for (int i = 0; i < o->n_batches; i++) {
        rollouts r = of_plan(q, &plans[i], samples);
        printf("%6d  %12.1f %12.1f %14.4f %12.0f %26.1f\n", o->batches[i], 3600 / r.seconds, r.tokens_per_s,
               r.tokens_per_j, r.joules_a_group, r.apart_per_s);
    }
}

json_t *cli_plan_json_rollouts(const cli_plan_options *o, const fa_plan *plan, int32_t samples) {
    const fa_plan_request *q = &o->request;
    rollouts r = of_plan(q, plan, samples);
    return json_pack("{s:i, s:i, s:f, s:f, s:f, s:f, s:f}", "answers_of_a_group", samples, "tokens_of_an_answer",
                     q->context - q->prompt, "groups_per_hour", 3600 / r.seconds, "tokens_per_s", r.tokens_per_s,
                     "tokens_per_joule", r.tokens_per_j, "joules_per_group", r.joules_a_group,
                     "tokens_per_s_with_prompts_apart", r.apart_per_s);
}
