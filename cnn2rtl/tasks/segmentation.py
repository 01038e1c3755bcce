"""A class for every pixel."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from cnn2rtl.labels import Labels
from cnn2rtl.tasks.base import Further, OneClass, chosen, classes_in
from cnn2rtl.tasks.figures import Confusion
from cnn2rtl.tasks.output import Output
from cnn2rtl.tensors import FloatArray, times

IGNORED = (255, -1, -100)
"""Labels of pixels that are not judged, as data sets and frameworks have them, where they are no class."""


@dataclass(frozen=True)
class Segmentation(OneClass):
    """The largest channel of each pixel, or a yes or no where there is but one channel."""

    kind = "segmentation"

    @classmethod
    def claims(cls, output: Output) -> bool:
        if not output.is_map:
            return False
        one = output.is_probability and output.classes == 1
        return output.is_index or (output.like_the_image and (one or (output.classes > 1 and not output.ending)))

    @property
    def unit(self) -> str:
        return "pixels"

    def further(self, floats: Sequence[Confusion], integers: Sequence[Confusion]) -> tuple[Further, ...]:
        return (Further.mean("mean IoU", lambda matrix: matrix.mean_iou, floats, integers),)

    def answers(self, values: FloatArray) -> np.ndarray:
        if self.output.is_index:
            return values[..., 0].astype(np.int64)
        return chosen(values, self.output)

    def truth(self, labels: Labels) -> np.ndarray:
        """The number of a class for each pixel, (n, h, w), perhaps with a channel of its own, or of maps that are finer
        by whole factors; of two classes, the one may be 255 where the other is 0."""
        values = labels.values
        if values.ndim == 4 and 1 in (values.shape[1], values.shape[3]):
            values = values[..., 0] if values.shape[3] == 1 else values[:, 0]
        size = self.output.shape[1:]
        if values.ndim != 3 or any(of % here or not of for of, here in zip(values.shape[1:], size, strict=True)):
            raise ValueError(
                f"the labels are {labels.size} for each image, where the number of a class for each of {times(size)} "
                "pixels is expected, or for maps of whole multiples of that"
            )
        if self.classes == 2 and values.size and set(np.unique(values)) <= {0, 255} and values.any():
            values = values // 255
        return classes_in(Labels(values), self.classes, IGNORED)
