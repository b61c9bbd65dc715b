/* What an image of a board holds, worked out of its file and the table of kernels: which kernels, which registers, which banks. The
 * configurations of v++ (boards/vitis.c) and our own xclbin files (boards/xclbin.h) both come from here. */
#ifndef FA_BOARDS_IMAGE_H
#define FA_BOARDS_IMAGE_H

#include "boards/board.h"
#include "boards/device.h"
#include "hls/kernels.h"

enum { FA_IMAGE_KERNELS = 8 };

/* The kernels of an image: those that every model needs and one attention, "mla" or "gqa"; NULL: both, which no fabric has room
 * for but emulation has. Returns how many. */
int fa_image_kernels(const fa_board *b, const char *attention, hls_kernel image[FA_IMAGE_KERNELS]);

/* FA_EINVAL unless `attention` is "mla" or "gqa". */
fa_status fa_image_attention(const char *attention, fa_error *e);

/* The banks that a bundle of `unit` reaches. Bundles "w0" .. are weight ports; every other one reaches all memory of the io kind,
 * where v++ can name it as a range (a tag with a number in brackets), else the one bank of the unit. */
fa_bank_range fa_image_banks(const fa_board *b, int32_t unit, const char *bundle);

/* Whether argument `i` is the first of its bundle: arguments of one bundle share a port. */
bool fa_image_begins_port(const hls_kernel *k, int i);

/* Data width in bits of the port of a bundle. */
int32_t fa_image_port_bits(const fa_board *b, const char *bundle);

/* The compute unit's name as `nk=` makes it, "fathom_mla_1" for unit 0; returns `text`. */
const char *fa_image_unit_name(const hls_kernel *k, int32_t unit, char text[64]);

/* Byte offset of an argument's register in s_axilite as Vitis HLS lays them out (UG1399, S_AXILITE Control Register Map): from 0x10
 * on, each argument rounded up to 32-bit words and followed by a reserved word. `arg` = n_args: where the registers end. */
uint32_t fa_image_register(const hls_kernel *k, int arg);

#endif
