// SPDX-FileCopyrightText: cnn2rtl contributors
// SPDX-License-Identifier: Apache-2.0

// Back from accumulator to activation: q = clamp((((acc + bias) * multiplier + half) >> shift) + ZERO, LO, HI),
// rounding half up, with bias, multiplier and shift per channel. ReLU, ReLU6 and saturation are all the one clamp.
//
// MULT_BITS = 0 makes the multiplier the constant 1 << PRE_SHIFT and expects the half already in the bias;
// SHIFT_BITS = 0 makes the shift the constant SHIFT_BASE.
//
// One beat per cycle; latency 4 cycles, 5 with a multiplier.
`default_nettype none

module requantise #(
    // Channels per beat, >= 1.
    parameter LANES = 1,
    // Beats per pixel, each with parameters of its own; then again from the first.
    parameter FOLDS = 1,
    // Bits per accumulator; two's complement (1) or unsigned (0).
    parameter ACC_W = 24,
    parameter ACC_SIGNED = 1,
    // Bits of acc + bias, and of a stored bias; two's complement.
    parameter SUM_W = 25,
    // Bits of the unsigned multiplier; 0 for none.
    parameter MULT_BITS = 0,
    // Left shift of the sum where there is no multiplier, in bits.
    parameter PRE_SHIFT = 0,
    // The right shift is SHIFT_BASE, >= 1 with a multiplier, plus a stored number of SHIFT_BITS bits.
    parameter SHIFT_BASE = 0,
    parameter SHIFT_BITS = 0,
    // Bits per result, and its smallest and largest value.
    parameter Q_BITS = 8,
    parameter signed [31:0] LO = 0,
    parameter signed [31:0] HI = 255,
    // Zero point: the result, of Q_BITS bits, that stands for 0.
    parameter signed [31:0] ZERO = 0,
    // Where these lie. 0: where the tool sees fit, 1: block RAM, 2: look-up tables.
    parameter PLACE = 0,
    // Hex file, FOLDS words of LANES entries: {shift, multiplier, bias}, lane 0 lowest.
    parameter PARAM_FILE = ""
) (
    input  wire                    clk,
    input  wire                    rst,
    input  wire                    s_valid,
    output wire                    s_ready,
    input  wire [LANES*ACC_W-1:0]  s_data,
    output reg                     m_valid,
    input  wire                    m_ready,
    output wire [LANES*Q_BITS-1:0] m_data
);
    generate
        if (MULT_BITS > 0 && SHIFT_BASE < 1) begin : g_shift_base
            SHIFT_BASE_must_be_at_least_1_with_a_multiplier u_error ();
        end
    endgenerate

    localparam ENTRY_W = SUM_W + MULT_BITS + SHIFT_BITS;
    // Bits of the scaled sum, with room for the half.
    localparam BIG_W = SUM_W + ((MULT_BITS > 0) ? MULT_BITS : PRE_SHIFT) + 2;
    // What LO and HI are before the zero point is added; the comparison with them needs their bits too.
    localparam signed [31:0] LEAST = LO - ZERO;
    localparam signed [31:0] MOST = HI - ZERO;
    localparam CMP_W = (BIG_W > 32) ? BIG_W : 32;
    localparam S_W = (SHIFT_BITS > 0) ? SHIFT_BITS : 1;
    localparam STAGES = (MULT_BITS > 0) ? 4 : 3;

    wire en = !m_valid || m_ready;
    assign s_ready = en;

    reg [STAGES-1:0] valid_q;
    always @(posedge clk) begin
        if (rst) begin
            valid_q <= 0;
            m_valid <= 1'b0;
        end else if (en) begin
            valid_q <= {valid_q[STAGES-2:0], s_valid};
            m_valid <= valid_q[STAGES-1];
        end
    end

    wire [LANES*ENTRY_W-1:0] entries;
    cyclic_rom #(.WIDTH(LANES*ENTRY_W), .DEPTH(FOLDS), .PLACE(PLACE), .FILE(PARAM_FILE)) u_params (
        .clk(clk), .rst(rst), .next(s_valid && en), .data(entries)
    );

    genvar lane;
    generate
        for (lane = 0; lane < LANES; lane = lane + 1) begin : g_lane
            wire [ENTRY_W-1:0] entry = entries[lane*ENTRY_W +: ENTRY_W];

            // Stage 1: the accumulator waits for its parameters.
            reg [ACC_W-1:0] acc;
            always @(posedge clk) if (en) acc <= s_data[lane*ACC_W +: ACC_W];
            wire [SUM_W-1:0] wide;
            if (SUM_W > ACC_W) begin : g_widen
                assign wide = {{(SUM_W-ACC_W){(ACC_SIGNED != 0) && acc[ACC_W-1]}}, acc};
            end else begin : g_as_wide
                assign wide = acc[SUM_W-1:0];
            end

            // Stage 2: bias.
            reg signed [SUM_W-1:0] sum;
            always @(posedge clk) if (en) sum <= wide + entry[SUM_W-1:0];

            // Stage 3: multiplier, where there is one; the shift count keeps pace.
            wire signed [BIG_W-1:0] big;
            wire [S_W-1:0] shift;
            if (MULT_BITS > 0) begin : g_mult
                reg signed [MULT_BITS:0] mult;
                reg signed [BIG_W-1:0] product;
                always @(posedge clk) begin
                    if (en) begin
                        mult    <= {1'b0, entry[SUM_W +: MULT_BITS]};
                        product <= sum * mult;
                    end
                end
                assign big = product;
            end else begin : g_const
                assign big = {{(BIG_W-SUM_W){sum[SUM_W-1]}}, sum} << PRE_SHIFT;
            end
            if (SHIFT_BITS > 0) begin : g_shift
                reg [S_W-1:0] shift_q;
                always @(posedge clk) if (en) shift_q <= entry[SUM_W + MULT_BITS +: S_W];
                if (MULT_BITS > 0) begin : g_late
                    reg [S_W-1:0] shift_qq;
                    always @(posedge clk) if (en) shift_qq <= shift_q;
                    assign shift = shift_qq;
                end else begin : g_early
                    assign shift = shift_q;
                end
            end else begin : g_no_shift
                assign shift = 1'b0;
            end

            // Stage 4: rounding and shift.
            wire [BIG_W-1:0] half;
            if (MULT_BITS > 0) begin : g_half
                assign half = {{(BIG_W-1){1'b0}}, 1'b1} << (SHIFT_BASE - 1) << shift;
            end else begin : g_no_half
                assign half = 0;
            end
            wire signed [BIG_W-1:0] rounded = big + $signed(half);
            wire signed [BIG_W-1:0] based = rounded >>> SHIFT_BASE;
            reg signed [BIG_W-1:0] shifted;
            always @(posedge clk) if (en) shifted <= based >>> shift;

            // Stage 5: zero point and clamp, side by side.
            wire signed [CMP_W-1:0] value = {{(CMP_W-BIG_W+1){shifted[BIG_W-1]}}, shifted[BIG_W-2:0]};
            wire signed [CMP_W-1:0] lo = {{(CMP_W-31){LEAST[31]}}, LEAST[30:0]};
            wire signed [CMP_W-1:0] hi = {{(CMP_W-31){MOST[31]}}, MOST[30:0]};
            reg [Q_BITS-1:0] q;
            always @(posedge clk) begin
                if (en) begin
                    q <= (value < lo) ? LO[Q_BITS-1:0] : (value > hi) ? HI[Q_BITS-1:0]
                                      : value[Q_BITS-1:0] + ZERO[Q_BITS-1:0];
                end
            end
            assign m_data[lane*Q_BITS +: Q_BITS] = q;
        end
    endgenerate
endmodule

`default_nettype wire
