"""How many threads the tool's own arithmetic takes: one, for its matrix products are small.

On idle processors a second thread of BLAS gains next to nothing with them; on busy ones both wait for one another
most of the time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import cache, partial

from threadpoolctl import ThreadpoolController

BLAS_THREADS = 1


@contextmanager
def few_threads() -> Iterator[None]:
    """NumPy's products take :data:`BLAS_THREADS` threads in the body, and as many as before after it.

    No result depends on it. It holds for the whole process: of bodies that run at once in several threads, the first
    one that ends may give the others more threads again, which costs them time alone.
    """
    with _limit()(limits=BLAS_THREADS):
        yield


@cache
def _limit() -> Callable[..., AbstractContextManager[object]]:
    """Found out once, for it looks through all libraries that are loaded, NumPy's among them."""
    return partial(ThreadpoolController().limit, user_api="blas")
