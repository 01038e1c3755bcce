// SPDX-FileCopyrightText: cnn2rtl contributors
// SPDX-License-Identifier: Apache-2.0

// Maximum or sum over tiles: windows side by side, without overlap or padding. Needs no line buffer, only one
// partial result per tile of a row and channel.
//
// One beat per cycle in; latency 3 cycles from a tile's last pixel. Pixels right of and below the last whole
// tile are swallowed.
`default_nettype none

module tile_reduce #(
    // 1: maximum, 0: sum.
    parameter MAX = 1,
    // Channels per beat, and beats per pixel, >= 1.
    parameter LANES = 1,
    parameter FOLDS = 1,
    // Size of the map and of a tile, in pixels.
    parameter IN_H = 8,
    parameter IN_W = 8,
    parameter TILE_Y = 2,
    parameter TILE_X = 2,
    // Bits per value, two's complement (1) or unsigned (0).
    parameter BITS = 8,
    parameter SIGNED = 0,
    // Bits per result, the same for a maximum.
    parameter OUT_BITS = 8,
    // Where the partial results lie: see simple_ram.
    parameter PLACE = 0
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
    localparam OUT_H = IN_H / TILE_Y;
    localparam OUT_W = IN_W / TILE_X;
    localparam DEPTH = OUT_W * FOLDS;
    localparam ADDR_W = (DEPTH > 1) ? $clog2(DEPTH) : 1;
    localparam FOLD_W = $clog2(FOLDS + 1);
    localparam X_W = $clog2(IN_W + 1);
    localparam Y_W = $clog2(IN_H + 1);
    localparam [FOLD_W-1:0] LAST_FOLD = FOLDS[FOLD_W-1:0] - 1'b1;
    localparam [X_W-1:0] LAST_X = IN_W[X_W-1:0] - 1'b1;
    localparam [X_W-1:0] TILE_LAST_X = TILE_X[X_W-1:0] - 1'b1;
    localparam [X_W-1:0] TILES_X = OUT_W[X_W-1:0];
    localparam [Y_W-1:0] LAST_Y = IN_H[Y_W-1:0] - 1'b1;
    localparam [Y_W-1:0] TILE_LAST_Y = TILE_Y[Y_W-1:0] - 1'b1;
    localparam [Y_W-1:0] TILES_Y = OUT_H[Y_W-1:0];

    wire en = !m_valid || m_ready;
    assign s_ready = en;
    wire accept = s_valid && en;

    // Position in the map, in the tile, and of the tile.
    reg [FOLD_W-1:0] fold;
    reg [X_W-1:0] x, in_x, tile_x;
    reg [Y_W-1:0] y, in_y, tile_y;
    reg [ADDR_W-1:0] addr, tile_addr;      // of this beat's partial result, and of its tile's first
    wire last_fold = fold == LAST_FOLD;
    wire last_x = last_fold && (x == LAST_X);
    wire last_y = last_x && (y == LAST_Y);
    wire tile_ends = in_x == TILE_LAST_X;
    wire whole = (tile_x != TILES_X) && (tile_y != TILES_Y);

    always @(posedge clk) begin
        if (rst) begin
            fold      <= 0;
            x         <= 0;
            in_x      <= 0;
            tile_x    <= 0;
            y         <= 0;
            in_y      <= 0;
            tile_y    <= 0;
            addr      <= 0;
            tile_addr <= 0;
        end else if (accept) begin
            fold <= last_fold ? {FOLD_W{1'b0}} : fold + 1'b1;
            if (last_x) begin
                x         <= 0;
                in_x      <= 0;
                tile_x    <= 0;
                addr      <= 0;
                tile_addr <= 0;
            end else if (last_fold) begin
                x    <= x + 1'b1;
                in_x <= tile_ends ? {X_W{1'b0}} : in_x + 1'b1;
                if (tile_ends) begin
                    tile_x    <= tile_x + 1'b1;
                    tile_addr <= addr + 1'b1;
                    addr      <= addr + 1'b1;
                end else begin
                    addr <= tile_addr;
                end
            end else begin
                addr <= addr + 1'b1;
            end
            if (last_y) begin
                y      <= 0;
                in_y   <= 0;
                tile_y <= 0;
            end else if (last_x) begin
                y    <= y + 1'b1;
                in_y <= (in_y == TILE_LAST_Y) ? {Y_W{1'b0}} : in_y + 1'b1;
                if (in_y == TILE_LAST_Y) tile_y <= tile_y + 1'b1;
            end
        end
    end

    // Stage 1: read the partial result. Stage 2: into a register, for block RAMs answer late in the cycle. The last
    // two results may not be in memory yet when they are asked for.
    reg valid1, first1, last1, same1;
    reg valid2, first2, last2, same2;      // same: the beat ahead is of the same tile
    reg [LANES*BITS-1:0] data1, data2;
    reg [ADDR_W-1:0] addr1, addr2;
    reg near1;                             // the beat two ahead is of the same tile
    wire [LANES*OUT_BITS-1:0] stored;
    reg  [LANES*OUT_BITS-1:0] fetched, latest;
    wire [LANES*OUT_BITS-1:0] result;
    wire same = valid1 && (addr == addr1);
    wire near = valid2 && (addr == addr2);
    simple_ram #(.WIDTH(LANES*OUT_BITS), .DEPTH(DEPTH), .PLACE(PLACE)) u_partial (
        .clk(clk),
        .write(en && valid2),             .write_addr(addr2), .write_data(result),
        .read(accept && !same && !near),  .read_addr(addr),   .read_data(stored)
    );
    always @(posedge clk) begin
        if (rst) begin
            valid1  <= 1'b0;
            valid2  <= 1'b0;
            m_valid <= 1'b0;
        end else if (en) begin
            valid1  <= s_valid && whole;
            valid2  <= valid1;
            m_valid <= valid2 && last2;
        end
    end
    always @(posedge clk) begin
        if (en) begin
            data1  <= s_data;
            addr1  <= addr;
            same1  <= same;
            near1  <= near;
            first1 <= (in_x == 0) && (in_y == 0);
            last1  <= tile_ends && (in_y == TILE_LAST_Y);
            data2  <= data1;
            addr2  <= addr1;
            same2  <= same1;
            first2 <= first1;
            last2  <= last1;
            fetched <= near1 ? latest : stored;
        end
    end

    // Stage 3: combine, keep, and show at the tile's end.
    genvar lane;
    generate
        for (lane = 0; lane < LANES; lane = lane + 1) begin : g_lane
            wire [OUT_BITS-1:0] value, both;
            wire [OUT_BITS-1:0] partial = same2 ? latest[lane*OUT_BITS +: OUT_BITS]
                                                  : fetched[lane*OUT_BITS +: OUT_BITS];
            extend #(.IN_W(BITS), .OUT_W(OUT_BITS), .SIGNED(SIGNED)) u_extend (
                .in(data2[lane*BITS +: BITS]), .out(value)
            );
            combine #(.MAX(MAX), .BITS(OUT_BITS), .SIGNED(SIGNED)) u_combine (
                .a(partial), .b(value), .out(both)
            );
            assign result[lane*OUT_BITS +: OUT_BITS] = first2 ? value : both;
        end
    endgenerate
    always @(posedge clk) begin
        if (en && valid2) begin
            latest <= result;
            m_data <= result;
        end
    end
endmodule

`default_nettype wire
