/* A layer (cl_loader_layers of Khronos) that the OpenCL loader puts between the program and whatever driver is installed, and that
 * makes one call, or one and all after it, fail: OPENCL_LAYERS names it, FAULTS_VARIABLE says which. */
#define CL_TARGET_OPENCL_VERSION 120
#include <CL/cl_layer.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/layers/opencl_faults.h"

#define FAULTS_NAME(name) #name,
static const char *const names[FAULTS_KINDS] = {FAULTS_CALLS(FAULTS_NAME)};

static const cl_icd_dispatch *driver;
static cl_icd_dispatch layer;
static faults_seen seen;

static struct fault {
    faults_call call;
    long left; /* calls until it happens; 0: never */
    cl_int code;
    bool lost, gone;
} fault;

__attribute__((visibility("default"))) const faults_seen *faults_get(void) {
    return &seen;
}

static void read_fault(void) {
    const char *text = getenv(FAULTS_VARIABLE);
    char name[64], lost[8] = "";
    seen = (faults_seen){0};
    fault = (struct fault){0};
    if (!text || !*text) return;
    int n = sscanf(text, "%63[^:]:%ld:%d:%7s", name, &fault.left, &fault.code, lost);
    fault.lost = !strcmp(lost, "lost");
    while (fault.call < FAULTS_KINDS && strcmp(name, names[fault.call])) fault.call++;
    if (n < 3 || fault.call == FAULTS_KINDS) {
        fprintf(stderr, "%s=%s: expected CALL:NUMBER:CODE[:lost]\n", FAULTS_VARIABLE, text);
        abort();
    }
}

static cl_int trip(faults_call c) {
    seen.count[c]++;
    if (fault.gone) return CL_DEVICE_NOT_AVAILABLE;
    if (!fault.left || fault.call != c || --fault.left) return CL_SUCCESS;
    seen.happened = true;
    fault.gone = fault.lost;
    return fault.code;
}

/* A function that returns a code. */
#define STATUS(name, parameters, ...)                   \
    static cl_int CL_API_CALL my_##name parameters {    \
        cl_int code = trip(FAULT_##name);               \
        return code ? code : driver->name(__VA_ARGS__); \
    }

/* One that makes a thing and tells the code aside. */
#define MAKER(type, name, parameters, ...)             \
    static type CL_API_CALL my_##name parameters {     \
        cl_int failed = trip(FAULT_##name);            \
        if (!failed) return driver->name(__VA_ARGS__); \
        if (code) *code = failed;                      \
        return NULL;                                   \
    }

/* One that has waited when it fails: the commands are real and still write. */
#define WAITER(name, parameters, ...)                                       \
    static cl_int CL_API_CALL my_##name parameters {                        \
        cl_int done = driver->name(__VA_ARGS__), code = trip(FAULT_##name); \
        return code ? code : done;                                          \
    }

static cl_int CL_API_CALL my_clGetPlatformIDs(cl_uint n, cl_platform_id *p, cl_uint *found) {
    read_fault();
    cl_int code = trip(FAULT_clGetPlatformIDs);
    return code ? code : driver->clGetPlatformIDs(n, p, found);
}

MAKER(cl_context, clCreateContext,
      (const cl_context_properties *p, cl_uint n, const cl_device_id *d,
       void(CL_CALLBACK *f)(const char *, const void *, size_t, void *), void *u, cl_int *code),
      p, n, d, f, u, code)
MAKER(cl_command_queue, clCreateCommandQueue,
      (cl_context c, cl_device_id d, cl_command_queue_properties p, cl_int *code), c, d, p, code)
MAKER(cl_program, clCreateProgramWithSource, (cl_context c, cl_uint n, const char **s, const size_t *l, cl_int *code),
      c, n, s, l, code)
MAKER(cl_program, clCreateProgramWithBinary,
      (cl_context c, cl_uint n, const cl_device_id *d, const size_t *l, const unsigned char **b, cl_int *s,
       cl_int *code),
      c, n, d, l, b, s, code)
STATUS(clBuildProgram,
       (cl_program p, cl_uint n, const cl_device_id *d, const char *o, void(CL_CALLBACK *f)(cl_program, void *),
        void *u),
       p, n, d, o, f, u)
MAKER(cl_kernel, clCreateKernel, (cl_program p, const char *name, cl_int *code), p, name, code)
MAKER(cl_mem, clCreateBuffer, (cl_context c, cl_mem_flags f, size_t n, void *h, cl_int *code), c, f, n, h, code)
STATUS(clSetKernelArg, (cl_kernel k, cl_uint i, size_t n, const void *v), k, i, n, v)
STATUS(clEnqueueNDRangeKernel,
       (cl_command_queue q, cl_kernel k, cl_uint d, const size_t *o, const size_t *g, const size_t *l, cl_uint n,
        const cl_event *w, cl_event *e),
       q, k, d, o, g, l, n, w, e)
STATUS(clEnqueueReadBuffer,
       (cl_command_queue q, cl_mem m, cl_bool b, size_t o, size_t n, void *p, cl_uint k, const cl_event *w,
        cl_event *e),
       q, m, b, o, n, p, k, w, e)
STATUS(clEnqueueWriteBuffer,
       (cl_command_queue q, cl_mem m, cl_bool b, size_t o, size_t n, const void *p, cl_uint k, const cl_event *w,
        cl_event *e),
       q, m, b, o, n, p, k, w, e)
MAKER(void *, clEnqueueMapBuffer,
      (cl_command_queue q, cl_mem m, cl_bool b, cl_map_flags f, size_t o, size_t n, cl_uint k, const cl_event *w,
       cl_event *e, cl_int *code),
      q, m, b, f, o, n, k, w, e, code)
STATUS(clEnqueueUnmapMemObject, (cl_command_queue q, cl_mem m, void *p, cl_uint k, const cl_event *w, cl_event *e), q,
       m, p, k, w, e)
STATUS(clFlush, (cl_command_queue q), q)
WAITER(clFinish, (cl_command_queue q), q)
WAITER(clWaitForEvents, (cl_uint n, const cl_event *e), n, e)

__attribute__((visibility("default"))) cl_int CL_API_CALL clGetLayerInfo(cl_layer_info what, size_t size, void *value,
                                                                         size_t *needed) {
    static const char name[] = "fathom: faults";
    static const cl_layer_api_version version = CL_LAYER_API_VERSION_100;
    const void *from = what == CL_LAYER_NAME ? (const void *)name : &version;
    size_t bytes = what == CL_LAYER_NAME ? sizeof name : sizeof version;
    if (what != CL_LAYER_NAME && what != CL_LAYER_API_VERSION) return CL_INVALID_VALUE;
    if (value && size < bytes) return CL_INVALID_VALUE;
    if (value) memcpy(value, from, bytes);
    if (needed) *needed = bytes;
    return CL_SUCCESS;
}

__attribute__((visibility("default"))) cl_int CL_API_CALL clInitLayer(cl_uint n, const cl_icd_dispatch *target,
                                                                      cl_uint *n_out, const cl_icd_dispatch **out) {
    if (n < sizeof layer / sizeof(void *)) return CL_INVALID_VALUE;
    driver = target;
    layer = *target;
#define FAULTS_ENTRY(name) layer.name = my_##name;
    FAULTS_CALLS(FAULTS_ENTRY)
    *n_out = sizeof layer / sizeof(void *);
    *out = &layer;
    return CL_SUCCESS;
}
