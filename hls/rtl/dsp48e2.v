// p = a * b + c in one DSP48E2 (27x18 signed multiplier, 48-bit adder; registers M, C and P). Two cycles. Counted as a DSP, not
// mapped: Yosys does not put the adder into it.
module dsp48e2 (
    input wire clk,
    input wire signed [26:0] a,
    input wire signed [17:0] b,
    input wire signed [47:0] c,
    output reg signed [47:0] p
);
    reg signed [44:0] m;
    reg signed [47:0] c_held;
    always @(posedge clk) begin
        m <= a * b;
        c_held <= c;
        p <= {{3{m[44]}}, m} + c_held;
    end
endmodule
