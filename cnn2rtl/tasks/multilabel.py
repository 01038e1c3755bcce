"""Several labels for an image, or for each pixel: each a yes or no of its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from cnn2rtl.labels import Labels
from cnn2rtl.tasks.base import Decisions, Further
from cnn2rtl.tasks.figures import Confusion
from cnn2rtl.tasks.output import Output
from cnn2rtl.tasks.regression import like_outputs
from cnn2rtl.tensors import FloatArray


@dataclass(frozen=True)
class Multilabel(Decisions):
    """Each channel says yes or no."""

    kind = "multilabel"

    @classmethod
    def claims(cls, output: Output) -> bool:
        return output.is_probability and output.classes > 1 and (not output.is_map or output.like_the_image)

    @classmethod
    def obstacle(cls, output: Output) -> str:
        return "is the index of one class" if output.is_index else ""

    @property
    def classes(self) -> int:
        return 2

    @property
    def matrices(self) -> int:
        return self.output.shape[0]

    @property
    def unit(self) -> str:
        return "labels"

    def further(self, floats: Sequence[Confusion], integers: Sequence[Confusion]) -> tuple[Further, ...]:
        return (Further.mean("mean F1", lambda matrix: matrix.f1, floats, integers),)

    def answers(self, values: FloatArray) -> np.ndarray:
        return (values > self.output.threshold).astype(np.int64)

    def truth(self, labels: Labels) -> np.ndarray:
        """0 or 1 for each channel, (n, channels), and of maps for each pixel."""
        values = like_outputs(self.output, labels)
        if not ((values == 0) | (values == 1)).all():
            raise ValueError("the labels are not all 0 or 1, as those that say yes or no are")
        return values.astype(np.int64)
