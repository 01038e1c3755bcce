"""Architectures as people write them, small: what comes to the front door, and what each is an instance of."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.parametrizations import weight_norm


def conv(
    c: int, d: int, kernel: int = 3, stride: int = 1, groups: int = 1, act: Callable[[], nn.Module] = nn.ReLU
) -> nn.Sequential:
    """Convolution, BatchNorm and an activation, as every second file on the Internet has it."""
    return nn.Sequential(
        nn.Conv2d(c, d, kernel, stride, kernel // 2, groups=groups, bias=False), nn.BatchNorm2d(d), act()
    )


class VGG(nn.Module):
    """Convolutions in stages, and fully connected layers with Dropout."""

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        c = 3
        for width in (4, "M", 8, "M", 8):
            if isinstance(width, str):
                layers.append(nn.MaxPool2d(2, 2))
            else:
                layers += [nn.Conv2d(c, width, 3, padding=1), nn.BatchNorm2d(width), nn.ReLU(inplace=True)]
                c = width
        self.features = nn.Sequential(*layers)
        self.avgpool = nn.AdaptiveAvgPool2d((2, 2))
        self.classifier = nn.Sequential(nn.Linear(32, 16), nn.ReLU(True), nn.Dropout(), nn.Linear(16, 5))

    def forward(self, x: Tensor) -> Tensor:
        x = self.avgpool(self.features(x))
        return self.classifier(torch.flatten(x, 1))


class BasicBlock(nn.Module):
    """Of ResNet: two convolutions and a shortcut with a projection."""

    def __init__(self, c: int, d: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(c, d, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(d)
        self.relu = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(d, d, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(d)
        self.downsample = (
            None if c == d and stride == 1 else nn.Sequential(nn.Conv2d(c, d, 1, stride, bias=False), nn.BatchNorm2d(d))
        )

    def forward(self, x: Tensor) -> Tensor:
        identity = x if self.downsample is None else self.downsample(x)
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        out += identity
        return self.relu(out)


class ResNet(nn.Module):
    """With the stem of ImageNet."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 4, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(4)
        self.maxpool = nn.MaxPool2d(3, 2, 1)
        self.layer1 = nn.Sequential(BasicBlock(4, 4, 1), BasicBlock(4, 4, 1))
        self.layer2 = nn.Sequential(BasicBlock(4, 8, 2))
        self.avgpool = nn.AdaptiveAvgPool2d((1, 1))
        self.fc = nn.Linear(8, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = self.maxpool(F.relu(self.bn1(self.conv1(x))))
        x = self.layer2(self.layer1(x))
        x = torch.flatten(self.avgpool(x), 1)
        return self.fc(x)


class InvertedResidual(nn.Module):
    """Of MobileNetV2 and V3: expansion, depthwise convolution, squeeze-and-excitation, projection."""

    def __init__(
        self, c: int, d: int, expand: int, stride: int, act: Callable[[], nn.Module], se: bool = False
    ) -> None:
        super().__init__()
        inner = c * expand
        self.use_res_connect = stride == 1 and c == d
        self.conv = nn.Sequential(
            conv(c, inner, 1, act=act), conv(inner, inner, 3, stride, inner, act=act),
            SE(inner) if se else nn.Identity(), nn.Conv2d(inner, d, 1, bias=False), nn.BatchNorm2d(d),
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        return x + self.conv(x) if self.use_res_connect else self.conv(x)


class SE(nn.Module):
    """Squeeze and excitation, with the hard sigmoid of MobileNetV3."""

    def __init__(self, c: int) -> None:
        super().__init__()
        self.fc1, self.fc2 = nn.Conv2d(c, max(c // 4, 2), 1), nn.Conv2d(max(c // 4, 2), c, 1)

    def forward(self, x: Tensor) -> Tensor:
        scale = F.adaptive_avg_pool2d(x, 1)
        scale = F.hardsigmoid(self.fc2(F.relu(self.fc1(scale))))
        return scale * x


class MobileNetV2(nn.Sequential):
    """ReLU6, linear bottlenecks."""

    def __init__(self) -> None:
        super().__init__(
            conv(3, 4, 3, 2, act=nn.ReLU6), InvertedResidual(4, 4, 2, 1, nn.ReLU6),
            InvertedResidual(4, 6, 2, 2, nn.ReLU6), conv(6, 12, 1, act=nn.ReLU6), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
            nn.Dropout(0.2), nn.Linear(12, 5),
        )  # fmt: skip


class MobileNetV3(nn.Sequential):
    """Hard swish, squeeze and excitation."""

    def __init__(self) -> None:
        super().__init__(
            conv(3, 4, 3, 2, act=nn.Hardswish), InvertedResidual(4, 4, 2, 1, nn.ReLU, True),
            InvertedResidual(4, 6, 2, 2, nn.Hardswish, True), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(6, 8),
            nn.Hardswish(), nn.Dropout(), nn.Linear(8, 5),
        )  # fmt: skip


class EfficientNetLite(nn.Sequential):
    """MBConv blocks of 3x3 and 5x5 without squeeze and excitation, as made for microcontrollers."""

    def __init__(self) -> None:
        super().__init__(
            conv(3, 4, 3, 2, act=nn.ReLU6), conv(4, 4, 3, 1, 4, act=nn.ReLU6), nn.Conv2d(4, 6, 1, bias=False),
            nn.BatchNorm2d(6), conv(6, 12, 1, act=nn.ReLU6), conv(12, 12, 5, 2, 12, act=nn.ReLU6), nn.Conv2d(12, 8, 1),
            nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 5),
        )  # fmt: skip


class ShuffleUnit(nn.Module):
    """Of ShuffleNetV2, as torchvision writes it: chunk, two branches, cat, shuffle by view and transpose."""

    def __init__(self, c: int, stride: int) -> None:
        super().__init__()
        half = c if stride == 2 else c // 2
        self.stride = stride
        self.branch1 = (
            nn.Sequential(nn.Conv2d(c, c, 3, 2, 1, groups=c), nn.BatchNorm2d(c), conv(c, c, 1))
            if stride == 2
            else nn.Sequential()
        )
        self.branch2 = nn.Sequential(
            conv(half, half, 1),
            nn.Conv2d(half, half, 3, stride, 1, groups=half),
            nn.BatchNorm2d(half),
            conv(half, half, 1),
        )

    def forward(self, x: Tensor) -> Tensor:
        if self.stride == 1:
            x1, x2 = x.chunk(2, dim=1)
            out = torch.cat((x1, self.branch2(x2)), dim=1)
        else:
            out = torch.cat((self.branch1(x), self.branch2(x)), dim=1)
        n, c, h, w = out.size()
        out = out.view(n, 2, c // 2, h, w)
        out = torch.transpose(out, 1, 2).contiguous()
        return out.view(n, c, h, w)


class ShuffleNetV2(nn.Sequential):
    """Two units; the mean at the end is written as such."""

    def __init__(self) -> None:
        super().__init__(
            conv(3, 4), ShuffleUnit(4, 2), ShuffleUnit(8, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 5)
        )


class MegviiShuffle(nn.Module):
    """ShuffleNetV2 as its authors wrote it: even and odd channels by a view of the batch and the channels."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.branch = conv(3, 8), conv(4, 4)
        self.fc = nn.Linear(8, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        n, c, h, w = x.size()
        x = x.reshape(n * c // 2, 2, h * w).permute(1, 0, 2).reshape(2, -1, c // 2, h, w)
        x = torch.cat((x[0], self.branch(x[1])), 1)
        return self.fc(x.mean([2, 3]))


class UNet(nn.Module):
    """One level down and up again; ``up`` is how."""

    def __init__(self, up: Callable[[int], nn.Module], end: Callable[[Tensor], Tensor] = lambda x: x) -> None:
        super().__init__()
        self.down1, self.down2 = conv(3, 4), conv(4, 8)
        self.up = up(8)
        self.merge, self.head = conv(12, 4), nn.Conv2d(4, 2, 1)
        self.end = end

    def forward(self, x: Tensor) -> Tensor:
        skip = self.down1(x)
        x = self.up(self.down2(F.max_pool2d(skip, 2)))
        x = torch.cat([skip, x], dim=1)
        return self.end(self.head(self.merge(x)))


class PaddedUNet(UNet):
    """For sizes that do not divide: the difference is padded, as in the best known implementation."""

    def forward(self, x: Tensor) -> Tensor:
        skip = self.down1(x)
        x = self.up(self.down2(F.max_pool2d(skip, 2)))
        dy, dx = skip.size(2) - x.size(2), skip.size(3) - x.size(3)
        x = F.pad(x, [dx // 2, dx - dx // 2, dy // 2, dy - dy // 2])
        return self.head(self.merge(torch.cat([skip, x], dim=1)))


class YOLO(nn.Module):
    """Two scales of anchors; the head is what is trained, boxes are made elsewhere."""

    def __init__(self, head: Callable[[Tensor, Tensor], Any]) -> None:
        super().__init__()
        leaky = lambda: nn.LeakyReLU(0.1)  # noqa: E731
        self.stem, self.deep = conv(3, 8, 3, 2, act=leaky), conv(8, 8, 3, 2, act=leaky)
        self.large, self.small = nn.Conv2d(8, 14, 1), nn.Conv2d(16, 14, 1)
        self.head = head

    def forward(self, x: Tensor) -> Any:
        fine = self.stem(x)
        deep = self.deep(fine)
        joined = torch.cat([F.interpolate(deep, scale_factor=2, mode="nearest"), fine], 1)
        return self.head(self.large(deep), self.small(joined))


class ConvNeXtBlock(nn.Module):
    """Depthwise 7x7, LayerNorm over the channels in channels-last order, two linear layers with GELU, a scale."""

    def __init__(self, c: int) -> None:
        super().__init__()
        self.dwconv: nn.Module = nn.Conv2d(c, c, 7, padding=3, groups=c)
        self.norm: nn.Module = nn.LayerNorm(c, eps=1e-6)
        self.pwconv1, self.act, self.pwconv2 = nn.Linear(c, 4 * c), nn.GELU(), nn.Linear(4 * c, c)
        self.gamma = nn.Parameter(torch.full((c,), 0.3))

    def forward(self, x: Tensor) -> Tensor:
        y = self.dwconv(x).permute(0, 2, 3, 1)
        y = self.gamma * self.pwconv2(self.act(self.pwconv1(self.norm(y))))
        return x + y.permute(0, 3, 1, 2)


class ConvNeXt(nn.Sequential):
    def __init__(self) -> None:
        super().__init__(
            nn.Conv2d(3, 6, 4, 4), ConvNeXtBlock(6), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(6, 5)
        )


class BatchNormNeXt(nn.Sequential):
    """ConvNeXt with BatchNorm in place of LayerNorm, as one does for integers."""

    def __init__(self) -> None:
        super().__init__()
        block = ConvNeXtBlock(6)
        block.norm = nn.Identity()
        block.dwconv = nn.Sequential(block.dwconv, nn.BatchNorm2d(6))
        self.extend([nn.Conv2d(3, 6, 4, 4), block, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(6, 5)])


class Chomp(nn.Module):
    """Of the reference TCN: what a causal convolution was padded too much."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.size = size

    def forward(self, x: Tensor) -> Tensor:
        return x[:, :, : -self.size].contiguous()


class TCN(nn.Module):
    """Causal, dilated convolutions with weight_norm, residual."""

    def __init__(self) -> None:
        super().__init__()
        blocks = []
        for level, (c, d) in enumerate(((3, 6), (6, 6))):
            pad = 2 * 2**level
            blocks.append(nn.Sequential(
                weight_norm(nn.Conv1d(c, d, 3, padding=pad, dilation=2**level)), Chomp(pad), nn.ReLU(), nn.Dropout(0.2),
                weight_norm(nn.Conv1d(d, d, 3, padding=pad, dilation=2**level)), Chomp(pad), nn.ReLU(), nn.Dropout(0.2),
            ))  # fmt: skip
        self.blocks = nn.ModuleList(blocks)
        self.skip = nn.Conv1d(3, 6, 1)
        self.linear = nn.Linear(6, 4)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.blocks[0](x) + self.skip(x))
        x = F.relu(self.blocks[1](x) + x)
        return self.linear(x[:, :, -1])


class CRNNFront(nn.Module):
    """Of a text recogniser: the convolutions before its LSTM; the height is pooled away, columns are time."""

    def __init__(self) -> None:
        super().__init__()
        self.cnn = nn.Sequential(
            conv(1, 4), nn.MaxPool2d(2, 2), conv(4, 8), nn.MaxPool2d((2, 1)), nn.Conv2d(8, 8, (2, 1))
        )
        self.head = nn.Linear(8, 6)

    def forward(self, x: Tensor) -> Tensor:
        x = self.cnn(x).squeeze(2)
        return self.head(x.permute(0, 2, 1))


class CRNN(CRNNFront):
    """With its LSTM."""

    def __init__(self) -> None:
        super().__init__()
        self.rnn = nn.LSTM(8, 8, batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        x = self.cnn(x).squeeze(2).permute(0, 2, 1)
        return self.head(self.rnn(x)[0])


class CBAM(nn.Module):
    """Attention over channels by mean and maximum of the map, then over pixels by mean and maximum of the channels."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = conv(3, 8)
        self.mlp = nn.Sequential(nn.Conv2d(8, 2, 1), nn.ReLU(), nn.Conv2d(2, 8, 1))
        self.spatial = nn.Conv2d(2, 1, 7, padding=3, bias=False)
        self.fc = nn.Linear(8, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        scale = torch.sigmoid(self.mlp(F.adaptive_avg_pool2d(x, 1)) + self.mlp(F.adaptive_max_pool2d(x, 1)))
        x = x * scale
        pooled = torch.cat([torch.max(x, 1)[0].unsqueeze(1), torch.mean(x, 1).unsqueeze(1)], dim=1)
        x = x * torch.sigmoid(self.spatial(pooled))
        return self.fc(F.adaptive_avg_pool2d(x, 1).flatten(1))


class SENet(nn.Sequential):
    """Squeeze and excitation with linear layers and a view, as the first of them had it."""

    class Layer(nn.Module):
        def __init__(self, c: int) -> None:
            super().__init__()
            self.avg_pool = nn.AdaptiveAvgPool2d(1)
            self.fc = nn.Sequential(
                nn.Linear(c, 2, bias=False), nn.ReLU(inplace=True), nn.Linear(2, c, bias=False), nn.Sigmoid()
            )

        def forward(self, x: Tensor) -> Tensor:
            b, c, _, _ = x.size()
            y = self.avg_pool(x).view(b, c)
            y = self.fc(y).view(b, c, 1, 1)
            return x * y.expand_as(x)

    def __init__(self) -> None:
        super().__init__(conv(3, 8), SENet.Layer(8), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 5))


class ConvAutoencoder(nn.Module):
    """Strided convolutions down, transposed ones up, a sigmoid at the end."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.Sequential(nn.Conv2d(1, 4, 3, 2, 1), nn.ReLU(), nn.Conv2d(4, 8, 3, 2, 1), nn.ReLU())
        self.decoder = nn.Sequential(
            nn.ConvTranspose2d(8, 4, 3, 2, 1, output_padding=1), nn.ReLU(),
            nn.ConvTranspose2d(4, 1, 3, 2, 1, output_padding=1), nn.Sigmoid(),
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        return self.decoder(self.encoder(x))


class DenseAutoencoder(nn.Sequential):
    """Of MLPerf Tiny's anomaly detection: a vector in, the same vector out."""

    def __init__(self) -> None:
        layers: list[nn.Module] = []
        for c, d in ((24, 12), (12, 4), (4, 12)):
            layers += [nn.Linear(c, d), nn.BatchNorm1d(d), nn.ReLU()]
        super().__init__(*layers, nn.Linear(12, 24))


class M5(nn.Module):
    """Of raw audio: a first convolution of 80 taps, log-softmax at the end over the last of three dimensions."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.bn1, self.pool1 = nn.Conv1d(1, 4, 80, 16), nn.BatchNorm1d(4), nn.MaxPool1d(4)
        self.conv2, self.bn2 = nn.Conv1d(4, 8, 3), nn.BatchNorm1d(8)
        self.fc1 = nn.Linear(8, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = self.pool1(F.relu(self.bn1(self.conv1(x))))
        x = F.relu(self.bn2(self.conv2(x)))
        x = F.avg_pool1d(x, x.shape[-1])
        x = self.fc1(x.permute(0, 2, 1))
        return F.log_softmax(x, dim=2)


class IMU(nn.Sequential):
    """Six axes over time, for gestures."""

    def __init__(self) -> None:
        super().__init__(
            nn.Conv1d(6, 8, 5), nn.BatchNorm1d(8), nn.ReLU(), nn.MaxPool1d(2), nn.Conv1d(8, 8, 5), nn.ReLU(),
            nn.AdaptiveAvgPool1d(1), nn.Flatten(), nn.Linear(8, 4), nn.Softmax(dim=1),
        )  # fmt: skip


class KeywordSpotting(nn.Sequential):
    """DS-CNN on 49x10 coefficients."""

    def __init__(self) -> None:
        layers: list[nn.Module] = [nn.Conv2d(1, 8, (10, 4), (2, 2), (5, 1), bias=False), nn.BatchNorm2d(8), nn.ReLU()]
        for _ in range(2):
            layers += [conv(8, 8, 3, groups=8), conv(8, 8, 1)]
        super().__init__(*layers, nn.Dropout(0.4), nn.AvgPool2d((25, 5)), nn.Flatten(), nn.Linear(8, 12))


class ESPCN(nn.Sequential):
    """Super-resolution: convolutions at the small size, pixels out of channels at the end."""

    def __init__(self) -> None:
        super().__init__(
            nn.Conv2d(1, 8, 5, padding=2), nn.Tanh(), nn.Conv2d(8, 6, 3, padding=1), nn.Tanh(),
            nn.Conv2d(6, 4, 3, padding=1), nn.PixelShuffle(2),
        )  # fmt: skip


class FSRCNN(nn.Sequential):
    """Super-resolution with PReLU and a transposed convolution of 9x9."""

    def __init__(self) -> None:
        super().__init__(
            nn.Conv2d(1, 8, 5, padding=2), nn.PReLU(8), nn.Conv2d(8, 4, 1), nn.PReLU(4), nn.Conv2d(4, 4, 3, padding=1),
            nn.PReLU(4), nn.ConvTranspose2d(4, 1, 9, 2, 4, output_padding=1),
        )  # fmt: skip


class FastSCNNHead(nn.Module):
    """Segmentation: separable convolutions, pyramid pooling, classes of every pixel at the input's size."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.ds = conv(3, 4, 3, 2), nn.Sequential(conv(4, 4, 3, 2, 4), conv(4, 8, 1))
        self.pyramid = nn.ModuleList([nn.Conv2d(8, 2, 1) for _ in range(2)])
        self.head = nn.Conv2d(12, 3, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.ds(self.stem(x))
        size = x.shape[2:]
        pooled = [
            F.interpolate(layer(F.adaptive_avg_pool2d(x, bins)), size, mode="nearest")
            for layer, bins in zip(self.pyramid, (1, 2), strict=True)
        ]
        x = self.head(torch.cat([x, *pooled], 1))
        return F.interpolate(x, scale_factor=4, mode="bilinear", align_corners=False)


class TinyTransformer(nn.Module):
    """A vision transformer: refused, for its attention multiplies maps with one another."""

    def __init__(self) -> None:
        super().__init__()
        self.patch = nn.Conv2d(3, 8, 4, 4)
        self.block = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
        self.fc = nn.Linear(8, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = self.patch(x).flatten(2).transpose(1, 2)
        return self.fc(self.block(x).mean(1))


class StyleTransfer(nn.Sequential):
    """Of fast neural style: reflected borders, InstanceNorm."""

    def __init__(self) -> None:
        super().__init__(
            nn.ReflectionPad2d(1), nn.Conv2d(3, 4, 3), nn.InstanceNorm2d(4, affine=True), nn.ReLU(), nn.Conv2d(4, 3, 1)
        )


class NonLocal(nn.Module):
    """Every pixel with every other."""

    def __init__(self) -> None:
        super().__init__()
        self.theta, self.phi, self.g = (nn.Conv2d(3, 4, 1) for _ in range(3))

    def forward(self, x: Tensor) -> Tensor:
        theta, phi, g = (layer(x).flatten(2) for layer in (self.theta, self.phi, self.g))
        return torch.bmm(torch.bmm(theta.transpose(1, 2), phi), g.transpose(1, 2)).mean(1)


class Volume(nn.Sequential):
    """Of video: convolutions over time, too."""

    def __init__(self) -> None:
        super().__init__(
            nn.Unflatten(1, (1, 3)),
            nn.Conv3d(1, 4, 3),
            nn.ReLU(),
            nn.Flatten(1, 2),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Linear(4, 2),
        )


class Spectrum(nn.Module):
    """A spectrogram within the network."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv1d(1, 4, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(torch.fft.rfft(x).abs()).mean(2)
