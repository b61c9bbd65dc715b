/* fathom inspect --cluster: which rank has which layers and experts, and how many bytes of the files that is. */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "host/cli/cli.h"
#include "host/cli/common.h"
#include "host/cli/inspect.h"

/* The number behind `word` in a tensor's name, or -1. */
static int number_behind(const char *name, const char *word) {
    const char *at = strstr(name, word);
    return at ? atoi(at + strlen(word)) : -1;
}

/* Bytes of `t` that a rank reads: GGUF has all experts of a layer in one tensor. */
static int64_t bytes_of(const fa_config *c, const fa_tensor *t, const fa_model_part *part, bool mtp) {
    int layer = number_behind(t->name, "model.layers."), expert = number_behind(t->name, ".mlp.experts.");
    if (layer < 0) layer = strncmp(t->name, "blk.", 4) ? -1 : atoi(t->name + 4);
    cli_part what = cli_part_of(t->name, c);
    if (layer < 0) {
        bool table = what == CLI_EMBEDDING;
        return (table ? part->embedding || (part->head && c->tied_embeddings) : part->head) ? t->bytes : 0;
    }
    bool here = layer >= part->first_layer && layer < part->end_layer;
    if (layer >= c->layers) here = mtp && part->head;
    if (!here) return 0;
    if (expert >= 0) return expert >= part->first_expert && expert < part->end_expert ? t->bytes : 0;
    if (strstr(t->name, "_exps.")) return t->bytes / c->experts * (part->end_expert - part->first_expert);
    return t->bytes;
}

static int64_t part_bytes(const cli_files *f, const fa_model_part *part, bool mtp) {
    int64_t sum = 0;
    for (int64_t i = 0; i < fa_tensors_count(f->tensors); i++)
        sum += bytes_of(&f->config, fa_tensors_at(f->tensors, i), part, mtp);
    return sum;
}

void cli_cluster_print(const fa_grid *p, const cli_files *f) {
    printf("cluster       %d ranks in %d stage%s\n", p->ranks, p->stages, p->stages == 1 ? "" : "s");
    for (int32_t rank = 0; rank < p->ranks; rank++) {
        fa_seat s = fa_grid_seat(p, rank, false);
        if (s.idle) {
            printf("  rank %-11d idle\n", rank);
            continue;
        }
        printf("  rank %-11d stage %d, layers %d-%d", rank, s.stage, s.part.first_layer, s.part.end_layer - 1);
        if (s.part.end_expert > s.part.first_expert)
            printf(", experts %d-%d", s.part.first_expert, s.part.end_expert - 1);
        else if (f->config.experts)
            printf(", no experts");
        printf(": %.2f MB\n", (double)part_bytes(f, &s.part, false) * 1e-6);
    }
}

json_t *cli_cluster_json(const fa_grid *p, const cli_files *f) {
    json_t *list = json_array();
    for (int32_t rank = 0; rank < p->ranks; rank++) {
        fa_seat s = fa_grid_seat(p, rank, false);
        json_t *one = s.idle ? json_pack("{s:i, s:b}", "rank", rank, "idle", 1)
                             : json_pack("{s:i, s:i, s:[ii], s:[ii], s:I}", "rank", rank, "stage", s.stage, "layers",
                                         s.part.first_layer, s.part.end_layer, "experts", s.part.first_expert,
                                         s.part.end_expert, "weight_bytes", (json_int_t)part_bytes(f, &s.part, false));
        json_array_append_new(list, one);
    }
    return list;
}
