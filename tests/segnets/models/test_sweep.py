"""Every network of the tables under one contract, in every stage of its training."""

import pytest
import torch

from segnets.checkpoint import load_model, save_checkpoint
from segnets.config import RunConfig, TrainConfig
from segnets.models import MODELS, RECONSTRUCTORS, model_class
from tests.segnets.models.small import (
    SMALL,
    config_options,
    ellipse_batch,
    noise_batch,
    run_stage,
    sampled,
    small,
)

NAMES = [*MODELS, *RECONSTRUCTORS]
STAGES = [(name, i) for name in NAMES for i in range(len(model_class(name).stages))]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("shape", [(32, 40), (33, 47)])
def test_every_model_takes_any_size_and_any_number_of_classes(name, shape):
    model = small(name, shape, n_classes=3).eval()
    batch = sampled(model, noise_batch(shape, n_classes=3))
    with torch.no_grad():
        output = model(batch.kspace, batch.mask)
    assert all(image.shape == (2, 2, *shape) for image in output.images) and output.images
    if name in MODELS:
        assert all(logits.shape == (2, 3, *shape) for logits in output.logits) and output.logits
    else:
        assert output.logits == ()


@pytest.mark.parametrize(("name", "number"), STAGES)
def test_every_stage_trains_what_it_says_and_nothing_else(name, number):
    model = small(name)
    stage = type(model).stages[number]
    batch = sampled(model, noise_batch())
    model.begin(stage)
    before = {k: v.clone() for k, v in model.state_dict().items()}
    _, loss = run_stage(model, stage, batch)
    loss.backward()
    parts = dict(model.named_parameters())
    learns = {
        k for k in parts if not stage.trainable or k.startswith(tuple(f"{p}." for p in stage.trainable))
    }
    assert {k for k, p in parts.items() if p.grad is not None} == learns
    assert all(parts[k].grad.isfinite().all() for k in learns)
    torch.optim.SGD([parts[k] for k in learns], lr=1e-3).step()
    after = model.state_dict()
    frozen = [k for k in after if k not in learns and not in_a_learning_part(k, learns)]
    assert all(torch.equal(before[k], after[k]) for k in frozen)  # running statistics, too
    assert any(not torch.equal(before[k], after[k]) for k in learns)


def in_a_learning_part(buffer, learns):
    """Statistics of a normalisation move with the weights beside them."""
    return any(k.rpartition(".")[0] == buffer.rpartition(".")[0] for k in learns)


@pytest.mark.parametrize("name", NAMES)
def test_every_model_comes_back_from_its_checkpoint(name, tmp_path):
    model = small(name)
    batch = sampled(model, noise_batch())
    with torch.no_grad():
        model(batch.kspace, batch.mask)  # moves the running statistics of the normalisation
    train = TrainConfig(model=name, data="", options=config_options(name))
    run = RunConfig(train=train, class_names=tuple("abcd"), shape=(32, 40), data_hash="", versions={})
    save_checkpoint(tmp_path / "last.pt", run, {"model": model.state_dict()})
    loaded, loaded_run = load_model(tmp_path)
    assert loaded_run == run and not loaded.training
    with torch.no_grad():
        expected = model.eval()(batch.kspace, batch.mask)
        got = loaded(batch.kspace, batch.mask)
    assert all(
        torch.equal(a, b)
        for a, b in zip(got.logits + got.images, expected.logits + expected.images, strict=True)
    )


@pytest.mark.parametrize("name", NAMES)
def test_every_model_runs_in_bfloat16(name):
    model = small(name)
    batch = sampled(model, ellipse_batch())
    losses = []
    for on in (True, False):
        torch.manual_seed(1)  # patterns and dropout are drawn in the forward pass
        model.begin(type(model).stages[-1])
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=on):
            output, loss = run_stage(model, type(model).stages[-1], batch)
        loss.backward()
        assert all(p.grad.isfinite().all() for p in model.parameters() if p.grad is not None)
        assert all(image.dtype == torch.float32 for image in output.images)
        losses.append(loss.item())
    assert losses[0] == pytest.approx(losses[1], rel=0.05)  # 8 bits of mantissa, a dozen layers


@pytest.mark.parametrize("name", NAMES)
def test_every_model_tells_where_it_comes_from(name):
    cls = model_class(name)
    assert cls.paper and cls.description
    assert len(cls.stages) == 1 or cls.recipe.epochs == sum(stage.epochs for stage in cls.stages)


def test_every_model_has_a_small_version():
    assert set(SMALL) == set(NAMES)
