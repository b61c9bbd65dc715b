/* The built-in boards against the collected facts (boards.csv) and against measured memory bandwidth (membw.csv). */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "boards/board.h"
#include "tests/lib/check.h"
#include "tests/lib/files.h"

enum { COLUMNS = 32, ROWS = 64 };

/* A CSV file with a head line; texts point into `text`. */
typedef struct table {
    char *text;
    char *cell[ROWS][COLUMNS];
    int rows, columns;
} table;

/* Cuts the next cell off `p`; quotes enclose cells with commas. Returns where the next begins; *end: it was the line's last. */
static char *cut_cell(char *p, char **cell, bool *end) {
    char *to = p;
    *cell = p;
    for (bool quoted = false; *p && (quoted || (*p != ',' && *p != '\n')); p++)
        if (*p == '"')
            quoted = !quoted;
        else
            *to++ = *p;
    *end = *p != ',';
    char *next = *p ? p + 1 : p;
    *to = 0;
    return next;
}

static table load(const char *name) {
    table t = {0};
    size_t n;
    char *path = check_golden(name);
    t.text = (char *)check_read(path, &n);
    free(path);
    for (char *p = t.text; *p && t.rows < ROWS; t.rows++) {
        bool end = false;
        int c = 0;
        for (; !end && c < COLUMNS; c++) p = cut_cell(p, &t.cell[t.rows][c], &end);
        if (!t.rows) t.columns = c;
        CHECK(end && c <= t.columns, "%s, line %d: %d cells", name, t.rows + 1, c);
        for (; c < t.columns; c++) t.cell[t.rows][c] = "";
    }
    CHECK(t.rows > 5, "%s has %d rows", name, t.rows);
    return t;
}

static int column(const table *t, const char *name) {
    int c = 0;
    while (c < t->columns && strcmp(t->cell[0][c], name)) c++;
    CHECK(c < t->columns, "no column %s", name);
    return c;
}

/* A number that stands alone or before a blank ("77 (19.25 x 4)", "4747 [S5]"); false for anything else ("899K", "~57"). */
static bool plain(const char *cell, double *v) {
    char *end;
    *v = strtod(cell, &end);
    return end != cell && (!*end || *end == ' ');
}

static const fa_bank_kind *kind(const fa_board *b, const char *name) {
    for (int i = 0; i < b->n_bank_kinds; i++)
        if (!strcmp(b->bank[i].name, name)) return &b->bank[i];
    return NULL;
}

/* Columns and what they are in a board; NAN where the board does not give it. */
static double lut(const fa_board *b) {
    return b->part_has.lut;
}
static double ff(const fa_board *b) {
    return b->part_has.ff;
}
static double dsp(const fa_board *b) {
    return b->part_has.dsp;
}
static double bram(const fa_board *b) {
    return b->part_has.bram;
}
static double uram(const fa_board *b) {
    return b->part_has.uram;
}
static double limit(const fa_board *b) {
    return b->limit_w;
}
static double price(const fa_board *b) {
    return b->price_usd;
}
static double hbm_gib(const fa_board *b) {
    const fa_bank_kind *k = kind(b, "HBM");
    return k ? (double)k->bank_bytes * k->count / 1073741824.0 : 0;
}
static double hbm_channels(const fa_board *b) {
    const fa_bank_kind *k = kind(b, "HBM");
    return k ? k->count : 0;
}
static double hbm_each(const fa_board *b) {
    const fa_bank_kind *k = kind(b, "HBM");
    return k ? k->peak_bytes_per_s * 1e-9 : 0;
}
static double hbm_total(const fa_board *b) {
    return hbm_each(b) * hbm_channels(b);
}
static double ddr_peak(const fa_board *b) {
    const fa_bank_kind *k = kind(b, "DDR");
    return k ? k->peak_bytes_per_s * k->count * 1e-9 : 0;
}

static const struct {
    const char *column;
    double (*of)(const fa_board *b);
    const char *fact; /* which must be absent or assumed where the cell says "not found" */
} facts[] = {
    {"LUT", lut, "fabric.lut"},
    {"FF", ff, "fabric.ff"},
    {"DSP", dsp, "fabric.dsp"},
    {"BRAM36", bram, "fabric.bram"},
    {"URAM", uram, "fabric.uram"},
    {"hbm_GiB", hbm_gib, NULL},
    {"hbm_pseudo_ch", hbm_channels, NULL},
    {"hbm_GBs_per_ch", hbm_each, NULL},
    {"hbm_GBs_total", hbm_total, NULL},
    {"ddr_GBs_peak", ddr_peak, "memory.peak_gb_per_s"},
    {"tdp_W", limit, "power.limit_w"},
    {"list_price_usd", price, "price.usd"},
};

static bool assumed(const fa_board *b, const char *fact) {
    const char *a;
    for (int i = 0; (a = fa_board_assumption(b, i)); i++)
        if (!strcmp(a, fact)) return true;
    return false;
}

/* boards.csv calls AWS F2's board "AWS F2". */
static fa_board board_of(const char *csv_name) {
    fa_board b;
    fa_error e;
    CHECK_OK(fa_board_find(&b, strcmp(csv_name, "AWS F2") ? csv_name : "f2", &e), &e);
    return b;
}

static void numbers_are_those_of_the_table(void *arg) {
    const char *name = arg;
    table t = load("boards/boards.csv");
    int r = 1, compared = 0;
    while (r < t.rows && strcmp(t.cell[r][0], name)) r++;
    CHECK(r < t.rows, "boards.csv has no %s", name);
    fa_board b = board_of(name);
    for (size_t i = 0; i < sizeof facts / sizeof *facts; i++) {
        const char *cell = t.cell[r][column(&t, facts[i].column)];
        double want, have = facts[i].of(&b);
        if (!plain(cell, &want)) continue;
        CHECK(fabs(have - want) <= 1e-6 * want, "%s: the table has %s, the board %.10g", facts[i].column, cell, have);
        compared++;
    }
    CHECK(compared >= 5, "only %d plain numbers", compared);
    free(t.text);
}

static void what_was_not_found_is_not_stated(void *arg) {
    (void)arg;
    table t = load("boards/boards.csv");
    int missing = 0;
    for (int r = 1; r < t.rows; r++) {
        if (!strncmp(t.cell[r][0], "Agilex", 6)) continue; /* not one of ours */
        fa_board b = board_of(t.cell[r][0]);
        for (size_t i = 0; i < sizeof facts / sizeof *facts; i++) {
            const char *cell = t.cell[r][column(&t, facts[i].column)];
            if (strncmp(cell, "not found", 9) || !facts[i].fact) continue;
            CHECK(facts[i].of(&b) == 0 || assumed(&b, facts[i].fact), "%s: %s was not found, the board states %g",
                  b.name, facts[i].fact, facts[i].of(&b));
            missing++;
        }
    }
    CHECK(missing > 10, "%d", missing);
    free(t.text);
}

/* Rows of membw.csv that read through AXI ports of a known width, with the ports spread evenly. VCK5000 is a bound where a few
 * wide readers share the NoC: which of its ports they enter by decides, and no board fact says. */
typedef struct reading {
    const char *board, *memory;
    double bits, mhz, ports;
    bool bound; /* at most the prediction, instead of within 10% of it */
} reading;

static const reading readings[] = {
    {"U280", "DDR4", 32, 484, 1, false},       {"U280", "DDR4", 64, 484, 1, false},
    {"U280", "DDR4", 128, 484, 1, false},      {"U280", "DDR4", 256, 484, 1, false},
    {"U280", "DDR4", 512, 484, 1, false},      {"U280", "HBM", 32, 484, 1, false},
    {"U280", "HBM", 64, 484, 1, false},        {"U280", "HBM", 128, 484, 1, false},
    {"U280", "HBM", 256, 484, 1, false},       {"U280", "HBM", 512, 484, 1, false},
    {"VCK5000", "DDR4", 32, 355.2, 1, false},  {"VCK5000", "DDR4", 64, 355.2, 1, false},
    {"VCK5000", "DDR4", 128, 355.2, 1, false}, {"VCK5000", "DDR4", 256, 355.2, 1, false},
    {"VCK5000", "DDR4", 512, 355.2, 1, false}, {"VCK5000", "DDR4", 256, 431, 1, false},
    {"VCK5000", "DDR4", 256, 348, 4, true},    {"VCK5000", "DDR4", 256, 348, 8, true},
    {"VCK5000", "DDR4", 256, 348, 16, false},  {"VCK5000", "DDR4", 256, 348, 18, false},
    {"VCK5000", "DDR4", 512, 320, 2, false},   {"VCK5000", "DDR4", 512, 320, 8, true},
    {"VCK5000", "DDR4", 512, 320, 15, false},  {"AWS F2", "HBM", 256, 450, 32, false},
};

static double measured(const table *t, const reading *m) {
    for (int r = 1; r < t->rows; r++)
        if (!strcmp(t->cell[r][0], m->board) && !strcmp(t->cell[r][1], m->memory) && !strcmp(t->cell[r][2], "read") &&
            atof(t->cell[r][3]) == m->bits && atof(t->cell[r][4]) == m->mhz && atof(t->cell[r][5]) == m->ports)
            return atof(t->cell[r][6]);
    CHECK(false, "membw.csv has no such row");
    return 0;
}

static void rates_are_within_a_tenth_of_measurements(void *arg) {
    (void)arg;
    table t = load("boards/membw.csv");
    double log_sum = 0;
    int n = 0, ported = 0;
    for (int r = 1; r < t.rows; r++)
        ported += !strcmp(t.cell[r][2], "read") && *t.cell[r][3] && strncmp(t.cell[r][1], "host", 4);
    for (size_t i = 0; i < sizeof readings / sizeof *readings; i++) {
        const reading *m = &readings[i];
        fa_board b = board_of(m->board);
        const fa_bank_kind *k = kind(&b, strcmp(m->memory, "DDR4") ? m->memory : "DDR");
        CHECK(k, "%s has no %s", m->board, m->memory);
        b.bank[0] = *k;
        fa_board_build build = {.clock_hz = m->mhz * 1e6,
                                .units = (int32_t)m->ports,
                                .ports = 1,
                                .port_bytes = (int32_t)(m->bits / 8),
                                .rows = 1};
        double ratio = fa_board_read_rate(&b, &build) * 1e-9 / measured(&t, m);
        CHECK(ratio > (m->bound ? 1 : 0.9) && (m->bound || ratio < 1.1),
              "%s %s, %g bits, %g MHz, %g ports: %g of the measured", m->board, m->memory, m->bits, m->mhz, m->ports,
              ratio);
        log_sum += m->bound ? 0 : fabs(log(ratio));
        n += !m->bound;
    }
    CHECK(ported == (int)(sizeof readings / sizeof *readings), "membw.csv has %d such rows", ported);
    CHECK(exp(log_sum / n) < 1.03, "mean deviation %g", exp(log_sum / n));
    free(t.text);
}

/* Published: one HBM port at 300 MHz and 256 bits is limited by the port, at 512 bits by the channel. */
static void a_narrow_port_limits_and_a_wide_one_does_not(void *arg) {
    (void)arg;
    fa_board b = board_of("U280");
    CHECK(fa_board_port_rate(&b.bank[0], 32, 300e6) == 9.6e9);
    CHECK(fabs(fa_board_port_rate(&b.bank[0], 64, 250e6) - 13.36e9) < 0.01e9);
}

int main(int argc, char **argv) {
    static const check_case cases[] = {
        {"U50 has the numbers of the table", numbers_are_those_of_the_table, "U50"},
        {"U55C has the numbers of the table", numbers_are_those_of_the_table, "U55C"},
        {"U200 has the numbers of the table", numbers_are_those_of_the_table, "U200"},
        {"U250 has the numbers of the table", numbers_are_those_of_the_table, "U250"},
        {"U280 has the numbers of the table", numbers_are_those_of_the_table, "U280"},
        {"V80 has the numbers of the table", numbers_are_those_of_the_table, "V80"},
        {"VCK5000 has the numbers of the table", numbers_are_those_of_the_table, "VCK5000"},
        {"VHK158 has the numbers of the table", numbers_are_those_of_the_table, "VHK158"},
        {"KV260 has the numbers of the table", numbers_are_those_of_the_table, "KV260"},
        {"AWS F2 has the numbers of the table", numbers_are_those_of_the_table, "AWS F2"},
        {"what was not found is absent or assumed", what_was_not_found_is_not_stated, NULL},
        {"read rates are within a tenth of measurements", rates_are_within_a_tenth_of_measurements, NULL},
        {"a narrow port limits, a wide one does not", a_narrow_port_limits_and_a_wide_one_does_not, NULL},
    };
    return check_main(argc, argv, cases, sizeof cases / sizeof *cases);
}
