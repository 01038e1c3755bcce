"""Frames per second of golden model and calibration on StudentNet with random weights, on idle and on busy processors.

    python benchmarks/golden_speed.py

Speed depends on nothing but shapes and widths. The frames are run in batches as ``evaluate`` runs them; BLAS takes one
thread, as everywhere in cnn2rtl, and for comparison one for each processor. Beside the frames per second stands the
processor time of a frame, which others do not change much; the first line tells how busy the machine was before.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from multiprocessing import get_context

from common import noise, student

from cnn2rtl import threads
from cnn2rtl.options import Options
from cnn2rtl.pipeline import compile_graph
from cnn2rtl.quantise.calibrate import measure


def spin() -> None:
    while True:
        pass


@contextmanager
def busy(processors: int) -> Iterator[None]:
    """Something else that takes all of so many processors."""
    others = [get_context("spawn").Process(target=spin, daemon=True) for _ in range(processors)]
    for other in others:
        other.start()
    try:
        yield
    finally:
        for other in others:
            other.kill()
            other.join()


def speed(run: Callable[[], object], frames: int) -> str:
    start, start_cpu = time.perf_counter(), time.process_time()
    run()
    took, cpu = time.perf_counter() - start, time.process_time() - start_cpu
    return f"{frames / took:7.1f} frames/s {1000 * cpu / frames:6.1f} ms of processor time"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=int, default=128, help="height and width of the images")
    parser.add_argument("--frames", type=int, default=128)
    options = parser.parse_args()
    shape = (3, options.size, options.size)
    images, network = noise(options.frames, shape), student(shape=shape)
    compiled = {scheme: compile_graph(network, Options(scheme=scheme), images[:4]) for scheme in ("pow2", "scale")}
    runs: dict[str, Callable[[], object]] = {
        **{f"golden, {scheme}": partial(made.golden, images) for scheme, made in compiled.items()},
        "calibration": partial(measure, compiled["pow2"].float_graph, images),
    }
    processors = len(os.sched_getaffinity(0))
    print(f"3x{options.size}x{options.size}, {processors} processors, load {os.getloadavg()[0]:.1f} before")
    for beside in (0, processors):
        with busy(beside):
            for number in sorted({1, processors}):
                threads.BLAS_THREADS = number
                for name, run in runs.items():
                    where = f"beside {beside} busy processes" if beside else "alone"
                    print(f"{name:13} {number} thread{'s' * (number > 1):1} {where:25} {speed(run, options.frames)}")


if __name__ == "__main__":
    main()
