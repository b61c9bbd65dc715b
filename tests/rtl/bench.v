// What tests/rtl/model.cpp drives: the unit of hls/rtl with its products in LUTs, in DSPs, and the conversion alone.
module bench (
    input wire clk,
    input wire lut_last,
    input wire [8*16*2-1:0] lut_w,
    input wire [8*16*2-1:0] lut_x,
    output wire lut_valid,
    output wire [32*4-1:0] lut_out,
    input wire dsp_last,
    input wire [8*32-1:0] dsp_w,
    input wire [8*32*2-1:0] dsp_x,
    output wire dsp_valid,
    output wire [32*2-1:0] dsp_out,
    input wire signed [28:0] sum,
    output wire [31:0] fp32
);
    fp8_unit #(.PORTS(2), .ROWS(2), .LANES(16)) lut (
        .clk(clk),
        .last(lut_last),
        .w(lut_w),
        .x(lut_x),
        .out_valid(lut_valid),
        .out(lut_out)
    );
    fp8_unit #(.PORTS(1), .ROWS(2), .LANES(32), .DSP(1'b1)) dsp (
        .clk(clk),
        .last(dsp_last),
        .w(dsp_w),
        .x(dsp_x),
        .out_valid(dsp_valid),
        .out(dsp_out)
    );
    fp8_to_fp32 convert (.clk(clk), .sum(sum), .fp32(fp32));
endmodule
