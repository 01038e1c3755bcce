// SPDX-FileCopyrightText: cnn2rtl contributors
// SPDX-License-Identifier: Apache-2.0

// Takes a stream, but in cycles in which ``pause`` was high, and watches its protocol. Simulation only.
`default_nettype none
`timescale 1ns / 1ps

module stream_sink #(
    // Bits per beat, beats per frame.
    parameter BITS = 8,
    parameter FRAME_BEATS = 1
) (
    input  wire            clk,
    input  wire            rst,
    input  wire            pause,
    input  wire            tvalid,
    output reg             tready,
    input  wire [BITS-1:0] tdata,
    input  wire            tlast,
    // Beats so far, and how often one changed or was withdrawn before it was taken, or had a wrong tlast.
    output reg  [31:0]     received,
    output reg  [31:0]     protocol
);
    reg [BITS-1:0] held;
    reg            waiting;

    initial begin
        tready   = 1'b0;
        received = 0;
        protocol = 0;
        waiting  = 1'b0;
    end

    wire broken = waiting && (!tvalid || tdata !== held);
    wire strayed = tvalid && tready && tlast !== ((received % FRAME_BEATS) == FRAME_BEATS - 1);

    always @(posedge clk) begin
        if (!rst) begin
            tready   <= !pause;
            waiting  <= tvalid && !tready;
            held     <= tdata;
            protocol <= protocol + {31'd0, broken} + {31'd0, strayed};
            if (tvalid && tready) received <= received + 1;
        end
    end
endmodule

`default_nettype wire
