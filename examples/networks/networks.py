"""All networks of this folder, and what they are generated with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import autoencoder
import ds_cnn
import lenet5
import mobilenet_v2
import resnet20
import series
import shufflenet
import squeezenet
import unet
from torch import nn

from cnn2rtl.zoo import mobilenet_v1


@dataclass(frozen=True)
class Network:
    """A network, the shape (c, h, w) or (c, length) of its input, and the multipliers that it gets at most."""

    build: Callable[[], nn.Module]
    shape: tuple[int, ...]
    multipliers: int


NETWORKS = {
    "LeNet-5": Network(lenet5.LeNet5, lenet5.SHAPE, 32),
    "DS-CNN": Network(ds_cnn.DSCNN, ds_cnn.SHAPE, 64),
    "MobileNetV1, alpha 0.25": Network(lambda: mobilenet_v1(0.25, 96), (3, 96, 96), 64),
    "MobileNetV2, width 0.25": Network(mobilenet_v2.MobileNetV2, mobilenet_v2.SHAPE, 128),
    "ResNet-20": Network(resnet20.ResNet20, resnet20.SHAPE, 256),
    "SqueezeNet": Network(squeezenet.SqueezeNet, squeezenet.SHAPE, 64),
    "ShuffleNet V2": Network(shufflenet.ShuffleNet, shufflenet.SHAPE, 64),
    "U-Net": Network(unet.UNet, unet.SHAPE, 64),
    "Time series": Network(series.SeriesNet, series.SHAPE, 64),
    "Autoencoder": Network(autoencoder.Autoencoder, autoencoder.SHAPE, 32),
}
