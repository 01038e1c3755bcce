"""Operators that people bring and that no layer is made of: why, and what to use instead.

One table for all front ends, which docs/layers.md shows. What is neither here nor among what is supported is told to be
in no table at all.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Unsupported:
    """A family of operators: their names in torch's ``aten`` and in ONNX, without domain or overload.

    ``layers`` are classes of torch's that are many operations at once, so that it is said of them instead.
    """

    what: str
    torch: tuple[str, ...]
    onnx: tuple[str, ...]
    why: str
    instead: str
    layers: tuple[str, ...] = ()

    @property
    def told(self) -> str:
        """As a refusal says it."""
        return f"{self.why}; {self.instead}"


FAMILIES = (
    Unsupported(
        "recurrent layers",
        ("lstm", "gru", "rnn_tanh", "rnn_relu", "lstm_cell", "gru_cell", "rnn_tanh_cell"),
        ("LSTM", "GRU", "RNN", "Scan", "Loop"),
        "recurrent layers keep a state from one step to the next, and a frame here has one pass",
        "use convolutions over time (Conv1d, dilated as in a TCN), or end the network before it",
        ("LSTM", "GRU", "RNN", "LSTMCell", "GRUCell", "RNNCell"),
    ),
    Unsupported(
        "attention",
        (
            "scaled_dot_product_attention", "_native_multi_head_attention", "_transformer_encoder_layer_fwd",
            "bmm", "baddbmm", "einsum", "outer", "cdist",
        ),
        ("Attention", "MultiHeadAttention", "Einsum", "FlexAttention", "LinearAttention"),
        "attention is a product of two maps over all their pixels, and only products with constants are summed up",
        "use squeeze-and-excitation, which multiplies value by value: a mean over the map, Linear layers, a sigmoid",
        (
            "MultiheadAttention", "Transformer", "TransformerEncoder", "TransformerDecoder", "TransformerEncoderLayer",
            "TransformerDecoderLayer",
        ),
    ),
    Unsupported(
        "normalisation by the image's own statistics",
        ("instance_norm", "layer_norm", "group_norm", "native_layer_norm", "native_group_norm", "local_response_norm"),
        (
            "InstanceNormalization", "LayerNormalization", "GroupNormalization", "RMSNormalization", "LRN",
            "LpNormalization", "MeanVarianceNormalization",
        ),
        "its mean and variance are those of every image, and are known only when they have been summed up",
        "use BatchNorm2d, which is folded into the layer before it",
    ),
    Unsupported(
        "BatchNorm and Dropout in training",
        ("_native_batch_norm_legit_functional", "native_dropout", "native_batch_norm", "alpha_dropout"),
        (),
        "training is not inference",
        "call model.eval() before torch.export.export",
    ),
    Unsupported(
        "cubic and three-dimensional interpolation",
        ("upsample_bicubic2d", "upsample_trilinear3d", "grid_sampler"),
        ("GridSample", "AffineGrid"),
        "only pixels and the averages of neighbours are had",
        "use mode nearest or bilinear",
    ),
    Unsupported(
        "three dimensions",
        ("conv3d", "max_pool3d", "avg_pool3d", "adaptive_avg_pool3d", "conv_transpose3d"),
        (),
        "a map has rows and columns",
        "use the 2d layer",
    ),
    Unsupported(
        "comparisons and choice",
        ("eq", "ne", "gt", "ge", "lt", "le", "where", "masked_fill", "item", "logical_and", "logical_not"),
        ("Where", "Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual", "And", "Or", "Not", "Xor"),
        "hardware does the same for all values",
        "compare with constants: relu, clamp, abs and LeakyReLU do",
    ),
    Unsupported(
        "order and places of values",
        ("topk", "sort", "argsort", "kthvalue", "median", "nonzero", "_unique2", "scatter", "index_put"),
        (
            "TopK", "NonMaxSuppression", "NonZero", "GatherND", "ScatterND", "ScatterElements", "RoiAlign",
            "MaxRoiPool", "Compress", "Unique",
        ),
        "which value comes where depends on the values themselves",
        "end the network before it, and do the rest on the processor that takes the outputs",
    ),
    Unsupported(
        "tables that are looked up",
        ("embedding", "embedding_bag", "gather", "take_along_dim"),
        ("GatherElements",),
        "what is looked up by whole numbers is not a function of pixels",
        "do that before the network",
        ("Embedding", "EmbeddingBag"),
    ),
    Unsupported(
        "chance",
        ("rand", "randn", "rand_like", "randn_like", "bernoulli", "normal", "randint"),
        ("RandomNormal", "RandomUniform", "RandomNormalLike", "RandomUniformLike", "Bernoulli", "Multinomial"),
        "a trained network does the same every time",
        "leave it out in evaluation mode",
    ),
    Unsupported(
        "Fourier transforms and complex numbers",
        ("fft_fft", "fft_rfft", "fft_fft2", "fft_rfft2", "stft", "view_as_complex", "view_as_real", "real", "imag"),
        ("DFT", "STFT", "MelWeightMatrix"),
        "there are no complex numbers",
        "make the spectrogram before the network, which takes it as its input",
    ),
    Unsupported(
        "integers of other forms",
        (),
        (
            "QLinearConv", "QLinearMatMul", "QLinearAdd", "ConvInteger", "MatMulInteger", "DynamicQuantizeLinear",
            "Quant", "BipolarQuant", "Trunc", "IntQuant",
        ),
        "it is quantised, and networks with integers of their own are read as QuantizeLinear and DequantizeLinear",
        "export it in that form, or give the float network",
    ),
    Unsupported(
        "branches taken at run time",
        (),
        ("If",),
        "hardware has one way through",
        "export the branch that is taken, or fold its condition with onnx-simplifier",
    ),
)  # fmt: skip
"""Everything of which more can be said than that it is not supported."""

BY_TORCH = {name: family for family in FAMILIES for name in family.torch}
BY_LAYER = {name: family for family in FAMILIES for name in family.layers}
BY_ONNX = {name: family for family in FAMILIES for name in family.onnx}

SUPPORTED = "docs/layers.md has the table of what is"
"""What is said of all others."""


def of_torch(name: str) -> str:
    """Why the operator ``name`` of ``aten`` is not supported, and what is."""
    return BY_TORCH[name].told if name in BY_TORCH else SUPPORTED


def of_onnx(kind: str) -> str:
    """Why the operator ``DOMAIN.NAME``, or ``NAME`` of onnx's own, is not supported, and what is."""
    domain, _, name = kind.rpartition(".")
    if name in BY_ONNX:
        return BY_ONNX[name].told
    return f"operators of the domain `{domain}` are not onnx's own; export with onnx's alone" if domain else SUPPORTED
