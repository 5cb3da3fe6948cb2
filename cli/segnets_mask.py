"""The command `segnets mask`: the sampling pattern of a run, as an array and as a picture."""

from __future__ import annotations

from pathlib import Path

import click

from cli.errors import one_line_errors


@click.command()
@click.argument("run")
@click.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    multiple=True,
    help="NAME.npy: (ky, kx) zeros and ones, DC at n // 2; NAME.png: a picture; repeatable  "
    "[default: RUN/mask.npy and RUN/mask.png].",
)
@click.option(
    "--which", type=click.Choice(("last", "best")), default="last", show_default=True, help="Checkpoint."
)
@one_line_errors
def mask(run: str, out: tuple[Path, ...], which: str) -> None:
    """Write the sampling pattern that the network in RUN learnt, or was trained with, and draw it.

    Any other network trains and is evaluated with it: segnets train MODEL --mask RUN (or NAME.npy).
    """
    if wrong := [path for path in out if path.suffix not in (".npy", ".png")]:
        raise click.UsageError(f"--out must end in .npy or .png, got {wrong[0]}")
    import numpy as np

    from segnets.evaluate import directory_of
    from segnets.patterns import pattern_of_run, probability_of_run
    from segnets.pictures import draw_pattern

    pattern = pattern_of_run(run, which)
    home = directory_of(run)
    for path in out or (home / "mask.npy", home / "mask.png"):
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix == ".npy":
            np.save(path, pattern)
        else:
            draw_pattern(pattern, path, probability=probability_of_run(run, which), title=home.name)
        click.echo(str(path))
    n, total = int(pattern.sum()), pattern.size
    click.echo(f"{n:,} of {total:,} samples ({100 * n / total:.4g} %)", err=True)
