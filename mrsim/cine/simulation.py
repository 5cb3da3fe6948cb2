"""A cine subject from draws to arrays: what `mrsim.datasets.simulation` is to still pictures."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
from numba import get_num_threads, set_num_threads
from numpy.typing import NDArray

from mrsim.cine.field import MIDDLE, chest_coils, heart_b0, thorax
from mrsim.cine.gated import Scan
from mrsim.cine.gating import drawn_beats, segments, timeline
from mrsim.cine.ideal import Part, steady_frames
from mrsim.cine.oracle import Answers, answers, crop_around, over_cycle, within
from mrsim.cine.readout import readout
from mrsim.cine.scene import Box, Scene, cropped, full_plane
from mrsim.cine.steady import SignalTable, Train, signal_table, tabulated
from mrsim.datasets.draws import SUBJECT_KEY, SubjectDraw, generator
from mrsim.fields import CoilMaps, FieldMap
from mrsim.imperfections.noise import add_noise
from mrsim.recipes.recipe import Recipe
from mrsim.recipes.sources import oracle_of
from phantoms.cardiac.heart import Heart
from phantoms.cardiac.names import LV_BLOOD, RV_BLOOD
from phantoms.phantom import PhantomSource

Arrays = dict[str, NDArray[Any]]
CINE_STREAM = 3  # from here on: third words of the counter of a slice's beats and field drift


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class Subject:
    """A heart in the scanner, with its field map and the coils around it."""

    heart: Heart
    b0: FieldMap | None
    coils: CoilMaps | None


def prepare(recipe: Recipe, source: PhantomSource, draw: SubjectDraw) -> Subject:
    """Make the heart, the B0 map of its thorax, and place the coils."""
    heart: Heart = source.heart(draw.subject)  # type: ignore[attr-defined]
    scanner = recipe.scanner
    b0, coils = None, None
    if scanner.b0 != "off":
        body = thorax(heart, draw.table, oracle_of(recipe), MIDDLE)
        rng = np.random.Generator(np.random.Philox(draw.b0_seed))
        b0 = heart_b0(body, heart, scanner.b0, strength=scanner.b0_strength, rng=rng)
    if scanner.coils > 1:
        coils = chest_coils(heart, scanner.coil_array, scanner.coils)
    return Subject(heart=heart, b0=b0, coils=coils)


def simulate_all(
    recipe: Recipe, source: PhantomSource, draws: Sequence[SubjectDraw], progress: Callable[[int], None]
) -> Iterator[tuple[SubjectDraw, Arrays]]:
    """Yield all subjects in their order, one to a thread; no number depends on the threads.

    progress : called with the number of slices after each subject
    """

    def one(draw: SubjectDraw) -> Arrays:
        return simulate_subject(recipe, draw, prepare(recipe, source, draw))

    n = get_num_threads()
    with ThreadPoolExecutor(n, initializer=set_num_threads, initargs=(1,)) as pool:
        coming = deque(pool.submit(one, draw) for draw in draws[: n + 1])
        try:
            for i, draw in enumerate(draws):
                arrays = coming.popleft().result()
                if i + n + 1 < len(draws):  # no more than these are kept: a stack takes 200 MB
                    coming.append(pool.submit(one, draws[i + n + 1]))
                yield draw, arrays
                progress(len(draw.positions))
        finally:
            pool.shutdown(cancel_futures=True)


def simulate_subject(
    recipe: Recipe, draw: SubjectDraw, subject: Subject, progress: Callable[[int], None] = lambda _: None
) -> Arrays:
    """All slices of one subject: (slice, ...) arrays by their names in the store.

    progress : called with 1 after each slice
    """
    arrays: Arrays = {}
    n, first = len(draw.positions), draw.rank * len(draw.positions)
    for i in range(n):
        for name, value in simulate_slice(recipe, draw, subject, i, first + i).items():
            arrays.setdefault(name, np.empty((n, *value.shape), value.dtype))[i] = value
        progress(1)
    return arrays


def simulate_slice(recipe: Recipe, draw: SubjectDraw, subject: Subject, number: int, case: int) -> Arrays:
    """One cine: every array that the store keeps of it."""
    spec, (sequence,) = recipe.cine, draw.sequences[number]
    assert spec is not None
    plane = full_plane(draw.positions[number], sequence.fov, sequence.matrix, sequence.thickness)
    heart = subject.heart
    scene = Scene(
        heart=heart,
        plane=plane,
        cuts=spec.spins,
        phases=heart.frames(spec.n_frames),
        breath=spec.breathing * heart.case.breath[number],
    )
    moving = scene.labels(scene.phases, scene.moving)
    found = oracle(scene, moving, recipe)
    crop = crop_around(found.labels, spec.crop, scene)
    parts_field = [scene.field(subject.b0, box) for box in (scene.whole, scene.moving)]
    span = (float(parts_field[0].min()), float(parts_field[0].max()))
    table = signal_table(draw.table, sequence, span)
    whole, box = (
        Part(box=b, place=table.place(f), coils=coils_at(subject.coils, scene, b))
        for b, f in zip((scene.whole, scene.moving), parts_field, strict=True)
    )
    parts = (whole, box)
    if spec.mode == "gated":
        kspace = _gated(recipe, draw, sequence, scene, parts, table, number).frames(spec.n_frames, crop)
    else:
        signals = _signals(recipe, draw, sequence, table, number)
        kspace = steady_frames(scene, parts, moving, signals, gains(recipe, heart, scene.phases), crop)
    return stored(recipe, subject, plane, found, crop, kspace, case)


def _generator(recipe: Recipe, draw: SubjectDraw, number: int) -> np.random.Generator:
    """Of the subject, so that its slices are the same alone and among others."""
    return generator(recipe.seed, SUBJECT_KEY + draw.subject, CINE_STREAM + number)


def _signals(
    recipe: Recipe,
    draw: SubjectDraw,
    sequence: Any,  # noqa: ANN401 - BalancedSsfp
    table: SignalTable,
    number: int,
) -> list[NDArray[np.complex64]]:
    """Signals (tissue, frequency) of each frame, whose field may be shifted."""
    spec = recipe.cine
    assert spec is not None
    if not spec.b0_drift:
        return [table.values] * spec.n_frames
    shifts = spec.b0_drift * _generator(recipe, draw, number).standard_normal(spec.n_frames)
    count = table.values.shape[1]
    return [tabulated(draw.table, sequence, table.first + f, count).values for f in shifts.tolist()]


def _gated(
    recipe: Recipe,
    draw: SubjectDraw,
    sequence: Any,  # noqa: ANN401 - BalancedSsfp
    scene: Scene,
    parts: tuple[Part, Part],
    table: SignalTable,
    number: int,
) -> Scan:
    """Lay out the gated scan of a slice, with beats as they are drawn."""
    spec, rr, n_lines = recipe.cine, scene.heart.case.rr, sequence.matrix[0]
    assert spec is not None
    rng = _generator(recipe, draw, number)
    beats = drawn_beats(segments(n_lines, spec.segment), rr, spec.rr_variation, rng)
    return Scan(
        scene=scene,
        parts=parts,
        train=Train(tissues=draw.table, sequence=sequence, table=table),
        readout=readout(draw.table, sequence, table),
        timeline=timeline(n_lines, spec.segment, sequence.tr, sequence.te, rr, beats),
        gain=lambda phases: gains(recipe, scene.heart, phases),
    )


def oracle(scene: Scene, moving: NDArray[np.uint8], recipe: Recipe) -> Answers:
    """Answers for the full field of view in every frame."""
    classes = oracle_of(recipe)
    rest = answers(scene.at_rest[None], scene.cuts, classes)
    return over_cycle(rest, answers(moving, scene.cuts, classes), scene.moving)


def gains(recipe: Recipe, heart: Heart, phases: NDArray[np.float64]) -> NDArray[np.float32]:
    """Factors (frame, tissue) on the signal: 1, and in-flow of fresh spins where the recipe asks for it."""
    assert recipe.cine is not None
    found = np.ones((phases.size, len(oracle_of(recipe).of_tissue)), np.float32)
    if recipe.cine.inflow:
        flow = 1 + recipe.cine.inflow * speed(heart, phases)
        found[:, LV_BLOOD] = found[:, RV_BLOOD] = flow
    return found


def speed(heart: Heart, phases: NDArray[np.float64]) -> NDArray[np.float64]:
    """How fast blood moves at `phases`: the rate of the volume's change over its largest, 0 to 1."""
    step = 1e-3
    every = np.arange(0, 1, step)

    def rate(at: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.abs(heart.contraction(at + step / 2) - heart.contraction(at - step / 2))

    return np.asarray(rate(phases) / rate(every).max())


def coils_at(coils: CoilMaps | None, scene: Scene, box: Box) -> NDArray[np.complex64] | None:
    """Sensitivities (coil, x, y) in the middle of the slice at the spins of a box."""
    if coils is None:
        return None
    (x, y, _), (in_x, in_y) = scene.places, scene.spins(box)
    return coils.on_lattice(y[in_y], x[in_x], np.array([scene.plane.centre[2]]))[:, 0]


def stored(
    recipe: Recipe,
    subject: Subject,
    plane: Any,  # noqa: ANN401 - SlicePlane
    found: Answers,
    crop: Box | None,
    kspace: NDArray[np.complex64],
    case: int,
) -> Arrays:
    """Arrays of the store: the crop of the answers and maps, and k-space with its baked noise."""
    if crop is not None:
        found, plane = within(found, crop), cropped(plane, crop)
    output = recipe.output
    if output.noise > 0:
        kspace = add_noise(
            kspace,
            output.noise,
            seed=recipe.seed,
            case=case,
            reference=output.noise_reference,
            labels=found.labels,
            class_names=oracle_of(recipe).names,
        )
    arrays: Arrays = {
        "kspace": kspace,
        "labels": found.labels,
        "tissue": found.tissue,
        "affine": plane.affine,
    }
    if output.soft_labels:
        arrays["fractions"] = found.fractions()
    if subject.b0 is not None:
        arrays["b0"] = subject.b0.on_image(plane)
    if subject.coils is not None:
        arrays["csm"] = subject.coils.on_image(plane)
    return arrays
