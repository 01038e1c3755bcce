// SPDX-FileCopyrightText: cnn2rtl contributors
// SPDX-License-Identifier: Apache-2.0

// Shows each vector of WORDS beats REPEAT times over, so that a folded array can compute one group of outputs
// after the other from the same activations. Two vectors fit: the next is loaded while this one is repeated.
//
// Latency 2 cycles; one beat per cycle out, without a lost cycle between repetitions or vectors.
`default_nettype none

module replay_buffer #(
    // Bits per beat, >= 1.
    parameter WIDTH = 8,
    // Beats per vector, >= 1.
    parameter WORDS = 1,
    // Times each vector is shown, >= 1; once needs no buffer.
    parameter REPEAT = 2,
    // Where the memory lies: see simple_ram.
    parameter PLACE = 0
) (
    input  wire             clk,
    input  wire             rst,
    input  wire             s_valid,
    output wire             s_ready,
    input  wire [WIDTH-1:0] s_data,
    output wire             m_valid,
    input  wire             m_ready,
    output wire [WIDTH-1:0] m_data
);
    generate
        if (REPEAT == 1) begin : g_wire
            assign m_valid = s_valid;
            assign s_ready = m_ready;
            assign m_data  = s_data;
            // Nothing to clock.
            wire unused = &{1'b0, clk, rst};
        end else begin : g_buffer
            // A third vector's worth of room where vectors are so short that two do not cover the latency.
            localparam VECTORS = (WORDS * REPEAT < 8) ? 2 + 8 / (WORDS * REPEAT) : 2;
            localparam DEPTH   = VECTORS * WORDS;
            localparam ADDR_W  = $clog2(DEPTH);
            localparam COUNT_W = $clog2(DEPTH + 1);
            localparam WORD_W  = (WORDS > 1) ? $clog2(WORDS) : 1;
            localparam REP_W   = $clog2(REPEAT);
            localparam [ADDR_W-1:0] LAST_ADDR = DEPTH[ADDR_W-1:0] - 1'b1;
            localparam [ADDR_W-1:0] REWIND    = WORDS[ADDR_W-1:0] - 1'b1;
            localparam [COUNT_W-1:0] DEPTH_C  = DEPTH[COUNT_W-1:0];
            localparam [COUNT_W-1:0] WORDS_C  = WORDS[COUNT_W-1:0];
            localparam [WORD_W-1:0] LAST_WORD = WORDS[WORD_W-1:0] - 1'b1;
            localparam [REP_W-1:0] LAST_REP   = REPEAT[REP_W-1:0] - 1'b1;

            reg [ADDR_W-1:0]  write_addr, read_addr;
            reg [COUNT_W-1:0] room;          // words that may still be written
            reg [COUNT_W-1:0] loaded;        // words of this vector and later ones in the buffer
            reg [WORD_W-1:0]  word;
            reg [REP_W-1:0]   rep;
            reg               valid;

            assign s_ready = room != 0;
            wire put = s_valid && s_ready;

            wire en = !valid || m_ready;
            wire [COUNT_W-1:0] word_c = {{(COUNT_W-WORD_W){1'b0}}, word};
            wire show = en && (loaded > word_c);
            wire last_word = word == LAST_WORD;
            wire done = show && last_word && (rep == LAST_REP);

            simple_ram #(.WIDTH(WIDTH), .DEPTH(DEPTH), .PLACE(PLACE)) u_ram (
                .clk(clk),
                .write(put), .write_addr(write_addr), .write_data(s_data),
                .read(show), .read_addr(read_addr),   .read_data(m_data)
            );

            always @(posedge clk) begin
                if (rst) begin
                    write_addr <= 0;
                    read_addr  <= 0;
                    room       <= DEPTH_C;
                    loaded     <= 0;
                    word       <= 0;
                    rep        <= 0;
                    valid      <= 1'b0;
                end else begin
                    if (put) write_addr <= (write_addr == LAST_ADDR) ? {ADDR_W{1'b0}} : write_addr + 1'b1;
                    room   <= room   - {{(COUNT_W-1){1'b0}}, put} + (done ? WORDS_C : {COUNT_W{1'b0}});
                    loaded <= loaded + {{(COUNT_W-1){1'b0}}, put} - (done ? WORDS_C : {COUNT_W{1'b0}});
                    if (show) begin
                        word <= last_word ? {WORD_W{1'b0}} : word + 1'b1;
                        if (last_word) rep <= done ? {REP_W{1'b0}} : rep + 1'b1;
                        if (last_word && !done)          read_addr <= read_addr - REWIND;
                        else if (read_addr == LAST_ADDR) read_addr <= 0;
                        else                             read_addr <= read_addr + 1'b1;
                    end
                    if (en) valid <= show;
                end
            end

            assign m_valid = valid;
        end
    endgenerate
endmodule

`default_nettype wire
