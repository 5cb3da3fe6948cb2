"""What a cine data set keeps of its hearts, and where their slices lie."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mrsim.recipes.slice_sets import MID

if TYPE_CHECKING:
    from mrsim.recipes.recipe import Recipe
    from phantoms.phantom import PhantomSource

VOLUMES = {"lv_edv": "edv", "lv_esv": "esv", "rv_edv": "rv_edv", "rv_esv": "rv_esv", "lv_mass": "mass"}


def stack(recipe: Recipe, source: PhantomSource, subject: int) -> list[float]:
    """Positions [m] of the slices of a subject along the long axis, base to apex.

    A stack lies on the grid that is planned for this heart, with its middle on the middle of the planned one:
    every subject has as many slices, and those beyond the heart show none of it.
    """
    assert recipe.cine is not None
    heart: Any = source.heart(subject)  # type: ignore[attr-defined]
    pitch, count = recipe.cine.pitch, len(recipe.slices.numbers)
    planned = heart.slice_positions(pitch)
    if recipe.slices.select == MID:
        return [float(planned[np.abs(planned - heart.slice_positions()[heart.mid_slice]).argmin()])]
    first = (len(planned) - count) // 2
    return [float(planned[0] - pitch * (first + i)) for i in range(count)]


def cine_coordinates(recipe: Recipe, source: PhantomSource) -> dict[str, NDArray[Any]]:
    """Collect (case,) and (case, frame) coordinates of the hearts; none of still pictures."""
    if recipe.cine is None:
        return {}
    cases = [source.case(subject) for subject in recipe.phantom.subjects]  # type: ignore[attr-defined]
    n = len(recipe.slices.numbers)
    rr = np.repeat([case.rr for case in cases], n)
    share = np.arange(recipe.cine.n_frames) / recipe.cine.n_frames
    found: dict[str, NDArray[Any]] = {"rr": rr, "frame_time": rr[:, None] * share}
    return found | {
        name: np.repeat([getattr(case, key) for case in cases], n) for name, key in VOLUMES.items()
    }
