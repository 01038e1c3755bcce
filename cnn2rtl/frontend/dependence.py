"""What depends on what in an exported program."""

from __future__ import annotations

import operator
from collections.abc import Collection, Mapping, Sequence

import torch
from torch import fx


def operator_of(node: fx.Node) -> str:
    """``relu`` for ``aten.relu.default``."""
    return str(node.target).split(".")[1] if isinstance(node.target, torch._ops.OpOverload) else node.name


def ancestors(results: Sequence[fx.Node]) -> set[fx.Node]:
    """All that the ``results`` are made of, and they themselves."""
    found, waiting = set(results), list(results)
    while waiting:
        fresh = [node for node in waiting.pop().all_input_nodes if node not in found]
        found.update(fresh)
        waiting.extend(fresh)
    return found


def operators_behind(nodes: Sequence[fx.Node], live: Collection[fx.Node]) -> Mapping[fx.Node, frozenset[str]]:
    """The operators of everything that depends on each of the ``nodes``, given in the program's order.

    What is not ``live`` does not count; nor does picking one of several results.
    """
    behind: dict[fx.Node, frozenset[str]] = {}
    for node in reversed(nodes):
        users = [user for user in node.users if user in live and user in behind]
        own = {operator_of(user) for user in users if user.target is not operator.getitem}
        behind[node] = frozenset(own).union(*(behind[user] for user in users))
    return behind
