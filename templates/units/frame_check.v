// SPDX-FileCopyrightText: cnn2rtl contributors
// SPDX-License-Identifier: Apache-2.0

// Watches a frame's beats. `last` marks the last beat of each frame; `error` rises, and stays until reset, when
// the sender's tlast comes with any other beat or is missing there: the sender's idea of the size is wrong.
`default_nettype none

module frame_check #(
    // Beats per frame, >= 1.
    parameter BEATS = 1
) (
    input  wire clk,
    input  wire rst,
    input  wire beat,
    input  wire tlast,
    output wire last,
    output reg  error
);
    localparam COUNT_W = (BEATS > 1) ? $clog2(BEATS) : 1;
    localparam [COUNT_W-1:0] LAST = BEATS[COUNT_W-1:0] - 1'b1;

    reg [COUNT_W-1:0] count;
    assign last = count == LAST;

    always @(posedge clk) begin
        if (rst) begin
            count <= 0;
            error <= 1'b0;
        end else if (beat) begin
            count <= last ? {COUNT_W{1'b0}} : count + 1'b1;
            if (tlast != last) error <= 1'b1;
        end
    end
endmodule

`default_nettype wire
