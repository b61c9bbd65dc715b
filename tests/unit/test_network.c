/* The network model of the planner. */
#include <math.h>
#include <string.h>

#include "sim/planner/network.h"
#include "tests/lib/check.h"

/* DeepEP, docs/legacy.md, low-latency kernels on H800 with a 400 Gb/s card each: 128 tokens a rank, hidden 7168, 8 experts each; FP8
 * codes with a scale for 128 there, BF16 back. */
static void published_exchanges_are_predicted(void *arg) {
    (void)arg;
    static const struct {
        int ranks;
        double there_us, back_us;
    } published[] = {{64, 173, 314}, {128, 192, 369}, {256, 194, 360}};
    fa_network n;
    fa_error e;
    CHECK_OK(fa_network_find(&n, "ndr-400g", &e), &e);
    for (size_t i = 0; i < sizeof published / sizeof *published; i++) {
        double there = 1e6 * fa_network_exchange(&n, published[i].ranks, 128.0 * 8 * (7168 + 7168 / 128 * 4));
        double back = 1e6 * fa_network_exchange(&n, published[i].ranks, 128.0 * 8 * 7168 * 2);
        CHECK(fabs(there / published[i].there_us - 1) < 0.15 && fabs(back / published[i].back_us - 1) < 0.15,
              "%d ranks: %.0f and %.0f us, published %.0f and %.0f", published[i].ranks, there, back,
              published[i].there_us, published[i].back_us);
    }
}

static void one_host_needs_no_network(void *arg) {
    (void)arg;
    const fa_network *n = fa_network_at(0);
    CHECK(fa_network_gather(n, 1, 1e9) == 0 && fa_network_exchange(n, 1, 1e9) == 0);
}

static void nothing_is_faster_than_a_link(void *arg) {
    (void)arg;
    for (int i = 0; fa_network_at(i); i++) {
        const fa_network *n = fa_network_at(i);
        for (double hosts = 2; hosts <= 512; hosts *= 2)
            for (double bytes = 1; bytes < 1e10; bytes *= 100) {
                double least = bytes * (hosts - 1) / hosts / n->bytes_per_s;
                CHECK(fa_network_gather(n, hosts, bytes) >= least + n->latency_s);
                CHECK(fa_network_exchange(n, hosts, bytes) >= least + n->latency_s);
            }
    }
}

static void worse_networks_are_never_faster(void *arg) {
    (void)arg;
    const fa_network *good = fa_network_at(0);
    for (double hosts = 2; hosts <= 128; hosts++) {
        fa_network n = *good;
        double base = fa_network_exchange(good, hosts, 1e8);
        n.oversubscription = 4;
        CHECK(fa_network_exchange(&n, hosts, 1e8) >= base);
        CHECK(hosts > n.leaf_hosts || fa_network_exchange(&n, hosts, 1e8) == base, "one leaf has no link upwards");
        n = *good;
        n.leaf_hosts = 2;
        CHECK(fa_network_exchange(&n, hosts, 1e8) >= base);
        n = *good;
        n.latency_s *= 2;
        CHECK(fa_network_exchange(&n, hosts, 1e8) > base);
        CHECK(fa_network_exchange(good, hosts + 1, 1e8) >= base, "more hosts");
    }
}

static void oversubscribed_leaves_wait_for_their_links_up(void *arg) {
    (void)arg;
    fa_network n = {.bytes_per_s = 1e9, .latency_s = 1e-6, .hop_s = 1e-7, .leaf_hosts = 4, .oversubscription = 8};
    double found = fa_network_exchange(&n, 16, 1.6e9), expected = 1.2e-6 + 1.6 * 12 / 16 * 8;
    CHECK(fabs(found - expected) < 1e-12, "found %g s, expected %g", found, expected);
}

static void unknown_names_are_answered_with_the_known(void *arg) {
    (void)arg;
    fa_network n;
    fa_error e;
    CHECK(fa_network_find(&n, "token-ring", &e) == FA_EINVAL && strstr(e.text, "ethernet-100g, roce-100g, ndr-400g"),
          "%s", e.text);
}

static const check_case cases[] = {
    {"DeepEP's published exchanges are predicted within 15 %", published_exchanges_are_predicted, NULL},
    {"one host needs no network", one_host_needs_no_network, NULL},
    {"nothing is faster than a host's link", nothing_is_faster_than_a_link, NULL},
    {"worse networks are never faster", worse_networks_are_never_faster, NULL},
    {"oversubscribed leaves wait for their links up", oversubscribed_leaves_wait_for_their_links_up, NULL},
    {"an unknown name is answered with the known ones", unknown_names_are_answered_with_the_known, NULL},
};

int main(int argc, char **argv) {
    return check_main(argc, argv, cases, sizeof cases / sizeof *cases);
}
