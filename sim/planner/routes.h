/* How often each expert is visited: from a trace of `fathom trace`, or a Zipf law. The planner needs one profile for all layers:
 * the probability that a token visits the most popular expert of a layer, the second, and so on. */
#ifndef FA_SIM_PLANNER_ROUTES_H
#define FA_SIM_PLANNER_ROUTES_H

#include "hls/cost.h"
#include "host/model/config.h"

enum { FA_ROUTES_EXPERTS = 4096 };

typedef struct fa_routes {
    int32_t experts, top_k;
    double p[FA_ROUTES_EXPERTS]; /* falling; their sum is top_k */
} fa_routes;

/* Popularity of the expert of rank r proportional to (r + 1)^-skew; 0: all alike. A token visits an expert once at most, so no
 * probability exceeds 1. */
void fa_routes_zipf(fa_routes *r, const fa_config *c, double skew);

/* The lines of `fathom trace`: {"position":P,"layer":L,"experts":[...],...}. Within a layer experts are ranked by their visits;
 * ranks are averaged over the layers. FA_EFORMAT names file and line; a trace of another model (more experts, another number
 * of routes a token) is refused. */
fa_status fa_routes_trace(fa_routes *r, const fa_config *c, const char *path, fa_error *e);

/* The expected load of one layer when `rows` independent tokens visit experts that lie on `bins` bins, rank r in bin r mod
 * bins. */
typedef struct fa_load {
    double visited;    /* distinct experts that are read */
    hls_passes passes; /* over their weights, with up to rows_a_pass rows each */
    double n_passes;   /* all of them */
    double busiest;    /* the share of the busiest bin in the passes, 1 / bins at best */
    double absent;     /* of the visited experts, those with rank >= resident */
} fa_load;

fa_load fa_routes_load(const fa_routes *r, int32_t rows, int32_t rows_a_pass, int32_t bins, int32_t resident);

#endif
