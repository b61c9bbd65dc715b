/* limits [THREADS]: the two rates in bytes/s that no decoding can exceed on this machine, as one JSON line: reading memory, and
 * the FP8 kernel on a block that stays in L2. */
#include <stdio.h>
#include <stdlib.h>

#include "tests/lib/measure.h"

int main(int argc, char **argv) {
    int threads = argc > 1 ? atoi(argv[1]) : 2;
    fa_error e = {0};
    double read = measure_read_rate(threads), kernel = measure_kernel_rate("cpu", FA_W8A8, threads, &e);
    if (kernel == 0) {
        fprintf(stderr, "limits: %s\n", e.text);
        return 1;
    }
    printf("{\"threads\":%d,\"read_rate\":%.5g,\"kernel_rate\":%.5g}\n", threads, read, kernel);
    return 0;
}
