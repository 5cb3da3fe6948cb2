"""Gradients of a Pulseq block as corners: trapezoids, shapes on the raster, shapes with times, rotations."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mrsim.constants import GAMMA_BAR
from mrsim.events import SAME_TIME
from mrsim.events.blocks import Gradient, Trapezoid, Waveform
from mrsim.pulseq.text import PulseqText, Row

Real = NDArray[np.float64]
Joint = tuple[float, bool]  # value [Hz/m], and whether it lies on the edge or half a raster beyond
HALF_RASTER = -1  # number of the time shape that stands for samples at every half raster


class GradientReader:
    """Gradients of the blocks of one file."""

    def __init__(self, text: PulseqText) -> None:
        self.text = text
        self.raster = text.raster("GradientRasterTime")
        self.made: dict[tuple[int, float, float], Gradient] = {}
        self.trapezoids: dict[int, Trapezoid | None] = {}
        self.samples: dict[int, tuple[Real, Real, float]] = {}

    def of_blocks(self, blocks: list[tuple[int, ...]], durations: Real) -> list[list[Gradient | None]]:
        """Gradients x, y, z of each block; `durations` (block,) [s], nan where the longest part decides."""
        gradients: list[list[Gradient | None]] = [[None] * 3 for _ in blocks]
        for axis in range(3):
            for i, row in enumerate(blocks):
                number = row[4 + axis]
                if number:
                    near = [self._neighbour(blocks, durations, i, axis, step) for step in (-1, 1)]
                    gradients[i][axis] = self._gradient(number, row[0], near[0], near[1])
        return gradients

    def duration(self, number: int, line: int) -> float:
        """Length of a gradient with its delay [s]."""
        row, is_trapezoid = self._row(number, line)
        if is_trapezoid:
            return float(row["delay"] + row["rise"] + row["flat"] + row["fall"])
        return float(row["delay"] + self._sampled(number, line)[2])

    def _row(self, number: int, line: int) -> tuple[Row, bool]:
        trapezoid = self.text.tables.get("[TRAP]", {}).get(number)
        if trapezoid is not None:
            return trapezoid, True
        return self.text.row("[GRADIENTS]", number, line, "gradient"), False

    def _sampled(self, number: int, line: int) -> tuple[Real, Real, float]:
        """Unpack a shaped gradient: times [s] after the delay, amplitudes [Hz/m], length [s]."""
        if number not in self.samples:
            row, _ = self._row(number, line)
            shape = self.text.shape(row["shape"], row["line"]) * row["amplitude"]
            kind = row.get("times", 0)
            if kind == 0:
                times = (np.arange(shape.size) + 0.5) * self.raster
                length = shape.size * self.raster
            elif kind == HALF_RASTER:
                times = (np.arange(shape.size) + 1) * self.raster / 2
                length = (shape.size + 1) * self.raster / 2
            else:
                times = self.text.shape(kind, row["line"]) * self.raster
                length = float(times[-1]) if times.size else 0.0
            self._check(row["line"], times, shape)
            self.samples[number] = times, shape, length
        return self.samples[number]

    def _check(self, line: int, times: Real, shape: Real) -> None:
        if times.size != shape.size or not shape.size:
            raise self.text.error(
                line, f"gradient must have a time for each sample, got {times.size} and {shape.size}"
            )
        if (np.diff(times) < 0).any():
            raise self.text.error(line, "times of a gradient must ascend, got some that do not")

    def _neighbour(
        self, blocks: list[tuple[int, ...]], durations: Real, at: int, axis: int, step: int
    ) -> Joint | None:
        """Look up what joins on this axis where block `at` ends (step 1) or begins (-1)."""
        other = at + step
        while 0 <= other < len(blocks) and durations[other] == 0:
            other += step
        if not 0 <= other < len(blocks) or not blocks[other][4 + axis]:
            return None
        line, number = blocks[other][0], blocks[other][4 + axis]
        row, is_trapezoid = self._row(number, line)
        if is_trapezoid:
            return None
        _, shape, length = self._sampled(number, line)
        gap = row["delay"] if step > 0 else durations[other] - row["delay"] - length
        if gap > SAME_TIME:
            return None
        told = row.get("first" if step > 0 else "last")
        value = shape[0 if step > 0 else -1]
        return (float(told), True) if told is not None else (float(value), row.get("times", 0) != 0)

    def _gradient(self, number: int, line: int, before: Joint | None, after: Joint | None) -> Gradient | None:
        row, is_trapezoid = self._row(number, line)
        if is_trapezoid:
            return self.trapezoids.setdefault(number, _trapezoid(row))
        times, shape, length = self._sampled(number, line)
        if row.get("times", 0) > 0:
            first, last = float(shape[0]), float(shape[-1])
        else:
            first = row["first"] if "first" in row else _joint(float(shape[0]), before)
            last = row["last"] if "last" in row else _joint(float(shape[-1]), after)
        key = number, first, last
        if key not in self.made:
            if row.get("times", 0) <= 0:
                times = np.concatenate(([0.0], times, [length]))
                shape = np.concatenate(([first], shape, [last]))
            self.made[key] = Waveform(times=row["delay"] + times, amplitudes=shape / GAMMA_BAR)
        return self.made[key]


def _trapezoid(row: Row) -> Trapezoid | None:
    """Trapezoid, or None if it has no length: JEMRIS writes such."""
    if row["rise"] + row["flat"] + row["fall"] <= 0:
        return None
    return Trapezoid(
        amplitude=row["amplitude"] / GAMMA_BAR,
        rise=row["rise"],
        flat=row["flat"],
        fall=row["fall"],
        delay=row["delay"],
    )


def _joint(sample: float, neighbour: Joint | None) -> float:
    """Value on the edge of a shape, which files before 1.5 do not tell: 0 where nothing joins.

    A gradient cannot jump. Two shapes on the raster meet half-way between the samples half a raster off.
    """
    if neighbour is None:
        return 0.0
    value, on_edge = neighbour
    return value if on_edge else (sample + value) / 2


def rotate(gradients: list[Gradient | None], matrix: Real) -> list[Gradient | None]:
    """Gradients x, y, z turned by a rotation matrix (3, 3)."""
    played = [(axis, g) for axis, g in enumerate(gradients) if g is not None]
    if not played:
        return gradients
    times = np.unique(np.concatenate([g.corners()[0] for _, g in played]))
    times = times[np.append(True, np.diff(times) > SAME_TIME)]
    begin, end = times[:-1], times[1:]
    values = np.zeros((3, 2 * begin.size))
    for axis, gradient in played:
        values[axis] = _limits(gradient, begin, end).ravel()
    turned = matrix @ values
    corners = np.stack([begin, end], axis=1).ravel()
    return [
        Waveform(times=corners, amplitudes=row) if np.abs(row).max() > 1e-12 * np.abs(values).max() else None
        for row in turned
    ]


def _limits(gradient: Gradient, begin: Real, end: Real) -> Real:
    """(interval, 2) values at the ends of intervals without corners inside, seen from the inside."""
    times, amplitudes = gradient.corners()
    third = (end - begin) / 3
    a, b = (np.interp(t, times, amplitudes, left=0.0, right=0.0) for t in (begin + third, end - third))
    return np.stack([2 * a - b, 2 * b - a], axis=-1)


def rotation_matrix(row: Row) -> Real:
    """Matrix of a quaternion (w, x, y, z), which is normalised."""
    w, x, y, z = np.array([row[name] for name in "wxyz"]) / np.sqrt(sum(row[name] ** 2 for name in "wxyz"))
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
            [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
            [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
        ]
    )
