"""Scans as ISMRMRD (MRD) files, which a stranger's reconstruction reads.

Convention of what the format leaves open:

* S(k) = sum of m(r) exp(-i 2 pi k.r): `ifft2` of the centred k-space, DC at n // 2, is the image, neither
  mirrored nor turned. Pixel n // 2 lies at `position`.
* `position` [mm] and directions are in the patient frame of DICOM, LPS. The three directions are those of
  x, y and z of the image; where these are left-handed, so are they.
* `traj` is (kx, ky) in cycles per pixel of the encoded space, -0.5 to 0.5; times matrix / FOV it is in
  cycles per mm. It is there if samples lie off the grid, and for EPI.
* One acquisition per receiver window, or per line where a window holds several. On a Cartesian grid samples
  that have no place in k-space are left out, `center_sample` is the one at kx = 0, and lines that are read
  backwards stay so and carry ACQ_IS_REVERSE.
* A scan with noise begins with an acquisition of noise alone, flagged ACQ_IS_NOISE_MEASUREMENT.
* `acquisition_time_stamp` counts steps of 2.5 ms, and `user_int[0]` microseconds, from the start of the
  scan to the first sample.
* Arrays beside the data (`Dataset.read_array`): `csm` (coil, y, x) complex64 sensitivities, `labels` and
  `tissue` (y, x) uint16 oracle and tissue classes, `b0` (y, x) float32 [Hz].
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ismrmrd
import numpy as np
from numpy.typing import NDArray

from mrsim.files.mrd_header import DATASET, xml_header
from mrsim.reconstruction.grid import find_grid
from mrsim.scanner.scan import FRAME_COUNTERS, Scan
from mrsim.slices.plane import SlicePlane

MM, US, TICK = 1e-3, 1e-6, 2.5e-3
TO_LPS = np.array([-1.0, -1.0, 1.0])
FLAGS = {
    "REV": ismrmrd.ACQ_IS_REVERSE,
    "NAV": ismrmrd.ACQ_IS_NAVIGATION_DATA,
    "NOISE": ismrmrd.ACQ_IS_NOISE_MEASUREMENT,
    "REF": ismrmrd.ACQ_IS_PARALLEL_CALIBRATION,
}
LONGEST = 2**16 - 1  # samples that an acquisition can count
COUNTERS = {
    "LIN": "kspace_encode_step_1", "PAR": "kspace_encode_step_2", "SLC": "slice", "ECO": "contrast",
    "PHS": "phase", "REP": "repetition", "SET": "set", "SEG": "segment", "AVG": "average",
}  # fmt: skip

Index = NDArray[np.intp]
Real = NDArray[np.float64]


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class Layout:
    """How the samples of a scan lie in k-space.

    kind : "cartesian", "epi", "radial", "spiral" or "other"
    place : (sample,) int ky * nx + kx, -1 for nowhere; None off the grid
    k : (sample, 2) [cycles/pixel] x, y
    needs_trajectory : whether `place` does not say all
    """

    kind: str
    place: Index | None
    k: Real
    needs_trajectory: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class Piece:
    """An acquisition: samples `begin` to `end` of a window, its line and the sample in its centre."""

    window: int
    begin: int
    end: int
    line: int
    centre: int
    backwards: bool


def write_mrd(
    path: Path | str, scan: Scan, *, progress: Callable[[int, int], None] = lambda *_: None
) -> None:
    """Write a scan, replacing the file; the conventions stand at the top of this module.

    progress : called with acquisitions done and in all
    """
    layout = layout_of(scan)
    pieces = pieces_of(scan, layout)
    with ismrmrd.Dataset(str(path), DATASET, mode="w") as file:
        file.write_xml_header(xml_header(scan, layout.kind, sum(p.window == 0 for p in pieces)))
        if scan.noise is not None:
            file.append_acquisition(_noise(scan))
        for number, acquisition in enumerate(_acquisitions(scan, layout, pieces)):
            file.append_acquisition(acquisition)
            progress(number + 1, len(pieces))
        for name, array in scan.maps.items():
            file.append_array(name, array.astype(np.uint16 if array.dtype.kind == "u" else np.float32))
        if scan.csm is not None:
            file.append_array("csm", np.ascontiguousarray(scan.csm, np.complex64))


def layout_of(scan: Scan) -> Layout:
    """Find out how the samples of a scan lie in k-space: by their places, else by their trajectory."""
    k = scan.k()
    grid = None if scan.events.place.size else find_grid(k, scan.plane.matrix)
    place = scan.events.place if scan.events.place.size else grid.place if grid else None
    if place is None:
        return Layout(kind=_shape(scan, k), place=None, k=k[:, ::-1], needs_trajectory=True)
    backwards = (np.diff(place) == -1).any()
    shifted = grid is not None and max(map(abs, grid.shift)) > 1e-6
    return Layout(
        kind="epi" if backwards else "cartesian",
        place=place,
        k=k[:, ::-1],
        needs_trajectory=bool(backwards or shifted),
    )


def _shape(scan: Scan, k: Real) -> str:
    """Name of a trajectory off the grid, from the lines (sample, 2) [cycles/pixel] of its windows."""
    windows = [k[begin:end] for begin, end in _windows(scan)]
    cell = 1.0 / max(scan.plane.matrix)
    chords = [w[-1] - w[0] for w in windows]
    off = [np.abs(_across(w - w[0], c)).max() for w, c in zip(windows, chords, strict=True)]
    if max(off) < cell / 2:
        if all(abs(c[0]) < cell / 2 for c in chords):
            return "epi"
        through = [abs(_across(-w[:1], c)[0]) for w, c in zip(windows, chords, strict=True)]
        return "radial" if max(through) < cell / 2 else "other"
    radius = [np.hypot(*w.T) for w in windows]
    return "spiral" if all(r.min() < cell and r.max() > r.mean() for r in radius) else "other"


def _across(points: Real, chord: Real) -> Real:
    """Distance of points (n, 2) from a straight line through 0 along `chord`."""
    area = points[:, 0] * chord[1] - points[:, 1] * chord[0]
    return np.asarray(area / max(float(np.hypot(*chord)), 1e-12))


def _windows(scan: Scan) -> list[tuple[int, int]]:
    """First and last + 1 sample of each receiver window."""
    size = np.bincount(np.repeat(scan.events.adc, scan.events.samples), minlength=scan.events.n_adc)
    end = np.cumsum(size)
    return [(int(e - n), int(e)) for e, n in zip(end, size, strict=True)]


def pieces_of(scan: Scan, layout: Layout) -> list[Piece]:
    """Cut receiver windows into acquisitions, in the order of time."""
    found: list[Piece] = []
    shots = _shots(scan)
    for window, (begin, end) in enumerate(_windows(scan)):
        if layout.place is None:
            found += _free_pieces(layout.k, shots[window], window, begin, end)
        else:
            found += _lines(layout.place[begin:end], scan.plane.matrix, window, begin)
    return found


def _free_pieces(k: Real, line: int, window: int, begin: int, end: int) -> list[Piece]:
    """Off the grid: whole windows, as far as an acquisition can count."""
    pieces = []
    for first in range(begin, end, LONGEST):
        last = min(end, first + LONGEST)
        centre = int(np.hypot(*k[first:last].T).argmin())
        pieces.append(Piece(window=window, begin=first, end=last, line=line, centre=centre, backwards=False))
    return pieces


def _shots(scan: Scan) -> list[int]:
    """Line of each window: as it counts, else its number within its frame."""
    seen: Counter[tuple[int, ...]] = Counter()
    lines = []
    for counter in scan.played.counters:
        key = tuple(counter.get(name, 0) for name in FRAME_COUNTERS)
        lines.append(counter.get("LIN", seen[key]))
        seen[key] += 1
    return lines


def _lines(place: Index, matrix: tuple[int, int], window: int, begin: int) -> list[Piece]:
    """Find the runs of samples that follow each other along one line of the grid."""
    at = np.flatnonzero(place >= 0)
    if not at.size:
        return []
    row, column = np.divmod(place[at], matrix[1])
    step = np.diff(column)
    follows = (np.diff(at) == 1) & (np.diff(row) == 0) & (np.abs(step) == 1)
    pieces, first = [], 0
    while first < at.size:
        last = first
        while last + 1 < at.size and follows[last] and step[last] == step[first]:
            last += 1
        backwards = last > first and step[first] < 0
        centre = (matrix[1] // 2 - int(column[first])) * (-1 if backwards else 1)
        pieces.append(
            Piece(
                window=window,
                begin=begin + int(at[first]),
                end=begin + int(at[last]) + 1,
                line=int(row[first]),
                centre=min(max(centre, 0), last - first),
                backwards=bool(backwards),
            )
        )
        first = last + 1
    return pieces


def _noise(scan: Scan) -> Any:  # noqa: ANN401  Acquisition
    """Acquire what the receiver hears without a signal."""
    dwell = float(scan.events.dwell[scan.events.samples > 0][0])
    acquisition = ismrmrd.Acquisition.from_array(scan.noise, sample_time_us=dwell / US)
    for channel in range(scan.signal.shape[0]):
        acquisition.setChannelActive(channel)
    acquisition.set_flag(ismrmrd.ACQ_IS_NOISE_MEASUREMENT)
    return acquisition


def _acquisitions(scan: Scan, layout: Layout, pieces: list[Piece]) -> Any:  # noqa: ANN401  iterator of Acquisition
    time, signal = scan.events.trajectory().time, scan.demodulated()
    receives = scan.events.samples > 0
    dwell = dict(zip(scan.events.adc[receives].tolist(), scan.events.dwell[receives].tolist(), strict=True))
    flags = _flags(scan, pieces)
    where, offsets = directions(scan.plane), scan.played.slice_offsets
    for number, piece in enumerate(pieces):
        samples = slice(piece.begin, piece.end)
        acquisition = ismrmrd.Acquisition.from_array(
            np.ascontiguousarray(signal[:, samples]),
            np.ascontiguousarray(layout.k[samples], np.float32) if layout.needs_trajectory else None,
            scan_counter=number,
            center_sample=piece.centre,
            sample_time_us=dwell[piece.window] / US,
            acquisition_time_stamp=round(float(time[piece.begin]) / TICK),
            **{**where, "position": shifted(where, offsets[piece.window])},
        )
        for channel in range(scan.signal.shape[0]):
            acquisition.setChannelActive(channel)
        for label, name in COUNTERS.items():
            setattr(acquisition.idx, name, scan.played.counters[piece.window].get(label, 0))
        acquisition.idx.kspace_encode_step_1 = piece.line
        acquisition.user_int[0] = round(float(time[piece.begin]) / US)
        for flag in flags[number]:
            acquisition.set_flag(flag)
        yield acquisition


def _flags(scan: Scan, pieces: list[Piece]) -> list[list[int]]:
    """Flag what is first and last of its image and of its repetition, runs backwards, ends it all."""
    counters = [scan.played.counters[p.window] for p in pieces]
    flags = [[flag for label, flag in FLAGS.items() if c.get(label, 0)] for c in counters]
    for listed, piece in zip(flags, pieces, strict=True):
        if piece.backwards and ismrmrd.ACQ_IS_REVERSE not in listed:
            listed.append(ismrmrd.ACQ_IS_REVERSE)
    groups = (
        ([tuple(c.get(n, 0) for n in FRAME_COUNTERS) for c in counters], ("ENCODE_STEP1", "SLICE")),
        ([c.get("REP", 0) for c in counters], ("REPETITION",)),
    )
    for keys, names in groups:
        left, seen = Counter(keys), set()
        for i, key in enumerate(keys):
            left[key] -= 1
            ends = [end for end, is_one in (("FIRST", key not in seen), ("LAST", left[key] == 0)) if is_one]
            flags[i] += [getattr(ismrmrd, f"ACQ_{end}_IN_{name}") for end in ends for name in names]
            seen.add(key)
    if flags:
        flags[-1].append(ismrmrd.ACQ_LAST_IN_MEASUREMENT)
    return flags


def directions(plane: SlicePlane) -> dict[str, tuple[float, ...]]:
    """Position [mm] and directions of a plane in LPS."""
    axes = plane.affine[:3, :3] / np.linalg.norm(plane.affine[:3, :3], axis=0)
    names = ("read_dir", "phase_dir", "slice_dir")
    found = {name: tuple(TO_LPS * axis) for name, axis in zip(names, axes.T, strict=True)}
    return {"position": tuple(TO_LPS * plane.centre / MM), **found}


def shifted(where: Mapping[str, tuple[float, ...]], offset: float) -> tuple[float, ...]:
    """Position [mm] in LPS of a slice that lies `offset` [m] along the normal from that of `where`."""
    return tuple(np.array(where["position"]) + offset / MM * np.array(where["slice_dir"]))
