/* The programs: compiled once for a device, driver and text, and kept in the user's cache folder. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "host/backend/opencl/internal.h"
#include "host/backend/opencl/sources.h"
#include "host/base/file.h"

static const struct {
    const char *name;
    ocl_program program;
} kernels[OCL_KERNELS] = {
    [OCL_MATMUL_CODES] = {"fathom_matmul", OCL_CODES},
    [OCL_MATMUL] = {"fathom_matmul", OCL_FLOATS},
    [OCL_GATE_UP_CODES] = {"fathom_gate_up", OCL_CODES},
    [OCL_GATE_UP] = {"fathom_gate_up", OCL_FLOATS},
    [OCL_DOWN_CODES] = {"fathom_down", OCL_CODES},
    [OCL_DOWN] = {"fathom_down", OCL_FLOATS},
    [OCL_QUANTISE] = {"fathom_quantise", OCL_FLOATS},
    [OCL_GATED] = {"fathom_gated", OCL_FLOATS},
    [OCL_GQA] = {"fathom_gqa", OCL_FLOATS},
    [OCL_MLA] = {"fathom_mla", OCL_FLOATS},
    [OCL_ABSORB] = {"fathom_absorb", OCL_FLOATS},
    [OCL_PROJECT] = {"fathom_project", OCL_FLOATS},
    [OCL_RMSNORM] = {"fathom_rmsnorm", OCL_FLOATS},
    [OCL_ROPE] = {"fathom_rope", OCL_FLOATS},
    [OCL_ADD] = {"fathom_add", OCL_FLOATS},
    [OCL_STORE] = {"fathom_store", OCL_FLOATS},
};

static uint64_t hash(uint64_t h, const char *text, size_t bytes) {
    for (size_t i = 0; i < bytes; i++) h = (h ^ (uint8_t)text[i]) * 1099511628211u; /* FNV-1a */
    return h;
}

/* $FATHOM_CACHE, $XDG_CACHE_HOME/fathom or ~/.cache/fathom, made if need be; NULL when there is none. */
static char *cache_folder(void) {
    const char *own = getenv("FATHOM_CACHE"), *xdg = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
    char *path = NULL;
    int n = own && *own   ? asprintf(&path, "%s", own)
            : xdg && *xdg ? asprintf(&path, "%s/fathom", xdg)
            : home        ? asprintf(&path, "%s/.cache/fathom", home)
                          : -1;
    if (n < 0) return NULL;
    for (char *p = path + 1; *p; p++)
        if (*p == '/') {
            *p = 0;
            mkdir(path, 0777);
            *p = '/';
        }
    mkdir(path, 0777);
    return path;
}

/* The file that keeps a program: its name is a hash of everything the binary depends on. */
static char *cache_path(const fa_opencl *o, bool codes_only, const char *options) {
    const fa_opencl_device *d = &o->device;
    uint64_t h = 14695981039346656037u;
    const char *facts[] = {d->platform_name, d->name, d->version, d->driver, options};
    for (size_t i = 0; i < sizeof facts / sizeof *facts; i++) h = hash(h, facts[i], strlen(facts[i]) + 1);
    for (int i = 0; i < OCL_SOURCES; i++)
        if (!codes_only || !ocl_sources[i].floats_only) h = hash(h, ocl_sources[i].text, strlen(ocl_sources[i].text));
    char *folder = cache_folder(), *path = NULL;
    if (folder && asprintf(&path, "%s/opencl-%016llx.bin", folder, (unsigned long long)h) < 0) path = NULL;
    free(folder);
    return path;
}

/* NULL when there is no such file or the driver does not want it: it is then compiled. */
static cl_program load_cached(const fa_opencl *o, const char *path, const char *options) {
    fa_map map;
    fa_error e;
    cl_int code, status;
    cl_device_id id = o->device.device_id;
    if (!path || fa_map_open(&map, path, &e)) return NULL;
    const unsigned char *data = map.data;
    cl_program p = map.bytes ? clCreateProgramWithBinary(o->context, 1, &id, &map.bytes, &data, &status, &code) : NULL;
    if (p && (code != CL_SUCCESS || status != CL_SUCCESS || clBuildProgram(p, 1, &id, options, NULL, NULL))) {
        clReleaseProgram(p);
        p = NULL;
    }
    fa_map_close(&map);
    return p;
}

/* A program that cannot be kept is compiled again next time: nothing is said. */
static void keep(cl_program p, const char *path) {
    size_t bytes = 0;
    fa_error e;
    fa_new_file f = {0};
    if (!path || clGetProgramInfo(p, CL_PROGRAM_BINARY_SIZES, sizeof bytes, &bytes, NULL) || !bytes) return;
    unsigned char *data = malloc(bytes);
    if (data && clGetProgramInfo(p, CL_PROGRAM_BINARIES, sizeof data, &data, NULL) == CL_SUCCESS &&
        !fa_new_file_open(&f, path, &e) && fwrite(data, 1, bytes, f.stream) == bytes)
        fa_new_file_commit(&f, &e);
    fa_new_file_abandon(&f);
    free(data);
}

/* The first lines of the build log, behind what failed. */
static fa_status build_failed(const fa_opencl *o, cl_program p, cl_int code, fa_error *e) {
    size_t bytes = 0;
    char *log = NULL;
    fa_status s = ocl_fail(&o->device, "clBuildProgram", code, e);
    if (clGetProgramBuildInfo(p, o->device.device_id, CL_PROGRAM_BUILD_LOG, 0, NULL, &bytes) == CL_SUCCESS && bytes)
        log = calloc(1, bytes + 1);
    if (log && clGetProgramBuildInfo(p, o->device.device_id, CL_PROGRAM_BUILD_LOG, bytes, log, NULL) == CL_SUCCESS)
        s = fa_fail(e, s, "opencl: %s: clBuildProgram: %s (%d): %s", o->device.name, ocl_code_name(code), code, log);
    free(log);
    return s;
}

fa_status ocl_program_open(const fa_opencl *o, bool codes_only, const char *options, cl_program *out, fa_error *e) {
    const char *texts[OCL_SOURCES];
    cl_uint n = 0;
    cl_int code;
    cl_device_id id = o->device.device_id;
    for (int i = 0; i < OCL_SOURCES; i++)
        if (!codes_only || !ocl_sources[i].floats_only) texts[n++] = ocl_sources[i].text;
    char *path = cache_path(o, codes_only, options);
    fa_status s = FA_OK;
    cl_program p = *out = load_cached(o, path, options);
    if (!p) {
        p = clCreateProgramWithSource(o->context, n, texts, NULL, &code);
        if (!p) {
            s = ocl_fail(&o->device, "clCreateProgramWithSource", code, e);
        } else if ((code = clBuildProgram(p, 1, &id, options, NULL, NULL))) {
            s = build_failed(o, p, code, e);
            clReleaseProgram(p);
        } else {
            keep(p, path);
            *out = p;
        }
    }
    free(path);
    return s;
}

/* Ways to compile, the fastest first; the first that computes as it should is taken. */
typedef struct way {
    const char *options;
    bool needs_divide, needs_subnormals;
} way;

static const way ways[OCL_PROGRAMS][3] = {
    [OCL_CODES] =
        {
            {"-DCODES_ONLY -DCODES_BY_SHIFT -DDIVIDE_BY_DEVICE -cl-fp32-correctly-rounded-divide-sqrt", true, true},
            {"-DCODES_ONLY -DCODES_BY_SHIFT", false, true},
            {"-DCODES_ONLY", false, false},
        },
    [OCL_FLOATS] =
        {
            {"-DFLUSH_BY_DEVICE -DDIVIDE_BY_DEVICE -cl-denorms-are-zero -cl-fp32-correctly-rounded-divide-sqrt", true,
             false},
            {"-DDIVIDE_BY_DEVICE -cl-fp32-correctly-rounded-divide-sqrt", true, false},
            {"", false, false},
        },
};

/* FATHOM_OPENCL_BY_CODE=1 takes the last way, so that it can be tested where the first is good. */
static fa_status build_one(fa_opencl *o, ocl_program which, fa_error *e) {
    const char *by_code = getenv("FATHOM_OPENCL_BY_CODE");
    fa_status s = FA_EUNSUPPORTED;
    for (int i = by_code && *by_code ? 2 : 0; i < 3; i++) {
        const way *w = &ways[which][i];
        if ((w->needs_divide && !o->device.exact_divide) || (w->needs_subnormals && !o->device.subnormals)) continue;
        cl_program p;
        char options[256];
        snprintf(options, sizeof options, "%s%s%s", w->options, !strcmp(o->device.kind, "CPU") ? " -DPREFETCH" : "",
                 which == OCL_CODES && o->device.local_memory ? " -DGROUP" : "");
        if ((s = ocl_program_open(o, which == OCL_CODES, options, &p, e))) return s;
        s = ocl_probe(o, p, e);
        if (!s) {
            o->programs[which] = p;
            return FA_OK;
        }
        clReleaseProgram(p);
        if (s != FA_EUNSUPPORTED) return s;
    }
    return s;
}

fa_status ocl_build(fa_opencl *o, fa_error *e) {
    for (int i = 0; i < OCL_PROGRAMS; i++) {
        fa_status s = build_one(o, (ocl_program)i, e);
        if (s) return s;
    }
    for (int i = 0; i < OCL_KERNELS; i++) {
        cl_int code;
        o->kernels[i] = clCreateKernel(o->programs[kernels[i].program], kernels[i].name, &code);
        if (!o->kernels[i]) return ocl_fail(&o->device, "clCreateKernel", code, e);
    }
    return FA_OK;
}

bool ocl_in_groups(const fa_opencl *o, ocl_kernel k) {
    return o->device.local_memory && kernels[k].program == OCL_CODES;
}

const char *ocl_kernel_name(ocl_kernel k) {
    return kernels[k].name;
}

void ocl_release_programs(fa_opencl *o) {
    for (int i = 0; i < OCL_KERNELS; i++)
        if (o->kernels[i]) clReleaseKernel(o->kernels[i]);
    for (int i = 0; i < OCL_PROGRAMS; i++)
        if (o->programs[i]) clReleaseProgram(o->programs[i]);
}
