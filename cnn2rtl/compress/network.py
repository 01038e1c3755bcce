"""The integer network in torch, with weights that can be trained: what it computes is what the hardware computes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from cnn2rtl.compress.layers import obstacle, sums
from cnn2rtl.errors import UserError
from cnn2rtl.graph import FloatGraph, QuantGraph, QuantNode
from cnn2rtl.ops.weighted import Weighted
from cnn2rtl.quant.layers import QuantLayer
from cnn2rtl.quant.qformat import float_type
from cnn2rtl.quant.weighted import reach, with_weights
from cnn2rtl.tensors import Codes

_TORCH = {np.float32: torch.float32, np.float64: torch.float64}


class _Round(torch.autograd.Function):
    """Half up, as everywhere; for gradients, the identity."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return torch.floor(x + 0.5)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        return gradients[0]


def rounded(x: Tensor) -> Tensor:
    """``x`` rounded half up, with the gradient of ``x`` itself.

    The straight-through estimator (Bengio, Leonard, Courville, arXiv 1308.3432).
    """
    result: Tensor = _Round.apply(x)  # type: ignore[no-untyped-call]
    return result


class Layer(nn.Module):
    """One layer: codes (n, c, h, w) in, codes out.

    What is trained are the weights, of which 1 is the end of the weights' range, and for every channel its bias, of
    which 1 is about the output's whole range. In these units, steps of one size suit all layers.
    """

    def __init__(self, node: QuantNode, weight: np.ndarray | None) -> None:
        super().__init__()
        assert node.layer is not None
        self.node, self.layer = node, node.layer
        self.bound = node.layer.reach
        """What no partial sum exceeds, in whatever order it is made, with any weights of this width."""
        pad = np.zeros(1) if node.layer.pad is None else node.layer.pad
        self.border = torch.from_numpy(np.array(pad, np.float64))
        self.weight: nn.Parameter | None = None
        if weight is None:
            return
        assert node.layer.bias is not None and node.layer.requant is not None
        self.bound = weight[0].size * self._half * max(map(abs, reach(node.layer.source, node.layer.pad)))
        # Of float64, so that the codes that training starts from are exact.
        self.weight = nn.Parameter(torch.from_numpy(weight / self._half))
        requant = node.layer.requant
        shift = requant.shift.astype(np.float64) - np.floor(np.log2(requant.multiplier)) + node.layer.out.bits
        self.bias_unit = torch.from_numpy(np.broadcast_to(np.exp2(shift), node.layer.bias.shape).copy())
        self.bias = nn.Parameter(torch.from_numpy(node.layer.bias.astype(np.float64)) / self.bias_unit)

    @property
    def _half(self) -> int:
        """Half of the weights' codes are negative: so many."""
        return 1 << (self.layer.weight_bits - 1)

    def weight_codes(self) -> Tensor:
        assert self.weight is not None
        return rounded(self.weight * self._half).clamp(-self._half, self._half - 1)

    def bias_codes(self) -> Tensor:
        return rounded(self.bias * self.bias_unit)

    def keep_within(self) -> None:
        """Return weights to their range: outside, no gradient would ever reach them again. Biases stay exact."""
        requant = self.layer.requant
        if self.weight is not None and requant is not None:
            self.weight.data.clamp_(-1.0, 1.0 - 1.0 / self._half)
            most = ((1 << 52) // int(requant.multiplier.max()) - self.bound) / self.bias_unit
            self.bias.data.clamp_(-most, most)

    def trained(self) -> QuantLayer:
        """The integers as they are now."""
        if self.weight is None:
            return self.layer
        with torch.no_grad():
            weight, bias = self.weight_codes().numpy(), self.bias_codes().numpy()
        return replace(with_weights(self.layer, weight.astype(np.int64)), bias=bias.astype(np.int64))

    def forward(self, *xs: Tensor) -> Tensor:
        weight, bias = xs[0].new_zeros(1), torch.zeros(1, dtype=torch.float64)
        if self.weight is not None:
            weight, bias = self.weight_codes(), self.bias_codes()
        exact = self._exact(self.bound)
        total = sums(self.node.op, [x.to(exact) for x in xs], weight.to(exact), self.border, self.layer)
        if self.layer.requant is None:
            return total.to(torch.float32)
        return self._requantised(total, bias)

    def _requantised(self, total: Tensor, bias: Tensor) -> Tensor:
        """As ``Requant.__call__``; a clamp lets the gradient through where it changes nothing."""
        requant = self.layer.requant
        assert requant is not None
        bound = self.bound + int(bias.detach().abs().max())
        exact = self._exact(bound * int(requant.multiplier.max()) + ((1 << int(requant.shift.max())) >> 1))
        factor = torch.from_numpy(np.ldexp(requant.multiplier.astype(np.float64), -requant.shift.astype(np.int32)))
        factor = factor.reshape(*factor.shape[:-1] or (1, 1), -1).permute(2, 0, 1)
        value = (total.to(exact) + bias.to(exact)[:, None, None]) * factor.to(exact)
        return rounded(value).clamp(requant.lo, requant.hi).to(torch.float32)

    def _exact(self, bound: int) -> torch.dtype:
        found = float_type(bound.bit_length())
        if found is None:
            raise UserError(
                f"`{self.node.name}`: its sums may take {bound.bit_length()} bits, and training is exact up to 53; "
                "give it narrower weights or a narrower input"
            )
        return _TORCH[found]


class Network(nn.Module):
    """``graph`` with the weights of ``float_graph`` in reach of training.

    At first it computes what ``graph`` does, to the last bit: float weights stay within the half step around their
    integers. Raises :class:`UserError` for layers that cannot be trained through.
    """

    def __init__(self, float_graph: FloatGraph, graph: QuantGraph) -> None:
        super().__init__()
        found = {node.name: obstacle(node.op, node.layer) for node in graph.layers if node.layer is not None}
        problems = [f"`{name}`: quantisation-aware training {why}" for name, why in found.items() if why]
        if problems:
            raise UserError(problems)
        self.graph = graph
        starts = {node.name: _start(float_graph, node) for node in graph.layers}
        self.layers = nn.ModuleList(Layer(node, starts[node.name]) for node in graph.layers)

    def forward(self, images: Tensor, on_tensor: Callable[[str, Tensor], None] | None = None) -> Tensor:
        """Codes of the output, (n, c, h, w), for raw pixels (n, c, h, w); every tensor is shown on request."""
        (source,) = self.graph.inputs
        values = {source: images.to(torch.float32)}
        for node, layer in zip(self.graph.layers, self.layers, strict=True):
            values[node.name] = layer(*(values[name] for name in node.inputs))
            if on_tensor is not None:
                on_tensor(node.name, values[node.name])
        return values[self.graph.output]

    def scores(self, images: Tensor) -> Tensor:
        """What the output's codes stand for, (n, c, h, w)."""
        out = self.graph[self.graph.output].out
        scales = torch.from_numpy(np.atleast_1d(out.scales)).to(torch.float32)
        scores: Tensor = (self(images) - out.zero) * scales[:, None, None]
        return scores

    def keep_within(self) -> None:
        """Return all weights to their ranges."""
        for layer in self.layers:
            assert isinstance(layer, Layer)
            layer.keep_within()

    def trained(self) -> QuantGraph:
        """The integer network as it is now: other weights and biases, the same formats."""
        found = {layer.node.name: layer.trained() for layer in self.layers if isinstance(layer, Layer)}
        nodes = tuple(replace(node, layer=found.get(node.name)) for node in self.graph.nodes)
        return QuantGraph(self.graph.name, nodes, self.graph.outputs)


def as_maps(images: Codes) -> Tensor:
    """Codes (n, h, w, c) as torch has them, (n, c, h, w), pixels still of 8 bits."""
    # Of unsigned integers torch knows little but bytes.
    wide = images if images.dtype.itemsize == 1 else images.astype(np.int32)
    return torch.from_numpy(np.array(wide.transpose(0, 3, 1, 2)))


def _start(float_graph: FloatGraph, node: QuantNode) -> np.ndarray | None:
    """The weights of a layer in steps of its codes, none of them so far from its code that it would be rounded away."""
    layer, op = node.layer, float_graph[node.name].op
    if layer is None or layer.weight is None or layer.weight_scale is None or not isinstance(op, Weighted):
        return None
    scale = layer.weight_scale.reshape(-1, *(1,) * (layer.weight.ndim - 1))
    wanted = op.absorbing(np.atleast_1d(layer.source.scales / layer.source.coarsest)) / scale
    return np.asarray(layer.weight + np.clip(wanted - layer.weight, -0.499, 0.499))
