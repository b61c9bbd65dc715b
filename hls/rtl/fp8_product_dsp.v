// The product of two operands rounded to 1/8 in one DSP48E2 and a few LUTs; value, carry, `given` and `odd` as in fp8_product, the
// last two in the third of three cycles.
//
// Magnitudes have 18 bits and the multiplier's signed port b has 17 and a sign, so it gets x - 2^17, and the adder gives back
// w * 2^17.
module fp8_product_dsp (
    input wire clk,
    input wire [18:0] w,
    input wire [18:0] x,
    input wire given,
    output wire odd,
    output reg signed [21:0] value,
    output reg carry
);
    wire [47:0] p;  // |w * x| in units of 2^-18
    dsp48e2 multiplier (
        .clk(clk),
        .a({9'd0, w[17:0]}),
        .b({~x[17], x[16:0]}),
        .c({13'd0, w[17:0], 17'd0}),
        .p(p)
    );
    reg [1:0] sign;
    wire up = p[14] & ((p[15] ^ given) | (|p[13:0]));
    assign odd = p[15] ^ up;
    always @(posedge clk) begin
        sign <= {sign[0], w[18] ^ x[18]};
        value <= {1'b0, p[35:15]} ^ {22{sign[1]}};
        carry <= sign[1] ^ up;
    end
endmodule
