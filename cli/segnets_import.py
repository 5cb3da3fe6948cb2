"""The command `segnets import`: public data sets into stores."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cli.errors import one_line_errors
from cli.options import quiet_option
from cli.progress import progress_bar

if TYPE_CHECKING:
    from mrsim.store import Store

Command = Callable[..., Any]


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
    click.echo(f"{store.path}: {splits} slices of {n_y} x {n_x}{contrasts}; {', '.join(store.class_names)}")
