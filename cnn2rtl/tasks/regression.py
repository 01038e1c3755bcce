"""Values that mean what they are: one, several, or a map of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cnn2rtl.labels import Labels
from cnn2rtl.tasks.base import Score, Task
from cnn2rtl.tasks.figures import Differences, Valued
from cnn2rtl.tasks.output import Output
from cnn2rtl.tensors import FloatArray, times


@dataclass(frozen=True)
class Regression(Task):
    """Values, in the output's own units."""

    kind = "regression"

    @classmethod
    def claims(cls, output: Output) -> bool:
        return True

    @classmethod
    def obstacle(cls, output: Output) -> str:
        return "is the index of a class, which is no value" if output.is_index else ""

    @classmethod
    def doubt(cls, output: Output) -> str:
        kind = "segmentation" if output.is_map else "classification"
        what = "the score of a yes or no" if output.classes == 1 else "scores of classes"
        return "" if output.ending else f"`task={kind}` if it is {what}"

    def truth(self, labels: Labels) -> np.ndarray:
        """A number for each value of the output: (n, channels), of maps (n, h, w, channels) or (n, channels, h, w); one
        channel needs no axis of its own. Pictures are values of 0 to 1."""
        return like_outputs(self.output, labels).astype(np.float64) / (labels.white or 1.0)

    def score(self, exact: FloatArray, integer: FloatArray, truth: np.ndarray | None) -> Score:
        between = Differences.of(integer, exact)
        if truth is None:
            return Score(valued=Valued(between))
        return Score(valued=Valued(between, Differences.of(exact, truth), Differences.of(integer, truth)))


def like_outputs(output: Output, labels: Labels) -> np.ndarray:
    """A number for each value of ``output``, (n, h, w, c); raises ``ValueError`` where there is none for some."""
    (c, h, w), n, values = output.shape, len(labels), labels.values
    if values.shape == (n, h, w, c):
        return values
    if values.shape == (n, c, h, w):
        return values.transpose(0, 2, 3, 1)
    if (values.shape[1:] in {(), (1,)} and (c, h, w) == (1, 1, 1)) or (values.shape == (n, c) and (h, w) == (1, 1)):
        return values.reshape(n, 1, 1, c)
    if c == 1 and values.shape == (n, h, w):
        return values[..., None]
    size = times((h, w, c)) if (h, w) != (1, 1) else str(c)
    raise ValueError(f"the labels are {labels.size} for each image, where {size} values are expected")
