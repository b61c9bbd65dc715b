/* The check that no FP8 weight holds a NaN (or, in E5M2, an infinity). */
#ifndef FA_MODEL_CODES_H
#define FA_MODEL_CODES_H

#include <stdbool.h>
#include <stdint.h>

#include "host/base/threads.h"
#include "host/format/dtype.h"

/* True when all `n` codes of type FA_F8_E4M3 or FA_F8_E5M2 are finite. Reads every byte, at about the speed of memory;
 * the work is shared by the team. */
bool fa_codes_finite(fa_team *team, fa_dtype type, const void *codes, int64_t n);

#endif
