"""The one door for models: which kind a file or module is, what follows from it, and what it is called.

The command line, :func:`cnn2rtl.compile` and every step of compression come in here. What can be told of a model
without torch is told without it: :meth:`Source.check` before anything slow is imported.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias
from warnings import warn

from cnn2rtl.errors import Notice, Problems, UserError
from cnn2rtl.frontend.content import (
    WITHOUT_NETWORK,
    ZOO,
    Content,
    check_arch,
    content_of,
    is_fresh,
    read_file,
    split_weights,
)
from cnn2rtl.frontend.onnx_file import OnnxNetwork, read_onnx
from cnn2rtl.graph import FloatGraph
from cnn2rtl.quantised import Quantised, from_given
from cnn2rtl.trained import SUFFIX, load

if TYPE_CHECKING:
    from torch import nn
    from torch.export import ExportedProgram

Shapes: TypeAlias = "Sequence[tuple[int, ...]]"
"""Of each input, (c, h, w), (c, length) or (features,)."""


MODEL_SUFFIXES = frozenset((".pt", ".pt2", ".pth", ".bin", ".onnx", ".npz", ".safetensors"))
"""What names of files of models end in."""


class Source(ABC):
    """A model, as it was given. ``name`` is what to call the network in it."""

    name: str
    given: ClassVar[bool] = False
    """Whether the network has its integers already, so that nothing that quantises has a say in it."""

    normalised: ClassVar[bool] = False
    """Whether, besides, it tells how its pixels were normalised."""

    def check(self, sized: bool = True) -> None:
        """Raise :class:`UserError` for whatever is wrong as far as it shows without torch.

        ``sized`` says that the input's size was given, if perhaps not well.
        """
        return

    def check_trainable(self, sized: bool = True) -> None:
        """As :meth:`check`, of a network that is to be trained."""
        self.check(sized)

    @abstractmethod
    def read(self, mean: Sequence[float] = (0.0,), std: Sequence[float] = (1.0,)) -> FloatGraph | Quantised:
        """The network: floats, to be quantised, or integers.

        ``mean`` and ``std`` are asked where the integers' file does not tell how its pixels were normalised. Raises
        :class:`UserError` for whatever is wrong with the model.
        """

    def floats(self) -> FloatGraph:
        """The network in floats, in the layers of the model."""
        found = self.read()
        return found if isinstance(found, FloatGraph) else found.graph

    def module(self, seed: int = 0) -> nn.Module:
        """The network as something that can be trained; ``seed`` decides the weights of one that has none yet.

        Raises :class:`UserError` where it cannot be trained any more.
        """
        self.check_trainable()
        return self._module(seed)

    def _module(self, seed: int) -> nn.Module:
        raise NotImplementedError


@dataclass(frozen=True)
class TorchFile(Source):
    """A file of torch's, or the name of an untrained network, ``zoo:NAME`` or ``FILE.py:NAME``.

    ``arch``, ``FILE.py:NAME``, is the network that a state_dict belongs to; ``shapes`` those of the inputs, which an
    archive alone knows; ``trust_pickle`` lets the file run code. It ends in ``outputs``, layers by name, where there
    are any.
    """

    path: Path
    name: str
    arch: str | None = None
    shapes: Shapes | None = None
    trust_pickle: bool = False
    outputs: tuple[str, ...] = ()

    @cached_property
    def content(self) -> Content | None:
        """What is in the file, if it is one; raises :class:`UserError` for files of no known kind."""
        file, _ = split_weights(self.path)
        return None if is_fresh(self.path) else content_of(file, read_file(file))

    def check(self, sized: bool = False) -> None:
        problems = Problems()
        with problems.gather():
            content = self.content
            if is_fresh(self.path):
                check_arch(self.path.name if self.path.name.startswith(ZOO) else str(self.path), "model")
            if content == "safetensors" and self.arch is None:
                problems.found.append(f"{self.path}: {WITHOUT_NETWORK}")
            if not (sized or self.shapes or content == "archive"):
                raise UserError(
                    f"{self.path}: does not tell its input's size; say it with `example=`, like `example=(3, 128, 128)`"
                )
        with problems.gather():
            if self.arch is not None and is_fresh(self.path):
                raise UserError(f"{self.path}: is a network, not a file of weights; leave out `arch={self.arch}`")
            if self.arch is not None:
                check_arch(self.arch)
        problems.check()

    def check_trainable(self, sized: bool = True) -> None:
        self.check(sized)
        if self.content == "archive":
            raise _untrainable(self.path, "a torch.export archive")

    def read(self, mean: Sequence[float] = (0.0,), std: Sequence[float] = (1.0,)) -> FloatGraph:
        from cnn2rtl.frontend import capture, load_model

        self.check()
        model = load_model(self.path, self.arch, self.trust_pickle)
        return capture(model, self.shapes, self.name, outputs=self.outputs)

    def _module(self, seed: int) -> nn.Module:
        from torch import nn

        from cnn2rtl.frontend import load_model
        from cnn2rtl.frontend.reparametrised import masked, plain

        model = load_model(self.path, self.arch, self.trust_pickle, seed)
        assert isinstance(model, nn.Module)
        pruned = masked(model)
        if pruned:
            warn(
                f"{self.path}: the pruning masks of {', '.join(pruned)} are merged into the weights; "
                "training may change the zeros that they made",
                Notice, stacklevel=2,
            )  # fmt: skip
        return plain(model).float()


@dataclass(frozen=True)
class OnnxFile(Source):
    """An ONNX file of a network in floats, or of one that is quantised already; ``needless`` parameters were given.

    ``shapes`` are those of the inputs, in the file's order of dimensions, where it does not tell them. It ends in
    ``outputs``, tensors or operators by name, where there are any.
    """

    path: Path
    name: str
    needless: tuple[str, ...] = ()
    shapes: Shapes | None = None
    outputs: tuple[str, ...] = ()

    @cached_property
    def network(self) -> OnnxNetwork:
        """What is in the file; raises :class:`UserError` where it is none."""
        return read_onnx(self.path)

    @property
    def given(self) -> bool:  # type: ignore[override]
        """One that cannot be read tells so when it is needed."""
        try:
            return self.network.quantised
        except UserError:
            return False

    def check(self, sized: bool = True) -> None:
        problems = Problems()
        problems.found += _not_needed(self.path, self.needless)
        with problems.gather():
            network = self.network
            # A size that was given, but not well, is told of where it was given.
            if self.shapes is not None or not sized:
                network.sized(self.path, self.shapes)
            network.ending(self.outputs)
        problems.check()

    def read(self, mean: Sequence[float] = (0.0,), std: Sequence[float] = (1.0,)) -> FloatGraph | Quantised:
        network = self.network.sized(self.path, self.shapes).ending(self.outputs)
        if network.quantised:
            from cnn2rtl.frontend.qdq import convert_qdq

            return from_given(convert_qdq(network, self.path, self.name, mean, std), mean, std)
        from cnn2rtl.frontend.onnx_float import capture_onnx

        return capture_onnx(network, self.name)

    def check_trainable(self, sized: bool = True) -> None:
        if not self.path.exists():
            self.check(sized)
        raise _untrainable(self.path, "ONNX")


@dataclass(frozen=True)
class TrainedFile(Source):
    """What training leaves: a network with its integers; ``needless`` parameters were given."""

    path: Path
    name: str
    needless: tuple[str, ...] = ()
    given: ClassVar[bool] = True
    normalised: ClassVar[bool] = True

    def check(self, sized: bool = True) -> None:
        problems = Problems()
        problems.found += _not_needed(self.path, self.needless)
        if not self.path.is_file():
            problems.found.append(f"{self.path}: no such file")
        problems.check()

    def read(self, mean: Sequence[float] = (0.0,), std: Sequence[float] = (1.0,)) -> Quantised:
        return load(self.path)

    def check_trainable(self, sized: bool = True) -> None:
        if not self.path.exists():
            self.check(sized)
        raise _untrainable(self.path, "a network that has its integers already")


@dataclass(frozen=True)
class Module(Source):
    """A network that is in memory already."""

    model: nn.Module | ExportedProgram
    name: str
    shapes: Shapes | None
    dtypes: Sequence[str] = ()
    outputs: tuple[str, ...] = ()

    def read(self, mean: Sequence[float] = (0.0,), std: Sequence[float] = (1.0,)) -> FloatGraph:
        from cnn2rtl.frontend import capture

        return capture(self.model, self.shapes, self.name, dtypes=self.dtypes, outputs=self.outputs)


def open_file(
    path: Path,
    arch: str | None = None,
    shapes: Shapes | None = None,
    trust_pickle: bool = False,
    name: str = "",
    outputs: Sequence[str] = (),
) -> Source:
    """The model in the file ``path``, which may be of any kind; nothing of it is read yet.

    ``arch`` and ``trust_pickle`` are for :class:`TorchFile`, ``shapes`` and ``outputs`` for :class:`OnnxFile`, too;
    ``name`` is the file's own if not given.
    """
    name = name or name_of(path)
    needless = tuple(name for name, value in {"arch": arch, "trust_pickle": trust_pickle}.items() if value)
    if path.suffix.lower() == ".onnx":
        return OnnxFile(path, name, needless, shapes, tuple(outputs))
    if path.suffix.lower() == SUFFIX:
        more = {"example": shapes, "outputs": outputs}
        return TrainedFile(path, name, (*needless, *(name for name, value in more.items() if value)))
    return TorchFile(path, name, arch, shapes, trust_pickle, tuple(outputs))


def open_module(
    model: Any, shapes: Shapes | None, name: str = "", dtypes: Sequence[str] = (), outputs: Sequence[str] = ()
) -> Source:
    """A network in memory, whose inputs are of ``dtypes``; raises :class:`UserError` for what is none.

    It ends in ``outputs``, layers by name, where there are any.
    """
    from torch import nn
    from torch.export import ExportedProgram

    if not isinstance(model, (nn.Module, ExportedProgram)):
        raise UserError(
            f"model: a {type(model).__name__}, where a file, an nn.Module or an ExportedProgram is expected"
        )
    return Module(model, name or _name(model), shapes, dtypes, tuple(outputs))


def stem_of(file: Path) -> str:
    """What the names of files made from ``file`` begin with: its own without suffixes, or the zoo's network."""
    name = file.name.removeprefix(ZOO)
    return name.split("," if name != file.name else ".")[0]


def name_of(file: Path) -> str:
    """What to call the network in ``file``."""
    return readable(stem_of(file))


def readable(name: str) -> str:
    """A file's name as it can be written into files: file systems take any bytes, UTF-8 does not."""
    return name.encode(errors="replace").decode()


def _name(model: object) -> str:
    """The class of a network that somebody wrote; torch's own containers say nothing."""
    cls = type(model)
    return "network" if cls.__module__.startswith("torch.") else cls.__name__


def _not_needed(path: Path, parameters: Sequence[str]) -> list[str]:
    return [f"`{parameter}=`: {path} needs none; leave it out" for parameter in parameters]


def _untrainable(path: Path, kind: str) -> UserError:
    return UserError(
        f"{path}: holds {kind}, which cannot be trained; give the network that it was made from: what torch.save wrote "
        'of the module, or its state_dict with `arch="FILE.py:NAME"`'
    )
