"""Trains the detector on made-up pictures; writes detector.pt2, calib.npz and test.npz: python train.py FOLDER"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import torch
from boxes import found
from detector import SIDE, STRIDES, Detector
from find import score
from pictures import pictures
from torch import Tensor, nn

EPOCHS, BATCH, LARGE = 24, 32, 10
"""What is larger than so many pixels belongs to the coarse scale."""


def wanted(boxes: np.ndarray) -> np.ndarray:
    """What the network should deliver for the ``boxes`` of pictures, (n, 80, 6): a class in place of scores."""
    result = np.zeros((len(boxes), sum((SIDE // s) ** 2 for s in STRIDES), 6), np.float32)
    for image, row in np.argwhere(boxes[..., 4] >= 0):
        left, top, right, bottom, kind = boxes[image, row]
        scale = int(right - left > LARGE)
        stride = STRIDES[scale]
        across, down = (left + right) / 2 / stride, (top + bottom) / 2 / stride
        cell = scale * (SIDE // STRIDES[0]) ** 2 + int(down) * (SIDE // stride) + int(across)
        result[image, cell] = 1, across % 1, down % 1, (right - left) / SIDE, (bottom - top) / SIDE, kind
    return result


def loss_of(output: Tensor, target: Tensor) -> Tensor:
    there = target[..., 0] > 0
    thing = nn.functional.binary_cross_entropy_with_logits(output[..., 0], target[..., 0], pos_weight=torch.tensor(4.0))
    place = (output[there][:, 1:5] - target[there][:, 1:5]).abs().mean()
    kind = nn.functional.cross_entropy(output[there][:, 5:], target[there][:, 5].long())
    return 4 * thing + 2 * place + kind


def main(folder: Path) -> None:
    # One thread: sums in one order give the same weights on every run, and so small a network gains nothing from more.
    torch.set_num_threads(1)
    torch.manual_seed(0)
    images, boxes = pictures(2000, seed=0)
    x, y = torch.from_numpy(images).permute(0, 3, 1, 2).float() / 255, torch.from_numpy(wanted(boxes))

    model = Detector()
    optimiser = torch.optim.AdamW(model.parameters(), weight_decay=0.01)
    steps = EPOCHS * -(-len(y) // BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, max_lr=0.01, total_steps=steps)
    for _ in range(EPOCHS):
        for batch in torch.randperm(len(y)).split(BATCH):
            loss = loss_of(model(x[batch]), y[batch])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()

    model.eval()
    tests, truth = pictures(200, seed=1)
    with torch.no_grad():
        output = model(torch.from_numpy(tests).permute(0, 3, 1, 2).float() / 255).numpy()
    print(f"parameters: {sum(p.numel() for p in model.parameters())}")
    print(f"float network: {score([found(one) for one in output], truth)}")
    folder.mkdir(parents=True, exist_ok=True)
    torch.export.save(torch.export.export(model, (torch.zeros(1, 3, SIDE, SIDE),)), folder / "detector.pt2")
    np.savez(folder / "calib.npz", x=images[:100])
    np.savez(folder / "test.npz", x=tests)
    np.save(folder / "truth.npy", truth)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
