"""One subject from drawn parameters to arrays: field maps, planes, spins, k-space and oracle labels."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numba import get_num_threads, set_num_threads
from numpy.typing import NDArray

from mrsim.bloch.engine import simulate
from mrsim.draws import SubjectDraw
from mrsim.fields import COILS, CoilMaps, FieldMap, smooth_b0, susceptibility_b0
from mrsim.noise import add_noise
from mrsim.oracle import class_fractions, oracle_labels, tissue_labels
from mrsim.plane import SlicePlane, centred_plane, check_fov
from mrsim.recipe import Recipe
from mrsim.slab import slab_spins
from mrsim.slices import SliceError
from phantoms.phantom import Phantom, PhantomSource, Spins

Arrays = dict[str, NDArray[Any]]


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class Subject:
    """A subject in the scanner: the phantom with its drawn tissues, its field map and the coils around it."""

    phantom: Phantom
    b0: FieldMap | None
    coils: CoilMaps | None


def prepare(recipe: Recipe, source: PhantomSource, draw: SubjectDraw) -> Subject:
    """Load the phantom, give it its tissues, compute its B0 map and place the coils."""
    phantom = source.load(draw.subject).with_tissues(draw.table)
    scanner = recipe.scanner
    b0 = None
    if scanner.b0 == "susceptibility":
        b0 = susceptibility_b0(phantom, strength=scanner.b0_strength)
    elif scanner.b0 == "smooth":
        rng = np.random.Generator(np.random.Philox(draw.b0_seed))
        b0 = smooth_b0(phantom, rng, strength=scanner.b0_strength)
    coils = COILS[scanner.coil_array](scanner.coils, phantom.extent) if scanner.coils > 1 else None
    return Subject(phantom=phantom, b0=b0, coils=coils)


def simulate_subject(
    recipe: Recipe, draw: SubjectDraw, subject: Subject, progress: Callable[[int], None] = lambda _: None
) -> Arrays:
    """All slices of one subject: (slice, ...) arrays by their names in the store.

    progress : called with 1 after each slice
    """
    first = draw.rank * len(draw.positions)
    jobs = zip(planes(recipe, draw, subject.phantom), draw.sequences, itertools.count(first), strict=False)
    cases = []
    # A slice per thread: its spins and labels take one core anyway, and no number depends on the threads.
    with ThreadPoolExecutor(get_num_threads(), initializer=set_num_threads, initargs=(1,)) as pool:
        futures = [pool.submit(simulate_case, recipe, subject, *job) for job in jobs]
        try:
            for future in futures:
                cases.append(future.result())
                progress(1)
        finally:
            pool.shutdown(cancel_futures=True)
    return {name: np.stack([case[name] for case in cases]) for name in cases[0]}


def planes(recipe: Recipe, draw: SubjectDraw, phantom: Phantom) -> list[SlicePlane]:
    """Place the slices of a subject; refuse a field of view that cuts the object, and slices beside it."""
    sequence, spec = recipe.sequence, recipe.slices
    first = centred_plane(
        phantom, spec.orientation, draw.positions[0], sequence.fov, sequence.matrix, sequence.thickness
    )
    axis = first.axes[2]
    low, high = phantom.extent[axis]
    outside = [p for p in draw.positions if not low < p < high]
    if outside:
        raise SliceError(
            f"slices must lie inside the phantom, {low * 1e3:.1f} to {high * 1e3:.1f} mm, "
            f"got {outside[0] * 1e3:.1f} mm"
        )
    if not spec.allow_wrap:
        try:
            check_fov(phantom, first)
        except ValueError as error:
            raise SliceError(f"{error} (or let it wrap: --allow-wrap)") from None
    centre = list(first.centre)
    found = []
    for position in draw.positions:
        centre[axis] = position
        found.append(replace(first, centre=(centre[0], centre[1], centre[2])))
    return found


def simulate_case(
    recipe: Recipe,
    subject: Subject,
    plane: SlicePlane,
    sequence: Any,  # noqa: ANN401  any sequence
    case: int,
) -> Arrays:
    """One slice: every array that the store keeps of it."""
    spins = slab_spins(subject.phantom, plane, b0=subject.b0)
    sensitivity = coils_at(subject.coils, plane, spins) if subject.coils else None
    kspace = simulate(spins, sequence, coils=sensitivity, engine=recipe.engine)
    fractions = class_fractions(subject.phantom, plane)
    labels, soft = oracle_labels(fractions, subject.phantom.oracle)
    arrays: Arrays = {
        "kspace": kspace,
        "labels": labels,
        "tissue": tissue_labels(fractions, subject.phantom.oracle),
        "affine": plane.affine,
    }
    if recipe.output.noise > 0:
        arrays["kspace"] = add_noise(
            kspace,
            recipe.output.noise,
            seed=recipe.seed,
            case=case,
            reference=recipe.output.noise_reference,
            labels=labels,
            class_names=subject.phantom.oracle.names,
        )
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
