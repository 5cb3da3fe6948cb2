"""The flags of `mrsim generate` that override its recipe, in the field's units."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

from cli.units import DEG, MM, MS, integers, pair, variation, whole_pair

F = TypeVar("F", bound=Callable[..., Any])


def _recipe(shown: str) -> str:
    """Say what a flag is when it is not given: the value of the brain recipes."""
    return f"of the recipe: {shown}"


def _si(value: float, unit: float) -> float:
    """Convert so that 35 ms is 0.035 s, as a recipe writes it, and not 0.035000000000000003 s."""
    return round(value * unit, 12)


def _sides(text: str) -> tuple[int, int]:
    """Pixels of a crop: `80x72`, or `80` for a square."""
    y, x = pair(text)
    if not (y.is_integer() and x.is_integer()):
        raise ValueError(f"crop must be whole numbers of pixels, got {text!r}")
    return int(y), int(x)


# flag, keyword arguments of click.option, key of load_recipe, how its text or number becomes SI
FLAGS: tuple[tuple[str, dict[str, Any], str, Callable[[Any], Any]], ...] = (
    (
        "--subjects",
        {"help": "Subject numbers: 4,5,18 or 0-7.", "show_default": _recipe("20 subjects")},
        "subjects",
        integers,
    ),
    (
        "--slices",
        {
            "help": "Slices of each view: seranet (57, every 2 mm), contiguous (57, 1 mm apart), semunet "
            "(48, every 3 mm), crdn (121 or 157, 1 mm apart), a count spread over the set, or "
            "start:stop:step of it. Of a cine: mid, or a count in the middle of the heart's stack.",
            "show_default": _recipe("seranet"),
        },
        "slices",
        str,
    ),
    (
        "--orientation",
        {
            "help": "Slice orientation: axial, coronal, sagittal, or several with commas.",
            "show_default": _recipe("axial"),
        },
        "orientation",
        str,
    ),
    (
        "--sequence",
        {
            "help": "Pulse sequence (mrsim sequences) that fills a Cartesian grid; another one than the "
            "recipe's comes with its own timing.",
            "show_default": _recipe("spin-echo"),
        },
        "sequence",
        str,
    ),
    (
        "--te",
        {"type": float, "help": "Echo time [ms].", "show_default": _recipe("80")},
        "te",
        lambda v: _si(v, MS),
    ),
    (
        "--tr",
        {"type": float, "help": "Repetition time [ms].", "show_default": _recipe("3000")},
        "tr",
        lambda v: _si(v, MS),
    ),
    (
        "--flip",
        {"type": float, "help": "Excitation flip angle [deg].", "show_default": _recipe("90")},
        "flip",
        lambda v: v * DEG,
    ),
    (
        "--vary",
        {
            "help": "Uniform variation [± %] by subject, or per=case: 5 for TE and TR, or te=5,tr=5,flip=10.",
            "show_default": _recipe("te=5,tr=5"),
        },
        "vary",
        variation,
    ),
    (
        "--matrix",
        {"help": "Pixels, phase encode x readout.", "show_default": _recipe("180x216")},
        "matrix",
        whole_pair,
    ),
    (
        "--fov",
        {"help": "Field of view, phase encode x readout [mm].", "show_default": _recipe("180x216")},
        "fov",
        lambda v: tuple(_si(side, MM) for side in pair(v)),
    ),
    (
        "--slice-thickness",
        {"type": float, "help": "Slice thickness [mm].", "show_default": _recipe("1")},
        "thickness",
        lambda v: _si(v, MM),
    ),
    (
        "--bandwidth",
        {"type": float, "help": "Readout bandwidth [Hz/px].", "show_default": _recipe("130")},
        "bandwidth",
        float,
    ),
    (
        "--frames",
        {"type": int, "help": "Frames of a cine.", "show_default": _recipe("50")},
        "n_frames",
        int,
    ),
    (
        "--crop",
        {
            "help": "Pixels of a cine around the heart, phase encode x readout; one number is a square.",
            "show_default": _recipe("80x80 or all"),
        },
        "crop",
        _sides,
    ),
    (
        "--cine-mode",
        {
            "help": "Cine: ideal (steady state in every frame) or gated (every line at a time of its own, "
            "over many beats).",
            "show_default": _recipe("ideal"),
        },
        "mode",
        str,
    ),
    (
        "--field-strength",
        {"type": float, "help": "Main field [T]: 1.5 or 3.", "show_default": _recipe("1.5")},
        "field_strength",
        float,
    ),
    (
        "--rf",
        {"help": "Pulses: shaped (slice-selective) or ideal.", "show_default": _recipe("shaped")},
        "rf",
        str,
    ),
    (
        "--coils",
        {"type": int, "help": "Receive coils; 1 is uniform.", "show_default": _recipe("1")},
        "coils",
        int,
    ),
    (
        "--b0",
        {
            "help": "Off-resonance map: off, susceptibility or smooth (random).",
            "show_default": _recipe("susceptibility"),
        },
        "b0",
        str,
    ),
    (
        "--b0-strength",
        {"type": float, "help": "Factor on the off-resonance map.", "show_default": _recipe("1")},
        "b0_strength",
        float,
    ),
    (
        "--noise",
        {
            "type": float,
            "help": "Noise to bake into k-space [share of the recipe's reference, mostly its RMS]; 0 keeps "
            "it clean, to add later.",
            "show_default": _recipe("0"),
        },
        "noise",
        float,
    ),
    (
        "--engine",
        {
            "help": "Bloch engine: auto, cartesian (fast, exact), nufft, isochromat or reference.",
            "show_default": _recipe("cartesian"),
        },
        "engine",
        str,
    ),
    (
        "--device",
        {
            "help": "Where to compute: cpu, or cuda for brute force (isochromat) on an NVIDIA GPU.",
            "show_default": _recipe("cpu"),
        },
        "device",
        str,
    ),
    (
        "--tissues",
        {"help": "Tissue table: name or TOML file.", "show_default": "of the field strength"},
        "tissues",
        str,
    ),
    (
        "--split",
        {
            "help": "By subject, or by slice as CRDN's paper (neighbours in training and test).",
            "show_default": _recipe("subject"),
        },
        "split",
        str,
    ),
    (
        "--test",
        {"help": "Test subjects: 52,53,54.", "show_default": _recipe("the last 3")},
        "test",
        integers,
    ),
    (
        "--validation",
        {"help": "Validation subjects.", "show_default": _recipe("none")},
        "validation",
        integers,
    ),
    ("--codec", {"help": "Compression: none or zstd.", "show_default": _recipe("none")}, "codec", str),
    (
        "--seed",
        {"type": int, "help": "Seed of everything random.", "show_default": _recipe("0")},
        "seed",
        int,
    ),
)


def recipe_options(command: F) -> F:
    """Add every flag of FLAGS to a command, and those that are switched on by naming them."""
    command = click.option(
        "--allow-wrap", is_flag=True, help="Let an object larger than the field of view fold over."
    )(command)
    command = click.option(
        "--stripped", is_flag=True, help="Only the tissues to segment give signal, as after skull stripping."
    )(command)
    command = click.option(
        "--soft-labels", is_flag=True, help="Store the share of every class in each pixel as well."
    )(command)
    for flag, settings, _, _ in reversed(FLAGS):
        command = click.option(flag, default=None, **settings)(command)
    return command


def overrides(flags: dict[str, Any]) -> dict[str, Any]:
    """Turn the flags that were given into keywords of `load_recipe`, SI; ValueError names a bad one."""
    found: dict[str, Any] = {}
    for flag, _, key, convert in FLAGS:
        value = flags[flag.removeprefix("--").replace("-", "_")]
        if value is not None:
            found[key] = convert(value)
    return {**found, **{name: True for name in ("soft_labels", "stripped", "allow_wrap") if flags[name]}}
