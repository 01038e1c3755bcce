"""What may be chosen of a design: widths, how to calibrate, normalisation, the target."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from math import inf
from numbers import Integral, Real
from typing import Any

from cnn2rtl.errors import UserError
from cnn2rtl.graph import FloatGraph
from cnn2rtl.passes import check_normalisation
from cnn2rtl.pictures import Channels, Fit
from cnn2rtl.quant.inputs import InputFormat
from cnn2rtl.quant.qformat import Scheme
from cnn2rtl.quantise.formats import Ranges
from cnn2rtl.quantise.integers import Effort, Recipe, Widths
from cnn2rtl.schedule import Target


@dataclass(frozen=True)
class Options:
    """What the user may choose. The network was trained on ``(pixel / 255 - mean) / std``.

    ``inputs`` say so where numbers that are no pixels come, worth ``code * scale``: how, for all inputs or for each.
    The network was trained on ``(code * scale - mean) / std`` then.
    ``layers`` gives single layers widths of their own, by name. ``ranges`` and ``effort`` say how to calibrate.
    ``fit`` and ``channels`` say how pictures become what the network takes, here and wherever it is used.
    """

    weight_bits: int = 8
    activation_bits: int = 8
    output_bits: int = 16
    scheme: Scheme = "pow2"
    layers: Mapping[str, Widths] = field(default_factory=dict)
    ranges: Ranges = "minmax"
    effort: Effort = "fast"
    mean: Sequence[float] = (0.0,)
    std: Sequence[float] = (1.0,)
    class_index: bool = False
    fit: Fit = "crop"
    channels: Channels = "rgb"
    inputs: Sequence[InputFormat] = ()
    target: Target = field(default_factory=Target)

    def check(self, channels: int | None = None) -> None:
        """Raise one :class:`UserError` for all values that no network could be built with.

        ``channels`` is how many the network's input has, where that is known.
        """
        widths = {"weights": self.weight_bits, "activations": self.activation_bits, "outputs": self.output_bits}
        for name, own in self.layers.items():
            parts = {"weights": own.weights, "activations": own.activations}
            widths |= {f"`{name}`'s {part}": bits for part, bits in parts.items() if bits is not None}
        problems = [
            f"width {bits!r} of {' and '.join(name for name in widths if widths[name] == bits)}: "
            "widths are whole numbers from 2 to 16 bits"
            for bits in dict.fromkeys(widths.values())
            if not isinstance(bits, Integral) or not 2 <= bits <= 16
        ]
        try:
            check_normalisation(self.mean, self.std, channels, not self.inputs)
        except UserError as error:
            problems += error.problems
        problems += self._target_problems()
        if problems:
            raise UserError(problems)

    def _target_problems(self) -> list[str]:
        """What is wrong with the target, whatever the network."""
        target, problems = self.target, []
        if target.fps is not None and not _positive(target.fps, Real):
            problems.append(f"`fps={target.fps}`: a number greater than 0 is expected")
        if not _positive(target.clock_mhz, Real):
            problems.append(f"`clock_mhz={target.clock_mhz}`: a number of MHz greater than 0 is expected")
        if target.multipliers is not None and not _positive(target.multipliers, Integral):
            problems.append(f"`multipliers={target.multipliers}`: a whole number, at least 1, is needed")
        if target.dsps is not None and not (isinstance(target.dsps, Integral) and target.dsps >= 0):
            problems.append(f"`dsps={target.dsps}`: a whole number, at least 0, is needed")
        return problems

    def recipe(self, graph: FloatGraph, scores: Collection[str]) -> Recipe:
        """How to quantise ``graph``; raises :class:`UserError` for layers that it does not have or cannot widen."""
        names = [node.name for node in graph.nodes if node.inputs]
        problems = []
        for name, own in self.layers.items():
            node = graph.by_name.get(name)
            if node is None or not node.inputs:
                near = difflib.get_close_matches(name, names, 3, 0.5) or [*names[:3], "..."]
                why = f"no such layer; there are {', '.join(near)}"
            elif own.weights is not None and not node.op.weights:
                why = f"its kind, {node.op.kind}, has no weights; give it a width of activations alone"
            elif own.activations is not None and name in scores:
                why = "its activations are the network's output, whose width is `output_bits=`"
            elif own.activations is not None and node.op.keeps_format(node.clamp):
                why = f"it passes its input's codes on; give their width to `{node.inputs[0]}`"
            else:
                continue
            problems.append(f"`layers={name}`: {why}")
        if problems:
            raise UserError(problems)
        return Recipe(
            self.weight_bits, self.activation_bits, self.output_bits, self.scheme, self.layers, self.ranges,
            self.effort, scores,
        )  # fmt: skip


def _positive(value: Any, kind: Any) -> bool:
    return isinstance(value, kind) and 0 < value < inf
