/* What a build takes of the fabric: operators, ports and buffers of each kernel of hls/, as their pragmas state them, times
 * what one of each takes. docs/boards.md says where the counts come from and what they leave out. */
#include <math.h>
#include <string.h>

#include "boards/board.h"
#include "hls/build.h"
#include "hls/layout.h"
#include "hls/rtl/counts.h"

/* ---- what one takes ---- */

/* Vitis HLS's operators for DSP48E2, and for DSP58 with its floating-point mode. DSPs: LUT-LLM's resource file. LUTs and FFs:
 * the adder of DSP48E2 from a published report for a U280; the others are assumed. */
typedef struct operator_costs {
    fa_resources add, mul, div;
} operator_costs;

static const operator_costs dsp48 = {
    .add = {226, 177, 2, 0, 0}, .mul = {135, 170, 3, 0, 0}, .div = {800, 1400, 0, 0, 0}};
static const operator_costs dsp58 = {.add = {20, 60, 1, 0, 0}, .mul = {20, 60, 1, 0, 0}, .div = {800, 1400, 0, 0, 0}};

/* An m_axi adapter of Vitis HLS without its FIFOs (a published report has 600 to 1,600 LUT and 860 to 1,930 FF), and a kernel's
 * registers, addresses and state machines: assumed. */
static const fa_resources wide_port = {1600, 1900, 0, 0, 0}, narrow_port = {700, 1000, 0, 0.5, 0},
                          control = {8000, 10000, 20, 0, 0};

enum { WORD_BITS = 512, LANES = 16 };

/* Of hls/fp8.h, cache.h and attend.h, whose pragmas only a kernel's compiler takes. */
enum {
    READ_WORDS = HLS_READ_OUTSTANDING * HLS_READ_BURST,
    RESULTS = HLS_SLAB * HLS_TILE,
    MAX_BLOCKS = HLS_MAX_COLS / HLS_BLOCK,
    KEY_WORDS = HLS_MAX_KEY / 16,
    VALUE_WORDS = HLS_MAX_RANK / 16,
    PART_WORDS = HLS_MAX_HEAD / 16 + 1
};

/* ---- what each kernel has ---- */

/* FP32 operators; an exponential is 11 adders and 12 multipliers, a tree of 16 is 15 adders (hls/float.h). */
typedef struct operators {
    double add, mul, div, exp, tree;
} operators;

typedef enum kernel_id { MATMUL, MLA, GQA, ROWWISE, KERNELS } kernel_id;

/* What an unrolled loop repeats: `operators` are those of one turn of it. */
typedef enum multiple {
    OF_DOT,     /* pairs of row and port: rule 2 at the end of a block of codes */
    OF_PRODUCT, /* HLS_DOT_GROUPS: 16 lanes of an ordered product */
    OF_TREE,    /* of those, as many as HLS_TREE_CYCLES ask for */
    OF_ABSORB,  /* HLS_ABSORB_GROUPS: 16 lanes of the query's product with kv_b */
    OF_HEAD,    /* HLS_GROUPS: 16 lanes of scores and 16 of values */
    OF_SCORE,   /* of those, as many as HLS_SCORE_CYCLES ask for */
    OF_EXP,     /* HLS_EXP_UNITS */
    OF_SILU,    /* of 16 silu, as many as HLS_SILU_CYCLES ask for */
    ONCE,       /* words of 16: biases, quantising, silu, routes, cached values, ends of attention, norms, rotations */
    MULTIPLES
} multiple;

/* Operators that do `uses` in so many cycles. */
#define SHARED(uses, cycles) ((int32_t)((uses) / (cycles)))

static const struct kernel {
    const char *name;
    bool weights, fp8;
    operators of[MULTIPLES];
} kernels[KERNELS] = {
    [MATMUL] = {"fathom_matmul",
                true,
                true,
                {[OF_DOT] = {.add = 1, .mul = 2},
                 [OF_PRODUCT] = {.add = 16, .mul = 32},
                 [OF_TREE] = {.tree = 1},
                 [OF_SILU] = {.add = 1, .mul = 1, .div = 1, .exp = 1},
                 [ONCE] = {.add = SHARED(16, HLS_BIAS_CYCLES) + SHARED(16, HLS_ROUTE_CYCLES),
                           .mul = SHARED(16, HLS_ROUTE_CYCLES),
                           .div = SHARED(16, HLS_QUANTISE_CYCLES) + 1}}},
    [MLA] = {"fathom_mla",
             true,
             false,
             {[OF_PRODUCT] = {.add = 16, .mul = 32},
              [OF_TREE] = {.tree = 1},
              [OF_ABSORB] = {.add = 16, .mul = 32},
              [OF_HEAD] = {.add = 32, .mul = 32},
              [OF_SCORE] = {.mul = 1, .tree = 1},
              [OF_EXP] = {.add = 3, .mul = 1, .exp = 1, .tree = 1},
              [ONCE] = {.mul = 16, .div = SHARED(16, HLS_END_CYCLES), .tree = 2}}},
    [GQA] = {"fathom_gqa",
             false,
             false,
             {[OF_HEAD] = {.add = 32, .mul = 32},
              [OF_SCORE] = {.mul = 1, .tree = 1},
              [OF_EXP] = {.add = 3, .mul = 1, .exp = 1, .tree = 1},
              [ONCE] = {.mul = 16, .div = SHARED(16, HLS_END_CYCLES)}}},
    [ROWWISE] = {"fathom_rowwise",
                 false,
                 false,
                 {[ONCE] = {.add = 4 + SHARED(16, HLS_ADD_CYCLES) + SHARED(16, HLS_ROWWISE_CYCLES),
                            .mul = 4 + SHARED(16, HLS_ADD_CYCLES) + SHARED(32, HLS_ROWWISE_CYCLES),
                            .div = 4 + SHARED(16, HLS_QUANTISE_CYCLES),
                            .tree = 1}}},
};

static int32_t parts(int32_t n, int32_t of) {
    return (n + of - 1) / of;
}

/* HLS_GROUPS of the build; HLS_DOT_GROUPS of a kernel that takes one in `share`; HLS_ABSORB_GROUPS. */
static int32_t groups_of(const fa_board_build *d) {
    return d->lanes_fp32 / LANES;
}

static int32_t at_most(int32_t a, int32_t b) {
    return a < b ? a : b;
}

static int32_t dot_groups(const fa_board_build *d, kernel_id k) {
    static const int32_t share[KERNELS] = {[MATMUL] = HLS_MATMUL_SHARE, [MLA] = HLS_MLA_SHARE};
    return share[k] ? at_most(parts(groups_of(d), share[k]), d->rows * d->ports) : 0;
}

static int32_t absorb_groups(const fa_board_build *d) {
    return at_most(parts(groups_of(d), HLS_MLA_SHARE), 4 * d->rows);
}

static int32_t times(const fa_board_build *d, kernel_id k, multiple m) {
    switch (m) {
    case OF_DOT: return d->ports * d->rows;
    case OF_PRODUCT: return dot_groups(d, k);
    case OF_TREE: return parts(dot_groups(d, k), HLS_TREE_CYCLES);
    case OF_ABSORB: return absorb_groups(d);
    case OF_HEAD: return groups_of(d);
    case OF_SCORE: return parts(groups_of(d), HLS_SCORE_CYCLES);
    case OF_EXP: return parts(groups_of(d), 8);
    case OF_SILU: return parts(16, HLS_SILU_CYCLES);
    default: return 1;
    }
}

static void add(fa_resources *sum, const fa_resources *one, double times) {
    sum->lut += one->lut * times;
    sum->ff += one->ff * times;
    sum->dsp += one->dsp * times;
    sum->bram += one->bram * times;
    sum->uram += one->uram * times;
}

static void add_operators(fa_resources *sum, const operator_costs *c, const operators *o, double times) {
    add(sum, &c->add, (o->add + 11 * o->exp + 15 * o->tree) * times);
    add(sum, &c->mul, (o->mul + 12 * o->exp) * times);
    add(sum, &c->div, o->div * times);
}

/* ports * rows dot units of port_bytes lanes; a weight's decoders serve all rows, an activation's all ports. */
static void add_fp8(fa_resources *sum, const fa_board_build *d) {
    double dots = (double)d->ports * d->rows, lanes = dots * d->port_bytes;
    double codes = (double)(d->ports + d->rows) * d->port_bytes;
    bool wide = d->port_bytes == 64;
    sum->lut +=
        lanes * HLS_RTL_PRODUCT_LUT + codes * HLS_RTL_DECODE_LUT +
        dots * ((wide ? HLS_RTL_SUM_64_LUT : HLS_RTL_SUM_32_LUT) + HLS_RTL_ACCUMULATOR_LUT + HLS_RTL_TO_FP32_LUT);
    sum->ff += lanes * HLS_RTL_PRODUCT_FF + codes * HLS_RTL_DECODE_FF +
               dots * ((wide ? HLS_RTL_SUM_64_FF : HLS_RTL_SUM_32_FF) + HLS_RTL_ACCUMULATOR_FF + HLS_RTL_TO_FP32_FF);
}

/* ---- buffers ---- */

typedef enum storage { BLOCK, ULTRA, LUTS } storage;

/* `copies` arrays of `depth` words of `bits`. Half a block RAM is 512 deep and 36 wide, an UltraRAM 4096 and 72, a LUT 64 and
 * 1; small arrays go to LUTs. */
static void add_buffer(fa_resources *sum, double copies, int32_t bits, int32_t depth, storage s) {
    if (depth <= 64 || s == LUTS)
        sum->lut += copies * bits * parts(depth, 64);
    else if (s == ULTRA)
        sum->uram += copies * parts(bits, 72) * parts(depth, 4096);
    else
        sum->bram += copies * parts(bits, 36) * 0.5 * parts(depth, 512);
}

/* Arrays that are partitioned over groups of heads share the words of `depth` among them. */
static void add_by_group(fa_resources *sum, const fa_board_build *d, double copies, int32_t depth, storage s) {
    add_buffer(sum, copies * groups_of(d), WORD_BITS, parts(depth, groups_of(d)), s);
}

/* A chunk of every port, and the scales of its tile. */
static void add_chunks(fa_resources *sum, const fa_board_build *d, storage s) {
    add_buffer(sum, d->ports, WORD_BITS, HLS_CHUNK, s);
    add_buffer(sum, (double)d->ports * LANES, 32, MAX_BLOCKS / LANES, BLOCK);
}

/* ordered.h: chunks, the partial sums of a tile, the sums. */
static void add_ordered_buffers(fa_resources *sum, const fa_board_build *d, kernel_id k) {
    int32_t groups = dot_groups(d, k), turns = parts(d->rows * d->ports, groups);
    add_chunks(sum, d, BLOCK);
    add_buffer(sum, (double)groups * LANES, 32, turns * HLS_TILE, LUTS);
    add_buffer(sum, (double)groups * turns, 32, HLS_TILE, LUTS);
}

/* pass.h: rows, what gate gave, their codes and scales, sums of codes, and the stream of results. */
static void add_product_buffers(fa_resources *sum, const fa_board_build *d, kernel_id k) {
    int32_t dots = d->ports * d->rows;
    add_buffer(sum, 2.0 * d->rows, WORD_BITS, HLS_ROW_WORDS, ULTRA);
    add_buffer(sum, d->rows, WORD_BITS, HLS_CODE_WORDS, BLOCK);
    add_buffer(sum, d->rows, 32, MAX_BLOCKS, BLOCK);
    add_buffer(sum, 2.0 * dots, 32, HLS_TILE, BLOCK);
    add_buffer(sum, (double)d->ports * LANES, 32, MAX_BLOCKS / LANES, BLOCK);
    add_buffer(sum, 1, 32 * dots, RESULTS, BLOCK);
    add_ordered_buffers(sum, d, k);
}

/* attend.h, everything that goes from one process to the next twice: words and scales of both parts of a page, its keys and values,
 * scores and weights of all heads; within processes, the partial sums of scores, and of weights. */
static void add_page_buffers(fa_resources *sum, const fa_board_build *d) {
    int32_t units = parts(groups_of(d), 8);
    add_buffer(sum, 2 * 4, WORD_BITS, HLS_PAGE * PART_WORDS, ULTRA);
    add_buffer(sum, 2 * 2, WORD_BITS, HLS_PAGE * KEY_WORDS, ULTRA);
    add_buffer(sum, 2.0 * 2 * groups_of(d), 32, HLS_PAGE * parts(HLS_MAX_HEADS, groups_of(d)), BLOCK);
    add_buffer(sum, d->lanes_fp32, 32, HLS_PAGE, BLOCK);
    add_buffer(sum, (double)units * LANES, 32, parts(HLS_MAX_HEADS, units), BLOCK);
}

static void add_buffers(fa_resources *sum, const fa_board_build *d, kernel_id k) {
    switch (k) {
    case MATMUL: add_product_buffers(sum, d, k); break;
    case MLA:
        add_ordered_buffers(sum, d, k);
        add_chunks(sum, d, ULTRA);
        add_buffer(sum, absorb_groups(d), WORD_BITS, LANES * parts(d->rows, absorb_groups(d)) * VALUE_WORDS, BLOCK);
        add_buffer(sum, d->rows, WORD_BITS, HLS_ROW_WORDS, ULTRA);
        add_by_group(sum, d, d->rows, HLS_MAX_HEADS * KEY_WORDS, ULTRA); /* query */
        add_by_group(sum, d, 1, HLS_MAX_HEADS * VALUE_WORDS, ULTRA);     /* acc */
        add_page_buffers(sum, d);
        break;
    case GQA:
        add_by_group(sum, d, 1, HLS_MAX_HEADS * KEY_WORDS, ULTRA);   /* query */
        add_by_group(sum, d, 1, HLS_MAX_HEADS * VALUE_WORDS, ULTRA); /* out */
        add_page_buffers(sum, d);
        break;
    case ROWWISE: add_buffer(sum, 1, WORD_BITS, HLS_CODE_WORDS, BLOCK); break;
    case KERNELS: break;
    }
}

/* ---- kernels and builds ---- */

static void add_kernel(fa_resources *sum, const fa_board *b, const fa_board_build *d, kernel_id id) {
    const struct kernel *k = &kernels[id];
    const operator_costs *c = b->dsp58 ? &dsp58 : &dsp48;
    if (k->fp8) add_fp8(sum, d);
    for (int m = 0; m < MULTIPLES; m++) add_operators(sum, c, &k->of[m], times(d, id, (multiple)m));
    if (k->weights) {
        add(sum, &wide_port, d->ports);
        add_buffer(sum, d->ports, WORD_BITS, READ_WORDS, BLOCK);
    }
    add(sum, &wide_port, 2); /* io reads and writes */
    add_buffer(sum, 2, WORD_BITS, READ_WORDS, BLOCK);
    add(sum, &narrow_port, 1);
    add(sum, &control, 1);
    add_buffers(sum, d, id);
}

bool fa_board_kernel_needs(const fa_board *b, const fa_board_build *build, const char *kernel, fa_resources *needs) {
    *needs = (fa_resources){0};
    for (int k = 0; k < KERNELS; k++)
        if (!strcmp(kernels[k].name, kernel)) {
            add_kernel(needs, b, build, (kernel_id)k);
            return true;
        }
    return false;
}

/* An image holds the attention of one family: the larger of the two counts, resource by resource. */
static fa_resources largest(const fa_resources *a, const fa_resources *b) {
    return (fa_resources){fmax(a->lut, b->lut), fmax(a->ff, b->ff), fmax(a->dsp, b->dsp), fmax(a->bram, b->bram),
                          fmax(a->uram, b->uram)};
}

void fa_board_needs(const fa_board *b, const fa_board_build *build, fa_resources *needs) {
    fa_resources mla = {0}, gqa = {0}, unit;
    add_kernel(&mla, b, build, MLA);
    add_kernel(&gqa, b, build, GQA);
    unit = largest(&mla, &gqa);
    for (int k = 0; k < KERNELS; k++)
        if (k != MLA && k != GQA) add_kernel(&unit, b, build, (kernel_id)k);
    *needs = (fa_resources){0};
    add(needs, &unit, build->units);
}
