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
// One beat per cycle; latency 3 cycles from the pixel that completes a window.
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
    // Taps per beat: 1 or KERNEL_Y rows, 1 or KERNEL_X columns.
    parameter TAPS_Y = 1,
    parameter TAPS_X = 1,
    // Rows in the ring: computed by the generator so that no window ever waits for room.
    parameter ROWS = 4,
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
    generate
        if (TAPS_Y != 1 && TAPS_Y != KERNEL_Y) begin : g_taps_y
            TAPS_Y_must_be_1_or_KERNEL_Y u_error ();
        end
        if (TAPS_X != 1 && TAPS_X != KERNEL_X) begin : g_taps_x
            TAPS_X_must_be_1_or_KERNEL_X u_error ();
        end
        if (ROWS < KERNEL_Y) begin : g_rows
            ROWS_must_be_at_least_KERNEL_Y u_error ();
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
    localparam SPAN  = (KERNEL_Y - 1) * IN_W + KERNEL_X - 1;             // first to last tap of a window
    localparam START = 0 - PAD_TOP * IN_W - PAD_LEFT;
    localparam ROW_STEP   = STRIDE_Y * IN_W - (OUT_W - 1) * STRIDE_X;
    localparam FRAME_STEP = FRAME + START - (START + (OUT_H - 1) * STRIDE_Y * IN_W + (OUT_W - 1) * STRIDE_X);

    localparam POS_W  = $clog2((IN_H + ROWS + KERNEL_Y + STRIDE_Y + PAD_TOP + 2) * (IN_W + KERNEL_X + STRIDE_X)) + 2;
    localparam ADDR_W = $clog2(BANK_WORDS + KERNEL_X * BEATS + 1) + 1;
    localparam MEM_W  = (BANK_WORDS > 1) ? $clog2(BANK_WORDS) : 1;
    localparam FOLD_W = $clog2(BEATS + 1);
    localparam REP_W  = $clog2(REPEAT + 1);
    localparam GROUP_W = $clog2(GROUPS + 1);
    localparam SLOT_W = $clog2(2 * ROWS + 1);
    localparam BANK_W = $clog2(2 * X_BANKS + STRIDE_X + 1);
    localparam XY_W   = $clog2(IN_H + IN_W + 2 * KERNEL_Y + 2 * KERNEL_X + STRIDE_Y + STRIDE_X) + 2;
    localparam COUNT_W = XY_W;

    // Constants at the width of what they meet.
    localparam signed [POS_W-1:0] FRAME_P = FRAME, START_NEED = START + SPAN, START_ROOM = ROWS * IN_W + START;
    localparam signed [POS_W-1:0] X_STEP_P = STRIDE_X, ROW_STEP_P = ROW_STEP, FRAME_STEP_P = FRAME_STEP;
    localparam [ADDR_W-1:0] BEATS_A = BEATS, ROW_A = ROW_WORDS, LAST_ROW_A = (ROWS - 1) * ROW_WORDS;

    // ---------------------------------------------------------------- write side
    reg signed [POS_W-1:0] room;          // pixels that may still be written
    reg [FOLD_W-1:0]  w_fold;
    reg [COUNT_W-1:0] w_x;
    reg [BANK_W-1:0]  w_bank;             // column memory
    reg [SLOT_W-1:0]  w_slot;             // row of the ring
    reg [ADDR_W-1:0]  w_row, w_col;       // address of the row and of the column within it

    assign s_ready = room > 0;
    wire put = s_valid && s_ready;
    wire put_pixel = put && (w_fold == BEATS - 1);
    wire put_row = put_pixel && (w_x == IN_W - 1);
    wire [ADDR_W-1:0] w_addr = w_row + w_col + {{(ADDR_W-FOLD_W){1'b0}}, w_fold};

    always @(posedge clk) begin
        if (rst) begin
            w_fold <= 0;
            w_x    <= 0;
            w_bank <= X_SHIFT;
            w_slot <= 0;
            w_row  <= 0;
            w_col  <= 0;
        end else if (put) begin
            w_fold <= put_pixel ? {FOLD_W{1'b0}} : w_fold + 1'b1;
            if (put_row) begin
                w_x    <= 0;
                w_bank <= X_SHIFT;
                w_col  <= 0;
                w_slot <= (w_slot == ROWS - 1) ? {SLOT_W{1'b0}} : w_slot + 1'b1;
                if (Y_BANKS == 1) w_row <= (w_slot == ROWS - 1) ? {ADDR_W{1'b0}} : w_row + ROW_A;
            end else if (put_pixel) begin
                w_x <= w_x + 1'b1;
                if (w_bank == X_BANKS - 1) begin
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
    reg [COUNT_W-1:0] kx, ky;             // first tap of the beat
    reg [FOLD_W-1:0]  fold, fold_base;    // beat of the pixel, and the first of its group
    reg [REP_W-1:0]   rep;
    reg [GROUP_W-1:0] group;
    reg [COUNT_W-1:0] out_x, out_y;
    reg signed [XY_W-1:0] x0, y0;         // pixel under the window's first tap
    reg [BANK_W-1:0]  bank;               // column memory of x0
    reg [ADDR_W-1:0]  col, kx_col;        // address of x0, and of kx relative to it
    reg [SLOT_W-1:0]  slot, ky_slot;      // ring row of y0, and of ky
    reg [ADDR_W-1:0]  row, ky_row;        // their addresses

    wire en = !m_valid || m_ready;
    // Past the bottom edge nothing more is to come: a complete frame suffices.
    wire go = en && ((loaded > need) || (loaded >= FRAME_P));

    wire last_kx    = kx == X_BLOCKS - 1;
    wire last_ky    = last_kx && (ky == Y_BLOCKS - 1);
    wire last_fold  = last_ky && (fold == fold_base + FOLDS - 1);
    wire last_rep   = last_fold && (rep == REPEAT - 1);
    wire last_group = last_rep && (group == GROUPS - 1);               // the window is done
    wire last_x     = last_group && (out_x == OUT_W - 1);
    wire last_y     = last_x && (out_y == OUT_H - 1);                  // the frame is done

    // The ring row STEP rows on.
    function [SLOT_W-1:0] slot_after(input [SLOT_W-1:0] from, input integer step);
        integer to;
        begin
            to = from + step;
            slot_after = (to >= ROWS) ? to - ROWS : to;
        end
    endfunction
    function [ADDR_W-1:0] row_after(input [ADDR_W-1:0] from, input integer step);
        integer to;
        begin
            to = from + step * ROW_WORDS;
            row_after = (to >= ROWS * ROW_WORDS) ? to - ROWS * ROW_WORDS : to;
        end
    endfunction
    localparam FIRST_SLOT = (ROWS * PAD_TOP - PAD_TOP) % ROWS;
    localparam Y_SLOTS = STRIDE_Y % ROWS;
    localparam FRAME_ROWS = IN_H - (OUT_H - 1) * STRIDE_Y;
    localparam FRAME_SLOTS = (FRAME_ROWS % ROWS + ROWS) % ROWS;
    wire [SLOT_W-1:0] next_slot = slot_after(slot, last_y ? FRAME_SLOTS : Y_SLOTS);
    wire [ADDR_W-1:0] next_row  = row_after(row, last_y ? FRAME_SLOTS : Y_SLOTS);

    // The column STRIDE_X on: so many addresses, and the rest in memories.
    wire carry = bank + (STRIDE_X % X_BANKS) >= X_BANKS;
    localparam [ADDR_W-1:0] X_STEP_A = (STRIDE_X / X_BANKS) * BEATS;
    localparam [ADDR_W-1:0] FIRST_COL = 0 - (PAD_LEFT / X_BANKS) * BEATS;
    localparam [BANK_W-1:0] X_STEP_B = STRIDE_X % X_BANKS;

    always @(posedge clk) begin
        if (rst) begin
            kx        <= 0;
            kx_col    <= 0;
            ky        <= 0;
            ky_slot   <= FIRST_SLOT;
            ky_row    <= (Y_BANKS == 1) ? FIRST_SLOT * ROW_WORDS : 0;
            fold      <= 0;
            fold_base <= 0;
            rep       <= 0;
            group     <= 0;
            out_x     <= 0;
            x0        <= 0 - PAD_LEFT;
            col       <= FIRST_COL;
            bank      <= 0;
            out_y     <= 0;
            y0        <= 0 - PAD_TOP;
            slot      <= FIRST_SLOT;
            row       <= (Y_BANKS == 1) ? FIRST_SLOT * ROW_WORDS : 0;
            need      <= START_NEED;
        end else if (go) begin
            kx     <= last_kx ? {COUNT_W{1'b0}} : kx + 1'b1;
            kx_col <= last_kx ? {ADDR_W{1'b0}} : kx_col + BEATS_A;
            if (last_kx) begin
                ky      <= last_ky ? {COUNT_W{1'b0}} : ky + 1'b1;
                ky_slot <= last_x ? next_slot : last_ky ? slot : slot_after(ky_slot, 1);
                if (Y_BANKS == 1) ky_row <= last_x ? next_row : last_ky ? row : row_after(ky_row, 1);
            end
            if (last_group) begin
                fold      <= 0;
                fold_base <= 0;
            end else if (last_rep) begin
                fold      <= fold_base + FOLDS;
                fold_base <= fold_base + FOLDS;
            end else if (last_fold) begin
                fold <= fold_base;
            end else if (last_ky) begin
                fold <= fold + 1'b1;
            end
            if (last_fold) rep   <= last_rep ? {REP_W{1'b0}} : rep + 1'b1;
            if (last_rep)  group <= last_group ? {GROUP_W{1'b0}} : group + 1'b1;
            if (last_x) begin
                out_x <= 0;
                x0    <= 0 - PAD_LEFT;
                col   <= FIRST_COL;
                bank  <= 0;
                out_y <= last_y ? {COUNT_W{1'b0}} : out_y + 1'b1;
                y0    <= last_y ? 0 - PAD_TOP : y0 + STRIDE_Y;
                slot  <= next_slot;
                if (Y_BANKS == 1) row <= next_row;
            end else if (last_group) begin
                out_x <= out_x + 1'b1;
                x0    <= x0 + STRIDE_X;
                col   <= col + X_STEP_A + (carry ? BEATS_A : {ADDR_W{1'b0}});
                bank  <= carry ? bank + X_STEP_B - X_BANKS : bank + X_STEP_B;
            end
            if (last_y)          need <= START_NEED;
            else if (last_x)     need <= need + ROW_STEP_P;
            else if (last_group) need <= need + X_STEP_P;
        end
    end

    always @(posedge clk) begin
        if (rst) loaded <= 0;
        else     loaded <= loaded + (put_pixel ? 1 : 0) - ((go && last_y) ? FRAME_P : 0);
    end

    // A pixel is given up when the address stage, one advance behind, has read it.
    reg signed [POS_W-1:0] freed;
    always @(posedge clk) begin
        if (rst) begin
            freed <= 0;
            room  <= START_ROOM;
        end else begin
            if (en) freed <= !(go && last_group) ? 0 : last_y ? FRAME_STEP_P : last_x ? ROW_STEP_P : X_STEP_P;
            room <= room - (put_pixel ? 1 : 0) + (en ? freed : 0);
        end
    end

    // ---------------------------------------------------------------- read pipeline
    // Stage 1: addresses, and which taps lie outside the map.
    reg valid1, valid2;
    reg [X_BANKS*MEM_W-1:0] addr1;
    reg [TAPS_Y*TAPS_X-1:0] outside1, outside2;
    reg [FOLD_W-1:0] fold1, fold2;
    reg [BANK_W-1:0] bank1, bank2;
    reg [SLOT_W-1:0] slot1, slot2;

    wire [ADDR_W-1:0] base = ky_row + col + kx_col + {{(ADDR_W-FOLD_W){1'b0}}, fold};

    integer b, ty, tx;
    reg signed [XY_W-1:0] tap_x, tap_y;
    reg [ADDR_W-1:0] bank_addr;
    always @(posedge clk) begin
        if (en) begin
            fold1 <= fold;
            bank1 <= bank;
            slot1 <= ky_slot;
            for (b = 0; b < X_BANKS; b = b + 1) begin
                // Memories before that of x0 hold the columns after the row's next address.
                bank_addr = base + ((b < bank) ? BEATS_A : 0);
                addr1[b*MEM_W +: MEM_W] <= bank_addr[MEM_W-1:0];
            end
            for (ty = 0; ty < TAPS_Y; ty = ty + 1)
                for (tx = 0; tx < TAPS_X; tx = tx + 1) begin
                    tap_y = y0 + ky + ty;
                    tap_x = x0 + kx + tx;
                    outside1[ty*TAPS_X + tx] <= (tap_y < 0) || (tap_y >= IN_H) || (tap_x < 0) || (tap_x >= IN_W);
                end
        end
    end

    // Stage 2: memories, one per ring row (if read side by side) and column class.
    wire [Y_BANKS*X_BANKS*BEAT_W-1:0] read_data;
    genvar yb, xb;
    generate
        for (yb = 0; yb < Y_BANKS; yb = yb + 1) begin : g_row
            for (xb = 0; xb < X_BANKS; xb = xb + 1) begin : g_col
                simple_ram #(.WIDTH(BEAT_W), .DEPTH(BANK_WORDS)) u_ram (
                    .clk(clk),
                    .write(put && (Y_BANKS == 1 || w_slot == yb) && w_bank == xb),
                    .write_addr(w_addr[MEM_W-1:0]),
                    .write_data(s_data),
                    .read(en),
                    .read_addr(addr1[xb*MEM_W +: MEM_W]),
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

    // Stage 3: each tap finds its memory, or the padding.
    wire [BEAT_W-1:0] pad;
    generate
        if (PAD == 0) begin : g_zero
            assign pad = 0;
            wire unused = &{1'b0, fold2};
        end else begin : g_pad
            assign pad = PAD[fold2*BEAT_W +: BEAT_W];
        end
    endgenerate

    genvar gy, gx;
    generate
        for (gy = 0; gy < TAPS_Y; gy = gy + 1) begin : g_tap_y
            for (gx = 0; gx < TAPS_X; gx = gx + 1) begin : g_tap_x
                wire [SLOT_W-1:0] from_y = (Y_BANKS == 1) ? {SLOT_W{1'b0}} : slot_after(slot2, gy);
                wire [BANK_W-1:0] sum_x  = bank2 + gx;
                wire [BANK_W-1:0] from_x = (sum_x >= X_BANKS) ? sum_x - X_BANKS : sum_x;
                reg [BEAT_W-1:0] tap;
                always @(posedge clk) begin
                    if (en) tap <= outside2[gy*TAPS_X + gx] ? pad
                                 : read_data[(from_y*X_BANKS + from_x)*BEAT_W +: BEAT_W];
                end
                assign m_data[(gy*TAPS_X + gx)*BEAT_W +: BEAT_W] = tap;
            end
        end
    endgenerate

    always @(posedge clk) begin
        if (rst) begin
            valid1  <= 1'b0;
            valid2  <= 1'b0;
            m_valid <= 1'b0;
        end else if (en) begin
            valid1  <= go;
            valid2  <= valid1;
            m_valid <= valid2;
        end
    end
endmodule

`default_nettype wire
