// SPDX-FileCopyrightText: cnn2rtl contributors
// SPDX-License-Identifier: Apache-2.0

// Read addresses of a line buffer, beat by beat: one address that moves on by a constant per loop of window_scan, around
// the ring of rows, and from it those of the memories that columns are dealt out among. No pixel's address is ever
// computed from its coordinates.
`default_nettype none

module window_address #(
    // Beats per pixel, and per group of its channels.
    parameter BEATS = 1,
    parameter FOLDS = 1,
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
    // Rows in the ring; memories that rows lie in, 1 or ROWS, and those that columns are dealt out among, 1 or KERNEL_X.
    parameter ROWS = 4,
    parameter ROW_BANKS = 1,
    parameter COLUMN_BANKS = 1,
    // Derived: words of a row in a memory, and of the memory; bits of an address, of a row of the ring, of the number of
    // a column's memory.
    parameter ROW_WORDS = (IN_W + PAD_LEFT % COLUMN_BANKS + COLUMN_BANKS - 1) / COLUMN_BANKS * BEATS,
    parameter BANK_WORDS = ROW_WORDS * (ROW_BANKS > 1 ? 1 : ROWS),
    parameter ADDR_W = (BANK_WORDS > 1) ? $clog2(BANK_WORDS) : 1,
    parameter SLOT_W = (ROW_BANKS > 1) ? $clog2(ROW_BANKS) : 1,
    parameter BANK_W = (COLUMN_BANKS > 1) ? $clog2(COLUMN_BANKS) : 1
) (
    input  wire                           clk,
    input  wire                           rst,
    input  wire                           go,      // a beat is read,
    input  wire [2:0]                     step,    // and this comes behind it: as window_scan has it
    output wire [COLUMN_BANKS*ADDR_W-1:0] addr,    // of the latest beat, in each column memory
    output wire [SLOT_W-1:0]              slot,    // of the next beat: ring row of the window's first row,
    output wire [BANK_W-1:0]              bank     // and memory of its first column
);
    // ---------------------------------------------------------------- row of the ring, where rows have own memories
    function integer modulo(input integer number, input integer size);
        modulo = (number % size + size) % size;
    endfunction
    localparam FRAME_ROWS = IN_H - (OUT_H - 1) * STRIDE_Y;               // last row of windows to the next frame's first
    generate
        if (ROW_BANKS == 1) begin : g_ring
            assign slot = 0;
        end else begin : g_rows
            localparam FIRST = modulo(0 - PAD_TOP, ROWS);
            localparam BY_ROW = modulo(STRIDE_Y, ROWS), BY_FRAME = modulo(FRAME_ROWS, ROWS);
            localparam [SLOT_W:0] ROWS_S = ROWS[SLOT_W:0];
            reg [SLOT_W-1:0] number;
            wire [SLOT_W:0] to = {1'b0, number} + (step[1] ? BY_FRAME[SLOT_W:0] : BY_ROW[SLOT_W:0]);
            wire [SLOT_W:0] less = to - ROWS_S;
            always @(posedge clk) begin
                if (rst) number <= FIRST[SLOT_W-1:0];
                else if (go && step[2] && step[1:0] != 0) number <= less[SLOT_W] ? to[SLOT_W-1:0] : less[SLOT_W-1:0];
            end
            assign slot = number;
        end
    endgenerate

    // ---------------------------------------------------------------- memory of the first column
    localparam X_MEMORIES = STRIDE_X % COLUMN_BANKS;
    wire carry;                           // the next window's lies before it: an address further
    generate
        if (COLUMN_BANKS == 1) begin : g_one
            assign bank = 0;
            assign carry = 1'b0;
        end else begin : g_dealt
            localparam [BANK_W:0] BANKS_B = COLUMN_BANKS[BANK_W:0];
            reg [BANK_W-1:0] number;
            wire [BANK_W:0] to = {1'b0, number} + X_MEMORIES[BANK_W:0];
            wire [BANK_W:0] less = to - BANKS_B;
            always @(posedge clk) begin
                if (rst || (go && step[2] && step[1:0] != 0)) number <= 0;
                else if (go && step[2]) number <= less[BANK_W] ? to[BANK_W-1:0] : less[BANK_W-1:0];
            end
            assign bank = number;
            assign carry = !less[BANK_W];
        end
    endgenerate

    // ---------------------------------------------------------------- the address
    // Words from a beat to the next, by what comes behind it.
    localparam RING_ROW   = (ROW_BANKS > 1) ? 0 : ROW_WORDS;             // rows in memories of their own begin at 0 each
    localparam BY_TAP     = DILATION_X * BEATS;
    localparam LAST_TAP   = (COLUMN_BANKS > 1) ? 0 : (KERNEL_X - 1) * BY_TAP;
    localparam BY_TAP_ROW = DILATION_Y * RING_ROW;
    localparam LAST_TAPS  = LAST_TAP + (KERNEL_Y - 1) * BY_TAP_ROW;      // first beat of channels to its last taps
    localparam LAST_BEAT  = LAST_TAPS + BEATS - 1;                       // first beat of a window to its last
    localparam LAST_WINDOW = (OUT_W - 1) * STRIDE_X / COLUMN_BANKS * BEATS;
    localparam BY_WINDOW  = STRIDE_X / COLUMN_BANKS * BEATS - LAST_BEAT;
    localparam BY_ROW     = STRIDE_Y * RING_ROW - LAST_WINDOW - LAST_BEAT;
    localparam BY_FRAME   = FRAME_ROWS * RING_ROW - LAST_WINDOW - LAST_BEAT;
    localparam BEFORE     = 0 - PAD_TOP * RING_ROW - PAD_LEFT / COLUMN_BANKS * BEATS - BY_FRAME;

    // Less the size of the ring, which is added again where the sum is negative. (Beside the map addresses mean nothing.)
    localparam RING = (ROW_BANKS > 1) ? 1 << ADDR_W : BANK_WORDS;
    localparam [ADDR_W-1:0] RING_A = RING[ADDR_W-1:0];
    localparam FIRST = modulo(BEFORE, RING);
    localparam STEP0 = modulo(BY_TAP, RING) - RING;
    localparam STEP1 = modulo(BY_TAP_ROW - LAST_TAP, RING) - RING;
    localparam STEP2 = modulo(1 - LAST_TAPS, RING) - RING;
    localparam STEP3 = modulo(1 - FOLDS - LAST_TAPS, RING) - RING;
    localparam STEP4 = modulo(BY_WINDOW, RING) - RING;
    localparam STEP5 = modulo(BY_ROW, RING) - RING;
    localparam STEP6 = modulo(BY_FRAME, RING) - RING;
    localparam STEP7 = modulo(BY_WINDOW + BEATS, RING) - RING;

    reg [2:0] kind;                       // step to the beat that is next; 7: to a window, with a carry
    reg [ADDR_W-1:0] word;
    reg [ADDR_W:0] by;
    always @* begin
        case (kind)
            3'd0:    by = STEP0[ADDR_W:0];
            3'd1:    by = STEP1[ADDR_W:0];
            3'd2:    by = STEP2[ADDR_W:0];
            3'd3:    by = STEP3[ADDR_W:0];
            3'd4:    by = STEP4[ADDR_W:0];
            3'd5:    by = STEP5[ADDR_W:0];
            3'd6:    by = STEP6[ADDR_W:0];
            default: by = STEP7[ADDR_W:0];
        endcase
    end
    wire [ADDR_W:0] less = {1'b0, word} + by;
    wire [ADDR_W-1:0] to = less[ADDR_W-1:0] + (less[ADDR_W] ? RING_A : {ADDR_W{1'b0}});
    always @(posedge clk) begin
        if (rst) begin
            kind <= 3'd6;
            word <= FIRST[ADDR_W-1:0];
        end else if (go) begin
            kind <= (step == 3'd4 && carry) ? 3'd7 : step;
            word <= to;
        end
    end

    // So many words further around the ring.
    function [ADDR_W-1:0] further(input [ADDR_W-1:0] from, input [ADDR_W-1:0] distance);
        reg [ADDR_W:0] sum;
        begin
            sum = {1'b0, from} + {1'b0, distance};
            if (ROW_BANKS == 1 && sum >= RING[ADDR_W:0]) sum = sum - RING[ADDR_W:0];
            further = sum[ADDR_W-1:0];
        end
    endfunction

    // Tap by tap of a row: how many memories, and words, it lies behind the first; the latter from a column on as well.
    function [COLUMN_BANKS*32-1:0] memories_of_tap(input integer step_x);
        integer tap;
        for (tap = 0; tap < COLUMN_BANKS; tap = tap + 1)
            memories_of_tap[tap*32 +: 32] = (tap * step_x) % COLUMN_BANKS;
    endfunction
    function [COLUMN_BANKS*32-1:0] words_of_tap(input integer step_x, input integer columns);
        integer tap;
        for (tap = 0; tap < COLUMN_BANKS; tap = tap + 1)
            words_of_tap[tap*32 +: 32] = ((tap * step_x) / COLUMN_BANKS + columns) * BEATS % RING;
    endfunction
    localparam [COLUMN_BANKS*32-1:0] MEMORIES_OF_TAP = memories_of_tap(DILATION_X);
    localparam [COLUMN_BANKS*32-1:0] WORDS_OF_TAP  = words_of_tap(DILATION_X, 0);
    localparam [COLUMN_BANKS*32-1:0] WORDS_WRAPPED = words_of_tap(DILATION_X, 1);

    genvar b;
    generate
        for (b = 0; b < COLUMN_BANKS; b = b + 1) begin : g_addr
            localparam [BANK_W:0] BANK = b;
            if (COLUMN_BANKS == 1) begin : g_same
                assign addr = word;
            end else begin : g_bank
                reg [ADDR_W-1:0] own;
                assign addr[b*ADDR_W +: ADDR_W] = own;
                if (DILATION_X == 1) begin : g_side_by_side
                    // Memories before that of the first column hold the columns after the row's next address.
                    wire [ADDR_W-1:0] next_column = further(to, WORDS_WRAPPED[ADDR_W-1:0]);
                    always @(posedge clk) if (go) own <= (BANK < {1'b0, bank}) ? next_column : to;
                end else begin : g_apart
                    // Each memory holds one tap: so many memories on from that of the first, and so many words.
                    reg [ADDR_W-1:0] words;
                    reg [BANK_W:0] in;
                    reg wrap;
                    integer tap;
                    always @* begin
                        words = 0;
                        for (tap = 0; tap < COLUMN_BANKS; tap = tap + 1) begin
                            in   = {1'b0, bank} + MEMORIES_OF_TAP[tap*32 +: BANK_W+1];
                            wrap = in >= COLUMN_BANKS[BANK_W:0];
                            if (wrap) in = in - COLUMN_BANKS[BANK_W:0];
                            if (in == BANK)
                                words = wrap ? WORDS_WRAPPED[tap*32 +: ADDR_W] : WORDS_OF_TAP[tap*32 +: ADDR_W];
                        end
                    end
                    always @(posedge clk) if (go) own <= further(to, words);
                end
            end
        end
    endgenerate
endmodule

`default_nettype wire
