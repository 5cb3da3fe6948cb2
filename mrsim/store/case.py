"""One case of a store: a simulated acquisition of one slice, in one contrast or several, or over a beat."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mrsim.store.layout import COORDS, ORIENTATIONS, SPLITS, StoreError


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class Case:
    """One simulated acquisition of one slice, with everything that was drawn for it.

    kspace : ([contrast,] coil, ky, kx) complex64, DC at n // 2, orthonormal; of a cine (frame, coil, ky, kx)
    labels : ([frame,] y, x) uint8 oracle class
    tissue : ([frame,] y, x) uint8 tissue class of the phantom
    fractions : ([frame,] class, y, x) uint8 share of each oracle class, 255 = all; or None
    affine : (4, 4) float64 [m] pixel index (x, y, 0, 1) -> RAS; or None
    b0 : (y, x) float32 [Hz] or None
    csm : (coil, y, x) complex64 or None
    inu : ([contrast,] inu_term) float64 intensity non-uniformity, see `mrsim.imperfections.inu`; or None
    coords : everything that was drawn, by name; (contrast,) where it differs by contrast
    contrasts : names along the axis "contrast"; () is a single contrast, without that axis
    seed : of the data set, which with `index` and `contrast_number` makes the noise of this case
    class_names : of the oracle classes, background first
    noise_reference : what a noise level is a share of, unless `noisy` is told otherwise
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
    inu: NDArray[np.float64] | None = None
    contrasts: tuple[str, ...] = ()
    contrast_number: int = 0
    seed: int = 0
    class_names: tuple[str, ...] = ("background", "CSF", "GM", "WM")
    noise_reference: str = "kspace_rms"
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
    def orientation(self) -> str:
        """`axial`, `coronal` or `sagittal`; a store from before there was a choice by slice says axial."""
        return ORIENTATIONS[int(self.coords.get("orientation", 0))]

    @property
    def te(self) -> float:
        """Echo time [s]; StoreError where it differs by contrast."""
        return self._of_one_contrast("te")

    @property
    def tr(self) -> float:
        """Repetition time [s]; StoreError where it differs by contrast."""
        return self._of_one_contrast("tr")

    @property
    def split(self) -> str:
        """`train`, `validation` or `test`."""
        return SPLITS[int(self.coords["split"])]

    @property
    def image(self) -> NDArray[np.complex64]:
        """([contrast or frame,] y, x) complex image, coils combined by sensitivities, else by RMS."""
        if self.contrasts:
            return np.stack([self.contrast(name).image for name in self.contrasts])
        return combine_coils(centred_ifft2(self.kspace), self.csm)

    @property
    def n_frames(self) -> int:
        """Number of frames of a cine; 0 of a still case."""
        return len(self.labels) if self.labels.ndim == 3 else 0

    def frame(self, number: int) -> Case:
        """Return one frame of a cine as a still case. Its noise is another than that of the whole cine."""
        if not 0 <= number < self.n_frames:
            raise ValueError(f"frame must lie in 0 to {self.n_frames - 1}, got {number}")
        by_frame = [key for key in self.coords if key in COORDS and "frame" in COORDS[key].dims]
        return replace(
            self,
            kspace=self.kspace[number],
            labels=self.labels[number],
            tissue=self.tissue[number],
            fractions=None if self.fractions is None else self.fractions[number],
            coords=MappingProxyType({**self.coords, **{key: self.coords[key][number] for key in by_frame}}),
        )

    def contrast(self, name: str) -> Case:
        """Return the case in one of its contrasts: k-space (coil, ky, kx), `te` and `tr` single numbers."""
        if name not in self.contrasts:
            raise ValueError(f"contrast must be one of {', '.join(self.contrasts) or 'none'}, got {name!r}")
        number = self.contrasts.index(name)
        by_contrast = [key for key in self.coords if key in COORDS and "contrast" in COORDS[key].dims]
        return replace(
            self,
            kspace=self.kspace[number],
            inu=None if self.inu is None else self.inu[number],
            contrasts=(),
            contrast_number=number,
            coords=MappingProxyType(
                {**self.coords, **{key: self.coords[key][number] for key in by_contrast}}
            ),
        )

    def biased(self, level: float) -> Case:
        """Return the case under an intensity non-uniformity of `level`: 0.2 is 0.9 to 1.1 over the brain.

        It multiplies the image, so apply it before noise: `case.biased(0.2).noisy(0.03)`. Each contrast has
        its own field, the same on every machine. StoreError where the store has no fields, or noise baked in.
        """
        if level == 0:
            return self
        if self.baked_noise > 0:
            raise StoreError(
                f"case {self.index} has noise baked in already, and non-uniformity comes before noise"
            )
        if self.inu is None or self.affine is None:
            raise StoreError(f"case {self.index} has no non-uniformity fields; generate the data set again")
        if self.contrasts:
            return replace(
                self, kspace=np.stack([self.contrast(name).biased(level).kspace for name in self.contrasts])
            )
        from mrsim.imperfections.inu import field_of_image

        shape = (self.kspace.shape[-2], self.kspace.shape[-1])
        factor = field_of_image(self.inu, self.affine, shape, level)
        return replace(self, kspace=centred_fft2(centred_ifft2(self.kspace) * factor))

    def noisy(self, level: float, *, reference: str = "") -> NDArray[np.complex64]:
        """([contrast or frame,] coil, ky, kx) k-space with white noise of `level` times the reference.

        Each contrast has its own reference and its own realisation, the same on every machine; the frames of
        a cine share a reference.

        reference : "" is `noise_reference`, which the recipe of the data set names
        StoreError for a level above 0 where noise is baked in: it would be the same noise once more.
        """
        if level > 0 and self.baked_noise > 0:
            raise StoreError(
                f"case {self.index} has {self.baked_noise:.0%} noise baked in already; take noise level 0"
            )
        if self.contrasts:
            return np.stack([self.contrast(c).noisy(level, reference=reference) for c in self.contrasts])
        from mrsim.imperfections.noise import add_noise

        noisy: NDArray[np.complex64] = add_noise(
            self.kspace,
            level,
            seed=self.seed,
            case=self.index,
            contrast=self.contrast_number,
            reference=reference or self.noise_reference,
            labels=self.labels,
            class_names=self.class_names,
        )
        return noisy

    def _of_one_contrast(self, name: str) -> float:
        if self.contrasts:
            raise StoreError(
                f"case {self.index} has the contrasts {', '.join(self.contrasts)}: "
                f"take case.contrast(NAME).{name}"
            )
        return float(self.coords[name])


def centred_fft2(image: NDArray[np.complexfloating]) -> NDArray[np.complex64]:
    """Orthonormal DFT of the last two axes, DC and pixel (0, 0) at n // 2."""
    axes = (-2, -1)
    kspace = np.fft.fft2(np.fft.ifftshift(image, axes=axes), axes=axes, norm="ortho")
    return np.fft.fftshift(kspace, axes=axes).astype(np.complex64)


def centred_ifft2(kspace: NDArray[np.complexfloating]) -> NDArray[np.complex64]:
    """Orthonormal inverse DFT of the last two axes, DC and pixel (0, 0) at n // 2."""
    axes = (-2, -1)
    image = np.fft.ifft2(np.fft.ifftshift(kspace, axes=axes), axes=axes, norm="ortho")
    return np.fft.fftshift(image, axes=axes).astype(np.complex64)


def combine_coils(images: NDArray[np.complex64], csm: NDArray[np.complex64] | None) -> NDArray[np.complex64]:
    """(..., coil, y, x) -> (..., y, x): least squares with `csm`; else one coil as is, several by RMS."""
    if csm is not None:
        weight = np.maximum((np.abs(csm) ** 2).sum(axis=0), np.finfo(np.float32).tiny)
        combined: NDArray[np.complex64] = ((csm.conj() * images).sum(axis=-3) / weight).astype(np.complex64)
        return combined
    if images.shape[-3] == 1:
        single: NDArray[np.complex64] = images[..., 0, :, :]
        return single
    rms: NDArray[np.complex64] = np.sqrt((np.abs(images) ** 2).sum(axis=-3)).astype(np.complex64)
    return rms
