// SPDX-FileCopyrightText: cnn2rtl contributors
// SPDX-License-Identifier: Apache-2.0

// PE x SIMD multiply-accumulate array: PE outputs side by side, each the sum of SIMD products per beat over
// STEPS beats. Where SHARED is 1 all PEs see the same SIMD activations (standard and pointwise convolution,
// fully connected); where it is 0 each PE has its own (depthwise): element s of PE p is number s*PE + p.
//
// One beat per cycle; the sums leave 4 + clog2(SIMD) cycles after the last beat of an output.
`default_nettype none

module mac_array #(
    // Outputs computed side by side, >= 1.
    parameter PE = 1,
    // Products per output and beat, >= 1.
    parameter SIMD = 1,
    // 1: activations shared by all PEs; 0: each PE has its own.
    parameter SHARED = 1,
    // Beats per output, >= 1.
    parameter STEPS = 1,
    // Bits per activation, and whether it is two's complement (1) or unsigned (0).
    parameter A_BITS = 8,
    parameter A_SIGNED = 0,
    // Bits per weight, two's complement.
    parameter W_BITS = 8,
    // Bits per sum: proven sufficient for these weights by the generator.
    parameter ACC_W = 24,
    // Weight words: one per beat, in the order of the beats; then again from the first.
    parameter WEIGHT_WORDS = 1,
    // Hex file of the weights: PE*SIMD weights per word, that of PE p, element s at (p*SIMD + s)*W_BITS.
    parameter WEIGHT_FILE = "",
    // Derived: activation bits per beat.
    parameter IN_W = ((SHARED != 0) ? 1 : PE) * SIMD * A_BITS
) (
    input  wire                clk,
    input  wire                rst,
    input  wire                s_valid,
    output wire                s_ready,
    input  wire [IN_W-1:0]     s_data,
    output reg                 m_valid,
    input  wire                m_ready,
    output wire [PE*ACC_W-1:0] m_data
);
    localparam STEP_W = (STEPS > 1) ? $clog2(STEPS) : 1;
    localparam [STEP_W-1:0] LAST_STEP = STEPS[STEP_W-1:0] - 1'b1;
    localparam A_W    = A_BITS + ((A_SIGNED != 0) ? 0 : 1);   // as a signed number
    localparam PROD_W = A_W + W_BITS;
    localparam TREE_W = PROD_W + $clog2(SIMD);
    localparam DEPTH  = 3 + $clog2(SIMD);             // stages before the accumulator

    // The whole pipeline advances together, unless a finished sum waits for its taker.
    wire en = !m_valid || m_ready;
    assign s_ready = en;
    wire accept = s_valid && en;

    // Position within the output, and its way down the pipeline.
    reg [STEP_W-1:0] step;
    reg [DEPTH-1:0] valid_q, first_q, last_q;
    always @(posedge clk) begin
        if (rst) begin
            step    <= 0;
            valid_q <= 0;
        end else begin
            if (accept) step <= (step == LAST_STEP) ? {STEP_W{1'b0}} : step + 1'b1;
            if (en)     valid_q <= {valid_q[DEPTH-2:0], s_valid};
        end
    end
    always @(posedge clk) begin
        if (en) begin
            first_q <= {first_q[DEPTH-2:0], step == 0};
            last_q  <= {last_q[DEPTH-2:0], step == LAST_STEP};
        end
    end

    wire [PE*SIMD*W_BITS-1:0] weights;
    cyclic_rom #(
        .WIDTH(PE*SIMD*W_BITS), .DEPTH(WEIGHT_WORDS), .FILE(WEIGHT_FILE)
    ) u_weights (
        .clk(clk), .rst(rst), .next(accept), .data(weights)
    );

    // Activations wait one cycle for their weights.
    reg [IN_W-1:0] data_q;
    always @(posedge clk) if (en) data_q <= s_data;

    genvar p, s;
    generate
        for (p = 0; p < PE; p = p + 1) begin : g_pe
            wire [SIMD*PROD_W-1:0] products;
            for (s = 0; s < SIMD; s = s + 1) begin : g_mult
                wire [A_BITS-1:0] raw = data_q[((SHARED != 0) ? s : s*PE + p)*A_BITS +: A_BITS];
                wire [A_W-1:0] extended;
                if (A_SIGNED != 0) begin : g_signed
                    assign extended = raw;
                end else begin : g_unsigned
                    assign extended = {1'b0, raw};
                end
                reg signed [A_W-1:0] a;
                reg signed [W_BITS-1:0] w;
                reg signed [PROD_W-1:0] product;
                always @(posedge clk) begin
                    if (en) begin
                        a       <= extended;
                        w       <= weights[(p*SIMD + s)*W_BITS +: W_BITS];
                        product <= a * w;
                    end
                end
                assign products[s*PROD_W +: PROD_W] = product;
            end

            wire [TREE_W-1:0] tree;
            adder_tree #(.TERMS(SIMD), .TERM_W(PROD_W), .SUM_W(TREE_W)) u_tree (
                .clk(clk), .en(en), .terms(products), .sum(tree)
            );

            wire [ACC_W-1:0] term;
            if (ACC_W > TREE_W) begin : g_extend
                assign term = {{(ACC_W-TREE_W){tree[TREE_W-1]}}, tree};
            end else begin : g_fit
                assign term = tree[ACC_W-1:0];
                if (TREE_W > ACC_W) begin : g_spare
                    // More bits than any sum of products of these weights needs.
                    wire unused = &{1'b0, tree[TREE_W-1:ACC_W]};
                end
            end

            // Selecting the base, not the result, lets the accumulator live in the DSP block.
            reg [ACC_W-1:0] acc;
            wire [ACC_W-1:0] base = first_q[DEPTH-1] ? {ACC_W{1'b0}} : acc;
            always @(posedge clk) if (en && valid_q[DEPTH-1]) acc <= base + term;
            assign m_data[p*ACC_W +: ACC_W] = acc;
        end
    endgenerate

    always @(posedge clk) begin
        if (rst)     m_valid <= 1'b0;
        else if (en) m_valid <= valid_q[DEPTH-1] && last_q[DEPTH-1];
    end
endmodule

`default_nettype wire
