"""What spins feel that a perfect scanner would not do to them: gradients that bend, spectra of many lines."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from mrsim.constants import GAMMA_BAR
from mrsim.fields.harmonics import solid_harmonics
from mrsim.slices.plane import SlicePlane
from phantoms.phantom import Spins

Real = NDArray[np.float64]
RADIUS = 0.25  # [m] where the error of a gradient is stated
OF_AXIS = (9, 10, 8)  # solid harmonics with the symmetry of an x, y and z coil: x (4 z^2 - x^2 - y^2), ...


@dataclass(frozen=True, kw_only=True, slots=True)
class GradientNonlinearity:
    """Third-order error of each gradient coil: the leading term of coils symmetric about the isocentre.

    error : (3,) x, y, z: field of the error, as a share of that of a perfect gradient, at `RADIUS` from the
        isocentre on the axis of the gradient. Real coils: -0.03 to -0.15 (Janke et al., Magn Reson Med
        2004;52:115).
    """

    error: tuple[float, float, float]

    def field_position(self, position: Real) -> Real:
        """Where spins at `position` (3, spin) [m] RAS seem to be: field of a gradient over its strength."""
        harmonics = solid_harmonics(position[0], position[1], position[2], 3)
        seen = position.copy()
        for axis, (index, error) in enumerate(zip(OF_AXIS, self.error, strict=True)):
            on_axis = np.zeros((3, 1))
            on_axis[axis] = RADIUS
            scale = float(solid_harmonics(on_axis[0], on_axis[1], on_axis[2], 3)[index][0])
            seen[axis] += error * RADIUS / scale * harmonics[index]
        return seen

    def apply(self, spins: Spins, plane: SlicePlane) -> tuple[Spins, NDArray[np.intp]]:
        """Move spins to where the gradients put them, sorted by y; the isocentre is the origin of RAS.

        Also returns which spin each one was. Coil sensitivities and B0 belong to where the spins really are:
        look them up before.
        """
        seen = plane.coordinates(self.field_position(plane.to_ras(spins.position)))
        order = np.argsort(seen[1], kind="stable")
        moved = replace(
            spins,
            position=seen[:, order],
            tissue=spins.tissue[order],
            freq=spins.freq[order],
            b1=None if spins.b1 is None else spins.b1[order],
        )
        return moved, order

    def through_plane(self, box: Real, plane: SlicePlane) -> float:
        """Farthest that it moves points of the slice along its normal [m]; box (3, 2) [m] of the object."""
        x, y = np.meshgrid(np.linspace(box[0, 0], box[0, 1], 9), np.linspace(box[1, 0], box[1, 1], 9))
        slice_points = np.stack([x.ravel(), y.ravel(), np.zeros(x.size)])
        seen = plane.coordinates(self.field_position(plane.to_ras(slice_points)))
        return float(np.abs(seen[2]).max())


@dataclass(frozen=True, kw_only=True, slots=True)
class Spectrum:
    """Resonances of one substance: their distance from its main shift [Hz] and their shares of the signal."""

    offsets: tuple[float, ...]
    shares: tuple[float, ...]

    def __post_init__(self) -> None:
        if len(self.offsets) != len(self.shares) or not self.shares:
            raise ValueError(
                f"offsets and shares must pair up, got {len(self.offsets)} and {len(self.shares)}"
            )
        if min(self.shares) <= 0 or abs(sum(self.shares) - 1) > 1e-6:
            raise ValueError(f"shares must be positive and add up to 1, got {self.shares}")


def fat_spectrum(field_strength: float) -> Spectrum:
    """Six resonances of fat [Hz at `field_strength` T], from the methylene line at 1.3 ppm, which is 70 %.

    Hamilton et al., NMR Biomed 2011;24:784: 5.3, 4.2, 2.75, 2.1, 1.3 and 0.9 ppm.
    """
    ppm = np.array([5.3, 4.2, 2.75, 2.1, 1.3, 0.9]) - 1.3
    shares = np.array([4.7, 3.9, 0.6, 12.0, 70.0, 8.8])
    hertz = GAMMA_BAR * field_strength * 1e-6 * ppm
    return Spectrum(offsets=tuple(hertz.tolist()), shares=tuple((shares / shares.sum()).tolist()))


def with_spectrum(spins: Spins, tissue: int, spectrum: Spectrum) -> tuple[Spins, NDArray[np.intp]]:
    """Replace each spin of a tissue by one for each line of its spectrum, next to one another.

    Also returns which spin each one came from: what belongs to spins besides `Spins`, such as coil
    sensitivities, is picked by it.
    """
    lines = len(spectrum.shares)
    mine = spins.tissue == tissue
    source = np.repeat(np.arange(spins.tissue.size), np.where(mine, lines, 1))
    first = np.append(True, np.diff(source) > 0)
    rank = np.arange(source.size) - np.maximum.accumulate(np.where(first, np.arange(source.size), 0))
    split = mine[source]
    rows = np.arange(spins.pd.size)
    line_rows = [rows.size + i for i in range(lines)]
    row = spins.tissue[source].astype(np.uint32)
    row[split] = np.array(line_rows)[rank[split]]
    freq = spins.freq[source] + np.where(split, np.array(spectrum.offsets)[np.minimum(rank, lines - 1)], 0.0)
    share = np.array(spectrum.shares)
    return replace(
        spins,
        position=spins.position[:, source],
        tissue=row,
        freq=freq.astype(np.float32),
        pd=np.append(spins.pd, spins.pd[tissue] * share),
        t1=np.append(spins.t1, np.repeat(spins.t1[tissue], lines)),
        t2=np.append(spins.t2, np.repeat(spins.t2[tissue], lines)),
        t2prime=np.append(spins.t2prime, np.repeat(spins.t2prime[tissue], lines)),
        b1=None if spins.b1 is None else spins.b1[source],
    ), source
