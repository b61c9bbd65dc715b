/* Which of several boards holds which layer and which expert of a model: a file, docs/placement.md. Made by `fathom plan --emit`. */
#ifndef FA_BOARDS_PLACEMENT_H
#define FA_BOARDS_PLACEMENT_H

#include <stdint.h>

#include "host/base/status.h"

enum { FA_PLACEMENT_BOARDS = 32, FA_PLACEMENT_TEXT = 128 };

typedef struct fa_placement_board {
    int32_t node;                    /* the NUMA node that it hangs on, and whose CPUs and memory serve it */
    char backend[FA_PLACEMENT_TEXT]; /* "xrt:0000:3b:00.1"; empty: the one that was asked for */
} fa_placement_board;

typedef struct fa_board_placement {
    char model[FA_PLACEMENT_TEXT]; /* its name, for people */
    uint64_t shape;                /* of the model it was made for (host/model/shape.h) */
    int32_t n_boards;
    fa_placement_board board[FA_PLACEMENT_BOARDS];
    int32_t layers;   /* with that of multi-token prediction */
    int32_t *layer;   /* [layers] the board of attention, router, shared experts or MLP, and of the cache */
    int32_t head;     /* the board of the last norm and the head */
    int32_t experts;  /* of a layer; 0: none */
    uint32_t *expert; /* [layers, experts] bits: the boards that hold it; all of the layer's board in a dense layer */
} fa_board_placement;

/* Zeroed tables: everything on board 0. FA_ENOMEM. The caller frees with fa_board_placement_free in every case. */
fa_status fa_board_placement_make(fa_board_placement *p, int32_t n_boards, int32_t layers, int32_t experts,
                                  fa_error *e);

/* FA_EIO, or FA_EFORMAT with the file and the field: "p.json: layers[3]: expected a board in 0..1, found 7". */
fa_status fa_board_placement_read(fa_board_placement *p, const char *path, fa_error *e);
fa_status fa_board_placement_write(const fa_board_placement *p, const char *path, fa_error *e);
void fa_board_placement_free(fa_board_placement *p);

#endif
