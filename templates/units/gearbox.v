// SPDX-FileCopyrightText: cnn2rtl contributors
// SPDX-License-Identifier: Apache-2.0

// Changes the number of elements per beat. A group of COUNT elements arrives IN_LANES at a time and leaves
// OUT_LANES at a time; neither needs to divide the other, or COUNT. The last beat of a group may be part
// filled; its spare lanes are zero if the input's are.
//
// Latency 1 cycle (0 where the lanes are equal); ceil(COUNT/IN_LANES) beats in and ceil(COUNT/OUT_LANES) beats
// out per group, whichever are more set the pace, without a lost cycle between groups.
`default_nettype none

module gearbox #(
    // Bits per element, >= 1.
    parameter ELEMENT_W = 8,
    // Elements per group, >= 1: the channels of a pixel, or what a beat of a window holds.
    parameter COUNT = 1,
    // Elements per input beat, >= 1.
    parameter IN_LANES = 1,
    // Elements per output beat, >= 1.
    parameter OUT_LANES = 1
) (
    input  wire                           clk,
    input  wire                           rst,
    input  wire                           s_valid,
    output wire                           s_ready,
    input  wire [IN_LANES*ELEMENT_W-1:0]  s_data,
    output wire                           m_valid,
    input  wire                           m_ready,
    output wire [OUT_LANES*ELEMENT_W-1:0] m_data
);
    function integer gcd(input integer a, input integer b);
        integer x, y, t;
        begin
            x = a;
            y = b;
            while (y != 0) begin
                t = x % y;
                x = y;
                y = t;
            end
            gcd = x;
        end
    endfunction

    generate
        if (IN_LANES == OUT_LANES) begin : g_wire
            assign m_valid = s_valid;
            assign s_ready = m_ready;
            assign m_data  = s_data;
            // Nothing to clock.
            wire unused = &{1'b0, clk, rst};
        end else if (COUNT <= IN_LANES || IN_LANES % OUT_LANES == 0) begin : g_slice
            // Whole output beats in every input beat: it is held, and shifted down beat by beat.
            localparam TAKEN    = (COUNT < IN_LANES) ? COUNT : IN_LANES;    // elements of an input beat
            localparam SLICES   = (TAKEN + OUT_LANES - 1) / OUT_LANES;
            localparam IN_BEATS = (COUNT + IN_LANES - 1) / IN_LANES;
            localparam REST     = COUNT - (IN_BEATS - 1) * IN_LANES;        // elements of the group's last beat
            localparam REST_SLICES = (REST + OUT_LANES - 1) / OUT_LANES;
            localparam OUT_W    = OUT_LANES * ELEMENT_W;
            localparam IN_W     = IN_LANES * ELEMENT_W;
            localparam HELD_W   = SLICES * OUT_W;
            localparam LEFT_W   = $clog2(SLICES + 1);
            localparam BEAT_W   = (IN_BEATS > 1) ? $clog2(IN_BEATS) : 1;
            localparam LAST     = IN_BEATS - 1;

            reg [HELD_W-1:0] held;
            reg [LEFT_W-1:0] left;           // output beats held
            reg [BEAT_W-1:0] beat;           // input beat of the group

            assign m_valid = left != 0;
            assign m_data  = held[OUT_W-1:0];
            assign s_ready = left == 0 || (left == 1 && m_ready);
            wire put  = s_valid && s_ready;
            wire take = m_valid && m_ready;
            wire last = beat == LAST[BEAT_W-1:0];

            wire [HELD_W-1:0] fresh;
            if (HELD_W > IN_W) begin : g_pad
                assign fresh = {{(HELD_W-IN_W){1'b0}}, s_data};
            end else begin : g_cut
                assign fresh = s_data[HELD_W-1:0];
                // Lanes that no group fills.
                if (HELD_W < IN_W) begin : g_unused
                    wire unused = &{1'b0, s_data[IN_W-1:HELD_W]};
                end
            end

            always @(posedge clk) begin
                if (rst) begin
                    left <= 0;
                    beat <= 0;
                end else begin
                    if (put)       left <= last ? REST_SLICES[LEFT_W-1:0] : SLICES[LEFT_W-1:0];
                    else if (take) left <= left - 1'b1;
                    if (put)       beat <= last ? {BEAT_W{1'b0}} : beat + 1'b1;
                end
            end
            always @(posedge clk) begin
                if (put)       held <= fresh;
                else if (take) held <= held >> OUT_W;
            end
        end else begin : g_convert
            // Elements only ever move by multiples of UNIT lanes: few positions, small multiplexers.
            localparam UNIT   = gcd(IN_LANES, OUT_LANES);
            localparam UNIT_W = UNIT * ELEMENT_W;
            localparam IN_U   = IN_LANES / UNIT;
            localparam OUT_U  = OUT_LANES / UNIT;
            localparam ALL_U  = (COUNT + UNIT - 1) / UNIT;
            localparam IN_BEATS = (ALL_U + IN_U - 1) / IN_U;
            localparam BEAT_W   = (IN_BEATS > 1) ? $clog2(IN_BEATS) : 1;
            localparam LAST     = IN_BEATS - 1;
            // The last beat of a group brings LAST_U units and rounds the group up to whole output beats.
            localparam LAST_U = ALL_U - LAST * IN_U;
            localparam END_U  = ((ALL_U + OUT_U - 1) / OUT_U) * OUT_U - LAST * IN_U;
            // Up to OUT_U - 1 units wait while a beat comes in; the end of a group rounds up to a full beat.
            localparam HOLD_U = ((OUT_U - 1 + IN_U + OUT_U - 1) / OUT_U) * OUT_U;
            // A beat that leaves as another one lands makes room for it.
            localparam MOST_U = HOLD_U + OUT_U;
            localparam FILL_W = $clog2(MOST_U + ((IN_U > END_U) ? IN_U : END_U) + 1);
            localparam RAISE_W = $clog2(HOLD_U + 1);
            localparam [FILL_W-1:0] IN_F   = IN_U[FILL_W-1:0];
            localparam [FILL_W-1:0] END_F  = END_U[FILL_W-1:0];
            localparam [FILL_W-1:0] OUT_F  = OUT_U[FILL_W-1:0];
            localparam [FILL_W-1:0] HOLD_F = HOLD_U[FILL_W-1:0];

            reg [HOLD_U*UNIT_W-1:0] held;
            reg [FILL_W-1:0] fill;           // units held, a multiple of OUT_U once a group is complete
            reg [BEAT_W-1:0] beat;           // input beat of the group
            reg empty;                       // nothing has been held yet: what stands in the register does not count

            assign m_valid = fill >= OUT_F;
            assign m_data  = held[OUT_U*UNIT_W-1:0];
            wire take = m_valid && m_ready;

            // Everything is worked out for all cases, whether a beat leaves, one lands or both: m_ready comes late.
            wire last = beat == LAST[BEAT_W-1:0];
            wire [FILL_W-1:0] lands        = fill + (last ? END_F : IN_F);
            wire [FILL_W-1:0] leaves       = fill - OUT_F;
            wire [FILL_W-1:0] leaves_lands = fill + (last ? END_F - OUT_F : IN_F - OUT_F);
            wire fits = last ? (fill <= HOLD_F - END_F) : (fill <= HOLD_F - IN_F);
            wire fits_leaving = last ? (fill <= HOLD_F - END_F + OUT_F) : (fill <= HOLD_F - IN_F + OUT_F);
            assign s_ready = fits || (take && fits_leaving);
            wire put = s_valid && s_ready;

            // New units land above those held, then all move down; above the last one everything is zero. What the
            // last beat of a group carries beyond its end is left out.
            localparam HOLD_W = HOLD_U * UNIT_W;
            localparam MOST_W = MOST_U * UNIT_W;
            wire [IN_U*UNIT_W-1:0] whole = s_data;
            wire [MOST_W-1:0] fresh;
            assign fresh[MOST_W-1:IN_U*UNIT_W] = 0;
            if (LAST_U < IN_U) begin : g_last
                assign fresh[IN_U*UNIT_W-1:0] = {last ? {((IN_U-LAST_U)*UNIT_W){1'b0}}
                                                      : whole[IN_U*UNIT_W-1:LAST_U*UNIT_W], whole[LAST_U*UNIT_W-1:0]};
            end else begin : g_all
                assign fresh[IN_U*UNIT_W-1:0] = whole;
            end
            // Up by as many units as are held, one bit of their number after the other.
            reg [MOST_W-1:0] raised;
            integer power;
            always @* begin
                raised = fresh;
                for (power = 0; power < RAISE_W; power = power + 1)
                    if (fill[power]) raised = raised << (UNIT_W << power);
            end
            wire [MOST_W-1:0] lower  = {{(MOST_W-HOLD_W){1'b0}}, empty ? {HOLD_W{1'b0}} : held};
            wire [MOST_W-1:0] merged = lower | raised;

            always @(posedge clk) begin
                if (rst) begin
                    fill  <= 0;
                    beat  <= 0;
                    empty <= 1'b1;
                end else begin
                    fill <= put ? (take ? leaves_lands : lands) : (take ? leaves : fill);
                    if (put) begin
                        beat  <= last ? {BEAT_W{1'b0}} : beat + 1'b1;
                        empty <= 1'b0;
                    end
                end
            end

            always @(posedge clk) begin
                if (put) held <= take ? merged[MOST_W-1:OUT_U*UNIT_W] : merged[HOLD_W-1:0];
                else if (take) held <= held >> (OUT_U * UNIT_W);
            end
        end
    endgenerate
endmodule

`default_nettype wire
