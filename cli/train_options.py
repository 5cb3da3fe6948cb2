"""The flags of `segnets train`: one per field of TrainConfig, by name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from typing import Any

import click

from cli.units import DEG
from segnets.config import DENSITIES, DEVICES, PHASES, PRECISIONS, RESIDENT, VALIDATE, Recipe, TrainConfig

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
    "lines": "Lines that are kept, of a cine in every frame, instead of --rate. Repeat for several.",
    "n_center": "Central lines that are always kept.",
    "center_from": "Keep them only among at least so many lines; 0 = always.",
    "density": "How the other lines lie about the centre.",
    "phase": "Phase that the images get for their own: two waves (sinusoid) or an uneven B0 (bumps).",
    "crop": "Cut larger images to so many pixels around their centre, phase encode x readout: 168x208.",
    "curriculum": "Draw any number of lines, as some networks learn; off, all stages have --rate or --lines.",
    "window": "Train on so many successive frames of a cine, drawn at random; 0 = all.",
    "accumulate": "Parts that a batch is taken in: less memory for the same step.",
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
CHOICES = {
    "device": DEVICES,
    "precision": PRECISIONS,
    "resident": RESIDENT,
    "validate": VALIDATE,
    "density": DENSITIES,
    "phase": PHASES,
}
SWITCHES = ("compile", "channels_last", "curriculum")
SEVERAL = ("noise", "rate", "contrast", "lines")
WHOLE = (
    *("epochs", "batch_size", "lr_step", "n_center", "center_from", "window", "lines", "accumulate"),
    *("n_cases", "seed", "devices", "validate_every"),
)
DEGREES = ("rotation",)
TEXT = ("data", "out", "contrast", "mask", "init")

Command = Callable[..., Any]


def size(text: str) -> tuple[int, ...]:
    """Turn 168x208 into (168, 208), and none into ()."""
    if text == "none":
        return ()
    ny, x, nx = text.partition("x")
    if not (x and ny.isdigit() and nx.isdigit()):
        raise click.BadParameter(f"{text!r} is no size such as 168x208")
    return int(ny), int(nx)


def train_options(command: Command) -> Command:
    """Add a flag for every field of TrainConfig; one that is not given is None."""
    for field in reversed([f for f in fields(TrainConfig) if f.name not in FROM_ARGUMENTS]):
        command = _option(field.name, field.default)(command)
    return command


def given(values: dict[str, Any]) -> dict[str, Any]:
    """Keep what the user typed, angles in radians."""
    typed = {
        name: value
        for name, value in values.items()
        if value is not None and not (value == () and name in SEVERAL)
    }
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
        metavar={"data": "STORE", "mask": "FILE|RUN", "init": "RUN", "crop": "YxX"}.get(name),
        help=f"{HELP[name]}{_default(name, default)}",
    )


def _type(name: str) -> click.Choice[str] | Callable[[str], Any]:
    if name in CHOICES:
        return click.Choice(CHOICES[name])
    if name == "crop":
        return size
    if name in SWITCHES:
        return bool
    return int if name in WHOLE else str if name in TEXT else float


def _default(name: str, default: object) -> str:
    if name in TEXT:
        return ""
    if name in {f.name for f in fields(Recipe)}:
        shown = (", ".join(map(str, default)) or "none") if isinstance(default, tuple) else default
        return f"  [default: the model's, SERANet's is {shown}]"
    return f"  [default: {('off', 'on')[default] if isinstance(default, bool) else default}]"
