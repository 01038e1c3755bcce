"""Images changed at random, each in its own way, so that training never sees the same one twice."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from cnn2rtl.compress.training.recipe import Recipe

_GREY = (0.299, 0.587, 0.114)
"""How bright red, green and blue are (ITU-R BT.601)."""


def augmented(pixels: Tensor, recipe: Recipe, generator: torch.Generator) -> Tensor:
    """``pixels`` (n, c, h, w) of 0 to 255, changed as the recipe says; the generator, on the CPU, decides how."""
    if recipe.flip:
        pixels = flipped(pixels, torch.rand(len(pixels), generator=generator) < 0.5)
    if recipe.shift:
        offsets = torch.randint(-recipe.shift, recipe.shift + 1, (2, len(pixels)), generator=generator)
        pixels = shifted(pixels, *offsets)
    if recipe.zoom > 1:
        where = torch.rand(3, len(pixels), generator=generator)
        pixels = zoomed(pixels, 1 + (recipe.zoom - 1) * where[0], *(2 * where[1:] - 1))
    if recipe.jitter:
        pixels = coloured(pixels, *(1 + recipe.jitter * (2 * torch.rand(3, len(pixels), generator=generator) - 1)))
    return pixels


def flipped(pixels: Tensor, which: Tensor) -> Tensor:
    """Left and right exchanged in those images for which ``which`` (n,) is true."""
    return torch.where(which.to(pixels.device)[:, None, None, None], pixels.flip(3), pixels)


def shifted(pixels: Tensor, down: Tensor, right: Tensor) -> Tensor:
    """Moved by whole pixels, (n,) each; what comes in from outside repeats the border."""
    height, width = pixels.shape[2:]
    rows = (torch.arange(height) - down[:, None]).clamp(0, height - 1).to(pixels.device)
    columns = (torch.arange(width) - right[:, None]).clamp(0, width - 1).to(pixels.device)
    images = torch.arange(len(pixels), device=pixels.device)
    return pixels.permute(0, 2, 3, 1)[images[:, None, None], rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)


def zoomed(pixels: Tensor, factor: Tensor, down: Tensor, right: Tensor) -> Tensor:
    """A part of each image, ``factor`` (n,) times smaller than it, at full size, interpolated bilinearly.

    ``down`` and ``right``, (n,), say where it lies: -1 is at the upper and left border, 1 at the others.
    """
    matrix = torch.zeros(len(pixels), 2, 3)
    matrix[:, 0, 0] = matrix[:, 1, 1] = 1 / factor
    matrix[:, 0, 2], matrix[:, 1, 2] = right * (1 - 1 / factor), down * (1 - 1 / factor)
    grid = F.affine_grid(matrix, list(pixels.shape), align_corners=False).to(pixels.device)
    return F.grid_sample(pixels.to(torch.float32), grid, padding_mode="border", align_corners=False)


def coloured(pixels: Tensor, brightness: Tensor, contrast: Tensor, saturation: Tensor) -> Tensor:
    """Multiplied, (n,) each: the pixels, their distance from the image's mean and, with 3 channels, from their grey."""
    light, spread, colour = (f.to(pixels.device)[:, None, None, None] for f in (brightness, contrast, saturation))
    result = pixels.to(torch.float32) * light
    mean = result.mean((1, 2, 3), keepdim=True)
    result = mean + (result - mean) * spread
    if result.shape[1] == 3:
        grey = (result * torch.tensor(_GREY, device=result.device)[:, None, None]).sum(1, keepdim=True)
        result = grey + (result - grey) * colour
    return result.clamp(0, 255)
