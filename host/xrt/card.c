#include <errno.h>
#include <numa.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "host/backend/xrt/folder.h"
#include "host/backend/xrt/shim.h"
#include "host/xrt/host.h"
#include "host/xrt/opencl.h"

enum { NOWHERE_BYTES = 4096 };

/* XRT leaves a sentence in the log and a number in errno. */
static fa_status xrt_failed(fa_status s, const char *what, fa_error *e) {
    return fa_fail(e, s, "XRT: %s: %s", what, errno ? strerror(errno) : "it does not say why");
}

/* Threads and staging on the node that the card hangs on. */
static void go_near(const char *bdf) {
    char path[128];
    int node = -1;
    snprintf(path, sizeof path, "/sys/bus/pci/devices/%s/numa_node", bdf);
    FILE *f = fopen(path, "r");
    if (f && fscanf(f, "%d", &node) != 1) node = -1;
    if (f) fclose(f);
    if (node < 0 || numa_available() < 0) return;
    numa_run_on_node(node);
    numa_set_preferred(node);
}

/* XRT finds its driver's library in $XILINX_XRT/lib alone. Where nobody ran its setup.sh, as with Debian's package, that is a link in the
 * private folder to where this library is. */
static fa_status set_home(const host *h, fa_error *e) {
    char home[PATH_MAX + 8], lib[PATH_MAX + 16];
    if (getenv("XILINX_XRT")) return FA_OK;
    snprintf(home, sizeof home, "%s/xrt", h->open.folder);
    snprintf(lib, sizeof lib, "%s/lib", home);
    fa_status s = fa_xrt_folder_make(h->open.folder, "xrt", e);
    if (s) return s;
    if (symlink(h->xrt.folder, lib) || setenv("XILINX_XRT", home, 1))
        return fa_fail(e, FA_EIO, "%s: %s", lib, strerror(errno));
    return FA_OK;
}

static fa_status open_device(host *h, fa_error *e) {
    const wire_open *o = &h->open;
    errno = 0;
    h->device = o->emulated ? h->xrt.xrtDeviceOpen((unsigned)atoi(o->card)) : h->xrt.xrtDeviceOpenByBDF(o->card);
    if (!h->device) return xrt_failed(FA_EUNSUPPORTED, o->emulated ? "the emulated card" : o->card, e);
    if (h->xrt.xrtDeviceLoadXclbinFile(h->device, o->image)) return xrt_failed(FA_EIO, o->image, e);
    if (h->xrt.xrtDeviceGetXclbinUUID(h->device, h->image)) return xrt_failed(FA_EIO, o->image, e);
    return FA_OK;
}

fa_status host_open(host *h, uint64_t *nowhere, fa_error *e) {
    if (!h->open.emulated) go_near(h->open.card);
    fa_status s = xrt_library_open(&h->xrt, e);
    if (!s && h->open.opencl) xrt_opencl_take(&h->xrt);
    if (!s) s = h->open.emulated ? fa_xrt_shim_install(h->xrt.folder, h->open.folder, h->open.shim, e) : set_home(h, e);
    if (!s) s = open_device(h, e);
    if (s) return s;
    errno = 0;
    h->nowhere.bytes = NOWHERE_BYTES;
    h->nowhere.handle = h->xrt.xrtBOAlloc(h->device, NOWHERE_BYTES, XRT_BO_FLAGS_NONE, (xrtMemoryGroup)h->open.io_bank);
    if (!h->nowhere.handle) return xrt_failed(FA_EDEVICE, "no memory on the card", e);
    *nowhere = h->xrt.xrtBOAddress(h->nowhere.handle);
    return host_units_open(h, e);
}

void host_close(host *h) {
    host_units_close(h);
    for (int32_t i = 0; i < h->n_buffers; i++)
        if (h->buffers[i].handle) h->xrt.xrtBOFree(h->buffers[i].handle);
    if (h->nowhere.handle) h->xrt.xrtBOFree(h->nowhere.handle);
    if (h->device) h->xrt.xrtDeviceClose(h->device);
}

/* ---- memory ---- */

static int32_t free_number(host *h) {
    int32_t i = 0;
    while (i < h->n_buffers && h->buffers[i].handle) i++;
    if (i < h->n_buffers) return i;
    int32_t n = h->n_buffers * 2 + 64;
    host_buffer *more = realloc(h->buffers, (size_t)n * sizeof *more);
    if (!more) return -1;
    memset(more + h->n_buffers, 0, (size_t)(n - h->n_buffers) * sizeof *more);
    h->buffers = more;
    h->n_buffers = n;
    return i;
}

/* A card's memory holds what the last one left there; that of the device model is new. */
static int clear(host *h, xrtBufferHandle b, uint64_t bytes) {
    if (h->open.emulated) return 0;
    memset(h->staging, 0, WIRE_STAGING_BYTES);
    int failed = 0;
    for (uint64_t at = 0, n; at < bytes && !failed; at += n) {
        n = bytes - at < WIRE_STAGING_BYTES ? bytes - at : WIRE_STAGING_BYTES;
        failed = h->xrt.xrtBOWrite(b, h->staging, n, at);
    }
    return failed ? failed : h->xrt.xrtBOSync(b, XCL_BO_SYNC_BO_TO_DEVICE, bytes, 0);
}

fa_status host_alloc(host *h, int32_t bank, uint64_t bytes, int32_t *buffer, uint64_t *address, fa_error *e) {
    pthread_mutex_lock(&h->lock); /* units look buffers up */
    int32_t i = *buffer = free_number(h);
    pthread_mutex_unlock(&h->lock);
    if (i < 0) return fa_fail(e, FA_ENOMEM, "XRT: no memory for the table of buffers");
    xrtBufferHandle b = h->xrt.xrtBOAlloc(h->device, bytes, XRT_BO_FLAGS_NONE, (xrtMemoryGroup)bank);
    if (!b) return fa_fail(e, FA_ENOMEM, "XRT has no %llu bytes in memory %d", (unsigned long long)bytes, bank);
    errno = 0;
    if (clear(h, b, bytes)) {
        h->xrt.xrtBOFree(b);
        return xrt_failed(FA_EDEVICE, "clearing a buffer", e);
    }
    *address = h->xrt.xrtBOAddress(b);
    pthread_mutex_lock(&h->lock);
    h->buffers[i] = (host_buffer){b, bytes};
    pthread_mutex_unlock(&h->lock);
    return FA_OK;
}

xrtBufferHandle host_find(const host *h, int32_t buffer, uint64_t offset, uint64_t bytes) {
    if (buffer < 0 || buffer >= h->n_buffers) return NULL;
    const host_buffer *b = &h->buffers[buffer];
    return offset <= b->bytes && bytes <= b->bytes - offset ? b->handle : NULL;
}

fa_status host_free(host *h, int32_t buffer, fa_error *e) {
    xrtBufferHandle b = host_find(h, buffer, 0, 0);
    if (!b) return fa_fail(e, FA_EINVAL, "there is no buffer %d", buffer);
    pthread_mutex_lock(&h->lock);
    h->buffers[buffer].handle = NULL;
    pthread_mutex_unlock(&h->lock);
    return h->xrt.xrtBOFree(b) ? fa_fail(e, FA_EDEVICE, "XRT does not free buffer %d", buffer) : FA_OK;
}

fa_status host_copy(host *h, const wire_request *r, bool to_card, fa_error *e) {
    const xrt_library *x = &h->xrt;
    xrtBufferHandle b = host_find(h, r->buffer, r->offset, r->bytes);
    if (!b || r->bytes > WIRE_STAGING_BYTES)
        return fa_fail(e, FA_EINVAL, "a copy of %llu bytes at %llu of buffer %d", (unsigned long long)r->bytes,
                       (unsigned long long)r->offset, r->buffer);
    errno = 0;
    int failed = to_card ? x->xrtBOWrite(b, h->staging, r->bytes, r->offset) : 0;
    if (!failed)
        failed = x->xrtBOSync(b, to_card ? XCL_BO_SYNC_BO_TO_DEVICE : XCL_BO_SYNC_BO_FROM_DEVICE, r->bytes, r->offset);
    if (!failed && !to_card) failed = x->xrtBORead(b, h->staging, r->bytes, r->offset);
    return failed ? xrt_failed(FA_EDEVICE, to_card ? "a copy to the card" : "a copy from the card", e) : FA_OK;
}
