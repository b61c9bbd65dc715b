/* Cards: found in a tree like sysfs, and what reports of xbutil add. No card is in the machine that ran these, so the reports were written by
 * hand from XRT 2.13's sources that write them (core/tools/common/Report*.cpp, core/common/{sensor,info_platform}.cpp). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "boards/cards.h"
#include "tests/lib/check.h"
#include "tests/lib/files.h"
#include "tests/lib/mutate.h"

/* One function of a tree like /sys/bus/pci/devices. */
typedef struct function {
    const char *bdf, *vendor, *device, *class, *node, *driver;
} function;

static void add(const char *root, const function *p) {
    const char *const files[][2] = {
        {"vendor", p->vendor}, {"device", p->device}, {"class", p->class}, {"numa_node", p->node}};
    char path[512], target[256];
    snprintf(path, sizeof path, "%s/%s", root, p->bdf);
    CHECK(!mkdir(path, 0777));
    for (size_t i = 0; i < 4; i++)
        if (files[i][1]) free(check_write(path, files[i][0], files[i][1], strlen(files[i][1])));
    if (!p->driver) return;
    snprintf(path, sizeof path, "%s/%s/driver", root, p->bdf);
    snprintf(target, sizeof target, "../../../bus/pci/drivers/%s", p->driver);
    CHECK(!symlink(target, path));
}

static int scan(const function *tree, int n, fa_card *cards, int max) {
    char *root = check_scratch();
    for (int i = 0; i < n; i++) add(root, &tree[i]);
    int found = fa_cards_scan(root, cards, max);
    check_remove(root);
    free(root);
    return found;
}

static const function machine[] = {
    {"0000:00:00.0", "0x8086\n", "0x2020\n", "0x060000\n", "0\n", NULL},
    {"0000:3b:00.0", "0x10ee\n", "0x505c\n", "0x120000\n", "0\n", "xclmgmt"},
    {"0000:3b:00.1", "0x10ee\n", "0x505d\n", "0x120000\n", "0\n", "xocl"},
    {"0000:5e:00.0", "0x10ee\n", "0x7024\n", "0x058000\n", "0\n", NULL}, /* a DMA design of someone's: no accelerator */
    {"0000:86:00.0", "0x10ee\n", "0x50b4\n", "0x120000\n", "1\n", "ami"},
    {"0000:86:00.1", "0x10ee\n", "0x50b5\n", "0x120000\n", "1\n", NULL},
    {"0000:af:00.0", "0x10ee\n", "0x500c\n", "0x120000\n", "-1\n", "xclmgmt"},
    {"0000:d8:00.0", "0x10ee\n", "0x9999\n", "0x120000\n", NULL, NULL},
};
enum { FUNCTIONS = sizeof machine / sizeof *machine };

static void the_bus_is_read(void *arg) {
    (void)arg;
    static const struct {
        const char *bdf, *board, *driver;
        int node, user;
    } wanted[] = {
        {"0000:3b:00.1", "u55c", "xocl", 0, 1},
        {"0000:86:00.1", "v80", "", 1, 1},
        {"0000:af:00.0", "u280", "xclmgmt", -1, 0},
        {"0000:d8:00.0", "", "", -1, 0},
    };
    fa_card c[FA_CARDS];
    int n = scan(machine, FUNCTIONS, c, FA_CARDS);
    CHECK(n == 4, "%d cards", n);
    for (int i = 0; i < n; i++) {
        CHECK(!strcmp(c[i].bdf, wanted[i].bdf) && !strcmp(c[i].board, wanted[i].board), "%s, %s", c[i].bdf, c[i].board);
        CHECK(!strcmp(c[i].driver, wanted[i].driver) && c[i].node == wanted[i].node && c[i].user == wanted[i].user,
              "%s: %s", c[i].bdf, c[i].driver);
        CHECK(c[i].watts < 0 && c[i].celsius < -273 && !*c[i].shell && !c[i].ready);
    }
    CHECK(scan(machine, FUNCTIONS, c, 1) == 1, "more than there is room for");
    CHECK(fa_cards_scan("/dev/null/x", c, FA_CARDS) == 0);
}

static char *recorded(size_t *n) {
    return (char *)check_read("tests/unit/xbutil/two-cards.json", n);
}

static void a_report_is_taken(void *arg) {
    (void)arg;
    fa_card c[FA_CARDS];
    fa_error e;
    size_t bytes;
    char *text = recorded(&bytes);
    int n = scan(machine, FUNCTIONS, c, FA_CARDS);
    snprintf(c[2].bdf, sizeof c[2].bdf, "0000:af:00.1");
    CHECK_OK(fa_cards_take_report(c, n, text, bytes, "report", &e), &e);
    CHECK(c[0].ready && !strcmp(c[0].shell, "xilinx_u55c_gen3x16_xdma_base_3"), "%s", c[0].shell);
    CHECK(c[0].watts == 29.452 && c[0].max_watts == 150, "%g W of %g", c[0].watts, c[0].max_watts);
    CHECK(c[0].celsius == 43 && !strcmp(c[0].hottest, "FPGA"), "%g, %s", c[0].celsius, c[0].hottest);
    CHECK(!c[2].ready && !strcmp(c[2].shell, "xilinx_u280_GOLDEN_8") && c[2].watts < 0);
    CHECK(!*c[1].shell && !c[1].ready && !*c[3].shell, "a card that the report does not name has changed");
    free(text);
}

typedef struct variant {
    const char *text, *says;
} variant;

static void a_strange_report_is_refused(void *arg) {
    const variant *v = arg;
    fa_card c = {.bdf = "0000:3b:00.1", .watts = -1, .celsius = -274};
    fa_error e = {0};
    fa_status s = fa_cards_take_report(&c, 1, v->text, strlen(v->text), "the report", &e);
    CHECK(s == FA_EFORMAT && strstr(e.text, "the report") && strstr(e.text, v->says), "%d: %s", s, e.text);
    CHECK(c.watts < 0 && !c.ready && !*c.shell);
}

/* "N/A" and absent sensors are not known, and numbers may be numbers. */
static void values_have_two_forms(void *arg) {
    (void)arg;
    static const char text[] =
        "{\"schema_version\":{\"schema\":\"JSON\"},\"devices\":["
        "{\"device_id\":\"a\",\"electrical\":{\"power_consumption_watts\":31.5,\"power_consumption_max_watts\":\"NA\"},"
        "\"thermals\":[{\"description\":\"FPGA\",\"temp_C\":51,\"is_present\":true},{\"temp_C\":\"N/A\",\"is_present\":\"true\"}]},"
        "{\"device_id\":\"b\",\"electrical\":{\"power_consumption_watts\":\"N/A\"},\"platforms\":[]},{\"device_id\":7},[]]}";
    fa_card c[2] = {{.bdf = "a", .watts = -1, .max_watts = -1, .celsius = -274},
                    {.bdf = "b", .watts = -1, .max_watts = -1, .celsius = -274}};
    fa_error e;
    CHECK_OK(fa_cards_take_report(c, 2, text, sizeof text - 1, "report", &e), &e);
    CHECK(c[0].watts == 31.5 && c[0].max_watts < 0 && c[0].celsius == 51);
    CHECK(c[1].watts < 0 && c[1].celsius < -273);
}

/* ---- asking ---- */

/* A folder as $XILINX_XRT, whose xbutil is this script. */
static char *runtime(const char *script) {
    char *root = check_scratch(), path[512];
    snprintf(path, sizeof path, "%s/bin", root);
    CHECK(!mkdir(path, 0777));
    char *program = check_write(path, "xbutil", script, strlen(script));
    CHECK(!chmod(program, 0755));
    free(program);
    snprintf(path, sizeof path, "%s/bin/unwrapped", root);
    CHECK(!mkdir(path, 0777));
    program = check_write(path, "xbutil", script, strlen(script));
    CHECK(!chmod(program, 0755) && !setenv("XILINX_XRT", root, 1));
    free(program);
    return root;
}

static void xbutil_is_asked(void *arg) {
    (void)arg;
    fa_card c[2] = {{.bdf = "0000:3b:00.1", .user = true, .watts = -1, .celsius = -274}, {.bdf = "0000:af:00.0"}};
    fa_error e;
    char path[512];
    char *root = runtime("#!/bin/sh\n"
                         "[ \"$1 $2 $3\" = 'examine -d 0000:3b:00.1' ] || exit 3\n" /* and no other card */
                         "while [ \"$1\" != -o ]; do shift; done\n"
                         "cp tests/unit/xbutil/two-cards.json \"$2\"\n");
    CHECK(fa_cards_xbutil(path, sizeof path) && !strncmp(path, root, strlen(root)), "%s", path);
    CHECK_OK(fa_cards_ask(c, 2, &e), &e);
    CHECK(c[0].ready && c[0].watts == 29.452 && c[0].celsius == 43 && !*c[1].shell);
    check_remove(root);
    free(root);
}

static void a_failing_xbutil_is_told(void *arg) {
    (void)arg;
    static const struct {
        const char *script, *says;
        fa_status status;
    } kinds[] = {
        {"#!/bin/sh\nexit 7\n", "status 7", FA_EIO},
        {"#!/bin/sh\n", "report.json", FA_EIO}, /* it said nothing */
        {"#!/bin/sh\nwhile [ $1 != -o ]; do shift; done\necho ERROR >$2\n", "the report of xbutil", FA_EFORMAT},
    };
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        fa_card c = {.bdf = "0000:3b:00.1", .user = true, .watts = -1};
        fa_error e = {0};
        char *root = runtime(kinds[i].script);
        fa_status s = fa_cards_ask(&c, 1, &e);
        CHECK(s == kinds[i].status && strstr(e.text, kinds[i].says), "%zu: %d, %s", i, s, e.text);
        CHECK(c.watts < 0 && !c.ready);
        check_remove(root);
        free(root);
    }
    fa_error e = {0};
    CHECK(!setenv("XILINX_XRT", "/dev/null/x", 1) && !setenv("PATH", "/dev/null/x", 1));
    CHECK(fa_cards_ask(NULL, 0, &e) == FA_EUNSUPPORTED && strstr(e.text, "no xbutil"), "%s", e.text);
}

static void damaged_reports_do_no_harm(void *arg) {
    (void)arg;
    size_t bytes;
    char *text = recorded(&bytes);
    int errors = 0;
    for (uint64_t seed = 1; seed <= 400; seed++) {
        fa_card c = {.bdf = "0000:3b:00.1", .watts = -1, .celsius = -274};
        fa_error e = {0};
        check_bytes b = seed % 2 ? check_mutate((uint8_t *)text, bytes, bytes, seed)
                                 : check_mutate_json((uint8_t *)text, bytes, seed);
        fa_status s = fa_cards_take_report(&c, 1, (char *)b.data, b.n, "report", &e);
        CHECK(s == FA_OK || (s == FA_EFORMAT && *e.text), "seed %llu: %s", (unsigned long long)seed, e.text);
        errors += s != FA_OK;
        free(b.data);
    }
    CHECK(errors > 50, "%d errors", errors);
    free(text);
}

int main(int argc, char **argv) {
    static const variant not_json = {"ERROR: no such device", "1"}, other = {"{\"a\": 1}", "schema_version"},
                         empty = {"{\"schema_version\": {\"schema\": \"JSON\"}}", "neither devices nor system.host"};
    const check_case cases[] = {
        {"cards are found on the bus, one for two functions", the_bus_is_read, NULL},
        {"a report gives shells, readiness, power and the hottest sensor", a_report_is_taken, NULL},
        {"values may be texts or numbers, known or not", values_have_two_forms, NULL},
        {"a report that is no JSON is refused", a_strange_report_is_refused, (void *)&not_json},
        {"a report of something else is refused", a_strange_report_is_refused, (void *)&other},
        {"a report of nothing is refused", a_strange_report_is_refused, (void *)&empty},
        {"xbutil is asked about cards that programs can use", xbutil_is_asked, NULL},
        {"damaged reports do no harm", damaged_reports_do_no_harm, NULL},
        {"an xbutil that fails or is missing is told", a_failing_xbutil_is_told, NULL},
    };
    return check_main(argc, argv, cases, sizeof cases / sizeof *cases);
}
