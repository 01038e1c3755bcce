"""Icarus Verilog: interpreted, needs no compiler, accepts exactly Verilog-2005."""

from __future__ import annotations

from cnn2rtl.verify.engine import Engine


class Icarus(Engine):
    name = "icarus"
    programs = ("iverilog", "vvp")
    name_of_package = "iverilog"

    def build(self) -> None:
        self.call("iverilog", "-g2005", "-s", "testbench", "-o", "testbench.vvp", *self.sources)

    def command(self, *plusargs: str) -> list[str]:
        return ["vvp", "-n", str(self.work / "testbench.vvp"), *plusargs]
