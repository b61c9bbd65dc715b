/* fathom plan --emit FILE: where layers and experts go, for --placement. */
#include "host/cli/plan_emit.h"

#include <stdlib.h>

#include "host/model/shape.h"
#include "host/model/trace.h"
#include "sim/planner/place.h"

static fa_status count_visits(const cli_plan_options *o, double **visits, fa_error *e) {
    const fa_config *c = &o->config;
    *visits = NULL;
    if (!o->trace) return FA_OK;
    int64_t *tokens = calloc((size_t)c->layers + 1, sizeof *tokens);
    *visits = calloc((size_t)c->layers * (size_t)c->experts + 1, sizeof **visits);
    fa_status s = tokens && *visits ? fa_trace_count(c, o->trace, *visits, tokens, e)
                                    : fa_fail(e, FA_ENOMEM, "%s: memory ran out", o->trace);
    free(tokens);
    return s;
}

fa_status cli_emit_placement(const char *path, const cli_plan_options *o, int32_t copies, FILE *say, fa_error *e) {
    fa_board_placement p = {0};
    fa_placed_load load;
    double *visits;
    fa_status s = count_visits(o, &visits, e);
    if (!s) s = fa_place_model(&p, &load, &(fa_place_request){.q = &o->request, .visits = visits, .copies = copies}, e);
    if (!s) {
        p.shape = fa_config_shape(&o->config);
        snprintf(p.model, sizeof p.model, "%s", o->model);
        s = fa_board_placement_write(&p, path, e);
    }
    if (!s && say) {
        fprintf(say, "\n%s: %d boards on %d NUMA nodes hold %.2f to %.2f GB of weights and cache, %.2f have room", path,
                p.n_boards, o->request.hosts.nodes < p.n_boards ? o->request.hosts.nodes : p.n_boards,
                load.least_bytes / 1e9, load.most_bytes / 1e9, load.room / 1e9);
        if (p.experts)
            fprintf(
                say,
                "; %d experts are on two; the busiest board has %.1f %% of a layer's visits in the mean, %.1f %% at most",
                load.copies, 100 * load.busiest, 100 * load.worst);
        fputc('\n', say);
    }
    fa_board_placement_free(&p);
    free(visits);
    return s;
}
