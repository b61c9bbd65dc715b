#include "host/backend/xrt/shim.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "host/backend/xrt/folder.h"
#include "host/base/file.h"

/* Bytes of the instructions, and where they are from `call`. */
enum { LOAD_BYTES = 7, STORE_BYTES = 7, TEST = 5, JUMP = 8, AFTER = 10, PLACE_BYTES = AFTER + 7, REACH = 128 };
static const uint8_t load_rdi[] = {0x48, 0x8b, 0xbf}, /* mov rdi+n, rdi */
    store[] = {0x48, 0x89, 0x83},                     /* mov rax, rbx+n */
    test[] = {0x48, 0x85, 0xc0}, load_again[] = {0x48, 0x8b, 0xbb};

/* Whether the fault is where a call is at `call`; n is the place of `buf` in the object, in four bytes behind each opcode. */
static bool is_fault(const uint8_t *library, size_t call) {
    const uint8_t *p = library + call, *n = p - LOAD_BYTES + sizeof load_rdi;
    if (p[0] != 0xe8 || p[JUMP] != 0x75 || memcmp(p + TEST, test, sizeof test) ||
        memcmp(p - LOAD_BYTES, load_rdi, sizeof load_rdi) || memcmp(p + AFTER, load_again, sizeof load_again) ||
        memcmp(p + AFTER + sizeof load_again, n, 4))
        return false;
    const uint8_t *done = p + AFTER + (int8_t)p[JUMP + 1];
    return !memcmp(done - STORE_BYTES, store, sizeof store) && !memcmp(done - STORE_BYTES + sizeof store, n, 4);
}

int fa_xrt_shim_repair(uint8_t *library, size_t bytes) {
    int places = 0;
    size_t at = 0;
    for (size_t i = REACH + STORE_BYTES; i + PLACE_BYTES <= bytes; i++)
        if (library[i] == 0xe8 && is_fault(library, i)) {
            places++;
            at = i;
        }
    if (places == 1) library[at + JUMP + 1] -= STORE_BYTES;
    return places;
}

static fa_status write_library(const char *path, const uint8_t *bytes, size_t n, fa_error *e) {
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0700);
    bool wrote = fd >= 0;
    for (size_t done = 0; done < n && wrote;) {
        ssize_t k = write(fd, bytes + done, n - done);
        wrote = k > 0 || (k < 0 && errno == EINTR);
        if (k > 0) done += (size_t)k;
    }
    int why = errno;
    if (fd >= 0 && close(fd)) wrote = false;
    return wrote ? FA_OK : fa_fail(e, FA_EIO, "%s: %s", path, strerror(why));
}

static fa_status find(fa_map *map, const char *from, const char *name, char path[PATH_MAX], fa_error *e) {
    static const char *const below[] = {"", "/../lib"};
    for (size_t i = 0; i < sizeof below / sizeof *below; i++) {
        snprintf(path, PATH_MAX, "%s%s/%s", from, below[i], name);
        if (!fa_map_open(map, path, NULL)) return FA_OK;
    }
    return fa_fail(
        e, FA_EUNSUPPORTED,
        "XRT's emulation is not installed: there is no %s in %s (releases after 2.13 have no sw_emu: xrt:hw_emu)", name,
        from);
}

fa_status fa_xrt_shim_install(const char *from, const char *folder, const char *name, fa_error *e) {
    char path[PATH_MAX], to[PATH_MAX];
    fa_map map;
    fa_status s = find(&map, from, name, path, e);
    if (s) return s;
    uint8_t *copy = malloc(map.bytes + 1);
    if (!copy) s = fa_fail(e, FA_ENOMEM, "%s: no memory for a copy", path);
    if (!s) {
        memcpy(copy, map.data, map.bytes);
        int places = fa_xrt_shim_repair(copy, map.bytes);
        if (places > 1)
            s = fa_fail(
                e, FA_EUNSUPPORTED,
                "%s: %d places look like the fault of Debian's alloc_void, and one is expected: this library is "
                "unknown (docs/xrt.md)",
                path, places);
    }
    if (!s) s = fa_xrt_folder_make(folder, "xrt/lib", e);
    snprintf(to, sizeof to, "%s/xrt/lib/%s", folder, name);
    if (!s) s = write_library(to, copy, map.bytes, e);
    free(copy);
    fa_map_close(&map);
    return s;
}
