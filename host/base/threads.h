/* Worker threads: OpenMP teams whose threads are bound to a NUMA node. All floating-point work runs inside
 * fa_team_run, where subnormals count as zero (FTZ and DAZ, rule 6 of docs/numerics.md). */
#ifndef FA_BASE_THREADS_H
#define FA_BASE_THREADS_H

#include <stdint.h>

#include "host/base/status.h"

typedef struct fa_team fa_team;

/* A piece of work: items [begin, end) of the range, on worker `thread` (0 .. fa_team_size - 1). */
typedef void fa_work(void *ctx, int64_t begin, int64_t end, int thread);

/* Opens a team of `threads` workers (0: one for each CPU this process may use) on NUMA `node`
 * (FA_NODE_INTERLEAVE: all nodes). Workers are bound to their CPUs' nodes when there are no more of them than CPUs.
 * FA_EINVAL for a count outside 0..1024, FA_ENOMEM. The caller closes it. */
fa_status fa_team_open(fa_team **team, int threads, int node, fa_error *e);
void fa_team_close(fa_team *team);

int fa_team_size(const fa_team *team);

/* Runs work over items 0 .. n-1 in pieces of at most `grain` items, handed to whichever worker is free; returns when all
 * are done. No result may depend on which worker ran a piece. With one piece, or one worker, the caller's thread
 * does it. Not re-entrant on one team. */
void fa_team_run(fa_team *team, int64_t n, int64_t grain, fa_work *work, void *ctx);

/* The floating-point mode that FP32 work runs in: FTZ and DAZ. Returns the former mode for fa_fp_leave. */
unsigned fa_fp_enter(void);
void fa_fp_leave(unsigned mode);

#endif
