// One E4M3 code as an operand of fp8_product_dsp: sign, and magnitude as an integer in units of 2^-9. One cycle.
module fp8_decode_dsp (
    input wire clk,
    input wire [7:0] code,
    output reg [18:0] operand
);
    wire normal = |code[6:3];
    wire [3:0] shift = normal ? code[6:3] - 4'd1 : 4'd0;
    always @(posedge clk) operand <= {code[7], {14'd0, normal, code[2:0]} << shift};
endmodule
