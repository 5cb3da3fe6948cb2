"""What a run is made of: training recipe, training configuration, and the record that goes with the weights.

Nothing here imports torch, so that the commands can show names and defaults at once.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any, get_type_hints

PRECISIONS = ("32-true", "bf16-mixed")
DEVICES = ("auto", "cpu", "cuda")
RESIDENT = ("auto", "yes", "no")
VALIDATE = ("auto", "none", "validation", "test")
PHASES = ("none", "sinusoid", "bumps")  # segnets.phase
DENSITIES = ("gaussian", "ktfocuss")  # mrsim.sampling
CONTROLS = ("none", "mean-shape", "other-subject")  # segnets.controls

OptionValue = int | float | str | bool


def check_choice(name: str, value: object, known: Iterable[str]) -> None:
    """Raise ValueError that lists the known names, the nearest one first, unless `value` is one of them."""
    names = list(known)
    if value in names:
        return
    near = difflib.get_close_matches(str(value), names, n=1, cutoff=0.7)
    hint = f" (did you mean {near[0]!r}?)" if near else ""
    raise ValueError(f"{name} must be one of {', '.join(names)}, got {value!r}{hint}")


def check(ok: bool, name: str, rule: str, value: object) -> None:
    """Raise ValueError `<name> must <rule>, got <value>` unless `ok`."""
    if not ok:
        raise ValueError(f"{name} must {rule}, got {value}")


@dataclass(frozen=True, kw_only=True, slots=True)
class Recipe:
    """How a paper trains its network, and on what; the defaults are of a network without a paper.

    Adam with betas 0.9 and 0.999; the learning rate is multiplied by `lr_gamma` after every `lr_step` epochs.
    Several values of `noise` or `rate` train one network for all of them: each sample draws its own.
    """

    noise: tuple[float, ...] = (0.10,)  # share of the RMS of the noiseless k-space
    rate: tuple[float, ...] = (0.30,)  # share of the phase-encode lines that is kept
    n_center: int = 16  # central lines that are always kept
    center_from: int = 0  # but only among at least so many lines, 0 = always
    density: str = "gaussian"  # of the other lines
    phase: str = "none"  # that the images get for their own: "none" leaves them as they are
    crop: tuple[int, ...] = ()  # (y, x) [pixel] larger images are cut to this around their centre, () = not
    epochs: int = 50
    batch_size: int = 12  # over all devices together
    lr: float = 1e-4
    lr_step: int = 20  # [epochs]
    lr_gamma: float = 0.5
    weight_decay: float = 0.0
    clip: float = 0.0  # largest norm of the gradient, 0 = do not clip
    rotation: float = 0.0  # [rad] training slices are turned at random by up to so much
    zoom: float = 0.0  # resized by up to so much: 0.1 is 0.9 to 1.1
    shift: float = 0.0  # [pixel] and shifted by up to so much along each axis
    window: int = 0  # train on so many successive frames of a series, from a random one on, 0 = all

    def __post_init__(self) -> None:
        for name in ("epochs", "batch_size", "lr_step"):
            value = getattr(self, name)
            check(isinstance(value, int) and value >= 1, name, "be a whole number of at least 1", value)
        check(0 < self.lr < math.inf, "lr", "be positive", self.lr)
        check(0 < self.lr_gamma <= 1, "lr_gamma", "lie in (0, 1]", self.lr_gamma)
        for name in ("weight_decay", "clip", "shift"):
            value = getattr(self, name)
            check(0 <= value < math.inf, name, "be zero or positive", value)
        check(0 <= self.rotation <= math.pi, "rotation", "lie in [0, pi]", f"{self.rotation} rad")
        check(0 <= self.zoom < 1, "zoom", "lie in [0, 1)", self.zoom)
        check(bool(self.noise) and all(0 <= p < math.inf for p in self.noise), "noise", "be >= 0", self.noise)
        check(bool(self.rate) and all(0 < r <= 1 for r in self.rate), "rate", "lie in (0, 1]", self.rate)
        whole = isinstance(self.n_center, int) and self.n_center >= 0
        check(whole, "n_center", "be a whole number >= 0", self.n_center)
        for name in ("center_from", "window"):
            value = getattr(self, name)
            check(isinstance(value, int) and value >= 0, name, "be a whole number >= 0", value)
        if self.center_from:
            rule = f"be at most the {self.center_from} lines of center_from"
            check(self.n_center <= self.center_from, "n_center", rule, self.n_center)
        check_choice("density", self.density, DENSITIES)
        check_choice("phase", self.phase, PHASES)
        sizes = len(self.crop) in (0, 2) and all(isinstance(n, int) and n >= 1 for n in self.crop)
        check(sizes, "crop", "be two positive whole numbers, as 168x208", self.crop)


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainConfig(Recipe):
    """One training run: which network on which data, and how. Everything that decides the weights is here."""

    model: str
    data: str  # store, path or URL
    options: dict[str, OptionValue] = field(default_factory=dict)  # fields of the model's Config
    lines: tuple[int, ...] = ()  # that are kept, of a series in every frame; () = as `rate` says
    accumulate: int = 1  # parts that a batch is taken in, one gradient in all: less memory
    curriculum: bool = True  # stages that draw any number of lines do; False = `rate` or `lines` in all
    contrast: tuple[str, ...] = ()  # of a store with several, () = all
    inu: float = 0.0  # level of the intensity non-uniformity: 0.2 is 0.9 to 1.1 over the brain
    mask: str = ""  # file or run whose sampling pattern all slices get, "" = lines at `rate`
    init: str = ""  # run or checkpoint whose weights it begins with, "" = random ones
    n_cases: int = 0  # train on the first so many cases of the split, 0 = all
    seed: int = 0
    device: str = "auto"
    devices: int = 1
    precision: str = "32-true"
    compile: bool = False
    channels_last: bool = False
    resident: str = "auto"  # the whole store in the memory of the device
    validate: str = "auto"  # split for the validation curve; "auto" = "validation" where the store has one
    validate_every: int = 1  # [epochs]
    max_minutes: float = 0.0  # stop cleanly after so long, 0 = never
    checkpoint_minutes: float = 10.0  # besides the one at the end of each epoch
    out: str = ""  # run directory, "" = runs/<model>-<timestamp>

    def __post_init__(self) -> None:
        # explicit because slots=True rebuilds the class, which breaks a bare super()
        Recipe.__post_init__(self)
        for name, known in CHOICES.items():
            check_choice(name, getattr(self, name), known)
        check(0 <= self.inu < 2, "inu", "lie in [0, 2)", self.inu)
        for name, least in {
            "n_cases": 0,
            "seed": 0,
            "devices": 1,
            "validate_every": 1,
            "accumulate": 1,
        }.items():
            value = getattr(self, name)
            check(isinstance(value, int) and value >= least, name, f"be a whole number >= {least}", value)
        check(all(n >= 1 for n in self.lines), "lines", "be at least 1", self.lines)
        check(self.max_minutes >= 0, "max_minutes", "be zero or positive", f"{self.max_minutes} min")
        check(
            self.checkpoint_minutes > 0, "checkpoint_minutes", "be positive", f"{self.checkpoint_minutes} min"
        )
        check(
            self.batch_size % self.devices == 0,
            "batch_size",
            f"divide by {self.devices} devices",
            self.batch_size,
        )

    @classmethod
    def for_model(cls, model: str, *, data: str, cine: bool = False, **overrides: object) -> TrainConfig:
        """Take the recipe of `model` and override it; an unknown name is a ValueError that lists all.

        With `init`, the epochs are those of its stages from there on.

        cine : whether the data are series of frames, for which a paper may train otherwise
        """
        from segnets.models import model_class

        known = [f.name for f in fields(cls)]
        for name in overrides:
            check_choice("training option", name, known)
        network = model_class(model)
        values: dict[str, Any] = {
            **asdict((network.cine if cine else None) or network.recipe),
            "epochs": network.epochs_from(trained=bool(overrides.get("init"))),
            "model": model,
            "data": data,
            **overrides,
        }
        return cls(**values)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> TrainConfig:
        """Undo `asdict` after JSON, which turns tuples into lists."""
        tuples = {name: tuple(values[name]) for name in SEVERAL if name in values}
        return cls(**{**values, **tuples})


SEVERAL = ("noise", "rate", "contrast", "lines", "crop")
CHOICES = {"device": DEVICES, "precision": PRECISIONS, "resident": RESIDENT, "validate": VALIDATE}

# What may change when a run is resumed: none of it decides what the network learns in the epochs done so far.
# What the mask holds is compared as `RunConfig.mask`.
MAY_CHANGE = frozenset(
    (
        "data",
        "mask",
        "device",
        "resident",
        "epochs",
        "max_minutes",
        "checkpoint_minutes",
        "validate_every",
        "out",
    )
)


@dataclass(frozen=True, kw_only=True, slots=True)
class RunConfig:
    """What is saved beside the weights and inside every checkpoint.

    train : the training configuration with `options` complete (defaults filled in)
    class_names : names of the classes that the network tells apart, in the order of its logits
    shape : (ny, nx) of the training images
    n_frames : of the training series, 0 for still images
    data_hash : fingerprint of the cases that it was trained on
    versions : of the software
    phantom, subjects : whose the training cases are, as far as the store says ("" and () where it does not)
    before : phantom -> subjects whose other cases the weights that it began with were trained on
    mask : the one sampling pattern of all slices (`segnets.patterns.to_text`); "" = lines drawn by slice
    """

    train: TrainConfig
    class_names: tuple[str, ...]
    shape: tuple[int, int]
    data_hash: str
    versions: dict[str, str]
    phantom: str = ""
    subjects: tuple[int, ...] = ()
    before: dict[str, tuple[int, ...]] = field(default_factory=dict)
    mask: str = ""
    n_frames: int = 0

    def seen(self) -> dict[str, tuple[int, ...]]:
        """Phantom -> all subjects that the weights have been trained on, here and before."""
        own = {self.phantom: self.subjects} if self.phantom else {}
        return {
            name: tuple(sorted({*self.before.get(name, ()), *own.get(name, ())}))
            for name in {**self.before, **own}
        }

    def to_dict(self) -> dict[str, Any]:
        """Plain values only, as JSON and a weights-only checkpoint want them."""
        values = asdict(self)
        for name in SEVERAL:
            values["train"][name] = list(getattr(self.train, name))
        lists = ("class_names", "shape", "subjects")
        values["before"] = {name: list(subjects) for name, subjects in self.before.items()}
        return {**values, **{name: list(getattr(self, name)) for name in lists}}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> RunConfig:
        """Undo `to_dict`."""
        ny, nx = values["shape"]
        return cls(
            train=TrainConfig.from_dict(values["train"]),
            class_names=tuple(values["class_names"]),
            shape=(ny, nx),
            data_hash=values["data_hash"],
            versions=dict(values["versions"]),
            phantom=values.get("phantom", ""),  # runs from before it was kept do not know
            subjects=tuple(values.get("subjects", ())),
            before={name: tuple(each) for name, each in values.get("before", {}).items()},
            mask=values.get("mask", ""),
            n_frames=values.get("n_frames", 0),
        )


def differing_fields(old: TrainConfig, new: TrainConfig) -> list[str]:
    """Names of the fields that decide what is learnt and that differ."""
    return [
        f.name
        for f in fields(old)
        if f.name not in MAY_CHANGE and getattr(old, f.name) != getattr(new, f.name)
    ]


def resumed(old: TrainConfig, *, max_minutes: float | None, epochs: int | None) -> TrainConfig:
    """Change in a stored configuration what a resuming user may set anew."""
    return replace(
        old,
        max_minutes=old.max_minutes if max_minutes is None else max_minutes,
        epochs=old.epochs if epochs is None else epochs,
    )


def parse_options(config_class: type, pairs: Iterable[str]) -> dict[str, OptionValue]:
    """Turn `["n_blocks=7", "dc=hard"]` into typed options of `config_class`, a dataclass.

    Errors (ValueError): a pair without "=", an unknown name (lists the known ones), a value of another type.
    """
    kinds = get_type_hints(config_class)
    options: dict[str, OptionValue] = {}
    for pair in pairs:
        name, equals, text = pair.partition("=")
        check(bool(equals), "option", "read name=value", repr(pair))
        check_choice("option", name.strip(), [f.name for f in fields(config_class)])
        options[name.strip()] = _parse(name.strip(), text.strip(), kinds[name.strip()])
    return options


def _parse(name: str, text: str, kind: type[OptionValue]) -> OptionValue:
    if kind is bool:
        check_choice(name, text.lower(), ("true", "false"))
        return text.lower() == "true"
    try:
        value: OptionValue = kind(text)
    except ValueError:
        raise ValueError(f"{name} must be of type {kind.__name__}, got {text!r}") from None
    return value
