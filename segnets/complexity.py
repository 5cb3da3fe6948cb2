"""What a network costs: weights and floating-point operations, counted without room or time for either."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode

from segnets.models import build_model, model_class
from segnets.recipes import paper_shape


@dataclass(frozen=True, kw_only=True, slots=True)
class Complexity:
    """Of one slice, or one series of frames, in one forward pass.

    shape : ([frame,] ky, kx)
    flops : of convolutions, matrix products and attention, a multiplication and its addition counting as two;
        Fourier transforms, normalisations and activations are left out
    inputs, outputs : name -> shape without the batch
    """

    n_parameters: int
    shape: tuple[int, ...]
    flops: int
    inputs: dict[str, tuple[int, ...]]
    outputs: dict[str, tuple[int, ...]]


def complexity(name: str, options: Mapping[str, Any]) -> Complexity:
    """Run the network `name` at its paper's size, on torch's meta device: shapes only, no numbers.

    Tokens of a network that reads samples one by one (DiSK) are those of fully sampled k-space.
    """
    shape = _shape(name, options)
    sized = {"ny": shape[-2], "nx": shape[-1]} if hasattr(model_class(name).Config(), "ny") else {}
    with torch.device("meta"):
        model = build_model(name, {**sized, **options}).to("meta").eval()  # buffers from numpy, too
        contrasts = getattr(model.config, "contrasts", 1)
        n_parameters = model.n_parameters()
        model.requires_grad_(False)
        kspace, mask = torch.empty(1, 2 * contrasts, *shape), torch.empty(1, 1, *shape)
        with FlopCounterMode(display=False) as counter:
            output = model(kspace, mask)
    outputs = {"logits": output.logits[-1:], "image": output.images[-1:]}
    return Complexity(
        n_parameters=n_parameters,
        shape=shape,
        flops=counter.get_total_flops(),
        inputs={"k-space": tuple(kspace.shape[1:]), "mask": tuple(mask.shape[1:])},
        outputs={each: tuple(t.shape[1:]) for each, tensors in outputs.items() for t in tensors},
    )


def _shape(name: str, options: Mapping[str, Any]) -> tuple[int, ...]:
    """Size of the paper's images, unless the options set another one."""
    *frames, ny, nx = paper_shape(name, series=options.get("dims") == 3)
    return (*frames, int(options.get("ny", ny)), int(options.get("nx", nx)))
