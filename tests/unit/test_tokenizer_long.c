/* Long texts that a careless tokenizer takes hours for. */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "host/text/tokenizer.h"
#include "tests/lib/check.h"

static fa_tokenizer *open_golden(const char *folder) {
    char *path = check_golden(folder);
    fa_tokenizer *t;
    fa_error e = {0};
    fa_status s = fa_tokenizer_open(&t, path, &e);
    free(path);
    CHECK_OK(s, &e);
    return t;
}

typedef struct long_case {
    const char *folder, *unit; /* repeated; NULL: random bytes */
    char last;                 /* behind it all; 0: nothing */
} long_case;

enum { LONG_BYTES = 1000000, MOST_SECONDS = 15 };

/* Generous, so that it holds under sanitizers and on a busy machine; what is quadratic takes hours. */
static void long_text_takes_bounded_time(void *arg) {
    const long_case *c = arg;
    fa_tokenizer *t = open_golden(c->folder);
    char *text = malloc(LONG_BYTES);
    CHECK(text);
    size_t unit = c->unit ? strlen(c->unit) : 0;
    check_rng r = {5};
    for (size_t i = 0; i < LONG_BYTES; i++) text[i] = c->unit ? c->unit[i % unit] : (char)check_u64(&r);
    if (c->last) text[LONG_BYTES - 1] = c->last;
    fa_ids ids = {0};
    fa_error e = {0};
    clock_t start = clock();
    CHECK_OK(fa_encode(t, text, LONG_BYTES, NULL, &ids, &e), &e);
    double seconds = (double)(clock() - start) / CLOCKS_PER_SEC;
    CHECK(seconds < MOST_SECONDS, "%g s", seconds);
    CHECK(ids.n > 1000);
    free(text);
    fa_ids_free(&ids);
    fa_tokenizer_close(t);
}

#define LONG(name, folder, unit, last)                                \
    {                                                                 \
        "1 MB of " name, long_text_takes_bounded_time, &(long_case) { \
            "tokenizer/" folder, unit, last                           \
        }                                                             \
    }

int main(int argc, char **argv) {
    const check_case cases[] = {
        LONG("one letter", "deepseek-v3", "a", 0),
        LONG("one letter, qwen2", "qwen2", "a", 0),
        LONG("one letter, legacy", "llama-legacy", "a", 0),
        LONG("spaces", "deepseek-v3", " ", 0),
        LONG("spaces and a digit", "deepseek-llm", " ", '1'),
        LONG("spaces, legacy", "llama-legacy", " ", 0),
        LONG("equal signs", "llama3", "=", 0),
        LONG("newlines", "deepseek-v3", "\n", 0),
        LONG("Chinese without spaces", "deepseek-v3", "\xe4\xb8\xad\xe6\x96\x87", 0),
        LONG("combining marks", "qwen2", "\xcc\x81\xcc\xa7", 0),
        LONG("almost added tokens", "deepseek-v3", "<think", 0),
        LONG("random bytes", "deepseek-v3", NULL, 0),
        LONG("bytes that are no UTF-8", "qwen2", "\xff", 0),
    };
    return check_main(argc, argv, cases, sizeof cases / sizeof *cases);
}
