/* Weights on their way to the card: decoded where the kernels do not read their type, packed by hls/layout.h, a group of tiles (one
 * tile for each port) after the other. */
#include <stdlib.h>
#include <string.h>

#include "host/backend/board/state.h"
#include "host/base/threads.h"

enum { STAGING = 4 << 20 };

/* A slice's groups of tiles, as they pass through host memory. */
typedef struct packer {
    const board_weight *w;
    const board_slice *s;
    int32_t ports, groups; /* of the staging */
    int64_t group_words;   /* of one port */
    hls_word *staging;     /* [ports][groups * group_words] */
    float *row;            /* [cols] */
} packer;

/* Row r as hls_pack_output wants it. Types that stand alone are read in place. */
static const void *row_of(const packer *p, int64_t r) {
    const fa_weight *w = &p->w->view;
    if (p->w->type != HLS_F32) return (const char *)w->data + r * w->cols * p->w->type;
    fa_decode(w->type, w->data, r * w->cols, w->cols, p->row);
    if (w->scale) {
        const float *scale = w->scale + r / FA_BLOCK * hls_blocks((int32_t)w->cols);
        for (int64_t i = 0; i < w->cols; i++) p->row[i] = p->row[i] * scale[i / FA_BLOCK];
    }
    return p->row;
}

/* Packs groups first .. first + n - 1. */
static void pack(const packer *p, int32_t first, int32_t n) {
    hls_word *share[HLS_MAX_PORTS];
    int32_t of_group = HLS_TILE * p->ports, cols = (int32_t)p->w->view.cols;
    memset(p->staging, 0, (size_t)(p->ports * p->groups * p->group_words) * sizeof(hls_word));
    for (int32_t i = 0; i < p->ports; i++) share[i] = p->staging + (int64_t)i * p->groups * p->group_words;
    unsigned mode = fa_fp_enter();
    for (int32_t o = first * of_group; o < p->s->outputs && o < (first + n) * of_group; o++) {
        int64_t r = p->s->first + o;
        const float *scales = p->w->type == HLS_E4M3 ? p->w->view.scale + r / FA_BLOCK * hls_blocks(cols) : NULL;
        hls_pack_output(p->ports, p->w->type, o - first * of_group, cols, row_of(p, r), scales, share);
    }
    fa_fp_leave(mode);
}

static fa_status send_groups(fa_board_backend *b, const packer *p, fa_error *e) {
    const board_segment *segment = &b->segments[p->s->segment];
    int32_t all = hls_port_tiles(p->ports, p->s->outputs);
    fa_status st = FA_OK;
    for (int32_t first = 0, n; first < all && !st; first += n) {
        n = all - first < p->groups ? all - first : p->groups;
        pack(p, first, n);
        size_t offset = (size_t)(p->s->at + first * p->group_words) * sizeof(hls_word);
        for (int32_t i = 0; i < p->ports && !st; i++)
            st = board_write(b, segment->port[p->s->unit * p->ports + i], offset,
                             p->staging + (int64_t)i * p->groups * p->group_words,
                             (size_t)(n * p->group_words) * sizeof(hls_word), e);
    }
    return st;
}

fa_status board_send_slice(fa_board_backend *b, const board_weight *w, const board_slice *s, fa_error *e) {
    packer p = {.w = w, .s = s, .ports = b->ports, .group_words = hls_tile_words(w->type, (int32_t)w->view.cols)};
    int64_t group_bytes = p.ports * p.group_words * (int64_t)sizeof(hls_word);
    int32_t all = hls_port_tiles(p.ports, s->outputs), some = (int32_t)(STAGING / group_bytes) + 1;
    p.groups = some < all ? some : all;
    p.staging = aligned_alloc(sizeof(hls_word), (size_t)(p.groups * group_bytes));
    p.row = malloc((size_t)w->view.cols * sizeof *p.row);
    fa_status st = p.staging && p.row ? send_groups(b, &p, e)
                                      : fa_fail(e, FA_ENOMEM, "tensor %s: no memory to pack it in", w->view.name);
    free(p.staging);
    free(p.row);
    return st;
}

fa_status board_send_vector(fa_board_backend *b, const board_weight *w, fa_error *e) {
    size_t n = (size_t)w->view.cols;
    float *values = malloc(n * sizeof *values);
    if (!values) return fa_fail(e, FA_ENOMEM, "tensor %s: no memory to decode it in", w->view.name);
    fa_decode(w->view.type, w->view.data, 0, (int64_t)n, values);
    fa_status st = board_write(b, b->segments[w->slice[0].segment].vectors, (size_t)w->vector_at * sizeof *values,
                               values, n * sizeof *values, e);
    free(values);
    return st;
}
