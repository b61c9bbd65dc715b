/* The configurations of v++: read back and held to the board and the table of kernels. Also what a build takes and which bank a
 * port reads, on which they stand. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "boards/vitis.h"
#include "hls/kernels.h"
#include "tests/lib/check.h"

enum { MAX_BANKS = 160, MAX_LINES = 4096 };

static fa_board board(const char *name) {
    fa_board b;
    fa_error e;
    CHECK_OK(fa_board_find(&b, name, &e), &e);
    return b;
}

/* link.cfg as lines; the caller frees text and lines. */
typedef struct config {
    char *text, *line[MAX_LINES];
    int lines;
} config;

static config link_config(const fa_board *b, const char *attention) {
    config c = {0};
    size_t n;
    FILE *f = open_memstream(&c.text, &n);
    CHECK(f, "memory ran out");
    fa_vitis_link(b, attention, f);
    CHECK(fclose(f) == 0, "memory ran out");
    for (char *p = strtok(c.text, "\n"); p && c.lines < MAX_LINES; p = strtok(NULL, "\n")) c.line[c.lines++] = p;
    return c;
}

/* The only line that begins with `key`; NULL for none. */
static const char *only(const config *c, const char *key) {
    const char *found = NULL;
    for (int i = 0; i < c->lines; i++)
        if (!strncmp(c->line[i], key, strlen(key))) {
            CHECK(!found, "two lines begin with %s", key);
            found = c->line[i];
        }
    return found;
}

/* The banks that "HBM[3]", "DDR[0:1]", "HP2" or "MC_NOC0" names, counted over all kinds. */
static void parse_banks(const fa_board *b, const char *text, int32_t *first, int32_t *last) {
    int32_t before = 0;
    for (int k = 0; k < b->n_bank_kinds; k++) {
        const fa_bank_kind *kind = &b->bank[k];
        char form[32];
        const char *mark = strchr(kind->tag, '#');
        int length = 0;
        if (!mark && !strcmp(text, kind->tag)) {
            *first = *last = before;
            return;
        }
        if (mark) {
            snprintf(form, sizeof form, "%.*s%%d%%n", (int)(mark - kind->tag), kind->tag);
            if (sscanf(text, form, first, &length) == 1) {
                *last = *first;
                if (text[length] == ':') {
                    int more = 0;
                    CHECK(sscanf(text + length, ":%d%n", last, &more) == 1, "%s", text);
                    length += more;
                }
                CHECK(!strcmp(text + length, mark + 1), "%s", text);
                CHECK(*first >= 0 && *first <= *last && *last < kind->count, "%s: %s has %d banks", text, kind->name,
                      kind->count);
                *first += before;
                *last += before;
                return;
            }
        }
        before += kind->count;
    }
    CHECK(false, "%s is no memory of %s", text, b->name);
}

/* Every unit's every port is connected once, weight ports as fa_board_port_bank says. */
static void check_ports_of(const fa_board *b, const config *c, const hls_kernel *k, int32_t unit, int *readers) {
    bool seen[HLS_MAX_PORTS] = {false};
    int ports = 0;
    for (int a = 0; a < k->n_args; a++) {
        const char *bundle = k->args[a].bundle;
        if (!bundle) continue;
        char key[96];
        snprintf(key, sizeof key, "sp=%s_%d.m_axi_%s:", k->name, unit + 1, bundle);
        const char *line = only(c, key);
        CHECK(line, "no line %s", key);
        int32_t first, last, port;
        parse_banks(b, line + strlen(key), &first, &last);
        if (sscanf(bundle, "w%d", &port) == 1) {
            CHECK(port < b->build.ports && first == fa_board_port_bank(b, &b->build, unit, port), "%s", line);
            CHECK(last - first + 1 == fa_board_port_banks(b, &b->build), "%s", line);
            if (!seen[port]) ports++;
            if (!seen[port] && k == hls_kernels(b->build.ports))
                for (int32_t i = first; i <= last; i++) readers[i]++;
            seen[port] = true;
        } else {
            int32_t io = fa_board_port_bank(b, &b->build, unit, b->build.ports);
            CHECK(first <= io && io <= last, "%s does not reach bank %d", line, io);
        }
    }
    CHECK(ports == 0 || ports == b->build.ports, "%s has %d weight ports", k->name, ports);
}

/* An image has one of the attentions, and every other kernel. */
static void link_is_whole(const char *name, const char *attention, const char *other) {
    fa_board b = board(name);
    config c = link_config(&b, attention);
    const hls_kernel *kernels = hls_kernels(b.build.ports);
    int readers[MAX_BANKS] = {0}, sp = 0, wanted = 0;
    for (int i = 0; i < c.lines; i++) sp += !strncmp(c.line[i], "sp=", 3);
    for (const hls_kernel *k = kernels; k->name; k++) {
        char key[64], value[96];
        snprintf(key, sizeof key, "nk=%s:", k->name);
        snprintf(value, sizeof value, "nk=%s:%d", k->name, b.build.units);
        const char *line = only(&c, key);
        if (!strcmp(k->name, other)) {
            CHECK(!line, "%s in an image for %s", k->name, attention);
            continue;
        }
        CHECK(line && !strcmp(line, value), "%s", line);
        for (int32_t u = 0; u < b.build.units; u++) check_ports_of(&b, &c, k, u, readers);
        int bundles = 0;
        for (int a = 0; a < k->n_args; a++) {
            bool first = k->args[a].bundle;
            for (int j = 0; j < a && first; j++)
                first = !k->args[j].bundle || strcmp(k->args[j].bundle, k->args[a].bundle);
            bundles += first;
        }
        wanted += bundles * b.build.units;
    }
    CHECK(sp == wanted, "%d connections, %d ports", sp, wanted);
    int32_t ports = b.build.units * b.build.ports, banks = b.bank[0].count;
    for (int32_t i = 0; i < banks; i++) {
        CHECK(readers[i] <= (ports + banks - 1) / banks, "bank %d is read by %d ports", i, readers[i]);
        CHECK(readers[i] > 0, "bank %d is read by no weight port: its capacity is lost", i);
    }
    free(c.text);
}

static void links_are_whole(void *arg) {
    link_is_whole(arg, "mla", "fathom_gqa");
    link_is_whole(arg, "gqa", "fathom_mla");
}

static void regions_exist(void *arg) {
    fa_board b = board(arg);
    config c = link_config(&b, "mla");
    int lines = 0;
    for (int i = 0; i < c.lines; i++) {
        char kernel[64];
        int unit, region;
        if (strncmp(c.line[i], "slr=", 4)) continue;
        lines++;
        CHECK(sscanf(c.line[i], "slr=%63[a-z_]_%d:SLR%d", kernel, &unit, &region) == 3 ||
                  sscanf(c.line[i], "slr=%63[a-z_]%d:SLR%d", kernel, &unit, &region) == 3,
              "%s", c.line[i]);
        CHECK(unit >= 1 && unit <= b.build.units && region >= 0 && region < b.slrs, "%s", c.line[i]);
        CHECK(only(&c, c.line[i]), "%s", c.line[i]);
    }
    CHECK((b.slrs > 1) == (lines > 0), "%d regions, %d lines", b.slrs, lines);
    free(c.text);
}

/* The operators that boards/needs.c counts are of kernels that exist: a build takes those of every kernel, and of the larger of
 * the two attentions. */
static void every_kernel_has_needs(void *arg) {
    (void)arg;
    fa_board b = board("u55c");
    fa_resources all = {0}, mla, gqa, one, total;
    for (const hls_kernel *k = hls_kernels(b.build.ports); k->name; k++) {
        CHECK(fa_board_kernel_needs(&b, &b.build, k->name, &one), "%s", k->name);
        CHECK(one.lut > 1000 && one.bram > 1, "%s takes %g LUT, %g BRAM", k->name, one.lut, one.bram);
        all.lut += one.lut * b.build.units;
        all.dsp += one.dsp * b.build.units;
    }
    fa_board_kernel_needs(&b, &b.build, "fathom_mla", &mla);
    fa_board_kernel_needs(&b, &b.build, "fathom_gqa", &gqa);
    all.lut -= b.build.units * (mla.lut < gqa.lut ? mla.lut : gqa.lut);
    all.dsp -= b.build.units * (mla.dsp < gqa.dsp ? mla.dsp : gqa.dsp);
    fa_board_needs(&b, &b.build, &total);
    CHECK(all.lut > 0.999 * total.lut && all.lut < 1.001 * total.lut, "kernels take %g LUT, the build %g", all.lut,
          total.lut);
    CHECK(all.dsp > 0.999 * total.dsp && all.dsp < 1.001 * total.dsp, "kernels take %g DSP, the build %g", all.dsp,
          total.dsp);
    CHECK(!fa_board_kernel_needs(&b, &b.build, "fathom_nothing", &one));
}

/* What needs.c says a kernel has is what its arguments say: weight ports for those with a bundle w0, and for no other. */
static void ports_cost_those_who_have_them(void *arg) {
    (void)arg;
    fa_board b = board("u55c");
    fa_board_build few = b.build, many = b.build;
    few.ports = 4;
    many.ports = 8;
    for (const hls_kernel *k = hls_kernels(4); k->name; k++) {
        fa_resources less, more;
        bool weights = false;
        for (int a = 0; a < k->n_args; a++) weights |= k->args[a].bundle && !strcmp(k->args[a].bundle, "w0");
        fa_board_kernel_needs(&b, &few, k->name, &less);
        fa_board_kernel_needs(&b, &many, k->name, &more);
        CHECK((more.bram > less.bram) == weights && (more.lut > less.lut) == weights, "%s: %g and %g BRAM", k->name,
              less.bram, more.bram);
    }
}

/* More of anything never takes less of anything. */
static void needs_grow_with_the_build(void *arg) {
    (void)arg;
    check_rng r = {7};
    fa_board b = board("u280");
    for (int i = 0; i < 1000; i++) {
        fa_board_build d = {.clock_hz = 3e8,
                            .units = 1 + (int)(check_u64(&r) % 4),
                            .ports = 1 << check_u64(&r) % 5,
                            .port_bytes = 32,
                            .rows = 1 + (int)(check_u64(&r) % 8),
                            .lanes_fp32 = 16 * (1 + (int)(check_u64(&r) % 16))};
        fa_resources less, more;
        fa_board_needs(&b, &d, &less);
        switch (check_u64(&r) % 5) {
        case 0: d.units++; break;
        case 1: d.ports = d.ports < 16 ? d.ports * 2 : 16; break;
        case 2: d.port_bytes = 64; break;
        case 3: d.rows++; break;
        default: d.lanes_fp32 += 16; break;
        }
        fa_board_needs(&b, &d, &more);
        CHECK(more.lut >= less.lut && more.ff >= less.ff && more.dsp >= less.dsp, "%d: %g, %g LUT", i, less.lut,
              more.lut);
    }
}

static void a_build_out_of_range_is_refused(void *arg) {
    (void)arg;
    fa_board b = board("u55c");
    fa_error e;
    fa_board_build d = b.build;
    d.ports = 7;
    CHECK(fa_board_fits(&b, &d, &e) == FA_EINVAL && strstr(e.text, "7 ports"), "%s", e.text);
    d = b.build;
    d.rows = 64;
    CHECK(fa_board_fits(&b, &d, &e) == FA_ELIMIT && strstr(e.text, "LUT needs") && strstr(e.text, "of 1146240"), "%s",
          e.text);
}

/* The kernels are larger than a KV260, also with one port and the fewest lanes: its file says so. */
static void builds_fit(void *arg) {
    (void)arg;
    for (int i = 0; fa_board_name(i); i++) {
        fa_board b = board(fa_board_name(i));
        fa_error e = {0};
        bool fits = !fa_board_fits(&b, &b.build, &e);
        CHECK(fits == (strcmp(b.name, "kv260") != 0), "%s: %s", b.name, fits ? "fits" : e.text);
    }
    fa_board least = board("kv260");
    fa_resources n;
    least.build = (fa_board_build){300e6, 1, 1, 32, 1, 16, 0};
    fa_board_needs(&least, &least.build, &n);
    double lut = n.lut / (least.usable.lut * fa_board_fill.lut),
           uram = n.uram / (least.usable.uram * fa_board_fill.uram);
    CHECK(fabs(lut - 1.9) < 0.05 && fabs(uram - 3.2) < 0.05, "%.2f times the LUTs, %.2f times the UltraRAM", lut, uram);
}

static void only_xrt_boards_are_written(void *arg) {
    (void)arg;
    fa_error e;
    fa_board b = board("v80");
    CHECK(fa_vitis_write(&b, "mla", "/dev/null/x", &e) == FA_EUNSUPPORTED && strstr(e.text, "AVED"), "%s", e.text);
    b = board("vhk158");
    CHECK(fa_vitis_write(&b, "mla", "/dev/null/x", &e) == FA_EUNSUPPORTED && strstr(e.text, "no platform"), "%s",
          e.text);
    b = board("u55c");
    CHECK(fa_vitis_write(&b, "mla", "/dev/null/deep", &e) == FA_EIO && strstr(e.text, "/dev/null/deep"), "%s", e.text);
    b.build.rows = 64;
    CHECK(fa_vitis_write(&b, "mla", "/dev/null/x", &e) == FA_ELIMIT && strstr(e.text, "LUT"), "%s", e.text);
}

int main(int argc, char **argv) {
    enum { BOARDS = 10 };
    static const check_case others[] = {
        {"every kernel has needs", every_kernel_has_needs, NULL},
        {"ports cost the kernels that have them", ports_cost_those_who_have_them, NULL},
        {"needs grow with the build", needs_grow_with_the_build, NULL},
        {"all built-in builds fit but that of kv260", builds_fit, NULL},
        {"a build out of range is refused", a_build_out_of_range_is_refused, NULL},
        {"configurations are written for XRT boards that fit", only_xrt_boards_are_written, NULL},
    };
    enum { OTHERS = sizeof others / sizeof *others };
    check_case cases[OTHERS + 2 * BOARDS];
    char names[2 * BOARDS][64];
    size_t n = OTHERS;
    memcpy(cases, others, sizeof others);
    for (int i = 0; fa_board_name(i) && i < BOARDS; i++) {
        const char *b = fa_board_name(i);
        snprintf(names[2 * i], sizeof *names, "%s: each port is connected once", b);
        snprintf(names[2 * i + 1], sizeof *names, "%s: regions exist", b);
        cases[n++] = (check_case){names[2 * i], links_are_whole, (void *)b};
        cases[n++] = (check_case){names[2 * i + 1], regions_exist, (void *)b};
    }
    return check_main(argc, argv, cases, n);
}
