// The sum of LANES (a power of two) pairs value + carry as one such pair: each adder takes one carry in and hands one on. One
// cycle a level.
module fp8_sum #(
    parameter LANES = 64,
    parameter BITS = 22,  // of a value, signed
    parameter LEVELS = $clog2(LANES)
) (
    input wire clk,
    input wire [LANES*BITS-1:0] values,
    input wire [LANES-1:0] carries,
    output wire signed [BITS+LEVELS-1:0] value,
    output wire carry
);
    generate
        if (LANES == 1) begin : leaf
            assign value = values;
            assign carry = carries;
        end else begin : node
            localparam TOP = BITS + LEVELS - 2;  // the sign bit of each half
            wire signed [TOP:0] a, b;
            wire carry_a, carry_b;
            fp8_sum #(.LANES(LANES / 2), .BITS(BITS)) low (
                .clk(clk),
                .values(values[LANES*BITS/2-1:0]),
                .carries(carries[LANES/2-1:0]),
                .value(a),
                .carry(carry_a)
            );
            fp8_sum #(.LANES(LANES / 2), .BITS(BITS)) high (
                .clk(clk),
                .values(values[LANES*BITS-1:LANES*BITS/2]),
                .carries(carries[LANES-1:LANES/2]),
                .value(b),
                .carry(carry_b)
            );
            // twice the same bit below the last one is a carry into it, and no LUT
            wire [TOP+2:0] sum = {a[TOP], a, carry_a} + {b[TOP], b, carry_a};
            reg [TOP+2:0] held;  // the sum, and carry_b
            always @(posedge clk) held <= {sum[TOP+2:1], carry_b};
            assign value = held[TOP+2:1];
            assign carry = held[0];
        end
    endgenerate
endmodule
