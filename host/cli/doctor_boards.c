/* fathom doctor: what boards need. */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "boards/cards.h"
#include "host/backend/backend.h"
#include "host/base/memory.h"
#include "host/cli/doctor.h"

/* Where XRT's library is, with the number of its version in the name; not loaded here. */
static bool find_xrt(char path[PATH_MAX]) {
    static const char *const folders[] = {"/opt/xilinx/xrt/lib", "/usr/lib/x86_64-linux-gnu", "/usr/lib64", "/usr/lib",
                                          "/usr/local/lib"};
    const char *given = getenv("XILINX_XRT");
    char name[PATH_MAX];
    if (given) {
        snprintf(name, sizeof name, "%s/lib/libxrt_coreutil.so.2", given);
        if (realpath(name, path)) return true;
    }
    for (size_t i = 0; i < sizeof folders / sizeof *folders; i++) {
        snprintf(name, sizeof name, "%s/libxrt_coreutil.so.2", folders[i]);
        if (realpath(name, path)) return true;
    }
    return false;
}

void doctor_check_xrt(doctor_findings *f, const char *part) {
    char path[PATH_MAX], xbutil[PATH_MAX];
    if (!find_xrt(path)) {
        doctor_add(f, part, DOCTOR_MISSING, "the Xilinx runtime is not installed");
        doctor_advise(
            f, "Debian: apt-get install libxrt1, which does for emulation; for a card AMD's package of XRT, whose "
               "drivers fit its shell");
        return;
    }
    const char *version = strstr(path, ".so.");
    doctor_add(f, part, DOCTOR_OK, "version %s, %s", version ? version + 4 : "unknown", path);
    if (fa_cards_xbutil(xbutil, sizeof xbutil)) {
        doctor_add(f, part, DOCTOR_OK, "%s", xbutil);
        return;
    }
    doctor_add(f, part, DOCTOR_NOTE, "no xbutil: shells, temperatures and power of cards cannot be shown");
    doctor_advise(f, "it comes with AMD's package of XRT; Debian's libxrt-utils has the script without its program");
}

static void check_card(doctor_findings *f, const char *part, const fa_card *c) {
    const char *board = *c->board ? c->board : "no board of `fathom boards'";
    if (!strcmp(c->board, "v80")) {
        doctor_add(f, part, DOCTOR_MISSING, "%s: %s", c->bdf, board);
        doctor_advise(f, "there is no XRT platform for it, and fathom does not drive AVED yet: docs/boards.md");
    } else if (!c->user) {
        doctor_add(f, part, DOCTOR_MISSING, "%s: %s, which shows its management function alone", c->bdf, board);
        doctor_advise(f, "it needs its platform: xbmgmt program --base --device %s, then a cold reboot", c->bdf);
    } else if (!*c->driver) {
        doctor_add(f, part, DOCTOR_MISSING, "%s: %s, without a driver", c->bdf, board);
        doctor_advise(f, "modprobe xocl; it comes with AMD's package of XRT and is built by DKMS for this kernel");
    } else if (*c->shell && !c->ready) {
        doctor_add(f, part, DOCTOR_MISSING, "%s: %s, %s, not ready", c->bdf, board, c->shell);
        doctor_advise(f, "xbmgmt examine --device %s says which part of the platform is missing", c->bdf);
    } else {
        doctor_add(f, part, DOCTOR_OK, "%s: %s, %s, driver %s", c->bdf, board, *c->shell ? c->shell : "shell not known",
                   c->driver);
    }
}

void doctor_check_boards(doctor_findings *f, const char *part) {
    fa_card cards[FA_CARDS];
    fa_error e;
    int n = fa_cards_scan("/sys/bus/pci/devices", cards, FA_CARDS);
    if (!n) {
        doctor_add(f, part, DOCTOR_MISSING, "no accelerator card of AMD/Xilinx is in a slot of this machine");
        doctor_advise(f, "--backend sim or xrt:emu run the same kernels without one");
        return;
    }
    fa_status s = fa_cards_ask(cards, n, &e);
    if (s && s != FA_EUNSUPPORTED) doctor_add(f, part, DOCTOR_NOTE, "%s", e.text);
    for (int i = 0; i < n; i++) check_card(f, part, &cards[i]);
}

/* By doing it: the runtime starts our device model and loads an image. */
void doctor_check_emulation(doctor_findings *f, const char *part) {
    fa_backend *b;
    fa_error e;
    fa_backend_options o = {.name = "xrt:emu", .node = FA_NODE_INTERLEAVE};
    if (fa_backend_open(&b, &o, &e)) {
        doctor_add(f, part, DOCTOR_MISSING, "%s", e.text);
        doctor_advise(f, "--backend sim runs the same kernels without the runtime");
        return;
    }
    doctor_add(f, part, DOCTOR_OK, "xrt:emu: %s", b->detail);
    b->close(b);
}

void doctor_check_vitis(doctor_findings *f, const char *part) {
    const char *search = getenv("PATH");
    char path[PATH_MAX];
    for (const char *p = search; p && *p;) {
        int n = (int)strcspn(p, ":");
        snprintf(path, sizeof path, "%.*s/v++", n, p);
        if (n && !access(path, X_OK)) {
            doctor_add(f, part, DOCTOR_OK, "%s", path);
            return;
        }
        p += n + (p[n] == ':');
    }
    doctor_add(f, part, DOCTOR_MISSING, "v++ is not in PATH");
    doctor_advise(f, "only `make xclbin' needs it: install AMD Vitis and source its settings64.sh");
}
