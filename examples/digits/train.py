"""Trains DigitNet on the training images of digits.npz and writes digits.pt (its state_dict): python train.py"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from model import DigitNet
from torch import nn

HERE = Path(__file__).resolve().parent
EPOCHS = 60
BATCH = 64


def shifted(x: torch.Tensor) -> torch.Tensor:
    """``x`` moved by up to one pixel, all of the batch the same way."""
    dy, dx = (int(d) for d in torch.randint(0, 3, (2,)))
    return nn.functional.pad(x, (1, 1, 1, 1))[:, :, dy : dy + x.shape[2], dx : dx + x.shape[3]]


def accuracy(model: nn.Module, x: torch.Tensor, y: torch.Tensor) -> str:
    model.eval()
    with torch.no_grad():
        right = int((model(x).argmax(1) == y).sum())
    return f"{right}/{len(y)} = {right / len(y):.1%}"


def main() -> None:
    # One thread: sums in one order give the same weights on every run, and so small a network gains nothing from more.
    torch.set_num_threads(1)
    torch.manual_seed(0)
    with np.load(HERE / "digits.npz") as data:
        x = torch.from_numpy(data["images"]).unsqueeze(1).float() / 255
        y = torch.from_numpy(data["labels"]).long()
        test = torch.from_numpy(data["test"])
    train_x, train_y = x[~test], y[~test]

    model = DigitNet()
    optimiser = torch.optim.AdamW(model.parameters(), weight_decay=0.01)
    steps = EPOCHS * -(-len(train_y) // BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, max_lr=0.01, total_steps=steps)
    for epoch in range(EPOCHS):
        model.train()
        total = 0.0
        for batch in torch.randperm(len(train_y)).split(BATCH):
            loss = nn.functional.cross_entropy(model(shifted(train_x[batch])), train_y[batch], label_smoothing=0.05)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
            total += loss.item() * len(batch)
        if epoch % 10 == 9:
            print(f"epoch {epoch + 1}: loss {total / len(train_y):.4f}")

    # The last epoch's weights, not the best on the test images: those only measure.
    print(f"parameters: {sum(p.numel() for p in model.parameters())}")
    print(f"train accuracy: {accuracy(model, train_x, train_y)}")
    print(f"test accuracy: {accuracy(model, x[test], y[test])}")
    # Written beside and then renamed, so that an interrupted run leaves the old file whole.
    unfinished = HERE / "digits.pt.tmp"
    torch.save(model.state_dict(), unfinished)
    unfinished.replace(HERE / "digits.pt")


if __name__ == "__main__":
    main()
