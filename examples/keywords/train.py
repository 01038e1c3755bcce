"""Trains a DS-CNN on made-up words and writes keywords.pt, calib.npz and test.npz: python train.py FOLDER"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import torch
from keyword_net import keyword_net
from speech import words
from torch import nn

EPOCHS, BATCH = 8, 32


def main(folder: Path) -> None:
    # One thread: sums in one order give the same weights on every run.
    torch.set_num_threads(1)
    torch.manual_seed(0)
    cepstra, labels = words(720, seed=0)
    x, y = torch.from_numpy(cepstra), torch.from_numpy(labels)

    model = keyword_net()
    optimiser = torch.optim.AdamW(model.parameters(), weight_decay=0.01)
    steps = EPOCHS * -(-len(y) // BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, max_lr=0.01, total_steps=steps)
    for _ in range(EPOCHS):
        for batch in torch.randperm(len(y)).split(BATCH):
            loss = nn.functional.cross_entropy(model(x[batch]), y[batch], label_smoothing=0.05)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()

    model.eval()
    test_cepstra, test_labels = words(300, seed=1)
    with torch.no_grad():
        guess = model(torch.from_numpy(test_cepstra)).argmax(1).numpy()
    print(f"parameters: {sum(p.numel() for p in model.parameters())}")
    print(f"test accuracy: {np.mean(guess == test_labels):.1%} of {len(test_labels)} words")
    folder.mkdir(parents=True, exist_ok=True)
    torch.save(model.state_dict(), folder / "keywords.pt")
    np.savez(folder / "calib.npz", x=cepstra[:200], y=labels[:200])
    np.savez(folder / "test.npz", x=test_cepstra, y=test_labels)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
