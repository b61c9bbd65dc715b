/* Who has what in a cluster, what ranks must agree on, and how a step travels. */
#include <stdio.h>
#include <string.h>

#include "host/cluster/grid.h"
#include "host/cluster/wire.h"
#include "tests/lib/check.h"

static fa_grid make(const char *mode, int ranks, int layers, int experts) {
    fa_grid g;
    fa_error e;
    const fa_config c = {.layers = layers, .experts = experts};
    CHECK_OK(fa_grid_make(&g, mode, ranks, &c, &e), &e);
    return g;
}

static void every_layer_and_expert_has_one_owner(void *arg) {
    (void)arg;
    static const char *const modes[] = {"expert", "pipeline", "both", "both:1"};
    static const int layers[] = {1, 2, 3, 7, 61}, experts[] = {0, 2, 8, 20, 256};
    for (int m = 0; m < 4; m++)
        for (int ranks = 1; ranks <= 17; ranks++)
            for (int i = 0; i < 5; i++) {
                fa_grid g = make(modes[m], ranks, layers[i], experts[i]);
                int first_stages = 0, heads = 0;
                static int owned[61][256];
                memset(owned, 0, sizeof owned);
                for (int rank = 0; rank < ranks; rank++) {
                    fa_seat s = fa_grid_seat(&g, rank, false);
                    if (s.idle) continue;
                    first_stages += s.part.embedding && s.index == 0;
                    heads += s.part.head && s.index == 0;
                    CHECK(s.part.first_layer < s.part.end_layer, "%s: rank %d of %d has no layer", modes[m], rank,
                          ranks);
                    for (int l = s.part.first_layer; l < s.part.end_layer; l++)
                        for (int x = s.part.first_expert; x < s.part.end_expert; x++) {
                            owned[l][x]++;
                            CHECK(fa_grid_owner(experts[i], s.size, x) == s.index, "expert %d of %d", x, experts[i]);
                        }
                }
                CHECK(first_stages == 1 && heads == 1, "%s: %d ranks", modes[m], ranks);
                for (int l = 0; l < layers[i]; l++)
                    for (int x = 0; x < experts[i]; x++)
                        CHECK(owned[l][x] == 1, "%s: %d ranks: layer %d expert %d", modes[m], ranks, l, x);
            }
}

static void every_row_has_one_owner(void *arg) {
    (void)arg;
    for (int rows = 1; rows < 70; rows++)
        for (int size = 1; size < 20; size++) {
            int next = 0;
            for (int g = 0; g < size; g++) {
                CHECK(fa_grid_first_row(rows, size, g) == next, "%d rows, rank %d of %d", rows, g, size);
                while (next < rows && fa_grid_row_owner(rows, size, next) == g) next++;
            }
            CHECK(next == rows && fa_grid_first_row(rows, size, size) == rows);
            CHECK(fa_grid_row_owner(rows, size, 0) == 0, "the first row is the first rank's");
        }
}

static void bad_modes_are_refused(void *arg) {
    (void)arg;
    static const struct {
        const char *mode, *says;
    } cases[] = {{"experts", "'experts' is not expert, pipeline, both"},
                 {"", "'' is not"},
                 {"both:", "'both:' is not"},
                 {"both:x", "'both:x' is not"},
                 {"both:2x", "'both:2x' is not"},
                 {"both:0", "make 1..3 stages"},
                 {"both:4", "4 ranks and 3 layers make 1..3 stages"}};
    const fa_config c = {.layers = 3, .experts = 8};
    fa_error e;
    fa_grid g;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        CHECK(fa_grid_make(&g, cases[i].mode, 4, &c, &e) == FA_EINVAL, "%s", cases[i].mode);
        CHECK(strstr(e.text, cases[i].says), "%s", e.text);
    }
}

static void different_grids_have_different_hashes(void *arg) {
    (void)arg;
    const fa_grid grids[] = {make("expert", 4, 8, 16), make("pipeline", 4, 8, 16), make("both", 4, 8, 16),
                             make("both:3", 4, 8, 16), make("expert", 3, 8, 16),   make("expert", 4, 7, 16),
                             make("expert", 4, 8, 32)};
    for (size_t i = 0; i < sizeof grids / sizeof *grids; i++)
        for (size_t k = 0; k < i; k++) CHECK(fa_grid_hash(&grids[i]) != fa_grid_hash(&grids[k]), "%zu, %zu", i, k);
}

typedef struct difference {
    const char *field;
    void (*make)(fa_cluster_hello *h);
    const char *says;
} difference;

static void other_version(fa_cluster_hello *h) {
    strcpy(h->version, "0.0.9");
}
static void other_mode(fa_cluster_hello *h) {
    strcpy(h->mode, "pipeline");
}
static void other_setup(fa_cluster_hello *h) {
    h->setup = 77;
}
static void other_model(fa_cluster_hello *h) {
    h->model = 77;
}
static void other_placement(fa_cluster_hello *h) {
    h->placement = 77;
}

static void disagreement_names_rank_host_and_field(void *arg) {
    (void)arg;
    static const difference cases[] = {
        {"version", other_version, "the version of fathom is 0.0.9, that of rank 0 is 0.1.0"},
        {"mode", other_mode, "the mode is pipeline, that of rank 0 is expert"},
        {"set-up", other_setup, "the set-up is 000000000000004d"},
        {"model", other_model, "the model is 000000000000004d, that of rank 0 is 0000000000000002"},
        {"placement", other_placement, "the placement is 000000000000004d"}};
    fa_error e;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        static fa_cluster_hello all[3];
        for (int k = 0; k < 3; k++)
            all[k] = (fa_cluster_hello){
                .version = "0.1.0", .mode = "expert", .host = "node7", .setup = 1, .model = 2, .placement = 3};
        CHECK_OK(fa_cluster_agree(all, 3, &e), &e);
        cases[i].make(&all[2]);
        CHECK(fa_cluster_agree(all, 3, &e) == FA_EINVAL, "%s", cases[i].field);
        CHECK(strstr(e.text, "rank 2 on node7") && strstr(e.text, cases[i].says), "%s", e.text);
    }
}

static void a_step_arrives_as_it_was(void *arg) {
    (void)arg;
    static const int32_t one[] = {9, 4, 7}, two[] = {3};
    const int32_t tokens[] = {5, 6, 7, 8}, logit_rows[] = {1, 3}, from[] = {2, 0, 1, 3};
    const fa_place place[] = {{63, one}, {64, one}, {130, one}, {0, two}};
    const fa_step step = {.rows = 4, .tokens = tokens, .place = place, .n_logits = 2, .logit_rows = logit_rows};
    static int32_t numbers[256];
    fa_step_message m;
    fa_error e;
    int64_t n = fa_step_encode(&step, FA_PASS_MTP_AFTER_STEP, from, numbers);
    CHECK(n <= fa_step_most(4, 192));
    CHECK_OK(fa_step_decode(&m, numbers, n, &e), &e);
    CHECK(m.pass == FA_PASS_MTP_AFTER_STEP && m.rows == 4 && m.n_logits == 2 && m.n_lists == 2);
    CHECK(!memcmp(m.tokens, tokens, sizeof tokens) && !memcmp(m.from, from, sizeof from));
    CHECK(!memcmp(m.logit_rows, logit_rows, sizeof logit_rows));
    for (int t = 0; t < 4; t++) {
        CHECK(m.positions[t] == place[t].pos);
        for (int p = 0; p <= place[t].pos / FA_PAGE_POSITIONS; p++)
            CHECK(m.pages[m.list_first[m.lists[t]] + p] == place[t].pages[p], "row %d page %d", t, p);
    }
    for (int64_t cut = 0; cut < n; cut++)
        CHECK(fa_step_decode(&m, numbers, cut, &e) == FA_EFORMAT, "%lld numbers", (long long)cut);
}

static const check_case cases[] = {
    {"every layer and expert has one owner, in any mode with any number of ranks", every_layer_and_expert_has_one_owner,
     NULL},
    {"every row has one owner, and the first rank the first", every_row_has_one_owner, NULL},
    {"bad modes are refused", bad_modes_are_refused, NULL},
    {"different placements have different hashes", different_grids_have_different_hashes, NULL},
    {"a disagreement names rank, host and field", disagreement_names_rank_host_and_field, NULL},
    {"a step arrives as it was, and not when it is cut", a_step_arrives_as_it_was, NULL},
};

int main(int argc, char **argv) {
    return check_main(argc, argv, cases, sizeof cases / sizeof *cases);
}
