"""`mrsim sequences`: list the pulse sequences, show one, draw one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from cli.errors import checked, one_line_errors
from cli.options import quiet_option


@click.command()
@click.argument("name", required=False, metavar="[NAME]")
@click.option(
    "--plot", metavar="NAME|FILE.seq", help="Draw the diagram and k-space of a sequence or Pulseq file."
)
@click.option("--out", type=click.Path(dir_okay=False), help="Picture to write.", show_default="NAME.png")
@click.option(
    "-p",
    "--parameter",
    "parameters",
    multiple=True,
    metavar="NAME=VALUE",
    help="Parameter in the unit that is listed; may be repeated.",
)
@click.option(
    "--repetitions", type=click.IntRange(1), default=1, show_default=True, help="Repetitions to draw."
)
@click.option(
    "--first",
    type=click.IntRange(0),
    help="Repetition to begin with.",
    show_default="the first that receives",
)
@quiet_option
@one_line_errors
def sequences(
    name: str | None,
    plot: str | None,
    out: str | None,
    parameters: tuple[str, ...],
    repetitions: int,
    first: int | None,
    quiet: bool,
) -> None:
    """List the pulse sequences with their parameters, units and defaults, or show one.

    With --plot, draw RF, gradients and receiver of a sequence over time, and its way through k-space.
    """
    if plot is None:
        list_sequences(name)
        return
    from mrsim.pictures.diagram import write_diagram

    sequence, title = checked(build, plot, parameters)
    path = Path(out or f"{Path(plot).stem}.png")
    if not path.absolute().parent.is_dir():
        raise click.UsageError(f"folder of {path} must exist")
    checked(write_diagram, sequence, path, title=title, count=repetitions, first=first)
    if not quiet:
        click.echo(path)


def list_sequences(name: str | None) -> None:
    """Print one sequence, or all."""
    from cli.describe import sequence_text
    from mrsim.sequences import SEQUENCES

    names = SEQUENCES if name is None else (name,)
    click.echo("\n\n".join(checked(sequence_text, each) for each in names))


def build(name: str, pairs: tuple[str, ...]) -> tuple[Any, str]:
    """Sequence and title of its picture; ValueError for what is unknown or impossible."""
    if name.endswith(".seq"):
        from mrsim.pulseq.read import read_pulseq

        if pairs:
            raise ValueError(
                f"parameters must not be given for a Pulseq file, which has its own, got {pairs[0]}"
            )
        if not Path(name).is_file():
            raise ValueError(f"Pulseq file must exist, got {name}")
        return read_pulseq(name), Path(name).name
    from cli.describe import parameter_lines
    from cli.values import parse_pairs
    from mrsim.sequences import describe, sequence_class

    cls, rows = sequence_class(name), describe(name)[1]
    sequence = cls(**parse_pairs(pairs, rows, f"parameter of {name}"))
    told = {pair.partition("=")[0].strip().replace("-", "_") for pair in pairs}
    shown = [row for row in rows if row.name in {"te", "tr", "flip"} | told]
    lines = parameter_lines(row._replace(default=getattr(sequence, row.name), help="") for row in shown)
    values = [" ".join(line.split()) for line in lines]
    names = {"te": "TE", "tr": "TR", "ti": "TI"}
    values = [" ".join(names.get(word, word) for word in value.split(" ")) for value in values]
    return sequence, f"{name}: " + ", ".join(value.replace(" deg", "°") for value in values)
