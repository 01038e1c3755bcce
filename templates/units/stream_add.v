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
    // Per stream: bits per value, two's complement (1) or unsigned (0), and the factor, of 32 bits with its sign.
    parameter A_BITS = 8,
    parameter A_SIGNED = 0,
    parameter signed [31:0] A_FACTOR = 1,
    parameter B_BITS = 8,
    parameter B_SIGNED = 0,
    parameter signed [31:0] B_FACTOR = 1,
    // Bits per sum, two's complement, that no sum exceeds; >= A_BITS, B_BITS.
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
    generate
        if (OUT_W < A_BITS || OUT_W < B_BITS) begin : g_out_w
            OUT_W_must_be_at_least_A_BITS_and_B_BITS u_error ();
        end
    endgenerate

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

    // A factor without its sign, so that powers of two are shifts, whether a term is added or subtracted. In as many bits
    // as the sum has: what lies above counts in no sum.
    localparam WIDE_W = (OUT_W > 32) ? OUT_W : 32;
    localparam [31:0] A_SIZE = (A_FACTOR < 0) ? -A_FACTOR : A_FACTOR;
    localparam [31:0] B_SIZE = (B_FACTOR < 0) ? -B_FACTOR : B_FACTOR;
    localparam [WIDE_W-1:0] A_WIDE = {{(WIDE_W-31){1'b0}}, A_SIZE[30:0]};
    localparam [WIDE_W-1:0] B_WIDE = {{(WIDE_W-31){1'b0}}, B_SIZE[30:0]};
    wire signed [OUT_W-1:0] a_size = A_WIDE[OUT_W-1:0];
    wire signed [OUT_W-1:0] b_size = B_WIDE[OUT_W-1:0];

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

            // Stage 1: the products. Stage 2: the sum.
            reg signed [OUT_W-1:0] a_term, b_term, sum;
            always @(posedge clk) begin
                if (en) begin
                    a_term <= a * a_size;
                    b_term <= b * b_size;
                    sum    <= ((A_FACTOR < 0) ? -a_term : a_term) + ((B_FACTOR < 0) ? -b_term : b_term);
                end
            end
            assign m_data[lane*OUT_W +: OUT_W] = sum;
        end
    endgenerate
endmodule

`default_nettype wire
