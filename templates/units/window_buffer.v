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
    localparam ROW_BANKS = (TAPS_Y > 1) ? ROWS : 1;
    localparam COLUMN_BANKS = TAPS_X;
    // With several column memories pixel x lies in memory (x + FIRST_BANK) mod COLUMN_BANKS, so that the first window of
    // a row begins at memory 0.
    localparam FIRST_BANK = PAD_LEFT % COLUMN_BANKS;
    localparam ROW_WORDS  = (IN_W + FIRST_BANK + COLUMN_BANKS - 1) / COLUMN_BANKS * BEATS;
    localparam BANK_WORDS = ROW_WORDS * (ROW_BANKS > 1 ? 1 : ROWS);
    localparam ADDR_W = (BANK_WORDS > 1) ? $clog2(BANK_WORDS) : 1;
    localparam SLOT_W = (ROW_BANKS > 1) ? $clog2(ROW_BANKS) : 1;
    localparam BANK_W = (COLUMN_BANKS > 1) ? $clog2(COLUMN_BANKS) : 1;
    localparam FOLD_W = (BEATS > 1) ? $clog2(BEATS) : 1;

    // ---------------------------------------------------------------- write side
    wire put = s_valid && s_ready;
    wire put_pixel, put_frame;
    wire [ADDR_W-1:0] w_addr;
    wire [SLOT_W-1:0] w_slot;
    wire [BANK_W-1:0] w_bank;
    ring_writer #(
        .IN_H(IN_H), .IN_W(IN_W), .BEATS(BEATS), .ROWS(ROWS), .ROW_BANKS(ROW_BANKS), .COLUMN_BANKS(COLUMN_BANKS),
        .FIRST_BANK(FIRST_BANK)
    ) u_writer (
        .clk(clk), .rst(rst), .put(put), .addr(w_addr), .slot(w_slot), .bank(w_bank), .pixel(put_pixel),
        .frame(put_frame)
    );

    // ---------------------------------------------------------------- read side: which beat is next, and when it goes
    wire en = !m_valid || m_ready;
    wire go, frees, enters;
    wire [2:0] step;
    wire [FOLD_W-1:0] beat;
    wire [TAPS_Y-1:0] outside_y;
    wire [TAPS_X-1:0] outside_x;
    window_scan #(
        .GROUPS(GROUPS), .FOLDS(FOLDS), .REPEAT(REPEAT), .IN_H(IN_H), .IN_W(IN_W), .OUT_H(OUT_H), .OUT_W(OUT_W),
        .KERNEL_Y(KERNEL_Y), .KERNEL_X(KERNEL_X), .STRIDE_Y(STRIDE_Y), .STRIDE_X(STRIDE_X), .PAD_TOP(PAD_TOP),
        .PAD_LEFT(PAD_LEFT), .DILATION_Y(DILATION_Y), .DILATION_X(DILATION_X), .TAPS_Y(TAPS_Y), .TAPS_X(TAPS_X)
    ) u_scan (
        .clk(clk), .rst(rst), .next(go), .beat(beat), .outside_y(outside_y), .outside_x(outside_x), .step(step),
        .frees(frees), .enters(enters)
    );
    window_flow #(
        .IN_H(IN_H), .IN_W(IN_W), .OUT_H(OUT_H), .OUT_W(OUT_W), .REACH_Y(REACH_Y), .REACH_X(REACH_X),
        .STRIDE_Y(STRIDE_Y), .STRIDE_X(STRIDE_X), .PAD_TOP(PAD_TOP), .PAD_LEFT(PAD_LEFT), .ROWS(ROWS), .SPACING(SPACING)
    ) u_flow (
        .clk(clk), .rst(rst), .pixel(put_pixel), .frame(put_frame), .room(s_ready), .en(en), .go(go), .step(step),
        .frees(frees), .enters(enters)
    );

    // ---------------------------------------------------------------- read pipeline
    // Stage 1: addresses.
    wire [COLUMN_BANKS*ADDR_W-1:0] addr;
    wire [SLOT_W-1:0] slot;
    wire [BANK_W-1:0] bank;
    window_address #(
        .BEATS(BEATS), .FOLDS(FOLDS), .IN_H(IN_H), .IN_W(IN_W), .OUT_H(OUT_H), .OUT_W(OUT_W), .KERNEL_Y(KERNEL_Y),
        .KERNEL_X(KERNEL_X), .STRIDE_Y(STRIDE_Y), .STRIDE_X(STRIDE_X), .PAD_TOP(PAD_TOP), .PAD_LEFT(PAD_LEFT),
        .DILATION_Y(DILATION_Y), .DILATION_X(DILATION_X), .ROWS(ROWS), .ROW_BANKS(ROW_BANKS),
        .COLUMN_BANKS(COLUMN_BANKS)
    ) u_address (
        .clk(clk), .rst(rst), .go(go), .step(step), .addr(addr), .slot(slot), .bank(bank)
    );

    // Stage 2: memories, one per ring row (if read side by side) and column class.
    wire [ROW_BANKS*COLUMN_BANKS*BEAT_W-1:0] read_data;
    genvar y, x;
    generate
        for (y = 0; y < ROW_BANKS; y = y + 1) begin : g_row
            for (x = 0; x < COLUMN_BANKS; x = x + 1) begin : g_column
                simple_ram #(.WIDTH(BEAT_W), .DEPTH(BANK_WORDS), .PLACE(PLACE)) u_ram (
                    .clk(clk),
                    .write(put && (ROW_BANKS == 1 || w_slot == y) && w_bank == x),
                    .write_addr(w_addr),
                    .write_data(s_data),
                    .read(en),
                    .read_addr(addr[x*ADDR_W +: ADDR_W]),
                    .read_data(read_data[(y*COLUMN_BANKS + x)*BEAT_W +: BEAT_W])
                );
            end
        end
    endgenerate

    // Stage 3: into registers, which tools may draw into the block RAMs: these answer late in the cycle. What else is
    // known of the beat comes along.
    localparam NOTE_W = FOLD_W + SLOT_W + BANK_W + TAPS_Y + TAPS_X;
    reg [ROW_BANKS*COLUMN_BANKS*BEAT_W-1:0] words;
    reg [NOTE_W-1:0] note1, note2, note3;
    reg valid1, valid2, valid3;
    always @(posedge clk) begin
        if (en) begin
            words <= read_data;
            note1 <= {beat, slot, bank, outside_y, outside_x};
            note2 <= note1;
            note3 <= note2;
        end
    end
    wire [FOLD_W-1:0] beat3;
    wire [SLOT_W-1:0] slot3;
    wire [BANK_W-1:0] bank3;
    wire [TAPS_Y-1:0] outside_y3;
    wire [TAPS_X-1:0] outside_x3;
    assign {beat3, slot3, bank3, outside_y3, outside_x3} = note3;

    // Stage 4: each tap finds its memory, or the padding.
    wire [BEAT_W-1:0] pad;
    generate
        if (PAD == 0) begin : g_zero
            assign pad = 0;
            wire unused = &{1'b0, beat3};
        end else begin : g_pad
            assign pad = PAD[beat3*BEAT_W +: BEAT_W];
        end
    endgenerate
    tap_select #(
        .WIDTH(BEAT_W), .TAPS_Y(TAPS_Y), .TAPS_X(TAPS_X), .ROW_BANKS(ROW_BANKS), .COLUMN_BANKS(COLUMN_BANKS),
        .DILATION_Y(DILATION_Y), .DILATION_X(DILATION_X)
    ) u_taps (
        .clk(clk), .en(en), .words(words), .slot(slot3), .bank(bank3), .outside_y(outside_y3),
        .outside_x(outside_x3), .pad(pad), .taps(m_data)
    );

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
