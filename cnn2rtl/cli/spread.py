"""Commands that share options: a group of them is a dataclass, and each of its fields an option."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import MISSING, fields, is_dataclass
from functools import wraps
from typing import Annotated, Any, get_type_hints

from typer.models import OptionInfo


def spread(**options: Mapping[str, OptionInfo]) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """A command whose parameters of a dataclass are given as options, one per field, with the field's own default.

    What typer has to know of a field is in its annotation or, where the dataclass knows nothing of command lines, in
    ``options``, by the parameter's and the field's name. All parameters are given by name then.
    """

    def spreading(function: Callable[..., None]) -> Callable[..., None]:
        groups: dict[str, type] = {}
        parameters = []
        hints = get_type_hints(function, include_extras=True)
        for name, parameter in inspect.signature(function).parameters.items():
            if is_dataclass(hints[name]):
                groups[name] = hints[name]
                parameters += list(_fields(hints[name], options.get(name, {})))
            else:
                parameters.append(parameter.replace(kind=parameter.KEYWORD_ONLY, annotation=hints[name]))

        @wraps(function)
        def command(**given: Any) -> None:
            for name, group in groups.items():
                given[name] = group(**{field.name: given.pop(field.name) for field in fields(group)})
            function(**given)

        vars(command)["__signature__"] = inspect.Signature(parameters)
        command.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
        return command

    return spreading


def _fields(group: type, options: Mapping[str, OptionInfo]) -> list[inspect.Parameter]:
    hints = get_type_hints(group, include_extras=True)
    result = []
    for field in fields(group):
        hint = Annotated[hints[field.name], options[field.name]] if field.name in options else hints[field.name]
        default = inspect.Parameter.empty if field.default is MISSING else field.default
        result.append(inspect.Parameter(field.name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=hint))
    return result
