"""Refusals: their numbers in words, without an option's name and without what was not asked for."""

from __future__ import annotations

from cnn2rtl.devices import find
from cnn2rtl.schedule import Refusal, Resource, Shortfall, Target
from cnn2rtl.schedule.refusal import Nearest
from cnn2rtl.wording import refused

ARTY = find("xc7a35t")


def test_frames_that_no_layer_can_make() -> None:
    short = Shortfall(Resource.CYCLES, 36, 25, "conv1")
    (line,) = refused(Refusal(Target(fps=4e6), (short,), True))
    assert line == (
        "4e+06 frames/s at 100 MHz leave 25 cycles per frame, but conv1 takes 36 even fully parallel; ask for at most "
        "2777777.8 frames/s, a faster clock or a smaller input"
    )


def test_multipliers() -> None:
    short = Shortfall(Resource.MULTIPLIERS, 16, 9)
    (line,) = refused(Refusal(Target(multipliers=9), (short,), True))
    assert line == (
        "9 multipliers are too few: every layer that multiplies needs one of its own, 16 in all; give at least that "
        "many or use fewer layers"
    )
    (line,) = refused(Refusal(Target(fps=100, multipliers=9), (short,), False, nearest=Nearest(fps=12.5)))
    assert line == (
        "100 frames/s at 100 MHz take 16 multipliers, 7 more than the 9 allowed; allow that many, or ask for at most "
        "12.5 frames/s"
    )


def test_a_device_that_is_too_small() -> None:
    rams, tables = Shortfall(Resource.BLOCK_RAMS, 76.5, 50), Shortfall(Resource.LUTS, 52_662, 16_640)
    near = Nearest(bits=6, weights=181_447, share=0.72, device="xc7z020")
    (line,) = refused(Refusal(Target(device=ARTY), (rams,), True, tables, 2_019_584, near))
    assert line == (
        "xc7a35t is too small: even the smallest design takes about 76.5 block RAMs where 50 are: the weights alone "
        "have 2,019,584 bits, its block RAM 1,843,200; with memories in look-up tables instead, 52,662 of those where "
        "16,640 may be used; what would fit: 6-bit weights and activations, or about 181,447 weights (72% of them) "
        "after pruning, or xc7z020 as the device"
    )
    # Weights that would fit are not the cause; what was asked for may be asked less of.
    flops = Shortfall(Resource.FLIP_FLOPS, 50_000, 41_600)
    wanted = Target(fps=200, device=ARTY)
    (line,) = refused(Refusal(wanted, (tables, flops), False, None, 1000, Nearest(fps=151.2)))
    assert line == (
        "xc7a35t is too small: 200 frames/s at 100 MHz, the default for xc7, take about 52,662 look-up tables where "
        "16,640 may be used, 50,000 flip-flops where 41,600 are; what would fit: 151.2 frames/s"
    )


def test_what_can_never_fit() -> None:
    memory = Shortfall(Resource.MEMORY, 10_000_000, 207_360)
    (line,) = refused(Refusal(Target(device=find("iCE40UP5K")), (memory,), True, None, 10_000_000, Nearest()))
    assert line == (
        "iCE40UP5K is too small: the weights alone have 10,000,000 bits, and all its memory, look-up tables included, "
        "207,360 (4 SB_SPRAM256KA of 16 x 16,384 bits, one port, are not used); no fewer bits, no pruning and no "
        "device that is known would do"
    )


def test_every_reason_has_a_line_and_names_no_option() -> None:
    every = tuple(Shortfall(resource, 2000, 1000, "conv1") for resource in Resource)
    lines = refused(Refusal(Target(fps=7, multipliers=1000, device=ARTY), every, False))
    assert len(lines) == 3
    assert "--" not in " ".join(lines)
