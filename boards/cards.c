/* Cards on the PCI bus, and what a report of xbutil adds. */
#include "boards/cards.h"

#include <dirent.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "host/base/json.h"

enum { XILINX = 0x10EE, ACCELERATOR = 0x1200 };

/* XRT 2.13, xocl/devices.h; of the V80: AVED's documentation (functions 0 and 1). A card has a function for management and one for users. */
static const struct {
    const char *board;
    uint32_t manage, user;
} known[] = {
    {"u200", 0x5000, 0x5001}, {"u250", 0x5004, 0x5005},    {"u280", 0x500C, 0x500D}, {"u50", 0x5020, 0x5021},
    {"u55c", 0x505C, 0x505D}, {"vck5000", 0x5044, 0x5045}, {"v80", 0x50B4, 0x50B5},
};

/* ---- the bus ---- */

/* A number in a file of sysfs, "0x10ee" or "3"; `fallback` when there is none. */
static long read_number(const char *folder, const char *bdf, const char *file, long fallback) {
    char path[PATH_MAX], line[32] = "";
    snprintf(path, sizeof path, "%s/%s/%s", folder, bdf, file);
    FILE *f = fopen(path, "r");
    if (!f) return fallback;
    char *end = line;
    long v = fgets(line, sizeof line, f) ? strtol(line, &end, 0) : 0;
    fclose(f);
    return end == line ? fallback : v;
}

static void read_driver(const char *folder, fa_card *c) {
    char path[PATH_MAX], target[PATH_MAX];
    snprintf(path, sizeof path, "%s/%s/driver", folder, c->bdf);
    ssize_t n = readlink(path, target, sizeof target - 1);
    if (n <= 0) return;
    target[n] = 0;
    const char *slash = strrchr(target, '/');
    snprintf(c->driver, sizeof c->driver, "%.31s", slash ? slash + 1 : target);
}

/* False when the function is no accelerator card. */
static bool read_function(const char *folder, const char *bdf, fa_card *c) {
    if (read_number(folder, bdf, "vendor", 0) != XILINX) return false;
    *c = (fa_card){.watts = -1, .max_watts = -1, .celsius = -274};
    c->device = (uint32_t)read_number(folder, bdf, "device", 0);
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        if (c->device != known[i].manage && c->device != known[i].user) continue;
        snprintf(c->board, sizeof c->board, "%s", known[i].board);
        c->user = c->device == known[i].user;
    }
    if (!*c->board && read_number(folder, bdf, "class", 0) >> 8 != ACCELERATOR) return false;
    snprintf(c->bdf, sizeof c->bdf, "%.15s", bdf);
    c->node = (int32_t)read_number(folder, bdf, "numa_node", -1);
    read_driver(folder, c);
    return true;
}

/* "0000:3b:00.1" and "0000:3b:00.0" are of one card. */
static bool same_card(const fa_card *a, const fa_card *b) {
    return strcspn(a->bdf, ".") == strcspn(b->bdf, ".") && !strncmp(a->bdf, b->bdf, strcspn(a->bdf, "."));
}

int fa_cards_scan(const char *folder, fa_card *cards, int max) {
    struct dirent **entry;
    int n = 0, entries = scandir(folder, &entry, NULL, alphasort);
    for (int i = 0; i < entries; i++) {
        fa_card c;
        if (entry[i]->d_name[0] != '.' && n < max && read_function(folder, entry[i]->d_name, &c)) {
            bool again = n && same_card(&cards[n - 1], &c);
            if (again && c.user)
                cards[n - 1] = c;
            else if (!again)
                cards[n++] = c;
        }
        free(entry[i]);
    }
    if (entries >= 0) free(entry);
    return n;
}

/* ---- a report ---- */

static fa_card *find(fa_card *cards, int n, const char *bdf) {
    for (int i = 0; i < n && bdf; i++)
        if (!strcmp(cards[i].bdf, bdf)) return &cards[i];
    return NULL;
}

/* Boost's property trees, with which XRT writes, make texts of all values; newer releases write numbers. False: "N/A", "" or none. */
static bool number(const json_t *v, double *out) {
    if (json_is_number(v)) {
        *out = json_number_value(v);
        return true;
    }
    const char *text = json_string_value(v);
    if (!text || !*text) return false;
    char *end;
    double d = strtod(text, &end);
    if (*end || d != d) return false;
    *out = d;
    return true;
}

static bool yes(const json_t *v) {
    const char *text = json_string_value(v);
    return json_is_true(v) || (text && !strcmp(text, "true"));
}

static void take_shell(fa_card *c, const json_t *vbnv) {
    const char *text = json_string_value(vbnv);
    if (text && *text) snprintf(c->shell, sizeof c->shell, "%s", text);
}

static void take_device(fa_card *c, const json_t *device) {
    const json_t *electrical = json_object_get(device, "electrical"), *sensor;
    size_t i;
    double v;
    take_shell(
        c, json_object_get(json_object_get(json_array_get(json_object_get(device, "platforms"), 0), "static_region"),
                           "vbnv"));
    if (number(json_object_get(electrical, "power_consumption_watts"), &v)) c->watts = v;
    if (number(json_object_get(electrical, "power_consumption_max_watts"), &v)) c->max_watts = v;
    json_array_foreach(json_object_get(device, "thermals"), i, sensor) {
        const char *name = json_string_value(json_object_get(sensor, "description"));
        bool there = yes(json_object_get(sensor, "is_present")) && number(json_object_get(sensor, "temp_C"), &v);
        if (!there || v <= c->celsius) continue;
        c->celsius = v;
        snprintf(c->hottest, sizeof c->hottest, "%s", name ? name : "a sensor");
    }
}

fa_status fa_cards_take_report(fa_card *cards, int n, const char *text, size_t bytes, const char *name, fa_error *e) {
    json_t *root, *entry;
    size_t i;
    fa_status s = fa_json_parse(&root, text, bytes, name, e);
    if (s) return s;
    const json_t *schema = json_object_get(json_object_get(root, "schema_version"), "schema");
    json_t *host = json_object_get(json_object_get(root, "system"), "host"),
           *devices = json_object_get(root, "devices");
    if (!json_is_string(schema) || (!json_is_array(devices) && !json_is_object(host)))
        s = fa_fail(e, FA_EFORMAT,
                    "%s: not a report of xbutil: no schema_version.schema, or neither devices nor system.host", name);
    for (i = 0; !s && i < json_array_size(json_object_get(host, "devices")); i++) {
        entry = json_array_get(json_object_get(host, "devices"), i);
        fa_card *c = find(cards, n, json_string_value(json_object_get(entry, "bdf")));
        if (!c) continue;
        c->ready = yes(json_object_get(entry, "is_ready"));
        take_shell(c, json_object_get(entry, "vbnv"));
    }
    for (i = 0; !s && i < json_array_size(devices); i++) {
        entry = json_array_get(devices, i);
        fa_card *c = find(cards, n, json_string_value(json_object_get(entry, "device_id")));
        if (c) take_device(c, entry);
    }
    json_decref(root);
    return s;
}
