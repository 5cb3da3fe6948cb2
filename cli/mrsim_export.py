"""`mrsim export`: cases of a store as files of their own."""

from __future__ import annotations

import click

from cli.errors import checked, one_line_errors
from cli.options import quiet_option
from cli.progress import progress_bar
from cli.units import integers


@click.command()
@click.argument("store", metavar="STORE")
@click.option("--out", type=click.Path(file_okay=False), help="Folder.", show_default="STORE name")
@click.option(
    "--format",
    "kind",
    default="nifti",
    show_default=True,
    help="nifti (magnitude image and labels), mrd (ISMRMRD raw data) or npz (all arrays).",
)
@click.option("--cases", help="Case numbers: 0,28 or 0-3.", show_default="all")
@click.option("--split", help="Only the cases of a split: train, validation or test.")
@click.option(
    "--noise",
    type=click.FloatRange(0),
    default=0.0,
    show_default=True,
    help="Noise to add [share of the store's reference]; the same as in training.",
)
@quiet_option
@one_line_errors
def export(
    store: str, out: str | None, kind: str, cases: str | None, split: str | None, noise: float, quiet: bool
) -> None:
    """Write the cases of a store as NIfTI, ISMRMRD (MRD) or NumPy archives, one or two files each."""
    from mrsim.store import open_store

    opened = open_store(store)
    wanted = [int(i) for i in checked(opened.indices, split)]
    if cases:
        asked = set(checked(integers, cases))
        if outside := sorted(asked - set(range(opened.n_cases))):
            raise click.UsageError(f"cases must lie in 0 to {opened.n_cases - 1}, got {outside[0]}")
        wanted = [i for i in wanted if i in asked]
    if not wanted:
        raise click.UsageError("there must be cases to export, got none that are asked for")
    from mrsim.files.export import FORMATS, export_cases
    from phantoms.names import known

    checked(known, "format", kind, FORMATS)
    name = store.rstrip("/").rsplit("/", 1)[-1].removesuffix(".zip").removesuffix(".zarr")
    with progress_bar("export", quiet=quiet) as report:
        written = export_cases(
            opened,
            wanted,
            out or name,
            kind,
            noise=noise,
            progress=lambda done: report(done, len(wanted)),
        )
    if not quiet:
        click.echo(f"{out or name}: {len(wanted)} cases, {len(written)} files")
