"""DiSK: what it may and may not depend on."""

import math

import pytest
import torch
from torch.nn import functional

from segnets.blocks.fourier_features import fourier_features, grid_coordinates
from segnets.models.disk import MARGIN, DiSK, DiskConfig, acquired, random_points, scaled, span
from tests.segnets.models.small import count, heart_batch, noise_batch, run_stage, small

SIZES = (32, 40, 1)


@pytest.mark.parametrize(
    ("options", "expected"), [({}, 8_855_556), ({"width": 512, "n_latents": 512}, 34_619_396)]
)
def test_published_number_of_weights(options, expected):
    assert count("disk", **options) == expected


@torch.no_grad()
@pytest.mark.parametrize("sharpness", [1 / 3, 3.0])
def test_logits_of_the_first_reading_are_as_sharp_as_asked_for(sharpness):
    torch.manual_seed(0)
    read = DiSK(DiskConfig(sharpness=sharpness)).encoder[0].read
    q = read.to_q(functional.layer_norm(torch.randn(64, 256), (256,)))
    k = read.to_kv(functional.layer_norm(torch.randn(512, 256), (256,)))[:, :64]
    assert float((q @ k.T / math.sqrt(64)).std()) == pytest.approx(sharpness, rel=0.05)


@torch.no_grad()
def test_what_was_measured_shows_in_the_answer_before_training():
    def spread_over_scans(**options):
        torch.manual_seed(0)
        model = DiSK(DiskConfig(width=64, n_latents=64, n_bands=16, **options)).eval()
        kspace = torch.cat([noise_batch(seed=seed).kspace for seed in range(4)])
        return float(model(kspace, torch.ones(8, 1, 32, 1)).segmentation.std(dim=0).mean())

    assert spread_over_scans() > 1.5 * spread_over_scans(sharpness=1 / 3, loudness=1.0)


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
def test_series_of_frames_are_tokens_in_space_and_time():
    model, batch = small("disk").eval(), heart_batch((16, 20), n_frames=5)
    values, coordinates, keep = acquired(batch.kspace, batch.mask)
    assert values.shape == (2, 5 * 8 * 20, 2) and keep is None
    for b in range(2):
        t = (coordinates[b, :, 2] * 2 + 2).round().long()  # frames 0 to 4 are -1 to 1
        ky, kx = ((coordinates[b, :, i] * n / 2 + n / 2).round().long() for i, n in enumerate((16, 20)))
        assert batch.mask[b, 0, t, ky, 0].all() and len({*zip(t.tolist(), ky.tolist(), strict=True)}) == 40
        assert torch.equal(values[b].T, batch.kspace[b][:, t, ky, kx])
    known = acquired(batch.kspace, batch.mask, (800, 800))
    assert torch.equal(known[0], values) and torch.equal(known[1], coordinates)
    logits = model(batch.kspace, batch.mask).segmentation
    assert logits.shape == (2, 4, 5, 16, 20)
    order = torch.randperm(800)
    sizes, points = (16, 20, 5), grid_coordinates((5, 16, 20))
    tokens = scaled(values, None, compress=True)[:, order]
    shuffled = model.decode(model.encode(tokens, coordinates[:, order], sizes), points, sizes)
    torch.testing.assert_close(shuffled.transpose(1, 2).unflatten(2, (5, 16, 20)), logits, atol=1e-5, rtol=0)


@torch.no_grad()
def test_whole_lines_and_single_samples_give_the_same_tokens():
    batch = heart_batch((16, 20), n_frames=3)
    by_line, by_sample = (
        acquired(batch.kspace, m) for m in (batch.mask, batch.mask.expand(-1, -1, -1, -1, 20))
    )
    assert torch.equal(by_line[0], by_sample[0]) and torch.equal(by_line[1], by_sample[1])


def test_training_asks_for_random_points_half_of_them_near_the_heart():
    """As models.md 9.5: the share in a box of area q is 1/2 + q/2, even inside and even outside."""
    batch, n = heart_batch((40, 60), n=3, n_frames=4), 40_000
    labels = torch.zeros_like(batch.labels)
    labels[0, 1, 10:14, 20:29], labels[1, 3, 0, 59] = 1, 2  # and none in the third
    where = random_points(labels, n)
    t, y, x = where // 2400, where % 2400 // 60, where % 60
    assert where.shape == (3, n) and (t.max(), y.max(), x.max()) == (3, 39, 59) and where.min() == 0
    by, bx = round(MARGIN * 40), round(MARGIN * 60)
    boxes = ((10 - by, 13 + by, 20 - bx, 28 + bx), (0, by, 59 - bx, 59), (0, 39, 0, 59))
    for b, (y0, y1, x0, x1) in enumerate(boxes):
        inside = (y[b] >= y0) & (y[b] <= y1) & (x[b] >= x0) & (x[b] <= x1)
        area = (y1 - y0 + 1) * (x1 - x0 + 1) / 2400
        assert inside.float().mean().item() == pytest.approx(0.5 + area / 2, abs=5 * 0.5 / math.sqrt(n))
        counts = torch.bincount(y[b][inside] - y0)
        assert len(counts) == y1 - y0 + 1 and counts.min() > 0.8 * counts.max()
    frames = torch.bincount(t.flatten())
    assert (frames / frames.sum() - 0.25).abs().max() < 5 * math.sqrt(0.25 * 0.75 / (3 * n))
    assert [v.tolist() for v in span(torch.tensor([[False, True, False, True, False]]), 0)] == [[[1]], [[3]]]


def test_points_are_answered_as_in_the_whole_scan_and_carry_their_oracle():
    model, batch = small("disk", queries=300, chunk=128), heart_batch((16, 20))
    torch.manual_seed(5)
    where = random_points(batch.labels, 300)
    torch.manual_seed(5)
    output, loss = run_stage(model.train(), type(model).stages[0], batch)
    assert output.segmentation.shape == (2, 4, 300)
    whole = model(batch.kspace, batch.mask).segmentation.flatten(2)
    expected = whole.gather(2, where[:, None].expand(-1, 4, -1))
    torch.testing.assert_close(output.segmentation, expected, atol=1e-5, rtol=0)
    assert torch.equal(output.truth(batch), batch.labels.flatten(1).gather(1, where))
    p = expected.sigmoid()
    g = functional.one_hot(output.truth(batch), 4).transpose(1, 2).float()
    bce = functional.binary_cross_entropy(p, g)
    dice = (2 * (p * g)[:, 1:].sum(2) + 1) / (p[:, 1:].sum(2) + g[:, 1:].sum(2) + 1)
    assert loss.item() == pytest.approx((bce + 1 - dice.mean()).item(), rel=1e-4)
    assert run_stage(model.eval(), type(model).stages[0], batch)[0].segmentation.shape == (2, 4, 4, 16, 20)


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
