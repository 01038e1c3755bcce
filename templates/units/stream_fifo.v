// SPDX-FileCopyrightText: cnn2rtl contributors
// SPDX-License-Identifier: Apache-2.0

// First-in first-out buffer between two streams. Both its ready and its valid come from registers, so it
// also cuts the combinational ready path from layer to layer.
//
// Latency 2 cycles, one beat per cycle, room for DEPTH + 1 beats.
`default_nettype none

module stream_fifo #(
    // Bits per beat, >= 1.
    parameter WIDTH = 8,
    // Beats held in memory, >= 2; one more waits at the output.
    parameter DEPTH = 2,
    // Where the memory lies: see simple_ram.
    parameter PLACE = 0
) (
    input  wire             clk,
    input  wire             rst,
    input  wire             s_valid,
    output wire             s_ready,
    input  wire [WIDTH-1:0] s_data,
    output reg              m_valid,
    input  wire             m_ready,
    output wire [WIDTH-1:0] m_data
);
    generate
        if (DEPTH < 2) begin : g_depth
            DEPTH_must_be_at_least_2 u_error ();
        end
    endgenerate

    localparam ADDR_W = $clog2(DEPTH);
    localparam COUNT_W = $clog2(DEPTH + 1);
    localparam [ADDR_W-1:0] LAST = DEPTH[ADDR_W-1:0] - 1'b1;
    localparam [COUNT_W-1:0] FULL = DEPTH[COUNT_W-1:0];

    reg [ADDR_W-1:0] head;
    reg [ADDR_W-1:0] tail;
    reg [COUNT_W-1:0] count;
    reg [COUNT_W-1:0] next_count;
    reg ready;                            // count != FULL, but from a register: chains of ready signals end here

    assign s_ready = ready;
    wire push = s_valid && s_ready;
    wire pop  = (count != 0) && (!m_valid || m_ready);

    always @* begin
        case ({push, pop})
            2'b10:   next_count = count + 1'b1;
            2'b01:   next_count = count - 1'b1;
            default: next_count = count;
        endcase
    end

    simple_ram #(.WIDTH(WIDTH), .DEPTH(DEPTH), .PLACE(PLACE)) u_ram (
        .clk(clk),
        .write(push), .write_addr(tail), .write_data(s_data),
        .read(pop),   .read_addr(head),  .read_data(m_data)
    );

    always @(posedge clk) begin
        if (rst) begin
            head    <= 0;
            tail    <= 0;
            count   <= 0;
            ready   <= 1'b1;
            m_valid <= 1'b0;
        end else begin
            if (push) tail <= (tail == LAST) ? {ADDR_W{1'b0}} : tail + 1'b1;
            if (pop)  head <= (head == LAST) ? {ADDR_W{1'b0}} : head + 1'b1;
            count <= next_count;
            ready <= next_count != FULL;
            if (pop)          m_valid <= 1'b1;
            else if (m_ready) m_valid <= 1'b0;
        end
    end
endmodule

`default_nettype wire
