"""Where training runs, and how exactly it can be repeated there."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch

from cnn2rtl.errors import UserError


def choose(name: str) -> torch.device:
    """``cpu``, ``cuda``, or ``auto``: a GPU where there is one."""
    there = torch.cuda.is_available()
    if name == "cuda" and not there:
        raise UserError("`device=cuda`: torch finds no GPU here; leave it out to train on the CPU")
    return torch.device("cuda" if there and name != "cpu" else "cpu")


@contextmanager
def repeatable(device: torch.device, exactly: bool | None, seed: int, epoch: int) -> Iterator[torch.Generator]:
    """Within the body, all that is random follows from ``seed`` and ``epoch`` alone: torch's own numbers, and those of
    the generator, on the CPU. So a run that goes on needs to know no more than where it was.

    ``exactly`` allows nothing but algorithms that always add up in the same order; None means: on a CPU. What was set
    before is set again afterwards.
    """
    exactly = device.type == "cpu" if exactly is None else exactly
    earlier = torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()
    if exactly and device.type == "cuda":
        # cuBLAS reads it when it starts, and is exact with this value alone.
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    first, second = (int(word) >> 1 for word in np.random.SeedSequence((seed, epoch)).generate_state(2, np.uint64))
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        torch.manual_seed(first)
        torch.use_deterministic_algorithms(exactly or earlier[0], warn_only=earlier[1] and not exactly)
        try:
            yield torch.Generator().manual_seed(second)
        finally:
            torch.use_deterministic_algorithms(earlier[0], warn_only=earlier[1])
