// The product of two operands rounded to 1/8, in LUTs. It leaves as value + carry: a negative value has its bits inverted, and the
// one that is missing then, or the one that rounds up, is the carry, which is free in an adder. Two cycles.
//
// Of a tie the result is odd when `given` is: rule 1 of docs/numerics.md rounds an even element's product after that of its odd
// neighbour, to which its own `given` and `odd` lead. Both belong to the second cycle.
//
// With p = (8 + fraction of w) * (8 + fraction of x) and k = the sum of the exponents (the BIAS of w is -9, that of x 0), the
// product in 8ths is p * 2^k / 256. The largest k is 21; below 0 the product rounds to zero, since p < 256. Every bit of p, of
// the fine shift, of a selection and of the coarse shift is one LUT of six inputs.
module fp8_product (
    input wire clk,
    input wire [9:0] w,
    input wire [9:0] x,
    input wire given,
    output wire odd,
    output reg signed [21:0] value,
    output reg carry
);
    // bit `place` of p for each of the 64 pairs of fractions
    function [63:0] table_of(input integer place);
        integer i, pq;
        for (i = 0; i < 64; i = i + 1) begin
            pq = (8 + i / 8) * (8 + i % 8);
            table_of[i] = pq[place];
        end
    endfunction
    wire [5:0] fractions = {w[2:0], x[2:0]};
    wire [7:0] p;
    genvar i, g;
    generate
        for (i = 0; i < 8; i = i + 1) begin : significand
            localparam [63:0] TABLE = table_of(i);
            assign p[i] = TABLE[fractions];
        end
    endgenerate

    // First cycle: the fine shift, by k mod 4. The coarse shift is by 4j, j = k / 4: group g of four bits of the result takes the
    // lower, middle or upper four of `fine` when j = g (1), g - 1 (2) or g - 2 (3), else nothing (0).
    wire signed [5:0] k = $signed(w[8:3]) + $signed(x[8:3]);
    reg [11:0] fine;
    reg [1:0] take[2:7];
    reg sign;
    always @(posedge clk) begin
        fine <= {4'd0, p} << k[1:0];
        sign <= w[9] ^ x[9];
    end
    generate
        for (g = 2; g < 8; g = g + 1) begin : select
            always @(posedge clk)
                take[g] <= k[5:2] > 5 ? 2'd0 : k[5:2] == g ? 2'd1 : k[5:2] == g - 1 ? 2'd2 : k[5:2] == g - 2 ? 2'd3 : 2'd0;
        end
    endgenerate

    // Second cycle: groups 2 to 7 are the result in 8ths; what lies below them says whether to round up.
    wire up = take[2] == 3 ? fine[7] & ((fine[8] ^ given) | (|fine[6:0]))
                           : take[2] == 2 & fine[3] & ((fine[4] ^ given) | (|fine[2:0]));
    wire last = take[2] == 3 ? fine[8] : take[2] == 2 ? fine[4] : take[2] == 1 & fine[0];
    assign odd = last ^ up;
    always @(posedge clk) begin
        value[21] <= sign;
        carry <= sign ^ up;
    end
    generate
        for (i = 0; i < 21; i = i + 1) begin : coarse
            wire [3:0] choice = {fine[i%4+8], fine[i%4+4], fine[i%4], 1'b0};
            always @(posedge clk) value[i] <= choice[take[i/4+2]] ^ sign;
        end
    endgenerate
endmodule
