// SPDX-FileCopyrightText: cnn2rtl contributors
// SPDX-License-Identifier: Apache-2.0

// The sum of two streams, value by value, each times a constant of its stream: a skip connection meets the layers that it
// skipped. Where the constants are powers of two they only align the points of the two formats.
//
// Both streams' beats are taken in the same cycle. Latency 2 cycles, one beat per cycle.
`default_nettype none

module stream_add #(
    // Values per beat, >= 1.
    parameter LANES = 1,
    // Per stream: bits per value, two's complement (1) or unsigned (0), and the factor, not 0.
    parameter A_BITS = 8,
    parameter A_SIGNED = 0,
    parameter signed [31:0] A_FACTOR = 1,
    parameter B_BITS = 8,
    parameter B_SIGNED = 0,
    parameter signed [31:0] B_FACTOR = 1,
    // Bits per sum, two's complement, that no sum exceeds.
    parameter OUT_W = 10
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
    // The pipeline advances together, unless a finished sum waits for its taker.
    wire en   = !m_valid || m_ready;
    wire both = &s_valid;
    assign s_ready = {2{both && en}};

    reg valid_q;
    always @(posedge clk) begin
        if (rst) begin
            valid_q <= 1'b0;
            m_valid <= 1'b0;
        end else if (en) begin
            valid_q <= both;
            m_valid <= valid_q;
        end
    end

    wire signed [OUT_W-1:0] a_factor = A_FACTOR[OUT_W-1:0];
    wire signed [OUT_W-1:0] b_factor = B_FACTOR[OUT_W-1:0];

    genvar lane;
    generate
        for (lane = 0; lane < LANES; lane = lane + 1) begin : g_lane
            wire signed [OUT_W-1:0] a, b;
            extend #(.IN_W(A_BITS), .OUT_W(OUT_W), .SIGNED(A_SIGNED)) u_a (
                .in(s_data[lane*A_BITS +: A_BITS]), .out(a)
            );
            extend #(.IN_W(B_BITS), .OUT_W(OUT_W), .SIGNED(B_SIGNED)) u_b (
                .in(s_data[LANES*A_BITS + lane*B_BITS +: B_BITS]), .out(b)
            );

            // Stage 1: the factors. Stage 2: the sum.
            reg signed [OUT_W-1:0] a_term, b_term, sum;
            always @(posedge clk) begin
                if (en) begin
                    a_term <= a * a_factor;
                    b_term <= b * b_factor;
                    sum    <= a_term + b_term;
                end
            end
            assign m_data[lane*OUT_W +: OUT_W] = sum;
        end
    endgenerate
endmodule

`default_nettype wire
