/* The program is linked so that its sleep and usleep are found before the C library's, also by the shims. */
#include "host/xrt/sleep.h"

#include <time.h>
#include <unistd.h>

static bool shorten; /* set before XRT is loaded */
enum { SHORT_NS = 2000000 };

void xrt_sleep_shorten(bool yes) {
    shorten = yes;
}

static void rest(time_t s, long ns) {
    struct timespec t = {s, ns};
    if (shorten && (s || ns > SHORT_NS)) t = (struct timespec){0, SHORT_NS};
    nanosleep(&t, NULL);
}

__attribute__((visibility("default"))) unsigned sleep(unsigned seconds) {
    rest((time_t)seconds, 0);
    return 0;
}

__attribute__((visibility("default"))) int usleep(useconds_t us) {
    rest((time_t)(us / 1000000), (long)(us % 1000000) * 1000);
    return 0;
}
