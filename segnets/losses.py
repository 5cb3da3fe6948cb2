"""Loss terms, all in float32 whatever the precision of the network."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional


def cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    """Mean over pixels and batch of -log p(true class), unweighted.

    logits : (batch, class, y, x)
    labels : (batch, y, x) int64
    """
    return functional.cross_entropy(logits.float(), labels)


def mean_squared_error(image: Tensor, target: Tensor) -> Tensor:
    """Mean over all real and imaginary entries of the squared difference ("l2" in the papers).

    image, target : (batch, 2, y, x)
    """
    return functional.mse_loss(image.float(), target.float())
