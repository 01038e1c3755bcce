// SPDX-FileCopyrightText: cnn2rtl contributors
// SPDX-License-Identifier: Apache-2.0

// Numbers of BITS + SLOPE_SHIFT bits, in units 2**SLOPE_SHIFT times finer than the input's: x << SLOPE_SHIFT
// where x is not negative, and x itself, which is x / 2**SLOPE_SHIFT in those units, where it is. Exact.
//
// One beat per cycle; latency 1 cycle.
`default_nettype none

module leaky_relu #(
    // Channels per beat, >= 1.
    parameter LANES = 1,
    // Bits per number, two's complement (1) or unsigned (0), which is never negative.
    parameter BITS = 8,
    parameter SIGNED = 1,
    // The slope of negative numbers is 2**-SLOPE_SHIFT; >= 1.
    parameter SLOPE_SHIFT = 3,
    // Derived: bits per result.
    parameter OUT_BITS = BITS + SLOPE_SHIFT
) (
    input  wire                      clk,
    input  wire                      rst,
    input  wire                      s_valid,
    output wire                      s_ready,
    input  wire [LANES*BITS-1:0]     s_data,
    output reg                       m_valid,
    input  wire                      m_ready,
    output reg  [LANES*OUT_BITS-1:0] m_data
);
    generate
        if (SLOPE_SHIFT < 1) begin : g_slope_shift
            SLOPE_SHIFT_must_be_at_least_1 u_error ();
        end
    endgenerate

    // The register takes a beat when it is empty or is being emptied.
    wire en = !m_valid || m_ready;
    assign s_ready = en;
    always @(posedge clk) begin
        if (rst)     m_valid <= 1'b0;
        else if (en) m_valid <= s_valid;
    end

    genvar lane;
    generate
        for (lane = 0; lane < LANES; lane = lane + 1) begin : g_lane
            wire [BITS-1:0] x = s_data[lane*BITS +: BITS];
            wire negative = (SIGNED != 0) && x[BITS-1];
            always @(posedge clk) begin
                if (en) m_data[lane*OUT_BITS +: OUT_BITS] <= negative ? {{SLOPE_SHIFT{1'b1}}, x}
                                                                      : {x, {SLOPE_SHIFT{1'b0}}};
            end
        end
    endgenerate
endmodule

`default_nettype wire
