/* Stop texts against the plain definition: search the whole text. */
#include <stdlib.h>
#include <string.h>

#include "host/engine/stop.h"
#include "tests/lib/check.h"

/* Feeds `text` in pieces of `piece` bytes; returns what came out in `out`, with what was held at the end behind it. */
static bool run_stream(const char *const *stops, int32_t n, const char *behind, const char *text, size_t piece,
                       char *out) {
    fa_stops s;
    fa_error e = {0};
    CHECK_OK(fa_stops_open(&s, stops, n, &e), &e);
    s.behind = behind;
    size_t length = strlen(text), written = 0, held;
    bool stop = false;
    for (size_t at = 0; at < length && !stop; at += piece) {
        size_t k = length - at < piece ? length - at : piece;
        char *room = malloc(k + (size_t)s.longest);
        size_t got = fa_stops_feed(&s, text + at, k, room, &stop);
        CHECK(got <= k + (size_t)s.longest);
        memcpy(out + written, room, got);
        written += got;
        free(room);
    }
    const char *rest = fa_stops_held(&s, &held);
    memcpy(out + written, rest, held);
    out[written + held] = 0;
    fa_stops_close(&s);
    return stop;
}

/* The definition: the first byte at which some stop text is complete; the longest of those. */
static bool plain_stop(const char *const *stops, int32_t n, const char *text, char *out) {
    strcpy(out, text);
    for (size_t end = 1; end <= strlen(text); end++) {
        size_t longest = 0;
        for (int32_t i = 0; i < n; i++) {
            size_t k = strlen(stops[i]);
            if (k <= end && k > longest && !memcmp(text + end - k, stops[i], k)) longest = k;
        }
        if (longest) {
            out[end - longest] = 0;
            return true;
        }
    }
    return false;
}

static void stop_texts_end_the_stream_wherever_it_is_cut(void *arg) {
    (void)arg;
    static const struct {
        const char *stops[4], *text, *out;
        bool stop;
    } table[] = {
        {{"END"}, "hello END more", "hello ", true},
        {{"END"}, "hello EN", "hello EN", false},
        {{"END"}, "EENEND", "EEN", true},
        {{"END"}, "END", "", true},
        {{"aab"}, "aaaab", "aa", true},
        {{"abab"}, "abacabab", "abac", true},
        {{"abcd", "bc"}, "xabcd", "xa", true},
        {{"bc", "abc"}, "xabc", "x", true},
        {{"\n\nUser:", "\n\nHuman:"}, "ok\n\n\nUser: x", "ok\n", true},
        {{"\n\nUser:", "\n\nHuman:"}, "ok\n\nHu", "ok\n\nHu", false},
        {{"中文", "。"}, "这是中国。中文", "这是中国", true},
        {{NULL}, "nothing to stop", "nothing to stop", false},
    };
    for (size_t c = 0; c < sizeof table / sizeof *table; c++) {
        int32_t n = 0;
        while (n < 4 && table[c].stops[n]) n++;
        for (size_t piece = 1; piece < 9; piece++) {
            char out[200];
            bool stop = run_stream(table[c].stops, n, NULL, table[c].text, piece, out);
            CHECK(stop == table[c].stop && !strcmp(out, table[c].out), "case %zu, pieces of %zu: '%s'", c, piece, out);
        }
    }
}

static void nothing_stops_before_what_must_pass(void *arg) {
    (void)arg;
    static const struct {
        const char *stop, *text, *out;
        bool stops;
    } table[] = {
        {"END", "END</END></think>aENDb", "END</END></think>a", true},
        {"END", "a<</think></think>END", "a<</think></think>", true},
        {"k>E", "a</think>Ek>E", "a</think>E", true},
        {"END", "END</thinkEND", "END</thinkEND", false},
    };
    for (size_t c = 0; c < sizeof table / sizeof *table; c++) {
        for (size_t piece = 1; piece < 9; piece++) {
            char out[200];
            bool stop = run_stream(&table[c].stop, 1, "</think>", table[c].text, piece, out);
            CHECK(stop == table[c].stops && !strcmp(out, table[c].out), "case %zu, pieces of %zu: '%s'", c, piece, out);
        }
    }
}

static void random_texts_stop_where_a_search_says(void *arg) {
    (void)arg;
    check_rng rng = {21};
    for (int round = 0; round < 4000; round++) {
        char text[41], stop[3][8], out[64], expected[64];
        const char *stops[3] = {stop[0], stop[1], stop[2]};
        size_t n = check_u64(&rng) % 40;
        for (size_t i = 0; i < n; i++) text[i] = "ab"[check_u64(&rng) % 2];
        text[n] = 0;
        for (int k = 0; k < 3; k++) {
            size_t length = 2 + check_u64(&rng) % 6;
            for (size_t i = 0; i < length; i++) stop[k][i] = "abc"[check_u64(&rng) % (k ? 2 : 3)];
            stop[k][length] = 0;
        }
        bool want = plain_stop(stops, 3, text, expected);
        bool got = run_stream(stops, 3, NULL, text, 1 + check_u64(&rng) % 5, out);
        CHECK(got == want && !strcmp(out, expected), "text %s, stops %s %s %s: %d '%s', expected %d '%s'", text,
              stop[0], stop[1], stop[2], got, out, want, expected);
    }
}

static void nothing_is_held_longer_than_needed(void *arg) {
    (void)arg;
    fa_stops s;
    fa_error e = {0};
    CHECK_OK(fa_stops_open(&s, (const char *const[]){"stop"}, 1, &e), &e);
    static const struct {
        const char *piece, *out;
    } table[] = {{"abc", "abc"}, {"s", ""}, {"t", ""}, {"s", "st"}, {"x", "sx"}, {"sto", ""}, {"re", "store"}};
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        char out[16];
        bool stop = false;
        size_t n = fa_stops_feed(&s, table[i].piece, strlen(table[i].piece), out, &stop);
        CHECK(!stop && n == strlen(table[i].out) && !memcmp(out, table[i].out, n), "piece %zu: '%.*s'", i, (int)n, out);
    }
    fa_stops_close(&s);
}

static void bad_stop_texts_are_errors(void *arg) {
    (void)arg;
    fa_stops s;
    fa_error e = {0};
    CHECK(fa_stops_open(&s, (const char *const[]){"a", ""}, 2, &e) == FA_EINVAL && strstr(e.text, "stop[1]"), "%s",
          e.text);
    CHECK(fa_stops_open(&s, (const char *const[]){"\xb8\xad"}, 1, &e) == FA_EINVAL);
    CHECK(fa_stops_open(&s, (const char *const[]){NULL}, 1, &e) == FA_EINVAL);
    fa_stops_close(&s);
}

static const check_case cases[] = {
    {"stop texts end the stream wherever it is cut", stop_texts_end_the_stream_wherever_it_is_cut, NULL},
    {"nothing stops before what must pass", nothing_stops_before_what_must_pass, NULL},
    {"random texts stop where a search says", random_texts_stop_where_a_search_says, NULL},
    {"nothing is held longer than needed", nothing_is_held_longer_than_needed, NULL},
    {"bad stop texts are errors", bad_stop_texts_are_errors, NULL},
};

int main(int argc, char **argv) {
    return check_main(argc, argv, cases, sizeof cases / sizeof *cases);
}
