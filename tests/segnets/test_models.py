"""SERANet and One-step, in all their variants, and what only SERANet promises."""

import copy

import pytest
import torch

from segnets.blocks.fourier import as_channels, as_complex, centred_fft2, centred_ifft2, to_image
from segnets.checkpoint import load_model, save_checkpoint
from segnets.config import RunConfig, TrainConfig
from segnets.data import undersample
from segnets.masks import Lines
from segnets.models import build_model, model_class

# small versions; tests/segnets/models has those of all networks
SMALL = {
    "seranet": {"n_blocks": 2, "width": 4, "reg_width": 4},
    "one-step": {"width": 4},
}
VARIANTS = [
    *((name, {}) for name in SMALL),
    ("one-step", {"norm": False}),
    ("seranet", {"reg": "B"}),
    ("seranet", {"reg": "B", "reg_skip": False, "n_blocks": 1}),
    ("seranet", {"convlstm_at": "decoder_out", "loss": "ce_all"}),
    ("seranet", {"convlstm_at": "input", "attention_source": "prev"}),
    ("seranet", {"convlstm_at": "none", "norm": False, "loss": "ce_l2"}),
    ("seranet", {"dc": "learnable", "n_iterations": 1}),
    ("seranet", {"dc": "fixed", "dc_weight": 2.0, "n_iterations": 0}),
]


def random_batch(shape=(24, 32), n=2, n_classes=4, seed=0):
    g = torch.Generator().manual_seed(seed)
    kspace = torch.randn(n, *shape, dtype=torch.complex64, generator=g)
    mask = Lines(n_ky=shape[0], n_center=4).draw(torch.full((n,), shape[0] // 3), g)
    labels = torch.randint(n_classes, (n, *shape), generator=g)
    return undersample(kspace, mask, labels, torch.arange(n))


def small(name, **options):
    torch.manual_seed(0)
    return build_model(name, {**SMALL[name], **options})


@pytest.mark.parametrize(("name", "options"), VARIANTS)
def test_every_model_maps_kspace_to_class_logits_and_learns_in_all_its_weights(name, options):
    model, batch = small(name, **options), random_batch()
    output = model(batch.kspace, batch.mask)
    assert output.segmentation.shape == (2, 4, 24, 32)
    assert all(image.shape == (2, 2, 24, 32) for image in output.images)
    assert len(output.logits) == len(output.images) == 1 + getattr(model.config, "n_iterations", 0)
    model.loss(output, batch).backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())


@pytest.mark.parametrize(("name", "options"), VARIANTS)
def test_every_model_comes_back_from_its_checkpoint(name, options, tmp_path):
    model, batch = small(name, **options), random_batch()
    with torch.no_grad():
        model(batch.kspace, batch.mask)  # moves the running statistics of the normalisation
    train = TrainConfig(model=name, data="", options={**SMALL[name], **options})
    run = RunConfig(train=train, class_names=tuple("abcd"), shape=(24, 32), data_hash="", versions={})
    save_checkpoint(tmp_path / "last.pt", run, {"model": model.state_dict()})
    loaded, loaded_run = load_model(tmp_path)
    assert loaded_run == run and not loaded.training
    with torch.no_grad():
        expected = model.eval()(batch.kspace, batch.mask).segmentation
        assert torch.equal(loaded(batch.kspace, batch.mask).segmentation, expected)


@pytest.mark.parametrize("name", SMALL)
@pytest.mark.parametrize("shape", [(25, 33), (18, 27)])
def test_every_model_takes_any_size_and_any_number_of_classes(name, shape):
    batch = random_batch(shape, n_classes=3)
    output = small(name, n_classes=3)(batch.kspace, batch.mask)
    assert output.segmentation.shape == (2, 3, *shape)


@pytest.mark.parametrize("name", SMALL)
def test_every_model_runs_in_bfloat16(name):
    model, batch = small(name), random_batch()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        output = model(batch.kspace, batch.mask)
    loss = model.loss(output, batch)
    loss.backward()
    assert all(p.grad.isfinite().all() for p in model.parameters())
    exact = model.loss(model(batch.kspace, batch.mask), batch)
    assert loss.item() == pytest.approx(exact.item(), rel=0.05)  # 8 bits of mantissa, a dozen layers


@pytest.mark.parametrize("name", SMALL)
def test_every_model_tells_where_it_comes_from(name):
    cls = model_class(name)
    assert "MICCAI" in cls.paper or cls.paper
    assert cls.description and cls.recipe.epochs >= 1


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"n_blocks": 2}, 26_921_930),
        ({"n_blocks": 4}, 27_148_238),
        ({}, 27_487_700),
        ({"n_blocks": 2, "reg": "B"}, 32_169_482),
        ({"reg": "B"}, 41_481_172),
        ({"n_blocks": 2, "n_iterations": 0, "convlstm_at": "none"}, 7_928_904),  # Joint-2A
        ({"n_iterations": 0, "convlstm_at": "none"}, 8_494_674),  # Joint-7A
        ({"convlstm_at": "decoder_out"}, 7 * 113_154 + 116_610 + 7_997_764),
        ({"convlstm_at": "input"}, 7 * 113_154 + 116_610 + 7_702_596 + 152_320 + 62 * 64 * 9),
        ({"dc": "learnable"}, 27_487_700 + 8),  # one scalar per data-consistency layer
    ],
)
def test_seranet_has_the_published_number_of_weights(options, expected):
    with torch.device("meta"):
        assert build_model("seranet", options).n_parameters() == expected


def test_one_step_has_the_published_number_of_weights():
    with torch.device("meta"):
        assert build_model("one-step").n_parameters() == 7_702_596


def test_seranet_without_attention_is_joint_with_a_cell_that_starts_from_zero():
    model, batch = small("seranet", n_iterations=0), random_batch()
    x = to_image(batch.kspace)
    for reg in model.reconstruct.regs:
        k = as_channels(centred_fft2(as_complex(reg(x, x))))
        x = as_channels(centred_ifft2(as_complex(torch.where(batch.mask > 0, batch.kspace, k))))
    features, skips = model.segment.unet.encode(x)
    gates = model.segment.cell.gates(torch.cat((features, torch.zeros_like(features)), dim=1))
    i, _, o, g = gates.chunk(4, dim=1)
    h = o.sigmoid() * (i.sigmoid() * g.tanh()).tanh()
    joint = model.segment.unet.head(model.segment.unet.decode(h, skips))
    got = model(batch.kspace, batch.mask)
    assert got.segmentation.detach().numpy() == pytest.approx(joint.detach().numpy(), abs=1e-4)
    assert got.image.detach().numpy() == pytest.approx(x.detach().numpy(), abs=1e-5)


class OneCopyPerCall(torch.nn.Module):
    """The same weights, but each call of the block has its own."""

    def __init__(self, block, n):
        super().__init__()
        self.copies = torch.nn.ModuleList(copy.deepcopy(block) for _ in range(n))
        self.calls = 0

    def forward(self, features, image):
        self.calls += 1
        return self.copies[self.calls - 1](features, image)


def test_attention_block_learns_from_each_iteration_and_reg_1_from_the_last_answer():
    n_iterations = 3
    model, batch = small("seranet", n_iterations=n_iterations), random_batch()
    apart = copy.deepcopy(model)
    apart.att_reg = OneCopyPerCall(model.att_reg, n_iterations)
    for m in (model, apart):
        m.loss(m(batch.kspace, batch.mask), batch).backward()
    shared = model.att_reg.layers[0].weight.grad
    parts = [c.layers[0].weight.grad for c in apart.att_reg.copies]
    assert all(part.abs().max() > 1e-3 * shared.abs().max() for part in parts)
    assert sum(parts).numpy() == pytest.approx(shared.numpy(), abs=1e-5 * float(shared.abs().max()))
    assert model.reconstruct.regs[0].layers[0].weight.grad.abs().max() > 0


@pytest.mark.parametrize("place", ["bottleneck", "decoder_out", "input"])
def test_memory_of_seranet_lasts_over_the_iterations_and_not_over_batches(place):
    model, batch = small("seranet", convlstm_at=place).eval(), random_batch()
    with torch.no_grad():
        output = model(batch.kspace, batch.mask)
        state = None
        for image, logits in zip(output.images, output.logits, strict=True):
            expected, state = model.segment(image, state)
            assert torch.equal(logits, expected)
        forgetful, _ = model.segment(output.image, None)
        assert not torch.allclose(output.segmentation, forgetful, atol=1e-4)
        model(-3 * batch.kspace, batch.mask)
        assert torch.equal(model(batch.kspace, batch.mask).segmentation, output.segmentation)


def test_every_image_of_seranet_agrees_with_the_measurement():
    model, batch = small("seranet"), random_batch()
    for image in model(batch.kspace, batch.mask).images:
        k = as_channels(centred_fft2(as_complex(image))) * batch.mask
        assert k.detach().numpy() == pytest.approx(batch.kspace.numpy(), abs=1e-4)


def test_attention_source_is_the_image_before_the_last_block_or_the_previous_one():
    seen = {}
    for source in ("first", "prev"):
        model, batch = small("seranet", attention_source=source), random_batch()
        seen[source] = []
        model.att_reg.register_forward_hook(lambda _m, args, _o, s=source: seen[s].append(args[1]))
        output = model(batch.kspace, batch.mask)
        before, _ = model.reconstruct(batch.kspace, batch.mask)
        expected = [before, before] if source == "first" else list(output.images[:2])
        assert all(torch.equal(a, b) for a, b in zip(seen[source], expected, strict=True))


def test_the_three_losses_of_the_paper():
    batch = random_batch()
    models = {loss: small("seranet", loss=loss) for loss in ("ce_last", "ce_all", "ce_l2")}
    output = models["ce_last"](batch.kspace, batch.mask)
    ce = [torch.nn.functional.cross_entropy(s, batch.labels).item() for s in output.logits]
    l2 = ((output.images[-1] - batch.image) ** 2).mean().item()
    expected = {"ce_last": ce[2], "ce_all": sum(ce), "ce_l2": ce[2] + l2}
    for loss, model in models.items():
        assert model.loss(output, batch).item() == pytest.approx(expected[loss], rel=1e-5)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"n_block": 2}, r"option must be one of .*n_blocks.*did you mean 'n_blocks'"),
        ({"reg": "C"}, "reg must be one of A, B, got 'C'"),
        ({"n_blocks": 0}, "n_blocks must be at least 1, got 0"),
        ({"convlstm_at": "botleneck"}, "did you mean 'bottleneck'"),
        ({"dc": "fixed", "dc_weight": -1.0}, "dc_weight must be zero or positive"),
        ({"n_classes": 1}, "n_classes must be at least 2, got 1"),
    ],
)
def test_wrong_options_are_refused_in_a_sentence(options, sentence):
    with pytest.raises(ValueError, match=sentence):
        build_model("seranet", options)


def test_unknown_model_names_the_nearest():
    with pytest.raises(ValueError, match="did you mean 'seranet'"):
        model_class("sera-net")
