"""From parts to resources: what is exact is counted, the logic is the sum of features times coefficients."""

from __future__ import annotations

import importlib.resources
import json
from collections.abc import Iterable, Mapping, Sequence
from functools import cache

from cnn2rtl.estimation.families import FAMILIES, Family
from cnn2rtl.estimation.features import ram_features, rom_features
from cnn2rtl.estimation.multiplier import blocks
from cnn2rtl.estimation.resources import Resources
from cnn2rtl.hardware.parts import DESCRIPTIONS, Features, Parameters, Parts
from cnn2rtl.hardware.unit import Instance, ParameterValue

Coefficients = Mapping[str, Mapping[str, tuple[float, float, float]]]
"""By module and feature: look-up tables, flip-flops and logic cells per unit of the feature.

Cells are 0 in families where nothing shares one.
"""


Rows = Mapping[str, Mapping[str, Sequence[float]]]
"""The same as they are in the file, where no cells are those of families that share none."""
REFERENCE = "ecp5"
"""The family with look-up tables and carry chains as most have them."""
ALONE = 0.6
"""The share of flip-flops that have a logic cell of their own, where none was measured."""


@cache
def coefficients(family: str) -> Coefficients:
    """Those of a family: measured for it, or, where a unit was not, as :data:`REFERENCE` has them."""
    text = (importlib.resources.files(__package__) / "coefficients.json").read_text(encoding="utf-8")
    measured = json.loads(text)
    rows = {**like(measured[REFERENCE], FAMILIES[family]), **measured[family]}
    return {
        group: {name: (row[0], row[1], row[2] if len(row) > 2 else 0.0) for name, row in features.items()}
        for group, features in rows.items()
    }


def like(rows: Rows, family: Family) -> Rows:
    """The coefficients of another family for ``family``; none where nothing shares a cell: all are measured there."""
    return {
        group: {name: (*row, row[0] + ALONE * row[1]) for name, row in features.items()}
        for group, features in (rows.items() if family.shares else ())
    }


def fixed(parts: Parts, family: Family) -> Resources:
    """What is counted exactly: block RAMs, DSP blocks, and look-up tables that hold memory."""
    total = Resources(parts.luts, parts.flip_flops, cells=max(parts.luts, parts.flip_flops) * family.shares)
    for memory in parts.memories:
        mapping = family.library.map(memory)
        luts = mapping.luts * memory.copies
        total += Resources(luts, 0.0, 0, mapping.blocks * memory.copies, luts * family.shares)
    return total + Resources(dsps=sum(blocks(family.blocks, product) * product.count for product in parts.products))


def features_of(module: str, parts: Parts, family: Family) -> list[tuple[str, Features]]:
    """Every group of features whose logic a unit takes: its own, and those of its memories."""
    found: list[tuple[str, Features]] = [(module, parts.features)] if parts.features else []
    for memory in parts.memories:
        mapping = family.library.map(memory)
        features: Features
        # Choosing among several blocks takes the same of a ROM as of a memory that is written.
        kind = "ram"
        if mapping.logic and memory.contents is not None:
            kind, features = "table", memory.contents
        elif mapping.logic and not memory.writable:
            kind, features = "rom", rom_features(memory.width, memory.depth)
        else:
            features = ram_features(memory.width, memory.depth, mapping.segments, mapping.logic)
        if mapping.luts:
            features = {**features, "data": memory.width}
        found.append((kind, {name: value * memory.copies for name, value in features.items()}))
    soft = bits_in_logic(parts, family)
    return [*found, ("multiply", {"soft": soft})] if soft else found


def bits_in_logic(parts: Parts, family: Family) -> int:
    """Bits times bits of what multiplies without a DSP block."""
    soft = (product for product in parts.products if not blocks(family.blocks, product))
    return sum(product.a * (product.b * product.count - product.spared) for product in soft)


def unit(module: str, parameters: Mapping[str, ParameterValue], family: str) -> Resources | None:
    """What one unit takes, or ``None`` where there is no description of it."""
    description = DESCRIPTIONS.get(module)
    if description is None:
        return None
    target = FAMILIES[family]
    parts = description(Parameters(parameters))
    total, known = fixed(parts, target), coefficients(target.like)
    luts, flip_flops, cells = target.product_luts * bits_in_logic(parts, target), 0.0, 0.0
    for group, features in features_of(module, parts, target):
        rows = known.get(group, {})
        for name, value in features.items():
            if value and name in rows:
                luts += rows[name][0] * value
                flip_flops += rows[name][1] * value
                cells += rows[name][2] * value
    return total + Resources(luts * target.lut_scale, flip_flops * target.flip_flop_scale, cells=cells)


def chain(instances: Iterable[Instance], family: str) -> Resources:
    """What the units of a layer take; those that nobody has described count nothing."""
    known = (unit(instance.module, instance.facts, family) for instance in instances)
    return sum((resources for resources in known if resources is not None), Resources())


def fifo(bits: int, depth: int, family: str, place: int = 0) -> Resources:
    """What the FIFO at the end of a stream takes."""
    found = unit("stream_fifo", {"WIDTH": bits, "DEPTH": depth, "PLACE": place}, family)
    assert found is not None
    return found
