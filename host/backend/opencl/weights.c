/* Weights. Codes, BF16 and FP32 are used where they lie in the mapped file when the device shares the host's memory: a window is a
 * buffer over the part of a file that weights are in. Everything else is copied once: block scales, vectors and types that no kernel
 * reads (as FP32), and all of it where the device has memory of its own. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/backend/opencl/internal.h"
#include "host/base/threads.h"

enum { ALIGN = 256 };
static const size_t LEAST_CHUNK = 16u << 20, PIECE_BYTES = 16u << 20;

static int kind_of(const fa_weight *w) {
    bool vector = w->rows == 1 && (w->type == FA_BF16 || w->type == FA_F16);
    if (w->type == FA_F8_E4M3) return FCL_E4M3;
    return w->type == FA_BF16 && !vector ? FCL_BF16 : FCL_F32;
}

static size_t scale_count(const fa_weight *w) {
    return (size_t)(ocl_ceil_div(w->rows, FA_BLOCK) * ocl_ceil_div(w->cols, FA_BLOCK));
}

/* The bytes that kernels read as they are. */
static bool as_it_lies(const ocl_weight *w) {
    return (w->view.kind == FCL_F32 && w->source.type == FA_F32) || w->view.kind != FCL_F32;
}

static size_t element_bytes(const ocl_weight *w) {
    static const size_t size[] = {[FCL_F32] = 4, [FCL_BF16] = 2, [FCL_E4M3] = 1};
    return size[w->view.kind];
}

static size_t data_bytes(const ocl_weight *w) {
    return (size_t)w->source.rows * (size_t)w->source.cols * element_bytes(w);
}

static bool in_place(const fa_opencl *o, const ocl_weight *w) {
    return o->device.shared && w->source.file && as_it_lies(w);
}

/* Bytes of copies that a weight takes. */
static size_t copied_bytes(const fa_opencl *o, const ocl_weight *w) {
    size_t bytes = in_place(o, w) ? 0 : data_bytes(w) + 2 * ALIGN;
    return bytes + (w->view.kind == FCL_E4M3 ? scale_count(&w->source) * 4 + ALIGN : 0);
}

static fa_status new_window(fa_opencl *o, fa_error *e) {
    if (o->n_windows < o->windows_room) return FA_OK;
    int room = o->windows_room ? 2 * o->windows_room : 16;
    ocl_window *grown = realloc(o->windows, (size_t)room * sizeof *grown);
    if (!grown) return fa_fail(e, FA_ENOMEM, "opencl: out of memory");
    o->windows = grown;
    o->windows_room = room;
    return FA_OK;
}

/* A buffer for copies, of at least `bytes`. */
static fa_status new_chunk(fa_opencl *o, size_t bytes, fa_error *e) {
    cl_int code;
    ocl_window w = {.copies = true};
    fa_status s = new_window(o, e);
    if (s) return s;
    size_t most = o->device.buffer_bytes, want = o->n_windows ? 2 * o->windows[o->n_windows - 1].bytes : LEAST_CHUNK;
    if (want > most / 4) want = most / 4;
    if (want < bytes) want = bytes;
    if (want > most)
        return fa_fail(e, FA_ENOMEM, "opencl: %s: a weight of %zu bytes is larger than its largest buffer",
                       o->device.name, bytes);
    if (o->device.shared) {
        s = fa_memory_alloc(&w.memory, want, o->node, e);
        if (s) return s;
        w.mem = clCreateBuffer(o->context, CL_MEM_READ_ONLY | CL_MEM_USE_HOST_PTR, want, w.memory.data, &code);
    } else {
        const cl_uint zero = 0;
        w.mem = clCreateBuffer(o->context, CL_MEM_READ_ONLY, want, NULL, &code);
        if (w.mem) clEnqueueFillBuffer(o->queue, w.mem, &zero, sizeof zero, 0, want / 4 * 4, 0, NULL, NULL);
        if (w.mem) clFinish(o->queue);
    }
    if (!w.mem) {
        fa_memory_free(&w.memory);
        return ocl_fail(&o->device, "clCreateBuffer", code, e);
    }
    w.bytes = want;
    o->bytes += want;
    o->windows[o->n_windows++] = w;
    return FA_OK;
}

/* Room for a copy: its window and offset. */
static fa_status take_room(fa_opencl *o, size_t bytes, fcl_i32 *window, fcl_i64 *offset, fa_error *e) {
    int i = o->n_windows - 1;
    while (i >= 0 && !(o->windows[i].copies && o->windows[i].bytes - o->windows[i].used >= bytes)) i--;
    if (i < 0) {
        fa_status s = new_chunk(o, bytes, e);
        if (s) return s;
        i = o->n_windows - 1;
    }
    *window = i;
    *offset = (fcl_i64)o->windows[i].used;
    o->windows[i].used += (bytes + ALIGN - 1) / ALIGN * ALIGN;
    if (o->windows[i].used > o->windows[i].bytes) o->windows[i].used = o->windows[i].bytes;
    return FA_OK;
}

/* Values first .. first + n - 1 as FP32; E5M2: code * scale, one rounding. */
static void decode(const fa_weight *w, int64_t first, int64_t n, float *out) {
    unsigned mode = fa_fp_enter();
    fa_decode(w->type, w->data, first, n, out);
    int64_t blocks = ocl_ceil_div(w->cols, FA_BLOCK);
    for (int64_t i = first; w->scale && i < first + n; i++)
        out[i - first] *= w->scale[i / w->cols / FA_BLOCK * blocks + i % w->cols / FA_BLOCK];
    fa_fp_leave(mode);
}

/* Hands a mapped buffer back to the device. */
static fa_status unmap(fa_opencl *o, cl_mem mem, void **mapped, fa_error *e) {
    if (!*mapped) return FA_OK;
    cl_int code = clEnqueueUnmapMemObject(o->queue, mem, *mapped, 0, NULL, NULL);
    *mapped = NULL;
    if (!code) code = clFinish(o->queue);
    return code ? ocl_fail(&o->device, "clEnqueueUnmapMemObject", code, e) : FA_OK;
}

static fa_status map(fa_opencl *o, cl_mem mem, size_t bytes, void **mapped, fa_error *e) {
    cl_int code = CL_SUCCESS;
    if (!*mapped) *mapped = clEnqueueMapBuffer(o->queue, mem, CL_TRUE, CL_MAP_WRITE, 0, bytes, 0, NULL, NULL, &code);
    return *mapped && !code ? FA_OK : ocl_fail(&o->device, "clEnqueueMapBuffer", code, e);
}

/* Where the host writes `bytes` (at most a piece) that shall be at `offset` of a window: on a shared device in the chunk itself, which
 * stays mapped until the next submission; elsewhere in a staging buffer of pinned memory. sent() comes after. */
static fa_status place_for(fa_opencl *o, int window, size_t offset, void **out, fa_error *e) {
    ocl_window *w = &o->windows[window];
    if (o->device.shared) {
        fa_status s = map(o, w->mem, w->bytes, &w->mapped, e);
        if (!s) *out = (char *)w->mapped + offset;
        return s;
    }
    if (!o->staging) {
        cl_int code;
        o->staging =
            clCreateBuffer(o->context, CL_MEM_READ_WRITE | CL_MEM_ALLOC_HOST_PTR, 2 * PIECE_BYTES, NULL, &code);
        if (!o->staging) return ocl_fail(&o->device, "clCreateBuffer", code, e);
    }
    fa_status s = map(o, o->staging, 2 * PIECE_BYTES, &o->staging_mapped, e);
    *out = o->staging_mapped;
    return s;
}

static fa_status sent(fa_opencl *o, int window, size_t offset, size_t bytes, fa_error *e) {
    if (o->device.shared) return FA_OK;
    fa_status s = unmap(o, o->staging, &o->staging_mapped, e);
    if (s) return s;
    cl_int code = clEnqueueCopyBuffer(o->queue, o->staging, o->windows[window].mem, 0, offset, bytes, 0, NULL, NULL);
    if (!code) code = clFinish(o->queue);
    return code ? ocl_fail(&o->device, "clEnqueueCopyBuffer", code, e) : FA_OK;
}

fa_status ocl_close_windows(fa_opencl *o, fa_error *e) {
    fa_status s = FA_OK;
    for (int i = 0; i < o->n_windows && !s; i++) s = unmap(o, o->windows[i].mem, &o->windows[i].mapped, e);
    return s;
}

/* Elements first .. first + n - 1 of a weight as the device has them. */
static void convert(const ocl_weight *w, int64_t first, int64_t n, void *to) {
    if (as_it_lies(w)) {
        size_t size = element_bytes(w);
        memcpy(to, (const char *)w->source.data + (size_t)first * size, (size_t)n * size);
    } else {
        decode(&w->source, first, n, to);
    }
}

/* Writes a weight's data, a piece at a time. */
static fa_status copy_data(fa_opencl *o, const ocl_weight *w, fa_error *e) {
    int64_t total = w->source.rows * w->source.cols, block = fa_dtype_get(w->source.type)->block_elements;
    int64_t each = (int64_t)(PIECE_BYTES / element_bytes(w)) / block * block;
    fa_status s = FA_OK;
    for (int64_t first = 0; first < total && !s; first += each) {
        int64_t n = total - first < each ? total - first : each;
        size_t offset = (size_t)w->view.data + (size_t)first * element_bytes(w);
        void *to = NULL;
        s = place_for(o, w->view.window, offset, &to, e);
        if (s || !to) break;
        convert(w, first, n, to);
        s = sent(o, w->view.window, offset, (size_t)n * element_bytes(w), e);
    }
    return s;
}

/* A weight of 2^47 codes would have more scales than a piece holds. */
static fa_status copy_scales(fa_opencl *o, const ocl_weight *w, fa_error *e) {
    size_t bytes = scale_count(&w->source) * 4;
    void *to = NULL;
    fa_status s = place_for(o, w->view.scale_window, (size_t)w->view.scales, &to, e);
    if (s || !to) return s;
    memcpy(to, w->source.scale, bytes);
    return sent(o, w->view.scale_window, (size_t)w->view.scales, bytes, e);
}

/* Copies what of a weight is to be copied. */
static fa_status place(fa_opencl *o, ocl_weight *w, fa_error *e) {
    fa_status s = FA_OK;
    if (!in_place(o, w)) {
        s = take_room(o, data_bytes(w), &w->view.window, &w->view.data, e);
        if (!s) s = copy_data(o, w, e);
    }
    if (!s && w->view.kind == FCL_E4M3) {
        s = take_room(o, scale_count(&w->source) * 4, &w->view.scale_window, &w->view.scales, e);
        if (!s) s = copy_scales(o, w, e);
    }
    if (!s) w->on_device = true;
    return s;
}

fa_status ocl_take_weight(fa_backend *b, fa_weight *w, fa_error *e) {
    fa_opencl *o = (fa_opencl *)b;
    fa_status s = o->host->weight(o->host, w, e);
    if (s || o->on_host) return s;
    ocl_weight *record = calloc(1, sizeof *record);
    if (!record) return fa_fail(e, FA_ENOMEM, "tensor %s: out of memory", w->name ? w->name : "weight");
    record->source = *w;
    record->view = (fcl_weight){.kind = kind_of(w), .rows = (fcl_i32)w->rows, .cols = (fcl_i32)w->cols};
    if (w->rows > INT32_MAX || w->cols > INT32_MAX) record->view.rows = 0; /* stays on the host */
    *o->last_weight = record;
    o->last_weight = &record->next;
    w->device = record;
    if (w->file) { /* decided when all are known */
        record->waits = true;
        if (!o->pending) o->pending = record;
        return FA_OK;
    }
    s = place(o, record, e);
    return s ? fa_error_prefix(e, s, "tensor %s", w->name ? w->name : "weight") : FA_OK;
}

const ocl_weight *ocl_weight_of(const fa_weight *w) {
    const ocl_weight *record = w->device;
    return record && record->on_device ? record : NULL;
}

void ocl_release_weights(fa_opencl *o) {
    for (ocl_weight *w = o->weights, *next; w; w = next) {
        next = w->next;
        free(w);
    }
    for (int i = 0; i < o->n_windows; i++) {
        if (o->windows[i].mapped)
            clEnqueueUnmapMemObject(o->queue, o->windows[i].mem, o->windows[i].mapped, 0, NULL, NULL);
        if (o->windows[i].mem) clReleaseMemObject(o->windows[i].mem);
        fa_memory_free(&o->windows[i].memory);
    }
    if (o->staging_mapped) clEnqueueUnmapMemObject(o->queue, o->staging, o->staging_mapped, 0, NULL, NULL);
    if (o->staging) clReleaseMemObject(o->staging);
    free(o->windows);
}

/* ---- settling ---- */

static int by_address(const void *a, const void *b) {
    const fa_weight *x = &(*(ocl_weight *const *)a)->source, *y = &(*(ocl_weight *const *)b)->source;
    if (x->file != y->file) return x->file < y->file ? -1 : 1;
    return x->data < y->data ? -1 : x->data > y->data;
}

/* A window over weights list[0 .. n - 1] of one file, in the order of their addresses. */
static fa_status view_file(fa_opencl *o, ocl_weight **list, int n, fa_error *e) {
    cl_int code;
    uintptr_t first = (uintptr_t)list[0]->source.data / 4096 * 4096; /* maps begin with a page */
    uintptr_t end = (uintptr_t)list[n - 1]->source.data + data_bytes(list[n - 1]);
    fa_status s = new_window(o, e);
    if (s) return s;
    cl_mem mem = clCreateBuffer(o->context, CL_MEM_READ_ONLY | CL_MEM_USE_HOST_PTR, end - first, (void *)first, &code);
    if (!mem) return ocl_fail(&o->device, "clCreateBuffer", code, e);
    for (int i = 0; i < n; i++) {
        list[i]->view.window = o->n_windows;
        list[i]->view.data = (fcl_i64)((uintptr_t)list[i]->source.data - first);
    }
    o->windows[o->n_windows++] = (ocl_window){.mem = mem, .bytes = end - first};
    return FA_OK;
}

/* Windows over everything that stays where it lies: as few as the largest buffer allows. */
static fa_status view_files(fa_opencl *o, ocl_weight **list, int n, fa_error *e) {
    fa_status s = FA_OK;
    qsort(list, (size_t)n, sizeof *list, by_address);
    for (int first = 0, end; first < n && !s; first = end) {
        uintptr_t begin = (uintptr_t)list[first]->source.data / 4096 * 4096;
        for (end = first; end < n && list[end]->source.file == list[first]->source.file; end++)
            if ((uintptr_t)list[end]->source.data + data_bytes(list[end]) - begin > o->device.buffer_bytes) break;
        if (end == first)
            return fa_fail(e, FA_ENOMEM, "opencl: %s: tensor %s is larger than its largest buffer", o->device.name,
                           list[first]->source.name);
        s = view_file(o, list + first, end - first, e);
    }
    return s;
}

/* Bytes of device memory for weights: three quarters, the rest is for the cache and buffers. FATHOM_OPENCL_MB sets another number. */
static size_t budget(const fa_opencl *o) {
    const char *mb = getenv("FATHOM_OPENCL_MB");
    return mb && *mb ? (size_t)(strtod(mb, NULL) * 0x1p20) : (size_t)(o->device.bytes / 4 * 3);
}

static bool is_routed(const ocl_weight *w) {
    return w->source.share > 0 && w->source.share < 1;
}

static size_t held_bytes(const ocl_weight *w) {
    return data_bytes(w) + (w->view.kind == FCL_E4M3 ? scale_count(&w->source) * 4 : 0);
}

/* A routed expert of a layer: the weights among `first` .. `end` (excluded) that have its number. */
typedef struct unit {
    ocl_weight *first, *end;
    size_t bytes, order;
    float share;
} unit;

/* The most visited first, of equal ones the first layer's. */
static int by_share(const void *a, const void *b) {
    const unit *x = a, *y = b;
    if (x->share != y->share) return x->share > y->share ? -1 : 1;
    return x->order < y->order ? -1 : x->order > y->order;
}

static bool of_expert(const ocl_weight *w, int32_t expert) {
    return is_routed(w) && w->source.expert == expert;
}

/* Lists the experts of all layers; GGUF brings a layer's gates, then its ups, then its downs. units: [weights]. */
static size_t list_experts(ocl_weight *first, unit *units) {
    size_t n = 0;
    for (ocl_weight *w = first, *end; w; w = end) {
        end = w->next;
        if (!is_routed(w)) continue;
        while (end && is_routed(end)) end = end->next;
        size_t begin = n;
        for (ocl_weight *x = w; x != end; x = x->next) {
            size_t i = begin;
            while (i < n && units[i].first->source.expert != x->source.expert) i++;
            if (i == n) units[n++] = (unit){.first = x, .end = end, .order = i, .share = x->source.share};
            units[i].bytes += !x->view.rows ? SIZE_MAX / 8 : x->waits ? held_bytes(x) : 0;
        }
    }
    return n;
}

/* Marks what goes to the device: first what every token reads, then the routed experts that save it the most bytes for a byte held, which
 * are those with the most visits. `units`: room for as many as there are weights. */
static void choose(fa_opencl *o, ocl_weight *first, unit *units) {
    size_t left = budget(o);
    for (ocl_weight *w = first; w; w = w->next) {
        if (!w->waits || is_routed(w) || !w->view.rows || w->source.share <= 0 || held_bytes(w) > left) continue;
        left -= held_bytes(w);
        w->on_device = true;
    }
    size_t n = list_experts(first, units);
    qsort(units, n, sizeof *units, by_share);
    for (size_t i = 0; i < n; i++) {
        const unit *u = &units[i];
        bool fits = u->bytes <= left;
        if (fits) left -= u->bytes;
        for (ocl_weight *x = u->first; x != u->end; x = x->next) {
            if (!x->waits || !of_expert(x, u->first->source.expert)) continue;
            x->on_device = fits;
            int64_t width = x->source.rows > x->source.cols ? x->source.rows : x->source.cols;
            if (!fits && width > o->cold_width) o->cold_width = width;
        }
    }
}

/* One chunk for all copies, as far as one buffer may be that large. */
static fa_status reserve_copies(fa_opencl *o, const ocl_weight *first, fa_error *e) {
    size_t bytes = 0;
    for (const ocl_weight *w = first; w; w = w->next)
        if (w->waits && w->on_device) bytes += copied_bytes(o, w);
    if (bytes > o->device.buffer_bytes) bytes = o->device.buffer_bytes;
    return bytes ? new_chunk(o, bytes, e) : FA_OK;
}

static fa_status settle_on_device(fa_opencl *o, ocl_weight *first, ocl_weight **list, const fa_progress *progress,
                                  fa_error *e) {
    int n = 0;
    int64_t done = 0, total = 0;
    for (ocl_weight *w = first; w; w = w->next) {
        if (w->waits && w->on_device && in_place(o, w)) list[n++] = w;
        if (w->waits && w->on_device) total += (int64_t)copied_bytes(o, w);
    }
    fa_status s = view_files(o, list, n, e);
    if (!s) s = reserve_copies(o, first, e);
    for (ocl_weight *w = first; w && !s; w = w->next) {
        if (!w->waits || !w->on_device) continue;
        s = place(o, w, e);
        if (s) fa_error_prefix(e, s, "tensor %s", w->source.name);
        done += (int64_t)copied_bytes(o, w);
        if (progress && progress->report) progress->report(progress->ctx, done, total);
    }
    return s;
}

/* Says in the backend's description what stays on the host. */
static void describe(fa_opencl *o) {
    size_t host = 0, all = 0;
    double held = 0, visits = 0;
    for (const ocl_weight *w = o->weights; w; w = w->next) {
        if (w->source.share <= 0) continue; /* a table that the host looks up */
        all += held_bytes(w);
        if (!w->on_device) host += held_bytes(w);
        if (is_routed(w)) visits += (double)w->source.share;
        if (is_routed(w) && w->on_device) held += (double)w->source.share;
    }
    if (!host) return;
    size_t used = strlen(o->base.detail), room = sizeof o->base.detail;
    used += (size_t)snprintf(o->base.detail + used, room - used, "; %.0f %% of the weights on cpu",
                             100.0 * (double)host / (double)all);
    if (visits > 0)
        snprintf(o->base.detail + used, room - used, ", %.0f %% of expert visits", 100 * (1 - held / visits));
}

fa_status ocl_settle(fa_backend *b, const fa_progress *progress, fa_error *e) {
    fa_opencl *o = (fa_opencl *)b;
    ocl_weight *first = o->pending;
    o->pending = NULL;
    if (!first || o->on_host) return FA_OK;
    size_t n = 0;
    for (ocl_weight *w = first; w; w = w->next) n++;
    ocl_weight **list = calloc(n, sizeof *list);
    unit *units = calloc(n, sizeof *units);
    if (!list || !units) {
        free(units);
        free(list);
        return fa_fail(e, FA_ENOMEM, "opencl: out of memory");
    }
    choose(o, first, units);
    fa_status s = settle_on_device(o, first, list, progress, e);
    free(units);
    free(list);
    bool all = true;
    for (ocl_weight *w = first; w; w = w->next) {
        all = all && (w->on_device || w->source.share <= 0);
        w->waits = false;
    }
    if (!s && !all && !o->host_reserved && o->reserved) {
        s = o->host->reserve(o->host, &o->limits, e);
        o->host_reserved = !s;
    }
    if (!s) s = ocl_reserve_cold(o, e);
    if (!s) s = ocl_close_windows(o, e);
    if (!s) describe(o);
    return s;
}
