"""Heart: one subject at any moment of the cycle, on any lattice of the slice frame."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from phantoms.cardiac.case import DEG, MAX_SLICES, MM, Case
from phantoms.cardiac.inside import Moment, paint_heart
from phantoms.cardiac.names import CARDIAC_ORACLE
from phantoms.cardiac.pose import Pose
from phantoms.cardiac.torso import HEART, fitted, heart_axes, torso_of, vessels
from phantoms.cardiac.ventricles import ANGLES, PAD, PERICARDIUM, Ventricles

Array = NDArray[Any]
ROW = 1.0  # [mm] between the outlines that the kernel interpolates
BELOW, ABOVE = 12.0, 66.0  # [mm] what is drawn beyond apex and annulus
PITCH = 10e-3  # [m] between slices, UK Biobank: 8 mm and a gap of 2 mm
THICKNESS = 8e-3  # [m]


@dataclass(frozen=True, eq=False)
class Heart:
    """A beating heart in its thorax.

    Slice frame [m]: x to the left of a short-axis image as it is read (to the patient's right and front), y
    up (superior), z from apex to base along the slice normal; the origin is the middle of the field of view
    at mid-ventricle. A phantom of it has these axes as its R, A and S: "axial" slices are short-axis ones.
    """

    case: Case

    @cached_property
    def ventricles(self) -> Ventricles:
        """Closed form of the ventricles, in millimetres."""
        return Ventricles(self.case)

    # ---- moments

    def frames(self, n_frames: int) -> NDArray[np.float64]:
        """Phases of `n_frames` equally spaced frames, the first at end-diastole, (frame,) share of the RR."""
        return np.arange(n_frames) / n_frames

    @property
    def end_systole(self) -> float:
        """Phase of the smallest left ventricle."""
        return self.ventricles.cycle.end_systole

    def contraction(self, phase: ArrayLike) -> NDArray[np.float64]:
        """0 at end-diastole to 1 at end-systole."""
        return self.ventricles.cycle.contraction(phase)

    def volumes(self, phase: ArrayLike) -> dict[str, NDArray[np.float64]]:
        """Volumes [m3] at `phase` by oracle class, in closed form: "LV", "myocardium", "RV"."""
        c = self.contraction(phase)
        return {
            "LV": self.case.edv * (1 - self.case.ef * c),
            "myocardium": np.full_like(c, self.case.myocardial_volume),
            "RV": self.case.rv_edv * (1 - self.case.rv_ef * c),
        }

    # ---- places

    @cached_property
    def axes(self) -> NDArray[np.float64]:
        """(3, 3) rows: x, y and z of the slice frame in the patient frame (right, anterior, superior)."""
        return heart_axes(self.case)

    @property
    def b0_direction(self) -> NDArray[np.float64]:
        """Unit vector of the main field (the patient's superior) in the slice frame."""
        return np.array(self.axes[:, 2])

    @cached_property
    def _to_heart(self) -> NDArray[np.float64]:
        """(3, 3) from the slice frame to the heart frame: obliquity and roll."""
        (ax, ay), roll = self.case.tilt, self.case.roll
        about_x = np.array([[1, 0, 0], [0, np.cos(ax), -np.sin(ax)], [0, np.sin(ax), np.cos(ax)]])
        about_y = np.array([[np.cos(ay), 0, np.sin(ay)], [0, 1, 0], [-np.sin(ay), 0, np.cos(ay)]])
        about_z = np.array([[np.cos(roll), -np.sin(roll), 0], [np.sin(roll), np.cos(roll), 0], [0, 0, 1]])
        return np.asarray(about_z @ about_y @ about_x)

    @property
    def _centre(self) -> NDArray[np.float64]:
        """Middle of the long axis in the slice frame [mm]."""
        return self._pose.centre

    @property
    def _annulus(self) -> NDArray[np.float64]:
        """Origin of the heart frame, the mitral annulus at end-diastole, in the slice frame [mm]."""
        return np.asarray(self._centre + self._half_axis)

    def slice_positions(self, pitch: float = PITCH) -> NDArray[np.float64]:
        """Positions along z [m] of the short-axis stack, base to apex, until the myocardium ends."""
        # the middle of the long axis lies at z = 0: a pose, which takes long, moves it in the plane only
        first = float(self._half_axis[2]) * MM - self.case.first_slice
        n = int((self.ventricles.length * MM - self.case.first_slice) / pitch) + 1
        return np.asarray(first - pitch * np.arange(min(n, MAX_SLICES)))

    @property
    def mid_slice(self) -> int:
        """Index of the mid-ventricular slice in `slice_positions`."""
        return int(np.abs(self.slice_positions() - 0.06 * self.ventricles.length * MM).argmin())

    @property
    def _half_axis(self) -> NDArray[np.float64]:
        """From the middle of the long axis to the mitral annulus at end-diastole, slice frame [mm]."""
        return np.asarray(self._to_heart.T @ np.array([0, 0, self.ventricles.length / 2]))

    @cached_property
    def _pose(self) -> Pose:
        """Fit the chest around the heart, and put the body in the middle of the field of view."""
        v, place = self.ventricles, np.array(HEART)
        z = np.linspace(-v.length, 0, 24)
        r = np.sqrt(v.outlines(0.0, z)[:, :-1, PERICARDIUM])
        sac = np.stack([r * np.cos(ANGLES), r * np.sin(ANGLES), z[:, None] + 0 * r]).reshape(3, -1)
        sac = self.axes.T @ (self._to_heart.T @ sac + self._half_axis[:, None]) + place[:, None]
        torso = torso_of(self.case)
        back = np.array(
            [0.0, np.clip(sac[1].max() - torso.half_depth + 6, 0, 14), 0.0]
        )  # the heart gives way
        place, torso = place - back, fitted(torso, sac - back[:, None])
        m = self._moment(0.0)
        root = self._half_axis + self._to_heart.T @ np.array([0.88 * m.root, 0.47 * m.root, 38.0])
        pose = Pose(torso, place, np.zeros(3), vessels(torso, self.axes.T @ root + place))
        return pose.centred(self.axes, self.case)

    # ---- labels

    def labels(
        self, phase: ArrayLike, x: ArrayLike, y: ArrayLike, z: ArrayLike, *, breath: float = 0.0
    ) -> NDArray[np.uint8]:
        """Tissue classes ([frame,] z, y, x) at lattice coordinates x, y, z [m], each one-dimensional.

        The geometry is evaluated at every point: a lattice of spins sees borders finer than a pixel.

        phase : one, or (frame,), share of the RR interval from the R wave
        breath : [m] superior displacement of the heart and the upper abdomen against the ribs
        """
        phases = np.asarray(phase, dtype=np.float64)
        ax, ay, az = (np.atleast_1d(np.asarray(axis, dtype=np.float64)) / MM for axis in (x, y, z))
        still = self._still(ax, ay, az, breath / MM)
        frames = np.repeat(still[None], phases.size, axis=0)
        for frame, at in zip(frames, phases.ravel().tolist(), strict=True):
            self._paint(frame, at, ax, ay, az, breath / MM)
        return frames.reshape(*phases.shape, *still.shape)

    def reach(
        self, phase: ArrayLike, z: tuple[float, float], *, breath: float = 0.0
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Find the box outside of which labels between z[0] and z[1] are the same at every `phase`.

        returns : lower and upper corner (x, y) [m]; both the middle of the heart where it does not reach
        """
        origin = self._annulus + breath / MM * self.b0_direction
        low, high = z[0] / MM - ROW, z[1] / MM + ROW
        tilt = 115 * float(np.abs(self._to_heart[2, :2]).sum())
        found = []
        for at in self._spread(np.asarray(phase, dtype=np.float64).ravel()):
            m, c = self._moment(at), float(self.contraction(at))
            first = max(low - origin[2] - tilt, m.apex - BELOW)
            rows = np.arange(first, min(high - origin[2] + tilt, m.annulus + ABOVE), ROW)
            if not rows.size:
                continue
            r = np.sqrt(np.maximum(self.ventricles.outlines(at, rows)[:, :-1, PAD], 0))
            angle = ANGLES - self.ventricles.twist(rows, c)[:, None]
            heights = np.broadcast_to(rows[:, None], r.shape)
            edge = np.stack([r * np.cos(angle), r * np.sin(angle), heights]).reshape(3, -1)
            edge = self._to_heart.T @ edge[:, r.ravel() > 0] + origin[:, None]
            found.append(edge[:2, (edge[2] >= low) & (edge[2] <= high)])
        points = np.concatenate([*found, self._centre[:2, None]], axis=1)
        return (points.min(axis=1) - ROW) * MM, (points.max(axis=1) + ROW) * MM

    def _spread(self, phases: Array) -> list[float]:
        """Moments from the least to the most contracted of `phases`; other shapes lie between theirs."""
        c = self.contraction(phases)
        levels = np.linspace(c.min(), c.max(), 9)
        nearest = np.abs(c[:, None] - levels).argmin(axis=0)
        return [float(phase) for phase in np.unique(phases[nearest])]

    def _still(self, x: Array, y: Array, z: Array, breath: float) -> Array:
        """Paint everything but the heart."""
        return self._pose.paint(self.axes, x, y, z, breath)

    def _paint(self, labels: Array, phase: float, x: Array, y: Array, z: Array, breath: float) -> None:
        """Paint the heart at `phase` over `labels`."""
        origin = self._annulus + breath * self.b0_direction
        matrix = self._to_heart
        m = self._moment(phase)
        low, high = self._heights(x - origin[0], y - origin[1], z - origin[2], m)
        if low >= high:
            return
        rows = np.arange(low, high + 2 * ROW, ROW)
        c = float(self.contraction(phase))
        table = self.ventricles.outlines(phase, rows)
        paint_heart(
            labels,
            x - origin[0],
            y - origin[1],
            z - origin[2],
            matrix,
            table,
            self.ventricles.twist(rows, c),
            self.ventricles.rv_top(phase),
            m._replace(first=low),
        )

    def _heights(self, x: Array, y: Array, z: Array, m: Moment) -> tuple[float, float]:
        """Heights over the heart frame that the part of a lattice around the heart covers [mm]."""
        near = [np.clip([axis.min(), axis.max()], -115, 115) for axis in (x, y)]
        tilt = sum(np.abs(self._to_heart[2, i] * near[i]).max() for i in range(2))
        cz = self._to_heart[2, 2]
        low = max(cz * z.min() - tilt, m.apex - BELOW)
        return float(np.floor(low)), float(min(cz * z.max() + tilt, m.annulus + ABOVE))

    def _moment(self, phase: float) -> Moment:
        v, case = self.ventricles, self.case
        c = float(v.cycle.contraction(phase))
        annulus = -v.descent(c)
        stretch = v.length / (v.length + annulus)
        return Moment(
            first=0.0,
            step=ROW,
            annulus=annulus,
            apex=-v.length,
            papillary=4.5 * case.papillary * float(np.sqrt(stretch)),
            anterior=138 * DEG + 0.12 * float(np.cos(v.phases[10])),
            inferior=-108 * DEG + 0.12 * float(np.cos(v.phases[11])),
            band=-(0.62 + 0.05 * float(np.cos(v.phases[12]))) * (v.length + annulus) + annulus,
            band_angle=-0.25,
            root=0.82 * v.basal_radius(phase),
            root_radius=13.0,
        )


def pixel_oracle(labels: NDArray[np.uint8], spins: tuple[int, int, int]) -> NDArray[np.uint8]:
    """Oracle class of each pixel: the one with the most of its spins; ties as `CARDIAC_ORACLE.priority` says.

    labels : (..., z, y, x) tissue classes; spins : (z, y, x) spins of a pixel
    returns : (..., z, y, x) uint8, smaller by `spins`
    """
    if any(n % s for n, s in zip(labels.shape[-3:], spins, strict=True)):
        raise ValueError(f"labels must be whole pixels of {spins} spins, got {labels.shape}")
    sz, sy, sx = spins
    nz, ny, nx = (n // s for n, s in zip(labels.shape[-3:], spins, strict=True))
    classes = np.asarray(CARDIAC_ORACLE.of_tissue, np.uint8)[labels]
    blocks = classes.reshape(*labels.shape[:-3], nz, sz, ny, sy, nx, sx)
    best = np.zeros((*blocks.shape[:-6], nz, ny, nx), np.uint8)
    most = np.zeros(best.shape, np.int64)
    for oracle in CARDIAC_ORACLE.priority:
        count = (blocks == oracle).sum(axis=(-5, -3, -1))
        better = count > most
        best[better], most[better] = oracle, count[better]
    return best
