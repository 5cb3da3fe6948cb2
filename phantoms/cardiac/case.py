"""The population: who the subject is, drawn from published ranges before anything is computed.

UKB: Petersen et al., J Cardiovasc Magn Reson 19:18, 2017 (804 healthy participants, 1.5 T bSSFP, papillary
muscles counted as blood). Values for end-diastolic and end-systolic volumes, ejection fractions and masses of
men and women are theirs; spreads of the pathologies are chosen after the diagnostic ranges of each.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

ML, GRAM, MM, DEG = 1e-6, 1e-3, 1e-3, math.pi / 180
MYOCARDIAL_DENSITY = 1050.0  # [kg/m3]
PATHOLOGIES = ("normal", "dilated", "hypertrophic", "infarct")
PATHOLOGY_SHARES = (0.80, 0.07, 0.07, 0.06)
MAX_SLICES = 16  # breathing offsets drawn per subject


class Norm(NamedTuple):
    """Normal distribution with physiological limits."""

    mean: float
    spread: float
    low: float
    high: float

    def at(self, z: float) -> float:
        """Return the value `z` standard deviations from the mean, within the limits."""
        return min(max(self.mean + self.spread * z, self.low), self.high)


class Sex(NamedTuple):
    """UKB reference values of one sex [ml, 1, g, mm], and body sizes."""

    edv: Norm
    ef: Norm
    mass: Norm
    rv_edv: Norm
    rv_ef: Norm
    length: Norm
    half_width: Norm
    half_depth: Norm


# lengths: mitral annulus to endocardial apex; half axes: of the thoracic cavity of adults
SEXES = {
    "male": Sex(Norm(166, 32, 90, 280), Norm(0.58, 0.05, 0.42, 0.74), Norm(103, 21, 60, 190),
                Norm(182, 36, 100, 300), Norm(0.54, 0.06, 0.38, 0.70), Norm(95, 7, 76, 115),
                Norm(136, 9, 115, 160), Norm(84, 6, 70, 100)),
    "female": Sex(Norm(124, 21, 70, 210), Norm(0.61, 0.05, 0.45, 0.76), Norm(70, 13, 42, 130),
                  Norm(130, 24, 75, 230), Norm(0.58, 0.06, 0.40, 0.74), Norm(86, 6, 70, 104),
                  Norm(121, 8, 103, 145), Norm(75, 6, 62, 92)),
}  # fmt: skip
HEART_RATE = Norm(65, 10, 42, 105)  # [1/min]
MAPSE = Norm(13, 2.2, 7, 18)  # [mm] descent of the annuli: normal hearts of cine MR studies, rounded
TAPSE = Norm(21, 3, 12, 29)  # [mm]
APEX_TWIST, BASE_TWIST = Norm(10, 3, 2, 18), Norm(-3, 1.5, -7, 0)  # [deg] Young & Cowan, JCMR 14:49, 2012
# long axis, 94 volunteers: 46 +- 7 deg from left to anterior seen from below, 38 +- 10 deg below left seen
# from the front (Engblom et al., Am Heart J 150:507, 2005), which is an elevation of 28 deg
AZIMUTH = Norm(44, 7, 28, 60)  # [deg] from anterior to left
ELEVATION = Norm(28, 7, 13, 44)  # [deg] below the horizontal


@dataclass(frozen=True, kw_only=True, slots=True)
class Case:
    """One subject as numbers, all SI; volumes as contours give them, with papillary muscles as blood."""

    seed: int
    index: int
    sex: str  # "male" | "female"
    pathology: str  # one of PATHOLOGIES
    heart_rate: float  # [1/s]
    kick: float  # share of the stroke volume that the atrial contraction brings
    edv: float  # [m3] left ventricle
    ef: float
    mass: float  # [kg] left ventricular myocardium without papillary muscles
    rv_edv: float  # [m3]
    rv_ef: float
    length: float  # [m] mitral annulus to endocardial apex at end-diastole
    apex_thickness: float  # [m]
    mapse: float  # [m] descent of the mitral annulus
    tapse: float  # [m] descent of the tricuspid annulus
    apex_twist: float  # [rad] at end-systole, anticlockwise seen from the apex
    base_twist: float  # [rad]
    bullet: float  # exponent of the long-axis profile: 2 is an ellipsoid
    septal_share: float  # relative thickening of the septum over the mean wall
    rv_wall: float  # [m]
    infarct_angle: float  # [rad] centre of the akinetic sector, from the septum over the anterior wall
    papillary: float  # relative size of the papillary muscles
    trabeculae: float  # [m] depth of the trabeculated layer at mid-ventricle
    epicardial_fat: float  # [m]
    azimuth: float  # [rad]
    elevation: float  # [rad]
    roll: float  # [rad] of the heart about its long axis
    tilt: tuple[float, float]  # [rad] of the long axis from the slice normal, about image x and y
    offset: tuple[float, float]  # [m] of the field of view: from the middle of the body, and above the heart
    first_slice: float  # [m] of the basal slice below the mitral annulus at end-diastole
    half_width: float  # [m] of the thoracic cavity
    half_depth: float  # [m]
    fat: float  # [m] subcutaneous
    breast: float  # [m] radius, 0 in men
    diaphragm: float  # [m] height offset
    breath: tuple[
        float, ...
    ]  # [m] superior displacement of heart and upper abdomen, for each slice's breath-hold

    @property
    def rr(self) -> float:
        """Length of a heart beat [s]."""
        return 1 / self.heart_rate

    @property
    def esv(self) -> float:
        """Left ventricular end-systolic volume [m3]."""
        return self.edv * (1 - self.ef)

    @property
    def rv_esv(self) -> float:
        """Right ventricular end-systolic volume [m3]."""
        return self.rv_edv * (1 - self.rv_ef)

    @property
    def myocardial_volume(self) -> float:
        """Left ventricular wall [m3], the same at every moment."""
        return self.mass / MYOCARDIAL_DENSITY


def case_rng(seed: int, index: int, stream: int = 0) -> np.random.Generator:
    """Everything random about subject `index` of `seed`: 0 the case, 1 roughness, 2 the thorax."""
    key, counter = np.array([seed, index], np.uint64), np.array([0, 0, 0, stream], np.uint64)
    return np.random.Generator(np.random.Philox(key=key, counter=counter))


def draw_case(seed: int, index: int, *, pathology: str | None = None) -> Case:
    """Draw subject `index`; `pathology` forces one, and leaves all other draws as they are."""
    rng = case_rng(seed, index)
    kind = str(rng.choice(PATHOLOGIES, p=PATHOLOGY_SHARES))
    male = bool(rng.random() < 0.48)  # UKB's share
    for _ in range(100):
        case = _draw(rng, seed, index, "male" if male else "female", pathology or kind)
        if 4.0 * MM < mean_wall(case) < 19.0 * MM and case.rv_edv > 0.6 * case.edv:
            return case
    raise RuntimeError(f"no plausible {pathology or kind} heart was drawn for {seed}, {index}")


def mean_wall(case: Case) -> float:
    """Mean end-diastolic wall thickness at the level of the largest diameter [m]."""
    outer = equator(case.edv + case.myocardial_volume, case.length + case.apex_thickness, case.bullet)
    return outer - equator(case.edv, case.length, case.bullet)


def equator(volume: float, length: float, bullet: float) -> float:
    """Radius [m] of the widest section of a ventricle of `volume` [m3] with the profile of `profile_area`."""
    return math.sqrt(volume / (math.pi * length * profile_area(bullet)))


WIDEST = 0.2  # level of the largest diameter, from base to apex


def profile_area(bullet: float) -> float:
    """Mean over the long axis of 1 - |(s - WIDEST) / (1 - WIDEST)|^bullet, the squared relative radius."""
    n, c = bullet + 1, 1 - WIDEST
    return float(1 - c * (1 + (WIDEST / c) ** n) / n)


def _draw(rng: np.random.Generator, seed: int, index: int, sex: str, pathology: str) -> Case:
    s, z = SEXES[sex], rng.standard_normal(40).tolist()
    size = z[0]  # log EDV and mass correlate with 0.7, left and right EDV with 0.85
    edv, ef = s.edv.at(size), s.ef.at(z[1])
    mass = s.mass.at(0.7 * size + math.sqrt(1 - 0.49) * z[2])
    rv_edv = s.rv_edv.at(0.85 * size + math.sqrt(1 - 0.7225) * z[3])
    length = s.length.at(0.6 * size + 0.8 * z[5])
    mapse, septal, twist, bullet = MAPSE.at(z[6]), 0.08 + 0.03 * z[7], 1.0, 2.3 + 0.15 * z[8]
    if pathology == "dilated":
        edv, ef = Norm(250, 40, 185, 360).at(z[0]), Norm(0.30, 0.08, 0.12, 0.44).at(z[1])
        mass, length, bullet = mass + 35, length + 6, 2.1
        mapse, twist = 0.5 * mapse, 0.4
    elif pathology == "hypertrophic":
        mass, ef = Norm(190, 40, 130, 300).at(z[2]) * (1.0 if sex == "male" else 0.8), min(ef + 0.07, 0.80)
        septal, mapse = 0.45 + 0.15 * z[7], 0.75 * mapse
    elif pathology == "infarct":
        edv, ef = 1.2 * edv, Norm(0.42, 0.07, 0.25, 0.52).at(z[1])
        mapse, twist = 0.7 * mapse, 0.6
    rv_ef = s.rv_ef.at(z[4]) if pathology != "dilated" else Norm(0.42, 0.08, 0.2, 0.56).at(z[4])
    fat = float(np.clip(math.exp(math.log(15) + 0.4 * z[9]), 5, 34))
    return Case(
        seed=seed,
        index=index,
        sex=sex,
        pathology=pathology,
        heart_rate=HEART_RATE.at(z[10]) / 60,
        kick=0.20 + Norm(0, 0.04, -0.08, 0.12).at(z[11]),
        edv=edv * ML,
        ef=ef,
        mass=mass * GRAM,
        rv_edv=rv_edv * ML,
        rv_ef=rv_ef,
        length=length * MM,
        apex_thickness=(4.5 + 0.6 * abs(z[12])) * MM,
        mapse=mapse * MM,
        tapse=TAPSE.at(z[13]) * MM * (0.6 if pathology == "dilated" else 1.0),
        apex_twist=APEX_TWIST.at(z[14]) * twist * DEG,
        base_twist=BASE_TWIST.at(z[15]) * twist * DEG,
        bullet=float(np.clip(bullet, 2.0, 2.8)),
        septal_share=float(np.clip(septal, 0.0, 0.8)),
        rv_wall=Norm(3.0, 0.4, 2.2, 4.5).at(z[16]) * MM,
        infarct_angle=float(rng.choice((20, 100, 185, 250)) + 10 * z[17]) * DEG,
        papillary=Norm(1.0, 0.15, 0.7, 1.3).at(z[18]),
        trabeculae=Norm(3.2, 0.8, 1.5, 6.0).at(z[19]) * MM,
        epicardial_fat=float(np.clip(2.2 + 0.12 * fat + 0.6 * z[20], 1.2, 8.0)) * MM,
        azimuth=AZIMUTH.at(z[21]) * DEG,
        elevation=ELEVATION.at(z[22]) * DEG,
        roll=Norm(0, 8, -20, 20).at(z[23]) * DEG,
        tilt=(Norm(0, 3, -7, 7).at(z[24]) * DEG, Norm(0, 3, -7, 7).at(z[25]) * DEG),
        offset=(Norm(0, 3, -7, 7).at(z[26]) * MM, Norm(0, 8, -18, 18).at(z[27]) * MM),
        first_slice=float(rng.uniform(-5, 5)) * MM,
        half_width=s.half_width.at(z[28]) * MM,
        half_depth=s.half_depth.at(0.5 * z[28] + 0.87 * z[29]) * MM,
        fat=fat * MM,
        breast=float(np.clip(46 + 5 * z[30] + 0.5 * fat, 35, 70)) * MM if sex == "female" else 0.0,
        diaphragm=Norm(0, 7, -14, 14).at(z[31]) * MM,
        breath=tuple(float(b) * MM for b in np.clip(rng.normal(0, 2, MAX_SLICES), -6, 6)),
    )
