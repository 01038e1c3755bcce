// SPDX-FileCopyrightText: cnn2rtl contributors
// SPDX-License-Identifier: Apache-2.0

// Index of the largest of LANES x BEATS numbers, LANES per beat; the first one of equals.
//
// One beat per cycle; latency 2 cycles from the last beat.
`default_nettype none

module argmax #(
    // Numbers per beat, >= 1, and beats, >= 1.
    parameter LANES = 1,
    parameter BEATS = 10,
    // Bits per number, >= 2, two's complement (1) or unsigned (0).
    parameter BITS = 16,
    parameter SIGNED = 1,
    // Bits of the index.
    parameter INDEX_BITS = 16
) (
    input  wire                  clk,
    input  wire                  rst,
    input  wire                  s_valid,
    output wire                  s_ready,
    input  wire [LANES*BITS-1:0] s_data,
    output reg                   m_valid,
    input  wire                  m_ready,
    output reg  [INDEX_BITS-1:0] m_data
);
    localparam BEAT_W = (BEATS > 1) ? $clog2(BEATS) : 1;
    localparam LAST = BEATS - 1;
    localparam [BEAT_W-1:0] LAST_BEAT = LAST[BEAT_W-1:0];
    localparam [INDEX_BITS-1:0] LANES_I = LANES[INDEX_BITS-1:0];

    generate
        if (BITS < 2) begin : g_bits
            BITS_must_be_at_least_2 u_error ();
        end
        if ((LANES * BEATS - 1) >> INDEX_BITS != 0) begin : g_index_bits
            INDEX_BITS_must_hold_LANES_times_BEATS_minus_1 u_error ();
        end
    endgenerate

    wire en = !m_valid || m_ready;
    assign s_ready = en;

    reg [BEAT_W-1:0] beat;
    reg [INDEX_BITS-1:0] base;             // index of the beat's first number
    reg valid_q, first_q, last_q;
    wire last = beat == LAST_BEAT;
    always @(posedge clk) begin
        if (rst) begin
            beat    <= 0;
            base    <= 0;
            valid_q <= 1'b0;
            m_valid <= 1'b0;
        end else if (en) begin
            if (s_valid) begin
                beat <= last ? {BEAT_W{1'b0}} : beat + 1'b1;
                base <= last ? {INDEX_BITS{1'b0}} : base + LANES_I;
            end
            valid_q <= s_valid;
            m_valid <= valid_q && last_q;
        end
    end
    always @(posedge clk) begin
        if (en) begin
            first_q <= beat == 0;
            last_q  <= last;
        end
    end

    // Stage 1: the largest of the beat. Flipping the sign bit lets signed numbers compare as unsigned ones.
    genvar lane;
    generate
        for (lane = 0; lane < LANES; lane = lane + 1) begin : g_lane
            localparam [INDEX_BITS-1:0] LANE = lane;
            wire [BITS-1:0] raw = s_data[lane*BITS +: BITS];
            wire [BITS-1:0] own, value;    // value and index: the largest of this lane and those before it
            wire [INDEX_BITS-1:0] index;
            if (SIGNED != 0) begin : g_signed
                assign own = {~raw[BITS-1], raw[BITS-2:0]};
            end else begin : g_unsigned
                assign own = raw;
            end
            if (lane == 0) begin : g_first
                assign value = own;
                assign index = base;
            end else begin : g_next
                wire larger = own > g_lane[lane-1].value;
                assign value = larger ? own : g_lane[lane-1].value;
                assign index = larger ? base + LANE : g_lane[lane-1].index;
            end
        end
    endgenerate

    reg [BITS-1:0] value_q;
    reg [INDEX_BITS-1:0] index_q;
    always @(posedge clk) begin
        if (en) begin
            value_q <= g_lane[LANES-1].value;
            index_q <= g_lane[LANES-1].index;
        end
    end

    // Stage 2: the largest so far.
    reg [BITS-1:0] best;
    always @(posedge clk) begin
        if (en && valid_q && (first_q || value_q > best)) begin
            best   <= value_q;
            m_data <= index_q;
        end
    end
endmodule

`default_nettype wire
