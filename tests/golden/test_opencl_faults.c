/* A device that fails: whatever call fails, whenever, the answer is right or the error is one clean line; nothing hangs, and an engine
 * that was open answers the next question. The calls pass through a layer that the OpenCL loader puts in front of the driver
 * (tests/layers/opencl_faults.c). */
#define CL_TARGET_OPENCL_VERSION 120
#include <CL/cl.h>
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/layers/opencl_faults.h"
#include "tests/lib/check.h"
#include "tests/lib/golden_engine.h"

#define FAULTS_NAME(name) #name,
static const char *const call_names[FAULTS_KINDS] = {FAULTS_CALLS(FAULTS_NAME)};

static const faults_seen *seen; /* by the layer */

/* The `number`-th call of a kind from the next opening on fails, and with `lost` all calls after it; 0: none. */
static void set_fault(faults_call call, long number, cl_int code, bool lost) {
    char text[128];
    snprintf(text, sizeof text, "%s:%ld:%d%s", call_names[call], number, code, lost ? ":lost" : "");
    setenv(FAULTS_VARIABLE, text, 1);
}

static void no_fault(void) {
    unsetenv(FAULTS_VARIABLE);
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
static long counted[MODELS][FAULTS_KINDS]; /* calls of a run in which nothing fails: opening, one answer */

/* Without faults: what is right, and how often each call is made. */
static void learn(int m) {
    if (right[m].n) return;
    fathom_engine *g;
    fathom_error e;
    no_fault();
    fathom_status s = open_engine(&models[m], "opencl", &g, &e);
    if (s == FATHOM_EUNSUPPORTED) check_skip("%s", e.text);
    CHECK(!s, "%s", e.text);
    if (!seen->count[FAULT_clGetPlatformIDs]) check_skip("the OpenCL loader here loads no layers");
    answer device = ask(g, 1);
    memcpy(counted[m], seen->count, sizeof counted[m]);
    fathom_engine_close(g);
    CHECK(!open_engine(&models[m], "cpu", &g, &e), "%s", e.text);
    answer cpu = ask(g, 1);
    fathom_engine_close(g);
    must_be_right("without a fault", &device, &cpu);
    right[m] = cpu;
}

static void must_name(const char *what, const char *text) {
    CHECK(strstr(text, "opencl: "), "%s: '%s' does not say that it is OpenCL", what, text);
    CHECK(!strchr(text, '\n'), "%s: '%s' is more than a line", what, text);
}

/* One fault: opening fails cleanly, or the answer is right or fails cleanly, and then the next one is right. */
static void survive(int m, faults_call c, long number, cl_int code, bool lost) {
    char what[160];
    fathom_engine *g;
    fathom_error e = {0};
    snprintf(what, sizeof what, "%s: %s number %ld gives %d%s", models[m].folder, call_names[c], number, code,
             lost ? ", and all after it" : "");
    set_fault(c, number, code, lost);
    alarm(120); /* a hang ends the program */
    if (open_engine(&models[m], "opencl", &g, &e)) {
        must_name(what, e.text);
    } else {
        bool before = seen->happened; /* while it was opened, which went on without what was refused */
        answer a = ask(g, 1);
        if (*a.error)
            must_name(what, a.error);
        else
            must_be_right(what, &a, &right[m]);
        CHECK(before || *a.error, "%s: the answer that the device failed in ended without an error", what);
        answer next = ask(g, 2);
        must_be_right(what, &next, &right[m]);
        fathom_engine_close(g);
    }
    alarm(0);
    CHECK(seen->happened, "%s: did not happen", what);
    no_fault();
}

typedef struct kind {
    const char *name;
    faults_call calls[4];
    int n_calls;
    cl_int code;
    bool lost;
} kind;

static const kind kinds[] = {
    {"memory is refused: right, or a clean error",
     {FAULT_clCreateBuffer, FAULT_clEnqueueMapBuffer},
     2,
     CL_MEM_OBJECT_ALLOCATION_FAILURE,
     false},
    {"a program or kernel cannot be made: right, or a clean error",
     {FAULT_clCreateProgramWithBinary, FAULT_clBuildProgram, FAULT_clCreateKernel, FAULT_clSetKernelArg},
     4,
     CL_OUT_OF_HOST_MEMORY,
     false},
    {"a command is refused: right, or a clean error",
     {FAULT_clEnqueueNDRangeKernel, FAULT_clEnqueueReadBuffer, FAULT_clEnqueueWriteBuffer, FAULT_clFlush},
     4,
     CL_OUT_OF_RESOURCES,
     false},
    {"a command fails: right, or a clean error",
     {FAULT_clWaitForEvents, FAULT_clFinish, FAULT_clEnqueueUnmapMemObject},
     3,
     CL_EXEC_STATUS_ERROR_FOR_EVENTS_IN_WAIT_LIST,
     false},
    {"the device is lost: right, or a clean error",
     {FAULT_clEnqueueNDRangeKernel, FAULT_clWaitForEvents, FAULT_clEnqueueReadBuffer, FAULT_clEnqueueWriteBuffer},
     4,
     CL_DEVICE_NOT_AVAILABLE,
     true},
};
enum { KINDS = sizeof kinds / sizeof *kinds };

static void faults_of_a_kind(void *arg) {
    const kind *k = arg;
    check_rng rng = {(uint64_t)(k - kinds) + 1};
    for (int i = 0; i < FAULTS / KINDS; i++) {
        int m = i % MODELS;
        learn(m);
        faults_call c = k->calls[i / MODELS % k->n_calls];
        long most = counted[m][c];
        CHECK(most > 0, "%s is never called", call_names[c]);
        survive(m, c, 1 + (long)(check_u64(&rng) % (uint64_t)most), k->code, k->lost);
    }
}

/* Two requests that the device has begun, one that has not: the fault ends the two, and says which device it was. */
static void loss_ends_what_was_held(void *arg) {
    (void)arg;
    learn(0);
    fathom_engine *g;
    fathom_error e = {0};
    fathom_session *s[3];
    int32_t ids[PROMPT];
    for (int i = 0; i < PROMPT; i++) ids[i] = 20 + i * 3;
    char *path = check_golden(models[0].folder);
    fathom_options o = {.model = path,
                        .backend = "opencl",
                        .numerics = models[0].numerics,
                        .threads = 1,
                        .step_rows = 16,
                        .sessions = 3};
    set_fault(FAULT_clWaitForEvents, counted[0][FAULT_clWaitForEvents], CL_DEVICE_NOT_AVAILABLE, true);
    CHECK(!fathom_engine_open(&g, &o, &e), "%s", e.text);
    fathom_info info;
    fathom_engine_info(g, &info);
    char device[128];
    snprintf(device, sizeof device, "%.*s", (int)strcspn(info.backend_detail, ","), info.backend_detail);
    for (int i = 0; i < 3; i++) s[i] = golden_session(g, (uint64_t)i + 1);
    for (int i = 0; i < 2; i++)
        golden_ask(s[i], ids, PROMPT, &(fathom_sampling){.max_tokens = 400, .ignore_eos = true});
    while (!seen->happened) {
        fathom_token t;
        CHECK(!fathom_engine_step(g, NULL, &e), "%s", e.text);
        for (int i = 0; i < 2; i++) fathom_session_next(s[i], &t);
    }
    for (int i = 0; i < 2; i++) {
        const char *error = fathom_session_error(s[i]);
        CHECK(fathom_session_finish(s[i]) == FATHOM_FAILED && strstr(error, device), "request %d: '%s', not %s", i,
              error, device);
        fathom_session_close(s[i]);
    }
    golden_answer a;
    golden_ask(s[2], ids, PROMPT, &(fathom_sampling){.max_tokens = ANSWER, .ignore_eos = true});
    golden_run(g, s[2], &a);
    CHECK(!memcmp(a.ids, right[0].ids, sizeof right[0].ids), "another answer after the loss");
    fathom_engine_info(g, &info);
    CHECK(strstr(info.backend_detail, "was lost; cpu"), "it says '%s'", info.backend_detail);
    fathom_engine_close(g);
    no_fault();
    free(path);
}

/* A driver whose compiler fails: nothing is cached for it. */
static void a_failed_build_says_what_the_compiler_said(void *arg) {
    (void)arg;
    learn(0);
    setenv("FATHOM_CACHE", "/dev/null/cache", 1);
    fathom_engine *g;
    fathom_error e = {0};
    set_fault(FAULT_clBuildProgram, 1, CL_BUILD_PROGRAM_FAILURE, false);
    fathom_status s = open_engine(&models[0], "opencl", &g, &e);
    unsetenv("FATHOM_CACHE");
    CHECK(s == FATHOM_EDEVICE && strstr(e.text, "clBuildProgram: CL_BUILD_PROGRAM_FAILURE (-11)"), "'%s'", e.text);
    no_fault();
}

static void no_platform_is_a_clear_line(void *arg) {
    (void)arg;
    fathom_engine *g;
    fathom_error e = {0};
    set_fault(FAULT_clGetPlatformIDs, 1, -1001, false);
    fathom_status s = open_engine(&models[0], "opencl", &g, &e);
    CHECK(s == FATHOM_EUNSUPPORTED && strstr(e.text, "no OpenCL platform is installed"), "'%s'", e.text);
    set_fault(FAULT_clGetPlatformIDs, 1, -1001, false);
    CHECK(!open_engine(&models[0], "auto", &g, &e), "auto without a platform: %s", e.text);
    fathom_info info;
    fathom_engine_info(g, &info);
    CHECK(!strcmp(info.backend, "cpu"), "auto is %s", info.backend);
    fathom_engine_close(g);
    no_fault();
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
        static const faults_call makers[] = {FAULT_clCreateContext,
                                             FAULT_clCreateCommandQueue,
                                             FAULT_clCreateProgramWithSource,
                                             FAULT_clCreateProgramWithBinary,
                                             FAULT_clBuildProgram,
                                             FAULT_clCreateKernel,
                                             FAULT_clCreateBuffer};
        long before[FAULTS_KINDS];
        memcpy(before, seen->count, sizeof before);
        ask(g, 2);
        CHECK(seen->count[FAULT_clEnqueueNDRangeKernel] > before[FAULT_clEnqueueNDRangeKernel], "nothing was launched");
        for (size_t i = 0; i < sizeof makers / sizeof *makers; i++)
            CHECK(seen->count[makers[i]] == before[makers[i]], "%s in a later step", call_names[makers[i]]);
        fathom_engine_close(g);
    }
}

/* The layer must be named before the first call; opened here too, it is the same one. */
static void load_layer(void) {
    char *path = NULL;
    if (asprintf(&path, "%s/tests/layers/opencl_faults.so", getenv("FATHOM_BUILD") ?: "build") < 0) abort();
    setenv("OPENCL_LAYERS", path, 1);
    void *library = dlopen(path, RTLD_NOW);
    const faults_seen *(*get)(void) = library ? (const faults_seen *(*)(void))dlsym(library, "faults_get") : NULL;
    if (!get) {
        fprintf(stderr, "%s: %s\n", path, dlerror());
        exit(1);
    }
    seen = get();
    free(path);
}

int main(int argc, char **argv) {
    check_case cases[KINDS + 4] = {
        {"no platform is a clear line, and auto is cpu", no_platform_is_a_clear_line, NULL},
        {"a failed build says what the compiler said", a_failed_build_says_what_the_compiler_said, NULL},
        {"later steps build nothing and take no memory", later_steps_make_nothing, NULL},
        {"a lost device ends the requests it held, and others go on", loss_ends_what_was_held, NULL},
    };
    load_layer();
    for (int i = 0; i < KINDS; i++) cases[4 + i] = (check_case){kinds[i].name, faults_of_a_kind, (void *)&kinds[i]};
    return check_main(argc, argv, cases, KINDS + 4);
}
