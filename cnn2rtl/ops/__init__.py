"""Layer kinds, one file each. Importing the package registers them all."""

from cnn2rtl.hardware.window import Window
from cnn2rtl.ops.add import Add
from cnn2rtl.ops.argmax import ArgMax
from cnn2rtl.ops.avgpool2d import AvgPool2d
from cnn2rtl.ops.base import REGISTRY, Op
from cnn2rtl.ops.channel_max import ChannelMax
from cnn2rtl.ops.concat import Concat
from cnn2rtl.ops.conv2d import Conv2d
from cnn2rtl.ops.depth_to_space import DepthToSpace
from cnn2rtl.ops.depthwise_conv2d import DepthwiseConv2d
from cnn2rtl.ops.graph_only import Affine, Identity, Input, NumberInput
from cnn2rtl.ops.linear import Linear
from cnn2rtl.ops.maxpool2d import MaxPool2d
from cnn2rtl.ops.multiply import Multiply
from cnn2rtl.ops.resample import Resample
from cnn2rtl.ops.rescale import Rescale
from cnn2rtl.ops.select import Select
from cnn2rtl.ops.table import Table

__all__ = [
    "REGISTRY",
    "Add",
    "Affine",
    "ArgMax",
    "AvgPool2d",
    "ChannelMax",
    "Concat",
    "Conv2d",
    "DepthToSpace",
    "DepthwiseConv2d",
    "Identity",
    "Input",
    "Linear",
    "MaxPool2d",
    "Multiply",
    "NumberInput",
    "Op",
    "Resample",
    "Rescale",
    "Select",
    "Table",
    "Window",
]
