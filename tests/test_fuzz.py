"""Damaged and hostile files for every reader: see tools/fuzz_readers.py, which has many more of them."""

from __future__ import annotations

import pytest
from fuzz_readers import KINDS, run

FOUND = {
    "torch": (
        324,  # hooks that are a class, not a dictionary: TypeError of torch's
        1111,  # a module without buffers: AttributeError
    ),
    "pictures": (
        55,  # a TIFF without a size: TypeError of Pillow's
        1477,  # a TIFF that ends in its first tag: struct.error
    ),
}
"""Inputs that once ended in something else than a result or a refusal."""

FEW = 12
"""Of each kind, beside those."""


@pytest.mark.parametrize("kind", KINDS)
def test_readers_take_or_refuse(kind: str) -> None:
    assert [str(finding) for finding in run(kind, [*FOUND.get(kind, ()), *range(FEW)])] == []
