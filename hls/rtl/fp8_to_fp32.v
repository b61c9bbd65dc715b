// A block's sum in 16ths, below 2^29 in magnitude, as FP32 with one rounding to nearest even. Three cycles.
module fp8_to_fp32 (
    input wire clk,
    input wire signed [29:0] sum,
    output reg [31:0] fp32
);
    // first cycle: sign and magnitude
    reg sign1;
    reg [28:0] magnitude;
    always @(posedge clk) begin
        sign1 <= sum[29];
        magnitude <= (sum[28:0] ^ {29{sum[29]}}) + {28'd0, sum[29]};
    end

    // second cycle: the leading one moves to bit 28, which is worth 2^24
    wire [28:0] n16 = magnitude[28:13] == 0 ? {magnitude[12:0], 16'd0} : magnitude;
    wire [28:0] n8 = n16[28:21] == 0 ? {n16[20:0], 8'd0} : n16;
    wire [28:0] n4 = n8[28:25] == 0 ? {n8[24:0], 4'd0} : n8;
    wire [28:0] n2 = n4[28:27] == 0 ? {n4[26:0], 2'd0} : n4;
    wire [28:0] n1 = n2[28] ? n2 : {n2[27:0], 1'd0};
    reg sign2;
    reg [28:0] normal;
    reg [7:0] exponent;
    always @(posedge clk) begin
        sign2 <= sign1;
        normal <= n1;
        exponent <= 8'd151  // 127 + 24
            - {3'd0, magnitude[28:13] == 0, n16[28:21] == 0, n8[28:25] == 0, n4[28:27] == 0, ~n2[28]};
    end

    // third cycle: 24 bits stay; a carry out of the fraction raises the exponent
    wire up = normal[4] & (normal[5] | (|normal[3:0]));
    wire [30:0] rounded = {exponent, normal[27:5]} + {30'd0, up};
    always @(posedge clk) fp32 <= normal[28] ? {sign2, rounded} : 32'd0;
endmodule
