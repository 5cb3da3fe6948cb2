"""What lies in the scanner, by name: a phantom or a file of spins, its field map and the coils around it."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from mrsim.events import Events
from mrsim.fields import COILS, FieldMap, smooth_b0, susceptibility_b0
from mrsim.fields.coils import CoilMaps, Extent
from mrsim.files.fields import read_coils, read_field
from mrsim.imperfections.motion import Moving
from mrsim.recipes.sections import B0_KINDS
from mrsim.scanner.scan import Played, Scan, scan_phantom, scan_spins
from mrsim.slices.plane import SlicePlane, centred_plane, check_fov
from phantoms import PHANTOMS, phantom_source
from phantoms.names import known
from phantoms.phantom import Phantom, PhantomError, PhantomSource, Spins
from phantoms.tissues import table_for_field, tissue_table

SPIN_FILES = (".phantom", ".h5")
VOLUMES = (".nii", ".nii.gz")
MOST_COILS = 256
OBJECTS = ("sphere", "cylinder", "vials")
OWN_TISSUES = (*OBJECTS, "cardiac")  # they come with the field strength


@dataclass(frozen=True, kw_only=True, slots=True)
class Setup:
    """A subject in the scanner and the slice to be imaged.

    phantom : a name of `PHANTOMS`, a file of spins (.phantom, .h5) or a label map (.nii, .nii.gz)
    subject : number; None is the first that there is
    phantom_dir : folder of the BrainWeb volumes, or label maps
    tissues : name of a tissue table, or TOML file of a label map
    position : [m] along the slice normal; None is the middle of the object, of a file of spins 0
    b0 : "off", "susceptibility", "smooth" (random) or a NIfTI file [Hz]
    b1 : "off" or a NIfTI file of the transmit field over the nominal one
    coil_array : a name of `COILS`, or a NIfTI file of complex sensitivities (x, y, z, coil)
    every : take every so-manieth voxel of the phantom along each axis, for speed
    allow_wrap : whether the object may be larger than the field of view
    seed : of the procedural brain and the random field map
    """

    phantom: str = "synthetic"
    subject: int | None = None
    phantom_dir: str | None = None
    tissues: str = ""
    field_strength: float = 1.5  # [T]
    orientation: str = "axial"
    position: float | None = None
    coils: int = 1
    coil_array: str = "loops"
    b0: str = "off"
    b0_strength: float = 1.0
    b1: str = "off"
    every: int = 1
    allow_wrap: bool = False
    seed: int = 0

    def __post_init__(self) -> None:
        if not self.b0.endswith(VOLUMES):
            known("b0", self.b0, B0_KINDS)
        if not self.b1.endswith(VOLUMES):
            known("b1", self.b1, ("off",))
        if not self.coil_array.endswith(VOLUMES):
            known("coil_array", self.coil_array, COILS)
        if not 1 <= self.coils <= MOST_COILS:
            raise ValueError(f"coils must be at least 1 and at most {MOST_COILS}, got {self.coils}")
        if not math.isfinite(self.b0_strength):
            raise ValueError(f"b0_strength must be finite, got {self.b0_strength}")
        if self.every < 1:
            raise ValueError(f"every must be at least 1, got {self.every}")
        if not self.field_strength > 0:
            raise ValueError(f"field_strength must be positive, got {self.field_strength} T")
        if not self.is_cloud and not self.phantom.endswith(VOLUMES):
            known("phantom", self.phantom, PHANTOMS)
        if self.phantom == "cardiac" and self.b0 == "susceptibility":
            raise ValueError(
                "b0 must be off, smooth or a file for cardiac, whose slices lie oblique to the field, "
                f"got {self.b0!r}"
            )
        self._check_own()
        for name in ("b0", "b1"):
            if self.is_cloud and getattr(self, name) != "off":
                raise ValueError(
                    f"{name} must be off for a file of spins, which has its own, got {getattr(self, name)!r}"
                )

    def _check_own(self) -> None:
        """Refuse what would be left aside, since the phantom comes with its own."""
        if self.tissues and (self.is_cloud or self.phantom in OWN_TISSUES):
            raise ValueError(
                f"tissues must not be given for {self.phantom}, which has its own, got {self.tissues!r}"
            )
        if self.is_cloud and (self.every != 1 or self.subject is not None):
            given = f"every {self.every}" if self.every != 1 else f"subject {self.subject}"
            raise ValueError(f"every and subject must not be given for a file of spins, got {given}")

    @property
    def is_cloud(self) -> bool:
        """Whether the phantom is a file of spins."""
        return self.phantom.endswith(SPIN_FILES)

    def run(self, what: Played, fov: tuple[float, float], thickness: float, **options: Any) -> Scan:  # noqa: ANN401
        """Scan it; `options` are those of `scan_spins`."""
        if self.is_cloud:
            return self._run_cloud(what, fov, thickness, options)
        phantom = self.load()
        plane = self._plane(phantom, what.events, fov, thickness)
        return scan_phantom(
            phantom,
            what,
            plane,
            b0=self.field_map(phantom),
            b1=read_field(self.b1) if self.b1 != "off" else None,
            coils=self.coil_maps(phantom.extent),
            **options,
        )

    def coil_maps(self, extent: Extent) -> CoilMaps | None:
        """Coils around an object of this extent, those of a file, or None for a uniform one."""
        if self.coil_array in COILS:
            return COILS[self.coil_array](self.coils, extent) if self.coils > 1 else None
        maps = read_coils(self.coil_array)
        if self.coils not in (1, maps.n_coils):
            raise ValueError(f"coils must be {maps.n_coils}, as {self.coil_array} has, got {self.coils}")
        return maps

    def load(self) -> Phantom:
        """Load the phantom and give it the tissues of its field strength."""
        source = self._source()
        subjects = source.subjects()
        subject = subjects[0] if self.subject is None else self.subject
        if subject not in subjects:
            raise ValueError(f"subject must be one of {', '.join(map(str, subjects))}, got {subject}")
        phantom = thinned(source.load(subject), self.every)
        if self.phantom in OWN_TISSUES:
            return phantom
        if phantom.name != "nifti":
            table = tissue_table(self.tissues) if self.tissues else table_for_field(self.field_strength)
            phantom = phantom.with_tissues(table)
        if phantom.tissues.field_strength != self.field_strength:
            raise ValueError(
                f"tissues must be a table of field_strength {self.field_strength:g} T, got {self.tissues} of "
                f"{phantom.tissues.field_strength:g} T: ask for that field, or take another table"
            )
        return phantom

    def _source(self) -> PhantomSource:
        if self.phantom.endswith(VOLUMES) or self.phantom == "nifti":
            path = self.phantom if self.phantom != "nifti" else self.phantom_dir
            if path and not Path(path).exists():
                raise PhantomError(f"label map {path} is not there")
            if not path or not self.tissues:
                raise ValueError(
                    "a label map must have a tissue table (--tissues TABLE.toml), "
                    "and phantom nifti a path (--phantom-dir FILE or FOLDER)"
                )
            return phantom_source("nifti", path=path, tissues=self.tissues)
        if self.phantom == "brainweb":
            return phantom_source("brainweb", **({"directory": self.phantom_dir} if self.phantom_dir else {}))
        if self.phantom in OBJECTS:
            return phantom_source(self.phantom, field_strength=self.field_strength)
        options: dict[str, Any] = {"seed": self.seed, "n_subjects": (self.subject or 0) + 1}
        if self.phantom in OWN_TISSUES:
            options["field_strength"] = self.field_strength
        return phantom_source(self.phantom, **options)

    def field_map(self, phantom: Phantom) -> FieldMap | None:
        """Off-resonance that the head and its surroundings make, a random one, or a measured one."""
        if self.b0.endswith(VOLUMES):
            measured = read_field(self.b0)
            return replace(measured, values=measured.values * np.float32(self.b0_strength))
        if self.b0 == "susceptibility":
            return susceptibility_b0(phantom, strength=self.b0_strength)
        if self.b0 == "smooth":
            rng = np.random.Generator(np.random.Philox(self.seed))
            return smooth_b0(phantom, rng, strength=self.b0_strength)
        return None

    def _plane(
        self, phantom: Phantom, events: Events, fov: tuple[float, float], thickness: float
    ) -> SlicePlane:
        """Put the slice where it was asked for; ValueError if it lies beside the object, or cuts it."""
        plane = SlicePlane(orientation=self.orientation, fov=fov, matrix=events.matrix, thickness=thickness)
        low, high = phantom.extent[plane.axes[2]]
        position = (low + high) / 2 if self.position is None else self.position
        if not low < position < high:
            raise ValueError(
                f"position must lie inside the phantom, {low * 1e3:.1f} to {high * 1e3:.1f} mm, "
                f"got {position * 1e3:.1f} mm"
            )
        plane = centred_plane(phantom, self.orientation, position, fov, events.matrix, thickness)
        if not self.allow_wrap:
            check_fov(phantom, plane)
        return plane

    def _run_cloud(
        self, what: Played, fov: tuple[float, float], thickness: float, options: dict[str, Any]
    ) -> Scan:
        """Scan spins from a file, whose x, y and z are those of the gradients and of the image."""
        from phantoms.spin_files.files import read_spins

        cloud = read_spins(self.phantom)
        position = self.position or 0.0
        if cloud.motion:
            if position:
                raise ValueError(f"position must be 0 m for spins that move, got {position} m")
            if options.get("motion") is not None:
                raise ValueError(f"motion must not be given for {self.phantom}, which has its own")
            options = {**options, "motion": Moving(motions=cloud.by_y().motion)}
        spins = cloud.spins()
        matrix = what.events.matrix
        plane = SlicePlane(orientation=self.orientation, fov=fov, matrix=matrix, thickness=thickness)
        centre = [0.0, 0.0, 0.0]
        centre[plane.axes[2]] = position
        plane = replace(plane, centre=(centre[0], centre[1], centre[2]))
        spins = replace(spins, position=spins.position - np.array([[0.0], [0.0], [position]]))
        return scan_spins(
            spins,
            what,
            plane,
            coils=self.coil_maps(_extent(spins, plane)),
            field_strength=self.field_strength,
            phantom=Path(self.phantom).name,
            **options,
        )


def thinned(phantom: Phantom, step: int) -> Phantom:
    """Every `step`-th voxel of a phantom along each axis, each as large as those that it stands for."""
    if step == 1:
        return phantom
    if step > min(phantom.labels.shape):
        raise ValueError(f"every must be at most {min(phantom.labels.shape)} voxels, got {step}")
    pick = (slice(step // 2, None, step),) * 3
    affine = phantom.affine.copy()
    affine[:3, 3] += phantom.affine[:3, :3] @ np.full(3, step // 2)
    affine[:3, :3] *= step
    freq = None if phantom.freq is None else phantom.freq[pick]
    return replace(phantom, labels=phantom.labels[pick], affine=affine, freq=freq)


def _extent(spins: Spins, plane: SlicePlane) -> Extent:
    """Box around spins in RAS [m]."""
    ras = plane.to_ras(spins.position)
    x, y, z = ((float(c.min()), float(c.max())) for c in ras)
    return x, y, z
