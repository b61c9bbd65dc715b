/* What a build takes of the fabric, and the rate at which its ports read. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "boards/board.h"

enum { IO_PORT_BYTES = 64 }; /* kernels read and write whole words of hls/word.h */

/* One of each, as synthesised. BRAM of a port: a 512-bit FIFO is 512 / 72 blocks wide; one that also writes has two. */
static const struct {
    fa_resources fp8_lane;   /* decode, product, alignment, its share of the tree: the exact MAC of docs/boards.md */
    fa_resources fp32_dsp48; /* multiply 3 DSP, add 2 DSP; each rounds */
    fa_resources fp32_dsp58; /* one DSP58 in its floating-point mode */
    fa_resources read_port, write_port, narrow_port;
    fa_resources control; /* of a kernel: registers, address arithmetic, state machines */
} counts = {
    .fp8_lane = {143, 85, 0, 0, 0},
    .fp32_dsp48 = {300, 400, 5, 0, 0},
    .fp32_dsp58 = {50, 100, 1, 0, 0},
    .read_port = {1600, 1900, 0, 7.5, 0},
    .write_port = {2400, 2900, 0, 15, 0},
    .narrow_port = {700, 1000, 0, 1, 0},
    .control = {8000, 10000, 20, 4, 0},
};

/* What each kernel of hls/ has of them. Kernels of a unit do not share lanes: each is a compute unit of its own to v++. */
static const struct kernel {
    bool weights; /* has the weight ports */
    bool fp8;     /* ports * port_bytes * rows lanes */
    bool fp32;    /* lanes_fp32 */
} kernels[] = {
    {true, true, true},    /* fathom_matmul */
    {true, true, true},    /* fathom_experts */
    {true, false, true},   /* fathom_mla */
    {false, false, true},  /* fathom_gqa */
    {false, false, false}, /* fathom_rowwise */
};

/* LUT and DSP: the limits that a published design tool for these cards uses (docs/boards.md); the others are assumed alike. */
const fa_resources fa_board_fill = {.lut = 0.65, .ff = 0.65, .dsp = 0.75, .bram = 0.75, .uram = 0.75};

static void add(fa_resources *sum, const fa_resources *one, double times) {
    sum->lut += one->lut * times;
    sum->ff += one->ff * times;
    sum->dsp += one->dsp * times;
    sum->bram += one->bram * times;
    sum->uram += one->uram * times;
}

void fa_board_needs(const fa_board *b, const fa_board_build *build, fa_resources *needs) {
    const fa_resources *fp32 = b->dsp58 ? &counts.fp32_dsp58 : &counts.fp32_dsp48;
    fa_resources unit = {0};
    for (size_t i = 0; i < sizeof kernels / sizeof *kernels; i++) {
        const struct kernel *k = &kernels[i];
        if (k->fp8) add(&unit, &counts.fp8_lane, (double)build->ports * build->port_bytes * build->rows);
        if (k->fp32) add(&unit, fp32, build->lanes_fp32);
        if (k->weights) add(&unit, &counts.read_port, build->ports);
        add(&unit, &counts.write_port, 1);
        add(&unit, &counts.narrow_port, 1);
        add(&unit, &counts.control, 1);
    }
    *needs = (fa_resources){0};
    add(needs, &unit, build->units);
}

static fa_status check_ranges(const fa_board *b, const fa_board_build *d, fa_error *e) {
    if (!(d->clock_hz > 0) || d->units < 1 || d->rows < 1 || d->ports < 1 || d->ports > 16 ||
        (d->ports & (d->ports - 1)) || (d->port_bytes != 32 && d->port_bytes != 64) || d->lanes_fp32 < 16 ||
        d->lanes_fp32 % 16)
        return fa_fail(
            e, FA_EINVAL,
            "%s: a build has a clock, 1 or more units and rows, 1, 2, 4, 8 or 16 ports of 32 or 64 bytes, and a "
            "multiple of 16 FP32 lanes; found %g MHz, %d units, %d rows, %d ports of %d bytes, %d lanes",
            b->name, d->clock_hz * 1e-6, d->units, d->rows, d->ports, d->port_bytes, d->lanes_fp32);
    return FA_OK;
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
        "%s: %d units of %d ports of %d bytes, %d rows, %d FP32 lanes do not fit:%s; divide lanes by %.1f (fewer "
        "rows, ports, units or FP32 lanes)",
        b->name, build->units, build->ports, build->port_bytes, build->rows, build->lanes_fp32, text, over);
}

int64_t fa_board_bytes(const fa_board *b) {
    int64_t bytes = 0;
    for (int i = 0; i < b->n_bank_kinds; i++) bytes += b->bank[i].count * b->bank[i].bank_bytes;
    return bytes;
}

int32_t fa_board_port_bank(const fa_board *b, const fa_board_build *build, int32_t unit, int32_t port) {
    int32_t banks = b->bank[0].count, weights = build->units * build->ports;
    if (port < build->ports) return (unit * build->ports + port) % banks;
    if (build->io_kind) return banks + unit % b->bank[1].count;
    if (weights + build->units <= banks) return weights + unit; /* a bank is left for each */
    return (unit * build->ports + build->ports - 1) % banks;    /* with the last weight port of the unit */
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

const char *fa_board_bank_tag(const fa_board *b, int32_t bank, char text[24]) {
    int32_t index;
    const char *tag = kind_of(b, bank, &index)->tag, *mark = strchr(tag, '#');
    if (mark)
        snprintf(text, 24, "%.*s%d%s", (int)(mark - tag), tag, index, mark + 1);
    else
        snprintf(text, 24, "%s", tag);
    return text;
}
