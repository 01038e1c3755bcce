// SPDX-FileCopyrightText: cnn2rtl contributors
// SPDX-License-Identifier: Apache-2.0

// Puts several streams behind each other: some beats of the first one, then of the second, and so on, then of the first
// again. A turn may be a pixel (joining channels), a row (joining columns) or a frame (joining rows).
//
// Latency 0, one beat per cycle.
`default_nettype none

module stream_concat #(
    // Streams, >= 2.
    parameter INPUTS = 2,
    // Bits per beat.
    parameter WIDTH = 8,
    // Beats per turn of each stream, 32 bits each, those of stream 0 lowest; each >= 1.
    parameter [INPUTS*32-1:0] BEATS = {INPUTS{32'd1}}
) (
    input  wire                    clk,
    input  wire                    rst,
    input  wire [INPUTS-1:0]       s_valid,
    output wire [INPUTS-1:0]       s_ready,
    input  wire [INPUTS*WIDTH-1:0] s_data,
    output wire                    m_valid,
    input  wire                    m_ready,
    output wire [WIDTH-1:0]        m_data
);
    generate
        if (INPUTS < 2) begin : g_inputs
            INPUTS_must_be_at_least_2 u_error ();
        end
    endgenerate

    // Bits that the most beats of a stream have.
    function integer bits(input [INPUTS*32-1:0] beats);
        integer k;
        begin
            bits = 1;
            for (k = 0; k < INPUTS*32; k = k + 1)
                if (beats[k] && k % 32 >= bits) bits = k % 32 + 1;
        end
    endfunction
    localparam LEFT_W = bits(BEATS);

    // The stream whose turn it is: its bit alone is set, and its beats that are left.
    localparam [INPUTS-1:0] FIRST = 1;
    reg [INPUTS-1:0] turn;
    reg [LEFT_W-1:0] left;

    assign s_ready = turn & {INPUTS{m_ready}};
    assign m_valid = |(s_valid & turn);

    wire [INPUTS-1:0] next = {turn[INPUTS-2:0], turn[INPUTS-1]};
    reg [WIDTH-1:0] data;
    reg [LEFT_W-1:0] next_beats;
    integer i;
    always @* begin
        data       = 0;
        next_beats = 0;
        for (i = 0; i < INPUTS; i = i + 1) begin
            data       = data       | (s_data[i*WIDTH +: WIDTH] & {WIDTH{turn[i]}});
            next_beats = next_beats | (BEATS[i*32 +: LEFT_W] & {LEFT_W{next[i]}});
        end
    end
    assign m_data = data;

    always @(posedge clk) begin
        if (rst) begin
            turn <= FIRST;
            left <= BEATS[LEFT_W-1:0];
        end else if (m_valid && m_ready) begin
            if (left == 1) begin
                turn <= next;
                left <= next_beats;
            end else begin
                left <= left - 1'b1;
            end
        end
    end
endmodule

`default_nettype wire
