"""Verilator: compiled, a hundred times faster on large designs, needs a C++ compiler."""

from __future__ import annotations

import os

from cnn2rtl.errors import UserError
from cnn2rtl.verify.engine import Engine


class Verilator(Engine):
    name = "verilator"
    programs = ("verilator", "make", "g++")
    name_of_package = "verilator make g++"

    def check(self) -> None:
        if any(character.isspace() for character in str(self.work)):
            raise UserError(
                f"verilator: cannot build in {self.work}: make allows no blanks in a path; move the project to one "
                'without any, or choose `engine="icarus"`'
            )

    def build(self) -> None:
        # The design is linted in its own tests; here warnings would only hide errors. What g++ does beyond -O1 takes
        # half as long again, and makes the simulation no faster.
        self.call(
            "verilator", "--binary", "--timing", "-O3", "-Wno-fatal", "-Wno-lint", "-Wno-style", "-j",
            str(os.cpu_count() or 1), "-MAKEFLAGS", "OPT_FAST=-O1", "--top-module", "testbench", "--Mdir", "verilated",
            "-o", "testbench", *self.sources,
        )  # fmt: skip

    def command(self, *plusargs: str) -> list[str]:
        return [str(self.work / "verilated" / "testbench"), *plusargs]
