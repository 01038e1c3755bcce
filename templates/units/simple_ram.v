// SPDX-FileCopyrightText: cnn2rtl contributors
// SPDX-License-Identifier: Apache-2.0

// Memory with one write port and one synchronous read port.
//
// Every user of this module guarantees that it never uses a word that was written in the cycle in which it was
// read, so the collision logic that some tools would add around the memory is switched off.
`default_nettype none

module simple_ram #(
    // Bits per word, >= 1.
    parameter WIDTH = 8,
    // Words, >= 1.
    parameter DEPTH = 16,
    // Where it lies. 0: where the tool sees fit, 1: block RAM, 2: look-up tables, 3: registers.
    parameter PLACE = 0,
    // Derived: address bits.
    parameter ADDR_W = (DEPTH > 1) ? $clog2(DEPTH) : 1
) (
    input  wire              clk,
    input  wire              write,
    input  wire [ADDR_W-1:0] write_addr,
    input  wire [WIDTH-1:0]  write_data,
    input  wire              read,
    input  wire [ADDR_W-1:0] read_addr,
    output reg  [WIDTH-1:0]  read_data
);
    // Always the same but for the attributes, which no parameter can set. ram_style is AMD's and Yosys', ramstyle is
    // Intel's, which takes M10K for "as it likes" where there is none; no_rw_check by itself is Yosys'.
    generate
        if (PLACE == 1) begin : g_block
            (* no_rw_check, ram_style = "block", ramstyle = "M10K, no_rw_check" *)
            reg [WIDTH-1:0] mem [0:DEPTH-1];
            always @(posedge clk) begin
                if (write) mem[write_addr] <= write_data;
                if (read)  read_data <= mem[read_addr];
            end
        end else if (PLACE == 2) begin : g_tables
            (* no_rw_check, ram_style = "distributed", ramstyle = "MLAB, no_rw_check" *)
            reg [WIDTH-1:0] mem [0:DEPTH-1];
            always @(posedge clk) begin
                if (write) mem[write_addr] <= write_data;
                if (read)  read_data <= mem[read_addr];
            end
        end else if (PLACE == 3) begin : g_registers
            (* ram_style = "registers", ramstyle = "logic" *)
            reg [WIDTH-1:0] mem [0:DEPTH-1];
            always @(posedge clk) begin
                if (write) mem[write_addr] <= write_data;
                if (read)  read_data <= mem[read_addr];
            end
        end else begin : g_any
            (* no_rw_check, ramstyle = "no_rw_check" *)
            reg [WIDTH-1:0] mem [0:DEPTH-1];
            always @(posedge clk) begin
                if (write) mem[write_addr] <= write_data;
                if (read)  read_data <= mem[read_addr];
            end
        end
    endgenerate
endmodule

`default_nettype wire
