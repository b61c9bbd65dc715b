#include "sim/planner/launch.h"

#include <math.h>

#include "sim/device/time.h"

const char *fa_limit_name(fa_limit l) {
    static const char *const names[FA_LIMIT_COUNT] = {
        [FA_LIMIT_WEIGHTS] = "weight banks",      [FA_LIMIT_IO] = "io banks",
        [FA_LIMIT_MATMUL] = "matmul pipelines",   [FA_LIMIT_ATTENTION] = "attention pipelines",
        [FA_LIMIT_ROWWISE] = "rowwise pipelines", [FA_LIMIT_LATENCY] = "memory latency",
        [FA_LIMIT_LAUNCH] = "kernel launches",    [FA_LIMIT_LINK] = "host link",
        [FA_LIMIT_NETWORK] = "network",           [FA_LIMIT_HOST] = "host",
        [FA_LIMIT_FETCH] = "expert fetches",
    };
    return l >= 0 && l < FA_LIMIT_COUNT ? names[l] : "?";
}

double fa_launch_parts(const fa_board *board, const hls_cost *cost, fa_limit pipelines, double by[FA_LIMIT_COUNT]) {
    hls_cost stream = *cost; /* without what only adds latency */
    stream.bursts = 0;
    double seconds = sim_launch_seconds(board, cost), longest = sim_launch_seconds(board, &stream);
    stream.io_bytes = 0;
    double no_io = sim_launch_seconds(board, &stream);
    stream.weight_bytes = 0;
    double no_memory = sim_launch_seconds(board, &stream);
    fa_limit limit = longest > no_io ? FA_LIMIT_IO : longest > no_memory ? FA_LIMIT_WEIGHTS : pipelines;
    by[limit] += longest;
    by[FA_LIMIT_LATENCY] += fmax(0, seconds - longest);
    by[FA_LIMIT_LAUNCH] += board->launch_s;
    return board->launch_s + seconds;
}
