"""A recipe becomes a store: draw everything, then simulate subject by subject, here or on a cluster.

from mrsim.datasets.generate import generate
from mrsim.recipes import load_recipe
store = generate(load_recipe("synthetic-se", subjects=(0, 1), slices=10), "brains.zarr")
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mrsim.cine.draws import cine_coordinates, stack
from mrsim.datasets.draws import SubjectDraw, coordinates, draw_subject
from mrsim.datasets.parallel import WorkerError, run_on_cluster
from mrsim.recipes.recipe import Recipe
from mrsim.recipes.slice_sets import automatic
from mrsim.recipes.sources import base_table, oracle_of, provenance, require_files, source_of
from mrsim.slices.plane import AXES
from mrsim.store import Layout, Store, StoreError, StoreWriter, SubjectWriter, open_store
from mrsim.versions import versions

if TYPE_CHECKING:
    from phantoms.phantom import PhantomSource

Progress = Callable[[int, int], None]  # cases done, cases in all

# Their phantoms are read, not computed: loading the next one beside a running simulation pays, and starts
# no second parallel Numba kernel, which one of Numba's threading layers cannot bear.
READ_AHEAD = ("brainweb", "nifti")


class GenerateError(Exception):
    """A run that could not go on; the message says why, and what is complete."""


def generate(
    recipe: Recipe,
    path: str | Path,
    *,
    workers: int = 0,
    scheduler: str | None = None,
    overwrite: bool = False,
    phantom_dir: str | Path | None = None,
    progress: Progress | None = None,
) -> Store:
    """Simulate the recipe into the store at `path` and open it; what is complete there is not done again.

    path : directory, `.zip` file or fsspec URL
    workers : 0 simulates in this process on all cores; N starts N processes (Dask) on this machine
    scheduler : address of a running dask.distributed scheduler, whose workers see the same `path`
    phantom_dir : folder of the BrainWeb volumes
    The result has the same bytes for every choice of workers, and after any number of interruptions.
    StoreError, PhantomError, ValueError or GenerateError say in one sentence what is wrong.
    """
    target = Path(path) if str(path).endswith(".zip") and "://" not in str(path) else None
    if target is not None:
        return _generate_zip(recipe, target, workers, scheduler, overwrite, phantom_dir, progress)
    if not overwrite and (store := _finished(recipe, path)):
        return store
    _check_engine(recipe)
    source = source_of(recipe, phantom_dir)
    require_files(source, recipe.phantom.subjects)
    if recipe.device != "cpu":
        from mrsim.bloch.engine import require_device

        require_device(recipe.device)
    draws = draw_all(recipe, source)
    coords = {**coordinates(recipe, draws), **cine_coordinates(recipe, source)}
    writer = StoreWriter.create(path, _layout(recipe), coords, _attrs(recipe, source), overwrite=overwrite)
    pending = writer.pending()
    report = _counter(writer, len(pending), progress)
    try:
        if pending:  # a run may have been killed after its last subject, before it was declared complete
            _run(recipe, writer, [draws[rank] for rank in pending], workers, scheduler, phantom_dir, report)
        writer.finish()
    except KeyboardInterrupt:
        raise KeyboardInterrupt(f"interrupted; {_complete(writer)}") from None
    except OSError as error:
        raise GenerateError(f"{error.strerror or error}; {_complete(writer)}") from error
    except (StoreError, WorkerError) as error:
        raise GenerateError(f"{error}; {_complete(writer)}") from error
    return open_store(path)


def _check_engine(recipe: Recipe) -> None:
    """GenerateError if the engine asked for is not exact for a sequence, before anything is written."""
    from mrsim.bloch import factorise, segments

    refusal = {"cartesian": factorise.refusal, "nufft": segments.refusal}.get(recipe.engine)
    for sequence in recipe.sequences if refusal else ():
        if refusal and (reason := refusal(sequence.events())):
            raise GenerateError(f"engine {recipe.engine} must not be taken, because {reason}: take auto")


def _finished(recipe: Recipe, path: str | Path) -> Store | None:
    """Open the finished store of the same recipe at `path`, if there is one."""
    try:
        store = open_store(path)
    except StoreError:
        return None
    return store if store.attrs.get("recipe_hash") == recipe.hash else None


def draw_all(recipe: Recipe, source: PhantomSource) -> list[SubjectDraw]:
    """Draw every subject; automatic slices look at the phantoms."""
    spec = recipe.slices
    found = []
    for rank, subject in enumerate(recipe.phantom.subjects):
        positions: list[float] = list(spec.positions)
        if recipe.cine is not None:
            positions = stack(recipe, source, subject)
        elif not positions:
            phantom = source.load(subject)
            for view in spec.orientations:
                positions += automatic(phantom, AXES[view][2], spec.views.count(view)).tolist()
        found.append(draw_subject(recipe, rank, positions))
    return found


def generate_subject(
    recipe: Recipe, writer: SubjectWriter, draw: SubjectDraw, phantom_dir: str | None, threads: int = 0
) -> int:
    """One subject from beginning to end: what a Dask worker does. Returns its place.

    threads : of Numba; 0 leaves them
    """
    import numba

    prepare, simulate_subject = _simulation(recipe)
    if threads:
        numba.set_num_threads(min(threads, numba.get_num_threads()))
    subject = prepare(recipe, source_of(recipe, phantom_dir), draw)
    writer.write(simulate_subject(recipe, draw, subject))
    return draw.rank


def _simulation(recipe: Recipe) -> tuple[Any, Any]:
    """Find what makes a subject ready and what simulates it, of still pictures or of cines."""
    if recipe.cine is not None:
        from mrsim.cine import simulation as cine

        return cine.prepare, cine.simulate_subject
    from mrsim.datasets import simulation as still

    return still.prepare, still.simulate_subject


def _run(
    recipe: Recipe,
    writer: StoreWriter,
    draws: Sequence[SubjectDraw],
    workers: int,
    scheduler: str | None,
    phantom_dir: str | Path | None,
    report: Callable[[int], None],
) -> None:
    folder = None if phantom_dir is None else str(phantom_dir)
    if not workers and not scheduler:
        _run_here(recipe, writer, draws, source_of(recipe, folder), report)
        return
    if writer.path.startswith("memory://"):
        raise StoreError(f"{writer.path} lives in this process only; use --workers 0")
    n_slices = writer.layout.n_slices
    run_on_cluster(
        generate_subject,
        [(recipe, writer.of_subject(draw.rank), draw, folder) for draw in draws],
        workers=workers,
        scheduler=scheduler,
        on_done=lambda: report(n_slices),
    )


def _run_here(
    recipe: Recipe,
    writer: StoreWriter,
    draws: Sequence[SubjectDraw],
    source: PhantomSource,
    report: Callable[[int], None],
) -> None:
    """Simulate with all cores; the next phantom is read and the last subject written meanwhile."""
    if recipe.cine is not None:
        from mrsim.cine.simulation import simulate_all

        for draw, arrays in simulate_all(recipe, source, draws, report):
            writer.write_subject(draw.rank, arrays)
        return
    prepare, simulate_subject = _simulation(recipe)
    with ThreadPoolExecutor(1) as reader, ThreadPoolExecutor(1) as saver:
        coming: Future[Any] | None = None
        saving: Future[None] | None = None
        for draw, following in zip(draws, [*draws[1:], None], strict=True):
            subject = coming.result() if coming else prepare(recipe, source, draw)
            ahead = following is not None and recipe.phantom.source in READ_AHEAD
            coming = reader.submit(prepare, recipe, source, following) if ahead and following else None
            arrays = simulate_subject(recipe, draw, subject, report)
            if saving:
                saving.result()
            saving = saver.submit(writer.write_subject, draw.rank, arrays)
        if saving:
            saving.result()


def _layout(recipe: Recipe) -> Layout:
    sequence, scanner, output = recipe.sequence, recipe.scanner, recipe.output
    n_y, n_x = sequence.matrix
    cine = recipe.cine
    return Layout(
        n_subjects=len(recipe.phantom.subjects),
        n_slices=len(recipe.slices.numbers),
        shape=(cine.crop[0], cine.crop[1]) if cine and cine.crop else (n_y, n_x),
        pixel_spacing=(sequence.fov[0] / n_y, sequence.fov[1] / n_x),
        class_names=oracle_of(recipe).names,
        tissue_names=tuple(tissue.name for tissue in base_table(recipe).tissues),
        contrasts=tuple(contrast.name for contrast in recipe.contrasts),
        n_frames=cine.n_frames if cine else 0,
        n_coils=scanner.coils,
        b0=scanner.b0 != "off",
        csm=scanner.coils > 1,
        inu=cine is None,
        fractions=output.soft_labels,
        codec=output.codec,
    )


def _attrs(recipe: Recipe, source: PhantomSource) -> dict[str, object]:
    return {
        "title": recipe.title,
        "recipe": recipe.as_dict(),
        "recipe_hash": recipe.hash,
        "seed": recipe.seed,
        "versions": versions(),
        **provenance(source),
    }


def _counter(writer: StoreWriter, n_pending: int, progress: Progress | None) -> Callable[[int], None]:
    """Make the function that counts further cases on top of those that were there already."""
    total = writer.layout.n_cases
    done = total - n_pending * writer.layout.n_slices

    def report(cases: int) -> None:
        nonlocal done
        done += cases
        if progress is not None:
            progress(done, total)

    report(0)
    return report


def _complete(writer: StoreWriter) -> str:
    """Say what an interrupted run leaves."""
    try:
        done = writer.layout.n_subjects - len(writer.pending())
    except Exception:
        return "what was complete stays"
    return (
        f"{done} of {writer.layout.n_subjects} subjects are complete in {writer.path}, "
        "the same command goes on from there"
    )


def _generate_zip(
    recipe: Recipe,
    target: Path,
    workers: int,
    scheduler: str | None,
    overwrite: bool,
    phantom_dir: str | Path | None,
    progress: Progress | None,
) -> Store:
    """Grow the store in a directory beside the zip file and pack it at the end: a zip cannot be rewritten."""
    from mrsim.store.packing import pack

    if target.exists() and not overwrite:
        if store := _finished(recipe, target):
            return store
        raise StoreError(
            f"{target} holds another recipe; choose another --out or replace it with --overwrite"
        )
    folder = target.with_suffix(".partial")
    generate(
        recipe,
        folder,
        workers=workers,
        scheduler=scheduler,
        overwrite=overwrite,
        phantom_dir=phantom_dir,
        progress=progress,
    )
    pack(folder, target)
    shutil.rmtree(folder)
    return open_store(target)
