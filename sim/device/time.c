#include "sim/device/time.h"

#include <math.h>

hls_build sim_build(const fa_board *b) {
    return (hls_build){.ports = b->build.ports,
                       .port_bytes = b->build.port_bytes,
                       .rows = b->build.rows,
                       .lanes_fp32 = b->build.lanes_fp32};
}

double sim_launch_seconds(const fa_board *b, const hls_cost *c) {
    double pipelines = c->cycles / b->build.clock_hz;
    double weights = c->weight_bytes / (fa_board_read_rate(b, &b->build) / b->build.units);
    double io = c->io_bytes / fa_board_io_rate(b, &b->build);
    return fmax(pipelines, fmax(weights, io)) + c->bursts * b->bank[0].read_latency_s;
}

double sim_launch_cycles(const fa_board *b, const hls_cost *c) {
    return sim_launch_seconds(b, c) * b->build.clock_hz;
}

double sim_launch_joules(const fa_board *b, const hls_cost *c) {
    const fa_board_build *build = &b->build;
    double half_w = (b->full_w - b->idle_w) / 2, units_hz = build->units * build->clock_hz;
    double lanes_fp8 = (double)build->ports * build->port_bytes * build->rows;
    double bytes_s = (c->weight_bytes + c->io_bytes) / fa_board_read_rate(b, build);
    double macs_s = (c->macs_fp8 / lanes_fp8 + c->macs_fp32 / build->lanes_fp32) / units_hz;
    return half_w * (bytes_s + macs_s);
}

double sim_transfer_seconds(const fa_board *b, double bytes, bool to_card) {
    double rate = to_card ? b->to_card_bytes_per_s : b->from_card_bytes_per_s;
    return rate > 0 ? b->launch_s + bytes / rate : 0;
}
