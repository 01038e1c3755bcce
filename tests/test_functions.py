"""The functions of tables: what torch makes of the same numbers, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch_reference import FUNCTIONS as IN_TORCH

from cnn2rtl.ops import Table
from cnn2rtl.ops.functions import FUNCTIONS
from cnn2rtl.quant.layers import QuantOptions
from cnn2rtl.quant.qformat import PIXEL, QFormat
from cnn2rtl.tensors import Clamp

OPTIONS = QuantOptions(weight_bits=8, scheme="pow2")
PARAMETERS: dict[str, tuple[tuple[float, ...], ...]] = {
    "celu": ((), (0.7,)),
    "elu": ((), (0.3,), (1.5, 1.1, 0.9)),
    "hardshrink": ((), (1.5,)),
    "leaky_relu": ((), (0.2,)),
    "pow": ((2.0,), (3.0,), (0.5,), (-1.0,)),
    "softplus": ((), (2.0, 5.0)),
    "softshrink": ((), (1.5,)),
    "threshold": ((0.5, -2.0),),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions_are_those_of_torch(name: str) -> None:
    x = np.concatenate([np.linspace(-40, 40, 2001), np.arange(-16, 17) / 2, [1e-9, -1e-9, 700.0, -700.0]])
    for parameters in PARAMETERS.get(name, ((),)):
        ours = Table(name, parameters).forward([x])
        torchs = IN_TORCH[name](torch.from_numpy(x), *parameters).numpy()
        np.testing.assert_allclose(ours, torchs, rtol=1e-9, atol=1e-12, err_msg=f"{name}{parameters}")


def test_every_function_is_compared() -> None:
    assert set(IN_TORCH) == set(FUNCTIONS)


def test_values_that_no_format_holds() -> None:
    wish = QFormat.full(8, True, 2.0**-4)
    layer = Table("log").quantise([PIXEL], wish, Clamp(), OPTIONS)
    assert layer.table is not None
    # Minus infinity, and logarithms up to 5.54 on sixteenths.
    assert layer.table[:3].tolist() == [-128, 0, 11] and layer.table[-1] == 89
    assert Table("log").caution(layer) == ""
    with pytest.raises(ValueError, match=r"log is defined for none of the values"):
        Table("log").quantise([QFormat(8, True, 1.0, -100, -3)], wish, Clamp(), OPTIONS)


def test_values_that_no_image_showed() -> None:
    """No range that nobody has measured refuses a network: codes that would give NaN have the nearest result, told."""
    layer = Table("log").quantise([QFormat.full(8, True, 1.0)], QFormat.full(8, True, 2.0**-4), Clamp(), OPTIONS)
    assert layer.table is not None
    assert layer.table[:3].tolist() == [-128, 0, 11] and set(layer.table[128:].tolist()) == {-128}
    assert Table("log").caution(layer) == (
        "log is not defined for -128 to -1, which codes of its input can stand for; such a value counts as the nearest "
        "for which it is."
    )
    root = Table("sqrt").quantise([QFormat.full(8, True, 1.0)], QFormat.full(8, False, 2.0**-4), Clamp(), OPTIONS)
    assert root.table is not None and not root.table[128:].any() and root.table[4] == 32


def test_codes_that_never_come_change_nothing() -> None:
    source = QFormat(bits=8, signed=True, scale=0.5, lo=0, hi=100)
    layer = Table("sqrt").quantise([source], QFormat.full(8, False, 2.0**-4), Clamp(0.0, 5.0), OPTIONS)
    assert layer.table is not None and layer.table.size == 256
    assert layer.table[127] == layer.table[100] == 80 and not layer.table[128:].any()
    np.testing.assert_array_equal(
        Table("sqrt").integer([np.array([[[[0, 2, 50]]]])], layer).ravel(), np.floor(np.sqrt([0, 1, 25]) * 16 + 0.5)
    )
