// SPDX-FileCopyrightText: cnn2rtl contributors
// SPDX-License-Identifier: Apache-2.0

// Some channels of a pixel, in any order, also more than once: of every pixel the beats whose bit in KEEP is set, and of
// each of these the same lanes. The other beats are dropped.
//
// Latency 1, one beat per cycle.
`default_nettype none

module stream_select #(
    // Bits per channel.
    parameter BITS = 8,
    // Channels per beat taken and given, each >= 1.
    parameter IN_LANES = 2,
    parameter OUT_LANES = 1,
    // Beats per pixel, >= 1, and which of them are kept: one bit each, the first one's lowest; at least one is set.
    parameter BEATS = 2,
    parameter [BEATS-1:0] KEEP = {BEATS{1'b1}},
    // Which lane of a beat each lane of the result is, 16 bits each, lane 0 lowest.
    parameter [OUT_LANES*16-1:0] LANES = 0
) (
    input  wire                      clk,
    input  wire                      rst,
    input  wire                      s_valid,
    output wire                      s_ready,
    input  wire [IN_LANES*BITS-1:0]  s_data,
    output reg                       m_valid,
    input  wire                      m_ready,
    output reg  [OUT_LANES*BITS-1:0] m_data
);
    localparam [BEATS-1:0] FIRST = 1;

    wire en = !m_valid || m_ready;
    assign s_ready = en;

    // The beat whose turn it is: its bit alone is set.
    wire [BEATS-1:0] turn;
    generate
        if (BEATS > 1) begin : g_turn
            reg [BEATS-1:0] ring;
            always @(posedge clk) begin
                if (rst)                ring <= FIRST;
                else if (s_valid && en) ring <= {ring[BEATS-2:0], ring[BEATS-1]};
            end
            assign turn = ring;
        end else begin : g_always
            assign turn = FIRST;
        end
    endgenerate

    always @(posedge clk) begin
        if (rst)     m_valid <= 1'b0;
        else if (en) m_valid <= s_valid && |(turn & KEEP);
    end

    // Lanes that nobody picks.
    wire unused = &{1'b0, s_data};

    genvar lane;
    generate
        for (lane = 0; lane < OUT_LANES; lane = lane + 1) begin : g_lane
            localparam [15:0] FROM = LANES[lane*16 +: 16];
            always @(posedge clk) if (en) m_data[lane*BITS +: BITS] <= s_data[FROM*BITS +: BITS];
        end
    endgenerate
endmodule

`default_nettype wire
