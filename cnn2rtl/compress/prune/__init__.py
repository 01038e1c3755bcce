"""Fewer channels: which ones belong together, which ones matter least, and the network without those."""

from cnn2rtl.compress.prune.channels import Channels, find_channels, without
from cnn2rtl.compress.prune.fit import as_it_is, widths_that_fit
from cnn2rtl.compress.prune.ranking import Scores, magnitude, slimming, some_batches, taylor
from cnn2rtl.compress.prune.rounds import Round, prune
from cnn2rtl.compress.prune.sparsity import gamma_penalty, with_gammas
from cnn2rtl.compress.prune.widths import Scope, Widths, keep_share

__all__ = [
    "Channels",
    "Round",
    "Scope",
    "Scores",
    "Widths",
    "as_it_is",
    "find_channels",
    "gamma_penalty",
    "keep_share",
    "magnitude",
    "prune",
    "slimming",
    "some_batches",
    "taylor",
    "widths_that_fit",
    "with_gammas",
    "without",
]
