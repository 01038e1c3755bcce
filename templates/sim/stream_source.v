// SPDX-FileCopyrightText: cnn2rtl contributors
// SPDX-License-Identifier: Apache-2.0

// Feeds a stream from a file of beats, each stored as whole bytes, highest first. Simulation only.
//
// The beats of the first ``paced`` frames come evenly at the frame interval, those of the others as fast as they are
// taken; none is begun in a cycle in which ``pause`` is high.
`default_nettype none
`timescale 1ns / 1ps

module stream_source #(
    // What the report calls it.
    parameter NAME = "",
    // Bits per beat, beats per frame, cycles from one frame to the next.
    parameter BITS = 8,
    parameter FRAME_BEATS = 1,
    parameter INTERVAL = 1,
    // Beats after each of which a line tells how far it is; 0 for none.
    parameter ROW_BEATS = 0
) (
    input  wire            clk,
    input  wire            rst,
    input  wire [31:0]     file,
    input  wire [31:0]     frames,
    input  wire [31:0]     paced,
    input  wire            pause,
    output reg             tvalid,
    input  wire            tready,
    output wire [BITS-1:0] tdata,
    output reg             tlast
);
    localparam BYTES = (BITS + 7) / 8;

    reg [BYTES*8-1:0] beat, next;
    integer source, got, offered, sent;
    // Beat k of the paced frames is due in cycle k * INTERVAL / FRAME_BEATS: both sides in beats times cycles.
    reg [63:0] elapsed, due;
    wire may_offer = !tvalid || tready;
    assign tdata = beat[BITS-1:0];

    initial begin
        tvalid  = 1'b0;
        tlast   = 1'b0;
        beat    = 0;
        offered = 0;
        sent    = 0;
        elapsed = FRAME_BEATS - 1;
        due     = 0;
    end

    always @(posedge clk) begin
        if (!rst) begin
            if (tvalid && tready && ROW_BEATS != 0) begin
                sent = sent + 1;
                if (sent % ROW_BEATS == 0) begin
                    $display("ROW %0d", sent / ROW_BEATS);
                    $fflush;    // whoever watches is to see it now
                end
            end
            if (may_offer && offered < frames * FRAME_BEATS && !pause &&
                (offered >= paced * FRAME_BEATS || elapsed >= due)) begin
                source = file;    // a copy, for $fread counts as a write to it
                got = $fread(next, source);
                if (got != BYTES) begin
                    $display("FAIL %0s: too few pixels in the vectors", NAME);
                    $finish;
                end
                tvalid <= 1'b1;
                beat   <= next;
                tlast  <= (offered % FRAME_BEATS) == FRAME_BEATS - 1;
                offered = offered + 1;
                due     = due + INTERVAL;
            end else if (may_offer) begin
                tvalid <= 1'b0;
            end
            if (offered != 0) elapsed = elapsed + FRAME_BEATS;
        end
    end
endmodule

`default_nettype wire
