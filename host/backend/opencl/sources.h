/* The kernels of opencl/, as they are in the program. */
#ifndef FA_BACKEND_OPENCL_SOURCES_H
#define FA_BACKEND_OPENCL_SOURCES_H

#include <stdbool.h>

enum { OCL_SOURCES = 10 };

typedef struct ocl_source {
    const char *text;
    bool floats_only; /* not part of the program that multiplies codes */
} ocl_source;

/* In the order they are compiled in. */
extern const ocl_source ocl_sources[OCL_SOURCES];

#endif
