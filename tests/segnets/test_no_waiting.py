"""In a training step the host must not wait for the device: it reads no value, and values decide no size."""

import pytest
import torch
from lightning.fabric import Fabric
from torch.nn import functional
from torch.utils._python_dispatch import TorchDispatchMode

from segnets.augment import Affine
from segnets.config import RunConfig, TrainConfig
from segnets.data import Cases
from segnets.masks import Lines
from segnets.models import MODELS, RECONSTRUCTORS, model_class
from segnets.session import Session
from segnets.train import train_step
from segnets.undersampling import Undersampling
from tests.segnets.models.small import config_options

SHAPE = (32, 32)
# reading a value (item, bool, float, tolist), sizes that depend on values, and tensors made of Python numbers
WAITING = {"_local_scalar_dense", "nonzero", "masked_select", "unique_dim", "_unique2", "equal", "lift_fresh"}
STAGES = [(n, i) for n in (MODELS | RECONSTRUCTORS) for i in range(len(model_class(n).stages))]
SERIES = [(n, i) for n, i in STAGES if model_class(n).cine is not None]
OF_SERIES = {"syn-net": {"dims": 3, "aux_recon": False}, "li-net": {"dims": 3}, "disk": {"queries": 64}}


class WaitedError(AssertionError):
    """The host would have waited."""


class NoWaiting(TorchDispatchMode):
    """Refuse every operation that waits on a GPU, on whatever device it runs."""

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        if func._schema.name.removeprefix("aten::") in WAITING:
            raise WaitedError(func._schema.name)
        return func(*args, **(kwargs or {}))


def session_of(name, number, out, *, series=False, **overrides):
    """A session at the first epoch of a stage; fused Adam, as on a GPU."""
    cls = model_class(name)
    options = config_options(name, SHAPE, **(OF_SERIES[name] if series else {}))
    train = TrainConfig.for_model(
        name, data="", options=options, epochs=len(cls.stages), batch_size=2, device="cpu", **overrides
    )
    run = RunConfig(train=train, class_names=tuple("abcd"), shape=SHAPE, data_hash="", versions={})
    session = Session(Fabric(accelerator="cpu"), run, out)
    session.progress.epoch = number
    session.enter_stage()
    for group in session.optimiser.param_groups:
        group["fused"] = True
    return session


def cases(n_levels=2, frames=()):
    g = torch.Generator().manual_seed(0)
    kspace = torch.randn(n_levels, 2, *frames, *SHAPE, dtype=torch.complex64, generator=g)
    labels = torch.randint(4, (2, *frames, *SHAPE), generator=g).to(torch.uint8)
    return Cases(kspace, labels, torch.arange(2))


def one_hot(labels, n_classes):
    """torch's own looks at the values of its argument, but on a CPU only."""
    return torch.zeros(*labels.shape, n_classes, dtype=torch.long).scatter_(-1, labels[..., None], 1)


@pytest.mark.parametrize(("name", "number"), STAGES)
def test_no_step_of_any_network_waits(name, number, tmp_path, monkeypatch):
    monkeypatch.setattr(functional, "one_hot", one_hot)
    session = session_of(name, number, tmp_path, clip=1.0)
    sampling = Undersampling(
        rate=(1.0,) if session.model.config.samples_itself else (0.25, 0.5),
        lines=Lines(n_ky=SHAPE[0], n_center=4),
        affine=Affine(rotation=0.3, zoom=0.1, shift=2.0),
        clean=True,
    )
    before = [p.clone() for p in session.model.parameters()]
    with NoWaiting():
        train_step(session, sampling, cases())
    assert any(not torch.equal(a, b) for a, b in zip(before, session.model.parameters(), strict=True))
    assert session.scores.n == 2


@pytest.mark.parametrize(("name", "number"), SERIES)
@pytest.mark.parametrize("phase", ["sinusoid", "bumps"])
def test_no_step_on_series_waits(name, number, phase, tmp_path, monkeypatch):
    """With everything that cines bring along: lines by frame, phase, windows, parts of a batch."""
    monkeypatch.setattr(functional, "one_hot", one_hot)
    session = session_of(name, number, tmp_path, series=True, clip=1.0, accumulate=2)
    sampling = Undersampling(
        rate=(0.125, 0.25, 0.5),
        lines=Lines(n_ky=SHAPE[0], n_center=2, center_from=8, density="ktfocuss"),
        affine=Affine(rotation=0.3, zoom=0.1, shift=2.0),
        phase=phase,
        window=3 if name == "syn-net" else 0,
        clean=True,
    )
    before = [p.clone() for p in session.model.parameters()]
    with NoWaiting():
        train_step(session, sampling, cases(frames=(4,)))
    assert any(not torch.equal(a, b) for a, b in zip(before, session.model.parameters(), strict=True))
    assert session.scores.n == 2


def test_waiting_is_noticed(tmp_path, monkeypatch):
    session = session_of("one-step", 0, tmp_path)
    loss = session.model.loss
    monkeypatch.setattr(session.model, "loss", lambda o, b: loss(o, b) if b.mask.sum() > 0 else None)
    with NoWaiting(), pytest.raises(WaitedError, match="_local_scalar_dense"):
        train_step(session, Undersampling(rate=(0.5,), lines=Lines(n_ky=32, n_center=4)), cases(1))
