"""``cnn2rtl compress train``: a float network learns from labelled images."""

from __future__ import annotations

from cnn2rtl.cli.compress.data import DataOptions
from cnn2rtl.cli.compress.training import RECIPE, RunOptions, begin, train_session
from cnn2rtl.cli.model import Arch, ModelFile, TrustPickle
from cnn2rtl.cli.spread import spread
from cnn2rtl.compress.training.recipe import Recipe
from cnn2rtl.errors import Problems


@spread(recipe=RECIPE)
def train(
    model: ModelFile,
    data: DataOptions,
    recipe: Recipe,
    run: RunOptions,
    arch: Arch = None,
    trust_pickle: TrustPickle = False,
) -> None:
    """Train a float network on labelled images; every epoch is kept, and the same command goes on where it stopped.

    MODEL is a network that is trained already, or `zoo:NAME`, or `FILE.py:NAME`.
    """
    problems = Problems()
    session = begin(model, arch, trust_pickle, data, recipe, run, "trained", problems)
    problems.check()
    from cnn2rtl.compress.training.objective import from_labels

    assert session is not None
    train_session(session, lambda progress: from_labels(recipe.smoothing))
