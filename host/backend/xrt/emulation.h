/* What XRT's emulation needs around it: a private folder with the platform's description, an image, the device model under the path
 * of the Xilinx one; and the environment that leads XRT to them. Opens no XRT. */
#ifndef FA_BACKEND_XRT_EMULATION_H
#define FA_BACKEND_XRT_EMULATION_H

#include "boards/xclbin.h"
#include "host/backend/xrt/folder.h"

enum { FA_XRT_VARIABLES = 24 };

typedef struct fa_xrt_emulation {
    fa_xrt_folder folder;
    char image[64]; /* the xclbin */
    const char
        *shim; /* file name of the library that XRT takes for this mode; to be installed with fa_xrt_shim_install */
    char *variable[FA_XRT_VARIABLES]; /* "NAME=value", or "NAME" for one that must not be there; NULL after the last */
} fa_xrt_emulation;

/* mode: FA_XCLBIN_SW_EMU or FA_XCLBIN_HW_EMU. control: of the compute units. model: absolute path of fathom-xrt-device. board_name: as for fa_board_find. cards: how
 * many there are. FA_EIO, FA_ELIMIT, FA_ENOMEM. */
fa_status fa_xrt_emulation_open(fa_xrt_emulation *m, const fa_board *board, const char *board_name, fa_xclbin_mode mode,
                                fa_ip_control control, int cards, const char *model, fa_error *e);
void fa_xrt_emulation_close(fa_xrt_emulation *m);

/* `environ` with the variables of `m`, for execve; one allocation that the caller frees. NULL: memory ran out. */
char **fa_xrt_environment(const fa_xrt_emulation *m, char **environment);

#endif
