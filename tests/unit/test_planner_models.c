/* The shapes of the released models: their parameter counts are the published ones, and counting agrees with real files. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "host/format/tensor.h"
#include "sim/planner/models.h"
#include "sim/planner/ops.h"
#include "tests/lib/check.h"

static void counts_are_as_published(void *arg) {
    (void)arg;
    int counted = 0;
    for (int i = 0; fa_known_model_at(i); i++) {
        const fa_known_model *m = fa_known_model_at(i);
        double billions = fa_model_parameters(&m->config, false) / 1e9;
        if (!m->billions) continue;
        CHECK(fabs(billions / m->billions - 1) < 0.01, "%s: %.4g computed, %.4g published", m->name, billions,
              m->billions);
        counted++;
    }
    CHECK(counted >= 18, "%d", counted);
}

/* Of V3, 2412.19437: 37 B; V2, 2405.04434: 21 B; V2-Lite: 2.4 B. All count neither embedding nor its like twice. */
static void active_counts_are_as_published(void *arg) {
    (void)arg;
    static const struct {
        const char *name;
        double billions;
    } published[] = {{"deepseek-v3", 37}, {"deepseek-r1", 37}, {"deepseek-v2", 21}, {"deepseek-v2-lite", 2.4}};
    fa_error e;
    for (size_t i = 0; i < sizeof published / sizeof *published; i++) {
        fa_config c;
        CHECK_OK(fa_plan_model(&c, published[i].name, &e), &e);
        double active = (fa_model_parameters(&c, true) - (double)c.vocab * c.hidden) / 1e9;
        CHECK(fabs(active / published[i].billions - 1) < 0.03, "%s: %.4g, published %.4g", published[i].name, active,
              published[i].billions);
    }
}

static void every_promised_model_is_known(void *arg) {
    (void)arg;
    static const char *const promised[] = {"deepseek-r1",
                                           "DeepSeek-V3",
                                           "v2",
                                           "v2-lite",
                                           "coder-v2",
                                           "coder-v2-lite",
                                           "deepseek-llm-7b",
                                           "llm-67b",
                                           "coder-1.3b",
                                           "coder-6.7b",
                                           "coder-33b",
                                           "r1-distill-qwen-1.5b",
                                           "r1-distill-qwen-7b",
                                           "r1-distill-qwen-14b",
                                           "r1-distill-qwen-32b",
                                           "r1-distill-llama-8b",
                                           "r1-distill-llama-70b",
                                           "janus-pro-1b",
                                           "janus-pro-7b"};
    fa_config c;
    fa_error e;
    for (size_t i = 0; i < sizeof promised / sizeof *promised; i++) CHECK_OK(fa_plan_model(&c, promised[i], &e), &e);
}

static void unknown_names_list_the_known(void *arg) {
    (void)arg;
    fa_config c;
    fa_error e;
    CHECK(fa_plan_model(&c, "deepseek-r9", &e) == FA_EINVAL);
    CHECK(strstr(e.text, "deepseek-r9") && strstr(e.text, "deepseek-r1-distill-qwen-1.5b"), "%s", e.text);
    CHECK(fa_plan_model(&c, "/no/such/folder", &e) == FA_EIO && strstr(e.text, "/no/such/folder"), "%s", e.text);
}

/* Elements of all tensors but block scales. */
static double elements_of(const char *dir) {
    fa_error e;
    fa_tensors *ts;
    double n = 0;
    CHECK_OK(fa_tensors_open(&ts, dir, &e), &e);
    for (int64_t i = 0; i < fa_tensors_count(ts); i++) {
        const fa_tensor *t = fa_tensors_at(ts, i);
        if (!strstr(t->name, "_scale_inv")) n += (double)fa_tensor_elements(t);
    }
    fa_tensors_close(ts);
    return n;
}

static void counting_agrees_with_files(void *arg) {
    char *dir = check_golden(arg);
    fa_config c;
    fa_error e;
    CHECK_OK(fa_plan_model(&c, dir, &e), &e);
    double counted = fa_model_parameters(&c, false), stored = elements_of(dir);
    CHECK(counted == stored, "%.0f counted, %.0f stored", counted, stored);
    free(dir);
}

static const check_case cases[] = {
    {"parameter counts are as published", counts_are_as_published, NULL},
    {"active parameters are as published", active_counts_are_as_published, NULL},
    {"every promised model is known", every_promised_model_is_known, NULL},
    {"an unknown model's error lists the known", unknown_names_list_the_known, NULL},
    {"deepseek-llm-tiny has as many parameters as its files", counting_agrees_with_files, "deepseek-llm-tiny"},
    {"deepseek-v2-lite-tiny has as many parameters as its files", counting_agrees_with_files, "deepseek-v2-lite-tiny"},
    {"deepseek-v2-tiny has as many parameters as its files", counting_agrees_with_files, "deepseek-v2-tiny"},
    {"deepseek-v3-tiny has as many parameters as its files", counting_agrees_with_files, "deepseek-v3-tiny"},
    {"deepseek-v3-tiny-fp8 has as many parameters as its files", counting_agrees_with_files, "deepseek-v3-tiny-fp8"},
    {"r1-distill-qwen-tiny has as many parameters as its files", counting_agrees_with_files, "r1-distill-qwen-tiny"},
    {"r1-distill-llama-tiny has as many parameters as its files", counting_agrees_with_files, "r1-distill-llama-tiny"},
};

int main(int argc, char **argv) {
    return check_main(argc, argv, cases, sizeof cases / sizeof *cases);
}
