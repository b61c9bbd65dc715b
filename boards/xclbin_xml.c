/* The section EMBEDDED_METADATA: kernels, their arguments and registers, their units, as XML. XRT's readers of it are
 * core/common/xclbin_parser.cpp and, for OpenCL, xocl/xclbin. */
#include "boards/xclbin_parts.h"

#include <ctype.h>
#include <string.h>

/* `text` as the value of an attribute. */
static void put_text(const char *text, FILE *to) {
    for (; *text; text++) switch (*text) {
        case '&': fputs("&amp;", to); break;
        case '<': fputs("&lt;", to); break;
        case '>': fputs("&gt;", to); break;
        case '"': fputs("&quot;", to); break;
        default: fputc(*text, to);
        }
}

/* "M_AXI_W0": what v++ makes of the bundle "w0". */
static const char *port_name(const char *bundle, char text[32]) {
    int n = snprintf(text, 32, "M_AXI_%s", bundle);
    for (int i = 0; i < n && i < 31; i++) text[i] = (char)toupper((unsigned char)text[i]);
    return text;
}

static void put_ports(const xclbin_plan *p, const hls_kernel *k, FILE *to) {
    char name[32];
    for (int i = 0; i < k->n_args; i++)
        if (fa_image_begins_port(k, i))
            fprintf(to,
                    "          <port name=\"%s\" mode=\"master\" range=\"0xFFFFFFFFFFFFFFFF\" dataWidth=\"%d\" "
                    "portType=\"addressable\" base=\"0x0\"/>\n",
                    port_name(k->args[i].bundle, name), fa_image_port_bits(p->board, k->args[i].bundle));
    fprintf(to,
            "          <port name=\"S_AXI_CONTROL\" mode=\"slave\" range=\"0x%X\" dataWidth=\"32\" "
            "portType=\"addressable\" base=\"0x0\"/>\n",
            FA_XCLBIN_UNIT_RANGE);
}

static void put_args(const hls_kernel *k, FILE *to) {
    char name[32];
    for (int i = 0; i < k->n_args; i++) {
        const hls_arg *a = &k->args[i];
        bool pointer = a->kind != HLS_ARG_SCALAR;
        const char *type = pointer ? "void*" : a->bytes == 8 ? "ulong" : "uint";
        fprintf(to,
                "          <arg name=\"%s\" addressQualifier=\"%d\" id=\"%d\" port=\"%s\" size=\"0x%X\" "
                "offset=\"0x%X\" hostOffset=\"0x0\" hostSize=\"0x%X\" type=\"%s\"/>\n",
                a->name, pointer, i, pointer ? port_name(a->bundle, name) : "S_AXI_CONTROL", a->bytes,
                fa_image_register(k, i), a->bytes, type);
    }
}

static void put_units(const xclbin_plan *p, int kernel, FILE *to) {
    char name[64];
    for (int32_t u = 0; u < p->board->build.units; u++)
        fprintf(to,
                "          <instance name=\"%s\">\n"
                "            <addrRemap base=\"0x%X\" range=\"0x%X\" port=\"S_AXI_CONTROL\"/>\n"
                "          </instance>\n",
                fa_image_unit_name(&p->kernels[kernel], u, name), xclbin_unit_base(p, kernel, u), FA_XCLBIN_UNIT_BYTES);
}

static void put_kernel(const xclbin_plan *p, int kernel, FILE *to) {
    const hls_kernel *k = &p->kernels[kernel];
    fprintf(to,
            "        <kernel name=\"%s\" language=\"c\" vlnv=\"xilinx.com:hls:%s:1.0\" attributes=\"\" "
            "preferredWorkGroupSizeMultiple=\"0\" workGroupSize=\"1\" interrupt=\"true\" hwControlProtocol=\"%s\">\n",
            k->name, k->name, p->options->control == FA_AP_CTRL_CHAIN ? "ap_ctrl_chain" : "ap_ctrl_hs");
    put_ports(p, k, to);
    put_args(k, to);
    fprintf(to, "          <compileWorkGroupSize x=\"1\" y=\"1\" z=\"1\"/>\n"
                "          <maxWorkGroupSize x=\"1\" y=\"1\" z=\"1\"/>\n");
    put_units(p, kernel, to);
    fprintf(to, "        </kernel>\n");
}

void xclbin_put_xml(const xclbin_plan *p, FILE *to) {
    const fa_board *b = p->board;
    const char *target = p->options->mode == FA_XCLBIN_SW_EMU ? "sw_emu" : "hw_emu";
    double mhz = b->build.clock_hz * 1e-6;
    fprintf(to, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
                "<project name=\"fathom\">\n"
                "  <platform vendor=\"fathom\" boardid=\"");
    put_text(b->name, to);
    fprintf(to, "\" name=\"");
    put_text(p->platform, to);
    fprintf(to, "\" featureRomTime=\"0\">\n"
                "    <version major=\"1\" minor=\"0\"/>\n"
                "    <device name=\"fpga0\" fpgaDevice=\"");
    put_text(b->part, to);
    fprintf(to,
            "\" addrWidth=\"0\">\n"
            "      <core name=\"OCL_REGION_0\" target=\"%s\" type=\"clc_region\" clockFreq=\"%.0fMHz\" "
            "numComputeUnits=\"%d\">\n"
            "        <kernelClocks>\n"
            "          <clock port=\"KERNEL_CLK\" frequency=\"%.0fMHz\"/>\n"
            "          <clock port=\"DATA_CLK\" frequency=\"%.0fMHz\"/>\n"
            "        </kernelClocks>\n",
            target, mhz, p->n_kernels * b->build.units, mhz, mhz);
    for (int k = 0; k < p->n_kernels; k++) put_kernel(p, k, to);
    fprintf(to, "      </core>\n    </device>\n  </platform>\n</project>\n");
}
