/* hw_emu sleeps: ten seconds while a simulator would start, as long when it closes. Our device model answers at once, so in this
 * process, while XRT emulates, these sleeps are short. */
#ifndef FA_XRT_SLEEP_H
#define FA_XRT_SLEEP_H

#include <stdbool.h>

void xrt_sleep_shorten(bool yes);

#endif
