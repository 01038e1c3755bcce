"""Say of each input whether pixels come, or numbers in codes of their own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from cnn2rtl.errors import UserError
from cnn2rtl.graph import FloatGraph
from cnn2rtl.ops import Input, NumberInput
from cnn2rtl.quant.inputs import InputFormat


def with_inputs(graph: FloatGraph, formats: Sequence[InputFormat]) -> FloatGraph:
    """The graph whose inputs come in ``formats``: one for all, or one for each; none where all are pictures.

    Raises :class:`UserError` for a wrong number of them.
    """
    check_inputs(graph, formats)
    nodes = []
    for number, (name, shape) in enumerate(graph.inputs.items() if formats else ()):
        numbers = formats[number % len(formats)].numbers  # of one, always this
        declared = graph[name].op
        if numbers is not None and isinstance(declared, Input):
            nodes.append(replace(graph[name], op=NumberInput(shape, declared.dtype, numbers=numbers)))
    return graph.replacing(nodes)


def check_inputs(graph: FloatGraph, formats: Sequence[InputFormat]) -> None:
    """Raise :class:`UserError` unless there is one format for all inputs, or one for each, or none at all."""
    if len(formats) not in (0, 1, len(graph.inputs)):
        raise UserError(
            f"`input_format=` and `input_scale=`: {len(formats)} are given, and the network's inputs are "
            f"{', '.join(graph.inputs)}; one for all, or one for each, is expected"
        )


def formats_of(graph: FloatGraph) -> tuple[InputFormat, ...]:
    """How the inputs of ``graph`` come, one format for each, as :func:`with_inputs` takes them; none for pictures."""
    numbers = graph.numbers
    if not numbers:
        return ()
    found = (numbers.get(name) for name in graph.inputs)
    return tuple(InputFormat() if it is None else InputFormat(it.bits, it.signed, it.coarsest) for it in found)
