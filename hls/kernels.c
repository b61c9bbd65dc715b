#include "hls/kernels.h"

#include <string.h>

extern const hls_kernel hls_kernels_p1[], hls_kernels_p2[], hls_kernels_p4[], hls_kernels_p8[], hls_kernels_p16[];

const hls_kernel *hls_kernels(int ports) {
    switch (ports) {
    case 1: return hls_kernels_p1;
    case 2: return hls_kernels_p2;
    case 4: return hls_kernels_p4;
    case 8: return hls_kernels_p8;
    case 16: return hls_kernels_p16;
    default: return 0;
    }
}

const hls_kernel *hls_kernel_find(int ports, const char *name) {
    const hls_kernel *k = hls_kernels(ports);
    while (k && k->name && strcmp(k->name, name) != 0) k++;
    return k && k->name ? k : 0;
}
