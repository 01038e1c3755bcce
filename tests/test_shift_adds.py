"""Constants as shifts and additions: exact for every input, no wider than needed, and no more additions than digits."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cnn2rtl.hardware.constants import LEVELS, Constants, Matrix
from cnn2rtl.hardware.shift_adds import Graph, shift_adds, signed_digits
from cnn2rtl.quant.qformat import IntArray, QFormat, signed_bits


def evaluate(graph: Graph, inputs: IntArray) -> IntArray:
    """Outputs (n, outputs) for ``inputs`` (n, inputs); every number is checked against what is known of it."""
    values = list(inputs.T)
    for number in graph.numbers[graph.inputs :]:
        first, second = number.terms
        assert not first.negative and number.level == 1 + max(graph.numbers[term.number].level for term in number.terms)
        one, other = (values[term.number] << term.shift for term in number.terms)
        values.append(one - other if second.negative else one + other)
        np.testing.assert_array_equal(values[-1], sum(k * inputs[:, i] for i, k in number.coefficients.items()))
    for number, value in zip(graph.numbers, values, strict=True):
        assert number.lo <= value.min() and value.max() <= number.hi
        low, high = (
            (-(1 << number.bits - 1), (1 << number.bits - 1) - 1) if number.signed else (0, (1 << number.bits) - 1)
        )
        assert low <= number.lo and number.hi <= high
    assert not any(term and term.negative for term in graph.outputs)
    columns = [values[term.number] << term.shift if term else 0 * inputs[:, 0] for term in graph.outputs]
    return np.stack(columns, 1)


def extremes(matrix: IntArray, lo: int, hi: int) -> IntArray:
    """For each output the inputs of its largest and of its smallest sum; all lowest, all highest; and some others."""
    drawn = np.random.default_rng(0).integers(lo, hi + 1, (4, matrix.shape[1]))
    ends = [np.where(matrix > 0, hi, lo), np.where(matrix > 0, lo, hi)]
    return np.concatenate([*ends, np.full_like(drawn[:1], lo), np.full_like(drawn[:1], hi), drawn]).astype(np.int64)


def check(matrix: IntArray, lo: int, hi: int) -> Graph:
    graph = shift_adds(matrix, lo, hi)
    inputs = extremes(matrix, lo, hi)
    np.testing.assert_array_equal(evaluate(graph, inputs), inputs @ matrix.T)
    return graph


def plain(matrix: IntArray) -> int:
    """Additions where nothing is shared, a negation of an output included."""
    digits = sum(np.bitwise_count(mask).sum(1, dtype=np.int64) for mask in signed_digits(matrix))
    return int(np.maximum(digits - 1, 0).sum() + matrix.shape[0])


@st.composite
def matrices(draw: st.DrawFn) -> tuple[IntArray, int, int]:
    bits, activation = draw(st.integers(2, 16)), draw(st.integers(2, 16))
    signed = draw(st.booleans())
    rows, columns = draw(st.integers(1, 8)), draw(st.integers(1, 12))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    top = 1 << bits - 1
    matrix = rng.integers(-top, top, (rows, columns)) * (rng.random((rows, columns)) < draw(st.sampled_from((1, 0.3))))
    source = QFormat.full(activation, signed, 1.0)
    return matrix, source.lo, draw(st.integers(0, source.hi))


@given(matrices())
@settings(max_examples=200, deadline=None)
def test_any_matrix(case: tuple[IntArray, int, int]) -> None:
    matrix, lo, hi = case
    assert check(matrix, lo, hi).adders <= plain(matrix)


def test_digits_are_canonical() -> None:
    constants = np.arange(-(1 << 15), 1 << 15)
    positive, negative = signed_digits(constants)
    np.testing.assert_array_equal(positive - negative, constants)
    digits = positive | negative
    assert not np.any(positive & negative) and not np.any(digits & digits >> 1)


@pytest.mark.parametrize(
    ("matrix", "adders"),
    [
        ([[0]], 0),
        ([[1]], 0),
        ([[64]], 0),
        ([[-1]], 1),
        ([[-128]], 1),
        ([[3]], 1),
        ([[-3]], 1),
        ([[0, 0], [0, 5]], 1),
        ([[1, 1], [4, 4], [-2, -2]], 2),
        ([[1, -1], [-1, 1]], 2),
        ([[7, 7]], 2),
        ([[85]], 2),
        ([[1, 2], [4, 8], [0, 0]], 1),
    ],
)
def test_known_graphs(matrix: list[list[int]], adders: int) -> None:
    for lo, hi in ((0, 255), (-128, 127), (0, 0), (0, 1), (-1, 0)):
        graph = check(np.array(matrix), lo, hi)
        assert graph.adders == (adders if lo < hi else 0)


def test_sharing_pays() -> None:
    matrix = np.random.default_rng(0).integers(-127, 128, (32, 16))
    graph = check(matrix, 0, 255)
    assert graph.adders < 0.55 * plain(matrix)


def test_large_matrices_are_searched_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    matrix = np.random.default_rng(0).integers(-127, 128, (16, 24))
    whole = check(matrix, 0, 255)
    monkeypatch.setattr("cnn2rtl.hardware.shift_adds.MOST_PAIRS", 1 << 12)
    parts = check(matrix, 0, 255)
    assert whole.adders < parts.adders < 0.7 * plain(matrix)


def test_the_tree_is_shallow() -> None:
    graph = shift_adds(np.eye(1, 64, dtype=np.int64) * 0 + 1, 0, 255)
    assert graph.adders == 63 and graph.numbers[-1].level == 6


def built(matrix: IntArray, bits: int, shared: bool = True) -> Constants:
    source = QFormat.full(bits, False, 1.0)
    top = int(np.abs(matrix).sum(1).max()) * source.hi
    return Constants.of(Matrix(matrix, shared, 8, source, source.lo, source.hi, signed_bits(-top, top)))


def test_pipeline() -> None:
    adders = built(np.random.default_rng(1).integers(-127, 128, (8, 9)), 8).matrix.adders
    deepest = max(number.level for number in adders.graph.numbers)
    assert adders.stages == -(-deepest // LEVELS) and adders.latency == adders.stages + 1
    facts, names = adders.facts, set()
    bits = 0
    for stage in range(adders.stages + 1):
        registers = adders.registers(stage)
        assert not names & {register.name for register in registers}
        names |= {register.name for register in registers}
        bits += sum(register.bits for register in registers)
    assert bits == facts["REGISTER_BITS"]


def test_what_is_typical_depends_on_no_weight_and_is_near() -> None:
    rng = np.random.default_rng(2)
    for shape, shared in (((16, 27), True), ((10, 64), True), ((9, 9), False)):
        dense = built(np.clip(np.rint(rng.normal(0, 40, shape)), -127, 127).astype(np.int64), 8, shared)
        pruned = built(dense.matrix.weights * (rng.random(shape) < 0.3), 8, shared)
        assert dense.typical == pruned.typical
        assert dense.facts.keys() == dense.typical.keys()
        for name in ("SUM_BITS", "REGISTER_BITS"):
            assert dense.facts[name] == pytest.approx(dense.typical[name], rel=0.35), (shape, name)
        assert pruned.facts["SUM_BITS"] < dense.facts["SUM_BITS"]


def test_activations_of_their_own() -> None:
    weights = np.random.default_rng(3).integers(-127, 128, (4, 9))
    graph = built(weights, 8, shared=False).matrix.adders.graph
    inputs = np.random.default_rng(4).integers(0, 256, (5, 9, 4))
    np.testing.assert_array_equal(evaluate(graph, inputs.reshape(5, -1)), np.einsum("nsp,ps->np", inputs, weights))
