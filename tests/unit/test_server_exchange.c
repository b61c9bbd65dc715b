/* What a client gets while its answer is silent: signs of life, and nothing after the end. */
#include <string.h>

#include "host/server/exchange.h"
#include "tests/lib/check.h"

static void silence_is_broken(void *arg) {
    const bool stream = *(const bool *)arg;
    const char *sign = stream ? ": keep-alive\n\n" : "\n";
    fa_exchange *x = fa_exchange_new(NULL, NULL);
    if (stream) fa_exchange_stream(x);
    int64_t start = x->moved_ns;
    fa_exchange_keep_alive(x, start + 7, 8);
    CHECK(x->out.n == 0 && x->status == 0, "too early");
    fa_exchange_keep_alive(x, start + 8, 8);
    CHECK(x->status == 200 && x->out.n == strlen(sign) && !memcmp(x->out.data, sign, x->out.n), "%.*s", (int)x->out.n,
          x->out.data);
    x->sent = x->out.n; /* the client took it */
    fa_exchange_keep_alive(x, start + 15, 8);
    CHECK(x->sent == x->out.n, "it counts as a sign itself");
    fa_exchange_keep_alive(x, start + 16, 8);
    CHECK(x->out.n == strlen(sign) && x->sent == 0);
    fa_exchange_keep_alive(x, start + 99, 8);
    CHECK(x->out.n == strlen(sign), "the client has not taken the last one");
    x->sent = x->out.n;
    fa_exchange_end(x);
    fa_exchange_keep_alive(x, start + 999, 8);
    CHECK(x->sent == x->out.n, "nothing comes after the end");
    fa_exchange_release(x);
}

static bool yes = true, no = false;
static const check_case cases[] = {
    {"a silent stream gets comments", silence_is_broken, &yes},
    {"a silent answer gets blank lines", silence_is_broken, &no},
};

int main(int argc, char **argv) {
    return check_main(argc, argv, cases, sizeof cases / sizeof *cases);
}
