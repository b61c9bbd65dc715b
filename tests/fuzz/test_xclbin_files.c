/* Damaged xclbin files: each ends in a typed error that names the file and the section, or in a read whose tables can be walked. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "boards/xclbin.h"
#include "tests/lib/check.h"
#include "tests/lib/files.h"
#include "tests/lib/mutate.h"
#include "tests/lib/openers.h"

static uint8_t *whole(size_t *n) {
    fa_board b;
    fa_error e;
    void *bytes;
    fa_xclbin_options o = {FA_XCLBIN_SW_EMU, NULL, FA_AP_CTRL_HS, "bits", 4};
    CHECK_OK(fa_board_find(&b, "u200", &e), &e);
    CHECK_OK(fa_xclbin_make(&b, &o, &bytes, n, &e), &e);
    return bytes;
}

static fa_status read_bytes(const char *dir, const uint8_t *data, size_t n, fa_error *e) {
    char *path = check_write(dir, "damaged.xclbin", data, n);
    fa_status s = check_open_xclbin(path, e);
    free(path);
    return s;
}

static void random_damage(void *arg) {
    size_t n, head = *(size_t *)arg;
    uint8_t *data = whole(&n);
    char *dir = check_scratch();
    int errors = 0, loads = 0;
    for (uint64_t seed = 1; seed <= 600; seed++) {
        fa_error e = {0};
        check_bytes b = check_mutate(data, n, head ? head : n, seed);
        fa_status s = read_bytes(dir, b.data, b.n, &e);
        CHECK(!s || (e.status == s && strstr(e.text, "damaged.xclbin")), "seed %llu: '%s'", (unsigned long long)seed,
              e.text);
        errors += s != FA_OK;
        loads += !s;
        free(b.data);
    }
    CHECK(errors > 100 && loads > 0, "%d errors, %d loads", errors, loads);
    check_remove(dir);
    free(dir), free(data);
}

static void every_cut(void *arg) {
    (void)arg;
    size_t n;
    uint8_t *data = whole(&n);
    char *dir = check_scratch();
    for (size_t cut = 0; cut < n; cut += cut < 1200 ? 7 : 997) {
        fa_error e = {0};
        CHECK(read_bytes(dir, data, cut, &e) == FA_EFORMAT && *e.text, "%zu bytes: %s", cut, e.text);
    }
    check_remove(dir);
    free(dir), free(data);
}

/* ---- damage of one kind ---- */

typedef struct damage {
    uint32_t kind; /* of the section */
    size_t at;     /* in it; SIZE_MAX: the metadata becomes `xml` */
    int32_t value; /* put there */
    const char *xml, *says;
} damage;

static void known_damage(void *arg) {
    const damage *d = arg;
    size_t n;
    uint8_t *data = whole(&n);
    char *dir = check_scratch();
    fa_axlf_section *s = (fa_axlf_section *)(data + sizeof(fa_axlf));
    while (s->kind != d->kind) s++;
    if (d->xml) {
        memset(data + s->offset, ' ', s->bytes);
        memcpy(data + s->offset, d->xml, strlen(d->xml));
    } else {
        memcpy(data + s->offset + d->at, &d->value, sizeof d->value);
    }
    fa_error e = {0};
    CHECK(read_bytes(dir, data, n, &e) == FA_EFORMAT, "it was read");
    CHECK(strstr(e.text, d->says), "%s", e.text);
    check_remove(dir);
    free(dir), free(data);
}

int main(int argc, char **argv) {
    static size_t anywhere = 0, in_head = sizeof(fa_axlf) + 9 * sizeof(fa_axlf_section);
    static const char bomb[] =
        "<!DOCTYPE p [<!ENTITY a 'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa'>"
        "<!ENTITY b '&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;'><!ENTITY c '&b;&b;&b;&b;&b;&b;&b;&b;&b;&b;'>"
        "<!ENTITY d '&c;&c;&c;&c;&c;&c;&c;&c;&c;&c;'><!ENTITY e '&d;&d;&d;&d;&d;&d;&d;&d;&d;&d;'>"
        "<!ENTITY f '&e;&e;&e;&e;&e;&e;&e;&e;&e;&e;'><!ENTITY g '&f;&f;&f;&f;&f;&f;&f;&f;&f;&f;'>]>"
        "<project>&g;</project>";
    static const struct {
        const char *name;
        damage d;
    } kinds[] = {
        {"more memories than the section holds",
         {FA_SECTION_GROUP_TOPOLOGY, 0, 1 << 30, NULL, "GROUP_TOPOLOGY: 1073741824"}},
        {"a negative count of units", {FA_SECTION_IP_LAYOUT, 0, -1, NULL, "IP_LAYOUT: -1 entries"}},
        {"a connection to no memory", {FA_SECTION_GROUP_CONNECTIVITY, 12, 99, NULL, "with memory 99"}},
        {"a connection of no unit", {FA_SECTION_GROUP_CONNECTIVITY, 8, -2, NULL, "of unit -2"}},
        {"metadata that is no XML", {FA_SECTION_EMBEDDED_METADATA, 0, 0, "<project><", "EMBEDDED_METADATA:1:"}},
        {"metadata of something else",
         {FA_SECTION_EMBEDDED_METADATA, 0, 0, "<svg/>", "expected a project, found 'svg'"}},
        {"an argument whose offset is a word",
         {FA_SECTION_EMBEDDED_METADATA, 0, 0,
          "<project><platform><device><core>\n<kernel name='k'><arg offset='here'/></kernel></core></device></platform></project>",
          "EMBEDDED_METADATA:2: offset 'here'"}},
        {"metadata that grows when read", {FA_SECTION_EMBEDDED_METADATA, 0, 0, bomb, "EMBEDDED_METADATA:1:"}},
    };
    enum { KINDS = sizeof kinds / sizeof *kinds };
    check_case cases[KINDS + 3] = {{"damaged anywhere", random_damage, &anywhere},
                                   {"damaged in its headers", random_damage, &in_head},
                                   {"cut anywhere", every_cut, NULL}};
    for (int i = 0; i < KINDS; i++) cases[i + 3] = (check_case){kinds[i].name, known_damage, (void *)&kinds[i].d};
    return check_main(argc, argv, cases, KINDS + 3);
}
