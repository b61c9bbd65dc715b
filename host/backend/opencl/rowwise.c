/* rmsnorm, rope and add as launches. */
#include <string.h>

#include "host/backend/opencl/internal.h"

fa_status ocl_rmsnorm(fa_opencl *o, const fa_rmsnorm *r, fa_error *e) {
    int64_t at, index = -1;
    size_t index_bytes = r->index ? (size_t)r->rows * sizeof *r->index : 0;
    fa_status s = ocl_room(o, index_bytes + sizeof(fcl_rmsnorm), e);
    if (s) return s;
    if (r->index) memcpy(ocl_put(o, index_bytes, &index), r->index, index_bytes);
    fcl_rmsnorm *p = ocl_put(o, sizeof *p, &at);
    *p = (fcl_rmsnorm){.x = ocl_at(r->x),
                       .ldx = r->ldx,
                       .y = ocl_at(r->y),
                       .ldy = r->ldy,
                       .index = index,
                       .rows = (fcl_i32)r->rows,
                       .n = (fcl_i32)r->n,
                       .eps = r->eps};
    ocl_launch *l = ocl_launch_new(o, OCL_RMSNORM, at);
    p->weight = ocl_arg_weight(l, r->weight);
    l->global[0] = (size_t)r->rows;
    ocl_arg(l, ocl_of(r->x), false);
    ocl_arg(l, ocl_of(r->y), true);
    return FA_OK;
}

fa_status ocl_rope(fa_opencl *o, const fa_rope *r, fa_error *e) {
    int64_t at;
    fa_status s = ocl_room(o, ocl_places_bytes(r->place, r->rows, false) + sizeof(fcl_rope), e);
    if (s) return s;
    fcl_rope *p = ocl_put(o, sizeof *p, &at);
    *p = (fcl_rope){.places = ocl_put_places(o, r->place, r->rows, false),
                    .x = ocl_at(r->x),
                    .ldx = r->ldx,
                    .table = ocl_at(r->table),
                    .rows = (fcl_i32)r->rows,
                    .heads = r->heads,
                    .stride = r->stride,
                    .first = r->first,
                    .dims = r->dims,
                    .interleaved = r->interleaved};
    ocl_launch *l = ocl_launch_new(o, OCL_ROPE, at);
    l->global[0] = (size_t)r->heads;
    l->global[1] = (size_t)r->rows;
    ocl_arg(l, ocl_of(r->x), true);
    ocl_arg(l, ocl_of(r->table), false);
    return FA_OK;
}

fa_status ocl_add(fa_opencl *o, const fa_add *a, fa_error *e) {
    int64_t at;
    fa_status s = ocl_room(o, sizeof(fcl_add), e);
    if (s) return s;
    fcl_add *p = ocl_put(o, sizeof *p, &at);
    *p = (fcl_add){.a = ocl_at(a->a),
                   .lda = a->lda,
                   .b = ocl_at(a->b),
                   .ldb = a->ldb,
                   .y = ocl_at(a->y),
                   .ldy = a->ldy,
                   .rows = (fcl_i32)a->rows,
                   .n = (fcl_i32)a->n};
    ocl_launch *l = ocl_launch_new(o, OCL_ADD, at);
    l->global[0] = (size_t)ocl_ceil_div(a->n, 1024);
    l->global[1] = (size_t)a->rows;
    ocl_arg(l, ocl_of(a->a), false);
    ocl_arg(l, ocl_of(a->b), false);
    ocl_arg(l, ocl_of(a->y), true);
    return FA_OK;
}
