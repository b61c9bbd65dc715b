// The FP8 part of a compute unit: PORTS weight rows times ROWS activation rows, LANES E4M3 codes of each a cycle. Decoders are
// shared: a weight's by all activation rows, an activation's by all weight rows.
//
// Codes come in every cycle, zeros in w where there is nothing to add. `last` marks the cycle that ends a block, which has at most
// 128 codes of a row. The sums of the block (rule 1 of docs/numerics.md), of 32 bits at 32 * (ROWS * port + row), leave as FP32
// with `out_valid`, 5 + PRODUCT + log2(LANES) cycles after the last codes came in. Blocks need no gap between them.
module fp8_unit #(
    parameter PORTS = 1,
    parameter ROWS = 1,
    parameter LANES = 64,  // a power of two, 2 to 128
    parameter [0:0] DSP = 0,  // products in LUTs (0) or in DSP48E2 (1)
    parameter PRODUCT = DSP ? 3 : 2
) (
    input wire clk,
    input wire last,
    input wire [8*LANES*PORTS-1:0] w,
    input wire [8*LANES*ROWS-1:0] x,
    output wire out_valid,
    output wire [32*PORTS*ROWS-1:0] out
);
    localparam OPERAND = DSP ? 19 : 10;
    localparam AHEAD = 1 + PRODUCT + $clog2(LANES);  // decoder, product, tree: then the accumulator
    localparam AFTER = 4;                            // accumulator and conversion

    wire [OPERAND*LANES*PORTS-1:0] w_operands;
    wire [OPERAND*LANES*ROWS-1:0] x_operands;
    reg [AHEAD+AFTER-1:0] last_held;
    initial last_held = 0;
    always @(posedge clk) last_held <= {last_held[AHEAD+AFTER-2:0], last};
    assign out_valid = last_held[AHEAD+AFTER-1];

    genvar i, p, r;
    generate
        for (i = 0; i < LANES * PORTS; i = i + 1) begin : decode_w
            if (DSP) begin : dsp
                fp8_decode_dsp d (.clk(clk), .code(w[8*i+:8]), .operand(w_operands[OPERAND*i+:OPERAND]));
            end else begin : lut
                fp8_decode #(.BIAS(-6'sd9), .ZERO(-6'sd16)) d (.clk(clk), .code(w[8*i+:8]), .operand(w_operands[OPERAND*i+:OPERAND]));
            end
        end
        for (i = 0; i < LANES * ROWS; i = i + 1) begin : decode_x
            if (DSP) begin : dsp
                fp8_decode_dsp d (.clk(clk), .code(x[8*i+:8]), .operand(x_operands[OPERAND*i+:OPERAND]));
            end else begin : lut
                fp8_decode #(.BIAS(6'sd0), .ZERO(-6'sd8)) d (.clk(clk), .code(x[8*i+:8]), .operand(x_operands[OPERAND*i+:OPERAND]));
            end
        end
        for (p = 0; p < PORTS; p = p + 1) begin : port
            for (r = 0; r < ROWS; r = r + 1) begin : row
                fp8_dot #(.LANES(LANES), .DSP(DSP)) dot (
                    .clk(clk),
                    .w(w_operands[OPERAND*LANES*p+:OPERAND*LANES]),
                    .x(x_operands[OPERAND*LANES*r+:OPERAND*LANES]),
                    .last(last_held[AHEAD-1]),
                    .fp32(out[32*(ROWS*p+r)+:32])
                );
            end
        end
    endgenerate
endmodule
