/* Xilinx's OpenCL behind the functions of XRT's C API that this process calls. */
#ifndef FA_XRT_OPENCL_H
#define FA_XRT_OPENCL_H

#include "host/xrt/library.h"

#define XRT_OPENCL_LIBRARY "libxilinxopencl.so.2"

/* Puts them in the place of XRT's. The library is found when a card is opened, which fails with ENODEV where there is none. */
void xrt_opencl_take(xrt_library *x);

#endif
