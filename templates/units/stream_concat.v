// SPDX-FileCopyrightText: cnn2rtl contributors
// SPDX-License-Identifier: Apache-2.0

// Puts the channels of several streams behind each other: of every pixel the first stream's beats, then the second's,
// and so on. All have the same lanes, and channels that these divide.
//
// Latency 0, one beat per cycle.
`default_nettype none

module stream_concat #(
    // Streams, >= 2.
    parameter INPUTS = 2,
    // Bits per beat.
    parameter WIDTH = 8,
    // Beats per pixel of each stream, 16 bits each, those of stream 0 lowest; each >= 1.
    parameter [INPUTS*16-1:0] BEATS = {INPUTS{16'd1}}
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
    function integer bits(input [INPUTS*16-1:0] beats);
        integer k;
        begin
            bits = 1;
            for (k = 0; k < INPUTS*16; k = k + 1)
                if (beats[k] && k % 16 >= bits) bits = k % 16 + 1;
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
            next_beats = next_beats | (BEATS[i*16 +: LEFT_W] & {LEFT_W{next[i]}});
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
