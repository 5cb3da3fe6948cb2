"""Which slices of a subject are scanned: named sets, a range of one, or so many of one."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from phantoms.names import known
from phantoms.phantom import Phantom

MM = 1e-3
AREA_SHARE = 0.1  # of the largest area of oracle tissue: what a slice must show to be worth scanning

# set -> orientation -> (first, step, count): slice centres in mm RAS. The axial "seranet" set has GM > 20 cm2
# and WM > 10 cm2 in each of the 20 BrainWeb brains; the others cover the same brains in as many slices.
SLICE_SETS: dict[str, dict[str, tuple[int, int, int]]] = {
    "seranet": {"axial": (-45, 2, 57), "coronal": (-74, 2, 57), "sagittal": (-56, 2, 57)},
    "contiguous": {"axial": (-10, 1, 57), "coronal": (-46, 1, 57), "sagittal": (-28, 1, 57)},
}


class SliceError(ValueError):
    """Slices that do not fit the phantom; the message is one sentence for the user."""


AUTO = "auto"  # over whatever the phantom's tissues to segment span; needs the phantom itself


def slice_set(name: str, orientation: str) -> tuple[float, ...]:
    """Slice centres [m] along the normal of a named set."""
    first, step, count = SLICE_SETS[known("slices", name, SLICE_SETS)][orientation]
    return tuple(round((first + step * i) * MM, 9) for i in range(count))


def selected(text: str, size: int) -> tuple[int, ...]:
    """Slice numbers that `start:stop[:step]` or a count, spread evenly, picks from a set of `size` slices."""
    try:
        parts = [int(part) if part.strip() else None for part in text.split(":")]
    except ValueError:
        raise ValueError(
            f"slices must be one of {', '.join(SLICE_SETS)}, a count or start:stop:step, got {text!r}"
        ) from None
    if len(parts) == 1:
        return spread(parts[0] or 0, size)
    numbers = tuple(range(size)[slice(*parts)]) if len(parts) <= 3 and parts[2:] != [0] else ()
    if not numbers:
        raise ValueError(f"slices must pick some of the {size} slices 0 to {size - 1}, got {text!r}")
    return numbers


def spread(count: int, size: int) -> tuple[int, ...]:
    """`count` numbers spread evenly over 0 to `size` - 1, ends included; a single one is the middle."""
    if not 1 <= count <= size:
        raise ValueError(f"slices must be 1 to {size}, the slices of the set, got {count}")
    if count == 1:
        return (size // 2,)
    return tuple(int(i) for i in np.rint(np.linspace(0, size - 1, count)))


def automatic(phantom: Phantom, axis: int, count: int) -> NDArray[np.float64]:
    """`count` positions [m] along RAS `axis`, over slices with a tenth of the largest area or more.

    Each is the middle of a voxel layer, so that the slice lies on the phantom's grid.
    """
    target = np.array(phantom.oracle.of_tissue) != 0
    others = tuple(i for i in range(3) if i != 2 - axis)
    area = target[phantom.labels].sum(axis=others)
    if not area.any():
        raise SliceError(
            f"phantom {phantom.subject} must hold tissue to segment ({', '.join(phantom.oracle.names[1:])})"
        )
    worth = np.flatnonzero(area >= AREA_SHARE * area.max())
    layers = worth[0] + np.rint(np.linspace(0, worth[-1] - worth[0], count + 2)[1:-1]).astype(int)
    positions: NDArray[np.float64] = phantom.affine[axis, 3] + phantom.affine[axis, axis] * layers
    return positions
