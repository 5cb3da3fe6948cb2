"""Outlines of the heart at one moment: squared radii about the long axis, by level and angle.

Heart frame [mm]: z along the left ventricle's long axis, 0 at the mitral annulus at end-diastole, the apex at
-length; angle 0 points to the septum, 90 degrees to the anterior wall. The angle is the material one: twist
turns it.

The wall is incompressible point by point. With relative level s and angle a as material coordinates, length
L -> L', the endocardium moves to

    r_endo'^2 = r_endo^2 (L / L') (1 - q w(s, a)),      r_epi'^2 = r_endo'^2 + (r_epi^2 - r_endo^2) L / L'

so that with a mean weight w of 1 over the cavity its volume is EDV (1 - q), and that of the wall constant.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from phantoms.cardiac.case import DEG, MM, WIDEST, Case, case_rng, equator
from phantoms.cardiac.cycle import Cycle

Array = NDArray[Any]
N_ANGLES = 360
ANGLES = np.arange(N_ANGLES) * (2 * np.pi / N_ANGLES)
ABOUT_SEPTUM = np.mod(ANGLES + np.pi, 2 * np.pi) - np.pi  # the same angles from -pi to pi
LEVELS = (np.arange(200) + 0.5) / 200  # of quadratures along the axis
TRABECULA, ENDO, EPI, RV_TRABECULA, RV, RV_WALL, PERICARDIUM, PAD = range(8)  # columns of `outlines`
RVOT = 22.0  # [mm] by which the outflow tract reaches above the tricuspid annulus
RV_APEX = 0.90  # of the left ventricle's length
RA_DOME, LA_DOME = 48.0, 60.0  # [mm] height of the atria
GROOVES = (78 * DEG, -74 * DEG)  # where the right ventricle inserts, anterior and inferior


@dataclass(frozen=True, eq=False)
class Ventricles:
    """Both ventricles of a case at any moment, in the heart frame [mm]."""

    case: Case

    @cached_property
    def cycle(self) -> Cycle:
        """Timing of the heart beat."""
        return Cycle(rr=self.case.rr, kick=self.case.kick)

    @cached_property
    def length(self) -> float:
        """From the mitral annulus to the epicardial apex at end-diastole [mm]."""
        return (self.case.length + self.case.apex_thickness) / MM

    @cached_property
    def phases(self) -> Array:
        """Random phases of what is rough or uneven, (20,) [rad]."""
        return case_rng(self.case.seed, self.case.index, 1).uniform(0, 2 * np.pi, 20)

    def descent(self, contraction: float) -> float:
        """How far the mitral annulus has moved to the apex [mm]."""
        return self.case.mapse / MM * contraction

    def level(self, z: Array, contraction: float) -> Array:
        """Relative level of heights `z` [mm]: 0 at the annulus, 1 at the epicardial apex."""
        down = self.descent(contraction)
        return np.asarray((-down - z) / (self.length - down))

    def twist(self, z: Array, contraction: float) -> Array:
        """Rotation at heights `z` [rad], anticlockwise seen from the apex."""
        s = np.clip(self.level(z, contraction), 0, 1)
        return contraction * (self.case.base_twist + (self.case.apex_twist - self.case.base_twist) * s)

    # ---- the left ventricle at end-diastole, over (level, angle)

    def _uneven(self) -> Array:
        """Relative squared radius by angle, mean 1: no ventricle is round."""
        a, b = self.phases[:2]
        return np.asarray(1 + 0.035 * np.cos(2 * ANGLES + a) + 0.025 * np.cos(3 * ANGLES + b))

    def _endo(self, s: Array) -> Array:
        """Squared endocardial radius [mm2] at levels `s`, which may be (level,) or (level, angle)."""
        case = self.case
        widest = (equator(case.edv, case.length, case.bullet) / MM) ** 2
        return widest * _profile(s * self.length * MM / case.length, case.bullet)

    def _wall_shape(self, s: Array) -> Array:
        """Squared epicardial less squared endocardial radius [mm2], but for a factor that the mass sets."""
        case = self.case
        volume = case.edv + case.myocardial_volume
        outer = (equator(volume, self.length * MM, case.bullet) / MM) ** 2
        area = outer * _profile(s, case.bullet) - np.maximum(self._endo(s), 0)
        septum = _bump(ANGLES - 15 * DEG, 50 * DEG)
        by_angle = self._uneven() * (1 + case.septal_share * (septum - septum.mean()))
        if case.pathology == "infarct":
            by_angle = by_angle * (1 - 0.4 * self._infarct(s))
        return np.asarray(area * by_angle)

    @cached_property
    def _wall_factor(self) -> float:
        s = LEVELS[:, None]
        volume = (
            np.pi * self._wall_shape(s).mean() * self.length
        )  # pi r^2 is the integral of r^2 / 2 over angle
        return self.case.myocardial_volume / MM**3 / float(volume)

    def _infarct(self, s: Array) -> Array:
        """1 in the middle of the akinetic sector, 0 outside."""
        return _bump(ANGLES - self.case.infarct_angle, 32 * DEG) * _ease((s - 0.2) / 0.3)

    def _weight_shape(self, s: Array) -> Array:
        weight = 0.9 + 0.3 * s + 0 * ANGLES
        return weight * (1 - 0.85 * self._infarct(s)) if self.case.pathology == "infarct" else weight

    @cached_property
    def _mean_weight(self) -> float:
        s = LEVELS[:, None]
        cavity = np.maximum(self._endo(s), 0) * self._uneven()
        return float((cavity * self._weight_shape(s)).sum() / cavity.sum())

    # ---- the right ventricle

    def _rv_top(self, contraction: float) -> Array:
        """Height of the tricuspid annulus and the pulmonary valve by angle [mm]."""
        return RVOT * _ease((ABOUT_SEPTUM - 12 * DEG) / (45 * DEG)) - self.case.tapse / MM * contraction

    def basal_radius(self, phase: float) -> float:
        """Mean radius of the mitral annulus [mm] at `phase`."""
        c = float(self.cycle.contraction(phase))
        stretch = self.length / (self.length - self.descent(c))
        emptied = 1 - self.case.ef * c * 0.9 / self._mean_weight
        return float(np.sqrt(self._endo(np.zeros(1))[0] * stretch * emptied))

    def rv_top(self, phase: float) -> Array:
        """Height of the tricuspid annulus and the pulmonary valve by angle [mm] at `phase`."""
        return self._rv_top(float(self.cycle.contraction(phase)))

    def _rv_section(self, eta: Array) -> Array:
        """Squared outer less squared septal radius over its scale; `eta` runs from annulus to apex."""
        inside = np.clip(eta, 0, 1)
        half = 80 * DEG * (1 - 0.42 * inside**1.5)
        u = (ABOUT_SEPTUM - 8 * DEG * (1 - inside)) / half
        lean = 0.1 - 0.5 * _ease(inside / 0.3)  # towards the outflow tract above, the acute margin below
        flat = 1 - 0.3 * _bump(ABOUT_SEPTUM - 12 * DEG, 26 * DEG)  # the free wall behind the sternum
        across = np.maximum(1 - u * u, 0) ** 0.7 * (1 + lean * u) * flat
        return np.asarray((1 - inside) ** 0.7 * (1 + 0.7 * inside) * across * (eta <= 1))

    @cached_property
    def _rv_mean(self) -> Array:
        """Mean of the section over its length, by angle."""
        return np.asarray(self._rv_section(LEVELS[:, None]).mean(axis=0))

    def _rv_scale(self, contraction: float) -> float:
        """[mm2] that gives the right ventricle its volume."""
        case = self.case
        volume = case.rv_edv * (1 - case.rv_ef * contraction) / MM**3
        lengths = self._rv_top(contraction) + RV_APEX * self.length
        return float(volume / (np.pi * (self._rv_mean * lengths).mean()))

    # ---- outlines at a moment

    def outlines(self, phase: float, z: Array) -> Array:
        """Squared radii [mm2] (z, angle, column) at heights `z` (z,) [mm]; negative where there is nothing.

        Above the annulus EPI is the left atrium with the aortic root, RV the right atrium and the pulmonary
        trunk.
        """
        c = float(self.cycle.contraction(phase))
        stretch = self.length / (self.length - self.descent(c))
        s = self.level(z, c)[:, None]  # (z, 1)
        inside = np.clip(s, 0, 1.2)
        weight = self._weight_shape(np.clip(s, 0, 1)) / self._mean_weight
        endo = self._endo(inside) * self._uneven() * stretch * (1 - self.case.ef * c * weight)
        epi = np.maximum(endo, 0) + self._wall_factor * self._wall_shape(inside) * stretch
        above = np.maximum(z + self.descent(c), 0)[:, None]
        atrium = np.maximum(1 - (above / LA_DOME) ** 2, 0)
        epi = epi * (atrium * (1 + 0.25 * np.minimum(above / 20, 1) * np.cos(ANGLES + 135 * DEG)))

        top = self._rv_top(c)
        eta = (top - z[:, None]) / (top + RV_APEX * self.length)
        dome = np.maximum(1 - (np.maximum(z[:, None] - top, 0) / RA_DOME) ** 2, 0)
        rv = np.maximum(epi, 0) + self._rv_scale(c) * self._rv_section(eta) * dome
        wall = self._rv_outer(epi, rv, c)
        pericardium = self._pericardium(np.maximum(epi, wall), z, c)
        table = np.empty((z.size, N_ANGLES + 1, 8))
        table[:, :-1, TRABECULA] = self._trabecular_front(endo, s, c)
        table[:, :-1, ENDO] = endo
        table[:, :-1, EPI] = epi
        table[:, :-1, RV_TRABECULA] = self._rv_front(epi, rv, s)
        table[:, :-1, RV] = rv
        table[:, :-1, RV_WALL] = wall
        table[:, :-1, PERICARDIUM] = pericardium
        table[:, :-1, PAD] = self._pad(pericardium, s)
        table[:, -1] = table[:, 0]
        return table

    def _rv_outer(self, epi: Array, rv: Array, c: float) -> Array:
        """Squared radius of the outer face of the thin wall, measured across it."""
        r = np.sqrt(np.maximum(rv, 0))
        slope = _wrapped_gradient(r) / np.maximum(r, 5)
        thick = self.case.rv_wall / MM * (1 + 0.3 * c) * np.minimum(np.sqrt(1 + slope**2), 2.2)
        wide = r - np.sqrt(np.maximum(epi, 0))
        return np.asarray((r + thick * _ease(wide / 4)) ** 2 * (rv > 0))

    def _ridges(self, s: Array, first: int, high: int) -> Array:
        """Roughness 0 to 1 over (level, angle), ridges that run along the ventricle and wander."""
        p = self.phases[first : first + 3]
        angle = ANGLES + 0.16 * np.sin(3 * ANGLES + p[0] + 4 * s) + 0.07 * np.sin(7 * ANGLES + p[1] - 6 * s)
        waves = sum(
            np.cos(k * angle + p[i] + 5 * (i - 1) * s + 2 * np.sin(9 * s + i))
            for i, k in enumerate((high, round(1.45 * high), round(0.55 * high)))
        )
        return np.asarray(np.clip(waves / 2.2, 0, 1))

    def _trabecular_front(self, endo: Array, s: Array, c: float) -> Array:
        """Squared radius of the blood inside the trabeculae."""
        r = np.sqrt(np.maximum(endo, 0))
        depth = self.case.trabeculae / MM * (0.2 + 0.8 * _ease((s - 0.1) / 0.5)) * (1 - 0.35 * c)
        lateral = 0.45 + 0.55 * (0.5 - 0.5 * np.cos(ANGLES))  # the septum is the smoothest wall
        depth = np.minimum(depth * lateral * (0.1 + 1.5 * self._ridges(s, 2, 13)), 0.22 * r)
        return np.where(endo > 0, (r - depth) ** 2, endo)

    def _rv_front(self, epi: Array, rv: Array, s: Array) -> Array:
        r = np.sqrt(np.maximum(rv, 0))
        width = r - np.sqrt(np.maximum(epi, 0))
        depth = 1.1 * self.case.trabeculae / MM * (0.15 + _ease(s / 0.7)) * self._ridges(s, 5, 16)
        return np.asarray((r - np.minimum(depth, 0.35 * width)) ** 2)

    def _pericardium(self, outer: Array, z: Array, c: float) -> Array:
        """Squared radius of the sac: the heart with its grooves filled by fat."""
        r = np.sqrt(np.maximum(outer, 0))
        hull = np.maximum(r, _blurred(r, 16 * DEG))
        fat = self.case.epicardial_fat / MM
        right = _bump(ANGLES, 65 * DEG)
        groove = sum(_bump(ANGLES - g, 14 * DEG) for g in GROOVES)
        annulus = _bump(z + self.descent(c) - 4, 9.0, periodic=False)[:, None]
        thick = fat * (0.22 + 0.8 * right + 0.9 * groove + 1.6 * annulus)
        thick = thick * (1 + 0.5 * np.cos(3 * ANGLES + self.phases[8] + z[:, None] / 17))
        end = _ease((r - 6) / 12)  # no fat floats beyond the apex
        return np.asarray((hull + thick * end) ** 2 * (r > 0))

    def _pad(self, pericardium: Array, s: Array) -> Array:
        """Squared radius of the fat around the sac, mostly before and below the right ventricle."""
        r = np.sqrt(np.maximum(pericardium, 0))
        fat, a = self.case.epicardial_fat / MM, self.phases[9]
        below = _bump(ANGLES + 50 * DEG, 34 * DEG) * _ease((s + 0.1) / 0.5)
        front = _bump(ANGLES - 30 * DEG, 30 * DEG) * _ease((s + 0.4) / 0.5)
        apex = 0.8 * _ease((s - 0.7) / 0.3)
        rough = 1 + 0.2 * np.cos(5 * ANGLES + a + 4 * s) + 0.1 * np.cos(9 * ANGLES + 2 * a - 7 * s)
        return np.asarray((r + fat * (2.6 * below + 1.4 * front + apex) * rough) ** 2 * (r > 0))


def _profile(s: Array, bullet: float) -> Array:
    """Squared radius over that of the widest section at relative levels `s`; negative beyond the apex."""
    return np.asarray(1 - np.abs((s - WIDEST) / (1 - WIDEST)) ** bullet)


def _wrap(angle: Array) -> Array:
    return np.mod(angle + np.pi, 2 * np.pi) - np.pi


def _bump(value: Array, width: float, *, periodic: bool = True) -> Array:
    return np.asarray(np.exp(-0.5 * ((_wrap(value) if periodic else value) / width) ** 2))


def _ease(value: Array) -> Array:
    """0 below 0, 1 above 1, smooth between."""
    v = np.clip(value, 0, 1)
    return np.asarray(v * v * (3 - 2 * v))


def _wrapped_gradient(r: Array) -> Array:
    return np.asarray((np.roll(r, -1, axis=1) - np.roll(r, 1, axis=1)) * (N_ANGLES / (4 * np.pi)))


def _blurred(r: Array, width: float) -> Array:
    """Gaussian blur over angle."""
    k = np.fft.rfftfreq(N_ANGLES, 1 / N_ANGLES)
    return np.asarray(
        np.fft.irfft(np.fft.rfft(r, axis=1) * np.exp(-0.5 * (k * width) ** 2), N_ANGLES, axis=1)
    )
