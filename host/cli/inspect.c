/* fathom inspect: what a model's files hold and how much memory it will take, from their headers alone. */
#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "boards/xclbin.h"
#include "host/cli/cli.h"
#include "host/cli/common.h"
#include "host/cli/inspect.h"
#include "host/cli/parts.h"

typedef struct inspect_options {
    const char *model;
    const char *image;   /* an xclbin file; NULL: the model */
    const char *cluster; /* a mode; NULL: one process */
    int32_t ranks;
    int32_t context; /* 0: the model's own, at most 8192 */
    bool tensors, json;
} inspect_options;

enum { OPTION_CTX = 0x2001, OPTION_TENSORS, OPTION_JSON, OPTION_CLUSTER, OPTION_RANKS };

static error_t parse(int key, char *arg, struct argp_state *state) {
    inspect_options *o = state->input;
    switch (key) {
    case ARGP_KEY_INIT: state->child_inputs[0] = &o->model; return 0;
    case OPTION_CTX: o->context = (int32_t)cli_option_int(state, "--ctx", arg, 1, INT32_MAX); return 0;
    case OPTION_TENSORS: o->tensors = true; return 0;
    case OPTION_JSON: o->json = true; return 0;
    case OPTION_CLUSTER: o->cluster = arg; return 0;
    case OPTION_RANKS: o->ranks = (int32_t)cli_option_int(state, "--ranks", arg, 1, 1024); return 0;
    case ARGP_KEY_ARG:
        if (o->image) argp_error(state, "unexpected argument '%s'", arg);
        if (!fa_xclbin_is(arg)) argp_error(state, "'%s' is not an xclbin file; a model is given by --model", arg);
        o->image = arg;
        return 0;
    }
    return ARGP_ERR_UNKNOWN;
}

static const struct argp_option options[] = {
    {"ctx", OPTION_CTX, "N", 0, "Show the cache for N positions; default: what the model allows, at most 8192", 0},
    {"tensors", OPTION_TENSORS, NULL, 0, "List every tensor: name, type, shape, bytes", 0},
    {"json", OPTION_JSON, NULL, 0, "Print one JSON object", 0},
    {"cluster", OPTION_CLUSTER, "MODE", 0,
     "Show what each rank of a cluster would have: expert, pipeline, both or both:STAGES", 0},
    {"ranks", OPTION_RANKS, "N", 0, "Of --cluster: how many; 2 is the default", 0},
    {0},
};
static const struct argp_child children[] = {{&cli_model_argp, 0, NULL, 0}, {0}};
static const struct argp argp = {
    .options = options,
    .parser = parse,
    .children = children,
    .args_doc = "[FILE.xclbin]",
    .doc =
        "Shows a model's architecture, its weights by part, and the memory that its cache takes. Reads the headers of "
        "its files alone. With the image of a board, shows its kernels, units and memories.\v"
        "Examples:\n"
        "  fathom inspect build/xclbin/u280-hw/fathom.xclbin\n"
        "  fathom inspect --model ~/models/R1-Distill-Qwen-1.5B --tensors",
};

static const char *const cache_names[FA_CACHE_TYPE_COUNT] = {"f32", "bf16", "fp8"};

/* ---- as JSON ---- */

static json_t *tensor_list(const fa_tensors *ts) {
    json_t *list = json_array();
    for (int64_t i = 0; i < fa_tensors_count(ts); i++) {
        const fa_tensor *t = fa_tensors_at(ts, i);
        json_t *shape = json_array();
        for (int d = 0; d < t->n_dims; d++) json_array_append_new(shape, json_integer(t->shape[d]));
        json_array_append_new(list,
                              json_pack("{s:s, s:s, s:o, s:I}", "name", t->name, "type", fa_dtype_get(t->type)->name,
                                        "shape", shape, "bytes", (json_int_t)t->bytes));
    }
    return list;
}

static int print_json(const inspect_options *o, const cli_files *f, const fa_grid *cluster) {
    const fa_config *c = &f->config;
    json_t *parts = json_object(), *cache = json_object();
    for (int p = 0; p < CLI_PART_COUNT; p++)
        if (f->bytes[p]) json_object_set_new(parts, cli_part_name((cli_part)p), json_integer(f->bytes[p]));
    for (int t = 0; t < FA_CACHE_TYPE_COUNT; t++)
        json_object_set_new(cache, cache_names[t], json_integer(cli_cache_bytes_per_token(c, (fa_cache_type)t)));
    json_t *root = json_pack(
        "{s:s, s:s, s:i, s:i, s:i, s:s, s:i, s:i, s:i, s:b, s:I, s:I, s:I, s:o, s:o, s:i}", "architecture",
        c->architecture, "family", c->family, "layers", c->layers, "hidden", c->hidden, "vocabulary", c->vocab,
        "attention", c->attention == FA_ATTENTION_MLA ? "mla" : "gqa", "experts", c->experts, "experts_per_token",
        c->top_k, "mtp_layers", c->mtp_layers, "fp8", c->fp8, "parameters", (json_int_t)f->parameters, "file_bytes",
        (json_int_t)fa_tensors_file_bytes(f->tensors), "weight_bytes_read_per_token", (json_int_t)f->read_per_token,
        "weight_bytes", parts, "cache_bytes_per_token", cache, "context", o->context);
    if (root && cluster->ranks) json_object_set_new(root, "cluster", cli_cluster_json(cluster, f));
    if (root && o->tensors) json_object_set_new(root, "tensors", tensor_list(f->tensors));
    bool ok = root && json_dumpf(root, stdout, JSON_INDENT(2)) == 0;
    if (ok) putchar('\n');
    json_decref(root);
    return ok ? CLI_OK : cli_fail("inspect: memory ran out");
}

/* ---- for people ---- */

/* "1.32 GB" and the like, decimal; returns text. */
static const char *amount(double bytes, char text[32]) {
    static const char *const units[] = {"B", "kB", "MB", "GB", "TB"};
    int u = 0;
    for (; bytes >= 1000 && u < 4; u++) bytes /= 1000;
    snprintf(text, 32, u ? "%.2f %s" : "%.0f %s", bytes, units[u]);
    return text;
}

static void print_architecture(const fa_config *c) {
    static const char *const scalings[] = {"plain", "linear", "YaRN", "llama3"};
    printf("architecture  %s (%s)\n", c->architecture, c->family);
    printf("layers        %d of width %d, vocabulary %d, context %d\n", c->layers, c->hidden, c->vocab,
           c->max_positions);
    if (c->attention == FA_ATTENTION_MLA)
        printf("attention     MLA: %d heads, latent %d + rotary %d", c->heads, c->kv_rank, c->rope_dim);
    else
        printf("attention     %d heads of %d, %d key/value heads", c->heads, c->head_dim, c->kv_heads);
    printf(", rope %s, base %g\n", scalings[c->rope.scaling], c->rope.theta);
    if (c->experts)
        printf("experts       %d of width %d, %d a token, %d shared; from layer %d\n", c->experts, c->moe_inner,
               c->top_k, c->shared_experts, c->first_moe_layer);
    if (c->mtp_layers) printf("MTP           %d layer%s\n", c->mtp_layers, c->mtp_layers == 1 ? "" : "s");
}

static void print_memory(const cli_files *f, int32_t context) {
    char a[32], b[32];
    printf("parameters    %.1f million\n", (double)f->parameters * 1e-6);
    printf("files         %s, mapped\n", amount((double)fa_tensors_file_bytes(f->tensors), a));
    for (int p = 0; p < CLI_PART_COUNT; p++)
        if (f->bytes[p]) printf("  %-16s %12s\n", cli_part_name((cli_part)p), amount((double)f->bytes[p], a));
    printf("read a token  %s of weights\n", amount((double)f->read_per_token, a));
    printf("cache         bytes a token, and for %d positions\n", context);
    int64_t pages = ((int64_t)context + FA_PAGE_POSITIONS - 1) / FA_PAGE_POSITIONS;
    for (int t = 0; t < FA_CACHE_TYPE_COUNT; t++) {
        int64_t each = cli_cache_bytes_per_token(&f->config, (fa_cache_type)t);
        printf("  %-16s %12s %12s\n", cache_names[t], amount((double)each, a),
               amount((double)(each * FA_PAGE_POSITIONS) * (double)pages, b));
    }
}

static void print_tensors(const fa_tensors *ts) {
    char shape[96];
    printf("\n");
    for (int64_t i = 0; i < fa_tensors_count(ts); i++) {
        const fa_tensor *t = fa_tensors_at(ts, i);
        printf("%-64s %-8s %-20s %14" PRId64 "\n", t->name, fa_dtype_get(t->type)->name,
               fa_tensor_shape_text(t, shape, sizeof shape), t->bytes);
    }
}

int cli_inspect(int argc, char **argv) {
    inspect_options o = {0};
    fa_error e;
    cli_files f;
    if (cli_parse(&argp, argc, argv, &o)) return CLI_ERROR;
    if (o.image) return cli_inspect_image(o.image, o.json);
    if (cli_files_open(&f, o.model, &e)) return cli_fail("%s", e.text);
    if (!o.context) o.context = f.config.max_positions < 8192 ? f.config.max_positions : 8192;
    fa_grid cluster = {0};
    int code = CLI_OK;
    if (o.cluster && fa_grid_make(&cluster, o.cluster, o.ranks ? o.ranks : 2, &f.config, &e)) {
        code = cli_fail("%s", e.text);
    } else if (o.json) {
        code = print_json(&o, &f, &cluster);
    } else {
        print_architecture(&f.config);
        print_memory(&f, o.context);
        if (cluster.ranks) cli_cluster_print(&cluster, &f);
        if (o.tensors) print_tensors(f.tensors);
    }
    cli_files_close(&f);
    return code;
}
