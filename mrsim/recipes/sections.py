"""The sections of a recipe: frozen, checked, SI."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from mrsim.recipes.classes import CLASS_SETS
from mrsim.recipes.slice_sets import AUTO, HEART, SLICE_SETS
from mrsim.recipes.sources import OBJECTS
from phantoms.names import known

B0_KINDS = ("off", "susceptibility", "smooth")
PER = ("subject", "case")
CODECS = ("none", "zstd")
ORIENTATIONS = ("axial", "coronal", "sagittal")
OWN_CLASSES = ("nifti", "cardiac", *OBJECTS)
CINE_MODES = ("ideal", "gated")
MOST_VARIATION = 0.3  # of beats: more is an arrhythmia, whose beats differ in shape too
SPLITS_BY = ("subject", "slice")


@dataclass(frozen=True, kw_only=True, slots=True)
class PhantomSpec:
    """What is scanned. `spacing` is for what is computed, `path` for label maps of the user's own."""

    source: str = "synthetic"
    subjects: tuple[int, ...] = ()  # () is all that the source has
    tissues: str = ""  # tissue table or TOML file; "" is the default at the field strength
    classes: str = ""  # of the oracle: "" as the source has them, or a name in mrsim.recipes.classes
    stripped: bool = False  # only the tissues to segment give signal, as after skull stripping
    vary_tissues: bool = True  # T1, T2 and PD differ from subject to subject
    spacing: float = 0.0  # [m] 0 is the source's own
    path: str = ""
    content: str = ""  # hash of the files under `path`

    def __post_init__(self) -> None:
        from phantoms import PHANTOMS

        known("phantom", self.source, PHANTOMS)
        known("classes", self.classes, ("", *CLASS_SETS))
        if self.classes and self.source in OWN_CLASSES:
            raise ValueError(
                f"classes must be those of the table for the phantom {self.source}, got {self.classes!r}"
            )
        if self.tissues and self.source in OBJECTS:
            raise ValueError(
                f"tissues must be those of the field strength for the phantom {self.source}, "
                f"got {self.tissues!r}"
            )
        if len(set(self.subjects)) != len(self.subjects):
            raise ValueError(f"subjects must be different, got {', '.join(map(str, self.subjects))}")
        if self.spacing and self.source not in ("synthetic", *OBJECTS):
            raise ValueError(
                f"spacing must be given for synthetic, {', '.join(OBJECTS)} only, got it for {self.source}"
            )


@dataclass(frozen=True, kw_only=True, slots=True)
class SliceSpec:
    """Which planes are scanned; `numbers`, `views`, `positions` [m] follow from `select`, unless automatic.

    With several orientations `select` picks from the set of each, and the slices are numbered through.
    """

    orientation: str = "axial"  # or several: "coronal, sagittal, axial"
    select: str = "seranet"
    of: str = "seranet"  # the set that a count or a range picks from; "auto" asks the phantom
    numbers: tuple[int, ...] = ()
    views: tuple[str, ...] = ()  # orientation of each slice
    positions: tuple[float, ...] = ()
    allow_wrap: bool = False  # whether the object may be larger than the field of view

    def __post_init__(self) -> None:
        for name in self.orientations:
            known("orientation", name, ORIENTATIONS)
        if len(set(self.orientations)) != len(self.orientations):
            raise ValueError(f"orientation must name each view once, got {self.orientation!r}")
        known("slices.of", self.of, (*SLICE_SETS, AUTO, HEART))

    @property
    def orientations(self) -> tuple[str, ...]:
        """The views, in the order of the slices."""
        return tuple(name.strip() for name in self.orientation.split(","))


@dataclass(frozen=True, kw_only=True, slots=True)
class Contrast:
    """One of several scans of the same slices; its sequence has the geometry of the others."""

    name: str
    sequence_name: str
    sequence: Any  # frozen parameters, of the class that `sequence_name` stands for


@dataclass(frozen=True, kw_only=True, slots=True)
class CineSpec:
    """A beating heart, scanned over its cycle.

    mode : "ideal" has every spin in its steady state at the moment of the frame; "gated" plays a segmented
        scan over many beats, every line at a time of its own
    crop : pixels (y, x) around the heart that are kept of the image, () keeps all
    spins : to a pixel and slice (layer, y, x)
    pitch : [m] from slice to slice
    inflow : share by which fresh blood is brighter when it moves fastest
    breathing : factor on the drawn displacement of the heart from breath-hold to breath-hold
    b0_drift : [Hz] SD of a shift of the whole field from frame to frame, ideal mode only
    segment : lines that are read in a beat, over and over, gated mode only
    rr_variation : SD of the length of a beat relative to the mean, gated mode only
    """

    mode: str = "ideal"
    n_frames: int = 50
    crop: tuple[int, ...] = ()
    spins: tuple[int, int, int] = (4, 2, 2)
    pitch: float = 10e-3
    inflow: float = 0.0
    breathing: float = 0.0
    b0_drift: float = 0.0
    segment: int = 12
    rr_variation: float = 0.0

    def __post_init__(self) -> None:
        known("mode", self.mode, CINE_MODES)
        if not 1 <= self.n_frames <= 1000:
            raise ValueError(f"n_frames must be 1 to 1000, got {self.n_frames}")
        if self.crop and (len(self.crop) != 2 or not all(type(n) is int and n > 0 for n in self.crop)):
            raise ValueError(f"crop must be two counts of pixels (y, x), got {self.crop}")
        if len(self.spins) != 3 or not all(type(n) is int and 1 <= n <= 16 for n in self.spins):
            raise ValueError(f"spins must be three counts (layer, y, x) of 1 to 16, got {self.spins}")
        if not 0 < self.pitch < math.inf:
            raise ValueError(f"pitch must be positive, got {self.pitch} m")
        for name in ("inflow", "breathing", "b0_drift"):
            if not 0 <= getattr(self, name) < math.inf:
                raise ValueError(f"{name} must not be negative, got {getattr(self, name)}")
        if not 0 <= self.rr_variation <= MOST_VARIATION:
            raise ValueError(f"rr_variation must lie in [0, {MOST_VARIATION}], got {self.rr_variation}")
        if not 1 <= self.segment <= 200:
            raise ValueError(f"segment must be 1 to 200 lines, got {self.segment}")
        if self.mode == "gated" and self.b0_drift:
            raise ValueError(f"b0_drift must be 0 in the gated mode, got {self.b0_drift} Hz")
        if self.mode == "ideal" and self.rr_variation:
            raise ValueError(f"rr_variation must be 0 in the ideal mode, got {self.rr_variation}")


@dataclass(frozen=True, kw_only=True, slots=True)
class VarySpec:
    """Relative half width of the uniform distribution around each sequence parameter."""

    te: float = 0.0
    tr: float = 0.0
    flip: float = 0.0
    per: str = "subject"

    def __post_init__(self) -> None:
        known("vary.per", self.per, PER)
        for name in ("te", "tr", "flip"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(f"vary.{name} must lie in [0, 1), got {getattr(self, name)}")


@dataclass(frozen=True, kw_only=True, slots=True)
class ScannerSpec:
    """The magnet and its coils."""

    field_strength: float = 1.5  # [T]
    b0: str = "susceptibility"
    b0_strength: float = 1.0  # factor on the map
    coils: int = 1
    coil_array: str = "loops"

    def __post_init__(self) -> None:
        known("b0", self.b0, B0_KINDS)
        if not 0 < self.field_strength < math.inf:
            raise ValueError(f"field_strength must be positive, got {self.field_strength} T")
        if not 0 <= self.b0_strength < math.inf:
            raise ValueError(f"b0_strength must not be negative, got {self.b0_strength}")
        if not 1 <= self.coils <= 256:
            raise ValueError(f"coils must be 1 to 256, got {self.coils}")


@dataclass(frozen=True, kw_only=True, slots=True)
class OutputSpec:
    """What is written."""

    noise: float = 0.0  # level baked into k-space, as a share of `noise_reference`
    noise_reference: str = "kspace_rms"
    soft_labels: bool = False
    codec: str = "none"

    def __post_init__(self) -> None:
        known("codec", self.codec, CODECS)
        if not 0 <= self.noise < math.inf:
            raise ValueError(f"noise must not be negative, got {self.noise}")


@dataclass(frozen=True, kw_only=True, slots=True)
class SplitSpec:
    """Subjects held out, by number, or the last so many; all others train.

    by : "slice" is CRDN's split: of every five slices of a subject the second and the fourth are for the
        test, whose neighbours are trained on. It is for comparison with that paper only.
    """

    by: str = "subject"
    test: tuple[int, ...] = ()
    validation: tuple[int, ...] = ()
    test_last: int = 0
    validation_last: int = 0

    def __post_init__(self) -> None:
        known("split", self.by, SPLITS_BY)
