// A block's sum in 8ths, below 2^28 in magnitude, as FP32 with one rounding to nearest even. Three cycles.
module fp8_to_fp32 (
    input wire clk,
    input wire signed [28:0] sum,
    output reg [31:0] fp32
);
    // first cycle: sign and magnitude
    reg sign1;
    reg [27:0] magnitude;
    always @(posedge clk) begin
        sign1 <= sum[28];
        magnitude <= (sum[27:0] ^ {28{sum[28]}}) + {27'd0, sum[28]};
    end

    // second cycle: the leading one moves to bit 27, which is worth 2^24
    wire [27:0] n16 = magnitude[27:12] == 0 ? {magnitude[11:0], 16'd0} : magnitude;
    wire [27:0] n8 = n16[27:20] == 0 ? {n16[19:0], 8'd0} : n16;
    wire [27:0] n4 = n8[27:24] == 0 ? {n8[23:0], 4'd0} : n8;
    wire [27:0] n2 = n4[27:26] == 0 ? {n4[25:0], 2'd0} : n4;
    wire [27:0] n1 = n2[27] ? n2 : {n2[26:0], 1'd0};
    reg sign2;
    reg [27:0] normal;
    reg [7:0] exponent;
    always @(posedge clk) begin
        sign2 <= sign1;
        normal <= n1;
        exponent <= 8'd151  // 127 + 24
            - {3'd0, magnitude[27:12] == 0, n16[27:20] == 0, n8[27:24] == 0, n4[27:26] == 0, ~n2[27]};
    end

    // third cycle: 24 bits stay; a carry out of the fraction raises the exponent
    wire up = normal[3] & (normal[4] | (|normal[2:0]));
    wire [30:0] rounded = {exponent, normal[26:4]} + {30'd0, up};
    always @(posedge clk) fp32 <= normal[27] ? {sign2, rounded} : 32'd0;
endmodule
