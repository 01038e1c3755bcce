// SPDX-FileCopyrightText: cnn2rtl contributors
// SPDX-License-Identifier: Apache-2.0

// Counts from 0 to STEPS - 1, again and again, and tells at which step it is the last one. That comes from a register,
// so counters may stand behind each other, each one moved by the last step of the one before.
`default_nettype none

module counter #(
    // Steps, >= 1.
    parameter STEPS = 4,
    // Derived: bits of the count.
    parameter COUNT_W = (STEPS > 1) ? $clog2(STEPS) : 1
) (
    input  wire               clk,
    input  wire               rst,
    input  wire               next,
    output wire [COUNT_W-1:0] count,
    output wire               last
);
    generate
        if (STEPS == 1) begin : g_one
            assign count = 0;
            assign last  = 1'b1;
            wire unused = &{1'b0, clk, rst, next};
        end else begin : g_many
            localparam BEFORE_LAST = STEPS - 2;
            reg [COUNT_W-1:0] number;
            reg is_last;
            always @(posedge clk) begin
                if (rst || (next && is_last)) begin
                    number  <= 0;
                    is_last <= 1'b0;
                end else if (next) begin
                    number  <= number + 1'b1;
                    is_last <= number == BEFORE_LAST[COUNT_W-1:0];
                end
            end
            assign count = number;
            assign last  = is_last;
        end
    endgenerate
endmodule

`default_nettype wire
