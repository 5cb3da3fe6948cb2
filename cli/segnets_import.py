"""The command `segnets import`: public data sets into stores."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cli.errors import checked, one_line_errors
from cli.options import quiet_option
from cli.progress import progress_bar
from cli.units import MM, whole_pair

if TYPE_CHECKING:
    from mrsim.store import Store

Command = Callable[..., Any]
SHARE = click.FloatRange(0, 1, max_open=True)


@click.group("import")
def import_data() -> None:
    """Turn a public data set, which you have to get yourself, into a store.

    Its k-space is the Fourier transform of magnitude images, as the attributes of the store say.
    """


def data_set(command: Command) -> Command:
    """Add what all imports have in common: DIR, --out, --overwrite, --quiet."""
    for decorate in (
        one_line_errors,
        quiet_option,
        click.option("--overwrite", is_flag=True, help="Replace the store at --out."),
        click.option("--out", required=True, metavar="STORE", help="Store to write (path or URL)."),
        click.argument("directory", metavar="DIR", type=click.Path(path_type=Path)),
    ):
        command = decorate(command)
    return command


@import_data.command()
@data_set
@click.option(
    "--labels",
    type=click.Choice(("regions", "tissues")),
    default="regions",
    show_default=True,
    help="SemuNet's 7 regions, or CSF, GM and WM of skull-stripped heads as CRDN has them.",
)
@click.option("--test", type=int, multiple=True, default=(5,), show_default=True, help="Test patient.")
def mrbrains(directory: Path, out: str, quiet: bool, **options: Any) -> None:  # noqa: ANN401
    """MRBrainS13: T1, T1-IR and T2-FLAIR of five patients, split by patient."""
    show(run("mrbrains", directory, out, quiet, options))


@import_data.command()
@data_set
@click.option(
    "--variant",
    type=click.Choice(("axial_crop", "axial_full", "sa_crop")),
    default="axial_crop",
    show_default=True,
    help="Which of the published volumes.",
)
@click.option(
    "--test", type=int, multiple=True, default=(6, 7, 8, 9), show_default=True, help="Test patient."
)
def hvsmr(directory: Path, out: str, quiet: bool, **options: Any) -> None:  # noqa: ANN401
    """HVSMR 2016: ten hearts in three views, split by patient."""
    show(run("hvsmr", directory, out, quiet, options))


@import_data.command("brainweb-normal")
@data_set
@click.option("--noise", type=int, default=0, show_default=True, help="Noise of BrainWeb's images [%].")
@click.option("--inu", type=int, default=0, show_default=True, help="Their intensity non-uniformity [%].")
def brainweb_normal(directory: Path, out: str, quiet: bool, **options: Any) -> None:  # noqa: ANN401
    """BrainWeb's simulated T1, T2 and PD of the normal brain in three views, split by slice as in CRDN."""
    show(run("brainweb-normal", directory, out, quiet, options))


def cines(command: Command) -> Command:
    """Add what imports of cines have in common: the grid of pixels, slices, split."""
    for decorate in (
        click.option("--validation", type=SHARE, default=0.0, show_default=True, help="Share of subjects."),
        click.option(
            "--test", type=SHARE, default=0.2, show_default=True, help="Share of subjects to test on."
        ),
        click.option(
            "--slices",
            type=click.Choice(("all", "mid")),
            default="all",
            show_default=True,
            help="The stack, or the middle one of the slices with LV, myocardium and RV at end-diastole.",
        ),
        click.option(
            "--centre",
            type=click.Choice(("image", "heart")),
            default="image",
            show_default=True,
            help="What lies in the middle of --matrix: the image, or the box around the labels.",
        ),
        click.option(
            "--pixel", type=float, help="Size of a pixel [mm].", show_default="median of the subjects"
        ),
        click.option("--matrix", help="Pixels, phase encode x readout.", show_default="the largest image"),
    ):
        command = decorate(command)
    return command


@import_data.command()
@data_set
@cines
@click.option(
    "--labels",
    type=click.Choice(("all", "ed-es")),
    default="all",
    show_default=True,
    help="Every frame of the beat, or end-diastole and end-systole alone.",
)
@click.option(
    "--frames", type=click.IntRange(2), help="Frames, the nearest ones of each beat.", show_default="all"
)
def ukb(directory: Path, out: str, quiet: bool, **options: Any) -> None:  # noqa: ANN401
    """UK Biobank's short-axis cines: DIR/SUBJECT/sa.nii.gz with seg_sa or label_sa, split by subject."""
    show(run("ukb", directory, out, quiet, in_si(options)))


@import_data.command()
@data_set
@cines
def acdc(directory: Path, out: str, quiet: bool, **options: Any) -> None:  # noqa: ANN401
    """ACDC: patientNNN with Info.cfg, end-diastole and end-systole of each; a folder testing is the test."""
    show(run("acdc", directory, out, quiet, in_si(options)))


def in_si(options: dict[str, Any]) -> dict[str, Any]:
    """Turn the options that imports of cines have in common into one value, in metres."""
    from segnets.importers.cine import CineOptions

    matrix, pixel = options["matrix"], options["pixel"]
    if pixel is not None and pixel <= 0:
        raise click.UsageError(f"pixel must be positive, got {pixel:g} mm")
    sides = f"{matrix}x{matrix}" if matrix and "x" not in matrix.lower() else matrix
    found = {"matrix": checked(whole_pair, sides) if sides else None, "pixel": pixel and pixel * MM}
    if found["matrix"] and min(found["matrix"]) < 1:
        raise click.UsageError(f"matrix must be positive, got {matrix}")
    shared = {f.name: options.pop(f.name) for f in fields(CineOptions)}
    return {**options, "wanted": CineOptions(**{**shared, **found})}


def run(name: str, directory: Path, out: str, quiet: bool, options: dict[str, Any]) -> Store:
    """Call the importer called `name`."""
    from segnets.importers import IMPORTERS

    module, _, function = IMPORTERS[name].partition(":")
    importer = getattr(import_module(module), function)
    with progress_bar(name, quiet=quiet, unit="stacks") as progress:
        store: Store = importer(directory, out, progress=progress, **options)
    return store


def show(store: Store) -> None:
    """Say what is in the store."""
    n_y, n_x = store.shape
    splits = ", ".join(f"{store.indices(s).size} {s}" for s in ("train", "test"))
    contrasts = f", {', '.join(store.contrasts)}" if store.contrasts else ""
    frames = f", {store.n_frames} frames" if store.n_frames else ""
    size = f"{n_y} x {n_x}{frames}{contrasts}"
    click.echo(f"{store.path}: {splits} slices of {size}; {', '.join(store.class_names)}")
