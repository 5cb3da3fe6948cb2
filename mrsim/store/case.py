"""What a store holds: its arrays and coordinates (format 1), and one case of it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

FORMAT = "mrsim"
FORMAT_VERSION = 1
SPLITS = ("train", "validation", "test")
CODECS = ("none", "zstd")

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
    """One array of the store; `fill` is a value that data never has, so that a gap shows itself."""

    dims: tuple[str, ...]
    dtype: str
    fill: Any
    unit: str
    meaning: str


MAPS = {
    "kspace": ArraySpec(
        ("case", "coil", "ky", "kx"), "complex64", complex("nan+nanj"), "1", "fully sampled k-space"
    ),
    "labels": ArraySpec(("case", "y", "x"), "uint8", 255, "class", "oracle class of each pixel"),
    "tissue": ArraySpec(("case", "y", "x"), "uint8", 255, "class", "tissue class of the phantom"),
    "fractions": ArraySpec(
        ("case", "class", "y", "x"), "uint8", 0, "1/255", "share of each oracle class in the pixel"
    ),
    "affine": ArraySpec(
        ("case", "row", "column"), "float64", float("nan"), "m", "pixel index (x, y, 0, 1) -> RAS"
    ),
    "b0": ArraySpec(("case", "y", "x"), "float32", float("nan"), "Hz", "off-resonance map of the simulation"),
    "csm": ArraySpec(
        ("case", "coil", "y", "x"), "complex64", complex("nan+nanj"), "1", "receive sensitivity of each coil"
    ),
}
CHECKSUM = ArraySpec(("case",), "uint64", 0, "1", "blake2b-8 of all arrays and coordinates of the case")

COORDS = {
    "subject": ArraySpec(("case",), "int32", 0, "1", "subject number in the phantom source"),
    "slice": ArraySpec(("case",), "int32", 0, "1", "slice number within the subject"),
    "slice_position": ArraySpec(("case",), "float64", 0.0, "m", "slice centre along the slice axis, RAS"),
    "te": ArraySpec(("case",), "float64", 0.0, "s", "echo time"),
    "tr": ArraySpec(("case",), "float64", 0.0, "s", "repetition time"),
    "flip": ArraySpec(("case",), "float64", 0.0, "rad", "excitation flip angle"),
    "bandwidth": ArraySpec(("case",), "float64", 0.0, "Hz", "receiver bandwidth per pixel"),
    "split": ArraySpec(("case",), "uint8", 0, "1", "0 train, 1 validation, 2 test"),
    "b0_seed": ArraySpec(("case",), "uint64", 0, "1", "seed of the random part of the B0 map"),
    "pd": ArraySpec(("case", "tissue_class"), "float64", 0.0, "1", "proton density of each tissue"),
    "t1": ArraySpec(("case", "tissue_class"), "float64", 0.0, "s", "T1 of each tissue (0: no signal)"),
    "t2": ArraySpec(("case", "tissue_class"), "float64", 0.0, "s", "T2 of each tissue (0: no signal)"),
    "t2prime": ArraySpec(("case", "tissue_class"), "float64", 0.0, "s", "T2' of each tissue (may be inf)"),
}
REQUIRED_COORDS = ("subject", "slice", "te", "tr", "split")


@dataclass(frozen=True, kw_only=True, slots=True)
class Layout:
    """The sizes of a store and which optional arrays it has; every subject has the same number of slices.

    shape : (n_y, n_x) of the image and of k-space
    pixel_spacing : (y, x) [m]
    codec : "none", or "zstd" (blosc with bit shuffle)
    """

    n_subjects: int
    n_slices: int
    shape: tuple[int, int]
    pixel_spacing: tuple[float, float]
    class_names: tuple[str, ...]
    tissue_names: tuple[str, ...]
    n_coils: int = 1
    b0: bool = False
    csm: bool = False
    fractions: bool = False
    codec: str = "none"

    def __post_init__(self) -> None:
        sizes = (self.n_subjects, self.n_slices, self.n_coils, *self.shape)
        if len(self.shape) != 2 or min(sizes) < 1:
            raise ValueError(f"subjects, slices, coils and shape must be positive, got {sizes}")
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
            "coil": self.n_coils,
            "class": len(self.class_names),
            "tissue_class": len(self.tissue_names),
            "ky": n_y,
            "kx": n_x,
            "y": n_y,
            "x": n_x,
            "row": 4,
            "column": 4,
        }

    @property
    def maps(self) -> dict[str, ArraySpec]:
        """The per-case arrays that this store has."""
        optional = {"fractions": self.fractions, "b0": self.b0, "csm": self.csm}
        return {name: spec for name, spec in MAPS.items() if optional.get(name, True)}

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


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class Case:
    """One simulated acquisition of one slice, with everything that was drawn for it.

    kspace : (coil, ky, kx) complex64, DC at n // 2, orthonormal
    labels : (y, x) uint8 oracle class
    tissue : (y, x) uint8 tissue class of the phantom
    fractions : (class, y, x) uint8 share of each oracle class, 255 = all; or None
    affine : (4, 4) float64 [m] pixel index (x, y, 0, 1) -> RAS; or None
    b0 : (y, x) float32 [Hz] or None
    csm : (coil, y, x) complex64 or None
    coords : everything that was drawn, by name
    seed : of the data set, which with `index` makes the noise of this case
    class_names : of the oracle classes, background first
    baked_noise : level of the noise that k-space already has
    """

    index: int
    kspace: NDArray[np.complex64]
    labels: NDArray[np.uint8]
    tissue: NDArray[np.uint8]
    fractions: NDArray[np.uint8] | None = None
    affine: NDArray[np.float64] | None = None
    b0: NDArray[np.float32] | None = None
    csm: NDArray[np.complex64] | None = None
    seed: int = 0
    class_names: tuple[str, ...] = ("background", "CSF", "GM", "WM")
    baked_noise: float = 0.0
    coords: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))

    @property
    def subject(self) -> int:
        """Subject number."""
        return int(self.coords["subject"])

    @property
    def slice(self) -> int:
        """Slice number within the subject."""
        return int(self.coords["slice"])

    @property
    def te(self) -> float:
        """Echo time [s]."""
        return float(self.coords["te"])

    @property
    def tr(self) -> float:
        """Repetition time [s]."""
        return float(self.coords["tr"])

    @property
    def split(self) -> str:
        """`train`, `validation` or `test`."""
        return SPLITS[int(self.coords["split"])]

    @property
    def image(self) -> NDArray[np.complex64]:
        """(y, x) complex image: centred inverse FFT, coils combined by their sensitivities, else by RMS."""
        return combine_coils(centred_ifft2(self.kspace), self.csm)

    def noisy(self, level: float, *, reference: str = "kspace_rms") -> NDArray[np.complex64]:
        """(coil, ky, kx) k-space with white noise of `level` times the reference, the same everywhere.

        StoreError for a level above 0 where noise is baked in: it would be the same noise once more.
        """
        if level > 0 and self.baked_noise > 0:
            raise StoreError(
                f"case {self.index} has {self.baked_noise:.0%} noise baked in already; take noise level 0"
            )
        from mrsim.noise import add_noise

        noisy: NDArray[np.complex64] = add_noise(
            self.kspace,
            level,
            seed=self.seed,
            case=self.index,
            reference=reference,
            labels=self.labels,
            class_names=self.class_names,
        )
        return noisy


def centred_ifft2(kspace: NDArray[np.complexfloating]) -> NDArray[np.complex64]:
    """Orthonormal inverse DFT of the last two axes, DC and pixel (0, 0) at n // 2."""
    axes = (-2, -1)
    image = np.fft.ifft2(np.fft.ifftshift(kspace, axes=axes), axes=axes, norm="ortho")
    return np.fft.fftshift(image, axes=axes).astype(np.complex64)


def combine_coils(images: NDArray[np.complex64], csm: NDArray[np.complex64] | None) -> NDArray[np.complex64]:
    """(coil, y, x) -> (y, x): least squares with `csm`; without it one coil as is, several by RMS."""
    if csm is not None:
        weight = np.maximum((np.abs(csm) ** 2).sum(axis=0), np.finfo(np.float32).tiny)
        combined: NDArray[np.complex64] = ((csm.conj() * images).sum(axis=0) / weight).astype(np.complex64)
        return combined
    if images.shape[0] == 1:
        single: NDArray[np.complex64] = images[0]
        return single
    rms: NDArray[np.complex64] = np.sqrt((np.abs(images) ** 2).sum(axis=0)).astype(np.complex64)
    return rms
