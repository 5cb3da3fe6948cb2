"""DiSK: what it may and may not depend on."""

import math

import pytest
import torch
from torch.nn import functional

from segnets.blocks.fourier_features import fourier_features, grid_coordinates
from segnets.models.disk import acquired, scaled
from tests.segnets.models.small import count, noise_batch, run_stage, small

SIZES = (32, 40, 1)


@pytest.mark.parametrize(
    ("options", "expected"), [({}, 8_855_556), ({"width": 512, "n_latents": 512}, 34_619_396)]
)
def test_published_number_of_weights(options, expected):
    assert count("disk", **options) == expected


def tokens_of(model, batch):
    values, coordinates, keep = acquired(batch.kspace, batch.mask)
    return scaled(values, keep, compress=model.config.compress), coordinates, keep


def test_tokens_are_the_acquired_samples_at_their_places():
    batch = noise_batch()
    values, coordinates, keep = acquired(batch.kspace, batch.mask)
    assert values.shape == (2, int(batch.mask[0].sum()) * 40, 2) and keep is None
    for b in range(2):
        ky = (coordinates[b, :, 0] * 16 + 16).round().long()
        kx = (coordinates[b, :, 1] * 20 + 20).round().long()
        assert len({*zip(ky.tolist(), kx.tolist(), strict=True)}) == len(ky)
        assert batch.mask[b, 0, ky, 0].all()
        assert torch.equal(values[b].T, batch.kspace[b][:, ky, kx])


@torch.no_grad()
def test_order_of_the_tokens_does_not_matter():
    model, batch = small("disk").eval(), noise_batch()
    values, coordinates, _ = tokens_of(model, batch)
    order = torch.randperm(values.shape[1])
    a = model.encode(values, coordinates, SIZES)
    b = model.encode(values[:, order], coordinates[:, order], SIZES)
    points = grid_coordinates((32, 40))
    torch.testing.assert_close(
        model.decode(a, points, SIZES), model.decode(b, points, SIZES), atol=1e-5, rtol=0
    )


@torch.no_grad()
def test_padding_does_not_matter_and_samples_of_different_rates_share_a_batch():
    model, few, many = small("disk").eval(), noise_batch(), noise_batch(seed=1)
    many.mask[:, :, :16] = 1
    full = torch.randn_like(many.kspace)
    kspace = torch.cat((few.kspace, full * many.mask))
    together = model(kspace, torch.cat((few.mask, many.mask))).segmentation
    alone = torch.cat(
        [model(k[None], m[None]).segmentation for k, m in zip(kspace, (*few.mask, *many.mask), strict=True)]
    )
    torch.testing.assert_close(together, alone, atol=1e-5, rtol=0)


@torch.no_grad()
def test_queries_do_not_see_one_another_and_chunks_change_nothing():
    model, batch = small("disk").eval(), noise_batch()
    whole = model(batch.kspace, batch.mask).segmentation
    latents = model.encode(*tokens_of(model, batch)[:2], SIZES)
    one = model.decode(latents, grid_coordinates((32, 40))[777:778], SIZES)
    torch.testing.assert_close(one[:, 0], whole.flatten(2)[:, :, 777], atol=1e-5, rtol=0)
    chunked = small("disk", chunk=100).eval()(batch.kspace, batch.mask).segmentation
    torch.testing.assert_close(chunked, whole, atol=1e-5, rtol=0)


@torch.no_grad()
def test_what_lies_outside_the_mask_is_not_read():
    model, batch = small("disk").eval(), noise_batch()
    filled = torch.where(batch.mask > 0, batch.kspace, torch.tensor(7.0))
    assert torch.equal(model(filled, batch.mask).segmentation, model(batch.kspace, batch.mask).segmentation)


def test_scaling_divides_by_the_rms_and_compresses_the_magnitude():
    values = torch.tensor([[[3.0, 4.0], [0.0, 0.0], [9.0, 9.0]]])
    keep = torch.tensor([[True, True, False]])
    rms = math.sqrt(25 / 2)
    raw = scaled(values, keep, compress=False)
    torch.testing.assert_close(raw[0, 0], torch.tensor([3.0, 4.0]) / rms)
    got = scaled(values, keep, compress=True)
    torch.testing.assert_close(got[0, 0], torch.tensor([0.6, 0.8]) * math.log(1 + 5 / rms))
    assert not got[0, 1].any()
    torch.testing.assert_close(scaled(1e4 * values, keep, compress=True), got)


def test_fourier_features_are_the_documented_sines():
    c = torch.tensor([[0.25, -0.5, 0.0]])
    features = fourier_features(c, (8, 4, 1), 3)
    assert features.shape == (1, 3 * 7)
    f = (1, 2.5, 4)  # 1 to 8 / 2
    expected = [math.sin(math.pi * k * 0.25) for k in f] + [math.cos(math.pi * k * 0.25) for k in f]
    assert features[0, 3:9].tolist() == pytest.approx(expected, abs=1e-6)
    points = grid_coordinates((3, 4, 6))
    assert points.shape == (72, 3) and points[:, 2].unique().tolist() == [-1, 0, 1]
    assert points[2 * 6 + 3].tolist() == [0, 0, -1]  # the centre, n // 2, of the first frame


@torch.no_grad()
def test_series_of_frames():
    model = small("disk").eval()
    kspace, mask = torch.randn(1, 2, 3, 8, 10), torch.zeros(1, 1, 3, 8, 1)
    mask[0, 0, [0, 1, 2], [3, 4, 5]] = 1  # another line in each frame
    assert model(kspace * mask, mask).segmentation.shape == (1, 4, 3, 8, 10)
    assert acquired(kspace, mask)[1].shape == (1, 30, 3)


def test_loss_is_binary_cross_entropy_and_dice_of_the_foreground():
    model, batch = small("disk"), noise_batch()
    output, loss = run_stage(model, type(model).stages[0], batch)
    p = output.segmentation.sigmoid()
    g = functional.one_hot(batch.labels, 4).permute(0, 3, 1, 2).float()
    bce = -(g * p.log() + (1 - g) * (1 - p).log()).mean()
    dice = [
        (2 * (p[b, c] * g[b, c]).sum() + 1) / (p[b, c].sum() + g[b, c].sum() + 1)
        for b in (0, 1)
        for c in (1, 2, 3)
    ]
    assert loss.item() == pytest.approx((bce + 1 - torch.stack(dice).mean()).item(), rel=1e-5)
