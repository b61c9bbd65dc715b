/* fathom boards. */
#include <stdlib.h>
#include <string.h>

#include "boards/board.h"
#include "host/base/json.h"
#include "tests/lib/check.h"
#include "tests/lib/command.h"

static json_t *boards_json(const char *arguments) {
    check_output o = check_command("\"$FATHOM_BIN\" boards --json %s", arguments);
    CHECK(o.status == 0, "%s", o.err);
    fa_error e;
    json_t *j;
    CHECK_OK(fa_json_parse(&j, o.out, o.out_bytes, "boards", &e), &e);
    check_output_free(&o);
    return j;
}

static void every_board_is_listed(void *arg) {
    (void)arg;
    check_output o = check_command("\"$FATHOM_BIN\" boards");
    CHECK(o.status == 0 && !*o.err, "%s", o.err);
    json_t *list = boards_json("");
    size_t n = 0;
    for (; fa_board_name((int)n); n++) {
        const json_t *row = json_array_get(list, n);
        const char *name = json_string_value(json_object_get(row, "name"));
        CHECK(name && !strcmp(name, fa_board_name((int)n)), "%s", name);
        CHECK(strstr(o.out, name), "the table has no %s", name);
        CHECK(json_number_value(json_object_get(row, "read_bytes_per_s")) > 1e10);
    }
    CHECK(json_array_size(list) == n && n == 10, "%zu boards", n);
    json_decref(list);
    check_output_free(&o);
}

static void a_board_shows_facts_sources_and_fit(void *arg) {
    const char *name = arg;
    check_output o = check_command("\"$FATHOM_BIN\" boards %s", name);
    CHECK(o.status == 0 && !*o.err, "%s", o.err);
    static const char *const wanted[] = {"[memory]", "[sources]", "needed", "LUT", "[assumed: ", "GB/s"};
    for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++) CHECK(strstr(o.out, wanted[i]), "no '%s'", wanted[i]);
    check_output_free(&o);
}

static void json_has_values_units_and_sources(void *arg) {
    (void)arg;
    json_t *j = boards_json("u55c");
    json_t *peak = json_object_get(json_object_get(j, "facts"), "memory.peak_gb_per_s");
    CHECK(json_number_value(json_object_get(peak, "value")) == 14.375);
    CHECK(!strcmp(json_string_value(json_object_get(peak, "unit")), "GB/s"));
    CHECK(!strcmp(json_string_value(json_object_get(peak, "source")), "S3"));
    CHECK(json_is_false(json_object_get(peak, "assumed")));
    CHECK(json_object_get(json_object_get(j, "sources"), "S3"), "S3 is not explained");
    json_t *build = json_object_get(j, "build"), *lut = json_object_get(json_object_get(build, "resources"), "LUT");
    CHECK(json_number_value(json_object_get(lut, "usable")) == 1146240);
    CHECK(json_is_boolean(json_object_get(build, "fits")));
    json_decref(j);
}

/* A copy of a built-in file with four times the rows is refused by its numbers, and the rest is still shown. */
static void what_does_not_fit_says_so_with_numbers(void *arg) {
    (void)arg;
    char *dir = check_folder();
    check_output o = check_command("sed 's/^rows = [0-9]*/rows = 64/' boards/u55c.board >%s/big.board && "
                                   "\"$FATHOM_BIN\" boards %s/big.board",
                                   dir, dir);
    CHECK(o.status == 0, "%s", o.err);
    CHECK(strstr(o.out, "big: units 2, ports ") && strstr(o.out, "do not fit: LUT needs ") &&
              strstr(o.out, "of 1146240"),
          "%s", o.out);
    check_output_free(&o);
    check_folder_remove(dir);
}

static void wrong_use_says_what(void *arg) {
    (void)arg;
    static const check_refusal uses[] = {
        {"boards u9999", "no board is called 'u9999'; there are f2, kv260", 1},
        {"boards /nonexistent/x.board", "/nonexistent/x.board", 1},
        {"boards u55c u280", "unexpected argument 'u280'", 2},
        {"boards --vitis /nonexistent", "--vitis needs the name of a board", 2},
        {"boards --nonsense", "nonsense", 2},
    };
    check_refusals(uses, sizeof uses / sizeof *uses);
}

static void a_broken_file_is_named_with_its_line(void *arg) {
    (void)arg;
    char *dir = check_folder();
    check_output o = check_command(
        "printf '[fabric]\\nlut = many [x]\\n' >%s/my.board; \"$FATHOM_BIN\" boards %s/my.board", dir, dir);
    CHECK(o.status == 1 && strstr(o.err, "/my.board:2: fabric.lut"), "%d, %s", o.status, o.err);
    CHECK(o.out_bytes == 0, "%s", o.out);
    check_output_free(&o);
    check_folder_remove(dir);
}

/* Each configuration holds what v++ needs of it; a board that nothing drives, or whose build does not fit, gets none. */
static void configurations_are_written(void *arg) {
    (void)arg;
    char *dir = check_folder();
    check_output o = check_command(
        "\"$FATHOM_BIN\" boards --vitis %s/out u280 && cat %s/out/compile.cfg %s/out/link.cfg", dir, dir, dir);
    CHECK(o.status == 0 && !*o.err, "%s", o.err);
    static const char *const wanted[] = {"platform=xilinx_u280_gen3x16_xdma_1_202211_1\n",
                                         "kernel_frequency=250\n",
                                         "define=HLS_PORTS=16\n",
                                         "define=HLS_PORT_BYTES=64\n",
                                         "[connectivity]\n",
                                         "nk=fathom_matmul:2\n",
                                         "sp=fathom_matmul_2.m_axi_w0:HBM[16]\n",
                                         "sp=fathom_mla_1.m_axi_io:DDR[0:1]\n",
                                         "slr=fathom_"};
    for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++) CHECK(strstr(o.out, wanted[i]), "no %s", wanted[i]);
    check_output_free(&o);
    static const struct {
        const char *board, *says;
    } refused[] = {{"v80", "AVED"}, {"vhk158", "no platform"}, {"kv260", "do not fit"}};
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        o = check_command("\"$FATHOM_BIN\" boards --vitis %s/none %s", dir, refused[i].board);
        CHECK(o.status == 1 && strstr(o.err, refused[i].says), "%s: %d, %s", refused[i].board, o.status, o.err);
        check_output_free(&o);
        o = check_command("ls %s/none", dir);
        CHECK(o.status != 0, "%s: files were written", refused[i].board);
        check_output_free(&o);
    }
    check_folder_remove(dir);
}

/* make, as a person calls it: not as a part of the make that runs the tests. */
#define MAKE \
    "env -u MAKEFLAGS -u MAKELEVEL -u MFLAGS PATH=/usr/bin:/bin make BUILD=\"$FATHOM_BUILD\" -o \"$FATHOM_BIN\" "

static void make_prints_the_commands(void *arg) {
    (void)arg;
    check_output o = check_command(MAKE "-n xclbin BOARD=u280");
    CHECK(o.status == 0, "%s", o.err);
    static const char *const wanted[] = {"v++ -c -t hw ", " -k fathom_matmul ", " -k fathom_mla ", " hls/rowwise.c",
                                         "v++ -l -t hw ", "/link.cfg -o ",      "/fathom.xclbin "};
    for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++)
        CHECK(strstr(o.out, wanted[i]), "no '%s' in %s", wanted[i], o.out);
    CHECK(!strstr(o.out, "v++ -p"), "a packaging step for a card that needs none");
    check_output_free(&o);
    o = check_command(MAKE "-n xclbin BOARD=u280 TARGET=hw_emu");
    CHECK(o.status == 0 && strstr(o.out, "v++ -l -t hw_emu ") && strstr(o.out, "emconfigutil --platform xilinx_u280"),
          "%s", o.err);
    check_output_free(&o);
    o = check_command(MAKE "xclbin-config BOARD=boards/u55c.board");
    CHECK(o.status == 0 && strstr(o.out, "u55c-hw/link.cfg"), "%s%s", o.out, o.err);
    check_output_free(&o);
}

static void make_says_what_is_missing(void *arg) {
    (void)arg;
    static const struct {
        const char *goal, *says;
    } goals[] = {
        {"xclbin BOARD=u280", "needs AMD Vitis"},
        {"xclbin BOARD=v80", "AVED"},
        {"xclbin BOARD=u9999", "no board is called 'u9999'"},
        {"xclbin TARGET=sw_emu", "TARGET is hw or hw_emu"},
    };
    check_output o = check_command("command -v v++");
    bool vitis = o.status == 0;
    check_output_free(&o);
    for (size_t i = vitis ? 1 : 0; i < sizeof goals / sizeof *goals; i++) {
        o = check_command(MAKE "%s", goals[i].goal);
        CHECK(o.status == 2 && strstr(o.err, goals[i].says), "%s: %d, %s", goals[i].goal, o.status, o.err);
        check_output_free(&o);
    }
}

int main(int argc, char **argv) {
    static const check_case cases[] = {
        {"every board is listed", every_board_is_listed, NULL},
        {"u280 shows facts, sources and fit", a_board_shows_facts_sources_and_fit, "u280"},
        {"a path shows the same", a_board_shows_facts_sources_and_fit, "boards/kv260.board"},
        {"JSON has values, units and sources", json_has_values_units_and_sources, NULL},
        {"what does not fit says so with numbers", what_does_not_fit_says_so_with_numbers, NULL},
        {"a broken file is named with its line", a_broken_file_is_named_with_its_line, NULL},
        {"configurations are written for boards that XRT drives", configurations_are_written, NULL},
        {"make -n prints the commands of a board image", make_prints_the_commands, NULL},
        {"make says what a board image lacks", make_says_what_is_missing, NULL},
        {"wrong use says what is wrong", wrong_use_says_what, NULL},
    };
    return check_main(argc, argv, cases, sizeof cases / sizeof *cases);
}
