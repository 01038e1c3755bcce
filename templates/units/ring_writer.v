// SPDX-FileCopyrightText: cnn2rtl contributors
// SPDX-License-Identifier: Apache-2.0

// Where the pixels of a map go that come in raster order, frame after frame, into a ring of rows: into one memory,
// or one per row of the ring (ROW_BANKS), or its columns dealt out among several (COLUMN_BANKS).
`default_nettype none

module ring_writer #(
    // Size of the map, in pixels, and beats per pixel, >= 1.
    parameter IN_H = 8,
    parameter IN_W = 8,
    parameter BEATS = 1,
    // Rows in the ring, >= 1.
    parameter ROWS = 4,
    // Memories that rows lie in: 1 or ROWS.
    parameter ROW_BANKS = 1,
    // Memories that columns are dealt out among, >= 1, and the one that each row begins with.
    parameter COLUMN_BANKS = 1,
    parameter FIRST_BANK = 0,
    // Derived: bits of an address within a memory, of a row of the ring, of the number of a column's memory.
    parameter BANK_WORDS = (IN_W + FIRST_BANK + COLUMN_BANKS - 1) / COLUMN_BANKS * BEATS * (ROW_BANKS > 1 ? 1 : ROWS),
    parameter ADDR_W = (BANK_WORDS > 1) ? $clog2(BANK_WORDS) : 1,
    parameter SLOT_W = (ROW_BANKS > 1) ? $clog2(ROW_BANKS) : 1,
    parameter BANK_W = (COLUMN_BANKS > 1) ? $clog2(COLUMN_BANKS) : 1
) (
    input  wire              clk,
    input  wire              rst,
    input  wire              put,         // a beat is written
    output wire [ADDR_W-1:0] addr,
    output wire [SLOT_W-1:0] slot,        // row of the ring
    output wire [BANK_W-1:0] bank,        // memory of the column
    output wire              pixel,       // with this beat a pixel is complete
    output wire              frame        // and a frame
);
    wire last_beat, last_x, last_y, last_slot;
    wire row = pixel && last_x;
    assign pixel = put && last_beat;
    assign frame = row && last_y;
    /* verilator lint_off PINCONNECTEMPTY */
    counter #(.STEPS(BEATS)) u_beat (.clk(clk), .rst(rst), .next(put),   .count(), .last(last_beat));
    counter #(.STEPS(IN_W))  u_x    (.clk(clk), .rst(rst), .next(pixel), .count(), .last(last_x));
    counter #(.STEPS(IN_H))  u_y    (.clk(clk), .rst(rst), .next(row),   .count(), .last(last_y));
    generate
        if (ROW_BANKS == 1) begin : g_ring
            assign slot = 0;
            counter #(.STEPS(ROWS)) u_slot (.clk(clk), .rst(rst), .next(row), .count(), .last(last_slot));
        end else begin : g_rows
            counter #(.STEPS(ROWS)) u_slot (.clk(clk), .rst(rst), .next(row), .count(slot), .last(last_slot));
        end
    endgenerate
    /* verilator lint_on PINCONNECTEMPTY */

    generate
        if (COLUMN_BANKS == 1) begin : g_one
            // From each beat to the next the address is one more, to the end of the memory.
            assign bank = 0;
            wire last_word;
            counter #(.STEPS(BANK_WORDS)) u_addr (
                .clk(clk), .rst(rst), .next(put), .count(addr), .last(last_word)
            );
            wire unused = &{1'b0, last_slot, last_word};
        end else begin : g_dealt
            // The next memory's pixel has the same address, but that behind the last memory's.
            localparam BACK = BEATS - 1;
            localparam LAST_BANK = COLUMN_BANKS - 1;
            reg [ADDR_W-1:0] word;
            reg [BANK_W-1:0] column;
            wire last_bank = column == LAST_BANK[BANK_W-1:0];
            assign addr = word;
            assign bank = column;
            always @(posedge clk) begin
                if (rst || (row && (ROW_BANKS > 1 || last_slot)))   word <= 0;
                else if (put && pixel && !row && !last_bank) word <= word - BACK[ADDR_W-1:0];
                else if (put)                                word <= word + 1'b1;
                if (rst || row) column <= FIRST_BANK[BANK_W-1:0];
                else if (pixel) column <= last_bank ? {BANK_W{1'b0}} : column + 1'b1;
            end
        end
    endgenerate
endmodule

`default_nettype wire
