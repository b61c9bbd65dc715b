/* A device that fails: whatever call fails, whenever, the answer is right or the error is one clean line; nothing hangs, and an engine
 * that was open answers the next question. The calls pass through functions of this program that stand in front of the OpenCL
 * library's. */
#define CL_TARGET_OPENCL_VERSION 120
#include <CL/cl.h>
#include <dlfcn.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "host/backend/backend.h"
#include "tests/lib/check.h"
#include "tests/lib/golden_engine.h"

/* ---- the library's functions, with faults ---- */

typedef enum call {
    PLATFORMS,
    CONTEXT,
    QUEUE,
    SOURCE,
    BINARY,
    BUILD,
    KERNEL,
    BUFFER,
    SET_ARG,
    LAUNCH,
    READ,
    WRITE,
    MAP,
    UNMAP,
    FLUSH,
    FINISH,
    WAIT,
    CALLS
} call;

static const char *const call_names[CALLS] = {
    "clGetPlatformIDs",
    "clCreateContext",
    "clCreateCommandQueue",
    "clCreateProgramWithSource",
    "clCreateProgramWithBinary",
    "clBuildProgram",
    "clCreateKernel",
    "clCreateBuffer",
    "clSetKernelArg",
    "clEnqueueNDRangeKernel",
    "clEnqueueReadBuffer",
    "clEnqueueWriteBuffer",
    "clEnqueueMapBuffer",
    "clEnqueueUnmapMemObject",
    "clFlush",
    "clFinish",
    "clWaitForEvents",
};

/* The `number`-th call of a kind from now on fails, and with `lost` all calls after it. */
static struct faults {
    call call;
    long number; /* 0: none */
    cl_int code;
    bool lost, gone, happened;
    long count[CALLS];
} faults;

static cl_int trip(call c) {
    faults.count[c]++;
    if (faults.gone) return CL_DEVICE_NOT_AVAILABLE;
    if (!faults.number || faults.call != c || --faults.number) return CL_SUCCESS;
    faults.happened = true;
    faults.gone = faults.lost;
    return faults.code;
}

#define NEXT(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

/* A function that returns a code. */
#define STATUS(kind, name, parameters, ...)           \
    cl_int name parameters {                          \
        cl_int code = trip(kind);                     \
        return code ? code : NEXT(name)(__VA_ARGS__); \
    }

/* One that makes a thing and tells the code aside. */
#define MAKER(kind, type, name, parameters, ...)     \
    type name parameters {                           \
        cl_int failed = trip(kind);                  \
        if (!failed) return NEXT(name)(__VA_ARGS__); \
        if (code) *code = failed;                    \
        return NULL;                                 \
    }

STATUS(PLATFORMS, clGetPlatformIDs, (cl_uint n, cl_platform_id *p, cl_uint *found), n, p, found)
MAKER(CONTEXT, cl_context, clCreateContext,
      (const cl_context_properties *p, cl_uint n, const cl_device_id *d,
       void(CL_CALLBACK *f)(const char *, const void *, size_t, void *), void *u, cl_int *code),
      p, n, d, f, u, code)
MAKER(QUEUE, cl_command_queue, clCreateCommandQueue,
      (cl_context c, cl_device_id d, cl_command_queue_properties p, cl_int *code), c, d, p, code)
MAKER(SOURCE, cl_program, clCreateProgramWithSource,
      (cl_context c, cl_uint n, const char **s, const size_t *l, cl_int *code), c, n, s, l, code)
MAKER(BINARY, cl_program, clCreateProgramWithBinary,
      (cl_context c, cl_uint n, const cl_device_id *d, const size_t *l, const unsigned char **b, cl_int *s,
       cl_int *code),
      c, n, d, l, b, s, code)
STATUS(BUILD, clBuildProgram,
       (cl_program p, cl_uint n, const cl_device_id *d, const char *o, void(CL_CALLBACK *f)(cl_program, void *),
        void *u),
       p, n, d, o, f, u)
MAKER(KERNEL, cl_kernel, clCreateKernel, (cl_program p, const char *name, cl_int *code), p, name, code)
MAKER(BUFFER, cl_mem, clCreateBuffer, (cl_context c, cl_mem_flags f, size_t n, void *h, cl_int *code), c, f, n, h, code)
STATUS(SET_ARG, clSetKernelArg, (cl_kernel k, cl_uint i, size_t n, const void *v), k, i, n, v)
STATUS(LAUNCH, clEnqueueNDRangeKernel,
       (cl_command_queue q, cl_kernel k, cl_uint d, const size_t *o, const size_t *g, const size_t *l, cl_uint n,
        const cl_event *w, cl_event *e),
       q, k, d, o, g, l, n, w, e)
STATUS(READ, clEnqueueReadBuffer,
       (cl_command_queue q, cl_mem m, cl_bool b, size_t o, size_t n, void *p, cl_uint k, const cl_event *w,
        cl_event *e),
       q, m, b, o, n, p, k, w, e)
STATUS(WRITE, clEnqueueWriteBuffer,
       (cl_command_queue q, cl_mem m, cl_bool b, size_t o, size_t n, const void *p, cl_uint k, const cl_event *w,
        cl_event *e),
       q, m, b, o, n, p, k, w, e)
MAKER(MAP, void *, clEnqueueMapBuffer,
      (cl_command_queue q, cl_mem m, cl_bool b, cl_map_flags f, size_t o, size_t n, cl_uint k, const cl_event *w,
       cl_event *e, cl_int *code),
      q, m, b, f, o, n, k, w, e, code)
STATUS(UNMAP, clEnqueueUnmapMemObject,
       (cl_command_queue q, cl_mem m, void *p, cl_uint k, const cl_event *w, cl_event *e), q, m, p, k, w, e)
STATUS(FLUSH, clFlush, (cl_command_queue q), q)

/* These have waited when they fail: the commands are real and still write. */
cl_int clFinish(cl_command_queue q) {
    cl_int done = NEXT(clFinish)(q), code = trip(FINISH);
    return code ? code : done;
}

cl_int clWaitForEvents(cl_uint n, const cl_event *e) {
    cl_int done = NEXT(clWaitForEvents)(n, e), code = trip(WAIT);
    return code ? code : done;
}

/* ---- what must hold ---- */

enum { PROMPT = 30, ANSWER = 6, FAULTS = 100 };

typedef struct answer {
    int n;
    int32_t ids[ANSWER];
    char error[512]; /* empty: it ended as it should */
} answer;

static const struct model {
    const char *folder, *numerics;
} models[] = {{"deepseek-v3-tiny-fp8", "w8a8"}, {"deepseek-llm-tiny", "w8a16"}};
enum { MODELS = sizeof models / sizeof *models };

static fathom_status open_engine(const struct model *m, const char *backend, fathom_engine **g, fathom_error *e) {
    char *path = check_golden(m->folder);
    fathom_options o = {.model = path, .backend = backend, .numerics = m->numerics, .threads = 1, .step_rows = 16};
    fathom_status s = fathom_engine_open(g, &o, e);
    free(path);
    return s;
}

/* Asks for an answer; an error ends it. */
static answer ask(fathom_engine *g, uint64_t owner) {
    answer a = {0};
    fathom_error e = {0};
    fathom_session *s = golden_session(g, owner);
    int32_t ids[PROMPT];
    for (int i = 0; i < PROMPT; i++) ids[i] = 20 + i * 3;
    golden_ask(s, ids, PROMPT, &(fathom_sampling){.max_tokens = ANSWER, .ignore_eos = true});
    fathom_status st = FATHOM_OK;
    while (!st && fathom_session_finish(s) == FATHOM_RUNNING) {
        fathom_token t;
        st = fathom_engine_step(g, NULL, &e);
        while (fathom_session_next(s, &t))
            if (a.n < ANSWER) a.ids[a.n++] = t.id;
    }
    if (st) snprintf(a.error, sizeof a.error, "%s", e.text);
    if (!st && fathom_session_finish(s) == FATHOM_FAILED)
        snprintf(a.error, sizeof a.error, "%s", fathom_session_error(s));
    fathom_session_close(s);
    return a;
}

static void must_be_right(const char *when, const answer *got, const answer *want) {
    CHECK(!*got->error, "%s: %s", when, got->error);
    CHECK(got->n == want->n && !memcmp(got->ids, want->ids, sizeof got->ids), "%s: another answer", when);
}

static answer right[MODELS];
static long counted[MODELS][CALLS]; /* calls of a run in which nothing fails: opening, one answer */

/* Without faults: what is right, and how often each call is made. */
static void learn(int m) {
    if (right[m].n) return;
    fathom_engine *g;
    fathom_error e;
    faults = (struct faults){0};
    fathom_status s = open_engine(&models[m], "opencl", &g, &e);
    if (s == FATHOM_EUNSUPPORTED) check_skip("%s", e.text);
    CHECK(!s, "%s", e.text);
    answer device = ask(g, 1);
    memcpy(counted[m], faults.count, sizeof counted[m]);
    fathom_engine_close(g);
    CHECK(!open_engine(&models[m], "cpu", &g, &e), "%s", e.text);
    answer cpu = ask(g, 1);
    fathom_engine_close(g);
    must_be_right("without a fault", &device, &cpu);
    right[m] = cpu;
}

static void must_name(const char *what, const char *text, call c) {
    CHECK(strstr(text, "opencl: "), "%s: '%s' does not say that it is OpenCL", what, text);
    CHECK(!strchr(text, '\n'), "%s: '%s' is more than a line", what, text);
    (void)c;
}

/* One fault: opening fails cleanly, or the answer is right or fails cleanly, and then the next one is right. */
static void survive(int m, call c, long number, cl_int code, bool lost) {
    char what[160];
    fathom_engine *g;
    fathom_error e = {0};
    snprintf(what, sizeof what, "%s: %s number %ld gives %d%s", models[m].folder, call_names[c], number, code,
             lost ? ", and all after it" : "");
    faults = (struct faults){.call = c, .number = number, .code = code, .lost = lost};
    alarm(120); /* a hang ends the program */
    if (open_engine(&models[m], "opencl", &g, &e)) {
        must_name(what, e.text, c);
    } else {
        answer a = ask(g, 1);
        if (*a.error)
            must_name(what, a.error, c);
        else
            must_be_right(what, &a, &right[m]);
        answer next = ask(g, 2);
        must_be_right(what, &next, &right[m]);
        fathom_engine_close(g);
    }
    alarm(0);
    CHECK(faults.happened, "%s: did not happen", what);
    faults = (struct faults){0};
}

typedef struct kind {
    const char *name;
    call calls[4];
    int n_calls;
    cl_int code;
    bool lost;
} kind;

static const kind kinds[] = {
    {"memory is refused: right, or a clean error", {BUFFER, MAP}, 2, CL_MEM_OBJECT_ALLOCATION_FAILURE, false},
    {"a program or kernel cannot be made: right, or a clean error",
     {BINARY, BUILD, KERNEL, SET_ARG},
     4,
     CL_OUT_OF_HOST_MEMORY,
     false},
    {"a command is refused: right, or a clean error", {LAUNCH, READ, WRITE, FLUSH}, 4, CL_OUT_OF_RESOURCES, false},
    {"a command fails: right, or a clean error",
     {WAIT, FINISH, UNMAP},
     3,
     CL_EXEC_STATUS_ERROR_FOR_EVENTS_IN_WAIT_LIST,
     false},
    {"the device is lost: right, or a clean error", {LAUNCH, WAIT, READ, WRITE}, 4, CL_DEVICE_NOT_AVAILABLE, true},
};
enum { KINDS = sizeof kinds / sizeof *kinds };

static void faults_of_a_kind(void *arg) {
    const kind *k = arg;
    check_rng rng = {(uint64_t)(k - kinds) + 1};
    for (int i = 0; i < FAULTS / KINDS; i++) {
        int m = i % MODELS;
        learn(m);
        call c = k->calls[i / MODELS % k->n_calls];
        long most = counted[m][c];
        CHECK(most > 0, "%s is never called", call_names[c]);
        survive(m, c, 1 + (long)(check_u64(&rng) % (uint64_t)most), k->code, k->lost);
    }
}

/* A driver whose compiler fails: nothing is cached for it. */
static void a_failed_build_says_what_the_compiler_said(void *arg) {
    (void)arg;
    learn(0);
    setenv("FATHOM_CACHE", "/dev/null/cache", 1);
    fathom_engine *g;
    fathom_error e = {0};
    faults = (struct faults){.call = BUILD, .number = 1, .code = CL_BUILD_PROGRAM_FAILURE};
    fathom_status s = open_engine(&models[0], "opencl", &g, &e);
    unsetenv("FATHOM_CACHE");
    CHECK(s == FATHOM_EDEVICE && strstr(e.text, "clBuildProgram: CL_BUILD_PROGRAM_FAILURE (-11)"), "'%s'", e.text);
    faults = (struct faults){0};
}

static void no_platform_is_a_clear_line(void *arg) {
    (void)arg;
    fathom_engine *g;
    fathom_error e = {0};
    faults = (struct faults){.call = PLATFORMS, .number = 1, .code = -1001};
    fathom_status s = open_engine(&models[0], "opencl", &g, &e);
    CHECK(s == FATHOM_EUNSUPPORTED && strstr(e.text, "no OpenCL platform is installed"), "'%s'", e.text);
    faults = (struct faults){.call = PLATFORMS, .number = 1, .code = -1001};
    CHECK(!open_engine(&models[0], "auto", &g, &e), "auto without a platform: %s", e.text);
    fathom_info info;
    fathom_engine_info(g, &info);
    CHECK(!strcmp(info.backend, "cpu"), "auto is %s", info.backend);
    fathom_engine_close(g);
    faults = (struct faults){0};
}

/* After the first step nothing is built and no memory taken. */
static void later_steps_make_nothing(void *arg) {
    (void)arg;
    for (int m = 0; m < MODELS; m++) {
        learn(m);
        fathom_engine *g;
        fathom_error e;
        CHECK(!open_engine(&models[m], "opencl", &g, &e), "%s", e.text);
        ask(g, 1);
        static const call makers[] = {CONTEXT, QUEUE, SOURCE, BINARY, BUILD, KERNEL, BUFFER};
        long before[CALLS];
        memcpy(before, faults.count, sizeof before);
        ask(g, 2);
        CHECK(faults.count[LAUNCH] > before[LAUNCH], "nothing was launched");
        for (size_t i = 0; i < sizeof makers / sizeof *makers; i++)
            CHECK(faults.count[makers[i]] == before[makers[i]], "%s in a later step", call_names[makers[i]]);
        fathom_engine_close(g);
    }
}

int main(int argc, char **argv) {
    check_case cases[KINDS + 3] = {
        {"no platform is a clear line, and auto is cpu", no_platform_is_a_clear_line, NULL},
        {"a failed build says what the compiler said", a_failed_build_says_what_the_compiler_said, NULL},
        {"later steps build nothing and take no memory", later_steps_make_nothing, NULL},
    };
    for (int i = 0; i < KINDS; i++) cases[3 + i] = (check_case){kinds[i].name, faults_of_a_kind, (void *)&kinds[i]};
    return check_main(argc, argv, cases, KINDS + 3);
}
