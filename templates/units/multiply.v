// SPDX-FileCopyrightText: cnn2rtl contributors
// SPDX-License-Identifier: Apache-2.0

// Product of an activation and a weight, in a DSP block or in logic.
//
// A new product every cycle in which `en` is high; latency 2 such cycles, in logic 1 + ceil(W_W/2).
`default_nettype none

module multiply #(
    // Bits of the activation and of the weight, two's complement; each >= 2.
    parameter A_W = 9,
    parameter W_W = 8,
    // 0: one multiplication, which tools put into a DSP block.
    // 1: adders, two bits of the weight after the other (radix-4 recoding: Booth, 1951; MacSorley, 1961).
    parameter LOGIC = 0
) (
    input  wire               clk,
    input  wire               en,
    input  wire [A_W-1:0]     a,
    input  wire [W_W-1:0]     w,
    output wire [A_W+W_W-1:0] product
);
    generate
        if (LOGIC == 0) begin : g_block
            // Registers right before and right after: they move into the block.
            reg signed [A_W-1:0] a_q;
            reg signed [W_W-1:0] w_q;
            reg signed [A_W+W_W-1:0] product_q;
            always @(posedge clk) begin
                if (en) begin
                    a_q       <= a;
                    w_q       <= w;
                    product_q <= a_q * w_q;
                end
            end
            assign product = product_q;
        end else begin : g_logic
            localparam DIGITS = (W_W + 1) / 2;
            localparam SUM_W  = A_W + 2;
            localparam ALL_W  = SUM_W + 2 * (DIGITS - 1);

            // The weight, its sign extended to whole digits, above the 0 that the lowest digit looks back on.
            reg [A_W-1:0] a_q;
            reg [2*DIGITS:0] w_q;
            always @(posedge clk) begin
                if (en) begin
                    a_q <= a;
                    w_q <= {{(2*DIGITS-W_W+1){w[W_W-1]}}, w[W_W-2:0], 1'b0};
                end
            end

            // Digit k is -2, -1, 0, 1 or 2, and counts 4^k. Each stage adds it times the activation to what the sum of
            // those before has above bit 2k; the bits below are final.
            genvar k;
            for (k = 0; k < DIGITS; k = k + 1) begin : g_digit
                wire [A_W-1:0] x;
                wire [2*(DIGITS-k):0] digits;
                wire [SUM_W-1:0] above;
                if (k == 0) begin : g_first
                    assign x      = a_q;
                    assign digits = w_q;
                    assign above  = 0;
                end else begin : g_next
                    assign x      = g_digit[k-1].g_rest.x_q;
                    assign digits = g_digit[k-1].g_rest.digits_q;
                    assign above  = {{2{g_digit[k-1].sum[SUM_W-1]}}, g_digit[k-1].sum[SUM_W-1:2]};
                end

                wire negative = digits[2];
                wire once     = digits[1] != digits[0];
                wire twice    = (digits[1] == digits[0]) && (digits[2] != digits[1]);
                wire [SUM_W-1:0] wide = {{2{x[A_W-1]}}, x};
                wire [SUM_W-1:0] size = once ? wide : twice ? wide << 1 : {SUM_W{1'b0}};
                // -x = ~x + 1; the carry out of a bit below brings in the 1.
                wire [SUM_W:0] total = {above, 1'b1} + {size ^ {SUM_W{negative}}, negative};
                reg [SUM_W-1:0] sum;
                always @(posedge clk) if (en) sum <= total[SUM_W:1];
                wire unused = &{1'b0, total[0]};

                // What the digits above still need, and the bits that are final.
                if (k < DIGITS - 1) begin : g_rest
                    reg [A_W-1:0] x_q;
                    reg [2*(DIGITS-k)-2:0] digits_q;
                    always @(posedge clk) begin
                        if (en) begin
                            x_q      <= x;
                            digits_q <= digits[2*(DIGITS-k):2];
                        end
                    end
                end
                if (k > 0) begin : g_below
                    reg [2*k-1:0] below;
                    if (k == 1) begin : g_lowest
                        always @(posedge clk) if (en) below <= g_digit[0].sum[1:0];
                    end else begin : g_more
                        always @(posedge clk) if (en) below <= {g_digit[k-1].sum[1:0], g_digit[k-1].g_below.below};
                    end
                end
            end

            wire [ALL_W-1:0] all;
            if (DIGITS == 1) begin : g_one
                assign all = g_digit[0].sum;
            end else begin : g_all
                assign all = {g_digit[DIGITS-1].sum, g_digit[DIGITS-1].g_below.below};
            end
            assign product = all[A_W+W_W-1:0];
            if (ALL_W > A_W + W_W) begin : g_spare
                // A copy of the sign, where the digits are one bit longer than the weight.
                wire unused = &{1'b0, all[ALL_W-1:A_W+W_W]};
            end
        end
    endgenerate
endmodule

`default_nettype wire
