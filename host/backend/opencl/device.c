/* Which devices there are, and which one a name means. */
#include "host/backend/opencl/device.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "opencl/params.h"

enum { MOST_PLATFORMS = 16, LEAST_LOCAL = 8192 };

static void text_of(cl_device_id id, cl_device_info what, char *text) {
    if (clGetDeviceInfo(id, what, FA_OPENCL_TEXT, text, NULL) != CL_SUCCESS) *text = 0;
    text[FA_OPENCL_TEXT - 1] = 0;
}

static uint64_t number_of(cl_device_id id, cl_device_info what, size_t bytes) {
    uint64_t v = 0; /* little-endian, as all hosts of this program are */
    return clGetDeviceInfo(id, what, bytes, &v, NULL) == CL_SUCCESS ? v : 0;
}

static bool has_extension(cl_device_id id, const char *name) {
    char list[8192];
    if (clGetDeviceInfo(id, CL_DEVICE_EXTENSIONS, sizeof list, list, NULL) != CL_SUCCESS) return false;
    size_t n = strlen(name);
    for (const char *p = list; (p = strstr(p, name)); p += n)
        if ((p == list || p[-1] == ' ') && (p[n] == ' ' || p[n] == 0)) return true;
    return false;
}

static const char *kind_of(cl_device_type type) {
    return type & CL_DEVICE_TYPE_GPU ? "GPU" : type & CL_DEVICE_TYPE_ACCELERATOR ? "accelerator" : "CPU";
}

static void describe(fa_opencl_device *d, cl_platform_id platform, cl_device_id id) {
    uint64_t fp = number_of(id, CL_DEVICE_SINGLE_FP_CONFIG, sizeof(cl_device_fp_config));
    d->platform_id = platform;
    d->device_id = id;
    if (clGetPlatformInfo(platform, CL_PLATFORM_NAME, FA_OPENCL_TEXT, d->platform_name, NULL) != CL_SUCCESS)
        *d->platform_name = 0;
    text_of(id, CL_DEVICE_NAME, d->name);
    text_of(id, CL_DEVICE_VERSION, d->version);
    text_of(id, CL_DRIVER_VERSION, d->driver);
    cl_device_type type = number_of(id, CL_DEVICE_TYPE, sizeof type);
    d->kind = kind_of(type);
    d->bytes = number_of(id, CL_DEVICE_GLOBAL_MEM_SIZE, sizeof(cl_ulong));
    d->buffer_bytes = number_of(id, CL_DEVICE_MAX_MEM_ALLOC_SIZE, sizeof(cl_ulong));
    d->units = (unsigned)number_of(id, CL_DEVICE_MAX_COMPUTE_UNITS, sizeof(cl_uint));
    d->fp64 = number_of(id, CL_DEVICE_DOUBLE_FP_CONFIG, sizeof(cl_device_fp_config)) != 0;
    d->sub_groups = has_extension(id, "cl_khr_subgroups") || has_extension(id, "cl_intel_subgroups");
    d->local_memory = !(type & CL_DEVICE_TYPE_CPU) &&
                      number_of(id, CL_DEVICE_LOCAL_MEM_TYPE, sizeof(cl_device_local_mem_type)) == CL_LOCAL &&
                      number_of(id, CL_DEVICE_LOCAL_MEM_SIZE, sizeof(cl_ulong)) >= LEAST_LOCAL &&
                      number_of(id, CL_DEVICE_MAX_WORK_GROUP_SIZE, sizeof(size_t)) >= FCL_GROUP;
    d->shared = (type & CL_DEVICE_TYPE_CPU) || number_of(id, CL_DEVICE_HOST_UNIFIED_MEMORY, sizeof(cl_bool));
    d->exact_divide = (fp & CL_FP_CORRECTLY_ROUNDED_DIVIDE_SQRT) != 0;
    d->subnormals = (fp & CL_FP_DENORM) != 0;
}

fa_status fa_opencl_list(fa_opencl_device *devices, int max, int *n, fa_error *e) {
    cl_platform_id platforms[MOST_PLATFORMS];
    cl_uint n_platforms = 0;
    *n = 0;
    cl_int code = clGetPlatformIDs(MOST_PLATFORMS, platforms, &n_platforms);
    if (code != CL_SUCCESS || !n_platforms)
        return fa_fail(e, FA_EUNSUPPORTED, "opencl: no OpenCL platform is installed (%s)", ocl_code_name(code));
    if (n_platforms > MOST_PLATFORMS) n_platforms = MOST_PLATFORMS;
    for (cl_uint p = 0; p < n_platforms; p++) {
        cl_device_id ids[FA_OPENCL_DEVICES];
        cl_uint found = 0;
        if (clGetDeviceIDs(platforms[p], CL_DEVICE_TYPE_ALL, FA_OPENCL_DEVICES, ids, &found) != CL_SUCCESS) continue;
        if (found > FA_OPENCL_DEVICES) found = FA_OPENCL_DEVICES;
        for (cl_uint i = 0; i < found && *n < max; i++) {
            fa_opencl_device *d = &devices[(*n)++];
            *d = (fa_opencl_device){.platform = (int)p, .device = (int)i};
            describe(d, platforms[p], ids[i]);
        }
    }
    return FA_OK;
}

/* Xilinx's platform: a card, or XRT's emulation of one. */
static bool is_xilinx(const fa_opencl_device *d) {
    return !strcmp(d->platform_name, "Xilinx");
}

/* The larger, the earlier chosen by plain "opencl". */
static int rank_of(const fa_opencl_device *d) {
    if (is_xilinx(d)) return 0;
    return !strcmp(d->kind, "GPU") ? 3 : !strcmp(d->kind, "accelerator") ? 2 : 1;
}

/* FATHOM_OPENCL_COPY=1 takes a device for one with memory of its own, FATHOM_OPENCL_GROUPS=1 for one with local memory, so that both can
 * be tested on any. */
fa_status ocl_choose(fa_opencl_device *chosen, const char *name, fa_error *e) {
    fa_opencl_device all[FA_OPENCL_DEVICES];
    int n, platform = -1, device = -1, end = 0, best = -1;
    bool any = !strcmp(name, "opencl");
    if (!any && (sscanf(name, "opencl:%d.%d%n", &platform, &device, &end) != 2 || name[end]))
        return fa_fail(e, FA_EINVAL,
                       "backend '%s': expected opencl or opencl:PLATFORM.DEVICE, as `fathom devices` shows", name);
    fa_status s = fa_opencl_list(all, FA_OPENCL_DEVICES, &n, e);
    if (s) return s;
    for (int i = 0; i < n; i++) {
        bool fits = any || (all[i].platform == platform && all[i].device == device);
        if (fits && (best < 0 || rank_of(&all[i]) > rank_of(&all[best]))) best = i;
    }
    if (best < 0)
        return fa_fail(e, FA_EUNSUPPORTED,
                       any ? "opencl: no OpenCL device is there%s" : "opencl: there is no device %s",
                       any ? "" : name + 7);
    if (is_xilinx(&all[best]))
        return fa_fail(e, FA_EUNSUPPORTED,
                       "opencl: %s takes no OpenCL source, only kernels that v++ has made into an image: choose "
                       "--backend xrt-opencl:CARD (or xrt:CARD) with --xclbin, see docs/boards.md",
                       all[best].name);
    *chosen = all[best];
    const char *copy = getenv("FATHOM_OPENCL_COPY");
    if (copy && *copy) chosen->shared = false;
    const char *groups = getenv("FATHOM_OPENCL_GROUPS");
    if (groups && *groups) chosen->local_memory = strcmp(groups, "0") != 0;
    return FA_OK;
}
