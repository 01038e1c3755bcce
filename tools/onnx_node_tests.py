"""The tests of single operators that ship in the package onnx, run through the reader of float networks.

    python tools/onnx_node_tests.py [--list refused] [--only Conv,Gemm]

Each is a model of one operator, or of a few, with inputs and what must come out. Its first input becomes the network's,
(n, ...); the others, weights mostly, become constants of the file. A test is *exact* where the float graph gives what
onnx says, to float32; *refused* where the reader says why it cannot be had; *wrong* otherwise, which there must be none
of. What onnx's tests are of is told at https://github.com/onnx/onnx/blob/main/docs/TestCoverage.md
"""

from __future__ import annotations

import argparse
import tempfile
import warnings
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import numpy_helper
from onnx.backend.test.loader import load_model_tests

from cnn2rtl.errors import UserError
from cnn2rtl.frontend.onnx_file import read_onnx
from cnn2rtl.frontend.onnx_float import capture_onnx
from cnn2rtl.graph import FloatGraph
from cnn2rtl.tensors import Shape

EXACT, WRONG, REFUSED = "exact", "wrong", "refused"


@dataclass(frozen=True)
class Verdict:
    """What became of the test ``name`` of the operator ``kind``; ``why`` are the words of a refusal or of a failure."""

    name: str
    kind: str
    result: str
    why: str = ""


def cases(only: Sequence[str] = ()) -> Iterator[Any]:
    """The tests, of the operators ``only`` if there are any; functions written out as operators are left out."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = load_model_tests(kind="node")
    for case in found:
        if not case.name.endswith("_expanded") and (not only or kind_of(case) in only):
            yield case


def kind_of(case: Any) -> str:
    """The operator that a test is called after."""
    nodes = [node.op_type for node in case.model.graph.node]
    plain = case.name.replace("_", "")
    return next((kind for kind in nodes if plain.startswith("test" + kind.lower())), nodes[-1] if nodes else "")


def judged(case: Any, folder: Path) -> Verdict:
    """Run one test through the reader."""
    about = case.name, kind_of(case)
    ((inputs, outputs),) = case.data_sets[:1]
    if any(not isinstance(value, (np.ndarray, np.generic)) for value in [*inputs, *outputs]):
        return Verdict(*about, REFUSED, "sequences and optional values are no tensors")
    file = folder / "node.onnx"
    file.write_bytes(with_constants(case.model, inputs).SerializeToString())
    try:
        graph = capture_onnx(read_onnx(file), "node")
    except UserError as error:
        return Verdict(*about, REFUSED, error.problems[0])
    try:
        with np.errstate(all="ignore"):
            made = outputs_of(graph, np.asarray(inputs[0], np.float64))
        wanted = np.asarray(outputs[0])
        tolerance = {"rtol": max(case.rtol, 1e-5), "atol": max(case.atol, 1e-6)}
        np.testing.assert_allclose(np.asarray(made).reshape(wanted.shape), wanted, **tolerance)
    except (AssertionError, ValueError) as error:
        return Verdict(*about, WRONG, " ".join(str(error).split())[:200])
    return Verdict(*about, EXACT)


def with_constants(model: onnx.ModelProto, inputs: Sequence[Any]) -> onnx.ModelProto:
    """The model with all its inputs but the first as constants."""
    fixed = onnx.ModelProto()
    fixed.CopyFrom(model)
    named = [value.name for value in fixed.graph.input]
    for name, value in list(zip(named, inputs, strict=False))[1:]:
        fixed.graph.initializer.append(numpy_helper.from_array(np.asarray(value), name))
    return fixed


def outputs_of(graph: FloatGraph, x: np.ndarray) -> np.ndarray:
    """The model's (first) output, (n, ...), for its input ``x``, (n, ...)."""
    maps: dict[str, np.ndarray] = {}
    (shape,) = graph.inputs.values()
    last = any("channels last" in note for note in graph.notes)
    graph.forward(as_maps(x, shape, last), lambda node, values: maps.update({node.name: values}))
    found = [finished(maps[name], graph.notes) for name in graph.outputs]
    return graph.restored[0].of(found)


def finished(scores: np.ndarray, notes: Sequence[str]) -> np.ndarray:
    """What the network itself makes of ``scores``, (n, h, w, classes), where a softmax at its end was left out."""
    if not any("is left out" in note for note in notes):
        return scores
    powers = np.exp(scores - scores.max(-1, keepdims=True))
    shares: np.ndarray = powers / powers.sum(-1, keepdims=True)
    return np.log(shares) if any("log" in note.lower() for note in notes) else shares


def as_maps(values: np.ndarray, shape: Shape, last: bool) -> np.ndarray:
    """(n, ...) as maps (n, h, w, c) of ``shape`` (c, h, w); the channels come first in it, or ``last``."""
    c, h, w = shape
    return values.reshape(-1, h, w, c) if last else np.moveaxis(values.reshape(-1, c, h, w), 1, -1)


def run(only: Sequence[str] = ()) -> list[Verdict]:
    """The verdicts on all tests."""
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return [judged(case, Path(folder)) for case in cases(only)]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", help="operators, separated by commas")
    parser.add_argument("--list", choices=(EXACT, REFUSED, WRONG), help="print every test that ended so, and why")
    options = parser.parse_args()
    verdicts = run([name for name in options.only.split(",") if name])
    by_kind: dict[str, Counter[str]] = defaultdict(Counter)
    for verdict in verdicts:
        by_kind[verdict.kind][verdict.result] += 1
        if verdict.result in (options.list, WRONG):
            print(f"{verdict.result} {verdict.name}: {verdict.why}")
    print(f"{'operator':24} {EXACT:>6} {REFUSED:>8} {WRONG:>6}")
    for kind in sorted(by_kind):
        found = by_kind[kind]
        print(f"{kind:24} {found[EXACT]:6} {found[REFUSED]:8} {found[WRONG]:6}")
    totals = Counter(verdict.result for verdict in verdicts)
    print(f"{'all':24} {totals[EXACT]:6} {totals[REFUSED]:8} {totals[WRONG]:6}")
    return 1 if totals[WRONG] else 0


if __name__ == "__main__":
    raise SystemExit(main())
