// SPDX-FileCopyrightText: cnn2rtl contributors
// SPDX-License-Identifier: Apache-2.0

// Two products of one activation with two weights, in a single multiplication: the weights stand side by side in one
// factor, SPACE bits apart, and so do the products. A negative lower product borrows 1 from the upper one, which is
// given back. (The idea: Fu et al., WP486, Xilinx, 2017.)
//
// A new pair every cycle in which `en` is high; latency 3 such cycles.
`default_nettype none

module multiply_pair #(
    // Bits of the activation and of a weight, two's complement; each >= 2.
    parameter A_W = 9,
    parameter W_W = 8,
    // Bits that hold every product: A_W + W_W, or one less where the activation is never the most negative number.
    parameter SPACE = 16
) (
    input  wire               clk,
    input  wire               en,
    input  wire [A_W-1:0]     a,
    input  wire [W_W-1:0]     w_low,
    input  wire [W_W-1:0]     w_high,
    output wire [A_W+W_W-1:0] low,
    output wire [A_W+W_W-1:0] high
);
    localparam P_W     = A_W + W_W;
    localparam BOTH_W  = SPACE + W_W + 1;         // both weights
    localparam TOTAL_W = A_W + BOTH_W;            // both products

    generate
        if (SPACE < A_W + W_W - 1 || SPACE > A_W + W_W) begin : g_space
            SPACE_must_be_A_W_plus_W_W_or_one_less u_error ();
        end
    endgenerate

    reg signed [A_W-1:0] a_q;
    reg signed [BOTH_W-1:0] both_q;
    reg signed [TOTAL_W-1:0] total;
    always @(posedge clk) begin
        if (en) begin
            a_q    <= a;
            both_q <= {w_high[W_W-1], w_high, {SPACE{1'b0}}} + {{(BOTH_W-W_W){w_low[W_W-1]}}, w_low};
            total  <= a_q * both_q;
        end
    end

    // The upper product fits P_W bits; those above repeat its sign.
    reg [SPACE-1:0] low_q;
    reg [P_W-1:0] high_q;
    always @(posedge clk) begin
        if (en) begin
            low_q  <= total[SPACE-1:0];
            high_q <= total[SPACE +: P_W] + {{(P_W-1){1'b0}}, total[SPACE-1]};
        end
    end
    generate
        if (SPACE < P_W) begin : g_extend
            assign low = {low_q[SPACE-1], low_q};
        end else begin : g_exact
            assign low = low_q;
        end
    endgenerate
    assign high = high_q;
    wire unused = &{1'b0, total[TOTAL_W-1:SPACE+P_W]};
endmodule

`default_nettype wire
