// SPDX-FileCopyrightText: cnn2rtl contributors
// SPDX-License-Identifier: Apache-2.0

// Wires: a number made wider, by its sign or by zeros.
`default_nettype none

module extend #(
    // Bits before and after, OUT_W >= IN_W.
    parameter IN_W = 8,
    parameter OUT_W = 8,
    // 1: two's complement, 0: unsigned.
    parameter SIGNED = 0
) (
    input  wire [IN_W-1:0]  in,
    output wire [OUT_W-1:0] out
);
    generate
        if (OUT_W == IN_W) begin : g_same
            assign out = in;
        end else begin : g_wider
            assign out = {{(OUT_W-IN_W){(SIGNED != 0) && in[IN_W-1]}}, in};
        end
    endgenerate
endmodule

`default_nettype wire
