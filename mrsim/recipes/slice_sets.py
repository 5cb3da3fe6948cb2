"""Which slices of a subject are scanned: named sets, a range of one, or so many of one."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from phantoms.names import known
from phantoms.phantom import Phantom

MM = 1e-3
AREA_SHARE = 0.1  # of the largest area of oracle tissue: what a slice must show to be worth scanning

# set -> orientation -> (first, step, count): slice centres in mm RAS.
# "seranet": the axial one has GM > 20 cm2 and WM > 10 cm2 in each of the 20 BrainWeb brains; the others cover
# the same brains in as many slices. "contiguous": its 57 slices without gaps.
# "semunet": 48 slices 3 mm apart, as in MRBrainS13. "crdn": the 1 mm BrainWeb grid (181 x 217 x 181) without
# 30 slices at each end: 157 coronal, 121 sagittal and 121 axial ones, 399 in all.
SLICE_SETS: dict[str, dict[str, tuple[int, int, int]]] = {
    "seranet": {"axial": (-45, 2, 57), "coronal": (-74, 2, 57), "sagittal": (-56, 2, 57)},
    "contiguous": {"axial": (-10, 1, 57), "coronal": (-46, 1, 57), "sagittal": (-28, 1, 57)},
    "semunet": {"axial": (-60, 3, 48), "coronal": (-87, 3, 48), "sagittal": (-69, 3, 48)},
    "crdn": {"axial": (-42, 1, 121), "coronal": (-96, 1, 157), "sagittal": (-60, 1, 121)},
}


class SliceError(ValueError):
    """Slices that do not fit the phantom; the message is one sentence for the user."""


AUTO = "auto"  # over whatever the phantom's tissues to segment span; needs the phantom itself
HEART = "heart"  # short-axis stack of a cine
MID = "mid"  # its mid-ventricular slice


def slice_set(name: str, orientation: str) -> tuple[float, ...]:
    """Slice centres [m] along the normal of a named set."""
    first, step, count = SLICE_SETS[known("slices", name, SLICE_SETS)][orientation]
    return tuple(round((first + step * i) * MM, 9) for i in range(count))


def selected(text: str, size: int) -> tuple[int, ...]:
    """Slice numbers that `start:stop[:step]` or a count, spread evenly, picks from a set of `size` slices."""
    try:
        parts = [int(part) if part.strip() else None for part in text.split(":")]
    except ValueError:
        raise ValueError(what_slices_may_be(text)) from None
    if len(parts) == 1:
        return spread(parts[0] or 0, size)
    numbers = tuple(range(size)[slice(*parts)]) if len(parts) <= 3 and parts[2:] != [0] else ()
    if not numbers:
        raise ValueError(f"slices must pick some of the {size} slices 0 to {size - 1}, got {text!r}")
    return numbers


def what_slices_may_be(text: str) -> str:
    """Sentence for a `text` that says no slices, with the nearest set."""
    try:
        known("slices", text, SLICE_SETS)
    except ValueError as error:
        hint = str(error).partition(repr(text))[2]
    else:
        hint = ""
    return (
        f"slices must be one of {', '.join(SLICE_SETS)}, a count such as 20 (spread over the set), "
        f"or a range of the set such as 0:57:3, got {text!r}{hint}"
    )


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
