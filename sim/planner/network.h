/* The network between hosts: one link a host to a leaf switch, leaves joined by spines. What a message, an all-gather and an
 * all-to-all take on it. */
#ifndef FA_SIM_PLANNER_NETWORK_H
#define FA_SIM_PLANNER_NETWORK_H

#include <stdint.h>

#include "host/base/status.h"

typedef struct fa_network {
    const char *name;
    double bytes_per_s;      /* of a host's link that programs reach, sending and receiving at once */
    double latency_s;        /* of an empty message from program to program through one switch */
    double hop_s;            /* of every switch more */
    int32_t leaf_hosts;      /* hosts on one leaf; a way to another leaf has two switches more */
    double oversubscription; /* of a leaf: its hosts' links over its links to the spines; 1: none */
    const char *source;      /* where the figures come from */
} fa_network;

/* The known networks; NULL after the last. The first is the default. */
const fa_network *fa_network_at(int i);

/* By name; FA_EINVAL lists the known names. */
fa_status fa_network_find(fa_network *n, const char *name, fa_error *e);

/* `bytes` from one host to another on its leaf. */
double fa_network_message(const fa_network *n, double bytes);

/* Each of `hosts` hosts has a share of `bytes` and needs all; a share is bytes / hosts. 0 for one host. */
double fa_network_gather(const fa_network *n, double hosts, double bytes);

/* The host that sends most has `bytes`, which go to all hosts in equal shares, one of them itself. 0 for one host. */
double fa_network_exchange(const fa_network *n, double hosts, double bytes);

#endif
