"""The same few test slices of every network, kept as arrays: what the pictures of a table are made of."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mrsim.store import Store, open_store
from segnets.blocks.sampling_pattern import SampNet
from segnets.checkpoint import load_model
from segnets.conditions import pick_device
from segnets.data import split_indices
from segnets.evaluate import Evaluation, magnitude, respond, units, zero_filled_image
from segnets.models.base import SegmentationModel

EXAMPLES = "examples.npz"
PLACES = (0.35, 0.65)  # of the slices of the first test subject


def example_places(store: Store, split: str) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Pick two slices of the first subject of the split; of a cine two frames of its middle slice, ED and ES.

    returns (example,) cases, and (example,) frames of a cine, 0 of still slices: the same for all networks
    """
    indices = split_indices(store, split)
    subjects = store.coords["subject"][indices]
    first = indices[subjects == subjects[0]]
    if not store.n_frames:
        cases = np.unique([first[round(place * (len(first) - 1))] for place in PLACES])
        return cases, np.zeros(len(cases), np.int64)
    middle = first[len(first) // 2]
    area = (store.labels([middle])[0] == 1).sum(axis=(1, 2))  # of the first tissue: the left ventricle
    return np.array([middle, middle]), np.array([0, int(area.argmin())])


def write_examples(evaluation: Evaluation, path: Path) -> Path:
    """Run a network on the cases of the pictures and keep what goes in and what comes out.

    case, subject, slice, frame : (example,)
    zero_filled, fully_sampled, image : (example, y, x) float32 magnitudes of the first contrast, in the units
        of the store; image is the network's, where it makes one
    oracle, labels : (example, y, x) uint8 classes; no labels of a network that ends at the image
    pattern, probability : (ky, kx) float32 of a network with a sampling pattern of its own, of a learnt one
    """
    config = evaluation.config
    model, run = load_model(evaluation.source, config.which, pick_device(config.device))
    store = open_store(config.data)
    index, frame = example_places(store, config.split)
    batch, output, labels = respond(model, store, config, index, run)
    oracle = batch.labels.cpu().numpy().astype(np.uint8)
    scale = units(batch, oracle.ndim)
    shown: dict[str, NDArray[Any]] = {
        "zero_filled": magnitude(zero_filled_image(model, batch)) * scale,
        "fully_sampled": magnitude(batch.image) * scale,
        "oracle": oracle,
    }
    if model.config.makes_image:
        shown["image"] = magnitude(output.image) * scale
    if labels is not None:
        shown["labels"] = labels
    if store.n_frames:
        shown = {name: series[np.arange(len(index)), frame] for name, series in shown.items()}
    places = {"case": index, "frame": frame, **{n: store.coords[n][index] for n in ("subject", "slice")}}
    np.savez_compressed(path, allow_pickle=False, **places, **shown, **own_pattern(model))
    return path


def own_pattern(model: SegmentationModel) -> dict[str, NDArray[np.float32]]:
    """Return the sampling pattern that a network brings along, and what a learnt one is made of."""
    pattern = model.pattern()
    found = {} if pattern is None else {"pattern": pattern}
    sampling = getattr(model, "sampling", None)
    if isinstance(sampling, SampNet):
        found["probability"] = sampling.probability()
    return {name: values[0, 0].detach().float().cpu().numpy() for name, values in found.items()}
