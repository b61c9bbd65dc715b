/* The library through which XRT reaches its emulation, as a copy of our own: $XILINX_XRT/lib is where XRT looks for it.
 *
 * Debian's XRT 2.13 (202210.2.13.466+dfsg-8) drops what realloc returns in alloc_void of both shims (upstream assigns it to `buf`), so
 * the first message that is longer than those before it is written over the heap. The compiled function ends in
 *     call realloc; test rax, rax; jne DONE; mov buf, rdi; ...      and, earlier,      mov rax, buf; DONE: mov rbp, rax
 * and one byte makes the jump go to the store in front of DONE. */
#ifndef FA_BACKEND_XRT_SHIM_H
#define FA_BACKEND_XRT_SHIM_H

#include <stddef.h>
#include <stdint.h>

#include "host/base/status.h"

/* Repairs a library's bytes; returns in how many places the fault was: none is sound, 1 is repaired, and more are left as they
 * were, as then what was found cannot be what is meant. */
int fa_xrt_shim_repair(uint8_t *library, size_t bytes);

/* Copies `from`/`name` (or from/../lib, where XRT's own packages have it) to `folder`/xrt/lib, repaired if need be. FA_EUNSUPPORTED
 * when there is none or it has more than one such place, FA_EIO. */
fa_status fa_xrt_shim_install(const char *from, const char *folder, const char *name, fa_error *e);

#endif
