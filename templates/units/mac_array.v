// SPDX-FileCopyrightText: cnn2rtl contributors
// SPDX-License-Identifier: Apache-2.0

// PE x SIMD multiply-accumulate array: PE outputs side by side, each the sum of SIMD products per beat over
// STEPS beats. Where SHARED is 1 all PEs see the same SIMD activations (standard and pointwise convolution,
// fully connected); where it is 0 each PE has its own (depthwise): element s of PE p is number s*PE + p.
//
// One beat per cycle; the sums leave 4 + clog2(SIMD) cycles after the last beat of an output, one more with products
// in pairs, and 3 + ceil(W_BITS/2) + clog2(SIMD) with products in logic.
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
    // What multiplies. 0: a DSP block per product; 1: one for the products of two PEs, which must share their
    // activations; 2: logic.
    parameter STYLE = 0,
    // Bits per activation, and whether it is two's complement (1) or unsigned (0).
    parameter A_BITS = 8,
    parameter A_SIGNED = 0,
    // Bits per weight, two's complement.
    parameter W_BITS = 8,
    // Bits per sum: proven sufficient for these weights by the generator.
    parameter ACC_W = 24,
    // Weight words: one per beat, in the order of the beats; then again from the first.
    parameter WEIGHT_WORDS = 1,
    // Where the weights lie. 0: where the tool sees fit, 1: block RAM, 2: look-up tables.
    parameter PLACE = 0,
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
    // Stages before the accumulator: the weights' ROM, the multiplier, the adder tree.
    localparam MULT_DEPTH = (STYLE == 0) ? 2 : (STYLE == 1) ? 3 : 1 + (W_BITS + 1) / 2;
    localparam DEPTH = 1 + MULT_DEPTH + $clog2(SIMD);

    generate
        if (STYLE == 1 && SHARED == 0) begin : g_style
            STYLE_1_needs_SHARED_activations u_error ();
        end
    endgenerate

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
        .WIDTH(PE*SIMD*W_BITS), .DEPTH(WEIGHT_WORDS), .PLACE(PLACE), .FILE(WEIGHT_FILE)
    ) u_weights (
        .clk(clk), .rst(rst), .next(accept), .data(weights)
    );

    // Activations wait one cycle for their weights.
    reg [IN_W-1:0] data_q;
    always @(posedge clk) if (en) data_q <= s_data;

    // Product of PE p and element s at number p*SIMD + s.
    wire [PE*SIMD*PROD_W-1:0] products;
    genvar p, s;
    generate
        if (STYLE == 1) begin : g_pairs
            for (p = 0; p < PE; p = p + 2) begin : g_pair
                for (s = 0; s < SIMD; s = s + 1) begin : g_mult
                    wire [A_W-1:0] a;
                    extend #(.IN_W(A_BITS), .OUT_W(A_W), .SIGNED(A_SIGNED)) u_extend (
                        .in(data_q[s*A_BITS +: A_BITS]), .out(a)
                    );
                    // The last PE of an odd number has no partner.
                    wire [W_BITS-1:0] w_high;
                    wire [PROD_W-1:0] high;
                    if (p + 1 < PE) begin : g_partner
                        assign w_high = weights[((p+1)*SIMD + s)*W_BITS +: W_BITS];
                        assign products[((p+1)*SIMD + s)*PROD_W +: PROD_W] = high;
                    end else begin : g_alone
                        assign w_high = 0;
                        wire unused = &{1'b0, high};
                    end
                    multiply_pair #(.A_W(A_W), .W_W(W_BITS), .SPACE(A_BITS + W_BITS)) u_multiply (
                        .clk(clk), .en(en), .a(a),
                        .w_low(weights[(p*SIMD + s)*W_BITS +: W_BITS]), .w_high(w_high),
                        .low(products[(p*SIMD + s)*PROD_W +: PROD_W]), .high(high)
                    );
                end
            end
        end else begin : g_singles
            for (p = 0; p < PE; p = p + 1) begin : g_single
                for (s = 0; s < SIMD; s = s + 1) begin : g_mult
                    wire [A_W-1:0] a;
                    extend #(.IN_W(A_BITS), .OUT_W(A_W), .SIGNED(A_SIGNED)) u_extend (
                        .in(data_q[((SHARED != 0) ? s : s*PE + p)*A_BITS +: A_BITS]), .out(a)
                    );
                    multiply #(.A_W(A_W), .W_W(W_BITS), .LOGIC((STYLE == 2) ? 1 : 0)) u_multiply (
                        .clk(clk), .en(en), .a(a), .w(weights[(p*SIMD + s)*W_BITS +: W_BITS]),
                        .product(products[(p*SIMD + s)*PROD_W +: PROD_W])
                    );
                end
            end
        end
    endgenerate

    generate
        for (p = 0; p < PE; p = p + 1) begin : g_pe
            wire [TREE_W-1:0] tree;
            adder_tree #(.TERMS(SIMD), .TERM_W(PROD_W), .SUM_W(TREE_W)) u_tree (
                .clk(clk), .en(en), .terms(products[p*SIMD*PROD_W +: SIMD*PROD_W]), .sum(tree)
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
