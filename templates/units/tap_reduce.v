// SPDX-FileCopyrightText: cnn2rtl contributors
// SPDX-License-Identifier: Apache-2.0

// Maximum or sum over the taps of a window, TAPS taps of LANES channels per beat over STEPS beats.
//
// One beat per cycle; latency 2 cycles from a window's last beat, and with more than 2 taps 1 + clog2(TAPS).
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
    // A register after every level of two-input choices or adders.
    localparam LEVELS = (TAPS > 1) ? $clog2(TAPS) : 1;

    wire en = !m_valid || m_ready;
    assign s_ready = en;

    // Position within the window, and its way down the levels.
    reg [STEP_W-1:0] step;
    reg [LEVELS-1:0] valid_q, first_q, last_q;
    wire [LEVELS:0] valid = {valid_q, s_valid};
    wire [LEVELS:0] first = {first_q, step == 0};
    wire [LEVELS:0] last  = {last_q, step == LAST_STEP};
    always @(posedge clk) begin
        if (rst) begin
            step    <= 0;
            valid_q <= 0;
            m_valid <= 1'b0;
        end else if (en) begin
            if (s_valid) step <= (step == LAST_STEP) ? {STEP_W{1'b0}} : step + 1'b1;
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

    // Over the taps of the beat.
    genvar lane, level, i;
    generate
        for (level = 0; level <= LEVELS; level = level + 1) begin : g_level
            localparam N = (TAPS + (1 << level) - 1) >> level;
            wire [N*LANES*OUT_BITS-1:0] value;
        end
        for (i = 0; i < TAPS*LANES; i = i + 1) begin : g_value
            extend #(.IN_W(BITS), .OUT_W(OUT_BITS), .SIGNED(SIGNED)) u_extend (
                .in(s_data[i*BITS +: BITS]), .out(g_level[0].value[i*OUT_BITS +: OUT_BITS])
            );
        end
        for (level = 1; level <= LEVELS; level = level + 1) begin : g_choose
            localparam N_IN = (TAPS + (1 << (level - 1)) - 1) >> (level - 1);
            localparam N = (TAPS + (1 << level) - 1) >> level;
            for (i = 0; i < N; i = i + 1) begin : g_pair
                for (lane = 0; lane < LANES; lane = lane + 1) begin : g_lane
                    wire [OUT_BITS-1:0] a = g_level[level-1].value[(2*i*LANES + lane)*OUT_BITS +: OUT_BITS];
                    wire [OUT_BITS-1:0] both;
                    reg [OUT_BITS-1:0] result;
                    if (2*i + 1 < N_IN) begin : g_two
                        combine #(.MAX(MAX), .BITS(OUT_BITS), .SIGNED(SIGNED)) u_combine (
                            .a(a), .b(g_level[level-1].value[((2*i+1)*LANES + lane)*OUT_BITS +: OUT_BITS]), .out(both)
                        );
                    end else begin : g_one
                        assign both = a;
                    end
                    always @(posedge clk) if (en) result <= both;
                    assign g_level[level].value[(i*LANES + lane)*OUT_BITS +: OUT_BITS] = result;
                end
            end
        end
    endgenerate

    // Over the beats of the window.
    generate
        for (lane = 0; lane < LANES; lane = lane + 1) begin : g_lane
            wire [OUT_BITS-1:0] beat = g_level[LEVELS].value[lane*OUT_BITS +: OUT_BITS];
            reg [OUT_BITS-1:0] best;
            wire [OUT_BITS-1:0] both;
            combine #(.MAX(MAX), .BITS(OUT_BITS), .SIGNED(SIGNED)) u_combine (.a(best), .b(beat), .out(both));
            always @(posedge clk) if (en && valid[LEVELS]) best <= first[LEVELS] ? beat : both;
            assign m_data[lane*OUT_BITS +: OUT_BITS] = best;
        end
    endgenerate
endmodule

`default_nettype wire
