// SPDX-FileCopyrightText: cnn2rtl contributors
// SPDX-License-Identifier: Apache-2.0

// Line buffer with a sliding window. Pixels come in raster order, LANES channels per beat; windows leave in
// raster order, TAPS_Y x TAPS_X taps of LANES channels per beat, tap (y, x) at number y*TAPS_X + x. A window's
// beats are ordered, from the outermost: group of channels, repetition, beat of channels, tap row, tap column.
//
// The buffer is a ring of ROWS image rows, addressed at random, so padding, strides, row ends and frame ends
// cost no cycle: the windows of the next frame follow those of the last one directly. Where a beat holds more
// than one tap, rows (and columns) lie in memories of their own, to be read side by side.
//
// One beat per cycle; latency 5 cycles from the pixel that completes a window. A window that reaches into
// the padding on the right waits for as many pixels of the next row; and each SPACING cycles for the one before.
`default_nettype none

module window_buffer #(
    // Bits per channel.
    parameter BITS = 8,
    // Channels per beat, >= 1.
    parameter LANES = 1,
    // Channel groups per pixel (grouped convolution), >= 1.
    parameter GROUPS = 1,
    // Beats per group and pixel, >= 1.
    parameter FOLDS = 1,
    // Times each group of a window is shown, >= 1.
    parameter REPEAT = 1,
    // Size of the map and of the grid of windows, in pixels.
    parameter IN_H = 8,
    parameter IN_W = 8,
    parameter OUT_H = 8,
    parameter OUT_W = 8,
    // Kernel, stride, and padding before the first row and column, in pixels.
    parameter KERNEL_Y = 3,
    parameter KERNEL_X = 3,
    parameter STRIDE_Y = 1,
    parameter STRIDE_X = 1,
    parameter PAD_TOP = 1,
    parameter PAD_LEFT = 1,
    // Pixels from one tap to the next, >= 1.
    parameter DILATION_Y = 1,
    parameter DILATION_X = 1,
    // Taps per beat: 1 or KERNEL_Y rows, 1 or KERNEL_X columns; the latter need a DILATION_X prime to KERNEL_X.
    parameter TAPS_Y = 1,
    parameter TAPS_X = 1,
    // Rows in the ring: computed by the generator so that no window ever waits for room.
    parameter ROWS = 4,
    // Cycles from one window to the next at least, >= 1: what the next layer takes for one, so that none piles up
    // before it.
    parameter SPACING = 1,
    // Where the memories lie: see simple_ram.
    parameter PLACE = 0,
    // Pixels outside the map: the channels of one pixel, first channel lowest.
    parameter [GROUPS*FOLDS*LANES*BITS-1:0] PAD = 0
) (
    input  wire                                clk,
    input  wire                                rst,
    input  wire                                s_valid,
    output wire                                s_ready,
    input  wire [LANES*BITS-1:0]               s_data,
    output reg                                 m_valid,
    input  wire                                m_ready,
    output wire [TAPS_Y*TAPS_X*LANES*BITS-1:0] m_data
);
    // Rows and columns from a window's first tap to its last.
    localparam REACH_Y = (KERNEL_Y - 1) * DILATION_Y + 1;
    localparam REACH_X = (KERNEL_X - 1) * DILATION_X + 1;

    // The greatest common divisor.
    function integer divisor(input integer a, input integer b);
        integer k;
        begin
            divisor = 1;
            for (k = 2; k <= a; k = k + 1)
                if (a % k == 0 && b % k == 0) divisor = k;
        end
    endfunction

    generate
        if (TAPS_Y != 1 && TAPS_Y != KERNEL_Y) begin : g_taps_y
            TAPS_Y_must_be_1_or_KERNEL_Y u_error ();
        end
        if (TAPS_X != 1 && TAPS_X != KERNEL_X) begin : g_taps_x
            TAPS_X_must_be_1_or_KERNEL_X u_error ();
        end
        if (divisor(TAPS_X, DILATION_X) != 1) begin : g_dilation
            DILATION_X_must_be_prime_to_TAPS_X u_error ();
        end
        if (ROWS < REACH_Y) begin : g_rows
            ROWS_must_be_at_least_those_of_a_window u_error ();
        end
    endgenerate

    localparam BEAT_W = LANES * BITS;
    localparam BEATS  = GROUPS * FOLDS;                                  // per pixel
    localparam Y_BANKS = (TAPS_Y > 1) ? ROWS : 1;
    localparam X_BANKS = TAPS_X;
    // With several column memories pixel x lies in memory (x + X_SHIFT) mod X_BANKS, X_SHIFT = PAD_LEFT mod
    // X_BANKS, so that the first window of a row begins at memory 0.
    localparam X_SHIFT = PAD_LEFT % X_BANKS;
    localparam COLS = (IN_W + X_SHIFT + X_BANKS - 1) / X_BANKS;          // pixels per row and memory
    localparam ROW_WORDS = COLS * BEATS;
    localparam BANK_WORDS = (Y_BANKS > 1) ? ROW_WORDS : ROWS * ROW_WORDS;
    localparam X_BLOCKS = KERNEL_X / TAPS_X;                             // beats per tap row
    localparam Y_BLOCKS = KERNEL_Y / TAPS_Y;

    // Positions are pixels in raster order since the start of the frame; those of the padding are negative.
    localparam FRAME = IN_H * IN_W;
    localparam SPAN  = (REACH_Y - 1) * IN_W + REACH_X - 1;               // first to last tap of a window
    localparam START = 0 - PAD_TOP * IN_W - PAD_LEFT;
    localparam ROW_STEP = STRIDE_Y * IN_W - (OUT_W - 1) * STRIDE_X;      // last window of a row to the next one's first

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

    localparam POS_W  = $clog2((IN_H + ROWS + REACH_Y + STRIDE_Y + PAD_TOP + 2) * (IN_W + REACH_X + STRIDE_X)) + 2;
    localparam ADDR_W = (BANK_WORDS > 1) ? $clog2(BANK_WORDS) : 1;
    localparam FOLD_W = (BEATS > 1) ? $clog2(BEATS) : 1;
    localparam REP_W  = $clog2(REPEAT + 1);
    localparam GROUP_W = $clog2(GROUPS + 1);
    localparam SLOT_W = $clog2(2 * ROWS + 1);
    localparam BANK_W = $clog2(2 * X_BANKS + STRIDE_X + 1);
    localparam XY_W   = $clog2(IN_H + IN_W + 2 * REACH_Y + 2 * REACH_X + STRIDE_Y + STRIDE_X) + 2;
    localparam COUNT_W = XY_W;
    localparam REST_W = $clog2(SPACING + 1);

    // Constants at the width of what they meet: positions (P), addresses (A), beats (F), ring rows (S), column
    // memories (B) and coordinates (XY).
    localparam START_NEED = START + SPAN;
    localparam START_ROOM = ROWS * IN_W + FREE_START;
    localparam signed [POS_W-1:0] FRAME_P      = FRAME[POS_W-1:0];
    localparam signed [POS_W-1:0] START_NEED_P = START_NEED[POS_W-1:0];
    localparam signed [POS_W-1:0] START_ROOM_P = START_ROOM[POS_W-1:0];
    localparam signed [POS_W-1:0] X_STEP_P     = STRIDE_X[POS_W-1:0];
    localparam signed [POS_W-1:0] ROW_STEP_P   = ROW_STEP[POS_W-1:0];
    localparam signed [POS_W-1:0] FREE_ROW_P   = FREE_ROW[POS_W-1:0];
    localparam signed [POS_W-1:0] FREE_ENTER_P = FREE_ENTER[POS_W-1:0];
    localparam signed [POS_W-1:0] FREE_FRAME_P = FREE_FRAME[POS_W-1:0];
    localparam [ADDR_W-1:0] BEATS_A = BEATS[ADDR_W-1:0];
    localparam [ADDR_W-1:0] ROW_A   = ROW_WORDS[ADDR_W-1:0];
    localparam [FOLD_W-1:0] LAST_BEAT_F  = BEATS[FOLD_W-1:0] - 1'b1;
    localparam [FOLD_W-1:0] LAST_FOLD_F  = FOLDS[FOLD_W-1:0] - 1'b1;
    localparam [FOLD_W-1:0] FOLDS_F      = FOLDS[FOLD_W-1:0];
    localparam [REP_W-1:0] LAST_REP      = REPEAT[REP_W-1:0] - 1'b1;
    localparam [GROUP_W-1:0] FINAL_GROUP = GROUPS[GROUP_W-1:0] - 1'b1;
    localparam [REST_W-1:0] SPACING_R    = SPACING[REST_W-1:0];
    localparam [SLOT_W-1:0] ROWS_S       = ROWS[SLOT_W-1:0];
    localparam [SLOT_W-1:0] LAST_SLOT    = ROWS[SLOT_W-1:0] - 1'b1;
    localparam [BANK_W-1:0] BANKS_B      = X_BANKS[BANK_W-1:0];
    localparam [BANK_W-1:0] LAST_BANK    = X_BANKS[BANK_W-1:0] - 1'b1;
    localparam [BANK_W-1:0] X_SHIFT_B    = X_SHIFT[BANK_W-1:0];
    localparam [COUNT_W-1:0] FINAL_W_X   = IN_W[COUNT_W-1:0] - 1'b1;
    localparam [COUNT_W-1:0] FINAL_OUT_X = OUT_W[COUNT_W-1:0] - 1'b1;
    localparam [COUNT_W-1:0] FINAL_OUT_Y = OUT_H[COUNT_W-1:0] - 1'b1;
    localparam LAST_KX = (X_BLOCKS - 1) * DILATION_X, LAST_KY = (Y_BLOCKS - 1) * DILATION_Y;
    localparam [COUNT_W-1:0] FINAL_KX    = LAST_KX[COUNT_W-1:0], FINAL_KY = LAST_KY[COUNT_W-1:0];
    localparam [COUNT_W-1:0] KX_STEP     = DILATION_X[COUNT_W-1:0], KY_STEP = DILATION_Y[COUNT_W-1:0];
    localparam signed [XY_W-1:0] HEIGHT_XY = IN_H[XY_W-1:0], WIDTH_XY = IN_W[XY_W-1:0];
    localparam signed [XY_W-1:0] STRIDE_Y_XY = STRIDE_Y[XY_W-1:0], STRIDE_X_XY = STRIDE_X[XY_W-1:0];
    localparam signed [XY_W-1:0] FIRST_Y_XY = -PAD_TOP[XY_W-1:0], FIRST_X_XY = -PAD_LEFT[XY_W-1:0];

    // ---------------------------------------------------------------- write side
    reg signed [POS_W-1:0] room;          // pixels that may still be written
    reg [FOLD_W-1:0]  w_fold;
    reg [COUNT_W-1:0] w_x;
    reg [BANK_W-1:0]  w_bank;             // column memory
    reg [SLOT_W-1:0]  w_slot;             // row of the ring
    reg [ADDR_W-1:0]  w_row, w_col;       // address of the row and of the column within it

    assign s_ready = room > 0;
    wire put = s_valid && s_ready;
    wire put_pixel = put && (w_fold == LAST_BEAT_F);
    wire put_row = put_pixel && (w_x == FINAL_W_X);
    wire [ADDR_W-1:0] w_fold_a;
    extend #(.IN_W(FOLD_W), .OUT_W(ADDR_W)) u_w_fold (.in(w_fold), .out(w_fold_a));
    wire [ADDR_W-1:0] w_addr = w_row + w_col + w_fold_a;

    always @(posedge clk) begin
        if (rst) begin
            w_fold <= 0;
            w_x    <= 0;
            w_bank <= X_SHIFT_B;
            w_slot <= 0;
            w_row  <= 0;
            w_col  <= 0;
        end else if (put) begin
            w_fold <= put_pixel ? {FOLD_W{1'b0}} : w_fold + 1'b1;
            if (put_row) begin
                w_x    <= 0;
                w_bank <= X_SHIFT_B;
                w_col  <= 0;
                w_slot <= (w_slot == LAST_SLOT) ? {SLOT_W{1'b0}} : w_slot + 1'b1;
                if (Y_BANKS == 1) w_row <= (w_slot == LAST_SLOT) ? {ADDR_W{1'b0}} : w_row + ROW_A;
            end else if (put_pixel) begin
                w_x <= w_x + 1'b1;
                if (w_bank == LAST_BANK) begin
                    w_bank <= 0;
                    w_col  <= w_col + BEATS_A;
                end else begin
                    w_bank <= w_bank + 1'b1;
                end
            end
        end
    end

    // ---------------------------------------------------------------- read side: which beat is next
    reg signed [POS_W-1:0] loaded;        // position that the next pixel to be completed will have
    reg signed [POS_W-1:0] need;          // position of the window's last tap
    reg [COUNT_W-1:0] kx, ky;             // pixels from the window's first tap to the beat's
    reg [FOLD_W-1:0]  fold, fold_base;    // beat of the pixel, and the first of its group
    reg [REP_W-1:0]   rep;
    reg [GROUP_W-1:0] group;
    reg [COUNT_W-1:0] out_x, out_y;
    reg signed [XY_W-1:0] x0, y0;         // pixel under the window's first tap
    wire signed [XY_W-1:0] next_x0 = x0 + STRIDE_X_XY, next_y0 = y0 + STRIDE_Y_XY;
    reg [BANK_W-1:0]  bank;               // column memory of x0
    reg [ADDR_W-1:0]  col, kx_col;        // address of x0, and of kx relative to it
    reg [SLOT_W-1:0]  slot, ky_slot;      // ring row of y0, and of ky
    reg [ADDR_W-1:0]  row, ky_row;        // their addresses

    reg first;                            // the beat is the window's first
    reg [REST_W-1:0] rest;                // cycles until a window may begin

    wire en = !m_valid || m_ready;
    // Past the bottom edge nothing more is to come: a complete frame suffices. Windows of padding alone wait for the
    // frame's first pixel, lest they come out before there is a frame.
    wire go = en && (loaded > 0) && ((loaded > need) || (loaded >= FRAME_P)) && (!first || rest == 0);

    wire last_kx    = kx == FINAL_KX;
    wire last_ky    = last_kx && (ky == FINAL_KY);
    wire last_fold  = last_ky && (fold == fold_base + LAST_FOLD_F);
    wire last_rep   = last_fold && (rep == LAST_REP);
    wire last_group = last_rep && (group == FINAL_GROUP);               // the window is done
    wire last_x     = last_group && (out_x == FINAL_OUT_X);
    wire last_y     = last_x && (out_y == FINAL_OUT_Y);                  // the frame is done

    // The ring row, and its address, so many rows or words on. (Where rows have memories of their own, each begins at
    // address 0, and no one asks.)
    function [SLOT_W-1:0] slot_after(input [SLOT_W-1:0] from, input [SLOT_W-1:0] step);
        begin
            slot_after = from + step;
            if (slot_after >= ROWS_S) slot_after = slot_after - ROWS_S;
        end
    endfunction
    localparam [ADDR_W:0] RING_A = BANK_WORDS[ADDR_W:0];
    function [ADDR_W-1:0] row_after(input [ADDR_W-1:0] from, input [ADDR_W-1:0] step);
        reg [ADDR_W:0] to;
        begin
            to = {1'b0, from} + {1'b0, step};
            if (to >= RING_A) to = to - RING_A;
            row_after = to[ADDR_W-1:0];
        end
    endfunction
    localparam FIRST_SLOT  = (ROWS * PAD_TOP - PAD_TOP) % ROWS;
    localparam FIRST_ROW   = (Y_BANKS == 1) ? FIRST_SLOT * ROW_WORDS : 0;
    localparam Y_SLOTS     = STRIDE_Y % ROWS;
    localparam Y_WORDS     = Y_SLOTS * ROW_WORDS;
    localparam FRAME_ROWS  = IN_H - (OUT_H - 1) * STRIDE_Y;
    localparam FRAME_SLOTS = (FRAME_ROWS % ROWS + ROWS) % ROWS;
    localparam FRAME_WORDS = FRAME_SLOTS * ROW_WORDS;
    localparam KY_SLOTS    = DILATION_Y % ROWS;
    localparam KY_WORDS    = KY_SLOTS * ROW_WORDS;
    localparam KX_WORDS    = DILATION_X * BEATS;
    localparam [SLOT_W-1:0] FIRST_SLOT_S = FIRST_SLOT[SLOT_W-1:0], KY_SLOTS_S = KY_SLOTS[SLOT_W-1:0];
    localparam [ADDR_W-1:0] KY_WORDS_A = KY_WORDS[ADDR_W-1:0], KX_WORDS_A = KX_WORDS[ADDR_W-1:0];
    localparam [SLOT_W-1:0] Y_SLOTS_S = Y_SLOTS[SLOT_W-1:0], FRAME_SLOTS_S = FRAME_SLOTS[SLOT_W-1:0];
    localparam [ADDR_W-1:0] FIRST_ROW_A = FIRST_ROW[ADDR_W-1:0];
    localparam [ADDR_W-1:0] Y_WORDS_A = Y_WORDS[ADDR_W-1:0], FRAME_WORDS_A = FRAME_WORDS[ADDR_W-1:0];
    wire [SLOT_W-1:0] next_slot = slot_after(slot, last_y ? FRAME_SLOTS_S : Y_SLOTS_S);
    wire [ADDR_W-1:0] next_row  = row_after(row, last_y ? FRAME_WORDS_A : Y_WORDS_A);

    // The column STRIDE_X on: so many addresses, and the rest in memories.
    localparam X_ADDRESSES = (STRIDE_X / X_BANKS) * BEATS;
    localparam X_MEMORIES  = STRIDE_X % X_BANKS;
    localparam FIRST_COL   = 0 - (PAD_LEFT / X_BANKS) * BEATS;
    localparam [ADDR_W-1:0] X_ADDRESSES_A = X_ADDRESSES[ADDR_W-1:0], FIRST_COL_A = FIRST_COL[ADDR_W-1:0];
    localparam [BANK_W-1:0] X_MEMORIES_B = X_MEMORIES[BANK_W-1:0];
    wire carry = bank + X_MEMORIES_B >= BANKS_B;

    always @(posedge clk) begin
        if (rst) begin
            kx        <= 0;
            kx_col    <= 0;
            ky        <= 0;
            ky_slot   <= FIRST_SLOT_S;
            ky_row    <= FIRST_ROW_A;
            fold      <= 0;
            fold_base <= 0;
            rep       <= 0;
            group     <= 0;
            out_x     <= 0;
            x0        <= FIRST_X_XY;
            col       <= FIRST_COL_A;
            bank      <= 0;
            out_y     <= 0;
            y0        <= FIRST_Y_XY;
            slot      <= FIRST_SLOT_S;
            row       <= FIRST_ROW_A;
            need      <= START_NEED_P;
        end else if (go) begin
            kx     <= last_kx ? {COUNT_W{1'b0}} : kx + KX_STEP;
            kx_col <= last_kx ? {ADDR_W{1'b0}} : kx_col + KX_WORDS_A;
            if (last_kx) begin
                ky      <= last_ky ? {COUNT_W{1'b0}} : ky + KY_STEP;
                ky_slot <= last_x ? next_slot : last_ky ? slot : slot_after(ky_slot, KY_SLOTS_S);
                if (Y_BANKS == 1) ky_row <= last_x ? next_row : last_ky ? row : row_after(ky_row, KY_WORDS_A);
            end
            if (last_group) begin
                fold      <= 0;
                fold_base <= 0;
            end else if (last_rep) begin
                fold      <= fold_base + FOLDS_F;
                fold_base <= fold_base + FOLDS_F;
            end else if (last_fold) begin
                fold <= fold_base;
            end else if (last_ky) begin
                fold <= fold + 1'b1;
            end
            if (last_fold) rep   <= last_rep ? {REP_W{1'b0}} : rep + 1'b1;
            if (last_rep)  group <= last_group ? {GROUP_W{1'b0}} : group + 1'b1;
            if (last_x) begin
                out_x <= 0;
                x0    <= FIRST_X_XY;
                col   <= FIRST_COL_A;
                bank  <= 0;
                out_y <= last_y ? {COUNT_W{1'b0}} : out_y + 1'b1;
                y0    <= last_y ? FIRST_Y_XY : next_y0;
                slot  <= next_slot;
                if (Y_BANKS == 1) row <= next_row;
            end else if (last_group) begin
                out_x <= out_x + 1'b1;
                x0    <= next_x0;
                col   <= col + X_ADDRESSES_A + (carry ? BEATS_A : {ADDR_W{1'b0}});
                bank  <= carry ? bank + X_MEMORIES_B - BANKS_B : bank + X_MEMORIES_B;
            end
            if (last_y)          need <= START_NEED_P;
            else if (last_x)     need <= need + ROW_STEP_P;
            else if (last_group) need <= need + X_STEP_P;
        end
    end

    always @(posedge clk) begin
        if (rst) begin
            first <= 1'b1;
            rest  <= 0;
        end else begin
            if (go) first <= last_group;
            if (go && first)    rest <= SPACING_R - 1'b1;
            else if (rest != 0) rest <= rest - 1'b1;
        end
    end

    always @(posedge clk) begin
        if (rst) loaded <= 0;
        else     loaded <= loaded + (put_pixel ? 1 : 0) - ((go && last_y) ? FRAME_P : 0);
    end

    // A pixel is given up when the address stage, one advance behind, has read it.
    wire begins      = (y0 >= 0) && (y0 < HEIGHT_XY);                         // this row of windows begins in the map
    wire next_begins = (next_y0 >= 0) && (next_y0 < HEIGHT_XY);
    reg signed [POS_W-1:0] freed;
    reg signed [POS_W-1:0] free;
    always @* begin
        if (last_y)      free = FREE_FRAME_P;
        else if (last_x) free = !next_begins ? 0 : begins ? FREE_ROW_P : FREE_ENTER_P;
        else             free = (begins && next_x0 <= WIDTH_XY) ? X_STEP_P : 0;
    end
    always @(posedge clk) begin
        if (rst) begin
            freed <= 0;
            room  <= START_ROOM_P;
        end else begin
            if (en) freed <= (go && last_group) ? free : 0;
            room <= room - (put_pixel ? 1 : 0) + (en ? freed : 0);
        end
    end

    // ---------------------------------------------------------------- read pipeline
    // Stage 1: addresses, and which taps lie outside the map.
    reg valid1, valid2, valid3;
    wire [X_BANKS*ADDR_W-1:0] addr;
    reg [X_BANKS*ADDR_W-1:0] addr1;
    wire [TAPS_Y*TAPS_X-1:0] outside;
    reg [TAPS_Y*TAPS_X-1:0] outside1, outside2, outside3;
    reg [FOLD_W-1:0] fold1, fold2, fold3;
    reg [BANK_W-1:0] bank1, bank2, bank3;
    reg [SLOT_W-1:0] slot1, slot2, slot3;

    wire [ADDR_W-1:0] fold_a;
    extend #(.IN_W(FOLD_W), .OUT_W(ADDR_W)) u_fold (.in(fold), .out(fold_a));
    wire [ADDR_W-1:0] base = ky_row + col + kx_col + fold_a;

    // Tap by tap of a row: how many memories, and addresses, it lies behind the first.
    function [TAPS_X*32-1:0] memories_of_tap(input integer step);
        integer tap;
        for (tap = 0; tap < TAPS_X; tap = tap + 1) memories_of_tap[tap*32 +: 32] = (tap * step) % X_BANKS;
    endfunction
    function [TAPS_X*32-1:0] addresses_of_tap(input integer step);
        integer tap;
        for (tap = 0; tap < TAPS_X; tap = tap + 1) addresses_of_tap[tap*32 +: 32] = (tap * step) / X_BANKS * BEATS;
    endfunction
    localparam [TAPS_X*32-1:0] MEMORIES_OF_TAP  = memories_of_tap(DILATION_X);
    localparam [TAPS_X*32-1:0] ADDRESSES_OF_TAP = addresses_of_tap(DILATION_X);

    genvar xb, yb, gx, gy;
    generate
        for (xb = 0; xb < X_BANKS; xb = xb + 1) begin : g_addr
            localparam [BANK_W-1:0] BANK = xb;
            if (DILATION_X == 1 || X_BANKS == 1) begin : g_side_by_side
                // Memories before that of x0 hold the columns after the row's next address.
                assign addr[xb*ADDR_W +: ADDR_W] = (BANK < bank) ? base + BEATS_A : base;
            end else begin : g_apart
                // Each memory holds one tap: so many memories on from that of x0, and so many addresses.
                reg [ADDR_W-1:0] tap_addr;
                reg [BANK_W-1:0] to;
                reg wrap;
                integer tap;
                always @* begin
                    tap_addr = base;
                    for (tap = 1; tap < TAPS_X; tap = tap + 1) begin
                        to   = bank + MEMORIES_OF_TAP[tap*32 +: BANK_W];
                        wrap = to >= BANKS_B;
                        if (wrap) to = to - BANKS_B;
                        if (to == BANK)
                            tap_addr = base + ADDRESSES_OF_TAP[tap*32 +: ADDR_W] + (wrap ? BEATS_A : {ADDR_W{1'b0}});
                    end
                end
                assign addr[xb*ADDR_W +: ADDR_W] = tap_addr;
            end
        end
        for (gy = 0; gy < TAPS_Y; gy = gy + 1) begin : g_outside_y
            for (gx = 0; gx < TAPS_X; gx = gx + 1) begin : g_outside_x
                localparam DOWN = gy * DILATION_Y, RIGHT = gx * DILATION_X;
                localparam signed [XY_W-1:0] TAP_Y = DOWN[XY_W-1:0], TAP_X = RIGHT[XY_W-1:0];
                wire signed [XY_W-1:0] y = y0 + $signed(ky) + TAP_Y;
                wire signed [XY_W-1:0] x = x0 + $signed(kx) + TAP_X;
                assign outside[gy*TAPS_X + gx] = (y < 0) || (y >= HEIGHT_XY) || (x < 0) || (x >= WIDTH_XY);
            end
        end
    endgenerate

    always @(posedge clk) begin
        if (en) begin
            addr1    <= addr;
            outside1 <= outside;
            fold1    <= fold;
            bank1    <= bank;
            slot1    <= ky_slot;
        end
    end

    // Stage 2: memories, one per ring row (if read side by side) and column class.
    wire [Y_BANKS*X_BANKS*BEAT_W-1:0] read_data;
    generate
        for (yb = 0; yb < Y_BANKS; yb = yb + 1) begin : g_row
            for (xb = 0; xb < X_BANKS; xb = xb + 1) begin : g_col
                simple_ram #(.WIDTH(BEAT_W), .DEPTH(BANK_WORDS), .PLACE(PLACE)) u_ram (
                    .clk(clk),
                    .write(put && (Y_BANKS == 1 || w_slot == yb) && w_bank == xb),
                    .write_addr(w_addr),
                    .write_data(s_data),
                    .read(en),
                    .read_addr(addr1[xb*ADDR_W +: ADDR_W]),
                    .read_data(read_data[(yb*X_BANKS + xb)*BEAT_W +: BEAT_W])
                );
            end
        end
    endgenerate

    always @(posedge clk) begin
        if (en) begin
            outside2 <= outside1;
            fold2    <= fold1;
            bank2    <= bank1;
            slot2    <= slot1;
        end
    end

    // Stage 3: into registers, which tools may draw into the block RAMs: these answer late in the cycle.
    reg [Y_BANKS*X_BANKS*BEAT_W-1:0] words;
    always @(posedge clk) begin
        if (en) begin
            words    <= read_data;
            outside3 <= outside2;
            fold3    <= fold2;
            bank3    <= bank2;
            slot3    <= slot2;
        end
    end

    // Stage 4: each tap finds its memory, or the padding.
    wire [BEAT_W-1:0] pad;
    generate
        if (PAD == 0) begin : g_zero
            assign pad = 0;
            wire unused = &{1'b0, fold3};
        end else begin : g_pad
            assign pad = PAD[fold3*BEAT_W +: BEAT_W];
        end
    endgenerate

    // First its row in the ring, for all column memories at once, then its column: two narrow choices cost far less
    // than one among all memories.
    generate
        for (gy = 0; gy < TAPS_Y; gy = gy + 1) begin : g_tap_y
            localparam DOWN = gy * DILATION_Y;
            localparam [SLOT_W-1:0] TAP_Y = DOWN[SLOT_W-1:0];
            wire [SLOT_W-1:0] from_y = (Y_BANKS == 1) ? {SLOT_W{1'b0}} : slot_after(slot3, TAP_Y);
            reg [X_BANKS*BEAT_W-1:0] ring_row;
            integer k;
            always @* begin
                ring_row = words[X_BANKS*BEAT_W-1:0];
                for (k = 1; k < Y_BANKS; k = k + 1)
                    if (from_y == k[SLOT_W-1:0]) ring_row = words[k*X_BANKS*BEAT_W +: X_BANKS*BEAT_W];
            end
            for (gx = 0; gx < TAPS_X; gx = gx + 1) begin : g_tap_x
                localparam RIGHT = (gx * DILATION_X) % X_BANKS;
                localparam [BANK_W-1:0] TAP_X = RIGHT[BANK_W-1:0];
                wire [BANK_W-1:0] sum_x  = bank3 + TAP_X;
                wire [BANK_W-1:0] from_x = (sum_x >= BANKS_B) ? sum_x - BANKS_B : sum_x;
                reg [BEAT_W-1:0] pixel;
                integer c;
                always @* begin
                    pixel = ring_row[BEAT_W-1:0];
                    for (c = 1; c < X_BANKS; c = c + 1)
                        if (from_x == c[BANK_W-1:0]) pixel = ring_row[c*BEAT_W +: BEAT_W];
                end
                reg [BEAT_W-1:0] tap;
                always @(posedge clk) if (en) tap <= outside3[gy*TAPS_X + gx] ? pad : pixel;
                assign m_data[(gy*TAPS_X + gx)*BEAT_W +: BEAT_W] = tap;
            end
        end
    endgenerate

    always @(posedge clk) begin
        if (rst) begin
            valid1  <= 1'b0;
            valid2  <= 1'b0;
            valid3  <= 1'b0;
            m_valid <= 1'b0;
        end else if (en) begin
            valid1  <= go;
            valid2  <= valid1;
            valid3  <= valid2;
            m_valid <= valid3;
        end
    end
endmodule

`default_nettype wire
