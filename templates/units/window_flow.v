// SPDX-FileCopyrightText: cnn2rtl contributors
// SPDX-License-Identifier: Apache-2.0

// When pixels may come and windows may go, by credit. Each pixel that comes takes a place of the ring and brings the
// windows nearer to their last tap; each window that is done gives back the places of the pixels that no later one
// needs. Both counts change by constants, and what is asked of them is their sign.
`default_nettype none

module window_flow #(
    // Size of the map and of the grid of windows, in pixels.
    parameter IN_H = 8,
    parameter IN_W = 8,
    parameter OUT_H = 8,
    parameter OUT_W = 8,
    // Rows and columns from a window's first tap to its last.
    parameter REACH_Y = 3,
    parameter REACH_X = 3,
    // Stride, and padding before the first row and column, in pixels.
    parameter STRIDE_Y = 1,
    parameter STRIDE_X = 1,
    parameter PAD_TOP = 1,
    parameter PAD_LEFT = 1,
    // Rows in the ring.
    parameter ROWS = 4,
    // Cycles from one window to the next at least, >= 1.
    parameter SPACING = 1
) (
    input  wire       clk,
    input  wire       rst,
    input  wire       pixel,              // a pixel has come,
    input  wire       frame,              // the last of its frame
    output wire       room,               // there is room for one
    input  wire       en,                 // the pipeline behind moves,
    output wire       go,                 // and a beat enters it
    input  wire [2:0] step,               // of the beat that is next: as window_scan has it
    input  wire       frees,
    input  wire       enters
);
    // Positions are pixels in raster order since the start of the frame; those of the padding are negative.
    localparam FRAME = IN_H * IN_W;
    localparam START = 0 - PAD_TOP * IN_W - PAD_LEFT;
    localparam START_NEED = START + (REACH_Y - 1) * IN_W + REACH_X - 1;  // the first window's last tap
    localparam ACROSS = (OUT_W - 1) * STRIDE_X;
    localparam DOWN = (OUT_H - 1) * STRIDE_Y * IN_W;
    localparam FINAL_NEED = START_NEED + DOWN + ACROSS;

    // Every window gives up the pixels before its first tap, as far as the next row or frame does not need them: while
    // the first tap lies above the map, none; right of the map, those up to the end of its row; below the map, no more.
    localparam FIRST_Y = (PAD_TOP + STRIDE_Y - 1) / STRIDE_Y;            // first row of windows that begins in the map
    localparam MOST_Y  = (IN_H - 1 + PAD_TOP) / STRIDE_Y;
    localparam LAST_Y  = (MOST_Y < OUT_H - 1) ? MOST_Y : OUT_H - 1;      // and the last one
    localparam MOST_X  = (IN_W + PAD_LEFT) / STRIDE_X;
    localparam LAST_X  = (MOST_X < OUT_W - 1) ? MOST_X : OUT_W - 1;      // last window that begins left of the map's end
    localparam FREE_ROW   = STRIDE_Y * IN_W - LAST_X * STRIDE_X;
    localparam FREE_ENTER = (FIRST_Y * STRIDE_Y - PAD_TOP) * IN_W - PAD_LEFT;
    localparam FREE_START = (FIRST_Y == 0) ? FREE_ENTER : 0;
    localparam FREE_END   = (FIRST_Y > LAST_Y) ? 0
                          : FREE_ENTER + (LAST_Y - FIRST_Y) * STRIDE_Y * IN_W + LAST_X * STRIDE_X;
    localparam FREE_FRAME = FRAME + FREE_START - FREE_END;

    function integer largest(input integer a, input integer b);
        largest = (a > b) ? a : b;
    endfunction

    // ---------------------------------------------------------------- what windows wait for
    // Pixels that have come beyond the window's last tap, less one: it may go unless that is negative.
    localparam NEXT_ROW   = STRIDE_Y * IN_W - ACROSS;
    localparam NEXT_FRAME = FRAME - DOWN - ACROSS;
    localparam BEHIND  = largest(largest(START_NEED, FINAL_NEED - FRAME),
                                 largest(largest(NEXT_ROW, NEXT_FRAME), STRIDE_X)) + 2;
    localparam AHEAD   = ROWS * IN_W + largest(0, 0 - START_NEED) + PAD_LEFT + 2;
    localparam AHEAD_W = $clog2(largest(BEHIND, AHEAD)) + 1;
    localparam START_AHEAD = 0 - START_NEED - 1;
    localparam [AHEAD_W-1:0] ROW_A = 0 - NEXT_ROW[AHEAD_W-1:0], FRAME_A = 0 - NEXT_FRAME[AHEAD_W-1:0];
    localparam [AHEAD_W-1:0] PIXEL_A = 0 - STRIDE_X[AHEAD_W-1:0];
    // A constant or the next one: cheaper than to add both.
    function [AHEAD_W-1:0] nearer(input [AHEAD_W-1:0] by, input one_more);
        nearer = one_more ? by + 1'b1 : by;
    endfunction

    wire done = go && step[2];
    reg [AHEAD_W-1:0] ahead;
    always @(posedge clk) begin
        if (rst) ahead <= START_AHEAD[AHEAD_W-1:0];
        else ahead <= ahead + (!done ? nearer(0, pixel) : step[1] ? nearer(FRAME_A, pixel)
                               : step[0] ? nearer(ROW_A, pixel) : nearer(PIXEL_A, pixel));
    end

    // Past the bottom edge nothing more is to come: a complete frame suffices. Windows of padding alone wait for the
    // frame's first pixel, lest they come out before there is a frame.
    localparam EARLY = FINAL_NEED < FRAME - 1;                           // a frame may be done before its last pixel
    localparam FRAMES_W = $clog2(2 + ROWS / IN_H) + (EARLY ? 1 : 0);
    reg [FRAMES_W-1:0] frames;            // that have come and are not done, or -1
    reg begun;                            // some pixels of the next one have come
    always @(posedge clk) begin
        if (rst)                              frames <= 0;
        else if (frame && !(done && step[1])) frames <= frames + 1'b1;
        else if (!frame && done && step[1])   frames <= frames - 1'b1;
        if (rst || frame) begun <= 1'b0;
        else if (pixel)   begun <= 1'b1;
    end
    wire complete = !(EARLY && frames[FRAMES_W-1]) && (frames != 0);
    wire there = (!ahead[AHEAD_W-1] && (START_NEED >= 0 || complete || (frames == 0 && begun)))
                 || (FINAL_NEED >= FRAME && complete);

    // ---------------------------------------------------------------- how far windows keep apart
    wire rested;
    generate
        if (SPACING == 1) begin : g_close
            assign rested = 1'b1;
        end else begin : g_apart
            // Counts down through zero; the first beat of a window waits for that.
            localparam REST_W = $clog2(SPACING) + 1;
            localparam START_REST = SPACING - 3;
            reg [REST_W-1:0] rest;
            reg first, over;
            assign rested = !first || over;
            always @(posedge clk) begin
                if (rst)     first <= 1'b1;
                else if (go) first <= step[2];
                if (rst || (go && first)) rest <= START_REST[REST_W-1:0];
                else                      rest <= rest - 1'b1;
                if (rst)                 over <= 1'b1;
                else if (go && first)    over <= 1'b0;
                else if (rest[REST_W-1]) over <= 1'b1;
            end
        end
    endgenerate
    assign go = en && there && rested;

    // ---------------------------------------------------------------- what pixels wait for
    // Places in the ring, less one: a pixel may come unless that is negative. Those of a window are given back when the
    // address stage, one advance behind, has read them.
    localparam MOST_FREE = largest(largest(FREE_ROW, FREE_FRAME), largest(FREE_ENTER, STRIDE_X));
    localparam PLACES_W = $clog2(ROWS * IN_W + MOST_FREE + PAD_LEFT + 2) + 1;
    localparam START_PLACES = ROWS * IN_W + FREE_START - 1;
    localparam [PLACES_W-1:0] ROW_P = FREE_ROW[PLACES_W-1:0], FRAME_P = FREE_FRAME[PLACES_W-1:0];
    localparam [PLACES_W-1:0] ENTER_P = FREE_ENTER[PLACES_W-1:0], PIXEL_P = STRIDE_X[PLACES_W-1:0];
    function [PLACES_W-1:0] given(input [PLACES_W-1:0] back, input one_taken);
        given = one_taken ? back - 1'b1 : back;
    endfunction

    reg [PLACES_W-1:0] places;
    reg freed;
    reg [1:0] kind;                       // 0: within the row, 1: at its end, 2: at that of the frame, 3: entering the map
    wire give = en && freed;
    always @(posedge clk) begin
        if (en) begin
            freed <= done && frees;
            kind  <= step[1] ? 2'd2 : !step[0] ? 2'd0 : enters ? 2'd3 : 2'd1;
        end
        if (rst) freed <= 1'b0;
        if (rst) places <= START_PLACES[PLACES_W-1:0];
        else places <= places + (!give ? given(0, pixel) : kind == 2'd0 ? given(PIXEL_P, pixel)
                                 : kind == 2'd1 ? given(ROW_P, pixel) : kind == 2'd2 ? given(FRAME_P, pixel)
                                 : given(ENTER_P, pixel));
    end
    assign room = !places[PLACES_W-1];
endmodule

`default_nettype wire
