// Adds value + carry to the sum of a block, in 16ths; after the cycle of `last` the next block begins at 0. One cycle.
module fp8_accumulator #(
    parameter BITS = 29
) (
    input wire clk,
    input wire last,
    input wire signed [BITS-1:0] value,
    input wire carry,
    output reg signed [29:0] sum
);
    // apart from `sum`, so that clearing it is the register's own reset and no LUT
    reg signed [29:0] held;
    initial held = 0;
    wire signed [29:0] wide = {{30 - BITS{value[BITS-1]}}, value};
    wire [30:0] next = {held, carry} + {wide, carry};
    always @(posedge clk) begin
        sum <= next[30:1];
        held <= last ? 30'd0 : next[30:1];
    end
endmodule
