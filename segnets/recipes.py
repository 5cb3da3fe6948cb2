"""How the papers train, as data beside the networks: `segnets/models/recipes/<model>.toml`.

A file holds the fields of `Recipe` (angles in degrees), the size of the paper's images, and for every stage
of the training, and of the fine-tuning where there is one, the numbers of its `Stage`; what a stage runs is
part of the network and stands in its module. [cine] holds the fields that are others for series of frames,
and their size. No torch here.
"""

from __future__ import annotations

import math
import tomllib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

from segnets.config import Recipe, check
from segnets.stages import Stage

FOLDER = Path(__file__).parent / "models" / "recipes"
SEVERAL = ("noise", "rate", "crop")  # lists in the file, tuples in the recipe


def read_recipe(name: str, *stages: Stage) -> tuple[Recipe, tuple[Stage, ...]]:
    """Read the training of the model `name`: its recipe, and `stages` with the numbers of the file.

    stages : what each stage of the file runs, in order; none for one that trains the network as a whole
    ValueError where the names are not those of the file.
    """
    filled = _filled(name, _read(name)["stages"], stages)
    return _recipe(name), filled


def read_cine(name: str) -> Recipe:
    """Read how the paper of the model `name` trains it on series of frames; the stages are the same."""
    return _recipe(name, _read(name)["cine"])


def _recipe(name: str, changes: Mapping[str, Any] = MappingProxyType({})) -> Recipe:
    values = {**_read(name), **changes}
    epochs = sum(stage["epochs"] for stage in values.pop("stages").values())
    for other in ("shape", "cine", "fine-tuning"):
        values.pop(other, None)
    if "rotation_deg" in values:
        values["rotation"] = math.radians(values.pop("rotation_deg"))
    tuples = {key: tuple(values[key]) for key in SEVERAL if key in values}
    return Recipe(epochs=epochs, **(values | tuples))


def read_fine_tuning(name: str, *stages: Stage) -> tuple[Stage, ...]:
    """Read how the paper goes on with a trained network: `stages` with the numbers of the file."""
    return _filled(name, _read(name)["fine-tuning"], stages)


def _filled(name: str, numbers: dict[str, dict[str, Any]], stages: tuple[Stage, ...]) -> tuple[Stage, ...]:
    stages = stages or tuple(Stage(name=each) for each in numbers)
    names = [stage.name for stage in stages]
    check(names == list(numbers), f"stages of {name}.toml", f"be {', '.join(names)}", ", ".join(numbers))
    return tuple(replace(stage, **numbers[stage.name]) for stage in stages)


def paper_shape(name: str, *, series: bool = False) -> tuple[int, ...]:
    """([frame,] ky, kx) of the images that the paper trains `name` on; 180 x 216 without a recipe."""
    values = _read(name) if (FOLDER / f"{name}.toml").is_file() else {}
    if (series or "shape" not in values) and "cine" in values:
        return tuple(values["cine"]["shape"])
    return tuple(values.get("shape", (180, 216)))


def _read(name: str) -> dict[str, Any]:
    return tomllib.loads((FOLDER / f"{name}.toml").read_text(encoding="utf-8"))
