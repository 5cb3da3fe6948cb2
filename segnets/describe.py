"""Completing the configuration of a run by what its store and its model say, before anything is trained."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, fields, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np

from mrsim.store import Store
from segnets.blocks.sampling_pattern import GIVEN
from segnets.checkpoint import checkpoint_path, read_checkpoint, run_of
from segnets.config import OptionValue, RunConfig, TrainConfig, check, differing_fields
from segnets.data import (
    DataError,
    data_hash,
    image_shape,
    known_contrasts,
    phantom_of,
    split_indices,
)
from segnets.masks import Lines
from segnets.models import MODELS, model_class
from segnets.models.base import ModelConfig
from segnets.patterns import read_pattern, share, to_text
from segnets.session import TrainingError
from segnets.stages import divide_epochs


def describe(config: TrainConfig, store: Store) -> RunConfig:
    """Fill in what the configuration leaves open; DataError or ValueError where it does not fit the store."""
    config, origin = with_origin(config)
    shape = image_shape(store, config.crop)
    pattern = read_pattern(config.mask, shape) if config.mask else None
    if pattern is not None:
        config = replace(config, rate=(share(pattern),))
    elif config.lines:
        most = max(config.lines)
        check(most <= shape[0], "lines", f"be at most the {shape[0]} of {store.path}", most)
        config = replace(config, rate=tuple(n / shape[0] for n in config.lines))
    config = replace(config, contrast=known_contrasts(store, config.contrast))
    model = model_config(config, store)
    divide_epochs(model_class(config.model).stages_from(trained=bool(config.init)), config.epochs)
    validate = config.validate
    if validate == "auto":
        validate = "validation" if store.indices("validation").size else "none"
    if validate != "none":
        split_indices(store, validate)
    indices = split_indices(store, "train")
    if not model.samples_itself and pattern is None:
        lines = Lines(n_ky=shape[0], n_center=config.n_center, center_from=config.center_from)
        for rate in config.rate:
            lines.count(rate)
    indices = indices[: config.n_cases or len(indices)]
    fingerprint = data_hash(store, indices)
    return RunConfig(
        train=replace(config, options=asdict(model), validate=validate),
        class_names=store.class_names,
        shape=shape,
        n_frames=store.n_frames,
        data_hash=fingerprint,
        versions={name: _version(name) for name in ("mrsim", "torch", "lightning", "numpy")},
        phantom=phantom_of(store),
        subjects=tuple(int(subject) for subject in np.unique(store.coords["subject"][indices])),
        before={} if origin is None else seen_before(origin, store.class_names, fingerprint),
        mask="" if pattern is None else to_text(pattern),
    )


def with_origin(config: TrainConfig) -> tuple[TrainConfig, RunConfig | None]:
    """Read the record of the run whose weights this one begins with, and take over its network's options.

    A run that has begun has that record itself: the other run may be gone. DataError for another network.
    """
    if not config.init:
        return config, None
    last = Path(config.out) / "last.pt"
    path = last if config.out and last.is_file() else checkpoint_path(config.init)
    origin = run_of(read_checkpoint(path), path)
    if origin.train.model != config.model:
        raise DataError(
            f"init must be a run of {config.model}, got one of {origin.train.model}: {config.init}"
        )
    options = {**origin.train.options, **config.options}
    if "rate" in options and config.rate != (options["rate"],):
        raise DataError(
            f"rate must be {options['rate']} as in the pattern of {config.init}, got {config.rate}"
        )
    return replace(config, options=options), origin


def seen_before(
    origin: RunConfig, class_names: Sequence[str], fingerprint: str
) -> dict[str, tuple[int, ...]]:
    """Subjects by phantom that the weights of `origin` were trained on, besides the cases of this run."""
    if tuple(class_names) != tuple(origin.class_names):
        raise DataError(
            f"init must tell apart {', '.join(class_names)}, got a run for {', '.join(origin.class_names)}"
        )
    return dict(origin.before) if origin.data_hash == fingerprint else origin.seen()


def model_config(config: TrainConfig, store: Store) -> ModelConfig:
    """Complete the model's options by what the store and the run decide; DataError where they contradict it.

    The store decides the classes, the contrasts and, where the network is built for one size of image, that
    size; the run's rate is that of a network with its own sampling pattern, and a mask takes its place.
    """
    cls = model_class(config.model)
    check_frames(config, store)
    known = [f.name for f in fields(cls.Config)]
    ny, nx = image_shape(store, config.crop)
    given: dict[str, OptionValue] = {"n_classes": store.n_classes, "ny": ny, "nx": nx}
    given["dims"] = 3 if store.n_frames else 2
    given["contrasts"] = max(1, len(config.contrast))
    if given["contrasts"] != 1 and "contrasts" not in known:
        names = ", ".join(config.contrast)
        raise DataError(f"contrast must be a single one for {config.model}, got {names}: choose one of them")
    if config.mask and "pattern" in known:
        given["pattern"] = GIVEN
    notes = {"n_classes": f" ({', '.join(store.class_names)})", "pattern": f" (the mask {config.mask})"}
    for name, value in given.items():
        wanted = config.options.get(name, value)
        if name in known and wanted != value:
            raise DataError(f"{name} must be {value}{notes.get(name, '')} for {store.path}, got {wanted}")
    if "rate" in known:
        check(
            len(config.rate) == 1, "rate", "be a single one for a network with its own pattern", config.rate
        )
        given["rate"] = config.rate[0]
    model = cls.configure({name: value for name, value in given.items() if name in known} | config.options)
    if config.mask and model.samples_itself:
        raise DataError(
            f"mask must be left out for {config.model}, which learns its own pattern, got {config.mask}"
        )
    return model


def check_frames(config: TrainConfig, store: Store) -> None:
    """Raise DataError where a network cannot take the series of frames of a store, or windows of them."""
    cls = model_class(config.model)
    if store.n_frames and cls.cine is None:
        takers = ", ".join(name for name in MODELS if model_class(name).cine is not None)
        raise DataError(
            f"{config.model} takes single images, but {store.path} holds series of {store.n_frames} frames, "
            f"which are for {takers}"
        )
    if config.window and not cls.windows:
        raise DataError(f"window must be 0 for {config.model}, which needs whole series, got {config.window}")
    if config.options.get("circular") and (config.window or not store.n_frames):
        what = f"windows of {config.window} frames" if config.window else f"the single images of {store.path}"
        raise DataError(f"circular must be false for {what}, which are no whole beat, got true")
    if config.window and not store.n_frames:
        raise DataError(f"window must be 0 for the single images of {store.path}, got {config.window}")
    if config.window > store.n_frames:
        what = f"be at most the {store.n_frames} frames of {store.path}"
        raise DataError(f"window must {what}, got {config.window}")


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:  # run from a checkout that is not installed
        return "not installed"


def epochs_done(out: Path, run: RunConfig, resume: bool) -> int:
    """Return how far the run in `out` is; TrainingError unless it may be resumed and is the same as `run`."""
    last = out / "last.pt"
    if not resume:
        raise TrainingError(f"{out} already holds a run; resume it or choose another directory")
    payload = read_checkpoint(last)
    old = run_of(payload, last)
    complete = asdict(
        model_class(old.train.model).configure(old.train.options)
    )  # with options that came later
    if names := differing_fields(replace(old.train, options=complete), run.train):
        was, now = getattr(old.train, names[0]), getattr(run.train, names[0])
        raise TrainingError(f"{names[0]} must stay {was} where {out} is resumed, got {now}")
    check_epochs(out, old.train, run.train)
    if old.mask != run.mask:
        raise TrainingError(f"mask must stay the one that {out} was trained with, got another one")
    if old.data_hash != run.data_hash:
        raise TrainingError(f"{run.train.data} does not hold the cases that {out} was trained on")
    return int(payload["progress"]["epoch"])


def check_epochs(out: Path, old: TrainConfig, new: TrainConfig) -> None:
    """Raise TrainingError where a resumed run would have other epochs, and that changes the ones done."""
    stages = model_class(new.model).stages_from(trained=bool(new.init))
    if old.epochs == new.epochs or not (len(stages) > 1 or stages[0].depends_on_length):
        return
    why = "they divide into stages" if len(stages) > 1 else "the schedule of the training depends on them"
    raise TrainingError(
        f"epochs must stay {old.epochs} where {out} is resumed, since {why}, got {new.epochs}"
    )
