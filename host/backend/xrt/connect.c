/* From a device to a process with its card open. */
#include <ctype.h>
#include <errno.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "host/backend/xrt/device.h"

enum { OPEN_MS = 60000, CONTROL_MS = 60000, CLOSE_MS = 5000 };

/* ---- asking ---- */

fa_status xrt_check_works(const xrt_device *d, fa_error *e) {
    if (d->dead) return fa_fail(e, FA_EDEVICE, "board %s: %s", d->board.name, d->why.text);
    if (d->stuck) return fa_fail(e, FA_EDEVICE, "board %s: a unit did not end", d->board.name);
    return FA_OK;
}

/* What a call said, with the board's name; the end of the process, if that is what it met. */
static fa_status judge(xrt_device *d, fa_status s, fa_error *own, fa_error *e) {
    if (s && d->process.gone) {
        fa_xrt_process_bury(&d->process, &d->for_good, own);
        d->dead = true;
        d->why = *own;
    }
    return s ? fa_fail(e, s, "board %s: %s", d->board.name, own->text) : FA_OK;
}

fa_status xrt_ask(xrt_device *d, const wire_request *r, wire_reply *reply, int deadline_ms, fa_error *e) {
    fa_error own = {0};
    bool answered = r->kind != WIRE_LAUNCH;
    fa_status s = answered ? fa_xrt_call(&d->process, r, reply, deadline_ms, &own) : fa_xrt_send(&d->process, r, &own);
    return judge(d, s, &own, e);
}

fa_status xrt_ask_model(xrt_device *d, xrt_control *m, fa_error *e) {
    fa_error own = {0};
    return judge(d, fa_xrt_control(&d->process, m, CONTROL_MS, &own), &own, e);
}

/* ---- cards ---- */

fa_status xrt_find_card(const char *name, char bdf[WIRE_NAME], fa_error *e) {
    size_t digits = strspn(name, "0123456789");
    if (name[digits]) {
        snprintf(bdf, WIRE_NAME, "%s%s", strchr(name, ':') == strrchr(name, ':') ? "0000:" : "", name);
        return FA_OK;
    }
    glob_t found = {0};
    size_t index = (size_t)atoi(name);
    int none = glob("/sys/bus/pci/drivers/xocl/*:*:*.*", 0, NULL, &found); /* the driver of a card's user function */
    size_t n = none ? 0 : found.gl_pathc;
    if (index < n) snprintf(bdf, WIRE_NAME, "%s", strrchr(found.gl_pathv[index], '/') + 1);
    globfree(&found);
    if (index < n) return FA_OK;
    return fa_fail(e, FA_EUNSUPPORTED,
                   "card %zu: XRT's driver xocl has %zu (`fathom doctor' says more; xrt:emu is a card in software)",
                   index, n);
}

/* ---- the process ---- */

static fa_status start(xrt_device *d, fa_error *e) {
    char control[48];
    char *const extra[] = {control, d->timeline ? XRT_ENV_TIMELINE "=1" : XRT_ENV_TIMELINE "=0",
                           d->chain ? XRT_ENV_CHAIN "=1" : XRT_ENV_CHAIN "=0"};
    if (d->mode == FA_XRT_CARD) return fa_xrt_process_start(&d->process, d->program, environ, NULL, false, e);
    snprintf(control, sizeof control, XRT_ENV_CONTROL "=%d", WIRE_MODEL);
    char **more = d->emulation.variable;
    while (*more) more++;
    memcpy(more, extra, sizeof extra); /* lent to the list for this call */
    char **environment = fa_xrt_environment(&d->emulation, environ);
    memset(more, 0, sizeof extra);
    if (!environment) return fa_fail(e, FA_ENOMEM, "no memory for an environment");
    fa_status s = fa_xrt_process_start(&d->process, d->program, environment, d->emulation.folder.path, true, e);
    free(environment);
    return s;
}

static fa_status open_card(xrt_device *d, fa_error *e) {
    const fa_board_build *build = &d->board.build;
    bool emulated = d->mode != FA_XRT_CARD;
    wire_reply reply;
    wire_request *r = calloc(1, sizeof *r);
    if (!r) return fa_fail(e, FA_ENOMEM, "no memory for a message");
    r->kind = WIRE_OPEN;
    r->open = (wire_open){.version = WIRE_VERSION,
                          .emulated = emulated,
                          .opencl = d->opencl,
                          .units = build->units,
                          .io_bank = fa_board_port_bank(&d->board, build, 0, build->ports),
                          .deadline_ms = d->deadline_ms};
    snprintf(r->open.card, sizeof r->open.card, "%s", d->card);
    snprintf(r->open.image, sizeof r->open.image, "%s", emulated ? d->emulation.image : d->image);
    snprintf(r->open.folder, sizeof r->open.folder, "%s", d->emulation.folder.path);
    if (emulated) snprintf(r->open.shim, sizeof r->open.shim, "%s", d->emulation.shim);
    fa_status s = xrt_ask(d, r, &reply, OPEN_MS, e);
    free(r);
    if (s || !emulated) return s;
    fa_error own = {0};
    xrt_control m = {.kind = XRT_CONTROL_NOWHERE, .value = (int64_t)reply.address};
    s = judge(d, fa_xrt_control_hello(&d->process, OPEN_MS, &own), &own, e);
    return s ? s : xrt_ask_model(d, &m, e);
}

fa_status xrt_connect(xrt_device *d, fa_error *e) {
    d->dead = d->stuck = d->launched = false;
    fa_status s = start(d, e);
    if (!s) s = open_card(d, e);
    if (s) xrt_disconnect(d);
    return s;
}

void xrt_disconnect(xrt_device *d) {
    wire_request r = {.kind = WIRE_CLOSE};
    wire_reply reply;
    fa_error ignored = {0};
    bool well =
        d->process.pid && !d->process.gone && !d->stuck && !fa_xrt_call(&d->process, &r, &reply, CLOSE_MS, &ignored);
    if (d->process.pid) fa_xrt_process_end(&d->process, well ? CLOSE_MS : 0);
}
