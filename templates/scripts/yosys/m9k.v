// The boxes that stand for an M9K and for half a multiplier in a netlist for MAX 10 or Cyclone 10 LP.
`default_nettype none

module M9K (
    input  wire        CLK_C,
    input  wire        PORT_W_CLK,
    input  wire [12:0] PORT_W_ADDR,
    input  wire [35:0] PORT_W_WR_DATA,
    input  wire        PORT_W_WR_EN,
    input  wire        PORT_R_CLK,
    input  wire        PORT_R_CLK_EN,
    input  wire [12:0] PORT_R_ADDR,
    output wire [35:0] PORT_R_RD_DATA
);
    parameter INIT = 0;
    parameter PORT_W_WIDTH = 36;
    parameter PORT_R_WIDTH = 36;
endmodule

module MUL9X9 (
    input  wire [8:0]  dataa,
    input  wire [8:0]  datab,
    input  wire        signa,
    input  wire        signb,
    output wire [17:0] dataout
);
    parameter dataa_clock = "none";
    parameter datab_clock = "none";
    parameter signa_clock = "none";
    parameter signb_clock = "none";
    parameter dataa_width = 9;
    parameter datab_width = 9;
    parameter lpm_type = "";
endmodule

`default_nettype wire
