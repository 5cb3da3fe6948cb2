"""The command `mrsim`: from digital phantoms to labelled k-space."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

from cli.errors import checked, one_line_errors
from cli.generate_options import overrides, recipe_options
from cli.mrsim_export import export
from cli.mrsim_sequences import sequences
from cli.mrsim_simulate import simulate
from cli.options import quiet_option, version_option
from cli.progress import progress_bar
from cli.units import integers

if TYPE_CHECKING:
    from mrsim.recipes import Recipe
    from mrsim.store import Store


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@version_option("mrsim")
def main() -> None:
    """Simulate MR acquisitions of digital phantoms: k-space with the oracle label of every pixel."""


@main.command()
@click.option(
    "--recipe", "recipe_name", metavar="NAME|FILE.toml", help="Recipe to start from (mrsim recipes)."
)
@click.option("--phantom", help="Phantom (mrsim phantoms).", show_default="synthetic")
@click.option(
    "--phantom-dir",
    type=click.Path(),
    help="Folder of the BrainWeb volumes, or label map(s) for nifti.",
    show_default="MRSIM_BRAINWEB_DIR, then the cache",
)
@recipe_options
@click.option("--out", metavar="PATH|URL", help="Where to write.", show_default="./RECIPE.zarr")
@click.option("--overwrite", is_flag=True, help="Replace a store that is there already.")
@click.option(
    "--workers",
    type=click.IntRange(0, 1024),
    default=0,
    show_default=True,
    help="Processes; 0 is this one, on all cores.",
)
@click.option("--scheduler", metavar="ADDRESS", help="Running dask.distributed scheduler: tcp://host:8786.")
@quiet_option
@one_line_errors
def generate(
    recipe_name: str | None,
    phantom: str | None,
    phantom_dir: str | None,
    out: str | None,
    overwrite: bool,
    workers: int,
    scheduler: str | None,
    quiet: bool,
    **flags: Any,  # noqa: ANN401
) -> None:
    """Simulate a data set into a Zarr store; what is not given comes from a recipe.

    An interrupted run goes on with the same command, to the same bytes. A finished store is left alone.
    """
    recipe = checked(build_recipe, recipe_name, phantom, phantom_dir, flags)
    path = out or f"{recipe.name}.zarr"
    from mrsim.datasets.generate import generate as run

    with progress_bar(path, quiet=quiet) as report:
        store = run(
            recipe,
            path,
            workers=workers,
            scheduler=scheduler,
            overwrite=overwrite,
            phantom_dir=phantom_dir if recipe.phantom.source == "brainweb" else None,
            progress=report,
        )
    if not quiet:
        click.echo(summary(store))


def build_recipe(
    name: str | None, phantom: str | None, phantom_dir: str | None, flags: dict[str, Any]
) -> Recipe:
    """Make the recipe that the flags describe; ValueError for what is unknown or impossible."""
    from mrsim.recipes import load_recipe, recipe_for

    changes = overrides(flags)
    if phantom:
        changes["phantom"] = phantom
    name = name or recipe_for(phantom)
    if phantom_dir and (phantom == "nifti" or name == "nifti-se"):
        changes["path"] = phantom_dir
    return load_recipe(name, **changes)


def summary(store: Store) -> str:
    """One line: what is in a finished store."""
    splits = ", ".join(f"{store.indices(s).size} {s}" for s in ("train", "validation", "test"))
    n_y, n_x = store.shape
    coils = f"{store.n_coils} coil" + "s" * (store.n_coils > 1)
    frames = f" x {store.n_frames} frames" if store.n_frames else ""
    return f"{store.path}: {store.n_cases} cases ({splits}), {n_y} x {n_x}{frames}, {coils}, complete"


@main.command()
@click.argument("what", metavar="brainweb")
@click.option("--subjects", help="Subject numbers: 4,5,18 or 41-54.", show_default="all 20")
@click.option(
    "--phantom-dir", type=click.Path(), help="Folder for the volumes.", show_default="the user cache"
)
@quiet_option
@one_line_errors
def fetch(what: str, subjects: str | None, phantom_dir: str | None, quiet: bool) -> None:
    """Download the BrainWeb volumes: resumable, each checked against its known content."""
    from phantoms.brainweb import SUBJECTS
    from phantoms.download import fetch_brainweb
    from phantoms.names import known

    checked(known, "what to fetch", what, ("brainweb",))
    wanted = checked(integers, subjects) if subjects else SUBJECTS
    if unknown := [s for s in wanted if s not in SUBJECTS]:
        raise click.UsageError(f"subjects must be among {', '.join(map(str, SUBJECTS))}, got {unknown[0]}")
    with progress_bar("BrainWeb", quiet=quiet, size=True) as report:
        paths = fetch_brainweb(
            phantom_dir, subjects=wanted, progress=lambda _, done, total: report(done, total)
        )
    if not quiet:
        click.echo(f"{len(paths)} volumes in {paths[0].parent}")


@main.command()
@click.argument("store", metavar="STORE")
@one_line_errors
def info(store: str) -> None:
    """Say what a store holds, and how it was made."""
    from cli.describe import store_text
    from mrsim.store import open_store

    click.echo(store_text(open_store(store, incomplete=True)))


@main.command()
@click.argument("store", metavar="STORE")
@click.option(
    "--out",
    type=click.Path(dir_okay=False),
    help="PNG to write, and of cines a GIF of that name.",
    show_default="STORE name + .png",
)
@click.option("--cases", help="Case numbers: 0,28 or 0-3.", show_default="four from different subjects")
@click.option(
    "--rate",
    type=click.FloatRange(0, 1, min_open=True),
    default=0.3,
    show_default=True,
    help="Share of the lines that the mask keeps.",
)
@quiet_option
@one_line_errors
def preview(store: str, out: str | None, cases: str | None, rate: float, quiet: bool) -> None:
    """Draw a contact sheet: image, k-space, labels, B0, a sampling mask and its zero-filled image.

    Of a cine store frames with the oracle's outlines, a profile over time, and a moving picture (GIF).
    """
    from mrsim.store import open_store

    opened = open_store(store)
    wanted = checked(integers, cases) if cases else None
    if outside := [case for case in wanted or () if case >= opened.n_cases]:
        raise click.UsageError(f"cases must lie in 0 to {opened.n_cases - 1}, got {outside[0]}")
    name = store.rstrip("/").rsplit("/", 1)[-1]
    target = out or f"{name.removesuffix('.zip').removesuffix('.zarr')}.png"
    if opened.n_frames:
        from mrsim.pictures.preview_cine import write_cine_preview

        paths: tuple[object, ...] = checked(write_cine_preview, opened, target, cases=wanted, rate=rate)
    else:
        from mrsim.pictures.preview import write_preview

        paths = (checked(write_preview, opened, target, cases=wanted, rate=rate),)
    if not quiet:
        click.echo("\n".join(map(str, paths)))


@main.command()
@click.argument("store", metavar="STORE")
@quiet_option
@one_line_errors
def verify(store: str, quiet: bool) -> None:
    """Recompute the checksum of every case; damage is listed, and the exit code is 1."""
    from mrsim.store import open_store

    opened = open_store(store, incomplete=True, damaged=True)
    bad = list(damages(opened, quiet))
    for case, problem in bad:
        click.echo(f"case {case}: {problem}" if case >= 0 else problem)
    if bad:
        raise click.ClickException(f"{store} is damaged ({len(bad)} findings)")
    if not opened.complete:
        raise click.ClickException(
            f"{store} is incomplete: {opened.n_done} of {opened.n_subjects} subjects, which are intact"
        )
    if not quiet:
        click.echo(f"{store}: {opened.n_cases} cases, all intact")


def damages(store: Store, quiet: bool) -> Iterator[tuple[int, str]]:
    """Verify with a progress bar; give only what is wrong."""
    done = 0
    with progress_bar("verify", quiet=quiet) as report:
        for case, problem in store.verify():
            done += case >= 0
            report(done, store.n_cases)
            if problem:
                yield case, problem


@main.command()
@click.argument("table", required=False)
@one_line_errors
def phantoms(table: str | None) -> None:
    """List the phantoms and their tissue tables, or show the rows of one TABLE."""
    from cli.describe import phantoms_text, table_text

    click.echo(phantoms_text() if table is None else checked(table_text, table))


@main.command()
@click.argument("name", required=False, metavar="[NAME|FILE.toml]")
@one_line_errors
def recipes(name: str | None) -> None:
    """List the recipes that ship with mrsim, or show one: complete, checked, in SI, as TOML."""
    from cli.describe import recipes_text
    from mrsim.recipes import load_recipe

    click.echo(recipes_text() if name is None else checked(load_recipe, name).as_toml().rstrip())


main.add_command(simulate)
main.add_command(export)
main.add_command(sequences)

if __name__ == "__main__":
    main()
