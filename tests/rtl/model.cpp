// C functions around the class that Verilator makes of bench.v.
#include "bench.h"

#include <cstring>

#include "tests/rtl/model.h"

struct rtl_model : bench {};

static void clock(rtl_model *m) {
    m->clk = 1;
    m->eval();
    m->clk = 0;
    m->eval();
}

rtl_model *rtl_open(void) {
    rtl_model *m = new rtl_model();
    m->eval(); // sees clk = 0, so that the first clock has an edge
    return m;
}

void rtl_close(rtl_model *m) {
    m->final();
    delete m;
}

bool rtl_unit_clock(rtl_model *m, rtl_unit unit, const uint8_t *w, const uint8_t *x, bool last, uint32_t *out) {
    if (unit == RTL_LUT) {
        std::memcpy(&m->lut_w, w, sizeof m->lut_w);
        std::memcpy(&m->lut_x, x, sizeof m->lut_x);
        m->lut_last = last;
    } else {
        std::memcpy(&m->dsp_w, w, sizeof m->dsp_w);
        std::memcpy(&m->dsp_x, x, sizeof m->dsp_x);
        m->dsp_last = last;
    }
    clock(m);
    if (unit == RTL_LUT)
        std::memcpy(out, &m->lut_out, sizeof m->lut_out);
    else
        std::memcpy(out, &m->dsp_out, sizeof m->dsp_out);
    return unit == RTL_LUT ? m->lut_valid : m->dsp_valid;
}

uint32_t rtl_convert(rtl_model *m, int32_t sum) {
    m->sum = static_cast<uint32_t>(sum) & 0x1FFFFFFFu;
    for (int i = 0; i < 3; i++) clock(m);
    return m->fp32;
}
