"""The devices: figures that can be held against each other, and how a device is found."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from cnn2rtl.devices import Device, find, load
from cnn2rtl.errors import UserError
from cnn2rtl.synth import FAMILIES
from cnn2rtl.synth.nextpnr import CHIPS

PAGE = Path(__file__).resolve().parents[1] / "docs" / "synthesis.md"
DEVICES = tuple(load().values())
every_device = pytest.mark.parametrize("device", DEVICES, ids=lambda device: device.name)


def test_the_usual_boards_are_there() -> None:
    wanted = (
        "xc7a35t xc7a100t xc7z010 xc7z020 xczu3eg xczu7ev LFE5U-25F LFE5U-45F LFE5U-85F iCE40UP5K iCE40HX8K GW1NR-9 "
        "GW2AR-18 10CL025 5CSEBA6 10M50"
    )
    assert set(wanted.split()) <= set(load())


@every_device
def test_figures_agree(device: Device) -> None:
    assert device.family in FAMILIES
    assert device.lut_inputs in (4, 6) and device.luts > 1000 and device.flip_flops > 1000
    assert bool(device.dsps) == bool(device.multipliers) == FAMILIES[device.family].multiplies
    assert all(9 >= side >= 1 and 8 <= a <= 27 and 8 <= b <= 27 for a, b, side in device.multipliers)
    # Where a width has no bits for parity, those are lost.
    assert all(0.75 <= width * depth / device.ram_bits <= 1 for width, depth in device.ram_shapes)
    assert device.memory_bits == device.rams * device.ram_bits
    assert re.search(r"\d{3}", device.source), "a document with its number"


def test_found_in_any_case() -> None:
    assert find("XC7A35T") is find("xc7a35t") is load()["xc7a35t"]
    assert find("lfe5u-85f").name == "LFE5U-85F"


def test_a_name_that_is_not_there_brings_the_ones_that_are() -> None:
    with pytest.raises(UserError) as caught:
        find("xc7a50t")
    (message,) = caught.value.problems
    assert message.startswith("--device xc7a50t: no such device; did you mean xc7a")
    assert all(name in message for name in load())


def test_place_and_route_is_for_devices_that_are_there() -> None:
    assert set(CHIPS) <= set(load())


def test_the_page_has_the_table() -> None:
    rows = [
        f"| {d.name} | {d.family} | {d.luts:,} x {d.lut_inputs} | {d.flip_flops:,} | {d.dsps:,} | {_multipliers(d)} "
        f"| {d.rams} x {d.ram_bits:,} | {d.distributed_ram_bits:,} | {d.source} |"
        for d in DEVICES
    ]
    assert "\n".join(rows) + "\n" in PAGE.read_text(), "\n".join(rows)


def _multipliers(device: Device) -> str:
    return ", ".join(f"{f'{n} of ' if n > 1 else ''}{a} x {b}" for a, b, n in device.multipliers) or "none"
