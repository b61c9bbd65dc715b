#include "sim/planner/network.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

static const fa_network known[] = {
    {"ethernet-100g", 12.5e9, 10e-6, 0.5e-6, 16, 1,
     "line rate; 10 us is the low end of 10-30 us that a kernel's TCP takes one way, 0.4-0.6 us a switch: kentino.com, Latency "
     "Dissection; 16 hosts down and 16 up on a switch of 32 ports: assumed"},
    {"roce-100g", 12.5e9, 2e-6, 0.5e-6, 16, 1,
     "line rate; 0.8 us for 32 bytes and 2.3 us for 4 KiB by ib_send_lat: D. Potter, master's thesis, its table of MTUs; switches "
     "as ethernet-100g"},
    {"ndr-400g", 43e9, 2e-6, 0.15e-6, 32, 1,
     "43 of 50 GB/s, the normal kernels over 2 hosts: DeepEP, docs/legacy.md; latency as roce-100g; 64 ports and below 0.15 us a "
     "switch: router-switch.com on QM9700"},
};

const fa_network *fa_network_at(int i) {
    return i >= 0 && i < (int)(sizeof known / sizeof *known) ? &known[i] : NULL;
}

fa_status fa_network_find(fa_network *n, const char *name, fa_error *e) {
    char list[256] = "";
    for (int i = 0; fa_network_at(i); i++) {
        size_t used = strlen(list);
        if (!strcasecmp(known[i].name, name)) {
            *n = known[i];
            return FA_OK;
        }
        snprintf(list + used, sizeof list - used, "%s%s", i ? ", " : "", known[i].name);
    }
    return fa_fail(e, FA_EINVAL, "network: expected one of %s, found '%s'", list, name);
}

double fa_network_message(const fa_network *n, double bytes) {
    return n->latency_s + bytes / n->bytes_per_s;
}

/* `total` bytes go through a host's link, `far` of them to or from other leaves. */
static double through(const fa_network *n, double hosts, double total, double far) {
    double latency = n->latency_s + (hosts > n->leaf_hosts ? 2 * n->hop_s : 0);
    return latency + fmax(total, far * n->oversubscription) / n->bytes_per_s;
}

static double outside(double hosts, double within) {
    return hosts > within ? (hosts - within) / hosts : 0;
}

double fa_network_gather(const fa_network *n, double hosts, double bytes) {
    return fa_network_exchange(n, hosts, bytes); /* what a host receives here it sends there */
}

double fa_network_exchange(const fa_network *n, double hosts, double bytes) {
    if (hosts <= 1) return 0;
    return through(n, hosts, bytes * outside(hosts, 1), bytes * outside(hosts, n->leaf_hosts));
}
