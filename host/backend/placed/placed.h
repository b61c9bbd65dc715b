/* Several boards as one backend: layers and experts lie where a placement says, and every board is served by a thread, and by worker
 * threads, staging and whatever else it has in host memory, on its own NUMA node. Any backend can stand for a board. */
#ifndef FA_BACKEND_PLACED_PLACED_H
#define FA_BACKEND_PLACED_PLACED_H

#include "boards/placement.h"
#include "host/backend/backend.h"

/* Opens options->name, or what the placement's board says, once for each board of the file options->placement. */
fa_status fa_placed_open(fa_backend **out, const fa_backend_options *options, fa_error *e);

/* The placement of such a backend; NULL for any other. */
const fa_board_placement *fa_placed_placement(const fa_backend *b);

/* The backend of board `i`, for tests; the thread that serves it must not be at work. */
fa_backend *fa_placed_board(const fa_backend *b, int32_t i);

#endif
