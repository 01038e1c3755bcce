// SPDX-FileCopyrightText: cnn2rtl contributors
// SPDX-License-Identifier: Apache-2.0

// Maximum or sum of two numbers; no register.
`default_nettype none

module combine #(
    // 1: maximum, 0: sum.
    parameter MAX = 1,
    // Bits per number, two's complement (1) or unsigned (0).
    parameter BITS = 8,
    parameter SIGNED = 0
) (
    input  wire [BITS-1:0] a,
    input  wire [BITS-1:0] b,
    output wire [BITS-1:0] out
);
    generate
        if (MAX == 0) begin : g_sum
            assign out = a + b;
        end else if (SIGNED != 0) begin : g_signed
            assign out = ($signed(a) > $signed(b)) ? a : b;
        end else begin : g_unsigned
            assign out = (a > b) ? a : b;
        end
    endgenerate
endmodule

`default_nettype wire
