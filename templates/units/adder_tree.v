// SPDX-FileCopyrightText: cnn2rtl contributors
// SPDX-License-Identifier: Apache-2.0

// Sum of TERMS signed numbers, a register after every level of two-input adders.
//
// Latency clog2(TERMS) cycles in which `en` is high; a new sum every such cycle.
`default_nettype none

module adder_tree #(
    // Numbers to add, >= 1.
    parameter TERMS = 2,
    // Bits per number, two's complement.
    parameter TERM_W = 16,
    // Bits of the sum, >= TERM_W + clog2(TERMS).
    parameter SUM_W = 17
) (
    input  wire                    clk,
    input  wire                    en,
    input  wire [TERMS*TERM_W-1:0] terms,
    output wire [SUM_W-1:0]        sum
);
    localparam LEVELS = $clog2(TERMS);

    genvar level, i;
    generate
        if (SUM_W < TERM_W + LEVELS) begin : g_sum_w
            SUM_W_must_hold_TERM_W_and_carries u_error ();
        end
        for (level = 0; level <= LEVELS; level = level + 1) begin : g_level
            localparam N = (TERMS + (1 << level) - 1) >> level;
            localparam W = TERM_W + level;
            wire [N*W-1:0] value;
        end
        assign g_level[0].value = terms;
        if (LEVELS == 0) begin : g_wire
            // Nothing to clock.
            wire unused = &{1'b0, clk, en};
        end
        for (level = 1; level <= LEVELS; level = level + 1) begin : g_add
            localparam N_IN = (TERMS + (1 << (level - 1)) - 1) >> (level - 1);
            localparam N = (TERMS + (1 << level) - 1) >> level;
            localparam W = TERM_W + level;
            for (i = 0; i < N; i = i + 1) begin : g_pair
                wire [W-2:0] a = g_level[level-1].value[2*i*(W-1) +: W-1];
                reg [W-1:0] total;
                if (2*i + 1 < N_IN) begin : g_two
                    wire [W-2:0] b = g_level[level-1].value[(2*i+1)*(W-1) +: W-1];
                    always @(posedge clk) if (en) total <= {a[W-2], a} + {b[W-2], b};
                end else begin : g_one
                    always @(posedge clk) if (en) total <= {a[W-2], a};
                end
                assign g_level[level].value[i*W +: W] = total;
            end
        end
    endgenerate

    wire [TERM_W+LEVELS-1:0] total = g_level[LEVELS].value;
    generate
        if (SUM_W > TERM_W + LEVELS) begin : g_extend
            assign sum = {{(SUM_W-TERM_W-LEVELS){total[TERM_W+LEVELS-1]}}, total};
        end else begin : g_exact
            assign sum = total;
        end
    endgenerate
endmodule

`default_nettype wire
