"""Random small networks, each fully determined by its seed."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from models import randomised
from torch import nn

from cnn2rtl.compiled import Compiled
from cnn2rtl.devices import Device
from cnn2rtl.frontend import capture
from cnn2rtl.graph import FloatGraph
from cnn2rtl.images import Pixels
from cnn2rtl.options import Options
from cnn2rtl.passes import absorb_input, simplify
from cnn2rtl.passes.input_formats import with_inputs
from cnn2rtl.pipeline import compile_graph
from cnn2rtl.quant.inputs import InputFormat
from cnn2rtl.quant.qformat import QFormat
from cnn2rtl.quantise.integers import Widths
from cnn2rtl.schedule import Target
from cnn2rtl.tensors import Codes, Shape, code_type

MOST_MACS = 6000
"""Of one layer: on one multiplier it takes so many cycles per frame, which bounds the time of a simulation."""


class MeanOverMap(nn.Module):
    """The mean over height and width as a function, not as a pooling module."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.mean((2, 3))


@dataclass(frozen=True)
class Case:
    """A network and everything else that a design depends on."""

    seed: int
    model: nn.Module
    shape: Shape
    options: Options
    images: Codes | None
    budget: str

    def __str__(self) -> str:
        layers = ", ".join(map(repr, self.model.children()))
        calibration = "no images" if self.images is None else f"{len(self.images)} images"
        return f"seed {self.seed}: {self.shape} [{layers}], {self.options}, budget {self.budget}, {calibration}"

    def capture(self) -> FloatGraph:
        return capture(self.model, self.shape, f"net{self.seed}")

    def frames(self, seed: int, count: int) -> Codes:
        """So many frames of what the network takes."""
        if not self.options.inputs:
            return images_for(self.shape, seed, count)
        (taken,) = self.options.inputs
        return codes_for(self.shape, taken, seed, count)

    def widths(self, graph: FloatGraph) -> dict[str, Widths]:
        """In one of five networks, a layer has widths of its own."""
        rng = random.Random(-self.seed - 1)
        built = absorb_input(simplify(graph), (0.0,), (1.0,))
        weighted = [node.name for node in built.nodes if node.op.weights]
        if not weighted or rng.random() > 0.2:
            return {}
        name = rng.choice(weighted)
        scores = name in (weighted[-1], built.output)
        return {name: Widths(rng.randint(2, 16), None if scores else rng.randint(2, 16))}

    def compile(self) -> Compiled:
        graph = self.capture()
        options, rng = replace(self.options, layers=self.widths(graph)), random.Random(self.seed)
        if self.budget in MULTIPLIERS:
            built = absorb_input(simplify(with_inputs(graph, options.inputs)), options.mean, options.std)
            multiplying = [node for node in built.nodes if node.op.macs([built[name].shape for name in node.inputs])]
            options = replace(options, target=Target(multipliers=MULTIPLIERS[self.budget](rng, len(multiplying))))
        elif self.budget == "speed":
            fastest = compile_graph(graph, replace(options, target=Target(multipliers=10_000)), self.images)
            limit = fastest.design.schedule.interval * rng.uniform(1, 20)
            options = replace(options, target=Target(fps=100e6 / limit))
        elif self.budget == "constants":
            # As parallel as can be, and no DSP block: weights that are all used in every beat are built in.
            options = replace(options, target=Target(multipliers=10_000, dsps=0))
        elif self.budget == "scarce":
            multipliers = 24 + len(graph.nodes)
            options = replace(options, target=Target(None, 100.0, multipliers, rng.randint(0, multipliers), ROOMY))
        return compile_graph(graph, options, self.images)


ROOMY = Device(
    "roomy", part="roomy-1", family="xc7", luts=10**7, lut_inputs=6, flip_flops=10**7, dsps=10**5,
    multipliers=((50, 50, 1),), rams=10**5, ram_bits=36864, ram_shapes=((36, 1024),), ram_halves=True,
    distributed_ram_bits=10**7, source="made up",
)  # fmt: skip
"""Short of nothing, and with DSP blocks in which any two products find room."""

MULTIPLIERS: dict[str, Callable[[random.Random, int], int]] = {
    "least": lambda rng, layers: layers,
    "few": lambda rng, layers: layers + rng.randint(1, 8),
    "some": lambda rng, layers: layers + rng.randint(8, 60),
    "many": lambda rng, layers: 10_000,
}


def images_for(shape: Shape, seed: int, count: int) -> Pixels:
    """Frames of random pixels; some are all black or all white."""
    rng = np.random.default_rng(seed)
    c, h, w = shape
    images = rng.integers(0, 256, (count, h, w, c), np.uint8)
    for image in images:
        if rng.random() < 0.2:
            image[:] = rng.choice([0, 255])
    return images


def random_case(seed: int, branches: bool = False) -> Case:
    """The network of ``seed``: layers in a row, or with ``branches``."""
    rng = random.Random(seed)
    torch.manual_seed(seed)
    shape = (rng.choice([1, 1, 2, 3, 3, 4, 5]), *_map_size(rng))
    model = randomised((BranchBuilder if branches else _Builder)(rng, shape).build(), seed)
    if rng.random() < 0.4:
        _unbalance(model, rng)
    normalised = rng.random() < 0.4
    # Apart from the others, so that a seed stays the network that it has always been.
    chance = random.Random(-seed - 1)
    bits = [rng.choice([8, rng.randint(2, 16), rng.choice([2, 16])]) for _ in range(3)]
    options = Options(
        weight_bits=bits[0],
        activation_bits=bits[1],
        output_bits=bits[2],
        scheme=rng.choice(["pow2", "scale"]),
        mean=[rng.uniform(0.3, 0.6) for _ in range(shape[0])] if normalised else (0.0,),
        std=[rng.uniform(0.1, 0.4) for _ in range(shape[0])] if normalised else (1.0,),
        class_index=rng.random() < 0.15,
        ranges=chance.choice(["minmax", "minmax", "percentile", "mse"]),
        effort=chance.choice(["fast", "best"]),
    )
    images = images_for(shape, seed, rng.randint(1, 4)) if rng.random() < 0.7 else None
    return Case(seed, model, shape, options, images, rng.choice([*MULTIPLIERS, "default", "speed", "scarce"]))


def with_numbers(case: Case) -> Case:
    """The same network on numbers that are no pictures, of any width and sign, each worth anything."""
    rng = random.Random(-case.seed - 7)
    signed = rng.random() < 0.6
    bits = rng.choice([16, 12, 8, 2, rng.randint(2, 16)] if signed else [16, 12, 8, 1, rng.randint(1, 16)])
    scale = rng.choice([1.0, 2.0 ** rng.randint(-14, 2), 10 ** rng.uniform(-5, 1)])
    taken, reach = InputFormat(bits, signed, scale), (1 << bits - signed) * scale
    channels = case.shape[0]
    mean, std = case.options.mean, case.options.std
    if len(mean) > 1:
        mean = [rng.uniform(-0.5 * signed, 0.5) * reach for _ in range(channels)]
        std = [rng.uniform(0.1, 0.4) * reach for _ in range(channels)]
    images = case.images
    if images is not None:
        images = codes_for(case.shape, taken, case.seed, len(images))
    return replace(case, options=replace(case.options, mean=mean, std=std, inputs=(taken,)), images=images)


def codes_for(shape: Shape, taken: InputFormat, seed: int, count: int) -> Codes:
    """Frames of random codes; some have the smallest or the largest alone, or both in turn."""
    rng = np.random.default_rng(seed)
    numbers = QFormat.full(taken.bits, taken.signed, 1.0)
    (c, h, w), ends = shape, (numbers.lo, numbers.hi)
    kind = code_type(*ends)
    codes = rng.integers(*ends, (count, h, w, c), kind, endpoint=True)
    for frame in codes:
        if rng.random() < 0.4:
            which = (0, 1, np.indices(frame.shape).sum(0) % 2)[rng.integers(3)]
            frame[:] = np.array(ends, kind)[which]
    return codes


def _map_size(rng: random.Random) -> tuple[int, int]:
    if rng.random() < 0.12:
        return rng.choice([(1, 1), (1, 1), (1, rng.randint(2, 16)), (rng.randint(2, 16), 1)])
    return rng.randint(2, 12), rng.randint(2, 12)


def _unbalance(model: nn.Module, rng: random.Random) -> None:
    """Give channels very different weights, and some none at all, as training and pruning do."""
    for module in model.modules():
        if isinstance(module, (nn.Conv2d, nn.Linear)):
            with torch.no_grad():
                for channel in module.weight:
                    channel *= 0.0 if rng.random() < 0.05 else 2.0 ** rng.uniform(-4, 3)


class _Builder:
    """Layers one after the other, each tried on the map that the ones before it left."""

    def __init__(self, rng: random.Random, shape: Shape) -> None:
        self.rng = rng
        self.layers: list[nn.Module] = []
        self.x = torch.zeros(1, *shape)

    @property
    def channels(self) -> int:
        return self.x.shape[1]

    def add(self, layer: nn.Module) -> None:
        self.x = layer.eval()(self.x)
        self.layers.append(layer)

    def build(self) -> nn.Module:
        rng = self.rng
        if rng.random() < 0.15:
            self.add(rng.choice([nn.BatchNorm2d(self.channels), nn.ReLU(), nn.Identity()]))
        for _ in range(rng.randint(1, 5)):
            rng.choice([self.convolution, self.convolution, self.convolution, self.pool, self.trifle])()
        rng.choice([self.head, self.head, self.pooled, lambda: None])()
        return nn.Sequential(*self.layers) if self.layers else nn.Sequential(nn.Identity())

    def pair(self, most: int) -> tuple[int, int]:
        """Square as often as not."""
        first, second = self.rng.randint(1, most), self.rng.randint(1, most)
        return (first, first) if self.rng.random() < 0.5 else (first, second)

    def fits(self, layer: nn.Module, macs_per_output: int = 1) -> bool:
        try:
            out = layer.eval()(self.x)
        except RuntimeError:  # the window is larger than the padded map
            return False
        return 0 < out.numel() * macs_per_output <= MOST_MACS

    def convolution(self) -> None:
        rng, c = self.rng, self.channels
        for _ in range(20):
            style = rng.choice(["standard", "standard", "pointwise", "depthwise", "grouped"])
            kernel = (1, 1) if style == "pointwise" else self.pair(5)
            groups, out = 1, rng.choice([1, 2, 3, 4, 5, 7, 8, 9, 12, 16])
            if style == "depthwise":
                groups = c
                out = c if rng.random() < 0.8 else c * 2
            elif style == "grouped":
                groups = rng.choice([g for g in range(1, c + 1) if c % g == 0])
                out = groups * rng.randint(1, 4)
            padding: Any = tuple(rng.choice([0, k // 2, k // 2, rng.randint(0, k)]) for k in kernel)
            stride = (1, 1) if style == "pointwise" and rng.random() < 0.8 else rng.choice([(1, 1), self.pair(3)])
            if rng.random() < 0.1:
                stride, padding = (1, 1), rng.choice(["same", "valid"])
            conv = nn.Conv2d(c, out, kernel, stride, padding, groups=groups, bias=rng.random() < 0.7)
            if self.fits(conv, conv.weight[0].numel()):
                self.add(conv)
                if rng.random() < 0.6:
                    self.add(nn.BatchNorm2d(out))
                self.activation()
                return

    def activation(self) -> None:
        layers = (nn.ReLU(), nn.ReLU6(), nn.Hardtanh(-0.5, 2.0), nn.Hardtanh())
        if self.rng.random() < 0.75:
            self.add(self.rng.choice(layers))

    def pool(self) -> None:
        rng = self.rng
        for _ in range(20):
            kernel = self.pair(4)
            stride = kernel if rng.random() < 0.5 else self.pair(4)
            padding = tuple(rng.choice([0, rng.randint(0, k // 2)]) for k in kernel)
            layer: nn.Module
            if rng.random() < 0.6:
                layer = nn.MaxPool2d(kernel, stride, padding)
            else:
                layer = nn.AvgPool2d(kernel, stride, padding)
            if self.fits(layer):
                self.add(layer)
                if rng.random() < 0.2:
                    self.activation()
                return

    def trifle(self) -> None:
        self.add(
            self.rng.choice(
                [nn.Dropout(0.5), nn.Identity(), nn.ReLU6(), nn.BatchNorm2d(self.channels), nn.Dropout2d(0.1)]
            )
        )

    def pooled(self) -> None:
        self.add(self.rng.choice([nn.AdaptiveAvgPool2d(1), MeanOverMap()]))

    def head(self) -> None:
        rng = self.rng
        if rng.random() < 0.5:
            self.pooled()
        if self.x.ndim == 4:
            self.add(nn.Flatten())
        for _ in range(rng.randint(1, 2)):
            features = self.x.shape[1]
            self.add(nn.Linear(features, rng.randint(1, max(1, min(12, MOST_MACS // features))), rng.random() < 0.8))
            if rng.random() < 0.2:
                self.add(nn.BatchNorm1d(self.x.shape[1]))
            self.add(rng.choice([nn.ReLU, nn.Identity, nn.Dropout])())


class Branches(nn.Module):
    """Layers, sums and concatenations: each of ``steps`` makes a tensor of earlier ones, the first being the input."""

    def __init__(self, layers: list[nn.Module], steps: list[tuple[int | str, tuple[int, ...]]]) -> None:
        super().__init__()
        self.layers = nn.ModuleList(layers)
        self.steps = steps

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        tensors = [x]
        for what, sources in self.steps:
            maps = [tensors[source] for source in sources]
            if isinstance(what, int):
                tensors.append(self.layers[what](maps[0]))
            else:
                tensors.append(torch.cat(maps, 1) if what == "cat" else getattr(torch, what)(*maps))
        return tensors[-1]

    def __repr__(self) -> str:
        steps = (f"{self.layers[w] if isinstance(w, int) else w}{list(sources)}" for w, sources in self.steps)
        return f"Branches({', '.join(steps)})"


class BranchBuilder(_Builder):
    """Layers on any of the maps there are, and maps that meet."""

    def __init__(self, rng: random.Random, shape: Shape) -> None:
        super().__init__(rng, shape)
        self.tensors = [self.x]
        self.steps: list[tuple[int | str, tuple[int, ...]]] = []
        self.at = 0

    def add(self, layer: nn.Module) -> None:
        super().add(layer)
        self._made(len(self.layers) - 1, (self.at,), self.x)

    def _made(self, what: int | str, sources: tuple[int, ...], x: torch.Tensor) -> None:
        self.steps.append((what, sources))
        self.tensors.append(x)
        self._go_to(len(self.tensors) - 1)

    def _go_to(self, tensor: int) -> None:
        self.at, self.x = tensor, self.tensors[tensor]

    def build(self) -> nn.Module:
        rng = self.rng
        for _ in range(rng.randint(2, 6)):
            if rng.random() < 0.5:
                self._go_to(rng.randrange(len(self.tensors)))
            rng.choice([self.convolution, self.convolution, self.pool, self.trifle, self.sum, self.sum, self.join])()
        if rng.random() < 0.3:
            self.head()
        return self.finished()

    def finished(self) -> nn.Module:
        """The network; one of no layers adds its input to itself."""
        return Branches(self.layers, self.steps or [("add", (0, 0))])

    def sum(self) -> None:
        """This map and one of its shape, which a layer makes of it where there is none."""
        here, rng = self.at, self.rng
        others = [i for i, x in enumerate(self.tensors) if x.shape == self.x.shape and i != here]
        if not others or rng.random() < 0.5:
            conv = nn.Conv2d(self.channels, self.channels, 3, padding=1, groups=rng.choice([1, self.channels]))
            if self.fits(conv, conv.weight[0].numel()):
                self.add(conv)
                others = [self.at]
        sources = rng.sample([here, rng.choice(others or [here])], 2)
        self._made("add", tuple(sources), self.tensors[here])
        self.activation()

    def join(self) -> None:
        """This map and others of its size."""
        size, here = self.x.shape[2:], self.at
        others = [i for i, x in enumerate(self.tensors) if x.shape[2:] == size]
        sources = (here, *self.rng.choices(others, k=self.rng.randint(1, 3)))
        joined = torch.cat([self.tensors[i] for i in sources], 1)
        if joined.numel() <= MOST_MACS:
            self._made("cat", sources, joined)
            self.activation()
