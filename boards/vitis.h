/* The configurations of v++ for a board: a board file and the table of kernels, and nothing else, make them. */
#ifndef FA_BOARDS_VITIS_H
#define FA_BOARDS_VITIS_H

#include <stdio.h>

#include "boards/board.h"

/* Creates the folder `dir` and writes into it, each file whole or not at all:
 *   compile.cfg  platform, clock, the constants of the build as macros
 *   link.cfg     nk, sp, slr: how many of each kernel, which bank each of its ports reads, where it is placed
 *   board.mk     what the Makefile needs to run v++: platform, kernels, whether a packaging step follows
 * attention: "mla" or "gqa", the one that the image holds, as a model has one of them (else FA_EINVAL).
 * FA_EUNSUPPORTED when XRT does not drive the board, with what does; FA_ELIMIT when its build does not fit; FA_EIO. */
fa_status fa_vitis_write(const fa_board *b, const char *attention, const char *dir, fa_error *e);

/* The text of link.cfg. */
void fa_vitis_link(const fa_board *b, const char *attention, FILE *to);

#endif
