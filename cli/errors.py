"""What a user can cause becomes one line: exit code 2 for usage, 1 for a failure. Bugs keep a traceback.

Warnings are one line as well, and end nothing.
"""

from __future__ import annotations

import functools
import sys
import warnings
from collections.abc import Callable
from typing import ParamSpec, TypeVar

import click

from cli.units import in_field_units

P = ParamSpec("P")
T = TypeVar("T")

# Errors whose message is one sentence for the user. By name, because importing them would load zarr or torch;
# an error can only come from a module that is loaded.
EXPECTED = (
    "mrsim.bloch.cuda.errors:GpuError",
    "mrsim.datasets.generate:GenerateError",
    "mrsim.recipes.slice_sets:SliceError",
    "mrsim.store.case:StoreError",
    "phantoms.phantom:PhantomError",
    "segnets.data:DataError",
    "segnets.checkpoint:CheckpointError",
    "segnets.train:TrainingError",
    "segnets.importers.volumes:ImportProblem",
)


def checked(make: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
    """Call a constructor or parser; its ValueError becomes one usage line, in the units of the commands."""
    try:
        return make(*args, **kwargs)
    except ValueError as error:
        raise click.UsageError(in_field_units(str(error))) from None


def one_line_errors(command: Callable[P, T]) -> Callable[P, T]:
    """Decorate a command: expected failures, a full disk and Ctrl-C end it with one line and exit code 1."""

    @functools.wraps(command)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> T:
        before = warnings.formatwarning
        warnings.formatwarning = _one_line  # type: ignore[assignment]
        try:
            return command(*args, **kwargs)
        except KeyboardInterrupt as error:
            raise click.ClickException(str(error) or "interrupted") from None
        except MemoryError as error:
            raise click.ClickException(f"this needs more memory than there is: {error}") from None
        except OSError as error:
            raise click.ClickException(sentence(error)) from None
        except Exception as error:
            if isinstance(error, expected()):
                raise click.ClickException(str(error)) from None
            raise
        finally:
            warnings.formatwarning = before

    return wrapped


def _one_line(message: Warning | str, *_: object) -> str:
    return f"Warning: {message}\n"


def expected() -> tuple[type[BaseException], ...]:
    """Return the error classes of EXPECTED whose modules are loaded."""
    pairs = (name.split(":") for name in EXPECTED)
    return tuple(getattr(sys.modules[module], kind) for module, kind in pairs if module in sys.modules)


def sentence(error: OSError) -> str:
    """Say what the system refused, and where: `No space left on device: runs/x/last.pt`."""
    if error.strerror is None:
        return str(error)
    return f"{error.strerror}: {error.filename}" if error.filename else error.strerror
