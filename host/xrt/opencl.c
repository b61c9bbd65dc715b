/* The second way to the same card: Xilinx's OpenCL in the place of XRT's C API, one function for each of its functions, so that all else of
 * this process is the same. Buffers get their bank by XCL_MEM_TOPOLOGY, the program is the xclbin, a kernel of one compute unit is named
 * "kernel:{unit}". The library is opened by its name, not through the ICD loader, whose list of Debian does not have it. */
#define CL_TARGET_OPENCL_VERSION 120
#include "host/xrt/opencl.h"

#include <CL/cl.h>
#include <CL/cl_ext_xilinx.h>
#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "host/base/file.h"

enum { MAX_CARDS = 16, POLL_NS = 20000 };

#define CL_FUNCTIONS(X)           \
    X(clGetPlatformIDs)           \
    X(clGetDeviceIDs)             \
    X(clGetDeviceInfo)            \
    X(clCreateContext)            \
    X(clReleaseContext)           \
    X(clCreateCommandQueue)       \
    X(clReleaseCommandQueue)      \
    X(clCreateProgramWithBinary)  \
    X(clReleaseProgram)           \
    X(clCreateKernel)             \
    X(clReleaseKernel)            \
    X(clSetKernelArg)             \
    X(clEnqueueTask)              \
    X(clGetEventInfo)             \
    X(clReleaseEvent)             \
    X(clCreateBuffer)             \
    X(clCreateSubBuffer)          \
    X(clReleaseMemObject)         \
    X(clEnqueueMigrateMemObjects) \
    X(clEnqueueReadBuffer)        \
    X(clEnqueueWriteBuffer)       \
    X(clFlush)                    \
    X(clFinish)                   \
    X(xclGetMemObjDeviceAddress)

typedef struct card {
#define CL_POINTER(name) __typeof__(name) *(name);
    CL_FUNCTIONS(CL_POINTER)
#undef CL_POINTER
    cl_device_id device;
    cl_context context;
    cl_command_queue copies;
    cl_program program;
} card;

typedef struct buffer {
    card *card;
    cl_mem memory;
} buffer;

/* A kernel and its run are one: this process makes one run of each. */
typedef struct kernel {
    card *card;
    cl_kernel kernel;
    cl_command_queue queue;
    cl_event event; /* of the last start; NULL: none */
} kernel;

/* ---- the card ---- */

static bool find_functions(card *c) {
    static const struct {
        const char *name;
        size_t at;
    } functions[] = {
#define CL_LINE(name) {#name, offsetof(card, name)},
        CL_FUNCTIONS(CL_LINE)
#undef CL_LINE
    };
    void *library = dlopen(XRT_OPENCL_LIBRARY, RTLD_NOW | RTLD_LOCAL);
    for (size_t i = 0; i < sizeof functions / sizeof *functions; i++) {
        void *f = library ? dlsym(library, functions[i].name) : NULL;
        if (!f) return false;
        memcpy((char *)c + functions[i].at, &f, sizeof f);
    }
    return true;
}

static void close_card(card *c) {
    if (c->program) c->clReleaseProgram(c->program);
    if (c->copies) c->clReleaseCommandQueue(c->copies);
    if (c->context) c->clReleaseContext(c->context);
    free(c);
}

/* The card of a number or, where `bdf` is not NULL, of a place on the bus. */
static xrtDeviceHandle open_card(unsigned index, const char *bdf) {
    cl_platform_id platform;
    cl_device_id all[MAX_CARDS];
    cl_uint n = 0, at = index;
    char name[64];
    card *c = calloc(1, sizeof *c);
    if (!c) return NULL;
    if (find_functions(c) && !c->clGetPlatformIDs(1, &platform, NULL) &&
        !c->clGetDeviceIDs(platform, CL_DEVICE_TYPE_ACCELERATOR, MAX_CARDS, all, &n)) {
        for (cl_uint i = 0; bdf && i < n && i < MAX_CARDS; i++)
            if (i == 0 || at >= n)
                at = !c->clGetDeviceInfo(all[i], CL_DEVICE_PCIE_BDF, sizeof name, name, NULL) && !strcmp(name, bdf) ? i
                                                                                                                    : n;
        c->device = at < n && at < MAX_CARDS ? all[at] : NULL;
    }
    if (c->device) c->context = c->clCreateContext(NULL, 1, &c->device, NULL, NULL, NULL);
    if (c->context) c->copies = c->clCreateCommandQueue(c->context, c->device, 0, NULL);
    if (c->copies) return c;
    errno = ENODEV;
    close_card(c);
    return NULL;
}

static xrtDeviceHandle device_open(unsigned index) {
    return open_card(index, NULL);
}

static xrtDeviceHandle device_open_by_bdf(const char *bdf) {
    return open_card(0, bdf);
}

static int device_close(xrtDeviceHandle device) {
    close_card(device);
    return 0;
}

static int load(xrtDeviceHandle device, const char *path) {
    card *c = device;
    fa_map image;
    cl_int code = CL_INVALID_BINARY;
    if (fa_map_open(&image, path, NULL)) return -1;
    const unsigned char *bytes = image.data;
    c->program = c->clCreateProgramWithBinary(c->context, 1, &c->device, &image.bytes, &bytes, NULL, &code);
    fa_map_close(&image);
    return code;
}

/* Kernels are found by the program: nobody asks for the image by this. */
static int image_uuid(xrtDeviceHandle device, xuid_t id) {
    (void)device;
    memset(id, 0, sizeof(xuid_t));
    return 0;
}

/* ---- memory ---- */

static buffer *wrap(card *c, cl_mem memory) {
    buffer *b = memory ? malloc(sizeof *b) : NULL;
    if (!b && memory) c->clReleaseMemObject(memory);
    if (b) *b = (buffer){c, memory};
    return b;
}

/* On the card from the start: a kernel may be the first to write it, and what the host never wrote is not to be copied over that. */
static xrtBufferHandle alloc(xrtDeviceHandle device, size_t bytes, xrtBufferFlags flags, xrtMemoryGroup bank) {
    card *c = device;
    cl_mem_ext_ptr_t place = {.flags = (unsigned)bank | (unsigned)XCL_MEM_TOPOLOGY};
    cl_int code;
    (void)flags;
    buffer *b = wrap(c, c->clCreateBuffer(c->context, CL_MEM_READ_WRITE | (cl_mem_flags)(unsigned)CL_MEM_EXT_PTR_XILINX,
                                          bytes, &place, &code));
    if (b && (c->clEnqueueMigrateMemObjects(c->copies, 1, &b->memory, CL_MIGRATE_MEM_OBJECT_CONTENT_UNDEFINED, 0, NULL,
                                            NULL) ||
              c->clFinish(c->copies))) {
        c->clReleaseMemObject(b->memory);
        free(b);
        return NULL;
    }
    return b;
}

static xrtBufferHandle sub_alloc(xrtBufferHandle parent, size_t bytes, size_t offset) {
    buffer *b = parent;
    cl_int code;
    return wrap(b->card, b->card->clCreateSubBuffer(b->memory, CL_MEM_READ_WRITE, CL_BUFFER_CREATE_TYPE_REGION,
                                                    &(cl_buffer_region){offset, bytes}, &code));
}

static int free_buffer(xrtBufferHandle handle) {
    buffer *b = handle;
    int code = b->card->clReleaseMemObject(b->memory);
    free(b);
    return code;
}

static uint64_t address(xrtBufferHandle handle) {
    buffer *b = handle;
    uint64_t at = 0;
    return b->card->xclGetMemObjDeviceAddress(b->memory, b->card->device, sizeof at, &at) ? UINT64_MAX : at;
}

/* Writes and reads go all the way, so there is nothing left to do here. */
static int sync_buffer(xrtBufferHandle handle, enum xclBOSyncDirection way, size_t bytes, size_t at) {
    (void)handle, (void)way, (void)bytes, (void)at;
    return 0;
}

static int write_buffer(xrtBufferHandle handle, const void *from, size_t bytes, size_t at) {
    buffer *b = handle;
    return b->card->clEnqueueWriteBuffer(b->card->copies, b->memory, CL_TRUE, at, bytes, from, 0, NULL, NULL);
}

static int read_buffer(xrtBufferHandle handle, void *to, size_t bytes, size_t at) {
    buffer *b = handle;
    return b->card->clEnqueueReadBuffer(b->card->copies, b->memory, CL_TRUE, at, bytes, to, 0, NULL, NULL);
}

/* ---- kernels ---- */

static xrtKernelHandle kernel_open(xrtDeviceHandle device, const xuid_t image, const char *name) {
    card *c = device;
    cl_int code;
    (void)image;
    kernel *k = calloc(1, sizeof *k);
    if (!k) return NULL;
    k->card = c;
    k->kernel = c->clCreateKernel(c->program, name, &code);
    k->queue = k->kernel ? c->clCreateCommandQueue(c->context, c->device, 0, &code) : NULL;
    if (k->queue) return k;
    if (k->kernel) c->clReleaseKernel(k->kernel);
    free(k);
    return NULL;
}

static xrtRunHandle run_open(xrtKernelHandle handle) {
    return handle;
}

static int run_close(xrtRunHandle handle) {
    kernel *k = handle;
    if (k->event) k->card->clReleaseEvent(k->event);
    k->event = NULL;
    return 0;
}

static int kernel_close(xrtKernelHandle handle) {
    kernel *k = handle;
    k->card->clReleaseCommandQueue(k->queue);
    k->card->clReleaseKernel(k->kernel);
    free(k);
    return 0;
}

static int set_buffer(const xrt_library *x, xrtRunHandle run, int i, xrtBufferHandle handle) {
    kernel *k = run;
    (void)x;
    return k->card->clSetKernelArg(k->kernel, (cl_uint)i, sizeof(cl_mem), &((buffer *)handle)->memory);
}

static int set_word(const xrt_library *x, xrtRunHandle run, int i, uint32_t bits) {
    kernel *k = run;
    (void)x;
    return k->card->clSetKernelArg(k->kernel, (cl_uint)i, sizeof bits, &bits);
}

static int set_long(const xrt_library *x, xrtRunHandle run, int i, uint64_t bits) {
    kernel *k = run;
    (void)x;
    return k->card->clSetKernelArg(k->kernel, (cl_uint)i, sizeof bits, &bits);
}

static int start(xrtRunHandle run) {
    kernel *k = run;
    run_close(run);
    int code = k->card->clEnqueueTask(k->queue, k->kernel, 0, NULL, &k->event);
    return code ? code : k->card->clFlush(k->queue);
}

static enum ert_cmd_state state(xrtRunHandle run) {
    kernel *k = run;
    cl_int status;
    if (!k->event) return ERT_CMD_STATE_NEW;
    if (k->card->clGetEventInfo(k->event, CL_EVENT_COMMAND_EXECUTION_STATUS, sizeof status, &status, NULL) ||
        status < 0)
        return ERT_CMD_STATE_ERROR;
    return status == CL_COMPLETE ? ERT_CMD_STATE_COMPLETED : ERT_CMD_STATE_RUNNING;
}

/* OpenCL waits without a limit, so this asks from time to time. */
static enum ert_cmd_state wait_for(xrtRunHandle run, unsigned milliseconds) {
    struct timespec begin, now;
    clock_gettime(CLOCK_MONOTONIC, &begin);
    for (;;) {
        enum ert_cmd_state s = state(run);
        if (s != ERT_CMD_STATE_RUNNING) return s;
        clock_gettime(CLOCK_MONOTONIC, &now);
        if ((now.tv_sec - begin.tv_sec) * 1000 + (now.tv_nsec - begin.tv_nsec) / 1000000 >= (long)milliseconds)
            return ERT_CMD_STATE_TIMEOUT;
        nanosleep(&(struct timespec){.tv_nsec = POLL_NS}, NULL);
    }
}

void xrt_opencl_take(xrt_library *x) {
    x->xrtDeviceOpen = device_open;
    x->xrtDeviceOpenByBDF = device_open_by_bdf;
    x->xrtDeviceClose = device_close;
    x->xrtDeviceLoadXclbinFile = load;
    x->xrtDeviceGetXclbinUUID = image_uuid;
    x->xrtBOAlloc = alloc;
    x->xrtBOSubAlloc = sub_alloc;
    x->xrtBOFree = free_buffer;
    x->xrtBOAddress = address;
    x->xrtBOSync = sync_buffer;
    x->xrtBOWrite = write_buffer;
    x->xrtBORead = read_buffer;
    x->xrtPLKernelOpen = kernel_open;
    x->xrtKernelClose = kernel_close;
    x->xrtRunOpen = run_open;
    x->xrtRunStart = start;
    x->xrtRunWaitFor = wait_for;
    x->xrtRunState = state;
    x->xrtRunClose = run_close;
    x->set_buffer = set_buffer;
    x->set_word = set_word;
    x->set_long = set_long;
}
