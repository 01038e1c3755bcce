"""One start of Icarus for all the cases of a unit that pytest is about to run: starting is most of their time."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import chain
from pathlib import Path
from xml.etree import ElementTree

import pytest
from cocotb_tools.runner import get_runner
from unit_bench import HERE, ROOT, UNITS, Case

TOP = "cases"
WIDEST = 1 << 14
"""Bits, more than any port has."""


class Simulate:
    """The cases of a unit in one simulator, each an instance of its own; called with a case, whether that one is right.

    It runs ``chosen``, some of all the ``cases`` of the unit, when the first of them is asked for. ``WAVES=1`` in the
    environment keeps a trace (``cases.fst``) in ``folder``; ``SEED`` replaces the cases' own seeds.
    """

    def __init__(self, cases: Sequence[Case], chosen: Sequence[Case], folder: Path) -> None:
        self.folder, self.unit = folder, chosen[0].unit
        self._cases = cases
        self._chosen: Mapping[str, Case] = {self._name(case): case for case in chosen}
        self._complaints: Mapping[str, list[str]] = {}

    def __call__(self, case: Case, tests: str | None = None) -> None:
        """Fail unless ``case`` passes the cocotb tests of the modules ``tests``, by default those of its own file."""
        self._complaints = self._complaints or self._run(tests or f"test_{self.unit}")
        complaints = self._complaints[self._name(case)]
        if complaints:
            # xdist adds the group to the name of a test.
            test = os.environ["PYTEST_CURRENT_TEST"].rsplit(" ", 1)[0].removesuffix(f"@test_{self.unit}")
            again = f"SEED={case.seed} WAVES=1 python -m pytest --basetemp=sim_build {shlex.quote(test)}"
            pytest.fail(
                "\n".join(complaints) + f"\n{self.unit} {case.literals()}\n"
                f"seed {case.seed}; to see it again, with waves in sim_build/test_{self.unit}0/{TOP}.fst:\n  {again}",
                pytrace=False,
            )

    def _name(self, case: Case) -> str:
        return f"case{self._cases.index(case)}"

    def _run(self, tests: str) -> Mapping[str, list[str]]:
        """What each case fails in."""
        log, results = self.folder / "simulation.log", self.folder / "results.xml"
        complaints: dict[str, list[str]] = {name: [] for name in self._chosen}
        seen = set()
        with suppress(RuntimeError, SystemExit):  # what was wrong with which case, the results or the log say
            self._simulate(tests, log, results)
        for test in ElementTree.parse(results).iter("testcase") if results.exists() else ():
            title, _, index = test.attrib["name"].partition("/case=")
            seen.add(f"case{index}")
            for failure in (*test.iter("failure"), *test.iter("error")):
                complaints[f"case{index}"].append(f"{title}: {failure.text or failure.attrib['message']}")
        for name in complaints.keys() - seen:
            complaints[name].append(f"nothing was tested; {log}:\n{log.read_text()}")
        return complaints

    def _simulate(self, tests: str, log: Path, results: Path) -> None:
        for name, case in self._chosen.items():
            (self.folder / name).mkdir()
            case.write_roms(self.folder / name)
        top = self.folder / f"{TOP}.v"
        top.write_text("\n".join([f"module {TOP};", *chain(*map(self._verilog, self._chosen)), "endmodule\n"]))

        runner = get_runner("icarus")
        runner.build(
            sources=[*sorted(UNITS.glob("*.v")), top], hdl_toplevel=TOP, build_dir=self.folder,
            timescale=("1ns", "1ps"), always=True, log_file=log,
        )  # fmt: skip
        environment = {
            "PYTHONPATH": os.pathsep.join(map(str, (HERE, ROOT))),
            "UNIT": self.unit,
            "CASES": " ".join(name.removeprefix("case") for name in self._chosen),
        }
        runner.test(
            test_module=tests, hdl_toplevel=TOP, build_dir=self.folder, seed=0, extra_env=environment,
            results_xml=str(results), log_file=log,
        )  # fmt: skip

    def _verilog(self, name: str) -> Iterator[str]:
        """The instance of a case, whose inputs cocotb sets.

        What drives them never changes, so its width does not matter; without it Icarus takes them for constants.
        """
        source = (UNITS / f"{self.unit}.v").read_text()
        inputs = re.findall(r"^ +input +wire +(?:\[.*?\] +)?(\w+)", source, re.MULTILINE)
        yield from (f"    reg [{WIDEST - 1}:0] {name}_{port};" for port in inputs)
        yield "    " + self._chosen[name].verilog(name, {port: f"{name}_{port}" for port in inputs})
