#include "host/model/shape.h"

#include <stddef.h>

uint64_t fa_config_shape(const fa_config *c) {
    bool mla = c->attention == FA_ATTENTION_MLA;
    const int32_t sizes[] = {c->vocab,
                             c->hidden,
                             c->layers,
                             c->intermediate,
                             c->attention,
                             c->heads,
                             mla ? 0 : c->kv_heads,
                             mla ? 0 : c->head_dim,
                             c->q_rank,
                             c->kv_rank,
                             c->nope_dim,
                             c->rope_dim,
                             c->v_dim,
                             c->experts,
                             c->shared_experts,
                             c->top_k,
                             c->moe_inner,
                             c->experts ? c->first_moe_layer : 0};
    uint64_t h = 0xcbf29ce484222325u;
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        for (int shift = 0; shift < 32; shift += 8) h = (h ^ ((uint32_t)sizes[i] >> shift & 255)) * 0x100000001b3u;
    return h;
}
