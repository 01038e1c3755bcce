// SPDX-FileCopyrightText: cnn2rtl contributors
// SPDX-License-Identifier: Apache-2.0

// Compares every beat of a stream with a file of expected beats, each stored as whole bytes, highest first.
// Simulation only. The first difference is reported with its layer, frame, pixel and channel.
//
// A layer may begin a frame that nobody sends: windows that lie wholly in the padding wait for no pixel. They
// look the same in every frame, so behind the last frame the file starts over.
`default_nettype none
`timescale 1ns / 1ps

module stream_check #(
    // What the report calls it.
    parameter LAYER = "",
    // Bits per value, values per beat, beats per pixel, beats per frame, pixels per row.
    parameter BITS = 8,
    parameter LANES = 1,
    parameter PIXEL_BEATS = 1,
    parameter FRAME_BEATS = 1,
    parameter MAP_W = 1,
    // Channels per pixel: what the spare lanes of a pixel's last beat carry is of no concern.
    parameter CHANNELS = 1
) (
    input  wire                  clk,
    input  wire                  rst,
    input  wire                  beat,
    input  wire [LANES*BITS-1:0] data,
    input  wire [31:0]           file,
    input  wire [31:0]           frames,
    output reg  [31:0]           wrong,
    output reg  [31:0]           beats
);
    localparam BYTES = (LANES * BITS + 7) / 8;

    reg [BYTES*8-1:0] expected;
    integer source, got, lane, pixel, channel, in_frame;

    initial begin
        wrong = 0;
        beats = 0;
    end

    always @(posedge clk) begin
        if (!rst && beat) begin
            source = file;    // a copy, for $fread counts as a write to it
            if (beats != 0 && beats % (frames * FRAME_BEATS) == 0) got = $rewind(source);
            got = $fread(expected, source);
            in_frame = beats % FRAME_BEATS;
            pixel = in_frame / PIXEL_BEATS;
            for (lane = 0; lane < LANES; lane = lane + 1) begin
                channel = (in_frame % PIXEL_BEATS) * LANES + lane;
                if (channel < CHANNELS && (got != BYTES ||
                    data[lane*BITS +: BITS] !== expected[lane*BITS +: BITS])) begin
                    if (wrong == 0)
                        $display("WRONG layer %0s frame %0d y %0d x %0d channel %0d: got %0h, expected %0h",
                                 LAYER, beats / FRAME_BEATS, pixel / MAP_W, pixel % MAP_W, channel,
                                 data[lane*BITS +: BITS], expected[lane*BITS +: BITS]);
                    wrong = wrong + 1;
                end
            end
            beats = beats + 1;
        end
    end
endmodule

`default_nettype wire
