"""Frames per second of the golden model on StudentNet with random weights: ``python benchmarks/golden_speed.py``.

Speed depends on nothing but shapes and widths. The frames are run in batches as ``evaluate`` runs them.
"""

from __future__ import annotations

import argparse
import time

from common import noise, student

from cnn2rtl.pipeline import Options, compile_graph


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=int, default=128, help="height and width of the images")
    parser.add_argument("--frames", type=int, default=128)
    options = parser.parse_args()
    shape = (3, options.size, options.size)
    images, network = noise(options.frames, shape), student(shape=shape)
    for scheme in ("pow2", "scale"):
        compiled = compile_graph(network, Options(scheme=scheme), images[:4])
        compiled.golden(images[:8])
        start = time.perf_counter()
        compiled.golden(images)
        took = time.perf_counter() - start
        print(f"{scheme:5}  {options.frames / took:7.1f} frames/s at 3x{options.size}x{options.size}")


if __name__ == "__main__":
    main()
