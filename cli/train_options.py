"""The flags of `segnets train`: one per field of TrainConfig, by name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from typing import Any

import click

from cli.units import DEG
from segnets.config import DEVICES, PRECISIONS, RESIDENT, VALIDATE, Recipe, TrainConfig

FROM_ARGUMENTS = ("model", "options")  # the argument MODEL and --set
HELP = {
    "data": "Store to train on (path or URL).",
    "epochs": "Passes over the training set.",
    "batch_size": "Slices per step, over all devices together.",
    "lr": "Learning rate of Adam.",
    "lr_step": "Epochs after which the learning rate is multiplied by --lr-gamma.",
    "lr_gamma": "That factor.",
    "weight_decay": "L2 penalty of Adam.",
    "clip": "Largest norm of the gradient; 0 does not clip.",
    "rotation": "Turn training slices at random by up to so many degrees to either side.",
    "zoom": "Resize them by up to so much: 0.1 is 0.9 to 1.1.",
    "shift": "Shift them by up to so many pixels along each axis.",
    "init": "Begin with the weights of this run, and fine-tune them (segnets models NAME says how).",
    "contrast": "Contrast of the store to train on, where it has several. Repeat for more; default: all.",
    "inu": "Level of the intensity non-uniformity; 0.2 is 0.9 to 1.1 over the brain.",
    "mask": "Sampling pattern for all slices instead of lines: .npy file, or a run that has one.",
    "noise": "Noise level, share of the RMS of the noise-free k-space; repeat to train on several.",
    "rate": "Share of the phase-encode lines that is kept. Repeat to train on several.",
    "n_center": "Central lines that are always kept.",
    "n_cases": "Train on the first so many slices of the split; 0 = all.",
    "seed": "Seed of weights, order, masks.",
    "device": "Where to train.",
    "devices": "Number of devices (DDP).",
    "precision": "Arithmetic of the network.",
    "compile": "Compile the network with torch.compile.",
    "channels_last": "Keep activations channels-last.",
    "resident": "Keep the whole store in the memory of the device.",
    "validate": "Split of the validation curve; auto = validation where the store has one.",
    "validate_every": "Epochs from one validation to the next.",
    "max_minutes": "Stop cleanly, resumable, after so many minutes; 0 = never.",
    "checkpoint_minutes": "Minutes between checkpoints within an epoch.",
    "out": "Run directory [default: runs/<model>-<time>].",
}
CHOICES = {"device": DEVICES, "precision": PRECISIONS, "resident": RESIDENT, "validate": VALIDATE}
SWITCHES = ("compile", "channels_last")
SEVERAL = ("noise", "rate", "contrast")
WHOLE = ("epochs", "batch_size", "lr_step", "n_center", "n_cases", "seed", "devices", "validate_every")
DEGREES = ("rotation",)
TEXT = ("data", "out", "contrast", "mask", "init")

Command = Callable[..., Any]


def train_options(command: Command) -> Command:
    """Add a flag for every field of TrainConfig; one that is not given is None."""
    for field in reversed([f for f in fields(TrainConfig) if f.name not in FROM_ARGUMENTS]):
        command = _option(field.name, field.default)(command)
    return command


def given(values: dict[str, Any]) -> dict[str, Any]:
    """Keep what the user typed, angles in radians."""
    typed = {name: value for name, value in values.items() if value is not None and value != ()}
    return {name: value * DEG if name in DEGREES else value for name, value in typed.items()}


def flag(name: str) -> str:
    """Name of the flag of a field."""
    return f"--{name.replace('_', '-')}"


def _option(name: str, default: object) -> Callable[[Command], Command]:
    declaration = f"{flag(name)}/--no-{name.replace('_', '-')}" if name in SWITCHES else flag(name)
    return click.option(
        declaration,
        name,
        default=None,
        type=_type(name),
        multiple=name in SEVERAL,
        metavar={"data": "STORE", "mask": "FILE|RUN", "init": "RUN"}.get(name),
        help=f"{HELP[name]}{_default(name, default)}",
    )


def _type(name: str) -> click.Choice[str] | type:
    if name in CHOICES:
        return click.Choice(CHOICES[name])
    if name in SWITCHES:
        return bool
    return int if name in WHOLE else str if name in TEXT else float


def _default(name: str, default: object) -> str:
    if name in TEXT:
        return ""
    if name in {f.name for f in fields(Recipe)}:
        shown = ", ".join(map(str, default)) if isinstance(default, tuple) else default
        return f"  [default: the model's, SERANet's is {shown}]"
    return f"  [default: {'off' if default is False else default}]"
