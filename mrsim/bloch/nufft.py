"""NUFFT engine: any trajectory of a static object, to a stated tolerance, by a few transforms.

Where encoding along x and y is rewound or spoiled before every pulse, pulses never see it, and the signal is

    s_j = sum over spins of w h_j(theta) exp(-i 2 pi k_j.r)

with h_j the answer of a spin in the middle of the field of view: it depends on tissue, off-resonance, z and
B1+ alone. Between two pulses h is known from its value at one sample, which comes from the isochromat engine
(`answers`). As a matrix over spins and samples h has a small rank: it follows from its values at L of the
samples (`low_rank`), and L type-3 NUFFTs make the signal. (Time segmentation in the manner of Fessler et al.,
IEEE Trans Signal Process 2005;53:3393; transform: Barnett et al., SIAM J Sci Comput 2019;41:C479.)
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import finufft
import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from mrsim.bloch.answers import MOST_WALKED, Answers
from mrsim.bloch.distinct import distinct
from mrsim.bloch.low_rank import interpolation
from mrsim.bloch.segments import refusal, segments
from mrsim.bloch.weights import SubPositions, sub_lattice
from mrsim.events import Events

if TYPE_CHECKING:
    from phantoms.phantom import Spins

TOLERANCE = 1e-5  # of each approximation, relative to the largest answer of a spin
TRAINED = 256  # spins from which the basis is made
SHARED = 8  # spins that share an answer on the average, for answers to be worth while
CHECKED = 64  # spins on which it is tested
MEMORY = 256e6  # [byte] for the spins of a batch of transforms

Real = NDArray[np.float64]
Index = NDArray[np.intp]
Complex = NDArray[np.complex128]


def slow(spins: Spins, events: Events) -> str:
    """Why brute force takes `spins` through `events` sooner, or "" if it does not."""
    n = spins.tissue.size
    answers = Answers(spins, segments(events), 1, TOLERANCE)
    keys, _ = answers.keys(np.arange(n))
    if SHARED * len(keys) <= n:
        return ""
    if n <= MOST_WALKED:
        return "spins are few and differ in off-resonance"
    if spins.b1 is not None:
        return "spins differ in off-resonance and transmit field"
    if not answers.step(keys, np.arange(answers.seg.first.size))[0]:
        return "answers change too sharply with off-resonance to be interpolated"
    return ""


def nufft(
    spins: Spins,
    events: Events,
    coils: NDArray[np.complex64],
    n_sub: SubPositions,
    *,
    tolerance: float = TOLERANCE,
) -> NDArray[np.complex64]:
    """Signal (coil, sample) of `spins` of coils (coil, spin), receiver phase applied.

    tolerance : of the rank and of the interpolation in off-resonance, relative to the largest answer of a
        spin, and of the transforms

    ValueError where the answers of spins depend on where they are, see `mrsim.bloch.segments.refusal`.
    """
    reason = refusal(events)
    if reason:
        raise ValueError(f"sequence must let the nufft engine part encoding from contrast, but {reason}")
    across, n_z = ((*n_sub[:2], 1), n_sub[2]) if isinstance(n_sub, tuple) else ((1, 1, 1), n_sub)
    seg = segments(events)
    answers = Answers(spins, seg, n_z, tolerance)
    pivots, basis = _basis(answers, events.n_samples, tolerance)
    strength = answers.at(np.arange(spins.tissue.size), pivots)  # (spin, rank)
    places, merge = _places(spins.position[:2])
    targets = 2 * np.pi * seg.path.k[:, :2].T
    signal = np.zeros((coils.shape[0], events.n_samples), np.complex128)
    batch = max(1, int(MEMORY / (16 * strength.shape[0])))
    for coil, sensitivity in enumerate(coils):
        for at in range(0, pivots.size, batch):
            part = merge @ (strength[:, at : at + batch] * sensitivity[:, None])  # (place, some)
            sums = finufft.nufft2d3(
                *places, np.ascontiguousarray(part.T), *targets.copy(), isign=-1, eps=tolerance / 10
            )
            signal[coil] += np.einsum("ls,ls->s", basis[at : at + batch], np.atleast_2d(sums))
    offset, share = sub_lattice(events, spins.cell, across)  # every cell looks alike
    signal *= share @ np.exp(-2j * np.pi * offset[:2].T @ seg.path.k[:, :2].T)
    return signal.astype(np.complex64)


def _basis(answers: Answers, n_samples: int, tolerance: float) -> tuple[Index, Complex]:
    """Pivot samples and how all samples follow from them, from some spins and tested on others.

    The spins of extreme off-resonance are always among the first; more are taken until the test is passed.
    """
    spins, rng = answers.spins, np.random.default_rng(0)
    order = np.concatenate(([spins.freq.argmin(), spins.freq.argmax()], rng.permutation(spins.tissue.size)))
    every = np.unique(np.linspace(0, n_samples - 1, min(n_samples, 2 * TRAINED)).astype(np.intp))
    trained = TRAINED
    while True:
        rows, others = order[:trained], order[trained : trained + CHECKED]
        pivots, basis = interpolation(_columns(answers, rows), n_samples, tolerance / 10)
        exact = answers.at(others, every)
        error = np.abs(answers.at(others, pivots) @ basis[:, every] - exact).max(initial=0.0)
        if error <= tolerance * np.abs(exact).max(initial=0.0) or trained >= order.size:
            return pivots, basis
        trained *= 2


def _columns(answers: Answers, rows: Index) -> Callable[[Index], Complex]:
    """Answers of some spins, (row, sample) for some samples; they are walked once."""
    seg = answers.seg
    start = answers.at_first(rows, np.arange(seg.first.size))
    return lambda samples: answers.precess(rows, samples, start[:, seg.of[samples]])


def _places(position: Real) -> tuple[tuple[Real, Real], csr_array]:
    """Distinct x and y [m] of spins (2, spin), and the matrix (place, spin) that adds up what lies there."""
    position = np.round(position, 9)
    first, index = distinct(position)
    n = position.shape[1]
    merge = csr_array((np.ones(n), (index, np.arange(n))), shape=(first.size, n))
    x, y = (np.ascontiguousarray(axis[first]) for axis in position)
    return (x, y), merge
