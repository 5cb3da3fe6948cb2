"""Checkpoints: written whole or not at all, read without running any code of theirs."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from segnets.config import RunConfig
from segnets.models import MODELS, RECONSTRUCTORS, build_model
from segnets.models.base import SegmentationModel

FORMAT = "segnets-checkpoint"
FORMAT_VERSION = 1
NAMES = ("last", "best")


class CheckpointError(Exception):
    """A checkpoint that cannot be used; the message is one sentence for the user."""


def save_checkpoint(path: Path, run: RunConfig, state: Mapping[str, Any]) -> None:
    """Write `state` (tensors and plain values) with the configuration, replacing the file in one step."""
    payload = {"format": FORMAT, "format_version": FORMAT_VERSION, "run": run.to_dict(), **state}
    part = path.with_suffix(".part")
    try:
        with part.open("wb") as file:
            torch.save(payload, file)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except (OSError, RuntimeError) as error:  # torch turns a full disk into a RuntimeError
        part.unlink(missing_ok=True)
        raise CheckpointError(f"{path} cannot be written ({error})") from error


def read_checkpoint(path: Path, device: torch.device | str = "cpu") -> dict[str, Any]:
    """Read a checkpoint of this format; CheckpointError with one sentence for anything else."""
    if not path.is_file():
        raise CheckpointError(f"{path} does not exist; a run directory holds last.pt once an epoch is done")
    try:
        payload = torch.load(path, map_location=device, weights_only=True)
    except PermissionError as error:
        raise CheckpointError(f"{path} cannot be read ({error})") from None
    except Exception:  # whatever torch makes of a damaged file; it raises about everything
        raise CheckpointError(f"{path} is damaged or not a checkpoint of segnets") from None
    if not isinstance(payload, dict) or payload.get("format") != FORMAT:
        raise CheckpointError(f"{path} is a checkpoint of another program, not of segnets")
    if payload.get("format_version") != FORMAT_VERSION:
        found = payload.get("format_version")
        raise CheckpointError(f"{path} has checkpoint format {found}, this version reads {FORMAT_VERSION}")
    return payload


def checkpoint_path(path: str | Path, which: str = "last") -> Path:
    """Return the file itself, or `last.pt` / `best.pt` of a run directory."""
    path = Path(path)
    if path.is_file():
        return path
    if which not in NAMES:
        raise CheckpointError(f"which must be one of {', '.join(NAMES)}, got {which!r}")
    if not path.is_dir():
        raise CheckpointError(f"{path} does not exist")
    if which == "best" and not (path / "best.pt").is_file():
        raise CheckpointError(f"{path} has no best.pt: it was trained without a validation split; use last")
    return path / f"{which}.pt"


def load_model(
    path: str | Path, which: str = "last", device: torch.device | str = "cpu"
) -> tuple[SegmentationModel, RunConfig]:
    """Rebuild the network of a checkpoint, in evaluation mode, with the record of its training.

    path : a run directory or a checkpoint file; `which` ("last" or "best") picks from a directory
    Errors: CheckpointError with one sentence.
    """
    path = checkpoint_path(path, which)
    payload = read_checkpoint(path)
    run = run_of(payload, path)
    _check_directory(path, run)
    torch_state = torch.random.get_rng_state()
    try:
        model = build_model(run.train.model, run.train.options)
    except ValueError as error:
        raise CheckpointError(f"{path} does not fit this version: {error}") from None
    finally:
        torch.random.set_rng_state(torch_state)  # loading draws nothing that anyone should notice
    load_weights(model, payload, path)
    return model.to(device).eval(), run


def _check_directory(path: Path, run: RunConfig) -> None:
    """Refuse a checkpoint that lies in the directory of a run of another model."""
    config = path.with_name("config.json")
    try:
        model = json.loads(config.read_text(encoding="utf-8"))["train"]["model"]
    except (OSError, ValueError, KeyError, TypeError):
        return  # a checkpoint on its own
    if model != run.train.model:
        raise CheckpointError(f"{path} is a checkpoint of {run.train.model}, but {config} is of {model}")


def run_of(payload: Mapping[str, Any], path: Path) -> RunConfig:
    """Return the configuration in a checkpoint; CheckpointError where this version does not understand it."""
    name = payload.get("run", {}).get("train", {}).get("model")
    known = MODELS | RECONSTRUCTORS
    if name not in known:
        raise CheckpointError(f"{path} is of model {name!r}, this version knows {', '.join(known)}")
    try:
        return RunConfig.from_dict(payload["run"])
    except (KeyError, TypeError, ValueError) as error:
        raise CheckpointError(f"{path} does not fit this version: {error}") from None


def load_weights(model: SegmentationModel, payload: Mapping[str, Any], path: Path) -> None:
    """Load the weights in place; CheckpointError where they are of another network."""
    try:
        model.load_state_dict(payload["model"])
    except (KeyError, RuntimeError):
        raise CheckpointError(f"{path}: the weights do not fit the model it names, it is damaged") from None


def write_json(path: Path, values: Mapping[str, Any]) -> None:
    """Write `values` as JSON, replacing the file in one step."""
    part = path.with_suffix(".part")
    part.write_text(json.dumps(values, indent=2) + "\n")
    part.replace(path)
