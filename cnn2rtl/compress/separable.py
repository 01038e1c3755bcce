"""Separable convolutions: a standard convolution as a depthwise and a pointwise one, far smaller than it.

With ``c`` input channels, ``d`` outputs and ``k x k`` kernels, ``k*k*c*d`` weights become ``k*k*c + c*d``. What such
a pair computes is a standard convolution whose weights of every input channel ``c``, a matrix of outputs by taps, have
rank one: ``W[o, c, t] = pointwise[o, c] * depthwise[c, t]``. The nearest matrix of rank one is the first term of the
singular value decomposition (Eckart, Young: *The Approximation of One Matrix by Another of Lower Rank*, 1936), and as
the channels do not meet in the error, the best pair is found channel by channel. It is the first of the terms in Guo
et al.: *Network Decoupling: From Regular to Depthwise Separable Convolutions*, 2018; that filters may be replaced by
products of smaller ones, Jaderberg et al. showed: *Speeding up Convolutional Neural Networks with Low Rank
Expansions*, 2014.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
from torch import nn

from cnn2rtl.errors import Problems, UserError
from cnn2rtl.frontend.structure import replace_layer, separable


def choose(network: nn.Module, wanted: Sequence[str] = ()) -> list[str]:
    """The names of the convolutions to rewrite: those ``wanted``, or all but the first one of the network.

    The first convolution has few input channels and thus few weights, but all that follows depends on it: networks that
    are designed to be separable keep it as it is, too. Raises :class:`UserError` for names of anything that is no
    standard convolution, and where there is none.
    """
    layers = {name: layer for name, layer in network.named_modules(remove_duplicate=False) if name}
    found = [name for name, layer in layers.items() if _refusal(layer) is None]
    problems = Problems()
    for name in wanted:
        with problems.gather():
            if name not in layers:
                offer = f"; those with kernels are {', '.join(found)}" if found else ""
                raise UserError(f"`layers={name}`: the network has no such layer{offer}")
            reason = _refusal(layers[name])
            if reason:
                raise UserError(f"`layers={name}`: {reason}; a standard convolution with kernels is expected")
    problems.check()
    convolutions = [name for name, layer in layers.items() if isinstance(layer, nn.Conv2d)]
    chosen = [name for name in found if name in wanted or (not wanted and name != convolutions[0])]
    if not chosen:
        raise UserError(
            "the network has no standard convolution with kernels to rewrite"
            + (f" beside its first one; `layers={found[0]}` rewrites that" if found else "")
        )
    return chosen


def _refusal(layer: nn.Module) -> str | None:
    """Why ``layer`` cannot become separable."""
    if type(layer) is not nn.Conv2d:
        return f"is a {type(layer).__name__}"
    if layer.groups > 1:
        return f"has {layer.groups} groups"
    return "has kernels of one pixel" if max(layer.kernel_size) == 1 else None


def make_separable(network: nn.Module, names: Iterable[str], fit: bool = True) -> dict[str, float]:
    """Rewrite the convolutions ``names`` of ``network`` in place; with ``fit``, as near to what they were as can be.

    Returns of each layer how much of its weights is lost: the norm of the difference over that of the weights, so 0 for
    nothing and 1 for all. Weights that are not fitted come from torch's global generator, and nothing is known of them:
    the result is empty then. A layer with several names stays one layer.
    """
    pairs: dict[nn.Conv2d, nn.Sequential] = {}
    lost: dict[str, float] = {}
    for name in names:
        conv = network.get_submodule(name)
        assert isinstance(conv, nn.Conv2d)
        if conv not in pairs:
            pairs[conv] = separable(conv)
            if fit:
                lost[name] = factorise(conv, *pairs[conv])
        replace_layer(network, name, pairs[conv])
    return lost


@torch.no_grad()
def factorise(conv: nn.Conv2d, depthwise: nn.Module, pointwise: nn.Module) -> float:
    """Give a pair the weights that are nearest to those of ``conv``; returns the share that is lost (see above)."""
    assert isinstance(depthwise, nn.Conv2d) and isinstance(pointwise, nn.Conv2d)
    taps = conv.weight.double().flatten(2).transpose(0, 1)  # (c, d, k*k)
    left, values, right = torch.linalg.svd(taps, full_matrices=False)
    scale = values[:, :1].sqrt()
    depthwise.weight.copy_((scale * right[:, 0]).reshape(depthwise.weight.shape))
    pointwise.weight.copy_((scale * left[:, :, 0]).T.reshape(pointwise.weight.shape))
    if conv.bias is not None and pointwise.bias is not None:
        pointwise.bias.copy_(conv.bias)
    whole = values.square().sum()
    return float((values[:, 1:].square().sum() / whole).sqrt()) if whole else 0.0
