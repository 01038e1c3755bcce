"""The devices: figures that can be held against each other, and how a device is found."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from cnn2rtl.devices import Device, boards, clock_words, families, find, load
from cnn2rtl.errors import UserError
from cnn2rtl.synthesis import FAMILIES
from cnn2rtl.synthesis.nextpnr import CHIPS

PAGE = Path(__file__).resolve().parents[1] / "docs" / "synthesis.md"
DEVICES = tuple(load().values())
every_device = pytest.mark.parametrize("device", DEVICES, ids=lambda device: device.name)


def test_the_usual_boards_are_there() -> None:
    wanted = (
        "xc7s50 xc7a35t xc7a100t xc7z007s xc7z010 xc7z020 xc7z045 xczu3eg xczu7ev LFE5U-12F LFE5U-25F LFE5U-45F "
        "LFE5U-85F iCE40UP5K iCE40HX8K GW1NR-9 GW2AR-18 10CL016 10CL025 5CSEBA6 10M50"
    )
    assert set(wanted.split()) <= set(load())


@every_device
def test_figures_agree(device: Device) -> None:
    assert device.family in FAMILIES and device.family in families()
    assert device.lut_inputs in (4, 6) and device.luts > 1000 and device.flip_flops > 1000
    assert bool(device.dsps) == bool(device.multipliers) == FAMILIES[device.family].multiplies
    assert all(9 >= side >= 1 and 8 <= a <= 27 and 8 <= b <= 27 for a, b, side in device.multipliers)
    # Where a width has no bits for parity, those are lost.
    assert all(0.75 <= width * depth / device.ram_bits <= 1 for width, depth in device.ram_shapes)
    assert device.memory_bits == device.rams * device.ram_bits
    assert re.search(r"\d{3}", device.source), "a document with its number"


@every_device
def test_the_part_is_one_of_the_device(device: Device) -> None:
    """How each maker forms the name of a part from that of the device: package and speed grade follow."""
    shapes = {
        "xc7": r"{}[a-z]{{3,4}}\d{{3}}-[123]L?",
        "xcup": r"{}-[a-z]{{4}}\d+-[123]-[ei]",
        "ecp5": r"{}-[678]BG\d+[CI]",
        "ice40": r"{}-[A-Z]{{2}}\d+",
        "ice40up": r"{}-[A-Z]{{2}}\d+I?",
        "gw1n": r"GW1NR-LV9QN88PC\d/I\d",
        "gw2a": r"GW2AR-LV18QN88C\d/I\d",
        "cyclone10lp": r"{}[YZ][A-Z]\d+[CI]\d+G",
        "cyclonev": r"{}[A-Z]\d+[CI]\d+",
        "max10": r"{}[DS][AC][A-Z]\d+[CI]\d+G",
    }
    assert re.fullmatch(shapes[device.family].format(device.name), device.part)


@pytest.mark.parametrize("name", families())
def test_families_agree(name: str) -> None:
    assert families().keys() == FAMILIES.keys()
    series = families()[name]
    assert series.maker in ("AMD", "Gowin", "Intel", "Lattice")
    assert 5 <= series.clock_mhz <= 200 and re.match(r"(measured|believed): ", series.basis)


def test_a_clock_is_said_to_be_the_default_where_it_is() -> None:
    assert clock_words(24, "ice40up") == "24 MHz, the default for ice40up"
    assert clock_words(12.5, "ice40up") == "12.5 MHz"
    # Without a device, or of a family that somebody wrote into design.json.
    assert clock_words(100, None) == clock_words(100, "made up") == "100 MHz"


def test_memories_beside_the_block_rams() -> None:
    device = find("iCE40UP5K")
    (ram,) = device.large_rams
    assert (ram.name, ram.count, ram.width, ram.depth, ram.ports) == ("SB_SPRAM256KA", 4, 16, 16384, 1)
    assert ram.count * ram.width * ram.depth == 4 * 256 * 1024
    # Not as if a design could use them.
    assert device.memory_bits == 30 * 4096
    assert device.unused == "4 SB_SPRAM256KA of 16 x 16,384 bits, one port"
    (ram,) = find("xczu7ev").large_rams
    assert ram.width * ram.depth == 288 * 1024 and ram.ports == 2
    assert not find("xczu3eg").large_rams and find("xczu3eg").unused == ""


def test_found_in_any_case() -> None:
    assert find("XC7A35T") is find("xc7a35t") is load()["xc7a35t"]
    assert find("lfe5u-85f").name == "LFE5U-85F"


def refusal(name: str, parameter: str = "device") -> str:
    with pytest.raises(UserError) as caught:
        find(name, parameter)
    (message,) = caught.value.problems
    return message


def test_a_name_that_is_not_there_brings_the_ones_that_are() -> None:
    message = refusal("xc7a50t")
    assert message.startswith("`device=xc7a50t`: no such device; did you mean xc7a")
    assert all(name in message for name in load())
    assert "did you mean Basys 3? " in refusal("basis3")
    assert refusal("").startswith("`device=`: no such device; there are ")
    assert refusal("_" * 4000).startswith("`device=____")


BOARDS = {
    "basys3": "xc7a35t", "Basys 3": "xc7a35t", "arty-a7-35t": "xc7a35t", "arty": "xc7a35t or xc7a100t",
    "nexys-a7": "xc7a100t", "nexys a7-100t": "xc7a100t", "nexys4ddr": "xc7a100t", "tang nano 9k": "GW1NR-9",
    "tangnano20k": "GW2AR-18", "Tang-Nano-20K": "GW2AR-18", "icebreaker": "iCE40UP5K", "upduino": "iCE40UP5K",
    "ulx3s-12f": "LFE5U-12F", "ulx3s_85f": "LFE5U-85F", "orangecrab": "LFE5U-25F or LFE5U-85F",
    "de10-nano": "5CSEBA6", "de10lite": "10M50", "pynq-z2": "xc7z020", "zybo-z7": "xc7z010 or xc7z020",
    "zybo-z7-20": "xc7z020", "cora-z7": "xc7z007s", "zcu104": "xczu7ev", "zc706": "xc7z045", "cyc1000": "10CL025",
}  # fmt: skip


@pytest.mark.parametrize("name", BOARDS)
def test_a_board_is_answered_with_its_chip(name: str) -> None:
    message = refusal(name)
    assert message.startswith(f"`device={name}`: ") and " is a board" in message
    chips = " or ".join(f"`device={chip}`" for chip in BOARDS[name].split(" or "))
    assert message.endswith(f": {chips}")


def test_what_boards_are_told() -> None:
    assert refusal("basys3") == "`device=basys3`: Basys 3 is a board; its FPGA is xc7a35t: `device=xc7a35t`"
    assert refusal("ulx3s", "fit") == (
        "`fit=ulx3s`: ULX3S is a board that comes with LFE5U-12F, LFE5U-25F, LFE5U-45F or LFE5U-85F: "
        "`fit=LFE5U-12F`, `fit=LFE5U-25F`, `fit=LFE5U-45F` or `fit=LFE5U-85F`"
    )
    message = refusal("Tang Primer 25K")
    assert "its FPGA is GW5A-25, whose figures are not known here; there are xc7" in message


def test_no_name_is_two_boards_or_a_device() -> None:
    names = [name for board in boards().values() for name in (board.name, *board.also)]
    plain = [re.sub("[^a-z0-9]", "", name.lower()) for name in names]
    assert len(set(plain)) == len(plain) and all(plain)
    assert not set(plain) & {re.sub("[^a-z0-9]", "", name.lower()) for name in load()}
    assert all(board.fpga and board.source for board in boards().values())
    # Spelled as in the list of devices, where it is in that.
    known = {name.lower(): name for name in load()}
    assert all(known.get(chip.lower(), chip) == chip for board in boards().values() for chip in board.fpga)


@pytest.mark.parametrize(
    ("name", "device"),
    [
        ("xc7a35tcpg236-1", "xc7a35t"), ("XC7A100T-1CSG324C", "xc7a100t"), ("5CSEBA6U23I7", "5CSEBA6"),
        ("GW1NR-LV9QN88PC6/I5", "GW1NR-9"), ("iCE40UP5K-SG48I", "iCE40UP5K"), ("LFE5U-85F-6BG381C", "LFE5U-85F"),
    ],
)  # fmt: skip
def test_a_part_is_answered_with_its_device(name: str, device: str) -> None:
    assert f"its device is {device}: `device={device}`" in refusal(name)


def test_place_and_route_is_for_devices_that_are_there() -> None:
    assert set(CHIPS) <= set(load())


def expect(rows: list[str]) -> None:
    """The page has these rows, one below the other."""
    assert "\n".join(rows) + "\n" in PAGE.read_text(), "\n".join(rows)


def test_the_page_has_the_devices() -> None:
    expect([
        f"| {d.name} | {d.part} | {d.family} | {d.luts:,} x {d.lut_inputs} | {d.flip_flops:,} | {d.dsps:,} "
        f"| {_multipliers(d)} | {d.rams} x {d.ram_bits:,} | {d.distributed_ram_bits:,} | {d.unused or 'none'} "
        f"| {d.source} |"
        for d in DEVICES
    ])  # fmt: skip


def test_the_page_has_the_clocks() -> None:
    expect([f"| {name} | {s.maker} | {s.clock_mhz:g} | {s.basis} |" for name, s in families().items()])


def test_the_page_has_the_boards() -> None:
    chips = dict.fromkeys(chip for board in boards().values() for chip in board.fpga)
    here = [chip for chip in load() if chip in chips] + [chip for chip in chips if chip not in load()]
    expect([
        f"| {chip}{'' if chip in load() else ', not known here'} "
        f"| {', '.join(board.name for board in boards().values() if chip in board.fpga)} |"
        for chip in here
    ])  # fmt: skip


def _multipliers(device: Device) -> str:
    return ", ".join(f"{f'{n} of ' if n > 1 else ''}{a} x {b}" for a, b, n in device.multipliers) or "none"
