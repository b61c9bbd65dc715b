// One dot unit: rule 1 of docs/numerics.md for a weight row and an activation row, LANES pairs of operands a cycle. fp8_unit says
// when results leave.
module fp8_dot #(
    parameter LANES = 64,  // even
    parameter DSP = 0,
    parameter OPERAND = DSP ? 19 : 10  // bits
) (
    input wire clk,
    input wire [OPERAND*LANES-1:0] w,
    input wire [OPERAND*LANES-1:0] x,
    input wire last,  // when the tree's sum of the block's last operands is there
    output wire [31:0] fp32
);
    wire [22*LANES-1:0] values;
    wire [LANES-1:0] carries, odd;
    genvar i;
    generate
        for (i = 0; i < LANES; i = i + 1) begin : lane
            wire given = i % 2 == 1 ? 1'b0 : odd[i|1];
            if (DSP) begin : dsp
                fp8_product_dsp product (
                    .clk(clk),
                    .w(w[OPERAND*i+:OPERAND]),
                    .x(x[OPERAND*i+:OPERAND]),
                    .given(given),
                    .odd(odd[i]),
                    .value(values[22*i+:22]),
                    .carry(carries[i])
                );
            end else begin : lut
                fp8_product product (
                    .clk(clk),
                    .w(w[OPERAND*i+:OPERAND]),
                    .x(x[OPERAND*i+:OPERAND]),
                    .given(given),
                    .odd(odd[i]),
                    .value(values[22*i+:22]),
                    .carry(carries[i])
                );
            end
        end
    endgenerate

    localparam BITS = 22 + $clog2(LANES);
    wire signed [BITS-1:0] value;
    wire carry;
    wire signed [28:0] sum;
    fp8_sum #(.LANES(LANES)) tree (.clk(clk), .values(values), .carries(carries), .value(value), .carry(carry));
    fp8_accumulator #(.BITS(BITS)) block (.clk(clk), .last(last), .value(value), .carry(carry), .sum(sum));
    fp8_to_fp32 convert (.clk(clk), .sum(sum), .fp32(fp32));
endmodule
