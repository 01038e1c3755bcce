"""The front-end table: how each ATen operator becomes layers of the float graph.

To add an operator, write a function from :class:`Call` to an :class:`Op`, to a :class:`Clamp` for an activation that
only limits, or to a :class:`Map` for whatever it adds by :meth:`Call.layer`, and give it a line in ``CONVERTERS``. It
raises :class:`Refused` for what it cannot do.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from cnn2rtl.frontend.call import Call, Map
from cnn2rtl.frontend.converters import channelwise, convolution, interpolation, joining, moving, pooling
from cnn2rtl.ops import Op
from cnn2rtl.tensors import Clamp

Result: TypeAlias = "Op | Clamp | Map | list[Map]"
Converter = Callable[[Call], Result]

CONVERTERS: dict[str, Converter] = {
    "aten.conv2d.default": convolution.convolution,
    "aten.conv2d.padding": convolution.convolution,
    "aten.conv1d.default": convolution.convolution,
    "aten.conv1d.padding": convolution.convolution,
    "aten.convolution.default": convolution.convolution,
    "aten.conv_transpose2d.input": convolution.transposed,
    "aten.conv_transpose1d.default": convolution.transposed,
    "aten.linear.default": convolution.linear,
    "aten.addmm.default": convolution.addmm,
    "aten.mm.default": convolution.matmul,
    "aten.matmul.default": convolution.matmul,
    "aten.batch_norm.default": convolution.batch_norm,
    "aten._native_batch_norm_legit_no_training.default": convolution.batch_norm,
    "aten.relu.default": channelwise.relu,
    "aten.relu6.default": channelwise.relu6,
    "aten.hardtanh.default": channelwise.hardtanh,
    "aten.clamp.default": channelwise.clamp,
    "aten.clamp_min.default": channelwise.clamp,
    "aten.clamp_max.default": channelwise.clamp,
    **{
        f"aten.{name}.default": channelwise.table
        for name in (
            *("sigmoid", "tanh", "silu", "mish", "hardsigmoid", "hardswish", "leaky_relu", "elu", "selu", "celu"),
            *("softplus", "log_sigmoid", "log_sigmoid_forward", "hardshrink", "softshrink", "threshold", "exp", "log"),
            *("log1p", "sqrt", "rsqrt", "reciprocal", "abs", "erf", "sin", "cos", "floor", "ceil", "round", "sign"),
        )
    },
    "aten.gelu.default": channelwise.gelu,
    "aten.pow.Tensor_Scalar": channelwise.power,
    "aten.square.default": channelwise.power,
    "aten.prelu.default": channelwise.prelu,
    "aten._prelu_kernel.default": channelwise.prelu,
    "aten.softmax.int": channelwise.softmax,
    "aten._softmax.default": channelwise.softmax,
    "aten.log_softmax.int": channelwise.softmax,
    "aten._log_softmax.default": channelwise.softmax,
    "aten.argmax.default": channelwise.argmax,
    "aten.max_pool2d.default": pooling.max_pool,
    "aten.max_pool2d_with_indices.default": pooling.max_pool,
    "aten.max_pool1d.default": pooling.max_pool,
    "aten.avg_pool2d.default": pooling.avg_pool,
    "aten.avg_pool1d.default": pooling.avg_pool,
    "aten.adaptive_avg_pool2d.default": pooling.adaptive_avg_pool,
    "aten._adaptive_avg_pool2d.default": pooling.adaptive_avg_pool,
    "aten.adaptive_avg_pool1d.default": pooling.adaptive_avg_pool,
    "aten.adaptive_max_pool2d.default": pooling.adaptive_max_pool,
    "aten.adaptive_max_pool1d.default": pooling.adaptive_max_pool,
    "aten.mean.dim": pooling.mean,
    "aten.sum.dim_IntList": pooling.total,
    "aten.amax.default": pooling.largest,
    "aten.max.dim": pooling.largest,
    "aten.add.Tensor": joining.arithmetic,
    "aten.add.Scalar": joining.arithmetic,
    "aten.sub.Tensor": joining.arithmetic,
    "aten.sub.Scalar": joining.arithmetic,
    "aten.rsub.Scalar": joining.arithmetic,
    "aten.mul.Tensor": joining.arithmetic,
    "aten.mul.Scalar": joining.arithmetic,
    "aten.div.Tensor": joining.arithmetic,
    "aten.div.Scalar": joining.arithmetic,
    "aten.div.Tensor_mode": joining.arithmetic,
    "aten.div.Scalar_mode": joining.arithmetic,
    "aten.neg.default": joining.negative,
    "aten.cat.default": joining.concat,
    "aten.flatten.using_ints": moving.reshape,
    "aten.unflatten.int": moving.reshape,
    "aten.view.default": moving.reshape,
    "aten._unsafe_view.default": moving.reshape,
    "aten.reshape.default": moving.reshape,
    "aten.squeeze.default": moving.reshape,
    "aten.squeeze.dim": moving.reshape,
    "aten.squeeze.dims": moving.reshape,
    "aten.unsqueeze.default": moving.reshape,
    "aten.expand.default": moving.expand,
    "aten.repeat.default": moving.move,
    "aten.repeat_interleave.self_int": moving.move,
    "aten.tile.default": moving.move,
    "aten.permute.default": moving.move,
    "aten.transpose.int": moving.move,
    "aten.swapaxes.default": moving.move,
    "aten.swapdims.default": moving.move,
    "aten.movedim.int": moving.move,
    "aten.movedim.intlist": moving.move,
    "aten.mT.default": moving.move,
    "aten.adjoint.default": moving.move,
    "aten.slice.Tensor": moving.move,
    "aten.select.int": moving.move,
    "aten.narrow.default": moving.move,
    "aten.index_select.default": moving.move,
    "aten.index.Tensor": moving.move,
    "aten.tensor_split.sections": moving.move,
    "aten.split.Tensor": moving.move,
    "aten.split_with_sizes.default": moving.move,
    "aten.chunk.default": moving.move,
    "aten.unbind.int": moving.move,
    "aten.channel_shuffle.default": moving.move,
    "aten.pixel_shuffle.default": moving.move,
    "aten.pixel_unshuffle.default": moving.move,
    "aten.pad.default": moving.constant_pad,
    "aten.constant_pad_nd.default": moving.constant_pad,
    **{
        f"aten.{name}.default": moving.move
        for name in ("reflection_pad1d", "reflection_pad2d", "replication_pad1d", "replication_pad2d")
    },
    "aten.upsample_nearest1d.vec": moving.move,
    "aten.upsample_nearest2d.vec": moving.move,
    "aten.upsample_nearest1d.default": moving.move,
    "aten.upsample_nearest2d.default": moving.move,
    "aten._upsample_nearest_exact2d.vec": moving.move,
    "aten.upsample_bilinear2d.vec": interpolation.upsample_linear,
    "aten.upsample_bilinear2d.default": interpolation.upsample_linear,
    "aten.upsample_linear1d.vec": interpolation.upsample_linear,
    "aten.upsample_linear1d.default": interpolation.upsample_linear,
    "aten.flip.default": moving.along_dimensions,
    "aten.roll.default": moving.along_dimensions,
    "aten.dropout.default": channelwise.dropout,
    "aten.feature_dropout.default": channelwise.dropout,
    "aten.alias.default": channelwise.identity,
    "aten.clone.default": channelwise.identity,
    "aten.contiguous.default": channelwise.identity,
    "aten.detach.default": channelwise.identity,
    "aten.to.dtype": channelwise.identity,
    "aten.to.dtype_layout": channelwise.identity,
    "aten.to.device": channelwise.identity,
    "aten._to_copy.default": channelwise.identity,
}
"""ATen overload -> converter."""

INDICES = frozenset(("aten.argmax.default",))
"""Those whose result is no tensor of floats, and a map with one channel whatever its dimensions."""

MOVES = frozenset(
    name for name, converter in CONVERTERS.items() if converter in (moving.reshape, moving.move, channelwise.identity)
)
"""Those that keep every value: whole numbers, too, may go through, for nothing overflows."""

_ANYWHERE = frozenset((
    *(moving.reshape, moving.expand, moving.move, moving.along_dimensions, channelwise.identity, channelwise.dropout),
    *(channelwise.relu, channelwise.relu6, channelwise.hardtanh, channelwise.clamp, channelwise.table),
    *(channelwise.gelu, channelwise.power, channelwise.softmax, joining.arithmetic, joining.negative, joining.concat),
))  # fmt: skip
"""Those that do not mind in which map of several a value is."""

SCATTERED = frozenset(name.split(".")[1] for name, converter in CONVERTERS.items() if converter in _ANYWHERE)
"""Operators, by name, that work on values of several maps as well as on those of one."""
