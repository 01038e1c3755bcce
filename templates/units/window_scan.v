// SPDX-FileCopyrightText: cnn2rtl contributors
// SPDX-License-Identifier: Apache-2.0

// The order of the beats of all windows of a frame: a nest of loops, from the outermost row of windows, window, group
// of channels, repetition, beat of channels, tap row, tap column. Says of the beat that is next where it lies, and
// which loop makes a step behind it.
`default_nettype none

module window_scan #(
    // Groups of channels per pixel, beats per group, and times each group of a window is shown, all >= 1.
    parameter GROUPS = 1,
    parameter FOLDS = 1,
    parameter REPEAT = 1,
    // Size of the map and of the grid of windows, in pixels.
    parameter IN_H = 8,
    parameter IN_W = 8,
    parameter OUT_H = 8,
    parameter OUT_W = 8,
    // Kernel, stride, padding before the first row and column, and pixels from one tap to the next.
    parameter KERNEL_Y = 3,
    parameter KERNEL_X = 3,
    parameter STRIDE_Y = 1,
    parameter STRIDE_X = 1,
    parameter PAD_TOP = 1,
    parameter PAD_LEFT = 1,
    parameter DILATION_Y = 1,
    parameter DILATION_X = 1,
    // Taps per beat: 1 or KERNEL_Y rows, 1 or KERNEL_X columns.
    parameter TAPS_Y = 1,
    parameter TAPS_X = 1,
    // Derived: bits of the number of a beat.
    parameter BEAT_W = (GROUPS * FOLDS > 1) ? $clog2(GROUPS * FOLDS) : 1
) (
    input  wire              clk,
    input  wire              rst,
    input  wire              next,
    output wire [BEAT_W-1:0] beat,        // of the pixel
    output wire [TAPS_Y-1:0] outside_y,   // which tap rows and columns of the beat lie outside the map
    output wire [TAPS_X-1:0] outside_x,
    // What comes behind the beat. 0: tap, 1: tap row, 2: beat of channels, 3: repetition, 4: window, 5: row of windows,
    // 6: frame.
    output wire [2:0]        step,
    output wire              frees,       // the window has pixels that no later one needs
    output wire              enters       // the next row of windows is the first that begins in the map
);
    // The windows that begin in the map: of the others, those above need what those in it do, and those below nothing.
    localparam FIRST_Y = (PAD_TOP + STRIDE_Y - 1) / STRIDE_Y;
    localparam MOST_Y  = (IN_H - 1 + PAD_TOP) / STRIDE_Y;
    localparam MOST_X  = (IN_W + PAD_LEFT) / STRIDE_X;

    wire end_tap_row, end_taps, end_folds, end_repeats, end_groups, final_x, final_y;
    wire taps = end_tap_row && end_taps;
    wire folds = taps && end_folds;
    wire repeats = folds && end_repeats;
    wire window = repeats && end_groups;
    wire row = window && final_x;
    wire begins, next_begins, unused_begins, next_x;

    window_axis #(
        .SIZE(IN_W), .WINDOWS(OUT_W), .KERNEL(KERNEL_X), .DILATION(DILATION_X), .TAPS(TAPS_X), .STRIDE(STRIDE_X),
        .PAD(PAD_LEFT), .FIRST(0), .LAST(MOST_X < OUT_W - 1 ? MOST_X : OUT_W - 1)
    ) u_x (
        .clk(clk), .rst(rst), .tap(next), .window(window), .last_tap(end_tap_row), .last_window(final_x),
        .outside(outside_x), .begins(unused_begins), .next_begins(next_x)
    );
    window_axis #(
        .SIZE(IN_H), .WINDOWS(OUT_H), .KERNEL(KERNEL_Y), .DILATION(DILATION_Y), .TAPS(TAPS_Y), .STRIDE(STRIDE_Y),
        .PAD(PAD_TOP), .FIRST(FIRST_Y), .LAST(MOST_Y < OUT_H - 1 ? MOST_Y : OUT_H - 1)
    ) u_y (
        .clk(clk), .rst(rst), .tap(next && end_tap_row), .window(row), .last_tap(end_taps), .last_window(final_y),
        .outside(outside_y), .begins(begins), .next_begins(next_begins)
    );
    wire frame = row && final_y;

    /* verilator lint_off PINCONNECTEMPTY */
    counter #(.STEPS(FOLDS))  u_fold   (.clk(clk), .rst(rst), .next(next && taps),    .count(), .last(end_folds));
    counter #(.STEPS(REPEAT)) u_repeat (.clk(clk), .rst(rst), .next(next && folds),   .count(), .last(end_repeats));
    counter #(.STEPS(GROUPS)) u_group  (.clk(clk), .rst(rst), .next(next && repeats), .count(), .last(end_groups));
    /* verilator lint_on PINCONNECTEMPTY */

    localparam BACK = FOLDS - 1;
    reg [BEAT_W-1:0] number;
    always @(posedge clk) begin
        if (rst || (next && window)) number <= 0;
        else if (next && taps) number <= (folds && !repeats) ? number - BACK[BEAT_W-1:0] : number + 1'b1;
    end
    assign beat = number;

    assign step = frame ? 3'd6 : row ? 3'd5 : window ? 3'd4 : (folds && !repeats) ? 3'd3 : taps ? 3'd2
                : end_tap_row ? 3'd1 : 3'd0;
    assign frees  = frame || (row ? next_begins : begins && next_x);
    assign enters = !begins;

    wire unused = &{1'b0, unused_begins};
endmodule

`default_nettype wire
