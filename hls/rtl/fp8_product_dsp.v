// The product of two operands rounded to 1/16, ties to even, in one DSP48E2 and a few LUTs; value + carry as in fp8_product.
// Three cycles.
//
// Magnitudes have 18 bits and the multiplier's signed port b has 17 and a sign, so it gets x - 2^17, and the adder gives back
// w * 2^17; the adder's other input bits hold the half that rounds. A tie shows as zeros below the point: then the result is even.
module fp8_product_dsp (
    input wire clk,
    input wire [18:0] w,
    input wire [18:0] x,
    output reg signed [22:0] value,
    output reg carry
);
    wire [47:0] p;  // |w * x| in units of 2^-18, plus 1/32
    dsp48e2 multiplier (
        .clk(clk),
        .a({9'd0, w[17:0]}),
        .b({~x[17], x[16:0]}),
        .c({13'd0, w[17:0], 17'h02000}),
        .p(p)
    );
    reg [1:0] sign;
    wire tie = p[13:0] == 0;
    always @(posedge clk) begin
        sign <= {sign[0], w[18] ^ x[18]};
        value <= {1'b0, p[35:15], p[14] & ~tie} ^ {23{sign[1]}};
        carry <= sign[1];
    end
endmodule
