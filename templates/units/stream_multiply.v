// SPDX-FileCopyrightText: cnn2rtl contributors
// SPDX-License-Identifier: Apache-2.0

// The product of two streams, value by value, each less its zero point: where a gate meets what it lets through.
//
// Both streams' beats are taken in the same cycle. One beat per cycle; latency 3 cycles, in logic 2 + ceil(width of b / 2),
// where b has a bit more if it is unsigned, and one more with a zero point.
`default_nettype none

module stream_multiply #(
    // Values per beat, >= 1.
    parameter LANES = 1,
    // Per stream: bits per value, two's complement (1) or unsigned (0), and the code that stands for 0.
    parameter A_BITS = 8,
    parameter A_SIGNED = 0,
    parameter signed [31:0] A_ZERO = 0,
    parameter B_BITS = 8,
    parameter B_SIGNED = 0,
    parameter signed [31:0] B_ZERO = 0,
    // Bits per product, two's complement, that no product exceeds.
    parameter OUT_W = 18,
    // What multiplies: a DSP block per lane (0), or logic (1).
    parameter LOGIC = 0
) (
    input  wire                             clk,
    input  wire                             rst,
    input  wire [1:0]                       s_valid,    // {b, a}
    output wire [1:0]                       s_ready,
    input  wire [LANES*(A_BITS+B_BITS)-1:0] s_data,     // all values of b above all values of a
    output reg                              m_valid,
    input  wire                             m_ready,
    output wire [LANES*OUT_W-1:0]           m_data
);
    // Bits of a value less its zero point.
    localparam A_W = A_BITS + ((A_SIGNED != 0) ? 0 : 1) + ((A_ZERO != 0) ? 1 : 0);
    localparam B_W = B_BITS + ((B_SIGNED != 0) ? 0 : 1) + ((B_ZERO != 0) ? 1 : 0);
    localparam STAGES = (LOGIC != 0) ? 1 + (B_W + 1) / 2 : 2;

    // The pipeline advances together, unless a finished product waits for its taker.
    wire en   = !m_valid || m_ready;
    wire both = &s_valid;
    assign s_ready = {2{both && en}};

    reg [STAGES-1:0] valid_q;
    always @(posedge clk) begin
        if (rst) begin
            valid_q <= 0;
            m_valid <= 1'b0;
        end else if (en) begin
            valid_q <= {valid_q[STAGES-2:0], both};
            m_valid <= valid_q[STAGES-1];
        end
    end

    genvar lane;
    generate
        for (lane = 0; lane < LANES; lane = lane + 1) begin : g_lane
            wire [A_W-1:0] a;
            wire [B_W-1:0] b;
            extend #(.IN_W(A_BITS), .OUT_W(A_W), .SIGNED(A_SIGNED)) u_a (
                .in(s_data[lane*A_BITS +: A_BITS]), .out(a)
            );
            extend #(.IN_W(B_BITS), .OUT_W(B_W), .SIGNED(B_SIGNED)) u_b (
                .in(s_data[LANES*A_BITS + lane*B_BITS +: B_BITS]), .out(b)
            );

            // Stage 1: less the zero points. Then the product.
            reg [A_W-1:0] a_real;
            reg [B_W-1:0] b_real;
            always @(posedge clk) begin
                if (en) begin
                    a_real <= a - A_ZERO[A_W-1:0];
                    b_real <= b - B_ZERO[B_W-1:0];
                end
            end
            wire [A_W+B_W-1:0] product;
            multiply #(.A_W(A_W), .W_W(B_W), .LOGIC(LOGIC)) u_multiply (
                .clk(clk), .en(en), .a(a_real), .w(b_real), .product(product)
            );
            if (OUT_W <= A_W + B_W) begin : g_cut
                assign m_data[lane*OUT_W +: OUT_W] = product[OUT_W-1:0];
                // Copies of the sign.
                wire unused = &{1'b0, product};
            end else begin : g_widen
                assign m_data[lane*OUT_W +: OUT_W] = {{(OUT_W-A_W-B_W){product[A_W+B_W-1]}}, product};
            end
        end
    endgenerate
endmodule

`default_nettype wire
