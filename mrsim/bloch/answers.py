"""Answers: what spins in the middle of the field of view send at each sample, unencoded along x and y."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from mrsim.bloch.distinct import distinct
from mrsim.bloch.isochromat import isochromat
from mrsim.bloch.segments import Segments
from mrsim.bloch.tasks import in_threads

if TYPE_CHECKING:
    from phantoms.phantom import Spins

ROWS_AT_ONCE = 16384  # rows whose answers are worked out together
AT_ONCE = 64  # spins that are walked together, each with a receiver of its own
MOST_WALKED = 4096  # different spins: with more, off-resonance is interpolated
STEPS = (10.0, 5.0, 2.0, 1.0, 0.5)  # [Hz] between nodes, until the error is small enough
CHECKED = 64  # spins on which it is measured

Real = NDArray[np.float64]
Index = NDArray[np.intp]
Complex = NDArray[np.complex128]


@dataclass(frozen=True, eq=False, slots=True)
class Answers:
    """Answers of `spins` to the sequence of `seg`: amplitude, slice profile and receiver phase are in them.

    n_sub : nodes of the slice profile across the cell of a spin
    tolerance : of the interpolation in off-resonance, of the largest answer
    """

    spins: Spins
    seg: Segments
    n_sub: int
    tolerance: float

    def at(self, rows: Index, samples: Index) -> Complex:
        """(row, sample) answers of some of the spins at some of the samples."""
        needed, column = np.unique(self.seg.of[samples], return_inverse=True)
        kinds, which = self._of_kinds(rows, needed)
        found = np.empty((rows.size, samples.size), np.complex128)

        def advance(begin: int, end: int) -> None:
            start = kinds[which[begin:end]][:, column]
            found[begin:end] = self.precess(rows[begin:end], samples, start)

        in_threads(advance, rows.size, ROWS_AT_ONCE)
        return found

    def precess(self, rows: Index, samples: Index, start: Complex) -> Complex:
        """Advance `start` (row, sample), that of the first sample of each segment, to the samples."""
        path, first = self.seg.path, self.seg.first[self.seg.of[samples]]
        spins, tissue = self.spins, self.spins.tissue[rows]
        t = path.time[samples] - path.time[first]
        exponent = np.outer(-1 / spins.t2[tissue], t) - 2j * np.pi * np.outer(spins.freq[rows], t)
        if self.seg.sparse.refocuses:
            exponent -= np.outer(
                1 / spins.t2prime[tissue], np.abs(path.clock[samples]) - np.abs(path.clock[first])
            )
        exponent -= 1j * (path.phase[samples] - path.phase[first])
        return np.asarray(start * np.exp(exponent))

    def at_first(self, rows: Index, needed: Index) -> Complex:
        """(row, needed) answers at the first samples of the segments `needed`."""
        kinds, which = self._of_kinds(rows, needed)
        return kinds[which]

    def _of_kinds(self, rows: Index, needed: Index) -> tuple[Complex, Index]:
        """(kind, needed) answers at the first samples of segments, and (row,) the kind of each row."""
        keys, which = self.keys(rows)
        if len(keys) <= MOST_WALKED or self.spins.b1 is not None:
            return self._walk(keys, needed), which
        return self._interpolated(keys, needed), which

    def keys(self, rows: Index) -> tuple[Real, Index]:
        """(key, 5) tissue, z, off-resonance, B1+: what an answer depends on; (row,) the key of each row."""
        spins = self.spins
        b1 = np.ones(rows.size, np.complex64) if spins.b1 is None else spins.b1[rows]
        z = np.round(spins.position[2, rows], 12)
        columns = (spins.tissue[rows], z, spins.freq[rows], b1.real, b1.imag)
        first, which = distinct(columns)
        return np.column_stack([column[first] for column in columns]), which

    def _walk(self, keys: Real, needed: Index) -> Complex:
        """(key, needed) by the isochromat engine, each spin heard by a coil of its own."""
        found = np.empty((len(keys), needed.size), np.complex128)
        for at in range(0, len(keys), AT_ONCE):
            part = keys[at : at + AT_ONCE]
            zero = np.zeros(len(part))
            spins = replace(
                self.spins,
                position=np.stack([zero, zero, part[:, 1]]),
                tissue=part[:, 0].astype(self.spins.tissue.dtype),
                freq=part[:, 2].astype(np.float32),
                b1=None if self.spins.b1 is None else (part[:, 3] + 1j * part[:, 4]).astype(np.complex64),
            )
            own = np.eye(len(part), dtype=np.complex64)
            found[at : at + AT_ONCE] = isochromat(spins, self.seg.sparse, own, self.n_sub)[:, needed]
        return found

    def _interpolated(self, keys: Real, needed: Index) -> Complex:
        """(key, needed) by cubic interpolation in off-resonance, the phase of the clock taken off."""
        step, error = self.step(keys, needed)
        if not step:
            raise ValueError(
                f"answers must change smoothly with off-resonance to be interpolated to {self.tolerance}, "
                f"got an error of {error:.1e} with nodes {STEPS[-1]} Hz apart: take the engine 'isochromat'"
            )
        return self._cubic(keys, needed, step)

    def step(self, keys: Real, needed: Index) -> tuple[float, float]:
        """Distance of nodes [Hz] that is good enough for some of the keys, 0 if none is, and its error."""
        some = keys[np.random.default_rng(0).choice(len(keys), CHECKED, replace=False)]
        exact = self._walk(some, needed)
        for step in STEPS:
            error = float(np.abs(self._cubic(some, needed, step) - exact).max() / np.abs(exact).max())
            if error <= self.tolerance:
                return step, error
        return 0.0, error

    def _cubic(self, keys: Real, needed: Index, step: float) -> Complex:
        """(key, needed) from the nodes, `step` [Hz] apart, on either side of the keys."""
        base = np.floor(keys[:, 2] / step)
        grid = np.repeat(keys, 4, axis=0)
        grid[:, 2] = step * (base[:, None] + np.arange(-1, 3)).ravel()
        first, which = distinct(grid.T)
        nodes = grid[first]
        turns = self.seg.path.clock[self.seg.first[needed]]
        smooth = self._walk(nodes, needed) * np.exp(2j * np.pi * np.outer(nodes[:, 2], turns))
        u = keys[:, 2] / step - base
        lagrange = (-u * (u - 1) * (u - 2) / 6, (u + 1) * (u - 1) * (u - 2) / 2,
                    -(u + 1) * u * (u - 2) / 2, (u + 1) * u * (u - 1) / 6)  # fmt: skip
        near = which.reshape(-1, 4)
        total = sum(w[:, None] * smooth[near[:, i]] for i, w in enumerate(lagrange))
        return np.asarray(total * np.exp(-2j * np.pi * np.outer(keys[:, 2], turns)))
