"""Options that both commands have."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

quiet_option = click.option("--quiet", is_flag=True, help="No progress bar and no remarks.")


def version_option(program: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Add `--version`, which prints the version of the package under the name of `program`."""

    def show(context: click.Context, _: click.Parameter, wanted: bool) -> None:
        if wanted:
            from mrsim.versions import version_of

            click.echo(f"{program} {version_of('mrsim')}")
            context.exit()

    return click.option(
        "--version",
        is_flag=True,
        is_eager=True,
        expose_value=False,
        callback=show,
        help="Show the version.",
    )
