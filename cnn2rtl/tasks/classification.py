"""One class for an image."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cnn2rtl.labels import Labels
from cnn2rtl.tasks.base import OneClass, chosen, classes_in
from cnn2rtl.tasks.output import Output
from cnn2rtl.tensors import FloatArray


@dataclass(frozen=True)
class Classification(OneClass):
    """The largest channel, or a yes or no where there is but one. Of a map, the mean counts; of an index, its first."""

    kind = "classification"

    @classmethod
    def claims(cls, output: Output) -> bool:
        if output.is_map:
            return False
        return (
            output.is_index
            or (output.is_probability and output.classes == 1)
            or (output.classes > 1 and not output.ending)
        )

    @property
    def unit(self) -> str:
        return "images"

    @property
    def measure(self) -> str:
        return "top-1"

    def answers(self, values: FloatArray) -> np.ndarray:
        if self.output.is_index:
            # A map of votes has no mean: the first pixel speaks for images that have but one.
            return values[:, 0, 0, 0].astype(np.int64)
        return chosen(values.mean((1, 2)), self.output)

    def truth(self, labels: Labels) -> np.ndarray:
        """One number of a class for each image, (n,) or (n, 1), or one-hot, (n, classes)."""
        n, values = len(labels), labels.values
        if values.shape in ((n,), (n, 1)):
            return classes_in(labels, self.classes).reshape(n)
        if values.shape == (n, self.classes) and ((values == 0) | (values == 1)).all() and (values.sum(1) == 1).all():
            found: np.ndarray = values.argmax(1)
            return found
        raise ValueError(f"the labels are {labels.size} for each image, where the number of a class is expected")
