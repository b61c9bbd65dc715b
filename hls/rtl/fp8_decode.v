// One E4M3 code as an operand of fp8_product: sign, exponent, and fraction with the leading one implied. Subnormal codes are
// normalised, so that the product of two significands depends on six bits alone. One decoder serves every lane that reads the
// operand. One cycle.
//
//   value = (8 + fraction) * 2^(exponent - BIAS - 10), or 0 when the exponent is ZERO
//
// BIAS and ZERO of the two operands make the sum of their exponents the shift that fp8_product needs. The codes of NaN count as
// 480; the host lets none pass.
module fp8_decode #(
    parameter signed [5:0] BIAS = 6'sd0,
    parameter signed [5:0] ZERO = -6'sd8
) (
    input wire clk,
    input wire [7:0] code,
    output reg [9:0] operand  // sign, exponent (6 bits, signed), fraction
);
    wire [2:0] m = code[2:0];
    reg signed [5:0] exponent;
    reg [2:0] fraction;
    always @* begin
        exponent = $signed({2'b00, code[6:3]}) + BIAS;
        fraction = m;
        if (code[6:3] == 0) begin
            exponent = m[2] ? BIAS : m[1] ? BIAS - 6'sd1 : m[0] ? BIAS - 6'sd2 : ZERO;
            fraction = m[2] ? {m[1:0], 1'b0} : m[1] ? {m[0], 2'b00} : 3'b000;
        end
    end
    always @(posedge clk) operand <= {code[7], exponent, fraction};
endmodule
