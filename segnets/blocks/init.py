"""Initial weights."""

from __future__ import annotations

from torch import nn


def he_normal(module: nn.Module) -> None:
    """He-normal (fan-in, ReLU gain) convolutions with zero bias; for `module.apply` (models.md 0)."""
    if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
        nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
        if module.bias is not None:
            nn.init.zeros_(module.bias)
