/* The files of opencl/, put into the program by the assembler, each with a NUL behind it. */
#include "host/backend/opencl/sources.h"

#define EMBED(name, file)                  \
    extern const char ocl_text_##name[];   \
    __asm__(".pushsection .rodata\n"       \
            ".hidden ocl_text_" #name "\n" \
            ".global ocl_text_" #name "\n" \
            "ocl_text_" #name ":\n"        \
            ".incbin \"" file "\"\n"       \
            ".byte 0\n"                    \
            ".popsection\n")

EMBED(params, "opencl/params.h");
EMBED(numerics, "opencl/numerics.clh");
EMBED(fp8, "opencl/fp8.clh");
EMBED(products, "opencl/products.clh");
EMBED(matmul, "opencl/matmul.cl");
EMBED(experts, "opencl/experts.cl");
EMBED(groups, "opencl/groups.cl");
EMBED(probe, "opencl/probe.cl");
EMBED(rowwise, "opencl/rowwise.cl");
EMBED(attention, "opencl/attention.cl");

const ocl_source ocl_sources[OCL_SOURCES] = {
    {ocl_text_params, false}, {ocl_text_numerics, false}, {ocl_text_fp8, false},    {ocl_text_products, false},
    {ocl_text_matmul, false}, {ocl_text_experts, false},  {ocl_text_groups, false}, {ocl_text_probe, false},
    {ocl_text_rowwise, true}, {ocl_text_attention, true},
};
