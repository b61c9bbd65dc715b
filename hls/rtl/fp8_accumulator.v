// Adds value + carry to the sum of a block, in 8ths; after the cycle of `last` the next block begins at 0. One cycle.
module fp8_accumulator #(
    parameter BITS = 28
) (
    input wire clk,
    input wire last,
    input wire signed [BITS-1:0] value,
    input wire carry,
    output reg signed [28:0] sum
);
    // apart from `sum`, so that clearing it is the register's own reset and no LUT
    reg signed [28:0] held;
    initial held = 0;
    wire signed [28:0] wide = {{29 - BITS{value[BITS-1]}}, value};
    wire [29:0] next = {held, carry} + {wide, carry};
    always @(posedge clk) begin
        sum <= next[29:1];
        held <= last ? 29'd0 : next[29:1];
    end
endmodule
