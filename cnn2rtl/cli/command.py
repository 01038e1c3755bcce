"""How a command reads its arguments: all that it cannot read is reported at once."""

from __future__ import annotations

from functools import partial
from typing import Any

import typer
from typer.core import TyperCommand

from cnn2rtl.errors import Problems


class Command(TyperCommand):
    """A command of the application. The types of its context and parameters are typer's own affair, hence ``Any``."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        problems = Problems()
        for parameter in self.params:
            # Set on the object, in front of the method of its class.
            vars(parameter)["process_value"] = partial(_read, problems, parameter)
        rest = super().parse_args(ctx, args)
        problems.check()
        return rest


def _read(problems: Problems, parameter: Any, ctx: Any, value: Any) -> Any:
    try:
        return type(parameter).process_value(parameter, ctx, value)
    except typer.BadParameter as error:
        option = parameter.opts[0] if parameter.opts[0].startswith("-") else parameter.metavar
        if parameter.value_is_missing(value):
            problems.found.append(f"{option} is missing; `{ctx.command_path} --help` tells what it is")
        else:
            given = " ".join(map(str, value)) if isinstance(value, (list, tuple)) else value
            reason = error.message.removeprefix("Value error, ").removesuffix(".")
            problems.found.append(f"{option} {given}: {reason[:1].lower()}{reason[1:]}")
        return None
