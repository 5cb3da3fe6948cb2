"""One subject from drawn parameters to arrays: field maps, planes, spins, k-space and oracle labels."""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numba import get_num_threads, set_num_threads
from numpy.typing import NDArray

from mrsim.bloch.engine import simulate
from mrsim.datasets.draws import SubjectDraw
from mrsim.fields import COILS, CoilMaps, FieldMap, smooth_b0, susceptibility_b0
from mrsim.imperfections.inu import brain_field
from mrsim.imperfections.noise import add_noise
from mrsim.recipes.recipe import Recipe
from mrsim.recipes.slice_sets import SliceError
from mrsim.recipes.sources import oracle_of
from mrsim.slices.oracle import class_fractions, oracle_labels, tissue_labels
from mrsim.slices.plane import SlicePlane, centred_plane, check_fov
from mrsim.slices.slab import slab_spins
from phantoms.phantom import Phantom, PhantomSource, Spins

Arrays = dict[str, NDArray[Any]]

INU_VOXEL = 1e-3  # [m] a non-uniformity field varies over centimetres


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class Subject:
    """A subject in the scanner: the phantom with its drawn tissues, its field map and the coils around it.

    inu : ([contrast,] inu_term) non-uniformity fields, as the store keeps them
    """

    phantom: Phantom
    b0: FieldMap | None
    coils: CoilMaps | None
    inu: NDArray[np.float64]


def prepare(recipe: Recipe, source: PhantomSource, draw: SubjectDraw) -> Subject:
    """Load the phantom, give it its tissues and classes, compute its B0 map and place the coils."""
    phantom = source.load(draw.subject).with_tissues(draw.table)
    inu = non_uniformity(phantom, draw.inu)
    phantom = replace(phantom, oracle=oracle_of(recipe))
    scanner = recipe.scanner
    b0 = None
    if scanner.b0 == "susceptibility":
        b0 = susceptibility_b0(phantom, strength=scanner.b0_strength)
    elif scanner.b0 == "smooth":
        rng = np.random.Generator(np.random.Philox(draw.b0_seed))
        b0 = smooth_b0(phantom, rng, strength=scanner.b0_strength)
    coils = COILS[scanner.coil_array](scanner.coils, phantom.extent) if scanner.coils > 1 else None
    return Subject(phantom=phantom, b0=b0, coils=coils, inu=inu if recipe.contrasts else inu[0])


def non_uniformity(phantom: Phantom, coefficients: NDArray[np.float64]) -> NDArray[np.float64]:
    """Bring the drawn fields (contrast, 20) to [-1, 1] over the tissues to segment, on a 1 mm lattice.

    returns : (contrast, inu_term)
    """
    step = max(1, int(INU_VOXEL / phantom.spacing.max() + 1e-6))
    inside = (np.array(phantom.oracle.of_tissue) != 0)[phantom.labels[::step, ::step, ::step]]
    affine = phantom.affine @ np.diag([step, step, step, 1.0])
    return np.stack([brain_field(row, inside, affine) for row in coefficients])


def simulate_subject(
    recipe: Recipe, draw: SubjectDraw, subject: Subject, progress: Callable[[int], None] = lambda _: None
) -> Arrays:
    """All slices of one subject: (slice, ...) arrays by their names in the store.

    progress : called with 1 after each slice
    """
    first = draw.rank * len(draw.positions)
    places = planes(recipe, draw, subject.phantom)
    jobs = zip(places, draw.sequences, itertools.count(first), strict=False)
    arrays: Arrays = {}
    # A slice per thread: its spins and labels take one core anyway, and no number depends on the threads.
    with ThreadPoolExecutor(get_num_threads(), initializer=set_num_threads, initargs=(1,)) as pool:
        futures = deque(pool.submit(simulate_case, recipe, subject, *job) for job in jobs)
        try:
            for i in range(len(places)):
                case = futures.popleft().result()  # nothing is kept twice: a subject may have 399 slices
                for name, value in case.items():
                    arrays.setdefault(name, np.empty((len(places), *value.shape), value.dtype))[i] = value
                progress(1)
        finally:
            pool.shutdown(cancel_futures=True)
    return arrays


def planes(recipe: Recipe, draw: SubjectDraw, phantom: Phantom) -> list[SlicePlane]:
    """Place the slices of a subject; refuse a field of view that cuts the object, and slices beside it."""
    views = {view: _first_plane(recipe, draw, phantom, view) for view in recipe.slices.orientations}
    found = []
    for view, position in zip(recipe.slices.views, draw.positions, strict=True):
        plane = views[view]
        axis = plane.axes[2]
        low, high = phantom.extent[axis]
        if not low < position < high:
            raise SliceError(
                f"slices must lie inside the phantom, {low * 1e3:.1f} to {high * 1e3:.1f} mm, "
                f"got {position * 1e3:.1f} mm"
            )
        centre = [*plane.centre[:axis], position, *plane.centre[axis + 1 :]]
        found.append(replace(plane, centre=(centre[0], centre[1], centre[2])))
    return found


def _first_plane(recipe: Recipe, draw: SubjectDraw, phantom: Phantom, view: str) -> SlicePlane:
    """Place the first slice of a view; refuse a field of view that cuts the object."""
    sequence = recipe.sequence
    position = draw.positions[recipe.slices.views.index(view)]
    plane = centred_plane(phantom, view, position, sequence.fov, sequence.matrix, sequence.thickness)
    if not recipe.slices.allow_wrap:
        try:
            check_fov(phantom, plane)
        except ValueError as error:
            raise SliceError(str(error)) from None
    return plane


def simulate_case(
    recipe: Recipe,
    subject: Subject,
    plane: SlicePlane,
    sequences: tuple[Any, ...],
    case: int,
) -> Arrays:
    """One slice in every contrast: every array that the store keeps of it."""
    spins = slab_spins(subject.phantom, plane, b0=subject.b0)
    sensitivity = coils_at(subject.coils, plane, spins) if subject.coils else None
    scans = [
        simulate(spins, sequence, coils=sensitivity, engine=recipe.engine, device=recipe.device)
        for sequence in sequences
    ]
    fractions = class_fractions(subject.phantom, plane)
    labels, soft = oracle_labels(fractions, subject.phantom.oracle)
    if recipe.output.noise > 0:
        scans = [
            add_noise(
                scan,
                recipe.output.noise,
                seed=recipe.seed,
                case=case,
                contrast=number,
                reference=recipe.output.noise_reference,
                labels=labels,
                class_names=subject.phantom.oracle.names,
            )
            for number, scan in enumerate(scans)
        ]
    arrays: Arrays = {
        "kspace": np.stack(scans) if recipe.contrasts else scans[0],
        "labels": labels,
        "tissue": tissue_labels(fractions, subject.phantom.oracle),
        "affine": plane.affine,
        "inu": subject.inu,
    }
    if recipe.output.soft_labels:
        arrays["fractions"] = soft
    if subject.b0 is not None:
        arrays["b0"] = subject.b0.on_image(plane)
    if subject.coils is not None:
        arrays["csm"] = subject.coils.on_image(plane)
    return arrays


def coils_at(coils: CoilMaps, plane: SlicePlane, spins: Spins) -> NDArray[np.complex64]:
    """Sensitivities at the spins, (coil, spin), read from the lattice that the spins of a slab lie on."""
    if not spins.tissue.size:
        return np.zeros((coils.n_coils, 0), np.complex64)
    (x, ix), (y, iy), (z, iz) = (np.unique(axis, return_inverse=True) for axis in spins.position)
    maps = plane.in_image_axes(coils.on_lattice(*plane.ras_lattice(x, y, z)))  # (coil, z, y, x)
    at_spins: NDArray[np.complex64] = maps[:, iz, iy, ix]
    return at_spins
