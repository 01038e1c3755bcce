"""The tool's own arithmetic takes one thread of BLAS, leaves the process as it was, and computes the same with more."""

from __future__ import annotations

import numpy as np
import pytest
from models import StudentNet, randomised

from cnn2rtl import store, threads
from cnn2rtl.frontend import capture
from cnn2rtl.graph import FloatGraph
from cnn2rtl.options import Options
from cnn2rtl.passes import simplify
from cnn2rtl.pipeline import compile_graph
from cnn2rtl.tensors import noise

threadpoolctl = pytest.importorskip("threadpoolctl", reason="the environment is older than this dependency")


def blas_threads() -> set[int]:
    return {pool["num_threads"] for pool in threadpoolctl.threadpool_info() if pool["user_api"] == "blas"}


@pytest.fixture(scope="module")
def student() -> FloatGraph:
    return simplify(capture(randomised(StudentNet()), (3, 24, 24), "student"))


def test_one_thread_within_and_as_before_afterwards(student: FloatGraph) -> None:
    images = noise(student.inputs, 1)
    within: dict[str, list[set[int]]] = {"fitting": [], "floats": [], "integers": []}

    def fitting(stage: str, done: int, total: int) -> None:
        if stage == "fitting":
            within[stage].append(blas_threads())

    with threadpoolctl.ThreadpoolController().limit(limits=2, user_api="blas"):
        compiled = compile_graph(student, Options(), images, progress=fitting)
        compiled.float_graph.forward(images, lambda node, values: within["floats"].append(blas_threads()))
        compiled.graph.run(images, lambda node, codes: within["integers"].append(blas_threads()))
        assert blas_threads() == {2}
    assert all(seen and all(found == {1} for found in seen) for seen in within.values()), within


def test_the_same_integers_with_more(student: FloatGraph, monkeypatch: pytest.MonkeyPatch) -> None:
    images, made = noise(student.inputs, 4), []
    for number in (1, 2):
        monkeypatch.setattr(threads, "BLAS_THREADS", number)
        compiled = compile_graph(student, Options(effort="best", ranges="mse"), images)
        made.append((store.dump({"integer": compiled.graph}), compiled.golden(images).tobytes()))
    assert made[0] == made[1]


def test_batches_side_by_side_are_as_one_after_another(student: FloatGraph) -> None:
    images = noise(student.inputs, 11)
    compiled = compile_graph(student, Options(), images[:2])
    one_by_one = [compiled.graph.run(images[n : n + 1]) for n in range(len(images))]
    assert np.array_equal(compiled.golden(images), np.concatenate(one_by_one))
    with threadpoolctl.ThreadpoolController().limit(limits=2, user_api="blas"):
        assert threads.side_by_side(lambda n: (n, blas_threads()), range(20)) == [(n, {1}) for n in range(20)]
        assert blas_threads() == {2}
    with pytest.raises(ZeroDivisionError):
        threads.side_by_side(lambda n: 1 // (n - 3), range(20))
