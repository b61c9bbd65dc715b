/* Costs of fathom_mla and fathom_gqa. */
#include "hls/cost_attention.h"

#include "hls/cost_parts.h"

/* One row's pages: five processes of hls_attend_pages, each a page behind the one before. */
typedef struct pages_cost {
    const hls_build *b;
    int32_t a_type, b_type;
    double a_n, b_n, heads, key_words, value_words;
} pages_cost;

/* hls_fetch_part of n positions: words of memory, and of scales. */
static double fetch_cycles(int32_t type, double n, double elements) {
    double raw = floor((elements * type / 4 + 14) / 16) + 1, scales = type == HLS_E4M3 ? 2 : 0;
    return n * (raw + scales) + 2 * DEPTH;
}

static double convert_cycles(double n, double elements) {
    return n * up(elements, 16) + DEPTH;
}

/* The processes in their order, for a page of n positions. */
enum { PROCESSES = 5 };

static void page_cycles(const pages_cost *p, double n, double cycles[PROCESSES]) {
    double turns = up(p->heads, groups_of(p->b)), units = floor((groups_of(p->b) + 7) / 8); /* HLS_EXP_UNITS */
    cycles[0] = fetch_cycles(p->a_type, n, p->a_n) + fetch_cycles(p->b_type, n, p->b_n);
    cycles[1] = convert_cycles(n, p->a_n) + convert_cycles(n, p->b_n);
    cycles[2] = turns * (p->key_words * at_least(n, HLS_ADD_CYCLES) + HLS_SCORE_CYCLES * n + 2 * DEPTH);
    cycles[3] = up(p->heads, units) * (3 * HLS_PAGE + 2) + 3 * DEPTH;
    cycles[4] = turns * ((n + 1) * at_least(p->value_words, HLS_ADD_CYCLES)) + DEPTH;
}

/* A process begins a page when it has ended the one before and the process before it has ended this one; all pages but the last are
 * alike. */
static double pages_cycles(const pages_cost *p, double context) {
    double whole = floor((context - 1) / HLS_PAGE), last = context - whole * HLS_PAGE;
    double page[PROCESSES], tail[PROCESSES], slowest = 0, first = 0, end = 0;
    page_cycles(p, HLS_PAGE, page);
    page_cycles(p, last, tail);
    for (int i = 0; i < PROCESSES; i++) {
        first += page[i];
        slowest = at_least(slowest, page[i]);
        double free = whole > 0 ? first + (whole - 1) * slowest : 0;
        end = at_least(end, free) + tail[i];
    }
    return end + p->heads * (p->value_words * HLS_END_CYCLES + DEPTH); /* hls_attend_end */
}

/* Types of the cached parts, from the bytes of a row: what host/backend/kv.h makes of it. */
static void part_types(int32_t row_bytes, double values, int mla, int32_t *a, int32_t *b) {
    *a = row_bytes >= 4 * values ? HLS_F32 : row_bytes >= 2 * values ? HLS_BF16 : HLS_E4M3;
    *b = *a == HLS_E4M3 && mla ? HLS_BF16 : *a;
}

/* Groups of tiles that hold outputs first .. first + n - 1. */
static double groups_spanned(const hls_build *b, int64_t first, int64_t n) {
    int64_t outputs = (int64_t)HLS_TILE * b->ports;
    int64_t spanned = (first + n - 1) / outputs - first / outputs + 1;
    return (double)spanned;
}

/* absorb_query: the head's tiles are loaded, those of all ports at a time, then multiplied one after the other, for all pairs
 * of row and part of a word. */
static double absorb_cycles(const hls_build *b, hls_weight type, int64_t first, int64_t nope, int32_t rank,
                            double rows) {
    double groups = product_groups(b, HLS_MLA_SHARE), at_once = at_most(groups, 4.0 * b->rows); /* HLS_ABSORB_GROUPS */
    double parts = 64.0 / type / 16;
    int64_t n_tiles = (first + nope - 1) / HLS_TILE - first / HLS_TILE + 1;
    double tiles = (double)n_tiles, spanned = groups_spanned(b, first, nope);
    double multiply = tiles * hls_row_words(type, rank) * HLS_TILE * up(parts * rows, at_once) + spanned * DEPTH;
    double load = hls_tile_words(type, rank) * word_cycles(b) + 2 * DEPTH;
    double clear = 16 * up(parts * rows, at_once) * hls_row_words(type, rank), trees = 8 * rows * up(rank, 16);
    return clear + spanned * load + multiply + trees + 2 * DEPTH;
}

/* multiply_range: the groups that hold the head's outputs; only its own tiles are multiplied. */
static double range_cycles(const hls_build *b, hls_weight type, int64_t first, int64_t n, int32_t inputs, double rows) {
    double spanned = groups_spanned(b, first, n), tiles = (double)(n + HLS_TILE - 1) / HLS_TILE;
    pass_shape p = {type, 0, rows, (int32_t)n, inputs, 1, 1, HLS_MLA_SHARE};
    double group = group_cycles(b, &p, at_least(1, tiles / spanned));
    return spanned * at_least(group, HLS_TILE + rows * (COPY + b->ports)) + 2 * DEPTH;
}

static double batch_cycles(const hls_build *b, const hls_mla_shape *m, double rows) {
    double cycles =
        rows * (copy_cycles((double)(m->heads * (m->nope + m->rope))) + copy_cycles((double)(m->heads * m->v)));
    for (int64_t h = 0; h < m->heads; h++) {
        int64_t k = m->k_first + h * m->k_stride, v = m->v_first + h * m->v_stride;
        cycles += m->k_transposed ? range_cycles(b, m->k_type, k, m->rank, (int32_t)m->nope, rows)
                                  : absorb_cycles(b, m->k_type, k, m->nope, (int32_t)m->rank, rows);
        cycles += range_cycles(b, m->v_type, v, m->v, (int32_t)m->rank, rows);
    }
    double around = copy_cycles((double)m->nope) + 2 * copy_cycles((double)m->rank) + copy_cycles((double)m->rope) +
                    copy_cycles((double)m->v); /* between a head's steps */
    return cycles + (double)m->heads * rows * around;
}

static double batch_words(const hls_build *b, const hls_mla_shape *m) {
    double words = 0;
    for (int64_t h = 0; h < m->heads; h++) {
        int64_t k = m->k_first + h * m->k_stride, v = m->v_first + h * m->v_stride;
        words += groups_spanned(b, k, m->k_transposed ? m->rank : m->nope) *
                 hls_tile_words(m->k_type, (int32_t)(m->k_transposed ? m->nope : m->rank));
        words += groups_spanned(b, v, m->v) * hls_tile_words(m->v_type, (int32_t)m->rank);
    }
    return words;
}

hls_cost hls_cost_mla_weights(const hls_build *b, const hls_mla_shape *m, int64_t rows) {
    int64_t full = rows / b->rows;
    double whole = (double)full, rest = (double)(rows % b->rows), batches = whole + (rest > 0);
    hls_cost c = {.cycles = whole * batch_cycles(b, m, b->rows)};
    if (rest > 0) c.cycles += batch_cycles(b, m, rest);
    c.weight_bytes = batches * 64.0 * b->ports * batch_words(b, m);
    c.io_bytes = 4.0 * (double)(rows * m->heads * (m->nope + m->rope + m->v));
    c.bursts = batches * 4 * (double)m->heads + (double)rows;
    c.macs_fp32 = (double)(rows * m->heads * m->rank * (m->nope + m->v));
    return c;
}

hls_cost hls_cost_mla_pages(const hls_build *b, const hls_mla_shape *m, int32_t row_bytes, int64_t rows,
                            double context) {
    pages_cost p = {.b = b, .a_n = (double)m->rank, .b_n = (double)m->rope, .heads = (double)m->heads};
    part_types(row_bytes, p.a_n + p.b_n, 1, &p.a_type, &p.b_type);
    p.key_words = up(p.a_n + p.b_n, 16);
    p.value_words = up(p.a_n, 16);
    double n = (double)rows;
    return (hls_cost){.cycles = n * pages_cycles(&p, context),
                      .io_bytes = n * context * row_bytes,
                      .bursts = 3 * n,
                      .macs_fp32 = n * context * p.heads * (2 * p.a_n + p.b_n)};
}

hls_cost hls_cost_mla(const hls_build *b, hls_weight k_type, hls_weight v_type, int32_t row_bytes, int64_t rows,
                      double context, int64_t heads, int64_t nope, int64_t rope, int64_t v, int64_t rank) {
    hls_mla_shape m = {k_type, v_type, heads, nope, rope, v, rank, 0, nope + v, nope, nope + v, 0};
    return hls_cost_add(hls_cost_mla_weights(b, &m, rows), hls_cost_mla_pages(b, &m, row_bytes, rows, context));
}

hls_cost hls_cost_gqa(const hls_build *b, int32_t row_bytes, int64_t rows, double context, int64_t heads,
                      int64_t kv_heads, int64_t head_dim) {
    double dim = (double)head_dim, words = up(dim, 16), width = (double)(kv_heads * head_dim), n = (double)rows;
    pages_cost p = {.b = b, .a_n = dim, .b_n = dim, .heads = (double)heads / (double)kv_heads};
    part_types(row_bytes, 2 * width, 0, &p.a_type, &p.b_type);
    p.key_words = p.value_words = words;
    double copies = 2 * (double)heads * copy_cycles(dim);
    return (hls_cost){.cycles = n * ((double)kv_heads * pages_cycles(&p, context) + copies),
                      .io_bytes = n * (context * row_bytes + 8.0 * (double)heads * dim),
                      .bursts = n * (double)(3 * kv_heads + 2 * heads),
                      .macs_fp32 = n * context * 2 * (double)heads * dim};
}
