"""How the papers train, as data beside the networks: `segnets/models/recipes/<model>.toml`.

A file holds the fields of `Recipe`, the size of the paper's images, and for every stage of the training the
numbers of its `Stage`; what a stage runs is part of the network and stands in its module. No torch here.
"""

from __future__ import annotations

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
    for size in ("shape", "series"):
        values.pop(size, None)
    numbers: dict[str, dict[str, Any]] = values.pop("stages")
    stages = stages or tuple(Stage(name=each) for each in numbers)
    names = [stage.name for stage in stages]
    check(names == list(numbers), f"stages of {name}.toml", f"be {', '.join(names)}", ", ".join(numbers))
    filled = tuple(replace(stage, **numbers[stage.name]) for stage in stages)
    tuples = {key: tuple(values[key]) for key in SEVERAL if key in values}
    return Recipe(epochs=sum(stage.epochs for stage in filled), **(values | tuples)), filled


def paper_shape(name: str, *, series: bool = False) -> tuple[int, ...]:
    """([frame,] ky, kx) of the images that the paper trains `name` on; 180 x 216 without a recipe."""
    values = _read(name) if (FOLDER / f"{name}.toml").is_file() else {"shape": (180, 216)}
    return tuple(values["series" if series and "series" in values else "shape"])


def _read(name: str) -> dict[str, Any]:
    return tomllib.loads((FOLDER / f"{name}.toml").read_text(encoding="utf-8"))
