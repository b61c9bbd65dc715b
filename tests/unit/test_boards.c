/* Board files: what each key becomes, and every way a file can be wrong against an error that says where and what. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "boards/fields.h"
#include "tests/lib/check.h"
#include "tests/lib/files.h"
#include "tests/lib/mutate.h"

/* boards/u55c.board with the first `from` replaced by `to`, as mine.board in `dir`; `line` is where that is. */
static char *edited(const char *dir, const char *from, const char *to, int *line) {
    size_t n;
    char *text = (char *)check_read("boards/u55c.board", &n);
    char *at = strstr(text, from);
    CHECK(at, "boards/u55c.board has no '%s'", from);
    *line = 1;
    for (char *p = text; p < at; p++) *line += *p == '\n';
    check_bytes b = {0};
    check_put(&b, text, (size_t)(at - text));
    check_put(&b, to, strlen(to));
    check_put(&b, at + strlen(from), strlen(at + strlen(from)));
    char *path = check_write(dir, "mine.board", b.data, b.n);
    free(text);
    free(b.data);
    return path;
}

typedef struct bad_file {
    const char *name;
    int below; /* lines from `from` to the line that the error names; NOWHERE: it names none */
    const char *from, *to, *says[2];
} bad_file;

enum { NOWHERE = -1 };

static const bad_file bad_files[] = {
    {"an unknown key", 0, "dsp = 9024", "dps = 9024", {"unknown key 'dps' in [fabric]"}},
    {"an unknown section", 1, "[fabric]", "[fabrik]", {"unknown key 'lut' in [fabrik]"}},
    {"a key before any section", 0, "; AMD", "lut = 1 [S1]\n; AMD", {"unknown key 'lut' in []"}},
    {"a key given twice", 0, "dsp = 9024", "lut = 9024", {"fabric.lut is given twice (line"}},
    {"a missing key", NOWHERE, "dsp = 9024 [S6]\n", "", {"mine.board: fabric.dsp is missing"}},
    {"a value without a source", 0, "9024 [S6]", "9024", {"fabric.dsp", "VALUE [SOURCE]"}},
    {"an empty source", 0, "9024 [S6]", "9024 []", {"fabric.dsp", "VALUE [SOURCE]"}},
    {"a source that is not listed", 0, "9024 [S6]", "9024 [S66]", {"'S66' names no line of [sources]"}},
    {"an assumption without a reason", 0, "9024 [S6]", "9024 [assumed: ]", {"fabric.dsp"}},
    {"a source given twice", 0, "S3 = UG", "S1 = UG", {"sources.S1 is given twice"}},
    {"a source without a tag", 0, "S3 = UG", "= UG", {"a tag has a name"}},
    {"a source with a long tag", 0, "S3 = UG", "S3333333 = UG", {"at most 7"}},
    {"a word for a number", 0, "9024 [S6]", "many [S6]", {"fabric.dsp", "found 'many'"}},
    {"a number with a unit", 0, "9024 [S6]", "9024k [S6]", {"fabric.dsp", "found '9024k'"}},
    {"a NaN", 0, "9024 [S6]", "nan [S6]", {"fabric.dsp", "found 'nan'"}},
    {"a hexadecimal number", 0, "9024 [S6]", "0x10 [S6]", {"fabric.dsp", "found '0x10'"}},
    {"a negative count", 0, "banks = 32", "banks = -1", {"memory.banks", "from 1 to 64"}},
    {"a fraction of a bank", 0, "banks = 32", "banks = 1.5", {"a whole number"}},
    {"a share above 1", 0, "read_share = 0.929", "read_share = 1.1", {"memory.read_share", "from 0.01 to 1"}},
    {"an unknown runtime", 0, "runtime = xrt", "runtime = magic", {"xrt, embedded, f2, aved, none"}},
    {"a title that is too long",
     0,
     "title = AMD Alveo U55C",
     "title = AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
     {"board.title", "1 to 63"}},
    {"XRT without a platform",
     0,
     "platform = xilinx_u55c_gen3x16_xdma_3_202210_1 [S6]\n",
     "",
     {"board.platform is missing"}},
    {"more usable than there is", 0, "dsp = 8376", "dsp = 9376", {"9376 is more than fabric.dsp, 9024"}},
    {"full power below idle", 0, "full_w = 115", "full_w = 11.5", {"power.full_w", "less than power.idle_w"}},
    {"seven ports", 0, "ports = 16", "ports = 7", {"build.ports", "1, 2, 4, 8 or 16, found 7"}},
    {"ports of 48 bytes", 0, "port_bytes = 64", "port_bytes = 48", {"build.port_bytes", "32 or 64, found 48"}},
    {"17 FP32 lanes", 0, "lanes_fp32 = 64", "lanes_fp32 = 17", {"build.lanes_fp32", "16, 32, 64 .., found 17"}},
    {"48 FP32 lanes", 0, "lanes_fp32 = 64", "lanes_fp32 = 48", {"build.lanes_fp32", "16, 32, 64 .., found 48"}},
    {"3 rows", 0, "rows = 1", "rows = 3", {"build.rows", "a power of two, found 3"}},
    {"io in a memory that is not there", 0, "io = memory", "io = memory2", {"build.io", "no [memory2]"}},
    {"a tag without a number", 0, "tag = HBM[#]", "tag = HBM", {"memory.tag", "has no #"}},
    {"half a second memory", 1, "[host]", "[memory2]\nbanks = 2 [S1]\n[host]", {"memory2.banks without memory2.name"}},
    {"a line that is no assignment", 1, "[fabric]", "[fabric]\nnonsense", {"expected [SECTION] or KEY"}},
    {"an open section", 0, "[fabric]", "[fabric", {"expected [SECTION] or KEY"}},
    {"a line of 300 characters",
     0,
     "[fabric]",
     "; xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
     "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\n",
     {"longer than 189"}},
};

static void a_bad_file_is_refused(void *arg) {
    const bad_file *bad = arg;
    int line;
    char *dir = check_scratch(), *path = edited(dir, bad->from, bad->to, &line), where[32];
    fa_error e;
    fa_board b;
    fa_status s = fa_board_read(&b, path, &e);
    CHECK(s == FA_EFORMAT, "status %s", s ? e.text : "OK");
    snprintf(where, sizeof where, "mine.board:%d: ", line + bad->below);
    CHECK(bad->below == NOWHERE || strstr(e.text, where), "'%s' says no '%s'", e.text, where);
    for (int i = 0; i < 2 && bad->says[i]; i++)
        CHECK(strstr(e.text, bad->says[i]), "'%s' says no '%s'", e.text, bad->says[i]);
    free(path);
    check_remove(dir);
    free(dir);
}

static void hostile_files_end_in_an_error(void *arg) {
    (void)arg;
    static const struct {
        const char *bytes;
        size_t n;
        const char *says;
    } files[] = {
        {"", 0, "board.title is missing"},
        {"\n\n", 2, "board.title is missing"},
        {"a\0b\n", 4, "NUL"},
        {"[sources]\nS1 =\n", 15, "sources.S1 is empty"},
        {"[sources", 8, ":1: expected [SECTION]"},
    };
    char *dir = check_scratch();
    fa_board b;
    fa_error e;
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        char *path = check_write(dir, "hostile.board", files[i].bytes, files[i].n);
        CHECK(fa_board_read(&b, path, &e) == FA_EFORMAT, "file %zu", i);
        CHECK(strstr(e.text, files[i].says), "file %zu: %s", i, e.text);
        free(path);
    }
    CHECK(fa_board_read(&b, "/nonexistent/x.board", &e) == FA_EIO && strstr(e.text, "/nonexistent/x.board"), "%s",
          e.text);
    check_remove(dir);
    free(dir);
}

/* A damaged file ends in an error with a text, or is read; what was read can be used. */
static void damaged_files_are_refused_or_read(void *arg) {
    (void)arg;
    size_t n;
    uint8_t *text = check_read("boards/u280.board", &n);
    char *dir = check_scratch();
    int read = 0;
    for (uint64_t seed = 0; seed < 2000; seed++) {
        check_bytes damaged = check_mutate(text, n, n, seed);
        char *path = check_write(dir, "damaged.board", damaged.data, damaged.n);
        fa_board b;
        fa_error e;
        fa_resources needs;
        fa_status s = fa_board_read(&b, path, &e);
        CHECK(!s || (s == FA_EFORMAT && strstr(e.text, "damaged.board")), "seed %llu: %d, %s", (unsigned long long)seed,
              s, e.text);
        if (!s) {
            read++;
            fa_board_needs(&b, &b.build, &needs);
            int32_t banks = b.bank[0].count + (b.n_bank_kinds > 1 ? b.bank[1].count : 0);
            int32_t bank = fa_board_port_bank(&b, &b.build, b.build.units - 1, b.build.ports);
            CHECK(needs.lut > 0 && fa_board_read_rate(&b, &b.build) > 0 && bank >= 0 && bank < banks, "seed %llu",
                  (unsigned long long)seed);
        }
        free(path);
        free(damaged.data);
    }
    CHECK(read > 0 && read < 2000, "%d of 2000 were read", read);
    free(text);
    check_remove(dir);
    free(dir);
}

static void keys_become_si_units(void *arg) {
    (void)arg;
    fa_board b;
    fa_error e;
    CHECK_OK(fa_board_find(&b, "U55C", &e), &e);
    CHECK(!strcmp(b.name, "u55c") && !strcmp(b.title, "AMD Alveo U55C") && b.runtime == FA_RUNTIME_XRT && !b.dsp58);
    CHECK(b.slrs == 3 && !b.packaged && b.part_has.lut == 1303680 && b.usable.dsp == 8376 && b.usable.bram == 1776);
    CHECK(b.n_bank_kinds == 1 && !strcmp(b.bank[0].name, "HBM") && b.bank[0].count == 32);
    CHECK(b.bank[0].bank_bytes == INT64_C(512) << 20 && fa_board_bytes(&b) == INT64_C(16) << 30);
    CHECK(b.bank[0].peak_bytes_per_s == 14.375e9 && fabs(b.bank[0].read_latency_s - 280e-9) < 1e-15);
    CHECK(b.to_card_bytes_per_s == 11.6e9 && fabs(b.launch_s - 10.2e-6) < 1e-12 && b.price_usd == 4747);
    CHECK(b.build.clock_hz == 250e6 && b.build.ports == 16 && b.build.port_bytes == 64 && b.rent_usd_per_h == 0);
}

static void assumptions_are_known(void *arg) {
    (void)arg;
    fa_board b;
    fa_error e;
    CHECK_OK(fa_board_find(&b, "u55c", &e), &e);
    bool latency = false;
    int n = 0;
    for (const char *a; (a = fa_board_assumption(&b, n)); n++) {
        CHECK(strcmp(a, "fabric.lut"), "fabric.lut has a source");
        latency |= !strcmp(a, "memory.read_latency_ns");
    }
    CHECK(latency && n > 3, "%d assumptions", n);
}

/* A path and a built-in name read the same; the built-in ones are exactly the files. */
static void files_are_built_in(void *arg) {
    (void)arg;
    for (int i = 0; fa_board_name(i); i++) {
        char path[64];
        fa_board a, b;
        fa_error e;
        snprintf(path, sizeof path, "boards/%s.board", fa_board_name(i));
        CHECK_OK(fa_board_find(&a, fa_board_name(i), &e), &e);
        CHECK_OK(fa_board_find(&b, path, &e), &e);
        CHECK(!memcmp(&a, &b, sizeof a), "%s", path);
        CHECK(!i || strcmp(fa_board_name(i - 1), fa_board_name(i)) < 0, "%s is out of order", fa_board_name(i));
    }
    fa_board b;
    fa_error e;
    CHECK(fa_board_find(&b, "u9999", &e) == FA_EINVAL && strstr(e.text, "u9999") && strstr(e.text, "u55c"), "%s",
          e.text);
    CHECK(fa_board_name(-1) == NULL && fa_board_name(1000) == NULL);
}

static void count_fact(void *context, const fa_board_fact *fact) {
    int *n = context;
    n[!strncmp(fact->name, "sources.", 8) ? 1 : 0]++;
    CHECK(fact->unit && fact->about, "%s", fact->name);
    CHECK(!fact->assumed || (fact->source && !strncmp(fact->source, "assumed: ", 9)), "%s", fact->name);
    if (!strcmp(fact->name, "power.full_w"))
        CHECK(!strcmp(fact->value, "115") && !strcmp(fact->source, "S5") && !strcmp(fact->unit, "W"));
    if (!strcmp(fact->name, "price.rent_usd_per_h")) CHECK(!fact->value && !fact->source);
}

static void facts_are_listed_with_their_sources(void *arg) {
    (void)arg;
    int n[2] = {0};
    fa_error e;
    CHECK_OK(fa_board_facts("u55c", count_fact, n, &e), &e);
    CHECK(n[0] == FA_FIELDS && n[1] > 3, "%d facts, %d sources", n[0], n[1]);
}

/* No field lies over another, and each reaches the member it names: a file that changes one value changes one member. */
static void a_field_is_one_member(void *arg) {
    (void)arg;
    for (int i = 0; i < FA_FIELDS; i++)
        for (int j = 0; j < i; j++) {
            const fa_field *a = &fa_fields[i], *b = &fa_fields[j];
            CHECK(a->offset + a->size <= b->offset || b->offset + b->size <= a->offset, "%s and %s", a->name, b->name);
            CHECK(strcmp(a->name, b->name), "%s", a->name);
        }
}

int main(int argc, char **argv) {
    enum { BAD = sizeof bad_files / sizeof *bad_files };
    static const check_case others[] = {
        {"keys become SI units", keys_become_si_units, NULL},
        {"assumptions are known by name", assumptions_are_known, NULL},
        {"the files are built in", files_are_built_in, NULL},
        {"facts are listed with their sources", facts_are_listed_with_their_sources, NULL},
        {"a field is one member", a_field_is_one_member, NULL},
        {"damaged files are refused or read", damaged_files_are_refused_or_read, NULL},
        {"hostile files end in an error", hostile_files_end_in_an_error, NULL},
    };
    enum { OTHERS = sizeof others / sizeof *others };
    check_case cases[OTHERS + BAD];
    char names[BAD][80];
    memcpy(cases, others, sizeof others);
    for (int i = 0; i < BAD; i++) {
        snprintf(names[i], sizeof names[i], "refused: %s", bad_files[i].name);
        cases[OTHERS + i] = (check_case){names[i], a_bad_file_is_refused, (void *)&bad_files[i]};
    }
    return check_main(argc, argv, cases, OTHERS + BAD);
}
