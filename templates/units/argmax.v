// SPDX-FileCopyrightText: cnn2rtl contributors
// SPDX-License-Identifier: Apache-2.0

// Index of the largest of LANES x BEATS numbers, LANES per beat; the first one of equals.
//
// One beat per cycle; latency 2 cycles from the last beat, and with more than 2 lanes 1 + clog2(LANES).
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

    // A register after every level of two-input choices.
    localparam LEVELS = (LANES > 1) ? $clog2(LANES) : 1;
    localparam LANE_W = LEVELS;

    wire en = !m_valid || m_ready;
    assign s_ready = en;

    // Position within the frame, and its way down the levels.
    reg [BEAT_W-1:0] beat;
    reg [LEVELS-1:0] valid_q, first_q, last_q;
    wire [LEVELS:0] valid = {valid_q, s_valid};
    wire [LEVELS:0] first = {first_q, beat == 0};
    wire [LEVELS:0] last  = {last_q, beat == LAST_BEAT};
    always @(posedge clk) begin
        if (rst) begin
            beat    <= 0;
            valid_q <= 0;
            m_valid <= 1'b0;
        end else if (en) begin
            if (s_valid) beat <= last[0] ? {BEAT_W{1'b0}} : beat + 1'b1;
            valid_q <= valid[LEVELS-1:0];
            m_valid <= valid[LEVELS] && last[LEVELS];
        end
    end
    always @(posedge clk) begin
        if (en) begin
            first_q <= first[LEVELS-1:0];
            last_q  <= last[LEVELS-1:0];
        end
    end

    // The largest of the beat, and its lane. Flipping the sign bit lets signed numbers compare as unsigned ones.
    genvar level, i;
    generate
        for (level = 0; level <= LEVELS; level = level + 1) begin : g_level
            localparam N = (LANES + (1 << level) - 1) >> level;
            wire [N*BITS-1:0] value;
            wire [N*LANE_W-1:0] lane;
        end
        for (i = 0; i < LANES; i = i + 1) begin : g_lane
            wire [BITS-1:0] raw = s_data[i*BITS +: BITS];
            if (SIGNED != 0) begin : g_signed
                assign g_level[0].value[i*BITS +: BITS] = {~raw[BITS-1], raw[BITS-2:0]};
            end else begin : g_unsigned
                assign g_level[0].value[i*BITS +: BITS] = raw;
            end
            assign g_level[0].lane[i*LANE_W +: LANE_W] = i;
        end
        for (level = 1; level <= LEVELS; level = level + 1) begin : g_choose
            localparam N_IN = (LANES + (1 << (level - 1)) - 1) >> (level - 1);
            localparam N = (LANES + (1 << level) - 1) >> level;
            for (i = 0; i < N; i = i + 1) begin : g_pair
                // The lower lane, and the higher one, which must be larger to be chosen.
                localparam HIGH = (2*i + 1 < N_IN) ? 2*i + 1 : 2*i;
                wire [BITS-1:0] low  = g_level[level-1].value[2*i*BITS +: BITS];
                wire [BITS-1:0] high = g_level[level-1].value[HIGH*BITS +: BITS];
                wire larger = high > low;
                reg [BITS-1:0] value;
                reg [LANE_W-1:0] lane;
                always @(posedge clk) begin
                    if (en) begin
                        value <= larger ? high : low;
                        lane  <= larger ? g_level[level-1].lane[HIGH*LANE_W +: LANE_W]
                                        : g_level[level-1].lane[2*i*LANE_W +: LANE_W];
                    end
                end
                assign g_level[level].value[i*BITS +: BITS] = value;
                assign g_level[level].lane[i*LANE_W +: LANE_W] = lane;
            end
        end
    endgenerate

    // The largest so far. The index counts on by beats, behind the choice among lanes.
    wire [BITS-1:0] value = g_level[LEVELS].value;
    wire [INDEX_BITS-1:0] lane;
    extend #(.IN_W(LANE_W), .OUT_W(INDEX_BITS)) u_lane (.in(g_level[LEVELS].lane), .out(lane));
    reg [INDEX_BITS-1:0] base;             // index of the beat's first number
    reg [BITS-1:0] best;
    always @(posedge clk) begin
        if (rst) base <= 0;
        else if (en && valid[LEVELS]) base <= last[LEVELS] ? {INDEX_BITS{1'b0}} : base + LANES_I;
    end
    always @(posedge clk) begin
        if (en && valid[LEVELS] && (first[LEVELS] || value > best)) begin
            best   <= value;
            m_data <= base + lane;
        end
    end
endmodule

`default_nettype wire
