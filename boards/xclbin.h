/* xclbin files: what XRT loads. v++ makes those of real boards; fathom makes the ones for emulation itself, from a board file and the
 * table of kernels (boards/image.h), and looks into any. */
#ifndef FA_BOARDS_XCLBIN_H
#define FA_BOARDS_XCLBIN_H

#include <stdint.h>

#include "boards/board.h"
#include "boards/image.h"
#include "boards/xclbin_layout.h"

/* Compute unit `unit` of kernel k (counted as fa_image_kernels does) is the IP of index k * build.units + unit. */
enum {
    FA_XCLBIN_FIRST_UNIT = 0x800000, /* address of its registers for index 0 */
    FA_XCLBIN_UNIT_BYTES = 0x10000,  /* from one to the next */
    FA_XCLBIN_UNIT_RANGE = 0x1000,   /* that it decodes */
    FA_XCLBIN_MEMORIES = 64,         /* that XRT 2.13 can tell apart: banks and groups in use */
};

typedef enum fa_xclbin_mode { FA_XCLBIN_SW_EMU, FA_XCLBIN_HW_EMU, FA_XCLBIN_HW } fa_xclbin_mode;

typedef struct fa_xclbin_options {
    fa_xclbin_mode mode;   /* SW_EMU or HW_EMU */
    const char *attention; /* "mla", "gqa"; NULL: both */
    fa_ip_control control; /* how the units are started: what the device model speaks */
    const void
        *bitstream; /* sw_emu: any bytes, at least one; hw_emu: a zip with behav_waveform/xsim/simulate.sh in it */
    size_t bitstream_bytes;
} fa_xclbin_options;

/* One memory as XRT numbers it (xrt::kernel::group_id): the banks of the board in order, then a group for every range of several
 * banks that some port reaches, as xclbinutil adds them. A buffer in a group may be longer than a bank. */
typedef struct fa_xclbin_memory {
    fa_bank_range banks;
    uint64_t base, bytes; /* on the device: banks lie one after the other, each rounded up to a power of two */
    bool used;            /* some port reaches it */
} fa_xclbin_memory;

/* Lists the memories; *n of them into `m` [max]. FA_ELIMIT when there are more than `max`, or more in use than FA_XCLBIN_MEMORIES. */
fa_status fa_xclbin_memories(const fa_board *b, fa_xclbin_memory *m, int max, int *n, fa_error *e);

/* An xclbin in memory that the caller frees. The same arguments give the same bytes: its UUID is a hash of them. FA_EINVAL for what the
 * options may not be, FA_ELIMIT for more units or memories than the format or XRT take, FA_ENOMEM. */
fa_status fa_xclbin_make(const fa_board *b, const fa_xclbin_options *o, void **bytes, size_t *n, fa_error *e);

/* The same into a file, whole or not at all. FA_EIO besides. */
fa_status fa_xclbin_write(const fa_board *b, const fa_xclbin_options *o, const char *path, fa_error *e);

/* Writes emconfig.json, from which XRT's emulation learns that there are `boards` of this kind. sw_emu takes memories from it: the
 * list is that of fa_xclbin_memories, but each behind the one before, groups too. */
fa_status fa_emconfig_write(const fa_board *b, int32_t boards, const char *path, fa_error *e);

/* Where sw_emu puts memory `index` of `m` [n] on the device: the sum of the sizes before it, in emconfig.json's units. */
uint64_t fa_emconfig_base(const fa_xclbin_memory *m, int index);

/* ---- reading ---- */

typedef struct fa_xclbin_arg {
    char name[64], port[64], type[32];
    bool pointer;
    int32_t id; /* its place in a call */
    uint64_t offset, bytes;
} fa_xclbin_arg;

typedef struct fa_xclbin_kernel {
    char name[64];
    int first_arg, n_args; /* in fa_xclbin.arg */
} fa_xclbin_kernel;

/* What any xclbin says of itself: v++'s and ours. Names are cut to what a field holds, and printable ASCII. */
typedef struct fa_xclbin {
    fa_xclbin_mode mode;
    char platform[64], uuid[37];
    uint64_t file_bytes;
    fa_axlf_section *section;
    fa_axlf_mem *mem; /* GROUP_TOPOLOGY, or MEM_TOPOLOGY where there is none; connections count in it */
    fa_axlf_ip *ip;
    fa_axlf_connection *connection;
    fa_axlf_clock *clock;
    fa_xclbin_kernel *kernel; /* of EMBEDDED_METADATA */
    fa_xclbin_arg *arg;
    int n_sections, n_mems, n_ips, n_connections, n_clocks, n_kernels, n_args;
} fa_xclbin;

/* Reads and checks a file: every size, count and index. A section that a file may lack leaves its table empty. FA_EIO; FA_EFORMAT with
 * the file, the section and what is wrong with it (of EMBEDDED_METADATA the line); FA_ENOMEM. Free with fa_xclbin_free, also after an
 * error. */
fa_status fa_xclbin_read(fa_xclbin *x, const char *path, fa_error *e);
void fa_xclbin_free(fa_xclbin *x);

/* Whether the file begins as an xclbin does. */
bool fa_xclbin_is(const char *path);

/* "IP_LAYOUT" and the like; "section 77" in `text` for one without a name here. */
const char *fa_xclbin_section_name(uint32_t kind, char text[24]);

#endif
