// SPDX-FileCopyrightText: cnn2rtl contributors
// SPDX-License-Identifier: Apache-2.0

// The way of a window along one axis of a map: how far its taps are, which of them lie outside the map, which of its
// steps is the last. A window stays until `window` is high with `tap` at its last step, and the last one of
// the axis is followed by the first.
`default_nettype none

module window_axis #(
    // Pixels of the map, and windows.
    parameter SIZE = 8,
    parameter WINDOWS = 8,
    // Taps of a window, pixels from each to the next, and how many of them a step covers: 1 or all.
    parameter KERNEL = 3,
    parameter DILATION = 1,
    parameter TAPS = 1,
    // Pixels from one window to the next, and before the map.
    parameter STRIDE = 1,
    parameter PAD = 1,
    // The windows that `begins` is about, by number, from the first to the last.
    parameter FIRST = 0,
    parameter LAST = 7
) (
    input  wire            clk,
    input  wire            rst,
    input  wire            tap,           // a step along the window: behind its last one to its first again
    input  wire            window,        // to the next window instead
    output wire            last_tap,      // it is at the window's last step
    output wire            last_window,   // of the last window
    output wire [TAPS-1:0] outside,       // which taps of this step lie outside the map
    output wire            begins,        // at its last step: the window is one of FIRST to LAST,
    output wire            next_begins    // or the one after it is
);
    localparam STEPS  = KERNEL / TAPS;
    localparam BACK   = (STEPS - 1) * DILATION;                          // from a window's last step to its first
    localparam MOST   = (WINDOWS - 1) * STRIDE + BACK;
    localparam ONWARD = STRIDE - BACK;
    localparam W      = $clog2(MOST + 2);

    // Pixels from the padding's first to the step's first tap.
    reg [W-1:0] position;

    /* verilator lint_off PINCONNECTEMPTY */
    counter #(.STEPS(STEPS)) u_tap (.clk(clk), .rst(rst), .next(tap), .count(), .last(last_tap));
    /* verilator lint_on PINCONNECTEMPTY */
    assign last_window = position == MOST[W-1:0];

    localparam [W-1:0] BY_TAP = DILATION[W-1:0], BY_WINDOW = ONWARD[W-1:0], TO_FIRST = 0 - BACK[W-1:0];
    always @(posedge clk) begin
        if (rst || (tap && window && last_window)) position <= 0;
        else if (tap) position <= position + (!last_tap ? BY_TAP : window ? BY_WINDOW : TO_FIRST);
    end

    // Against a constant, as a chain of gates: of a comparison tools would make a subtraction, a look-up table per bit.
    function at_least(input [W-1:0] number, input integer bound);
        integer k;
        begin
            at_least = 1'b1;
            for (k = 0; k < W; k = k + 1) at_least = bound[k] ? (number[k] && at_least) : (number[k] || at_least);
            if (bound <= 0)   at_least = 1'b1;
            if (bound > MOST) at_least = 1'b0;
        end
    endfunction

    genvar g;
    generate
        for (g = 0; g < TAPS; g = g + 1) begin : g_tap
            localparam BEGIN = PAD - g * DILATION;                       // where this tap enters the map, and leaves it
            assign outside[g] = !at_least(position, BEGIN) || at_least(position, BEGIN + SIZE);
        end
    endgenerate
    assign begins = at_least(position, FIRST * STRIDE + BACK) && !at_least(position, LAST * STRIDE + BACK + 1);
    assign next_begins = at_least(position, (FIRST - 1) * STRIDE + BACK)
                         && (LAST >= WINDOWS - 1 || !at_least(position, (LAST - 1) * STRIDE + BACK + 1));
endmodule

`default_nettype wire
