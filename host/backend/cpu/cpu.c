#include "host/backend/cpu/cpu.h"

#include <stdio.h>
#include <stdlib.h>

#include "host/backend/cpu/kernels_isa.h"
#include "host/backend/cpu/ops.h"

const fa_cpu_kernels *fa_cpu_kernels_get(fa_isa isa) {
    switch (isa) {
    case FA_ISA_PORTABLE: return &fa_cpu_kernels_portable;
#if defined(__x86_64__)
    case FA_ISA_AVX2: return &fa_cpu_kernels_avx2;
    case FA_ISA_AVX512: return &fa_cpu_kernels_avx512;
    case FA_ISA_AVX512BF16: return &fa_cpu_kernels_avx512bf16;
#endif
    default: return NULL;
    }
}

/* Hands out pieces of the scratch memory, each on a cache line; with no base it only counts. */
typedef struct carver {
    char *base;
    int64_t used_bytes;
} carver;

static void *take(carver *s, int64_t bytes) {
    void *p = s->base ? s->base + s->used_bytes : NULL;
    s->used_bytes += cpu_ceil_div(bytes, 64) * 64;
    return p;
}

/* Places the scratch arrays from `base` on; returns their size in bytes. */
static int64_t place_scratch(fa_cpu *c, char *base) {
    const fa_limits *l = &c->limits;
    int64_t top_k = l->max_top_k > 1 ? l->max_top_k : 1, routes = l->max_rows * top_k;
    int64_t x_blocks = cpu_ceil_div(l->max_cols, FA_BLOCK), inner_blocks = cpu_ceil_div(l->max_inner, FA_BLOCK);
    int64_t experts = l->max_experts > 1 ? l->max_experts : 1;
    carver s = {.base = base};
    c->x_values = take(&s, l->max_rows * x_blocks * FA_BLOCK * 4);
    c->x_scales = take(&s, l->max_rows * x_blocks * 4);
    c->inner_values = take(&s, routes * inner_blocks * FA_BLOCK * 4);
    c->inner_scales = take(&s, routes * inner_blocks * 4);
    c->route_row = take(&s, routes * 4);
    c->route_weight = take(&s, routes * 4);
    c->expert_first = take(&s, (experts + 2) * 4);
    c->expert_active = take(&s, experts * 4);
    c->thread_scratch = take(&s, c->threads * c->thread_floats * 4);
    return s.used_bytes;
}

static fa_status check_limits(const fa_limits *l, fa_error *e) {
    const int64_t values[] = {l->max_rows,    l->max_cols,  l->max_inner, l->max_top_k,
                              l->max_experts, l->max_heads, l->max_rank,  l->max_positions};
    for (size_t i = 0; i < sizeof values / sizeof *values; i++)
        if (values[i] < 0 || values[i] > INT32_MAX)
            return fa_fail(e, FA_EINVAL, "cpu: a limit of %lld", (long long)values[i]);
    /* in double, since the product of the limits may not fit */
    double floats = (double)l->max_rows * ((double)l->max_cols + (double)l->max_inner * (l->max_top_k + 1));
    return floats < 0x1p40 ? FA_OK
                           : fa_fail(e, FA_ENOMEM, "cpu: no memory for steps of %lld rows", (long long)l->max_rows);
}

static fa_status reserve(fa_backend *b, const fa_limits *limits, fa_error *e) {
    fa_cpu *c = (fa_cpu *)b;
    fa_status s = check_limits(limits, e);
    if (s) return s;
    fa_memory_free(&c->scratch);
    c->limits = *limits;
    c->thread_floats = fa_cpu_attention_floats(limits);
    s = fa_memory_alloc(&c->scratch, (size_t)place_scratch(c, NULL), c->host.node, e);
    if (s) return s;
    place_scratch(c, c->scratch.data);
    return FA_OK;
}

static fa_status take_weight(fa_backend *b, fa_weight *w, fa_error *e) {
    fa_status s = fa_weight_check(w, e);
    return s ? s : fa_cpu_check_codes((fa_cpu *)b, w, e);
}

static void run_op(const fa_cpu *c, const fa_op *op) {
    switch (op->kind) {
    case FA_OP_MATMUL: fa_cpu_matmul(c, &op->matmul); break;
    case FA_OP_EXPERTS: fa_cpu_experts(c, &op->experts); break;
    case FA_OP_MLA: fa_cpu_mla(c, &op->mla); break;
    case FA_OP_GQA: fa_cpu_gqa(c, &op->gqa); break;
    case FA_OP_RMSNORM: fa_cpu_rmsnorm(c, &op->rmsnorm); break;
    case FA_OP_ROPE: fa_cpu_rope(c, &op->rope); break;
    case FA_OP_ADD: fa_cpu_add(c, &op->add); break;
    case FA_OP_STORE: fa_cpu_store(c, &op->store); break;
    default: break; /* fa_op_check refused it */
    }
}

/* All ops are checked before the first runs, so that a refused submission leaves no half-done work. */
static fa_status submit(fa_backend *b, const fa_op *ops, int n, fa_ticket *ticket, fa_error *e) {
    fa_cpu *c = (fa_cpu *)b;
    for (int i = 0; i < n; i++) {
        fa_status s = fa_op_check(&ops[i], e);
        if (!s) s = fa_limits_check(&ops[i], &c->limits, e);
        if (s) return s;
    }
    for (int i = 0; i < n; i++) run_op(c, &ops[i]);
    *ticket = (fa_ticket){0};
    return FA_OK;
}

static fa_status wait_done(fa_backend *b, fa_ticket ticket, fa_error *e) {
    (void)b, (void)ticket, (void)e;
    return FA_OK;
}

static size_t held_bytes(const fa_backend *b) {
    const fa_cpu *c = (const fa_cpu *)b;
    return c->host.bytes + c->scratch.bytes;
}

static void close_cpu(fa_backend *b) {
    fa_cpu *c = (fa_cpu *)b;
    fa_memory_free(&c->scratch);
    fa_team_close(c->team);
    free(c);
}

fa_status fa_cpu_open(fa_backend **out, const fa_backend_options *options, fa_error *e) {
    *out = NULL;
    fa_isa isa;
    fa_status s = fa_isa_select(&isa, e);
    if (s) return s;
#if defined(__x86_64__)
    if (isa == FA_ISA_AVX512BF16 && !fa_cpu_bf16_adds_by_rule_1()) isa = FA_ISA_AVX512;
#endif
    fa_cpu *c = calloc(1, sizeof *c);
    if (!c) return fa_fail(e, FA_ENOMEM, "cpu: cannot allocate the backend");
    s = fa_team_open(&c->team, options->threads, options->node, e);
    if (s) {
        free(c);
        return s;
    }
    c->threads = fa_team_size(c->team);
    c->kernels = fa_cpu_kernels_get(isa);
    c->host.node = options->node;
    c->host.base = (fa_backend){.name = "cpu",
                                .reserve = reserve,
                                .weight = take_weight,
                                .alloc = fa_host_alloc,
                                .free = fa_host_free,
                                .write = fa_host_write,
                                .read = fa_host_read,
                                .submit = submit,
                                .wait = wait_done,
                                .bytes = held_bytes,
                                .close = close_cpu};
    snprintf(c->host.base.detail, sizeof c->host.base.detail, "%s, %d thread%s", fa_isa_name(isa), c->threads,
             c->threads == 1 ? "" : "s");
    *out = &c->host.base;
    return FA_OK;
}
