// SPDX-FileCopyrightText: cnn2rtl contributors
// SPDX-License-Identifier: Apache-2.0

// The taps of a beat out of the words that were read for it: each finds its memory, or the padding. First its row in
// the ring, for all column memories at once, then its column: two narrow choices cost far less than one among all.
`default_nettype none

module tap_select #(
    // Bits of a word, >= 1.
    parameter WIDTH = 8,
    // Tap rows and columns, >= 1.
    parameter TAPS_Y = 1,
    parameter TAPS_X = 1,
    // Memories that rows lie in, 1 or as many as the ring has rows, and that columns are dealt out among, 1 or TAPS_X.
    parameter ROW_BANKS = 1,
    parameter COLUMN_BANKS = 1,
    // Rows and columns from one tap to the next.
    parameter DILATION_Y = 1,
    parameter DILATION_X = 1,
    // Derived: bits of the number of a memory.
    parameter SLOT_W = (ROW_BANKS > 1) ? $clog2(ROW_BANKS) : 1,
    parameter BANK_W = (COLUMN_BANKS > 1) ? $clog2(COLUMN_BANKS) : 1
) (
    input  wire                                    clk,
    input  wire                                    en,
    input  wire [ROW_BANKS*COLUMN_BANKS*WIDTH-1:0] words,      // by rows
    input  wire [SLOT_W-1:0]                       slot,       // memory of the first tap row
    input  wire [BANK_W-1:0]                       bank,       // and column
    input  wire [TAPS_Y-1:0]                       outside_y,  // tap rows and columns that are padding
    input  wire [TAPS_X-1:0]                       outside_x,
    input  wire [WIDTH-1:0]                        pad,
    output wire [TAPS_Y*TAPS_X*WIDTH-1:0]          taps
);
    genvar gy, gx;
    generate
        for (gy = 0; gy < TAPS_Y; gy = gy + 1) begin : g_row
            // The memory so many on, around their number.
            localparam DOWN = gy * DILATION_Y % ROW_BANKS;
            wire [SLOT_W:0] sum_y  = {1'b0, slot} + DOWN[SLOT_W:0];
            wire [SLOT_W:0] from_y = (sum_y >= ROW_BANKS[SLOT_W:0]) ? sum_y - ROW_BANKS[SLOT_W:0] : sum_y;
            reg [COLUMN_BANKS*WIDTH-1:0] row;
            integer k;
            always @* begin
                row = words[COLUMN_BANKS*WIDTH-1:0];
                for (k = 1; k < ROW_BANKS; k = k + 1)
                    if (from_y == k[SLOT_W:0]) row = words[k*COLUMN_BANKS*WIDTH +: COLUMN_BANKS*WIDTH];
            end
            for (gx = 0; gx < TAPS_X; gx = gx + 1) begin : g_column
                localparam RIGHT = gx * DILATION_X % COLUMN_BANKS;
                wire [BANK_W:0] sum_x  = {1'b0, bank} + RIGHT[BANK_W:0];
                wire [BANK_W:0] from_x = (sum_x >= COLUMN_BANKS[BANK_W:0]) ? sum_x - COLUMN_BANKS[BANK_W:0] : sum_x;
                reg [WIDTH-1:0] pixel, tap;
                integer c;
                always @* begin
                    pixel = row[WIDTH-1:0];
                    for (c = 1; c < COLUMN_BANKS; c = c + 1)
                        if (from_x == c[BANK_W:0]) pixel = row[c*WIDTH +: WIDTH];
                end
                always @(posedge clk) if (en) tap <= (outside_y[gy] || outside_x[gx]) ? pad : pixel;
                assign taps[(gy*TAPS_X + gx)*WIDTH +: WIDTH] = tap;
            end
        end
    endgenerate
endmodule

`default_nettype wire
