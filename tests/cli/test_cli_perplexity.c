/* fathom eval --perplexity on a real model: the number that transformers gives for the same text, windows and weights. */
#include <math.h>
#include <stdlib.h>
#include <unistd.h>

#include "host/base/json.h"
#include "tests/lib/check.h"
#include "tests/lib/command.h"

/* By tests/lm_eval/perplexity.py SmolLM2-135M-Instruct.Q4_1.gguf LICENSE 128 64, with transformers 5.23.0 and torch 2.15.0: the GGUF file's weights
 * dequantised, all arithmetic in FP32. */
static const int tokens = 262;
static const double golden = 2.792613502712779;

static void perplexity_is_that_of_transformers(void *unused) {
    (void)unused;
    const char *path = getenv("FATHOM_SMOLLM2");
    if (!path || !*path || access(path, R_OK) != 0) check_skip("FATHOM_SMOLLM2 names no file (make test fetches it)");
    check_output o = check_command(
        "\"$FATHOM_BIN\" eval --model \"$FATHOM_SMOLLM2\" --numerics w8a16 --window 128 --stride 64 --json "
        "--perplexity LICENSE");
    CHECK(o.status == 0, "%d %s", o.status, o.err);
    json_t *line = json_loads(o.out, 0, NULL);
    double found = json_number_value(json_object_get(line, "perplexity"));
    CHECK(json_integer_value(json_object_get(line, "tokens")) == tokens, "%s", o.out);
    CHECK(fabs(found / golden - 1) <= 1e-3, "%.6f, transformers %.6f", found, golden);
    json_decref(line);
    check_output_free(&o);
}

static const check_case cases[] = {
    {"SmolLM2's perplexity is within 0.1 % of transformers'", perplexity_is_that_of_transformers, NULL},
};

int main(int argc, char **argv) {
    return check_main(argc, argv, cases, sizeof cases / sizeof *cases);
}
