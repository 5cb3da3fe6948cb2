"""How the papers train, as data beside the networks: `segnets/models/recipes/<model>.toml`.

A file holds the fields of `Recipe` (angles in degrees), the size of the paper's images, and for every stage
of the training, and of the fine-tuning where there is one, the numbers of its `Stage`; what a stage runs is
part of the network and stands in its module. No torch here.
"""

from __future__ import annotations

import math
import tomllib
from dataclasses import replace
from pathlib import Path
from typing import Any

from segnets.config import Recipe, check
from segnets.stages import Stage

FOLDER = Path(__file__).parent / "models" / "recipes"
SEVERAL = ("noise", "rate")  # lists in the file, tuples in the recipe


def read_recipe(name: str, *stages: Stage) -> tuple[Recipe, tuple[Stage, ...]]:
    """Read the training of the model `name`: its recipe, and `stages` with the numbers of the file.

    stages : what each stage of the file runs, in order; none for one that trains the network as a whole
    ValueError where the names are not those of the file.
    """
    values = _read(name)
    for other in ("shape", "series", "fine-tuning"):
        values.pop(other, None)
    filled = _filled(name, values.pop("stages"), stages)
    if "rotation_deg" in values:
        values["rotation"] = math.radians(values.pop("rotation_deg"))
    tuples = {key: tuple(values[key]) for key in SEVERAL if key in values}
    return Recipe(epochs=sum(stage.epochs for stage in filled), **(values | tuples)), filled


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
    values = _read(name) if (FOLDER / f"{name}.toml").is_file() else {"shape": (180, 216)}
    return tuple(values["series" if series and "series" in values else "shape"])


def _read(name: str) -> dict[str, Any]:
    return tomllib.loads((FOLDER / f"{name}.toml").read_text(encoding="utf-8"))
