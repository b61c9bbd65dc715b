/* The inside of the OpenCL backend, shared by the files of this folder. */
#ifndef FA_BACKEND_OPENCL_INTERNAL_H
#define FA_BACKEND_OPENCL_INTERNAL_H

#include "host/backend/opencl/device.h"
#include "host/base/arena.h"
#include "host/base/memory.h"
#include "opencl/params.h"

/* The two programs: FP8 codes need a device that keeps subnormals, everything else is faster where it flushes them. */
typedef enum ocl_program { OCL_CODES = 0, OCL_FLOATS, OCL_PROGRAMS } ocl_program;

typedef enum ocl_kernel {
    OCL_MATMUL_CODES = 0,
    OCL_MATMUL,
    OCL_GATE_UP_CODES,
    OCL_GATE_UP,
    OCL_DOWN_CODES,
    OCL_DOWN,
    OCL_QUANTISE,
    OCL_GATED,
    OCL_GQA,
    OCL_MLA,
    OCL_ABSORB,
    OCL_PROJECT,
    OCL_RMSNORM,
    OCL_ROPE,
    OCL_ADD,
    OCL_STORE,
    OCL_KERNELS
} ocl_kernel;

enum { OCL_ARGS = 8, OCL_IN_FLIGHT = 512, OCL_READERS = 6 };

/* Device memory. `last_*`: launches in flight that touched it, as indices into fa_opencl.events of the same round. */
typedef struct ocl_buffer {
    fa_buffer base;
    cl_mem mem;
    fa_memory memory; /* shared devices: the very bytes; others: untouched until the host takes over */
    struct ocl_buffer *next, **link;
    uint64_t round;
    int writer, n_readers, readers[OCL_READERS];
} ocl_buffer;

/* Where a weight is. */
typedef struct ocl_weight {
    fcl_weight view; /* windows: numbers in fa_opencl.windows */
    fa_weight source;
    bool on_device;
    bool waits;              /* for ocl_settle */
    struct ocl_weight *next; /* of all, in the order they came */
} ocl_weight;

/* A weight buffer. */
typedef struct ocl_window {
    cl_mem mem;
    fa_memory memory; /* of copies on shared devices */
    size_t bytes, used;
    void *mapped;
    bool copies; /* made here; else a view of a mapped file */
} ocl_window;

/* One kernel launch to be enqueued. */
typedef struct ocl_launch {
    ocl_kernel kernel;
    size_t global[3];
    int64_t at; /* of its struct in the parameter buffer */
    int n_windows, windows[FCL_WINDOWS];
    int n_buffers;
    ocl_buffer *buffers[OCL_ARGS];
    bool writes[OCL_ARGS];
} ocl_launch;

typedef struct ocl_places {
    const fa_place *place;
    int64_t rows, offset;
    bool pages;
} ocl_places;

enum { OCL_PLACES = 4, OCL_LAUNCHES = 64, OCL_LAUNCHES_OF_OP = 6 };

/* A command that is done, by the device's clock in nanoseconds; kernel: OCL_KERNELS for a transfer. */
typedef struct ocl_record {
    cl_ulong queued, start, end;
    int kernel;
} ocl_record;

typedef struct fa_opencl {
    fa_backend base;
    fa_opencl_device device;
    int node;
    fa_backend *host; /* cpu: checks weights, runs what the device does not hold, goes on when it is lost */
    cl_context context;
    cl_command_queue queue;
    cl_program programs[OCL_PROGRAMS];
    cl_kernel kernels[OCL_KERNELS];
    bool lost;    /* the device failed: nothing is computed until ocl_recover */
    bool on_host; /* the host has taken over */
    bool host_reserved;
    char why[256]; /* it was lost */
    size_t bytes;  /* of buffers, scratch and copies of weights */

    fa_limits limits;
    bool reserved;
    ocl_buffer *buffers;                             /* all of them */
    ocl_buffer *values, *scales;                     /* quantised x */
    ocl_buffer *gates, *ups;                         /* inner rows, one a route */
    ocl_buffer *inner_values, *inner_scales;         /* the same, quantised */
    ocl_buffer *latent, *latent_out;                 /* of mla */
    int64_t ldv, lds, ld_inner, lds_inner, mla_rows; /* strides; rows of mla that latent holds */
    int32_t *expert_first;                           /* [max_experts + 2] */
    fa_arena arena;
    /* experts that only the host holds, while the device holds others */
    int64_t cold_width;            /* of their rows; 0: there are none */
    ocl_buffer *given;             /* their outputs, one a route */
    fa_buffer *cold_in, *cold_out; /* the host's: rows of one expert */

    ocl_buffer *params;
    fa_memory params_host;
    size_t params_used, params_sent;
    ocl_places places[OCL_PLACES];
    int n_places;
    ocl_launch launches[OCL_LAUNCHES];
    int n_launches;
    cl_event events[OCL_IN_FLIGHT];
    uint8_t event_kernel[OCL_IN_FLIGHT];
    int n_events;
    uint64_t round; /* of submissions: events belong to one */

    bool timeline; /* commands are recorded */
    ocl_record *record;
    int64_t n_recorded, record_room;

    ocl_weight *weights, **last_weight, *pending;
    ocl_window *windows;
    int n_windows, windows_room;
    cl_mem staging; /* pinned; for devices with memory of their own */
    void *staging_mapped;
} fa_opencl;

/* program.c: compiles or loads the programs, makes the kernels; FA_EUNSUPPORTED when the device cannot do the arithmetic. */
fa_status ocl_build(fa_opencl *o, fa_error *e);
void ocl_release_programs(fa_opencl *o);
const char *ocl_kernel_name(ocl_kernel k);
/* Whether what is one work-item for other devices is a group of FCL_GROUP of them. */
bool ocl_in_groups(const fa_opencl *o, ocl_kernel k);

/* One program with these options, from the cache on disk or compiled; the caller releases it. */
fa_status ocl_program_open(const fa_opencl *o, bool codes_only, const char *options, cl_program *out, fa_error *e);

/* probe.c: whether a program computes as docs/numerics.md says; FA_EUNSUPPORTED names what it does not. */
fa_status ocl_probe(const fa_opencl *o, cl_program program, fa_error *e);

/* buffers.c */
fa_status ocl_buffer_new(fa_opencl *o, size_t bytes, ocl_buffer **out, fa_error *e);
void ocl_buffer_free(fa_opencl *o, ocl_buffer *b);
fa_status ocl_alloc(fa_backend *b, size_t bytes, fa_buffer **out, fa_error *e);
void ocl_free(fa_backend *b, fa_buffer *buffer);
fa_status ocl_write(fa_backend *b, fa_buffer *to, size_t offset, const void *from, size_t bytes, fa_error *e);
fa_status ocl_read(fa_backend *b, const fa_buffer *from, size_t offset, void *to, size_t bytes, fa_error *e);

/* weights.c */
fa_status ocl_take_weight(fa_backend *b, fa_weight *w, fa_error *e);
/* Puts the weights that wait on the device, as far as it has room. */
fa_status ocl_settle(fa_backend *b, const fa_progress *progress, fa_error *e);
/* Before a submission: what was written reaches the device. */
fa_status ocl_close_windows(fa_opencl *o, fa_error *e);
void ocl_release_weights(fa_opencl *o);
/* A weight that came as a vector or as a matrix; NULL when it is not on the device. */
const ocl_weight *ocl_weight_of(const fa_weight *w);

/* cold.c: the experts that the device does not hold, of ops for which it holds others */
/* Whether the device holds all three matrices. */
bool ocl_holds(const fa_expert *x);
/* After settling and reserving: room for their rows. */
fa_status ocl_reserve_cold(fa_opencl *o, fa_error *e);
void ocl_release_cold(fa_opencl *o);
/* Has `cpu` compute routes first .. last - 1 of expert x, whose rows of op->x are `routes`, into o->given, while the device goes on. */
fa_status ocl_compute_cold(fa_opencl *o, const fa_experts *op, const fa_expert *x, const fcl_route *routes,
                           int32_t first, int32_t last, fa_error *e);

/* queue.c: launches and what they wait for */
fa_status ocl_reserve(fa_backend *b, const fa_limits *limits, fa_error *e);
/* Before an op: room for `bytes` in the parameter buffer and for its launches; sends (and waits) when there is none. */
fa_status ocl_room(fa_opencl *o, size_t bytes, fa_error *e);
/* Parameters that kernels will read: memory to fill, and its offset. ocl_room came before. */
void *ocl_put(fa_opencl *o, size_t bytes, int64_t *offset);
/* A launch to fill, without buffers and windows; sent later. */
ocl_launch *ocl_launch_new(fa_opencl *o, ocl_kernel kernel, int64_t at);
void ocl_arg(ocl_launch *l, ocl_buffer *buffer, bool writes);
/* A weight on the device as the launch sees it. */
fcl_weight ocl_arg_weight(ocl_launch *l, const fa_weight *w);
/* Enqueues what was prepared. */
fa_status ocl_send(fa_opencl *o, fa_error *e);
/* Waits for everything and forgets it. */
fa_status ocl_drain(fa_opencl *o, fa_error *e);
/* After a failure with status `why`: FA_EDEVICE makes the device a lost one. Returns `why`. */
fa_status ocl_lose(fa_opencl *o, fa_status why, const fa_error *e);
/* The device did not do what it was given: it is a lost one. FA_EDEVICE. */
fa_status ocl_give_up(fa_opencl *o, const char *call, cl_int code, fa_error *e);
/* FA_EDEVICE while the device is lost. */
fa_status ocl_check_lost(const fa_opencl *o, fa_error *e);
/* The host takes over, with buffers of zeros. */
fa_status ocl_recover(fa_backend *b, bool *memory_lost, fa_error *e);

/* Places of an op's rows in the parameter buffer, once a submission. */
int64_t ocl_put_places(fa_opencl *o, const fa_place *place, int64_t rows, bool pages);
size_t ocl_places_bytes(const fa_place *place, int64_t rows, bool pages);

/* timeline.c: keeps the times of the events in flight, which are done; and writes what was kept. */
void ocl_record_events(fa_opencl *o);
fa_status ocl_timeline(fa_backend *b, const char *path, fa_error *e);

/* ops: append launches. */
fa_status ocl_matmul(fa_opencl *o, const fa_matmul *m, fa_error *e);
fa_status ocl_experts(fa_opencl *o, const fa_experts *x, fa_error *e);
fa_status ocl_mla(fa_opencl *o, const fa_mla *m, fa_error *e);
fa_status ocl_gqa(fa_opencl *o, const fa_gqa *g, fa_error *e);
fa_status ocl_store(fa_opencl *o, const fa_store *s, fa_error *e);
fa_status ocl_rmsnorm(fa_opencl *o, const fa_rmsnorm *r, fa_error *e);
fa_status ocl_rope(fa_opencl *o, const fa_rope *r, fa_error *e);
fa_status ocl_add(fa_opencl *o, const fa_add *a, fa_error *e);

/* host_op.c: ops that the device cannot do, because it does not hold a weight or a launch cannot see them all. */
bool ocl_needs_host(const fa_op *op);
fa_status ocl_host_op(fa_opencl *o, const fa_op *op, fa_error *e);

static inline int64_t ocl_ceil_div(int64_t a, int64_t b) {
    return (a + b - 1) / b;
}

static inline ocl_buffer *ocl_of(fa_ref r) {
    return (ocl_buffer *)r.buffer;
}

/* Offset of a reference in FP32 elements. */
static inline int64_t ocl_at(fa_ref r) {
    return (int64_t)(r.offset / sizeof(float));
}

static inline bool ocl_takes_codes(fa_numerics n, const fa_weight *w) {
    return n == FA_W8A8 && w->type == FA_F8_E4M3;
}

#endif
