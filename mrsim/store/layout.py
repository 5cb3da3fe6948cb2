"""The file format (format 1): which arrays and coordinates a store has, along which axes, in which units."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

FORMAT = "mrsim"
FORMAT_VERSION = 1
SPLITS = ("train", "validation", "test")
ORIENTATIONS = ("axial", "coronal", "sagittal")
CODECS = ("none", "zstd")
OPTIONAL_AXES = ("contrast", "frame")  # a still store of one contrast has neither

CONVENTIONS = {
    "fourier": "S(k) = sum of m(r) exp(-i 2 pi k.r); image = inverse DFT; orthonormal",
    "centring": "DC at index n // 2 of every axis; pixel centre (0, 0) at index (n_y // 2, n_x // 2)",
    "axes": "y is the phase-encode axis, x the readout axis; no array is rotated or flipped against another",
    "precession": "dM/dt = gamma M x B: transverse magnetisation turns as exp(-i 2 pi f t)",
    "units": "SI: s, m, T, rad, Hz; b0 in Hz, csm relative",
    "scale": "a pixel full of spins of proton density 1 has the image magnitude of the closed form",
}


class StoreError(Exception):
    """A store that cannot be read or written; the message is one sentence for the user."""


@dataclass(frozen=True, slots=True)
class ArraySpec:
    """One array of the store; `fill` is a value that data never has, so that a gap shows itself.

    dims : names of the axes; those of OPTIONAL_AXES are left out of a store that has no such axis
    """

    dims: tuple[str, ...]
    dtype: str
    fill: Any
    unit: str
    meaning: str

    def along(self, *, contrasts: int = 0, frames: int = 0) -> ArraySpec:
        """Return the array as a store of so many contrasts and frames has it; 0 is no such axis."""
        absent = [axis for axis, length in zip(OPTIONAL_AXES, (contrasts, frames), strict=True) if not length]
        return replace(self, dims=tuple(dim for dim in self.dims if dim not in absent))


NAN, CNAN = float("nan"), complex("nan+nanj")

MAPS = {
    "kspace": ArraySpec(
        ("case", "contrast", "frame", "coil", "ky", "kx"), "complex64", CNAN, "1", "fully sampled k-space"
    ),
    "labels": ArraySpec(("case", "frame", "y", "x"), "uint8", 255, "class", "oracle class of each pixel"),
    "tissue": ArraySpec(("case", "frame", "y", "x"), "uint8", 255, "class", "tissue class of the phantom"),
    "fractions": ArraySpec(
        ("case", "frame", "class", "y", "x"), "uint8", 0, "1/255", "share of each oracle class in the pixel"
    ),
    "affine": ArraySpec(("case", "row", "column"), "float64", NAN, "m", "pixel index (x, y, 0, 1) -> RAS"),
    "b0": ArraySpec(("case", "y", "x"), "float32", NAN, "Hz", "off-resonance map of the simulation"),
    "csm": ArraySpec(("case", "coil", "y", "x"), "complex64", CNAN, "1", "receive sensitivity of each coil"),
    "inu": ArraySpec(
        ("case", "contrast", "inu_term"),
        "float64",
        NAN,
        "m, 1",
        "intensity non-uniformity: centre (R, A, S) and reach [m], then a cubic's 20 coefficients",
    ),
}
CHECKSUM = ArraySpec(("case",), "uint64", 0, "1", "blake2b-8 of all arrays and coordinates of the case")
N_INU_TERMS = 24

COORDS = {
    "subject": ArraySpec(("case",), "int32", 0, "1", "subject number in the phantom source"),
    "slice": ArraySpec(("case",), "int32", 0, "1", "slice number within the subject"),
    "slice_position": ArraySpec(("case",), "float64", 0.0, "m", "slice centre along the slice axis, RAS"),
    "orientation": ArraySpec(("case",), "uint8", 0, "1", "0 axial, 1 coronal, 2 sagittal"),
    "te": ArraySpec(("case", "contrast"), "float64", 0.0, "s", "echo time"),
    "tr": ArraySpec(("case", "contrast"), "float64", 0.0, "s", "repetition time"),
    "flip": ArraySpec(("case", "contrast"), "float64", 0.0, "rad", "excitation flip angle"),
    "bandwidth": ArraySpec(("case", "contrast"), "float64", 0.0, "Hz", "receiver bandwidth per pixel"),
    "split": ArraySpec(("case",), "uint8", 0, "1", "0 train, 1 validation, 2 test"),
    "b0_seed": ArraySpec(("case",), "uint64", 0, "1", "seed of the random part of the B0 map"),
    "pd": ArraySpec(("case", "tissue_class"), "float64", 0.0, "1", "proton density of each tissue"),
    "t1": ArraySpec(("case", "tissue_class"), "float64", 0.0, "s", "T1 of each tissue (0: no signal)"),
    "t2": ArraySpec(("case", "tissue_class"), "float64", 0.0, "s", "T2 of each tissue (0: no signal)"),
    "t2prime": ArraySpec(("case", "tissue_class"), "float64", 0.0, "s", "T2' of each tissue (may be inf)"),
    "frame_time": ArraySpec(("case", "frame"), "float64", 0.0, "s", "time of the frame after the R wave"),
    "rr": ArraySpec(("case",), "float64", 0.0, "s", "length of a heart beat"),
    "lv_edv": ArraySpec(("case",), "float64", 0.0, "m3", "left ventricle at end-diastole, whole heart"),
    "lv_esv": ArraySpec(("case",), "float64", 0.0, "m3", "left ventricle at end-systole, whole heart"),
    "rv_edv": ArraySpec(("case",), "float64", 0.0, "m3", "right ventricle at end-diastole, whole heart"),
    "rv_esv": ArraySpec(("case",), "float64", 0.0, "m3", "right ventricle at end-systole, whole heart"),
    "lv_mass": ArraySpec(("case",), "float64", 0.0, "kg", "left ventricular myocardium, whole heart"),
}
REQUIRED_COORDS = ("subject", "slice", "te", "tr", "split")


@dataclass(frozen=True, kw_only=True, slots=True)
class Layout:
    """The sizes of a store and which optional arrays it has; every subject has the same number of slices.

    shape : (n_y, n_x) of the image and of k-space
    pixel_spacing : (y, x) [m]
    contrasts : names along the axis "contrast"; () is one contrast, without that axis
    n_frames : length of the axis "frame" of a cine; 0 is a still store, without that axis
    codec : "none", or "zstd" (blosc with bit shuffle)
    """

    n_subjects: int
    n_slices: int
    shape: tuple[int, int]
    pixel_spacing: tuple[float, float]
    class_names: tuple[str, ...]
    tissue_names: tuple[str, ...]
    contrasts: tuple[str, ...] = ()
    n_frames: int = 0
    n_coils: int = 1
    b0: bool = False
    csm: bool = False
    inu: bool = False
    fractions: bool = False
    codec: str = "none"

    def __post_init__(self) -> None:
        sizes = (self.n_subjects, self.n_slices, self.n_coils, *self.shape)
        if len(self.shape) != 2 or min(sizes) < 1:
            raise ValueError(f"subjects, slices, coils and shape must be positive, got {sizes}")
        if len(set(self.contrasts)) != len(self.contrasts):
            raise ValueError(f"contrasts must have different names, got {', '.join(self.contrasts)}")
        if self.n_frames < 0 or (self.n_frames and self.contrasts):
            raise ValueError(
                f"frames must be zero or positive, and of one contrast, got {self.n_frames} frames of "
                f"{max(1, len(self.contrasts))} contrasts"
            )
        if self.codec not in CODECS:
            raise ValueError(f"codec must be one of {', '.join(CODECS)}, got {self.codec!r}")

    @property
    def n_cases(self) -> int:
        """Number of cases: subjects times slices."""
        return self.n_subjects * self.n_slices

    @property
    def sizes(self) -> dict[str, int]:
        """Length of every named axis."""
        n_y, n_x = self.shape
        return {
            "case": self.n_cases,
            "contrast": len(self.contrasts),
            "frame": self.n_frames,
            "coil": self.n_coils,
            "class": len(self.class_names),
            "tissue_class": len(self.tissue_names),
            "ky": n_y,
            "kx": n_x,
            "y": n_y,
            "x": n_x,
            "row": 4,
            "column": 4,
            "inu_term": N_INU_TERMS,
        }

    @property
    def maps(self) -> dict[str, ArraySpec]:
        """The per-case arrays that this store has."""
        optional = {"fractions": self.fractions, "b0": self.b0, "csm": self.csm, "inu": self.inu}
        return {name: self._along(spec) for name, spec in MAPS.items() if optional.get(name, True)}

    @property
    def coords(self) -> dict[str, ArraySpec]:
        """The coordinates that this store may have."""
        return {name: self._along(spec) for name, spec in COORDS.items()}

    def _along(self, spec: ArraySpec) -> ArraySpec:
        return spec.along(contrasts=len(self.contrasts), frames=self.n_frames)

    def shape_of(self, spec: ArraySpec) -> tuple[int, ...]:
        """Full shape of an array of this store."""
        return tuple(self.sizes[dim] for dim in spec.dims)

    def cases_of(self, subject_rank: int) -> slice:
        """Select the cases of the subject at this place in the store."""
        return slice(subject_rank * self.n_slices, (subject_rank + 1) * self.n_slices)


def checksum(values: Mapping[str, NDArray[Any]]) -> int:
    """blake2b-8 over the little-endian bytes of everything that a case holds, in order of the names."""
    digest = hashlib.blake2b(digest_size=8)
    for name in sorted(values):
        value = np.ascontiguousarray(values[name])
        digest.update(name.encode())
        digest.update(value.astype(value.dtype.newbyteorder("<"), copy=False).tobytes())
    return int.from_bytes(digest.digest(), "little")
