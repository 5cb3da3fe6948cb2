"""One sampling pattern for all slices: from a file or from a run, and as text in a checkpoint.

A pattern is (ky, kx) float32 {0, 1} with DC at n // 2, 1 = sampled.
"""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from segnets.blocks.sampling_pattern import SampNet
from segnets.checkpoint import load_model
from segnets.data import DataError, Pattern

FILE = "mask.npy"  # in the directory of a run that has one pattern


def read_pattern(source: str | Path, shape: tuple[int, int] | None = None) -> Pattern:
    """Read the pattern of a .npy file, (ky,), (ky, 1) or (ky, kx), or of a run that has one.

    shape : (ky, kx) that it must have
    Errors: DataError with one sentence, CheckpointError where a run cannot be read.
    """
    path = Path(source)
    pattern = _of_file(path, shape) if path.suffix == ".npy" else pattern_of_run(path)
    if shape is not None and pattern.shape != shape:
        (ny, nx), (has_y, has_x) = shape, pattern.shape
        raise DataError(f"mask must be {ny} x {nx} as the data, got {has_y} x {has_x} in {source}")
    return pattern


def _of_file(path: Path, shape: tuple[int, int] | None) -> Pattern:
    try:
        values = np.load(path, allow_pickle=False)
    except FileNotFoundError:
        raise DataError(f"mask {path} does not exist") from None
    except (ValueError, OSError) as error:
        raise DataError(f"mask {path} is no .npy file of numbers ({error})") from None
    if values.ndim not in (1, 2) or not np.isin(values, (0, 1)).all() or not values.any():
        raise DataError(f"mask must hold zeros and ones, (ky,) or (ky, kx), got another array in {path}")
    lines = values[:, None] if values.ndim == 1 else values
    width = shape[1] if shape is not None and lines.shape[1] == 1 else lines.shape[1]
    return np.broadcast_to(lines, (len(lines), width)).astype(np.float32)


def pattern_of_run(path: str | Path, which: str = "last") -> Pattern:
    """Return the pattern that the network of a run learnt, brought along, or was trained with.

    DataError where its lines were drawn anew for every slice.
    """
    model, run = load_model(path, which)
    own = model.pattern()
    if own is not None:
        return np.asarray(own[0, 0].cpu().numpy(), np.float32)
    if run.mask:
        return from_text(run.mask)
    raise DataError(f"{path} has no sampling pattern: every slice was given lines of its own")


def probability_of_run(path: str | Path, which: str = "last") -> Pattern | None:
    """Return the probabilities (ky, kx) that a learnt pattern is made of; None for another pattern."""
    sampling = getattr(load_model(path, which)[0], "sampling", None)
    if not isinstance(sampling, SampNet):
        return None
    return np.asarray(sampling.probability()[0, 0].detach().cpu().numpy(), np.float32)


def share(pattern: NDArray[np.floating]) -> float:
    """Share of the k-space locations that a pattern samples, to a millionth."""
    return round(float(pattern.mean(dtype=np.float64)), 6)


def fingerprint(pattern: NDArray[np.floating]) -> str:
    """Six letters that tell patterns apart."""
    return hashlib.blake2b(to_text(pattern).encode(), digest_size=3).hexdigest()


def to_text(pattern: NDArray[np.floating]) -> str:
    """Write a pattern as `<ky>x<kx>:<base64 of its bits>`."""
    bits = base64.b64encode(np.packbits(pattern > 0).tobytes()).decode()
    return f"{pattern.shape[0]}x{pattern.shape[1]}:{bits}"


def from_text(text: str) -> Pattern:
    """Undo `to_text`."""
    size, _, bits = text.partition(":")
    ny, nx = (int(n) for n in size.split("x"))
    flat = np.unpackbits(np.frombuffer(base64.b64decode(bits), np.uint8), count=ny * nx)
    return flat.reshape(ny, nx).astype(np.float32)
