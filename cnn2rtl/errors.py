"""The one exception a user's mistake may raise, and what is told without one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from cnn2rtl.text import clipped, visible

LONGEST = 3000
"""Characters of a problem; names in it may be of any length."""


class UserError(Exception):
    """One or more mistakes of the user's, each naming the offender, the rule and the remedy.

    A stage that can find several mistakes collects them and raises once, so that nobody has to
    repair them one run at a time. The command line prints every line and exits with 2. A name in it may hold
    anything, so what does not print is made visible.
    """

    def __init__(self, problems: str | Iterable[str]) -> None:
        lines = (problems,) if isinstance(problems, str) else problems
        self.problems: tuple[str, ...] = tuple(visible(clipped(line, LONGEST)) for line in lines)
        super().__init__("\n".join(self.problems))


class Notice(UserWarning):
    """What the user should know although it went on: the package warns of it, the command line prints a note."""


class Problems:
    """Gathers the mistakes of independent steps, to raise them all at once::

    problems = Problems()
    with problems.gather():
        shape = parse_shape(text)
    problems.check()
    """

    def __init__(self) -> None:
        self.found: list[str] = []
        self._first: UserError | None = None

    @contextmanager
    def gather(self) -> Iterator[None]:
        """Keep a :class:`UserError` of the enclosed step and go on."""
        try:
            yield
        except UserError as error:
            self.found += error.problems
            self._first = self._first or error

    def check(self) -> None:
        """Raise what has been gathered, if anything."""
        if self.found:
            raise UserError(self.found) from self._first
