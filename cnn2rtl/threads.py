"""How many threads the tool's own arithmetic takes: one of BLAS, for its matrix products are small.

On idle processors a second thread of BLAS gains next to nothing with them; on busy ones both wait for one another
most of the time. Batches of images wait for nobody: they are what several processors share.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from functools import cache, partial
from typing import TypeVar

from threadpoolctl import ThreadpoolController

BLAS_THREADS = 1
WORKERS = 4
"""Batches in work at once at most: each needs memory of its own."""


_Part = TypeVar("_Part")
_Done = TypeVar("_Done")


@contextmanager
def few_threads() -> Iterator[None]:
    """NumPy's products take :data:`BLAS_THREADS` threads in the body, and as many as before after it.

    No result depends on it. It holds for the whole process: of bodies that run at once in several threads, the first
    one that ends may give the others more threads again, which costs them time alone.
    """
    with _limit()(limits=BLAS_THREADS):
        yield


def side_by_side(run: Callable[[_Part], _Done], parts: Iterable[_Part]) -> list[_Done]:
    """What ``run`` makes of each of the ``parts``, in their order, by as many threads as there are processors."""
    with few_threads(), ThreadPoolExecutor(min(WORKERS, _processors())) as pool:
        return list(pool.map(run, parts))


def _processors() -> int:
    """Those that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@cache
def _limit() -> Callable[..., AbstractContextManager[object]]:
    """Found out once, for it looks through all libraries that are loaded, NumPy's among them."""
    return partial(ThreadpoolController().limit, user_api="blas")
