"""The same few test slices of every network, kept as arrays: what the pictures of a table are made of."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from mrsim.store import Store, open_store
from segnets.blocks.fourier import to_image
from segnets.checkpoint import load_model
from segnets.data import split_indices
from segnets.evaluate import Evaluation, batch_of, magnitude, pick_device
from segnets.models.base import SegmentationModel

EXAMPLES = "examples.npz"
PLACES = (0.35, 0.65)  # of the slices of the first test subject


def example_cases(store: Store, split: str) -> NDArray[np.int64]:
    """Pick two slices of the first subject of the split: the same for all networks."""
    indices = split_indices(store, split)
    subjects = store.coords["subject"][indices]
    first = indices[subjects == subjects[0]]
    return np.unique([first[round(place * (len(first) - 1))] for place in PLACES])


def write_examples(evaluation: Evaluation, path: Path) -> Path:
    """Run a network on the cases of the pictures and keep what goes in and what comes out.

    case, subject, slice : (example,)
    zero_filled, fully_sampled, image : (example, y, x) float32 magnitudes; image is the network's
    oracle, labels : (example, y, x) uint8 classes; no labels of a network that ends at the image
    mask : (ky, kx) float32 pattern of the first example; own_mask : whether it is the network's own
    probability : (ky, kx) float32 of a learnt pattern
    """
    config = evaluation.config
    model, run = load_model(evaluation.source, config.which, pick_device(config.device))
    store = open_store(config.data)
    index = example_cases(store, config.split)
    device = next(model.parameters()).device
    batch = batch_of(store, index, config, run.train.n_center, device)
    with torch.inference_mode():
        output = model(batch.kspace, batch.mask)
    arrays: dict[str, NDArray[Any]] = {
        "case": index,
        "subject": store.coords["subject"][index],
        "slice": store.coords["slice"][index],
        "zero_filled": magnitude(to_image(batch.kspace)),
        "fully_sampled": magnitude(batch.image),
        "image": magnitude(output.image),
        "oracle": batch.labels.cpu().numpy().astype(np.uint8),
        **patterns(model, batch.mask[0, 0], store.shape),
    }
    if output.answer is not None:
        arrays["labels"] = output.answer.argmax(dim=1).to(torch.uint8).cpu().numpy()
    np.savez_compressed(path, **arrays)
    return path


def patterns(model: SegmentationModel, mask: torch.Tensor, shape: tuple[int, int]) -> dict[str, NDArray[Any]]:
    """Return the sampling pattern that the network was tested with, its own where it has one."""
    own = getattr(model, "sampling", None)
    found = {"mask": mask if own is None else own.pattern()[0, 0]}
    if hasattr(own, "probability"):
        found["probability"] = own.probability()[0, 0]
    arrays = {name: np.broadcast_to(p.detach().float().cpu().numpy(), shape) for name, p in found.items()}
    return {**arrays, "own_mask": np.array(own is not None)}
