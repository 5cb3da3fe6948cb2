"""What `segnets models` prints."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING, Any

from cli.errors import checked
from cli.train_options import DEGREES
from cli.units import DEG

if TYPE_CHECKING:
    from segnets.config import Recipe
    from segnets.models.base import SegmentationModel
    from segnets.stages import Stage

WIRING = ("name", "epochs", "trainable", "run", "inputs", "loss", "enter")  # of a stage; not its numbers


def models_table(classes: list[tuple[str, type[SegmentationModel]]]) -> str:
    """List every network: name, parameters, what it is, its paper."""
    lines = []
    for name, cls in classes:
        lines.append(f"{name:<13}{n_parameters(name, {}):>12,}  {cls.description}")
        lines.append(f"{'':<27}{cls.paper}")
    return "\n".join([f"{'model':<13}{'parameters':>12}", *lines])


def model_text(name: str, cls: type[SegmentationModel], pairs: tuple[str, ...]) -> str:
    """Everything about one network with the options in `pairs`."""
    from segnets.config import parse_options

    options = checked(parse_options, cls.Config, pairs)
    config = checked(cls.configure, options)
    return "\n".join(
        [
            f"{name}: {cls.description}",
            cls.paper,
            *cost_lines(name, options),
            "\nOptions (--set OPTION=VALUE):",
            *(f"  {f.name} = {getattr(config, f.name)}" for f in fields(config)),
            "\nTraining as in the paper (flags of segnets train override it):",
            *(f"  {f.name} = {shown(recipe_value(cls.recipe, f.name))}" for f in fields(cls.recipe)),
            *cine_lines(cls),
            *(f"  stage {i}: {stage_line(stage)}" for i, stage in enumerate(cls.stages, start=1)),
            *(f"  with --init: {stage_line(stage)}" for stage in cls.fine_tuning),
        ]
    )


def cost_lines(name: str, options: dict[str, Any]) -> list[str]:
    """State weights, operations, inputs and outputs at the size of the paper's images."""
    from segnets.complexity import complexity

    cost = checked(complexity, name, options)
    sides = {
        kind: ", ".join(f"{each} {size(shape)}" for each, shape in of.items())
        for kind, of in (("input", cost.inputs), ("output", cost.outputs))
    }
    return [
        f"{cost.n_parameters:,} parameters",
        f"{cost.flops / 1e9:,.1f} GFLOPs per forward pass of {size(cost.shape)}",
        *(f"{kind}: {text}" for kind, text in sides.items()),
    ]


def cine_lines(cls: type[SegmentationModel]) -> list[str]:
    """State what its paper does otherwise with series of frames."""
    if cls.cine is None:
        return []
    both = [
        (f.name, recipe_value(cls.cine, f.name), recipe_value(cls.recipe, f.name)) for f in fields(cls.cine)
    ]
    changed = [f"    {name} = {shown(cine)}" for name, cine, still in both if cine != still]
    return ["  of cines:", *changed]


def stage_line(stage: Stage) -> str:
    """One stage of a training: its numbers as far as they differ from the usual ones, and what learns."""
    usual = type(stage)(name=stage.name)
    numbers = [f.name for f in fields(stage) if f.name not in WIRING]
    changed = [f"{n} {getattr(stage, n)}" for n in numbers if getattr(stage, n) != getattr(usual, n)]
    learns = [f"trains {', '.join(stage.trainable)}"] if stage.trainable else []
    return ", ".join([f"{stage.name}, {stage.epochs} epochs", *learns, *changed])


def recipe_value(recipe: Recipe, name: str) -> object:
    """Return a number of a recipe as its flag takes it."""
    value = getattr(recipe, name)
    if name == "crop":
        return size(value).replace(" ", "") or "none"
    return f"{value / DEG:g}" if name in DEGREES else value


def shown(value: object) -> str:
    """Show several values as a list without brackets."""
    return ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)


def size(shape: tuple[int, ...]) -> str:
    """Write a shape as 2 x 180 x 216."""
    return " x ".join(map(str, shape))


def n_parameters(name: str, options: dict[str, Any]) -> int:
    """Count the weights of a network without making room for them."""
    import torch

    from segnets.models import build_model

    with torch.device("meta"):
        return build_model(name, options).n_parameters()
