#include "host/cli/parts.h"

#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "host/format/gguf.h"

static const char *const part_names[CLI_PART_COUNT] = {
    [CLI_EMBEDDING] = "embedding", [CLI_ATTENTION] = "attention", [CLI_DENSE] = "dense",
    [CLI_ROUTER] = "router",       [CLI_EXPERTS] = "experts",     [CLI_SHARED] = "shared",
    [CLI_NORMS] = "norms",         [CLI_HEAD] = "head",           [CLI_MTP] = "mtp",
    [CLI_OTHER] = "other",
};

const char *cli_part_name(cli_part p) {
    return (unsigned)p < CLI_PART_COUNT ? part_names[p] : "unknown";
}

/* The first line whose text occurs in a tensor's name decides. */
static const struct {
    const char *text;
    cli_part part;
} marks[] = {
    {"embed_tokens", CLI_EMBEDDING},
    {"token_embd", CLI_EMBEDDING},
    {"lm_head", CLI_HEAD},
    {"norm", CLI_NORMS},
    {".mlp.experts.", CLI_EXPERTS},
    {"_exps.", CLI_EXPERTS},
    {"shared_experts", CLI_SHARED},
    {"_shexp.", CLI_SHARED},
    {".mlp.gate.", CLI_ROUTER},
    {"ffn_gate_inp", CLI_ROUTER},
    {"exp_probs_b", CLI_ROUTER},
    {".self_attn.", CLI_ATTENTION},
    {".attn_", CLI_ATTENTION},
    {".mlp.", CLI_DENSE},
    {".ffn_", CLI_DENSE},
    {"output.weight", CLI_HEAD},
};

cli_part cli_part_of(const char *name, const fa_config *c) {
    int layer;
    if ((sscanf(name, "model.layers.%d.", &layer) == 1 || sscanf(name, "blk.%d.", &layer) == 1) && layer >= c->layers)
        return CLI_MTP;
    for (size_t i = 0; i < sizeof marks / sizeof *marks; i++)
        if (strstr(name, marks[i].text)) return marks[i].part;
    return CLI_OTHER;
}

int64_t cli_cache_bytes_per_token(const fa_config *c, fa_cache_type type) {
    bool mla = c->attention == FA_ATTENTION_MLA;
    int32_t keys = c->kv_heads * c->head_dim;
    fa_kv_layout l = fa_kv_layout_make(type, mla, mla ? c->kv_rank : keys, mla ? c->rope_dim : keys, c->layers);
    return l.page_bytes / FA_PAGE_POSITIONS;
}

static fa_status load_config(cli_files *f, const char *path, fa_error *e) {
    const fa_gguf *g = fa_tensors_gguf(f->tensors);
    struct stat st;
    if (g) return fa_config_from_gguf(&f->config, g, e);
    if (stat(path, &st) == 0 && S_ISDIR(st.st_mode)) return fa_config_load(&f->config, path, e);
    char *copy = strdup(path);
    if (!copy) return fa_fail(e, FA_ENOMEM, "%s: memory ran out", path);
    fa_status s = fa_config_load(&f->config, dirname(copy), e);
    free(copy);
    return s;
}

static void add_up(cli_files *f) {
    const fa_config *c = &f->config;
    for (int64_t i = 0; i < fa_tensors_count(f->tensors); i++) {
        const fa_tensor *t = fa_tensors_at(f->tensors, i);
        f->bytes[cli_part_of(t->name, c)] += t->bytes;
        if (!strstr(t->name, "_scale_inv")) f->parameters += fa_tensor_elements(t);
    }
    for (int p = 0; p < CLI_PART_COUNT; p++)
        if (p != CLI_EMBEDDING && p != CLI_EXPERTS && p != CLI_MTP && p != CLI_OTHER) f->read_per_token += f->bytes[p];
    bool tied = !f->bytes[CLI_HEAD];
    f->read_per_token += tied || !c->vocab ? f->bytes[CLI_EMBEDDING] : f->bytes[CLI_EMBEDDING] / c->vocab;
    if (c->experts) f->read_per_token += f->bytes[CLI_EXPERTS] / c->experts * c->top_k;
}

fa_status cli_files_open(cli_files *f, const char *path, fa_error *e) {
    *f = (cli_files){0};
    fa_status s = fa_tensors_open(&f->tensors, path, e);
    if (s) return s;
    s = load_config(f, path, e);
    if (s)
        cli_files_close(f);
    else
        add_up(f);
    return s;
}

void cli_files_close(cli_files *f) {
    if (f->tensors) fa_tensors_close(f->tensors);
    *f = (cli_files){0};
}
