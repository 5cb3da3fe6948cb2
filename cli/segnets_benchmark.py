"""`segnets benchmark` and `segnets report`: the published tables, run here, and runs as one page."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cli.errors import checked, one_line_errors
from cli.options import quiet_option
from cli.progress import progress_bar
from cli.units import integers

if TYPE_CHECKING:
    from segnets.benchmarks.bench import MakeStore
    from segnets.benchmarks.run import Result
    from segnets.benchmarks.spec import Benchmark, DataSet, Job

SCALES = ("smoke", "reduced", "full")


@click.command()
@click.argument("name", required=False)
@click.option(
    "--list", "listing", is_flag=True, help="List the benchmarks, or the rows and conditions of NAME."
)
@click.option("--scale", type=click.Choice(SCALES), default="reduced", show_default=True, help="How large.")
@click.option("--rows", help="Rows to run: seranet-2,seranet-7.", show_default="those of the scale")
@click.option("--seeds", default="0", show_default=True, help="Seeds of the training: 0-2 are three.")
@click.option(
    "--data",
    "stores",
    multiple=True,
    metavar="[ID=]STORE",
    help="Store of a data set, instead of one that is made; repeatable. Without ID the first data set.",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    default=Path("runs/benchmarks"),
    show_default=True,
    help="Folder; the tables go to OUT/SCALE/NAME, and benchmarks with the same OUT share runs and stores.",
)
@click.option(
    "--device",
    type=click.Choice(("auto", "cpu", "cuda")),
    default="auto",
    show_default=True,
    help="Where to run.",
)
@click.option(
    "--precision",
    type=click.Choice(("32-true", "bf16-mixed")),
    default="32-true",
    show_default=True,
    help="Arithmetic of the networks.",
)
@click.option("--compile", "compiled", is_flag=True, help="Compile the networks with torch.compile.")
@click.option(
    "--max-minutes", type=float, default=0.0, help="Stop cleanly, resumable, after so long  [default: never]."
)
@quiet_option
@one_line_errors
def benchmark(
    name: str | None,
    listing: bool,
    scale: str,
    rows: str | None,
    seeds: str,
    stores: tuple[str, ...],
    out: Path,
    compiled: bool,
    quiet: bool,
    **settings: Any,  # noqa: ANN401 - device, precision and max_minutes, checked by click
) -> None:
    """Run the published table NAME: train every row, test it as the paper does, print both side by side.

    A row that is done is not done again, one that was stopped goes on: repeat the command. A row that fails
    says why, and the others go on.
    """
    if name is None or listing:
        click.echo(list_text(name))
        return
    from segnets.benchmarks.spec import load_benchmark, plan

    table = checked(load_benchmark, name)
    wanted = [row.strip() for row in rows.split(",")] if rows else []
    numbers = checked(integers, seeds)
    checked(plan, table, scale, rows=wanted, seeds=numbers)
    given = checked(given_stores, table, stores)

    from segnets.benchmarks.bench import outcome, run_benchmark
    from segnets.benchmarks.run import Settings

    home = run_benchmark(
        name,
        scale,
        out,
        maker(scale, out / "stores", given, quiet),
        Settings(compile=compiled, quiet=quiet, **settings),
        rows=wanted,
        seeds=numbers,
        command=shlex.join(["segnets", *sys.argv[1:]]) if sys.argv[1:2] == ["benchmark"] else "",
        report=None if quiet else say,
    )
    click.echo((home / "results.md").read_text(encoding="utf-8"))
    click.echo(f"{home}: results.md, results.json and pictures; segnets report {home} makes a page of it")
    _, failed, _ = outcome(home)
    if failed:
        raise click.ClickException(f"{failed} of the rows failed; {home / 'results.md'} says why")


def say(job: Job, result: Result) -> None:
    """Print one line when a job has ended."""
    numbers = ", ".join("-" if n is None else f"{n:.4f}" for n in result.numbers)
    effort = f"{numbers} ({result.seconds / 60:.1f} min)" if result.numbers else result.sentence
    click.echo(f"{job.title}: {result.status} {effort}", err=True)


def list_text(name: str | None) -> str:
    """List every benchmark with its title, or what a single one consists of."""
    from segnets.benchmarks import BENCHMARKS
    from segnets.benchmarks.spec import load_benchmark

    if name is None:
        return "\n".join(f"{each:<19}{load_benchmark(each).title}" for each in BENCHMARKS)
    table = checked(load_benchmark, name)
    return "\n".join(
        [
            f"{table.name}: {table.title}",
            f"{table.paper}.",
            "\nRows (--rows):",
            *(f"  {row.id:<22}{row.label}" for row in table.rows),
            "\nConditions:",
            *(f"  {each.id:<22}{each.label}" for each in table.conditions),
            "\nData sets (--data ID=STORE):",
            *(f"  {each.id:<22}{each.label}" for each in table.data),
            "\nScales (--scale):",
            *(f"  {scale:<22}{each.note}" for scale, each in table.scales.items()),
        ]
    )


def given_stores(table: Benchmark, stores: Sequence[str]) -> dict[str, str]:
    """Read `ID=STORE` or `STORE`; ValueError for an unknown data set."""
    found = {}
    for text in stores:
        name, equals, path = text.partition("=")
        known = table.data_set(name).id if equals else table.data[0].id
        found[known] = path if equals else text
    return found


def maker(scale: str, folder: Path, given: dict[str, str], quiet: bool) -> MakeStore:
    """Return the function that finds the store of a data set, or simulates it."""

    def make(data: DataSet) -> str:
        if data.id in given:
            return given[data.id]
        if not data.recipe:
            from segnets.benchmarks.run import NotAvailable

            raise NotAvailable(data.get)
        return simulated(data, scale, folder, quiet)

    return make


def simulated(data: DataSet, scale: str, folder: Path, quiet: bool) -> str:
    """Find the store of a data set where `mrsim generate` or an earlier benchmark left it, or make it."""
    from mrsim.datasets.generate import generate
    from mrsim.recipes import load_recipe

    recipe = load_recipe(data.recipe_at(scale), **data.changes.get(scale, {}))
    default = Path(f"{recipe.name}.zarr")
    if stored_hash(default) == recipe.hash:
        return str(default)
    path = folder / f"{recipe.name}-{recipe.hash[:8]}.zarr"
    with progress_bar(str(path), quiet=quiet) as report:
        generate(recipe, path, progress=report)
    return str(path)


def stored_hash(path: Path) -> str:
    """Return the hash of the recipe of the finished store at `path`, "" where there is none."""
    from mrsim.store import StoreError, open_store

    try:
        return str(open_store(str(path)).attrs.get("recipe_hash", ""))
    except StoreError:
        return ""


@click.command()
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@click.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Page to write.",
    show_default="DIR/report.html",
)
@click.option("--title", default="", help="Heading of the page.", show_default="of the benchmark, or DIR")
@quiet_option
@one_line_errors
def report(folder: Path, out: Path | None, title: str, quiet: bool) -> None:
    """Make one page of every run and benchmark in DIR: tables, curves, pictures, patterns, configuration.

    The page holds everything in itself: no network, no other file, no script is needed to read it.
    """
    from segnets.reports.page import write_report

    path = write_report(folder, out or folder / "report.html", title=title)
    if not quiet:
        click.echo(path)
