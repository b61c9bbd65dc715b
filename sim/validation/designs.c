#include "sim/validation/designs.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SIZES(l, h, v, i) .layers = (l), .hidden = (h), .vocab = (v), .intermediate = (i), .max_positions = 4096
#define HEADS(h, kv, d) .attention = FA_ATTENTION_GQA, .heads = (h), .kv_heads = (kv), .head_dim = (d)

static const fa_foreign_shape opt_1_3b = {"OPT-1.3B", {SIZES(24, 2048, 50272, 8192), HEADS(32, 32, 64)}, true};
static const fa_foreign_shape gpt2_medium = {"GPT-2 medium", {SIZES(24, 1024, 50257, 4096), HEADS(16, 16, 64)}, true};
static const fa_foreign_shape llama2_7b = {"LLaMA2-7B", {SIZES(32, 4096, 32000, 11008), HEADS(32, 32, 128)}, false};
static const fa_foreign_shape llama3_8b = {"LLaMA3-8B", {SIZES(32, 4096, 128256, 14336), HEADS(32, 8, 128)}, false};
static const fa_foreign_shape llama32_1b = {"Llama-3.2-1B", {SIZES(16, 2048, 128256, 8192), HEADS(32, 8, 64)}, false};
static const fa_foreign_shape qwen_7b = {"Qwen-7B", {SIZES(32, 4096, 151936, 11008), HEADS(32, 32, 128)}, false};
static const fa_foreign_shape qwen3_30b = {"Qwen3-30B-A3B",
                                           {SIZES(48, 2048, 151936, 6144), HEADS(32, 4, 128), .experts = 128,
                                            .top_k = 8, .moe_inner = 768, .moe_layer_freq = 1},
                                           false};

/* Of one channel; boards/ has the sources of each number. */
#define HBM(mhz) (0.929 * 32e6 * (mhz))  /* 256 bits at the memory's clock */
#define DDR(peak) (0.943 * 1e9 * (peak)) /* share of DDR4-2400 on U280 */

/* 4 bits, an FP16 scale and a 4-bit zero for 128 weights */
#define GROUP_128 ((4 + 20.0 / 128) / 8)

static const char held_out[] = "held out: predicted once, when all else was fixed";
static const char no_parallelism[] = "lanes and ports not published";

static const fa_design designs[] = {
    {"V2", "TeraFly, U50LV", 120.6, "120.6", NULL, &opt_1_3b, false, 8, 1, 8, 512, 240.3e6, 2, 8, 64, 4, HBM(399),
     "mean context 512; keys and values on 2 channels each of an engine (its params.h)"},
    {"V1a", "FlightLLM, U280, KV 128", 57.1, "57.1", NULL, &llama2_7b, true, 4, 3.43 / 6.607, 8, 128, 225e6, 2, 16, 32,
     16, HBM(450), "all 32 channels by 256-bit ports; 3.43 GB read for each token; attention on the matmul lanes"},
    {"V1b", "FlightLLM, U280, KV 512", 52.7, "52.7", NULL, &llama2_7b, true, 4, 3.43 / 6.607, 8, 512, 225e6, 2, 16, 32,
     16, HBM(450), "as V1a"},
    {"V9", "Li et al., KV260", 4.9, "4.9", NULL, &llama2_7b, true, 4, GROUP_128, 8, 512, 300e6, 1, 4, 16, 4, DDR(4.8),
     "groups of 128; mean context 512; four 128-bit ports"},
    {"V11a", "Hummingbird, KV260", 4.8, "4.8", NULL, &llama3_8b, true, 4, GROUP_128, 8, 48, 300e6, 1, 4, 16, 4,
     DDR(4.8), "groups of 128; clock of V9; ports as V9"},
    {"V11b", "Hummingbird, ZCU104", 8.6, "8.6", NULL, &llama3_8b, true, 4, GROUP_128, 8, 48, 266e6, 2, 4, 16, 4,
     DDR(34.1 / 8), "groups of 128; two memories of four 128-bit ports"},
    {"V10", "llama-fpga, U250", 18.5, "18-19", NULL, &llama2_7b, true, 4, GROUP_128, 16, 512, 300e6, 1, 4, 64, 4,
     DDR(19.25), "groups of 128; clock 300 MHz; mean context 512; middle of 18-19"},
    {"V12", "Hummingbird+, XCZU3EG", 18, ">18", NULL, &qwen3_30b, true, 4, 1.47 / 3.028, 4, 512, 266e6, 2, 4, 16, 4,
     DDR(34.0 / 8), "1.47 GB read for each token; ports as V11b; mean context 512; published as a lower bound"},
    {"V3", "FlexLLM, U280", 144, "144", NULL, &llama32_1b, true, 4, 0.5, 8, 1536, 292e6, 1, 16, 32, 16, HBM(450),
     "prompt and answer of 1,024: mean context 1,536; cache on the 16 weight channels (its link file); head in 4 bits"},
    {"V7b", "EdgeLLM, VCU128", 42.5, "42.5-69.4", held_out, &qwen_7b, true, 4, (4 + 16.0 / 128) / 8, 16, 256, 280e6, 2,
     16, 32, 16, HBM(450),
     "the slowest of its sparsities: none; groups of 128, FP16 scales; mean context 256; all 32 channels by 256-bit ports"},
    {"V6-64", "DFX, U280", 185.2, "64/((694.70-349.10)/1000)",
     "port width and lanes were in no text that could be read; here 256-bit ports", &gpt2_medium, true, 16, 2, 16, 96,
     200e6, 2, 16, 32, 16, HBM(450), "all 32 channels"},
    {"V4-64", "StreamTensor, U55C", 215.5, "215.51", no_parallelism, &gpt2_medium, true, 4, 0.5, 8, 96, 250e6, 2, 16,
     64, 16, HBM(450), "the bound of all 32 channels"},
    {"V5-32", "Allo, U280", 204.1, "204.05", no_parallelism, &gpt2_medium, true, 4, 0.5, 8, 48, 250e6, 2, 16, 64, 16,
     HBM(450), "the bound of all 32 channels"},
};
enum { DESIGNS = sizeof designs / sizeof *designs };

const fa_design *fa_design_at(int i) {
    return i >= 0 && i < DESIGNS ? &designs[i] : NULL;
}

/* ---- prediction ---- */

static void push(fa_plan_ops *l, fa_plan_op w) {
    l->item[l->n++] = w;
}

static void push_matmul(fa_plan_ops *l, const char *name, int64_t outputs, int64_t inputs) {
    push(l, (fa_plan_op){.name = name,
                         .kind = FA_PLAN_MATMUL,
                         .share = FA_SHARE_OUTPUTS,
                         .type = HLS_E4M3,
                         .outputs = outputs,
                         .inputs = inputs});
}

static void push_rowwise(fa_plan_ops *l, const char *name, int64_t values) {
    push(l, (fa_plan_op){.name = name, .kind = FA_PLAN_ROWWISE, .outputs = values});
}

/* A decoder layer in three parts, the middle one attention; values as in sim/planner/ops.c. Attention of these designs is a
 * product of codes with the keys, and one with the values, that stream like weights: each is a matmul with `context` outputs. */
static void layer_of(fa_plan_ops part[3], const fa_foreign_shape *s, double context) {
    const fa_config *c = &s->config;
    int64_t h = c->hidden, q = (int64_t)c->heads * c->head_dim, kv = (int64_t)c->kv_heads * c->head_dim;
    int64_t inner = c->experts ? (int64_t)c->top_k * c->moe_inner : c->intermediate;
    memset(part, 0, 3 * sizeof *part);
    push_rowwise(&part[0], "norm", 3 * h);
    push_matmul(&part[0], "qkv", q + 2 * kv, h);
    push_rowwise(&part[0], "rope and store", 2 * q + 6 * kv);
    push_matmul(&part[1], "keys", (int64_t)context, kv);
    push_matmul(&part[1], "values", (int64_t)context, kv);
    push_matmul(&part[2], "o", h, q);
    push_rowwise(&part[2], "add", 3 * h);
    push_rowwise(&part[2], "norm", 3 * h);
    if (c->experts) push_matmul(&part[2], "router", c->experts, h);
    push_matmul(&part[2], "up", s->plain_mlp ? inner : 2 * inner, h);
    push_rowwise(&part[2], "activation", s->plain_mlp ? 2 * inner : 3 * inner);
    push_matmul(&part[2], "down", h, inner);
    push_rowwise(&part[2], "add", 3 * h);
}

static fa_board board_of(const fa_design *d, int32_t ports) {
    fa_board b = {.name = "published", .n_bank_kinds = 1};
    b.bank[0] = (fa_bank_kind){.name = "memory",
                               .count = d->units * ports,
                               .bank_bytes = INT64_C(1) << 40,
                               .peak_bytes_per_s = d->bank_bytes_per_s,
                               .read_share = 1,
                               .write_share = 1,
                               .bank_ports = 1,
                               .port_bytes = 32,
                               .read_latency_s = 280e-9};
    b.build = (fa_board_build){.clock_hz = d->clock_hz,
                               .units = d->units,
                               .ports = ports,
                               .port_bytes = d->port_bytes,
                               .rows = 1,
                               .lanes_fp32 = 16};
    return b;
}

static fa_plan_step step_of(const fa_design *d, const fa_board *board, double bits, double bytes) {
    return (fa_plan_step){.model = &d->shape->config,
                          .board = board,
                          .types = {HLS_E4M3, HLS_E4M3},
                          .w8a8 = true,
                          .ways = 1,
                          .rows = 1,
                          .logits = 1,
                          .code_bits = (int32_t)bits,
                          .code_bytes = bytes,
                          .on_chip = true};
}

void fa_design_predict(const fa_design *d, fa_spent *spent) {
    static const double launch_s = 10e-6; /* the host starts one token with one call */
    const fa_config *c = &d->shape->config;
    fa_board board = board_of(d, d->ports), cache = board_of(d, d->cache_ports);
    fa_plan_step weights = step_of(d, &board, d->code_bits, d->code_bytes);
    fa_plan_step cached = step_of(d, &cache, d->cached_bits, d->cached_bits / 8);
    fa_plan_ops part[3], head = {0};
    fa_spent one = {0};
    layer_of(part, d->shape, d->context);
    fa_plan_step_ops(&weights, &part[0], &one, NULL, NULL);
    fa_plan_step_ops(&cached, &part[1], &one, NULL, NULL);
    fa_plan_step_ops(&weights, &part[2], &one, NULL, NULL);
    *spent = (fa_spent){.seconds = launch_s, .by = {[FA_LIMIT_LAUNCH] = launch_s}};
    fa_spent_add(spent, &one, c->layers);
    if (!d->head) return;
    push_rowwise(&head, "norm", 3 * (int64_t)c->hidden);
    push_matmul(&head, "head", c->vocab, c->hidden);
    fa_plan_step_ops(&weights, &head, spent, NULL, NULL);
}

char *fa_published_row(const char *path, const char *row) {
    FILE *f = fopen(path, "r");
    if (!f) return NULL;
    char *line = NULL;
    size_t capacity = 0, n = strlen(row);
    bool found = false;
    while (!found && getline(&line, &capacity, f) > 0) found = !strncmp(line, row, n) && line[n] == ',';
    fclose(f);
    if (found) return line;
    free(line);
    return NULL;
}
