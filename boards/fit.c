/* Whether a build fits, which bank each port reads, and how fast. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "boards/board.h"
#include "hls/cost.h"

enum { IO_PORT_BYTES = 64 }; /* kernels read and write whole words of hls/word.h */

/* Published designs on boards reach 74% (EdgeLLM, 967 K of 1,304 K LUTs of a VCU128) to 92% of the LUTs (TeLLMe, KV260). */
const fa_resources fa_board_fill = {.lut = 0.75, .ff = 0.75, .dsp = 0.75, .bram = 0.75, .uram = 0.75};

static bool power_of_two(int32_t n) {
    return n > 0 && !(n & (n - 1));
}

/* Rows and lanes are powers of two, so that more of them are never slower: what fills 2 groups of lanes fills 4, but not 3. */
static fa_status check_ranges(const fa_board *b, const fa_board_build *d, fa_error *e) {
    if (d->clock_hz > 0 && d->units >= 1 && power_of_two(d->rows) && d->rows <= HLS_PASS_ROWS &&
        power_of_two(d->ports) && d->ports <= 16 && (d->port_bytes == 32 || d->port_bytes == 64) &&
        d->lanes_fp32 % 16 == 0 && power_of_two(d->lanes_fp32 / 16))
        return FA_OK;
    return fa_fail(
        e, FA_EINVAL,
        "%s: a build has a clock, 1 or more units, 1, 2, 4 .. 64 rows, 1, 2, 4, 8 or 16 ports of 32 or 64 "
        "bytes, and 16, 32, 64 .. FP32 lanes; found %g MHz, %d units, %d rows, %d ports of %d bytes, %d lanes",
        b->name, d->clock_hz * 1e-6, d->units, d->rows, d->ports, d->port_bytes, d->lanes_fp32);
}

fa_status fa_board_fits(const fa_board *b, const fa_board_build *build, fa_error *e) {
    fa_status s = check_ranges(b, build, e);
    if (s) return s;
    fa_resources n;
    fa_board_needs(b, build, &n);
    const struct {
        const char *name;
        double needed, usable, fill;
    } rows[] = {
        {"LUT", n.lut, b->usable.lut, fa_board_fill.lut},     {"FF", n.ff, b->usable.ff, fa_board_fill.ff},
        {"DSP", n.dsp, b->usable.dsp, fa_board_fill.dsp},     {"BRAM", n.bram, b->usable.bram, fa_board_fill.bram},
        {"URAM", n.uram, b->usable.uram, fa_board_fill.uram},
    };
    char text[320] = "";
    double over = 1;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        double limit = rows[i].usable * rows[i].fill;
        if (rows[i].needed <= limit || rows[i].usable <= 0) continue; /* 0: not known */
        size_t at = strlen(text);
        snprintf(text + at, sizeof text - at, "%s %s needs %.0f of %.0f (%.0f%% of %.0f)", at ? "," : "", rows[i].name,
                 rows[i].needed, limit, rows[i].fill * 100, rows[i].usable);
        if (rows[i].needed / limit > over) over = rows[i].needed / limit;
    }
    if (!*text) return FA_OK;
    return fa_fail(
        e, FA_ELIMIT,
        "%s: units %d, ports %d of %d bytes, rows %d, FP32 lanes %d do not fit:%s; divide lanes by %.1f (fewer rows, ports, "
        "units or FP32 lanes)",
        b->name, build->units, build->ports, build->port_bytes, build->rows, build->lanes_fp32, text, over);
}

int64_t fa_board_bytes(const fa_board *b) {
    int64_t bytes = 0;
    for (int i = 0; i < b->n_bank_kinds; i++) bytes += b->bank[i].count * b->bank[i].bank_bytes;
    return bytes;
}

int32_t fa_board_port_banks(const fa_board *b, const fa_board_build *build) {
    int32_t each = b->bank[0].count / (build->units * build->ports);
    return each > 1 ? each : 1;
}

int32_t fa_board_port_bank(const fa_board *b, const fa_board_build *build, int32_t unit, int32_t port) {
    int32_t banks = b->bank[0].count, each = fa_board_port_banks(b, build),
            weights = build->units * build->ports * each;
    if (port < build->ports) return (unit * build->ports + port) * each % banks;
    if (build->io_kind) return banks + unit % b->bank[1].count;
    if (weights + build->units <= banks) return weights + unit; /* a bank is left for each */
    return ((unit + 1) * build->ports - 1) * each % banks;      /* with the last weight port of the unit */
}

double fa_board_port_rate(const fa_bank_kind *k, int32_t port_bytes, double clock_hz) {
    return fmin(port_bytes * clock_hz, k->peak_bytes_per_s * k->read_share);
}

/* The kind of a bank counted over all kinds; `index` is its number within it. */
static const fa_bank_kind *kind_of(const fa_board *b, int32_t bank, int32_t *index) {
    int k = 0;
    for (; k + 1 < b->n_bank_kinds && bank >= b->bank[k].count; k++) bank -= b->bank[k].count;
    *index = bank;
    return &b->bank[k];
}

/* Of `ports` ports of a kind, spread evenly over its banks and moving equal amounts, so that the slowest counts. */
static double rate_together(const fa_bank_kind *k, int32_t ports, int32_t port_bytes, double clock_hz) {
    double bank = k->peak_bytes_per_s * k->read_share * k->bank_ports;
    double on_one = ceil((double)ports / k->count);
    double rate = ports * fmin(fa_board_port_rate(k, port_bytes, clock_hz), bank / on_one);
    return k->total_bytes_per_s > 0 ? fmin(rate, k->total_bytes_per_s) : rate;
}

double fa_board_io_rate(const fa_board *b, const fa_board_build *build) {
    int32_t bank = fa_board_port_bank(b, build, 0, build->ports), index;
    return rate_together(kind_of(b, bank, &index), build->units, IO_PORT_BYTES, build->clock_hz) / build->units;
}

double fa_board_read_rate(const fa_board *b, const fa_board_build *build) {
    return rate_together(&b->bank[0], build->units * build->ports, build->port_bytes, build->clock_hz);
}

double fa_board_memory_rate(const fa_board *b) {
    const fa_bank_kind *k = &b->bank[0];
    double rate = k->count * k->peak_bytes_per_s * k->read_share * k->bank_ports;
    return k->total_bytes_per_s > 0 ? fmin(rate, k->total_bytes_per_s) : rate;
}

const char *fa_board_bank_tag(const fa_board *b, int32_t bank, char text[24]) {
    int32_t index;
    const char *tag = kind_of(b, bank, &index)->tag, *mark = strchr(tag, '#');
    if (mark)
        snprintf(text, 24, "%.*s%d%s", (int)(mark - tag), tag, index, mark + 1);
    else
        snprintf(text, 24, "%s", tag);
    return text;
}
