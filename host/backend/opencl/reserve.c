/* What a step needs beside its buffers, sized once; and the places of its rows. */
#include "host/backend/opencl/internal.h"

/* Bytes of latent queries that one launch of mla may take; longer steps go in pieces. */
static const int64_t LATENT_BYTES = 64 << 20;

static fa_status check_limits(const fa_limits *l, fa_error *e) {
    const int64_t values[] = {l->max_rows,    l->max_cols,  l->max_inner, l->max_top_k,
                              l->max_experts, l->max_heads, l->max_rank,  l->max_positions};
    for (size_t i = 0; i < sizeof values / sizeof *values; i++)
        if (values[i] < 0 || values[i] > INT32_MAX)
            return fa_fail(e, FA_EINVAL, "opencl: a limit of %lld", (long long)values[i]);
    double floats = (double)l->max_rows * ((double)l->max_cols + (double)l->max_inner * (l->max_top_k + 1));
    return floats < 0x1p38 ? FA_OK
                           : fa_fail(e, FA_ENOMEM, "opencl: no memory for steps of %lld rows", (long long)l->max_rows);
}

/* Parameters of the largest op, several times, and places with all their pages. */
static size_t params_bytes(const fa_limits *l) {
    size_t routes = (size_t)(l->max_rows * (l->max_top_k > 1 ? l->max_top_k : 1));
    size_t experts = (size_t)(l->max_experts > 1 ? l->max_experts : 1);
    size_t pages = (size_t)l->max_rows * (size_t)(l->max_positions / FCL_PAGE + 4) * sizeof(int32_t);
    size_t op = experts * sizeof(fcl_expert) + routes * sizeof(fcl_route) + sizeof(fcl_matmul) + 4096;
    return 2 * pages + (size_t)l->max_rows * 4 * sizeof(fcl_place) + 8 * op + (256u << 10);
}

static void release(fa_opencl *o) {
    ocl_buffer **all[] = {&o->values,       &o->scales, &o->gates,      &o->ups,   &o->inner_values,
                          &o->inner_scales, &o->latent, &o->latent_out, &o->params};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        ocl_buffer_free(o, *all[i]);
        *all[i] = NULL;
    }
    ocl_release_cold(o);
    fa_memory_free(&o->params_host);
    fa_arena_free(&o->arena);
    o->reserved = false;
}

fa_status ocl_reserve(fa_backend *b, const fa_limits *l, fa_error *e) {
    fa_opencl *o = (fa_opencl *)b;
    fa_status s = check_limits(l, e);
    if (s) return s;
    release(o);
    o->limits = *l;
    int64_t routes = l->max_rows * (l->max_top_k > 1 ? l->max_top_k : 1);
    int64_t latent = (int64_t)l->max_heads * l->max_rank * 4; /* bytes of a row */
    o->lds = ocl_ceil_div(l->max_cols, FA_BLOCK);
    o->ldv = o->lds * FA_BLOCK;
    o->lds_inner = ocl_ceil_div(l->max_inner, FA_BLOCK);
    o->ld_inner = o->lds_inner * FA_BLOCK;
    o->mla_rows = latent ? LATENT_BYTES / latent : 0;
    if (o->mla_rows > l->max_rows) o->mla_rows = l->max_rows;
    if (o->mla_rows < 1) o->mla_rows = 1;
    const struct {
        ocl_buffer **buffer;
        int64_t bytes;
    } all[] = {
        {&o->values, l->max_rows * o->ldv * 4},       {&o->scales, l->max_rows * o->lds * 4},
        {&o->gates, routes * o->ld_inner * 4},        {&o->ups, routes * o->ld_inner * 4},
        {&o->inner_values, routes * o->ld_inner * 4}, {&o->inner_scales, routes * o->lds_inner * 4},
        {&o->latent, o->mla_rows * latent},           {&o->latent_out, o->mla_rows * latent},
        {&o->params, (int64_t)params_bytes(l)},
    };
    for (size_t i = 0; i < sizeof all / sizeof *all && !s; i++)
        s = ocl_buffer_new(o, (size_t)all[i].bytes, all[i].buffer, e);
    if (!s) s = fa_memory_alloc(&o->params_host, params_bytes(l), o->node, e);
    if (!s && !(o->expert_first = fa_arena_array(&o->arena, (size_t)(l->max_experts > 1 ? l->max_experts : 1) + 2, 4)))
        s = fa_fail(e, FA_ENOMEM, "opencl: out of memory");
    if (!s && o->on_host) s = o->host->reserve(o->host, l, e);
    o->host_reserved = !s && o->on_host;
    o->reserved = !s;
    if (!s) s = ocl_reserve_cold(o, e);
    if (s) release(o);
    return s;
}

/* Page numbers that rows `t`, `t` + 1, ... with the same list need. */
static int64_t pages_from(const fa_place *place, int64_t t, int64_t rows) {
    int64_t most = 0;
    for (int64_t i = t; i < rows && place[i].pages == place[t].pages; i++)
        if (place[i].pos / FA_PAGE_POSITIONS + 1 > most) most = place[i].pos / FA_PAGE_POSITIONS + 1;
    return most;
}

size_t ocl_places_bytes(const fa_place *place, int64_t rows, bool pages) {
    size_t bytes = (size_t)rows * sizeof(fcl_place) + 64;
    for (int64_t t = 0; pages && t < rows; t++)
        if (!t || place[t].pages != place[t - 1].pages) bytes += (size_t)pages_from(place, t, rows) * 4 + 16;
    return bytes;
}

int64_t ocl_put_places(fa_opencl *o, const fa_place *place, int64_t rows, bool pages) {
    for (int i = 0; i < o->n_places; i++) {
        const ocl_places *p = &o->places[i];
        if (p->place == place && p->rows == rows && p->pages >= pages) return p->offset;
    }
    int64_t at, list = 0;
    fcl_place *out = ocl_put(o, (size_t)rows * sizeof *out, &at);
    for (int64_t t = 0; t < rows; t++) {
        if (pages && (!t || place[t].pages != place[t - 1].pages)) {
            int64_t n = pages_from(place, t, rows);
            int32_t *to = ocl_put(o, (size_t)n * sizeof *to, &list);
            for (int64_t i = 0; i < n; i++) to[i] = place[t].pages[i];
        }
        out[t] = (fcl_place){.pages = list, .pos = place[t].pos};
    }
    if (o->n_places < OCL_PLACES) o->places[o->n_places++] = (ocl_places){place, rows, at, pages};
    return at;
}
