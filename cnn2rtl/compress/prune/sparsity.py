"""Training that pushes scales towards 0, so that slimming finds channels to remove."""

from __future__ import annotations

import torch
from torch import nn

from cnn2rtl.compress.training.objective import Objective


def gamma_penalty(module: nn.Module) -> torch.Tensor:
    """The L1 norm of all scales of BatchNorm: the term that network slimming adds to the loss (Liu et al., ICCV 2017).

    A scalar tensor, with gradients; 0 where there is no BatchNorm.
    """
    scales = [
        layer.weight.abs().sum()
        for layer in module.modules()
        if isinstance(layer, nn.modules.batchnorm._BatchNorm) and layer.weight is not None
    ]
    return torch.stack(scales).sum() if scales else torch.zeros(())


def with_gammas(objective: Objective, sparsity: float) -> Objective:
    """The ``objective`` with ``sparsity`` times :func:`gamma_penalty` on top."""
    about = {**objective.about, "sparsity": sparsity}
    return Objective(objective.loss, lambda module: sparsity * gamma_penalty(module), about)
