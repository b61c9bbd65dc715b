/* The cache against a model that is too simple to be wrong: every stored position holds a hash of its owner
 * and of all tokens before it, written into the pool itself, so a page shared or reused wrongly shows as a
 * wrong number. */
#include <stdlib.h>
#include <string.h>

#include "host/cache/cache.h"
#include "host/cache/pages.h"
#include "tests/lib/check.h"

enum { PAGE = FA_PAGE_POSITIONS, ROW_BYTES = 16 };

static fa_status pool_alloc(fa_backend *b, size_t bytes, fa_buffer **out, fa_error *e) {
    (void)b;
    fa_buffer *p = malloc(sizeof *p);
    if (!p || bytes > 1u << 30 || !(p->host = calloc(1, bytes))) {
        free(p);
        return fa_fail(e, FA_ENOMEM, "pool of %zu bytes", bytes);
    }
    p->bytes = bytes;
    *out = p;
    return FA_OK;
}

static void pool_free(fa_backend *b, fa_buffer *p) {
    (void)b;
    free(p->host);
    free(p);
}

static fa_backend memory_backend = {.name = "test", .alloc = pool_alloc, .free = pool_free};

static fa_cache *open_cache(int32_t pages, int32_t sequences, int32_t positions) {
    fa_kv_layout layout = {.row_bytes = ROW_BYTES, .layer_bytes = PAGE * ROW_BYTES, .page_bytes = PAGE * ROW_BYTES};
    fa_error e = {0};
    fa_cache *c;
    CHECK_OK(fa_cache_open(&c, &memory_backend, &layout, pages, sequences, positions, &e), &e);
    return c;
}

static fa_sequence *open_sequence(fa_cache *c, uint64_t owner) {
    fa_sequence *s;
    fa_error e = {0};
    CHECK_OK(fa_sequence_open(c, owner, &s, &e), &e);
    return s;
}

static uint64_t *stored_at(fa_cache *c, const fa_sequence *s, int32_t pos) {
    char *pool = fa_cache_pool(c)->host;
    return (uint64_t *)(pool + ((int64_t)fa_sequence_pages(s)[pos / PAGE] * PAGE + pos % PAGE) * ROW_BYTES);
}

static uint64_t chain(uint64_t before, int32_t token) {
    check_rng r = {before * 31 + (uint32_t)token};
    return check_u64(&r);
}

/* Stores tokens as a step would: into the places behind the length, then append. */
static void store(fa_cache *c, fa_sequence *s, uint64_t owner, const int32_t *tokens, int32_t n) {
    int32_t at = fa_sequence_length(s);
    uint64_t h = at ? *stored_at(c, s, at - 1) : owner;
    for (int32_t i = 0; i < n; i++) *stored_at(c, s, at + i) = h = chain(h, tokens[i]);
    fa_sequence_append(s, tokens, n);
}

static void check_stored(fa_cache *c, const fa_sequence *s, uint64_t owner, const int32_t *tokens, int32_t length) {
    CHECK(fa_sequence_length(s) == length, "%d, expected %d", fa_sequence_length(s), length);
    uint64_t h = owner;
    for (int32_t i = 0; i < length; i++) {
        h = chain(h, tokens[i]);
        CHECK(fa_sequence_tokens(s)[i] == tokens[i], "token %d", i);
        CHECK(*stored_at(c, s, i) == h, "position %d of owner %d holds another prefix", i, (int)owner);
    }
}

static void extend_and_store(fa_cache *c, fa_sequence *s, uint64_t owner, const int32_t *tokens, int32_t n) {
    fa_error e = {0};
    CHECK_OK(fa_sequence_extend(s, n, &e), &e);
    store(c, s, owner, tokens, n);
}

/* --- random operations
 * ---------------------------------------------------------------------------------------- */

enum { PAGES = 40, SEQUENCES = 6, POSITIONS = 10 * PAGE, OWNERS = 2, STEPS = 20000 };

typedef struct world {
    fa_cache *cache;
    fa_sequence *sequence[SEQUENCES];
    uint64_t owner[SEQUENCES];
    int32_t tokens[SEQUENCES][POSITIONS], length[SEQUENCES];
    check_rng rng;
} world;

static int32_t below(world *w, int32_t n) {
    return (int32_t)(check_u64(&w->rng) % (uint64_t)n);
}

/* Few different texts with common beginnings, so that pages are often equal. */
static void make_tokens(world *w, int32_t *tokens, int32_t n) {
    int32_t branch = below(w, 3), from = below(w, 5) * PAGE;
    for (int32_t i = 0; i < n; i++) tokens[i] = i < from ? i : i + 1000 * branch;
}

static void random_open_or_reuse(world *w, int i) {
    if (!w->sequence[i]) {
        w->owner[i] = (uint64_t)below(w, OWNERS);
        w->sequence[i] = open_sequence(w->cache, w->owner[i]);
        w->length[i] = 0;
    }
    int32_t tokens[POSITIONS], n = 1 + below(w, POSITIONS), own = 0;
    make_tokens(w, tokens, n);
    while (own < w->length[i] && own < n - 1 && tokens[own] == w->tokens[i][own]) own++;
    int32_t got = fa_sequence_reuse(w->sequence[i], tokens, n);
    CHECK(got <= n - 1 && got >= own / PAGE * PAGE, "reuse gave %d of %d, own %d", got, n, own);
    memcpy(w->tokens[i], tokens, sizeof *tokens * (size_t)got);
    w->length[i] = got;
}

static void random_extend(world *w, int i) {
    int32_t n = below(w, 3 * PAGE), tokens[POSITIONS], at = w->length[i];
    make_tokens(w, tokens, POSITIONS);
    fa_cache_usage before = fa_cache_get_usage(w->cache);
    fa_error e = {0};
    fa_status st = fa_sequence_extend(w->sequence[i], n, &e);
    if (st) {
        fa_cache_usage after = fa_cache_get_usage(w->cache);
        CHECK(st == FA_ELIMIT && !memcmp(&before, &after, sizeof before), "a refusal changes nothing");
        CHECK(at + n > POSITIONS || before.free_pages + before.kept < n / PAGE + 2, "refused %d: %s", n, e.text);
        return;
    }
    int32_t stored = below(w, 8) ? n : n / 2; /* a step may store less than there is room for */
    memcpy(w->tokens[i] + at, tokens + at, sizeof *tokens * (size_t)stored);
    store(w->cache, w->sequence[i], w->owner[i], tokens + at, stored);
    w->length[i] += stored;
}

static void random_truncate(world *w, int i) {
    int32_t to = below(w, w->length[i] + 1);
    int32_t stands = fa_sequence_truncate(w->sequence[i], to);
    CHECK(stands == to || stands == to / PAGE * PAGE, "truncate to %d left %d", to, stands);
    w->length[i] = stands;
}

static void check_world(world *w) {
    bool held[PAGES] = {0};
    int32_t n_held = 0;
    for (int i = 0; i < SEQUENCES; i++) {
        if (!w->sequence[i]) continue;
        check_stored(w->cache, w->sequence[i], w->owner[i], w->tokens[i], w->length[i]);
        for (int32_t p = 0; p < (w->length[i] + PAGE - 1) / PAGE; p++) {
            int32_t page = fa_sequence_pages(w->sequence[i])[p];
            CHECK(page >= 0 && page < PAGES);
            n_held += !held[page];
            held[page] = true;
        }
    }
    fa_cache_usage u = fa_cache_get_usage(w->cache);
    CHECK(u.held + u.kept + u.free_pages == PAGES && u.free_pages >= 0 && u.kept >= 0);
    CHECK(u.held >= n_held && u.held <= n_held + SEQUENCES * 3, "held %d, in use %d", u.held, n_held);
}

static void random_operations_keep_every_prefix(void *arg) {
    (void)arg;
    world w = {.cache = open_cache(PAGES, SEQUENCES, POSITIONS), .rng = {7}};
    for (int step = 0; step < STEPS; step++) {
        int i = below(&w, SEQUENCES), what = below(&w, 10);
        if (!w.sequence[i] || what < 2) {
            random_open_or_reuse(&w, i);
        } else if (what < 7) {
            random_extend(&w, i);
        } else if (what < 8) {
            random_truncate(&w, i);
        } else if (what < 9) {
            fa_sequence_close(w.sequence[i]);
            w.sequence[i] = NULL;
        }
        check_world(&w);
    }
    CHECK(fa_cache_get_usage(w.cache).reused > 100 * PAGE);
    for (int i = 0; i < SEQUENCES; i++) fa_sequence_close(w.sequence[i]);
    CHECK(fa_cache_get_usage(w.cache).held == 0);
    fa_cache_close(w.cache);
}

/* --- pages: each is free, kept or held, exactly once
 * ----------------------------------------------------------- */

static void check_lists(const fa_pages *p, const int32_t *holders) {
    int seen[PAGES] = {0};
    int32_t n_free = 0, n_kept = 0, age[PAGES] = {0};
    for (int32_t i = p->first_free; i != FA_NO_PAGE; i = p->page[i].next, n_free++) {
        CHECK(seen[i]++ == 0 && !p->page[i].published && holders[i] == 0, "free page %d", i);
    }
    for (int32_t i = p->oldest, before = FA_NO_PAGE; i != FA_NO_PAGE; before = i, i = p->page[i].newer) {
        CHECK(seen[i]++ == 0 && p->page[i].published && holders[i] == 0 && p->page[i].older == before, "kept page %d",
              i);
        age[i] = ++n_kept;
    }
    for (int32_t i = 0; i < p->n; i++) {
        CHECK(p->page[i].holders == holders[i] && seen[i] == !holders[i], "page %d: %d holders, expected %d", i,
              p->page[i].holders, holders[i]);
        int32_t parent = p->page[i].published ? p->page[i].parent : FA_NO_PAGE;
        if (parent == FA_NO_PAGE) continue;
        CHECK(p->page[parent].published, "page %d has lost its parent", i);
        CHECK(holders[parent] > 0 || age[i] < age[parent], "kept page %d is not older than its parent", i);
    }
    CHECK(n_free == p->n_free && n_kept == p->n_kept);
}

static void every_page_is_free_kept_or_held_exactly_once(void *arg) {
    (void)arg;
    fa_arena arena = {0};
    fa_pages p;
    CHECK(fa_pages_open(&p, &arena, PAGES));
    enum { STACKS = 5, DEPTH = 12 };
    int32_t stack[STACKS][DEPTH], depth[STACKS] = {0}, holders[PAGES] = {0};
    check_rng rng = {11};
    for (int step = 0; step < 20000; step++) {
        int s = (int)(check_u64(&rng) % STACKS);
        if (check_u64(&rng) % 3 && depth[s] < DEPTH) {
            int32_t tokens[PAGE] = {(int32_t)(check_u64(&rng) % 2)};
            int32_t parent = depth[s] ? stack[s][depth[s] - 1] : FA_NO_PAGE,
                    found = fa_pages_find(&p, s % 2, parent, tokens);
            if (found != FA_NO_PAGE && check_u64(&rng) % 2) {
                fa_pages_hold(&p, found);
            } else {
                int32_t mine = fa_pages_take(&p);
                if (mine == FA_NO_PAGE) {
                    CHECK(p.n_free == 0 && p.n_kept == 0);
                    continue;
                }
                found = fa_pages_publish(&p, mine, s % 2, parent, tokens);
            }
            holders[found]++;
            stack[s][depth[s]++] = found;
        } else {
            int32_t keep = depth[s] ? (int32_t)(check_u64(&rng) % (uint64_t)depth[s]) : 0;
            while (depth[s] > keep) {
                holders[stack[s][--depth[s]]]--;
                fa_pages_release(&p, stack[s][depth[s]]);
            }
        }
        check_lists(&p, holders);
    }
    fa_arena_free(&arena);
}

/* --- edges
 * ---------------------------------------------------------------------------------------------------- */

static void count_up(int32_t *tokens, int32_t n) {
    for (int32_t i = 0; i < n; i++) tokens[i] = i;
}

static void reuse_leaves_at_least_one_row(void *arg) {
    (void)arg;
    static const struct {
        int32_t stored, asked, reused;
    } cases[] = {{128, 129, 128}, {128, 128, 64}, {128, 127, 64}, {128, 65, 64}, {128, 64, 0},
                 {128, 1, 0},     {128, 0, 0},    {100, 300, 64}, {63, 300, 0},  {320, 640, 320}};
    int32_t tokens[640];
    count_up(tokens, 640);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        fa_cache *c = open_cache(20, 2, 640);
        fa_sequence *a = open_sequence(c, 1), *b = open_sequence(c, 1);
        extend_and_store(c, a, 1, tokens, cases[i].stored);
        int32_t got = fa_sequence_reuse(b, tokens, cases[i].asked);
        CHECK(got == cases[i].reused, "case %zu: %d", i, got);
        check_stored(c, b, 1, tokens, got);
        fa_cache_close(c);
    }
}

static void reuse_keeps_the_common_beginning_of_the_sequence_itself(void *arg) {
    (void)arg;
    int32_t tokens[400], other[400];
    count_up(tokens, 400);
    count_up(other, 400);
    other[150] = -1;
    fa_cache *c = open_cache(20, 2, 640);
    fa_sequence *s = open_sequence(c, 1);
    extend_and_store(c, s, 1, tokens, 160); /* pages 0 and 1 are published, page 2 is private: 128 .. 159 */
    CHECK(fa_sequence_reuse(s, other, 400) == 150, "in the private page every position counts");
    CHECK(fa_sequence_reuse(s, tokens, 140) == 139, "one row remains");
    CHECK(fa_sequence_reuse(s, tokens, 101) == 64, "a published page is kept whole or not at all");
    CHECK(fa_sequence_reuse(s, tokens, 400) == 128, "and found again in the tree");
    check_stored(c, s, 1, tokens, 128);
    fa_cache_close(c);
}

static void reuse_prefers_published_pages_that_reach_further(void *arg) {
    (void)arg;
    int32_t tokens[400];
    count_up(tokens, 400);
    fa_cache *c = open_cache(20, 2, 640);
    fa_sequence *a = open_sequence(c, 1), *b = open_sequence(c, 1);
    extend_and_store(c, b, 1, tokens, 70);
    extend_and_store(c, a, 1, tokens, 400);
    CHECK(fa_sequence_reuse(b, tokens, 400) == 384);
    check_stored(c, b, 1, tokens, 384);
    fa_cache_close(c);
}

static void equal_pages_of_an_owner_are_kept_once(void *arg) {
    (void)arg;
    int32_t tokens[192];
    count_up(tokens, 192);
    fa_cache *c = open_cache(20, 3, 640);
    fa_sequence *a = open_sequence(c, 1), *b = open_sequence(c, 1), *x = open_sequence(c, 2);
    fa_error e = {0};
    CHECK_OK(fa_sequence_extend(a, 192, &e), &e);
    CHECK_OK(fa_sequence_extend(b, 192, &e), &e);
    store(c, a, 1, tokens, 192); /* both were computed before either was published */
    store(c, b, 1, tokens, 192);
    CHECK(fa_cache_get_usage(c).held == 3, "%d", fa_cache_get_usage(c).held);
    CHECK(!memcmp(fa_sequence_pages(a), fa_sequence_pages(b), 3 * sizeof(int32_t)));
    CHECK(fa_sequence_reuse(x, tokens, 192) == 0, "owners are separate");
    extend_and_store(c, x, 2, tokens, 192);
    CHECK(fa_cache_get_usage(c).held == 6);
    check_stored(c, b, 1, tokens, 192);
    fa_cache_close(c);
}

static void running_out_leaves_everything_as_it_was(void *arg) {
    (void)arg;
    int32_t tokens[640];
    count_up(tokens, 640);
    fa_cache *c = open_cache(4, 2, 640);
    fa_sequence *a = open_sequence(c, 1), *b = open_sequence(c, 2);
    extend_and_store(c, a, 1, tokens, 3 * PAGE);
    fa_error e = {0};
    CHECK(fa_sequence_extend(b, PAGE + 1, &e) == FA_ELIMIT);
    CHECK(strstr(e.text, "2 more pages") && strstr(e.text, "3 of 4"), "%s", e.text);
    CHECK(fa_cache_get_usage(c).free_pages == 1);
    extend_and_store(c, b, 2, tokens, PAGE);
    CHECK(fa_sequence_extend(b, 1, &e) == FA_ELIMIT);
    fa_sequence_close(a); /* its pages are kept, and give way */
    CHECK(fa_cache_get_usage(c).kept == 3 && fa_cache_get_usage(c).free_pages == 0);
    extend_and_store(c, b, 2, tokens + PAGE, 1);
    CHECK(fa_cache_get_usage(c).kept == 2);
    check_stored(c, b, 2, tokens, PAGE + 1);
    CHECK(fa_sequence_extend(b, 641 - PAGE - 1, &e) == FA_ELIMIT && strstr(e.text, "640"), "%s", e.text);
    CHECK(fa_sequence_extend(b, INT32_MAX, &e) == FA_ELIMIT);
    CHECK(fa_sequence_extend(b, -1, &e) == FA_EINVAL);
    fa_cache_close(c);
}

static void the_longest_unused_pages_go_first(void *arg) {
    (void)arg;
    int32_t t[3][2 * PAGE];
    for (int k = 0; k < 3; k++) {
        for (int32_t i = 0; i < 2 * PAGE; i++) t[k][i] = 1000 * k + i;
    }
    fa_cache *c = open_cache(6, 4, 640);
    for (int k = 0; k < 3; k++) {
        fa_sequence *s = open_sequence(c, 1);
        extend_and_store(c, s, 1, t[k], 2 * PAGE);
        fa_sequence_close(s);
    }
    fa_sequence *touch = open_sequence(c, 1); /* text 0 becomes the newest */
    CHECK(fa_sequence_reuse(touch, t[0], 2 * PAGE) == PAGE);
    fa_sequence_close(touch);
    fa_sequence *s = open_sequence(c, 9), *probe = open_sequence(c, 1);
    fa_error e = {0};
    CHECK_OK(fa_sequence_extend(s, 1, &e), &e); /* takes the second page of text 0: deepest of what was let go first */
    CHECK_OK(fa_sequence_extend(s, 3 * PAGE, &e), &e); /* then text 1, then the end of text 2 */
    CHECK(fa_sequence_reuse(probe, t[1], 2 * PAGE) == 0);
    CHECK(fa_sequence_reuse(probe, t[2], 2 * PAGE) == PAGE);
    CHECK(fa_sequence_reuse(probe, t[0], 2 * PAGE) == PAGE);
    fa_cache_close(c);
}

static void limits_and_bad_arguments_are_errors(void *arg) {
    (void)arg;
    fa_error e = {0};
    fa_cache *c = open_cache(4, 2, 640);
    fa_sequence *s[3];
    for (int i = 0; i < 3; i++) CHECK(fa_sequence_open(c, 1, &s[i], &e) == (i < 2 ? FA_OK : FA_ELIMIT));
    CHECK(!s[2]);
    fa_sequence_close(NULL);
    fa_sequence_close(s[0]);
    CHECK_OK(fa_sequence_open(c, 3, &s[0], &e), &e);
    CHECK(fa_sequence_length(s[0]) == 0);
    fa_cache_close(c);
    fa_kv_layout big = {.row_bytes = 16, .layer_bytes = 1024, .page_bytes = INT64_MAX / 2};
    CHECK(fa_cache_open(&c, &memory_backend, &big, 1 << 20, 1, 64, &e) == FA_ENOMEM && !c);
    big.page_bytes = 1 << 29;
    CHECK(fa_cache_open(&c, &memory_backend, &big, 4, 1, 64, &e) == FA_ENOMEM && !c, "%s", e.text);
    CHECK(fa_cache_open(&c, &memory_backend, &big, 0, 1, 64, &e) == FA_EINVAL && !c);
    fa_cache_close(NULL);
}

static const check_case cases[] = {
    {"random operations keep every prefix", random_operations_keep_every_prefix, NULL},
    {"every page is free, kept or held exactly once", every_page_is_free_kept_or_held_exactly_once, NULL},
    {"reuse leaves at least one row", reuse_leaves_at_least_one_row, NULL},
    {"reuse keeps the common beginning of the sequence itself", reuse_keeps_the_common_beginning_of_the_sequence_itself,
     NULL},
    {"reuse prefers published pages that reach further", reuse_prefers_published_pages_that_reach_further, NULL},
    {"equal pages of an owner are kept once", equal_pages_of_an_owner_are_kept_once, NULL},
    {"running out leaves everything as it was", running_out_leaves_everything_as_it_was, NULL},
    {"the longest unused pages go first", the_longest_unused_pages_go_first, NULL},
    {"limits and bad arguments are errors", limits_and_bad_arguments_are_errors, NULL},
};

int main(int argc, char **argv) {
    return check_main(argc, argv, cases, sizeof cases / sizeof *cases);
}
