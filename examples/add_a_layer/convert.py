"""The front end's part: what torch calls the layer, and what of it can be hardware."""

from __future__ import annotations

from math import frexp

from leaky_relu import LeakyRelu

from cnn2rtl.frontend.call import Call, Refused
from cnn2rtl.frontend.converters import CONVERTERS
from cnn2rtl.ops import Op

STEEPEST, FLATTEST = 1, 8


def leaky_relu(call: Call) -> Op:
    slope = float(call.args["negative_slope"])
    mantissa, exponent = frexp(slope)
    shift = 1 - exponent
    if mantissa != 0.5 or not STEEPEST <= shift <= FLATTEST:
        raise Refused(
            f"a negative slope of {slope:g} is not supported; use a power of two from 1/2 to 1/256, "
            "such as LeakyReLU(1 / 8), and train with it"
        )
    return LeakyRelu(shift)


CONVERTERS["aten.leaky_relu.default"] = leaky_relu
