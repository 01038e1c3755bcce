// SPDX-FileCopyrightText: cnn2rtl contributors
// SPDX-License-Identifier: Apache-2.0

// Maximum or sum over the taps of a window, TAPS taps of LANES channels per beat over STEPS beats.
//
// One beat per cycle; latency 2 cycles from a window's last beat.
`default_nettype none

module tap_reduce #(
    // 1: maximum, 0: sum.
    parameter MAX = 1,
    // Channels side by side, >= 1.
    parameter LANES = 1,
    // Taps per beat, >= 1, and beats per window, >= 1.
    parameter TAPS = 1,
    parameter STEPS = 4,
    // Bits per value, two's complement (1) or unsigned (0).
    parameter BITS = 8,
    parameter SIGNED = 0,
    // Bits per result, the same for a maximum.
    parameter OUT_BITS = 8
) (
    input  wire                       clk,
    input  wire                       rst,
    input  wire                       s_valid,
    output wire                       s_ready,
    input  wire [TAPS*LANES*BITS-1:0] s_data,
    output reg                        m_valid,
    input  wire                       m_ready,
    output wire [LANES*OUT_BITS-1:0]  m_data
);
    localparam STEP_W = (STEPS > 1) ? $clog2(STEPS) : 1;
    localparam [STEP_W-1:0] LAST_STEP = STEPS[STEP_W-1:0] - 1'b1;

    wire en = !m_valid || m_ready;
    assign s_ready = en;

    reg [STEP_W-1:0] step;
    reg valid_q, first_q, last_q;
    always @(posedge clk) begin
        if (rst) begin
            step    <= 0;
            valid_q <= 1'b0;
            m_valid <= 1'b0;
        end else if (en) begin
            if (s_valid) step <= (step == LAST_STEP) ? {STEP_W{1'b0}} : step + 1'b1;
            valid_q <= s_valid;
            m_valid <= valid_q && last_q;
        end
    end
    always @(posedge clk) begin
        if (en) begin
            first_q <= step == 0;
            last_q  <= step == LAST_STEP;
        end
    end

    genvar lane, tap;
    generate
        for (lane = 0; lane < LANES; lane = lane + 1) begin : g_lane
            // Stage 1: over the taps of the beat.
            wire [TAPS*OUT_BITS-1:0] partial;
            for (tap = 0; tap < TAPS; tap = tap + 1) begin : g_tap
                wire [OUT_BITS-1:0] value;
                extend #(.IN_W(BITS), .OUT_W(OUT_BITS), .SIGNED(SIGNED)) u_extend (
                    .in(s_data[(tap*LANES + lane)*BITS +: BITS]), .out(value)
                );
                if (tap == 0) begin : g_first
                    assign partial[OUT_BITS-1:0] = value;
                end else begin : g_next
                    combine #(.MAX(MAX), .BITS(OUT_BITS), .SIGNED(SIGNED)) u_combine (
                        .a(partial[(tap-1)*OUT_BITS +: OUT_BITS]), .b(value),
                        .out(partial[tap*OUT_BITS +: OUT_BITS])
                    );
                end
            end
            reg [OUT_BITS-1:0] beat;
            always @(posedge clk) if (en) beat <= partial[(TAPS-1)*OUT_BITS +: OUT_BITS];

            // Stage 2: over the beats of the window.
            reg [OUT_BITS-1:0] best;
            wire [OUT_BITS-1:0] both;
            combine #(.MAX(MAX), .BITS(OUT_BITS), .SIGNED(SIGNED)) u_combine (.a(best), .b(beat), .out(both));
            always @(posedge clk) if (en && valid_q) best <= first_q ? beat : both;
            assign m_data[lane*OUT_BITS +: OUT_BITS] = best;
        end
    endgenerate
endmodule

`default_nettype wire
