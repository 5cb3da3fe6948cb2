"""One scan of one slab: what is played, what is measured, and what a reconstruction has to know about it."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray

from mrsim.constants import GAMMA_BAR
from mrsim.events import Events
from mrsim.events.blocks import NOT_IMAGED, Block
from mrsim.imperfections.noise import add_noise, noise_sigma
from mrsim.slices.plane import SlicePlane

if TYPE_CHECKING:
    from mrsim.fields import CoilMaps, FieldMap
    from mrsim.imperfections.model import Imperfections
    from mrsim.imperfections.motion import Moving
    from phantoms.phantom import Phantom, Spins

Signal = NDArray[np.complex64]
FRAME_COUNTERS = ("SLC", "ECO", "PHS", "REP", "SET")  # windows that differ in one make different images
COPIES = 3  # of samples and sensitivities that a scan makes
GB = 1e9
NOISE_SAMPLES = 512  # of a measurement of noise
PERFECT = 0.75  # slice thicknesses, half of them with half the cell of a spin on its edge
REACH = 1.5  # slice thicknesses about the plane that a selective pulse may excite


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class Played:
    """A sequence as the scanner plays it.

    name : of the sequence or its file
    events : all of it
    counters : what each receiver window counts, by the names of Pulseq: LIN (line), PAR, SLC, ECO, PHS, REP,
        SET, SEG, AVG and flags
    parameters : te, tr, flip ... in SI, where they are known
    modulation : (sample,) [rad] phase that a reconstruction has to take off, or empty
    """

    name: str
    events: Events
    counters: tuple[Mapping[str, int], ...]
    parameters: Mapping[str, Any] = field(default_factory=dict)
    modulation: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))

    def __post_init__(self) -> None:
        if len(self.counters) != self.events.n_adc:
            raise ValueError(
                f"counters must be given for each of {self.events.n_adc} receiver windows, "
                f"got {len(self.counters)}"
            )

    @property
    def reach(self) -> float:
        """Slice thicknesses about the plane from which there may be signal."""
        if math.isfinite(self.events.box):
            return PERFECT
        selects = bool(self.events.gradient[self.events.pulse >= 0][:, :, 2].any())
        return REACH if selects else 0.5

    @property
    def slice_offsets(self) -> NDArray[np.float64]:
        """(window,) [m] along z, where the frequency of the excitation before each window puts its slice."""
        events = self.events
        gradient = events.gradient[:, :, 2].mean(axis=1)
        selects = np.flatnonzero(events.used_as("excitation") & (gradient != 0))
        if not selects.size:
            return np.zeros(events.n_adc)
        offset = events.frequency[selects] / (GAMMA_BAR * gradient[selects])
        last = np.searchsorted(selects, np.flatnonzero(events.samples > 0)) - 1
        window = events.adc[events.samples > 0]
        found = np.zeros(events.n_adc)
        found[window] = np.where(last < 0, 0.0, offset[last])
        return found

    @property
    def off_centre(self) -> float:
        """Farthest from the plane that frequencies of excitations put a slice [m]."""
        return float(np.abs(self.slice_offsets).max(initial=0.0))


class BlockSequence(Protocol):
    """Any sequence of `mrsim.sequences`."""

    __dataclass_fields__: ClassVar[dict[str, Any]]

    def blocks(self) -> list[Block]:
        """Give what is played."""
        ...

    def events(self) -> Events:
        """Compile to arrays."""
        ...


def played(name: str, sequence: BlockSequence) -> Played:
    """Compile a sequence of `mrsim.sequences`, or from a Pulseq file."""
    events = sequence.events()
    _check_memory(COPIES * events.n_samples)
    told = {f.name: getattr(sequence, f.name) for f in fields(sequence) if "unit" in f.metadata}
    return Played(
        name=name,
        events=events,
        counters=window_counters(sequence.blocks()),
        parameters=timing(events) | told,
        modulation=getattr(sequence, "modulation", np.zeros(0)),
    )


def timing(events: Events) -> dict[str, float]:
    """Echo and repetition time [s] and flip angle [rad], as the events have them.

    The echo is the sample nearest to the centre of k-space, TR the median time between excitations.
    """
    rows = np.flatnonzero(events.used_as("excitation"))
    if not rows.size or not events.n_samples:
        return {}
    trajectory = events.trajectory()
    centre = (np.cumsum(events.duration) - events.duration + events.centre)[rows]
    flip = events.pulses[events.pulse[rows[0]]].flip
    echo = trajectory.time[np.linalg.norm(trajectory.k, axis=1).argmin()]
    found = {"te": float(echo - centre[max(0, np.searchsorted(centre, echo) - 1)]), "flip": flip}
    return found | ({"tr": float(np.median(np.diff(centre)))} if rows.size > 1 else {})


def window_counters(blocks: Sequence[Block]) -> tuple[Mapping[str, int], ...]:
    """Labels of the blocks that receive."""
    return tuple(block.labels for block in blocks if block.adc is not None)


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class Scan:
    """What was measured, with all that a reconstruction and a network need.

    signal : (coil, sample) complex64 in the order of time, receiver phase taken off, in the scale of
        orthonormal k-space
    played : what was asked of the scanner; imperfections do not show in it
    plane : where the image lies
    csm : (coil, y, x) complex64 sensitivities at the pixel centres, or None for one uniform coil
    maps : (y, x) arrays by name: labels, tissue (uint8), b0 [Hz] (float32), as far as they are known
    class_names : of `maps["labels"]`
    field_strength : [T]
    engine reason : the Bloch engine and why it was taken
    seconds : [s] of computing
    noise : (coil, sample) complex64 of the receiver with nothing to hear, or None where it has no noise
    """

    signal: Signal
    played: Played
    plane: SlicePlane
    csm: NDArray[np.complex64] | None
    maps: Mapping[str, NDArray[Any]]
    class_names: tuple[str, ...]
    field_strength: float
    phantom: str
    engine: str
    reason: str
    n_spins: int
    seconds: float
    noise: Signal | None = None

    @property
    def events(self) -> Events:
        """Events that were asked for."""
        return self.played.events

    def demodulated(self) -> Signal:
        """Signal (coil, sample) complex64 without the phase that its sequence leaves to a reconstruction."""
        if not self.played.modulation.size:
            return self.signal
        return np.asarray(self.signal * np.exp(-1j * self.played.modulation), np.complex64)

    def k(self) -> NDArray[np.float64]:
        """(sample, 2) [cycles/pixel] y, x: trajectory that was asked for."""
        return self.events.trajectory().k[:, 1::-1] * self.plane.pixel

    def frames(self) -> list[tuple[dict[str, int], NDArray[np.bool_]]]:
        """Images that the scan makes: what their windows count, and which samples (sample,) are theirs."""
        keys = [
            None if any(c.get(flag, 0) for flag in NOT_IMAGED) else tuple(c.get(n, 0) for n in FRAME_COUNTERS)
            for c in self.played.counters
        ]
        window = np.repeat(self.events.adc, self.events.samples)
        return [
            (dict(zip(FRAME_COUNTERS, key, strict=True)), np.array([k == key for k in keys])[window])
            for key in sorted({k for k in keys if k is not None})
        ]


def scan_phantom(
    phantom: Phantom,
    what: Played,
    plane: SlicePlane,
    *,
    b0: FieldMap | None = None,
    b1: FieldMap | None = None,
    coils: CoilMaps | None = None,
    motion: Moving | None = None,
    imperfections: Imperfections | None = None,
    **options: Any,  # noqa: ANN401  of scan_spins
) -> Scan:
    """Scan the slab of a phantom about `plane`, with its oracle labels; `options` as of `scan_spins`.

    b0 b1 : maps of off-resonance [Hz] and of the transmit field over the nominal one
    """
    from mrsim.slices.oracle import class_fractions, oracle_labels, tissue_labels
    from mrsim.slices.slab import slab_spins

    away = _through_plane(phantom, what, plane, (motion, imperfections))
    reach = what.reach + (away + what.off_centre) / plane.thickness
    spins = slab_spins(phantom, plane, b0=b0, reach=reach)
    if b1 is not None:
        spins = replace(spins, b1=b1.at(plane.to_ras(spins.position)).astype(np.complex64))
    fractions = class_fractions(phantom, plane)
    maps: dict[str, NDArray[Any]] = {
        "labels": oracle_labels(fractions, phantom.oracle)[0],
        "tissue": tissue_labels(fractions, phantom.oracle),
    }
    if b0 is not None:
        maps["b0"] = b0.on_image(plane)
    return scan_spins(
        spins,
        what,
        plane,
        coils=coils,
        maps=maps,
        class_names=phantom.oracle.names,
        field_strength=phantom.tissues.field_strength,
        tissues=phantom.tissues,
        phantom=f"{phantom.name} {phantom.subject}",
        motion=motion,
        imperfections=imperfections,
        **options,
    )


def _through_plane(
    phantom: Phantom, what: Played, plane: SlicePlane, movers: tuple[Moving | None, Imperfections | None]
) -> float:
    """How far the spins of the slice may come from [m], along its normal."""
    motion, wrong = movers
    box = plane.coordinates(np.array(phantom.extent))
    perfect = math.isfinite(what.events.box)  # such a slice keeps the spins that it has at the start
    duration = 0.0 if perfect else what.events.total_duration
    far = wrong.through_plane(box, plane, duration) if wrong else 0.0
    return far + (motion.through_plane(box, duration) if motion else 0.0)


def scan_spins(
    spins: Spins,
    what: Played,
    plane: SlicePlane,
    *,
    coils: CoilMaps | None = None,
    maps: Mapping[str, NDArray[Any]] | None = None,
    class_names: tuple[str, ...] = (),
    field_strength: float = math.nan,
    phantom: str = "spins",
    imperfections: Imperfections | None = None,
    noise: float = 0.0,
    seed: int = 0,
    **options: Any,  # noqa: ANN401  tissues, motion, engine, device, n_sub of `mrsim.scanner.measure.measure`
) -> Scan:
    """Scan spins whose positions are in the image frame of `plane`.

    noise : standard deviation of real and imaginary part, as a share of the root mean square of all samples
    seed : of the noise and of the spikes
    """
    begin = time.monotonic()
    if what.events.matrix != plane.matrix:
        raise ValueError(
            f"matrix of the plane must be that of the sequence, {what.events.matrix}, got {plane.matrix}"
        )
    if not 0 <= noise < math.inf:
        raise ValueError(f"noise must be finite and not negative, got {noise}")
    n_coils = coils.n_coils if coils is not None else 1
    _check_memory(COPIES * n_coils * (what.events.n_samples + spins.tissue.size))
    from mrsim.scanner.measure import PERFECT as NOTHING_WRONG
    from mrsim.scanner.measure import measure

    # Coils and B0 belong to where spins are, gradients to where imperfections make them seem to be.
    sensitivity = coils.on_spins(spins, plane) if coils is not None else None
    wrong = imperfections or NOTHING_WRONG
    signal, name, reason = measure(
        spins,
        what.events,
        plane,
        coils=sensitivity,
        field_strength=field_strength,
        imperfections=wrong,
        **options,
    )
    heard = None
    if noise > 0:
        heard = noise_sigma(signal, noise) * _unit_noise((signal.shape[0], NOISE_SAMPLES), seed)
        signal = add_noise(signal, noise, seed=seed, case=0)
    signal = wrong.of_signal(signal, what.events, np.random.default_rng([seed, 1]))
    return Scan(
        signal=signal,
        played=what,
        plane=plane,
        csm=coils.on_image(plane) if coils is not None else None,
        maps=dict(maps or {}),
        class_names=class_names,
        field_strength=field_strength,
        phantom=phantom,
        engine=name,
        reason=reason,
        n_spins=spins.tissue.size,
        seconds=time.monotonic() - begin,
        noise=heard,
    )


def _check_memory(numbers: int) -> None:
    """Refuse a scan whose complex64 `numbers` this machine cannot hold."""
    here = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") if hasattr(os, "sysconf") else math.inf
    if numbers * 8 > here:
        raise ValueError(
            f"spins and samples of all coils must fit into the memory of {here / GB:.0f} GB, "
            f"got {numbers * 8 / GB:.0f} GB: take a smaller matrix, fewer coils, or fewer spins (--every 2)"
        )


def _unit_noise(shape: tuple[int, int], seed: int) -> Signal:
    """Complex noise, 1 in real and imaginary part, that no scan of the seed has."""
    parts = np.random.default_rng([seed, 2]).standard_normal((*shape, 2), dtype=np.float32)
    return np.asarray(parts.view(np.complex64)[..., 0])
