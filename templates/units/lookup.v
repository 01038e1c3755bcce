// SPDX-FileCopyrightText: cnn2rtl contributors
// SPDX-License-Identifier: Apache-2.0

// A function of each value by itself, as a table: word i of the ROM is the result for the code whose bits are i.
//
// One beat per cycle; latency 2 cycles.
`default_nettype none

module lookup #(
    // Values per beat, >= 1; each has a ROM of its own.
    parameter LANES = 1,
    // Bits per value, signed or not.
    parameter BITS = 8,
    // Bits per result.
    parameter Q_BITS = 8,
    // Where the ROMs lie. 0: where the tool sees fit, 1: block RAM, 2: look-up tables.
    parameter PLACE = 0,
    // Hex file, one word per line, 2**BITS lines.
    parameter TABLE_FILE = ""
) (
    input  wire                    clk,
    input  wire                    rst,
    input  wire                    s_valid,
    output wire                    s_ready,
    input  wire [LANES*BITS-1:0]   s_data,
    output reg                     m_valid,
    input  wire                    m_ready,
    output reg  [LANES*Q_BITS-1:0] m_data
);
    wire en = !m_valid || m_ready;
    assign s_ready = en;

    reg valid_q;
    always @(posedge clk) begin
        if (rst) begin
            valid_q <= 1'b0;
            m_valid <= 1'b0;
        end else if (en) begin
            valid_q <= s_valid;
            m_valid <= valid_q;
        end
    end

    genvar lane;
    generate
        for (lane = 0; lane < LANES; lane = lane + 1) begin : g_lane
            // Stage 1: the ROM. Stage 2: a register, for what block RAM gives comes late in the cycle.
            wire [BITS-1:0] code = s_data[lane*BITS +: BITS];
            reg [Q_BITS-1:0] word;
            always @(posedge clk) if (en) m_data[lane*Q_BITS +: Q_BITS] <= word;

            // Always the same but for the attributes, which no parameter can set. rom_style is AMD's, romstyle Intel's, which
            // takes M10K for "as it likes" where there is none. Yosys reads rom_style, but rom_block before it: it knows no
            // "distributed" ROM.
            if (PLACE == 1) begin : g_block
                (* rom_style = "block", romstyle = "M10K" *)
                reg [Q_BITS-1:0] mem [0:(1<<BITS)-1];
                initial $readmemh(TABLE_FILE, mem);
                always @(posedge clk) if (en) word <= mem[code];
            end else if (PLACE == 2) begin : g_tables
                (* rom_block = "logic", rom_style = "distributed", romstyle = "logic" *)
                reg [Q_BITS-1:0] mem [0:(1<<BITS)-1];
                initial $readmemh(TABLE_FILE, mem);
                always @(posedge clk) if (en) word <= mem[code];
            end else begin : g_any
                reg [Q_BITS-1:0] mem [0:(1<<BITS)-1];
                initial $readmemh(TABLE_FILE, mem);
                always @(posedge clk) if (en) word <= mem[code];
            end
        end
    endgenerate
endmodule

`default_nettype wire
