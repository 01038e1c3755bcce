"""Networks to begin with: factories whose arguments all have defaults, made of torch's own layers alone.

A network of such layers needs no ``arch`` once it is in a file. On the command line one is called
``zoo:NAME``, or with arguments ``zoo:NAME,KEY=VALUE,...``; several numbers for one key are joined by dashes.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from cnn2rtl.errors import Problems, UserError
from cnn2rtl.zoo.mobilenet_v1 import mobilenet_v1
from cnn2rtl.zoo.standard_cnn import standard_cnn
from cnn2rtl.zoo.student_net import student_net

if TYPE_CHECKING:
    from torch import nn

__all__ = ["ZOO", "build", "mobilenet_v1", "settings_of", "standard_cnn", "student_net"]

ZOO: dict[str, Callable[..., nn.Sequential]] = {
    factory.__name__: factory for factory in (mobilenet_v1, standard_cnn, student_net)
}


def settings_of(text: str) -> tuple[str, Mapping[str, object]]:
    """The name and the arguments of the network that ``zoo:NAME,KEY=VALUE,...`` names; needs no torch.

    Raises :class:`UserError` for names that there are not, and for values of another kind.
    """
    name, *settings = text.removeprefix("zoo:").split(",")
    if name not in ZOO:
        raise UserError(f"{text}: there is no such network in the zoo; it has {', '.join(sorted(ZOO))}")
    parameters = inspect.signature(ZOO[name]).parameters
    arguments: dict[str, object] = {}
    problems = Problems()
    for setting in settings:
        key, _, value = setting.partition("=")
        with problems.gather():
            if key not in parameters:
                raise UserError(f"{text}: {name} has no `{key}`; it has {', '.join(parameters)}")
            arguments[key] = _read(text, key, value, parameters[key].default)
    problems.check()
    return name, arguments


def build(text: str) -> nn.Sequential:
    """The network that ``zoo:NAME,KEY=VALUE,...`` names, with weights from torch's global generator.

    Raises :class:`UserError` for names and values that make none.
    """
    name, arguments = settings_of(text)
    try:
        return ZOO[name](**arguments)
    except UserError as error:
        raise UserError(f"{text}: {error}") from None
    except (RuntimeError, MemoryError, OverflowError, TypeError):
        raise UserError(f"{text}: such a network does not fit into memory") from None


def _read(text: str, key: str, value: str, default: object) -> object:
    """``value`` as a number, or numbers, of the kind of ``default``."""
    try:
        if isinstance(default, tuple):
            numbers: tuple[float, ...] = tuple(map(int, value.split("-")))
        else:
            numbers = (float(value) if isinstance(default, float) else int(value),)
        if all(0 < number < float("inf") for number in numbers):
            return numbers if isinstance(default, tuple) else numbers[0]
    except ValueError:
        pass
    shown = "-".join(map(str, default)) if isinstance(default, tuple) else default
    raise UserError(f"{text}: {key}={value}: more than nothing is expected, like {key}={shown}")
