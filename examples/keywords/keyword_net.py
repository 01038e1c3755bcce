"""The network of examples/networks/ds_cnn.py, smaller and for six words."""

from __future__ import annotations

import sys
from pathlib import Path

from torch import nn

sys.path.append(str(Path(__file__).resolve().parent.parent / "networks"))

from ds_cnn import DSCNN


def keyword_net() -> nn.Module:
    """49 frames of 10 cepstral coefficients in, one score per word out."""
    return DSCNN(channels=24, words=6)
