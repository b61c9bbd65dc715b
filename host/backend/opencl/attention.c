/* mla, gqa and store as launches. */
#include "host/backend/opencl/internal.h"

static fcl_kv_part part_of(const fa_kv_part *p) {
    return (fcl_kv_part){.kind = p->type == FA_F32    ? FCL_F32
                                 : p->type == FA_BF16 ? FCL_BF16
                                                      : FCL_E4M3,
                         .n = p->n,
                         .offset = p->offset_bytes,
                         .scales = p->scales_offset};
}

static fcl_kv kv_of(const fa_kv *kv) {
    const fa_kv_layout *l = kv->layout;
    return (fcl_kv){.layer_offset = kv->layer * l->layer_bytes,
                    .page_bytes = l->page_bytes,
                    .row_bytes = l->row_bytes,
                    .a = part_of(&l->a),
                    .b = part_of(&l->b)};
}

fa_status ocl_store(fa_opencl *o, const fa_store *s, fa_error *e) {
    int64_t at;
    fa_status st = ocl_room(o, ocl_places_bytes(s->place, s->rows, true) + sizeof(fcl_store), e);
    if (st) return st;
    fcl_store *p = ocl_put(o, sizeof *p, &at);
    *p = (fcl_store){.kv = kv_of(&s->kv),
                     .places = ocl_put_places(o, s->place, s->rows, true),
                     .a = ocl_at(s->a),
                     .lda = s->lda,
                     .b = ocl_at(s->b),
                     .ldb = s->ldb,
                     .rows = (fcl_i32)s->rows};
    ocl_launch *l = ocl_launch_new(o, OCL_STORE, at);
    l->global[0] = 2;
    l->global[1] = (size_t)s->rows;
    ocl_arg(l, ocl_of(s->a), false);
    ocl_arg(l, ocl_of(s->b), false);
    ocl_arg(l, (ocl_buffer *)s->kv.pool, true);
    return FA_OK;
}

fa_status ocl_gqa(fa_opencl *o, const fa_gqa *g, fa_error *e) {
    int64_t at;
    fa_status s = ocl_room(o, ocl_places_bytes(g->place, g->rows, true) + sizeof(fcl_attend), e);
    if (s) return s;
    fcl_attend *p = ocl_put(o, sizeof *p, &at);
    *p = (fcl_attend){.kv = kv_of(&g->kv),
                      .places = ocl_put_places(o, g->place, g->rows, true),
                      .q = ocl_at(g->q),
                      .ldq = g->ldq,
                      .y = ocl_at(g->y),
                      .ldy = g->ldy,
                      .rows = (fcl_i32)g->rows,
                      .heads = g->heads,
                      .kv_heads = g->kv_heads,
                      .head_dim = g->head_dim,
                      .scale = g->scale};
    ocl_launch *l = ocl_launch_new(o, OCL_GQA, at);
    l->global[0] = (size_t)ocl_ceil_div(g->heads / g->kv_heads, FCL_HEADS);
    l->global[1] = (size_t)g->kv_heads;
    l->global[2] = (size_t)g->rows;
    ocl_arg(l, ocl_of(g->q), false);
    ocl_arg(l, (ocl_buffer *)g->kv.pool, false);
    ocl_arg(l, ocl_of(g->y), true);
    return FA_OK;
}

/* One of mla's projections: rows of `w` times vectors of each head. */
static void launch_project(fa_opencl *o, ocl_kernel kernel, const fa_weight *w, const fcl_project *values,
                           ocl_buffer *x, ocl_buffer *y) {
    int64_t at;
    fcl_project *p = ocl_put(o, sizeof *p, &at);
    *p = *values;
    ocl_launch *l = ocl_launch_new(o, kernel, at);
    p->w = ocl_arg_weight(l, w);
    l->global[0] = (size_t)ocl_ceil_div(p->n_out, FCL_TILE);
    l->global[1] = (size_t)p->heads;
    l->global[2] = (size_t)ocl_ceil_div(p->rows, kernel == OCL_ABSORB ? FCL_TOGETHER : FCL_ROWS);
    ocl_arg(l, x, false);
    ocl_arg(l, y, true);
}

static void launch_latent(fa_opencl *o, const fa_mla *m, int64_t places, int64_t first, int32_t rows) {
    int64_t at;
    fcl_attend *p = ocl_put(o, sizeof *p, &at);
    *p = (fcl_attend){.kv = kv_of(&m->kv),
                      .places = places + first * (int64_t)sizeof(fcl_place),
                      .q = ocl_at(m->q) + first * m->ldq,
                      .ldq = m->ldq,
                      .rows = rows,
                      .heads = m->heads,
                      .kv_heads = 1,
                      .head_dim = m->rank,
                      .nope = m->nope,
                      .rope = m->rope,
                      .scale = m->scale};
    ocl_launch *l = ocl_launch_new(o, OCL_MLA, at);
    l->global[0] = (size_t)ocl_ceil_div(m->heads, FCL_HEADS);
    l->global[2] = (size_t)rows;
    ocl_arg(l, ocl_of(m->q), false);
    ocl_arg(l, o->latent, false);
    ocl_arg(l, (ocl_buffer *)m->kv.pool, false);
    ocl_arg(l, o->latent_out, true);
}

/* Rows first .. first + rows - 1: queries into the latent space, attention there, values out of it. */
static void launch_rows(fa_opencl *o, const fa_mla *m, int64_t places, int64_t first, int32_t rows) {
    int64_t ld = (int64_t)m->heads * m->rank;
    fcl_project absorb = {.first = m->k_first,
                          .stride = m->k_stride,
                          .x = ocl_at(m->q) + first * m->ldq,
                          .ldx = m->ldq,
                          .x_head = m->nope + m->rope,
                          .ldy = ld,
                          .y_head = m->rank,
                          .rows = rows,
                          .heads = m->heads,
                          .n_in = m->nope,
                          .n_out = m->rank};
    fcl_project up = {.first = m->v_first,
                      .stride = m->v_stride,
                      .ldx = ld,
                      .x_head = m->rank,
                      .y = ocl_at(m->y) + first * m->ldy,
                      .ldy = m->ldy,
                      .y_head = m->v,
                      .rows = rows,
                      .heads = m->heads,
                      .n_in = m->rank,
                      .n_out = m->v};
    launch_project(o, m->k_transposed ? OCL_PROJECT : OCL_ABSORB, m->k_up, &absorb, ocl_of(m->q), o->latent);
    launch_latent(o, m, places, first, rows);
    launch_project(o, OCL_PROJECT, m->v_up, &up, o->latent_out, ocl_of(m->y));
}

fa_status ocl_mla(fa_opencl *o, const fa_mla *m, fa_error *e) {
    size_t bytes = ocl_places_bytes(m->place, m->rows, true) + 2 * sizeof(fcl_project) + sizeof(fcl_attend);
    fa_status s = FA_OK;
    for (int64_t first = 0; first < m->rows && !s; first += o->mla_rows) {
        s = ocl_room(o, bytes, e);
        if (s) break;
        int64_t places = ocl_put_places(o, m->place, m->rows, true);
        launch_rows(o, m, places, first, (int32_t)(m->rows - first < o->mla_rows ? m->rows - first : o->mla_rows));
    }
    return s;
}
