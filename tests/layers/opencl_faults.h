/* What the layer that makes OpenCL calls fail (opencl_faults.c) and its test have in common. */
#ifndef FA_TESTS_LAYERS_OPENCL_FAULTS_H
#define FA_TESTS_LAYERS_OPENCL_FAULTS_H

#include <stdbool.h>

/* "CALL:NUMBER:CODE": the NUMBER-th CALL (clFinish, ...) fails with CODE; with ":lost" behind it all calls after it fail too. Read,
 * and counting begins again, whenever the program asks for platforms. */
#define FAULTS_VARIABLE "FATHOM_OPENCL_FAULT"

#define FAULTS_CALLS(X)          \
    X(clGetPlatformIDs)          \
    X(clCreateContext)           \
    X(clCreateCommandQueue)      \
    X(clCreateProgramWithSource) \
    X(clCreateProgramWithBinary) \
    X(clBuildProgram)            \
    X(clCreateKernel)            \
    X(clCreateBuffer)            \
    X(clSetKernelArg)            \
    X(clEnqueueNDRangeKernel)    \
    X(clEnqueueReadBuffer)       \
    X(clEnqueueWriteBuffer)      \
    X(clEnqueueMapBuffer)        \
    X(clEnqueueUnmapMemObject)   \
    X(clFlush)                   \
    X(clFinish)                  \
    X(clWaitForEvents)

#define FAULTS_NUMBER(name) FAULT_##name,
typedef enum faults_call { FAULTS_CALLS(FAULTS_NUMBER) FAULTS_KINDS } faults_call;
#undef FAULTS_NUMBER

typedef struct faults_seen {
    long count[FAULTS_KINDS]; /* calls of each kind */
    bool happened;
} faults_seen;

/* What came through since platforms were asked for; the layer's one symbol of its own. */
const faults_seen *faults_get(void);

#endif
