// SPDX-FileCopyrightText: cnn2rtl contributors
// SPDX-License-Identifier: Apache-2.0

// Read-only memory that is read from the first word to the last, again and again. A reader asks for the next
// word and does not know where it lives.
//
// `data` is the word asked for by the latest `next`, one cycle later.
`default_nettype none

module cyclic_rom #(
    // Bits per word, >= 1.
    parameter WIDTH = 8,
    // Words, >= 1.
    parameter DEPTH = 16,
    // Where it lies. 0: where the tool sees fit, 1: block RAM, 2: look-up tables.
    parameter PLACE = 0,
    // Hex file, one word per line, DEPTH lines.
    parameter FILE = ""
) (
    input  wire             clk,
    input  wire             rst,
    input  wire             next,
    output reg  [WIDTH-1:0] data
);
    localparam ADDR_W = (DEPTH > 1) ? $clog2(DEPTH) : 1;
    localparam [ADDR_W-1:0] LAST = DEPTH[ADDR_W-1:0] - 1'b1;

    reg [ADDR_W-1:0] addr;

    always @(posedge clk) begin
        if (rst)       addr <= 0;
        else if (next) addr <= (addr == LAST) ? {ADDR_W{1'b0}} : addr + 1'b1;
    end

    // Always the same but for the attributes, which no parameter can set. rom_style is AMD's, romstyle Intel's, which
    // takes M10K for "as it likes" where there is none. Yosys reads rom_style, but rom_block before it: it knows no
    // "distributed" ROM.
    generate
        if (PLACE == 1) begin : g_block
            (* rom_style = "block", romstyle = "M10K" *)
            reg [WIDTH-1:0] mem [0:DEPTH-1];
            initial $readmemh(FILE, mem);
            always @(posedge clk) if (next) data <= mem[addr];
        end else if (PLACE == 2) begin : g_tables
            (* rom_block = "logic", rom_style = "distributed", romstyle = "logic" *)
            reg [WIDTH-1:0] mem [0:DEPTH-1];
            initial $readmemh(FILE, mem);
            always @(posedge clk) if (next) data <= mem[addr];
        end else begin : g_any
            reg [WIDTH-1:0] mem [0:DEPTH-1];
            initial $readmemh(FILE, mem);
            always @(posedge clk) if (next) data <= mem[addr];
        end
    endgenerate
endmodule

`default_nettype wire
