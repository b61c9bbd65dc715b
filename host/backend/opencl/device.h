/* Private to the OpenCL backend: choosing a device, and what OpenCL's codes mean. */
#ifndef FA_BACKEND_OPENCL_DEVICE_H
#define FA_BACKEND_OPENCL_DEVICE_H

#define CL_TARGET_OPENCL_VERSION 120
#include <CL/cl.h>

#include "host/backend/opencl/opencl.h"

/* The device that "opencl" or "opencl:PLATFORM.DEVICE" means. */
fa_status ocl_choose(fa_opencl_device *chosen, const char *name, fa_error *e);

/* "CL_OUT_OF_RESOURCES", ...; never NULL. */
const char *ocl_code_name(cl_int code);

/* FA_ENOMEM where memory ran out, else FA_EDEVICE; the text names device, call and code. */
fa_status ocl_fail(const fa_opencl_device *d, const char *call, cl_int code, fa_error *e);

#endif
