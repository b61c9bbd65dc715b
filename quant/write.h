/* Writes planned tensors as safetensors files. Private to quant. */
#ifndef FA_QUANT_WRITE_H
#define FA_QUANT_WRITE_H

#include "quant/plan.h"
#include "quant/quantise.h"

/* Writes all tensors of the plan into folder `dir`: model.safetensors when they fit in one shard, else shards and
 * model.safetensors.index.json. Calls the options' progress and report. */
fa_status fa_write_weights(const fa_plan *plan, const char *dir, const fa_quantise_options *options, fa_error *e);

#endif
