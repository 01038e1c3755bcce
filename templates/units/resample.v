// SPDX-FileCopyrightText: cnn2rtl contributors
// SPDX-License-Identifier: Apache-2.0

// Pixels from other places: pixel (y, x) of the result is pixel (FROM_Y[y], FROM_X[x]) of the map, or the constant PAD.
// That is upsampling, padding, cropping, striding and flipping. Pixels may hold BLOCK_Y x BLOCK_X pixels of a finer map,
// one after the other in raster order; FROM_Y and FROM_X count the finer ones then (depth to space).
//
// The map goes through a ring of ROWS rows, addressed at random, so that nothing but the pixel's own arrival and the
// order of the results makes a pixel wait; frames follow each other directly. A row is given up when no later row of
// the result needs it or one above it.
//
// One beat per cycle; latency 5 cycles from the pixel that is needed. Pixels of PAD wait for the frame's first pixel,
// and each pixel SPACING cycles for the one before.
`default_nettype none

module resample #(
    // Bits per channel.
    parameter BITS = 8,
    // Channels per beat, >= 1.
    parameter LANES = 1,
    // Beats per pixel of the result, >= 1.
    parameter FOLDS = 1,
    // Size of the map and of the result, in pixels.
    parameter IN_H = 2,
    parameter IN_W = 2,
    parameter OUT_H = 4,
    parameter OUT_W = 4,
    // Finer pixels per pixel of the map.
    parameter BLOCK_Y = 1,
    parameter BLOCK_X = 1,
    // Where each row and column of the result comes from, 16 bits each, the first lowest; all bits set for PAD.
    parameter [OUT_H*16-1:0] FROM_Y = {16'd1, 16'd1, 16'd0, 16'd0},
    parameter [OUT_W*16-1:0] FROM_X = {16'd1, 16'd1, 16'd0, 16'd0},
    // Rows in the ring: computed by the generator so that no pixel waits for room.
    parameter ROWS = 2,
    // Cycles from one pixel to the next at least, >= 1: what the next layer takes for one.
    parameter SPACING = 1,
    // Where the memory lies: see simple_ram.
    parameter PLACE = 0,
    // The constant: the channels of one pixel, first channel lowest.
    parameter [FOLDS*LANES*BITS-1:0] PAD = 0
) (
    input  wire                  clk,
    input  wire                  rst,
    input  wire                  s_valid,
    output wire                  s_ready,
    input  wire [LANES*BITS-1:0] s_data,
    output reg                   m_valid,
    input  wire                  m_ready,
    output reg  [LANES*BITS-1:0] m_data
);
    localparam BEAT_W   = LANES * BITS;
    localparam IN_BEATS = BLOCK_Y * BLOCK_X * FOLDS;                 // per pixel of the map
    localparam ROW_WORDS = IN_W * IN_BEATS;
    localparam WORDS    = ROWS * ROW_WORDS;
    localparam FRAME    = IN_H * IN_W;
    localparam [15:0] CONSTANT = 16'hFFFF;

    // The row of the map that an entry of FROM_Y is in, or the column that one of FROM_X is in; and its part of it.
    function integer place(input [15:0] from, input integer block);
        place = (from == CONSTANT) ? 0 : {16'd0, from} / block;
    endfunction
    function integer part(input [15:0] from, input integer block);
        part = (from == CONSTANT) ? 0 : {16'd0, from} % block;
    endfunction

    // Rows of the map that are given up before row y of the result: those above all that it and later ones need.
    function integer given_up(input integer first);
        integer y;
        begin
            given_up = IN_H;
            for (y = first; y < OUT_H; y = y + 1)
                if (FROM_Y[y*16 +: 16] != CONSTANT && place(FROM_Y[y*16 +: 16], BLOCK_Y) < given_up)
                    given_up = place(FROM_Y[y*16 +: 16], BLOCK_Y);
        end
    endfunction
    localparam SKIPPED = given_up(0);                                // rows above the first that is needed

    localparam POS_W  = $clog2((ROWS + 2 * IN_H + 2) * IN_W + 1) + 2;
    localparam ADDR_W = (WORDS > 1) ? $clog2(WORDS) : 1;
    localparam FOLD_W = (FOLDS > 1) ? $clog2(FOLDS) : 1;
    localparam BEAT_N = (IN_BEATS > 1) ? $clog2(IN_BEATS) : 1;
    localparam Y_W    = (OUT_H > 1) ? $clog2(OUT_H) : 1;
    localparam X_W    = (OUT_W > 1) ? $clog2(OUT_W) : 1;
    localparam REST_W = $clog2(SPACING + 1);

    // Constants at the width of what they meet.
    localparam FIRST_ROOM  = (ROWS + SKIPPED) * IN_W;
    localparam FRAME_WORDS = IN_H % ROWS * ROW_WORDS;
    localparam signed [POS_W-1:0] FRAME_P = FRAME[POS_W-1:0], FIRST_ROOM_P = FIRST_ROOM[POS_W-1:0];
    localparam [ADDR_W-1:0] FRAME_WORDS_A = FRAME_WORDS[ADDR_W-1:0];
    localparam LAST_WORD = WORDS - 1;
    localparam [ADDR_W-1:0] LAST_WORD_A  = LAST_WORD[ADDR_W-1:0];
    localparam [BEAT_N-1:0] LAST_BEAT    = IN_BEATS[BEAT_N-1:0] - 1'b1;
    localparam [FOLD_W-1:0] LAST_FOLD    = FOLDS[FOLD_W-1:0] - 1'b1;
    localparam [Y_W-1:0] LAST_Y          = OUT_H[Y_W-1:0] - 1'b1;
    localparam [X_W-1:0] LAST_X          = OUT_W[X_W-1:0] - 1'b1;
    localparam [REST_W-1:0] SPACING_R    = SPACING[REST_W-1:0];
    localparam [ADDR_W:0] RING_A         = WORDS[ADDR_W:0];

    // ---------------------------------------------------------------- tables, made at elaboration
    // Of each row of the result: pixels before its row in the map; its words in the ring, counted from the frame's first
    // row, and those before its part of a pixel; the pixels that are given up with its end; whether it is the constant.
    reg [POS_W-1:0]  row_pixels  [0:OUT_H-1];
    reg [ADDR_W-1:0] row_address [0:OUT_H-1];
    reg [ADDR_W-1:0] row_part    [0:OUT_H-1];
    reg [POS_W-1:0]  row_free    [0:OUT_H-1];
    reg [OUT_H-1:0]  row_is_pad;
    // Of each column: its number in the map, and the words before it.
    reg [POS_W-1:0]  column         [0:OUT_W-1];
    reg [ADDR_W-1:0] column_address [0:OUT_W-1];
    reg [OUT_W-1:0]  column_is_pad;

    integer k, given, pixels, address, words_before, free_pixels;
    wire unused_tables = &{1'b0, given, pixels, address, words_before, free_pixels};
    initial begin
        given = IN_H;
        for (k = OUT_H - 1; k >= 0; k = k - 1) begin
            pixels       = place(FROM_Y[k*16 +: 16], BLOCK_Y);
            free_pixels  = given + ((k == OUT_H - 1) ? SKIPPED : 0);
            if (FROM_Y[k*16 +: 16] != CONSTANT && pixels < given) given = pixels;
            free_pixels  = (free_pixels - given) * IN_W;
            address      = pixels % ROWS * ROW_WORDS;
            pixels       = pixels * IN_W;
            words_before = part(FROM_Y[k*16 +: 16], BLOCK_Y) * BLOCK_X * FOLDS;
            row_pixels[k]  = pixels[POS_W-1:0];
            row_address[k] = address[ADDR_W-1:0];
            row_part[k]    = words_before[ADDR_W-1:0];
            row_free[k]    = free_pixels[POS_W-1:0];
            row_is_pad[k]  = FROM_Y[k*16 +: 16] == CONSTANT;
        end
        for (k = 0; k < OUT_W; k = k + 1) begin
            pixels  = place(FROM_X[k*16 +: 16], BLOCK_X);
            address = pixels * IN_BEATS + part(FROM_X[k*16 +: 16], BLOCK_X) * FOLDS;
            column[k]         = pixels[POS_W-1:0];
            column_address[k] = address[ADDR_W-1:0];
            column_is_pad[k]  = FROM_X[k*16 +: 16] == CONSTANT;
        end
    end

    // ---------------------------------------------------------------- write side
    reg signed [POS_W-1:0] room;          // pixels that may still be written
    reg [BEAT_N-1:0] w_beat;
    reg [ADDR_W-1:0] w_addr;

    assign s_ready = room > 0;
    wire put = s_valid && s_ready;
    wire put_pixel = put && (w_beat == LAST_BEAT);

    always @(posedge clk) begin
        if (rst) begin
            w_beat <= 0;
            w_addr <= 0;
        end else if (put) begin
            w_beat <= put_pixel ? {BEAT_N{1'b0}} : w_beat + 1'b1;
            w_addr <= (w_addr == LAST_WORD_A) ? {ADDR_W{1'b0}} : w_addr + 1'b1;
        end
    end

    // ---------------------------------------------------------------- read side: which beat is next
    reg signed [POS_W-1:0] loaded;        // pixels of the frame that have come
    reg [FOLD_W-1:0] fold;
    reg [X_W-1:0]    x;
    reg [Y_W-1:0]    y;
    reg [ADDR_W-1:0] frame;               // address of the frame's first row
    reg [REST_W-1:0] rest;                // cycles until a pixel may begin

    wire is_pad = row_is_pad[y] || column_is_pad[x];
    wire signed [POS_W-1:0] need = is_pad ? {POS_W{1'b0}} : row_pixels[y] + column[x];

    wire en = !m_valid || m_ready;
    wire go = en && (loaded > need) && (fold != 0 || rest == 0);

    wire last_fold = fold == LAST_FOLD;
    wire last_x    = last_fold && (x == LAST_X);
    wire last_y    = last_x && (y == LAST_Y);                           // the frame is done

    // So many words on in the ring.
    function [ADDR_W-1:0] after(input [ADDR_W-1:0] from, input [ADDR_W-1:0] step);
        reg [ADDR_W:0] to;
        begin
            to = {1'b0, from} + {1'b0, step};
            if (to >= RING_A) to = to - RING_A;
            after = to[ADDR_W-1:0];
        end
    endfunction

    always @(posedge clk) begin
        if (rst) begin
            fold  <= 0;
            x     <= 0;
            y     <= 0;
            frame <= 0;
        end else if (go) begin
            fold <= last_fold ? {FOLD_W{1'b0}} : fold + 1'b1;
            if (last_fold) x <= last_x ? {X_W{1'b0}} : x + 1'b1;
            if (last_x)    y <= last_y ? {Y_W{1'b0}} : y + 1'b1;
            if (last_y)    frame <= after(frame, FRAME_WORDS_A);
        end
    end

    always @(posedge clk) begin
        if (rst)                  rest <= 0;
        else if (go && fold == 0) rest <= SPACING_R - 1'b1;
        else if (rest != 0)       rest <= rest - 1'b1;
    end

    always @(posedge clk) begin
        if (rst) loaded <= 0;
        else     loaded <= loaded + (put_pixel ? 1 : 0) - ((go && last_y) ? FRAME_P : 0);
    end

    // Rows are given up when the address stage, one advance behind, has read them.
    reg signed [POS_W-1:0] freed;
    always @(posedge clk) begin
        if (rst) begin
            freed <= 0;
            room  <= FIRST_ROOM_P;
        end else begin
            if (en) freed <= (go && last_x) ? $signed(row_free[y]) : 0;
            room <= room - (put_pixel ? 1 : 0) + (en ? freed : 0);
        end
    end

    // ---------------------------------------------------------------- read pipeline
    // Stage 1: address. Stage 2: memory. Stage 3: a register, which tools may draw into the block RAM.
    reg valid1, valid2, valid3;
    reg pad1, pad2, pad3;
    reg [FOLD_W-1:0] fold1, fold2, fold3;
    reg [ADDR_W-1:0] addr1;
    wire [ADDR_W-1:0] fold_a;
    extend #(.IN_W(FOLD_W), .OUT_W(ADDR_W)) u_fold (.in(fold), .out(fold_a));
    wire [ADDR_W-1:0] row = after(frame, row_address[y]);
    wire [BEAT_W-1:0] read_data;
    reg [BEAT_W-1:0] word;

    simple_ram #(.WIDTH(BEAT_W), .DEPTH(WORDS), .PLACE(PLACE)) u_ram (
        .clk(clk), .write(put), .write_addr(w_addr), .write_data(s_data),
        .read(en), .read_addr(addr1), .read_data(read_data)
    );

    // Stage 4: the pixel, or the constant.
    wire [BEAT_W-1:0] pad;
    generate
        if (PAD == 0) begin : g_zero
            assign pad = 0;
            wire unused = &{1'b0, fold3};
        end else begin : g_pad
            assign pad = PAD[fold3*BEAT_W +: BEAT_W];
        end
    endgenerate

    always @(posedge clk) begin
        if (en) begin
            addr1  <= row + row_part[y] + column_address[x] + fold_a;
            pad1   <= is_pad;
            pad2   <= pad1;
            pad3   <= pad2;
            fold1  <= fold;
            fold2  <= fold1;
            fold3  <= fold2;
            word   <= read_data;
            m_data <= pad3 ? pad : word;
        end
        if (rst) begin
            valid1  <= 1'b0;
            valid2  <= 1'b0;
            valid3  <= 1'b0;
            m_valid <= 1'b0;
        end else if (en) begin
            valid1  <= go;
            valid2  <= valid1;
            valid3  <= valid2;
            m_valid <= valid3;
        end
    end
endmodule

`default_nettype wire
