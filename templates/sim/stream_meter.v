// SPDX-FileCopyrightText: cnn2rtl contributors
// SPDX-License-Identifier: Apache-2.0

// Measures a stream: when the beats of the first frame move, how far apart the last two frames end, and whether a beat
// ever had to wait for room in a FIFO. Simulation only.
`default_nettype none
`timescale 1ns / 1ps

module stream_meter #(
    // Beats per frame.
    parameter FRAME_BEATS = 1
) (
    input  wire        clk,
    input  wire        rst,
    input  wire        valid,
    input  wire        ready,
    // Cycles since reset.
    input  wire [31:0] cycle,
    // Cycles in which the first and the last beat of the first frame moved.
    output reg  [31:0] first,
    output reg  [31:0] last,
    // Cycles between the ends of the last two frames; 0 for one frame.
    output reg  [31:0] interval,
    // Cycles in which a beat waited.
    output reg  [31:0] waits
);
    integer frame, left;
    reg [31:0] ended;

    initial begin
        first    = 0;
        last     = 0;
        interval = 0;
        waits    = 0;
        frame    = 0;
        left     = FRAME_BEATS;
        ended    = 0;
    end

    always @(posedge clk) begin
        if (!rst) begin
            if (valid && !ready) waits <= waits + 1;
            if (valid && ready) begin
                if (frame == 0 && left == FRAME_BEATS) first <= cycle;
                left = left - 1;
                if (left == 0) begin
                    if (frame == 0) last     <= cycle;
                    else            interval <= cycle - ended;
                    ended <= cycle;
                    frame = frame + 1;
                    left = FRAME_BEATS;
                end
            end
        end
    end
endmodule

`default_nettype wire
