"""Series of frames from the store to the batch: masks by frame, phase, movement, crop, windows, feeds."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from mrsim.sampling import fixed_frame_lines, gaussian_lines, ktfocuss_lines
from mrsim.store import open_store
from segnets.augment import Affine
from segnets.blocks.fourier import centred_fft2, centred_ifft2, to_kspace
from segnets.data import Cases, Reading, image_shape, read_cases, undersample
from segnets.feeding import open_data
from segnets.masks import Lines
from segnets.phase import draw_phase, fixed_phase, with_phase
from segnets.undersampling import Conditions, Undersampling, evaluation_batches, window_of
from tests.stores import write_cine_store

SHAPE, N_FRAMES = (24, 20), 6


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return str(write_cine_store(tmp_path_factory.mktemp("cine") / "hearts.zarr", 4, 2, SHAPE, N_FRAMES))


@pytest.fixture(scope="module")
def cases(path):
    return read_cases(open_store(path), range(4), (0.0,))


def test_evaluation_batch_is_noise_then_a_fixed_mask_per_frame_then_one_scale(path):
    store = open_store(path)
    conditions = Conditions(rate=0.25, noise=0.1, n_center=2, center_from=8)
    (batch,) = evaluation_batches(path, "test", conditions)
    case = store.case(7)
    lines = fixed_frame_lines(N_FRAMES, 24, 6, subject=case.subject, slice_index=case.slice)
    assert batch.mask.shape == (2, 1, N_FRAMES, 24, 1)
    assert np.array_equal(batch.mask[1, 0, :, :, 0].numpy(), lines)
    measured = torch.from_numpy(case.noisy(0.1)[:, 0] * lines[..., None])
    scale = centred_ifft2(measured).abs().max()
    assert batch.scale.shape == (2, 1) and batch.scale[1, 0].item() == pytest.approx(scale.item(), rel=1e-5)
    got = torch.complex(*batch.kspace[1])
    torch.testing.assert_close(got, (measured / scale).to(torch.complex64), atol=1e-5, rtol=0)
    assert not got[torch.from_numpy(lines) == 0].any()
    assert np.array_equal(batch.labels[1].numpy(), case.labels)
    full = centred_ifft2(torch.from_numpy(case.noisy(0.1)[:, 0])) / scale
    torch.testing.assert_close(torch.complex(*batch.image[1]), full.to(torch.complex64), atol=1e-5, rtol=0)


def test_fixed_masks_hang_on_subject_slice_frame_and_number_of_lines_alone():
    lines = Lines(n_ky=80, n_center=0)
    one = lines.fixed([3], [1], 20 / 80, n_frames=50)[0, 0, :, :, 0]
    assert one.sum(dim=1).tolist() == [20.0] * 50
    assert len({tuple(row) for row in one.tolist()}) == 50  # another in every frame
    assert torch.equal(lines.fixed([3], [1], 0.25, n_frames=7)[0, 0, :, :, 0], one[:7])
    many = lines.fixed([3, 3, 4, 3], [2, 1, 1, 1], 0.25, n_frames=50)[:, 0, :, :, 0]
    assert [torch.equal(m, one) for m in many] == [False, True, False, True]
    assert not torch.equal(lines.fixed([3], [1], 0.25, n_frames=50, trial=1)[0, 0, :, :, 0], one)


def test_forced_centre_begins_where_the_rule_says():
    """Schlemper (experiments.md D0): two central lines from eight lines per frame on."""
    lines = Lines(n_ky=168, n_center=2, center_from=8, density="ktfocuss")
    counts = torch.tensor([1, 7, 8, 20, 168])
    masks = lines.draw(counts.repeat(40), generator(), n_frames=3)
    assert masks.shape == (200, 1, 3, 168, 1)
    assert torch.equal(masks.sum(dim=(1, 3, 4)), counts.repeat(40)[:, None].expand(-1, 3).float())
    centre = masks[:, 0, :, 83:85, 0].amin(dim=(1, 2)).reshape(40, 5).mean(dim=0)
    assert centre[2:].tolist() == [1, 1, 1] and centre[0] == 0 and centre[1] < 0.2
    for n in (7, 8):
        fixed = lines.fixed([0], [0], n / 168, n_frames=40)[0, 0, :, 83:85, 0]
        assert bool(fixed.all()) == (n == 8)


@pytest.mark.parametrize("density", ["gaussian", "ktfocuss"])
def test_lines_of_frames_are_distributed_as_those_of_mrsim(density):
    n, n_lines, n_draws = 40, 6, 6000
    rng = np.random.default_rng(0)
    one = {"gaussian": lambda: gaussian_lines(n, n_lines, 0, n / 6, rng)}
    one["ktfocuss"] = lambda: ktfocuss_lines(n, n / n_lines, 0, rng)
    theirs = np.mean([one[density]() for _ in range(n_draws)], axis=0, dtype=np.float64)
    lines = Lines(n_ky=n, n_center=0, density=density)
    masks = lines.draw(torch.full((n_draws // 6,), n_lines), generator(), n_frames=6)[:, 0, :, :, 0]
    ours = masks.double().mean(dim=(0, 1)).numpy()
    p = (ours + theirs) / 2
    assert np.all(np.abs(ours - theirs) <= 5 * np.sqrt(2 * p * (1 - p) / n_draws) + 1e-12)
    flat = masks.double().flatten(0, 1) - torch.from_numpy(ours)
    neighbours = (flat[:-1] * flat[1:]).mean() / flat.square().mean()  # frames know nothing of one another
    assert abs(neighbours) < 5 / math.sqrt(n_draws * n)


@pytest.mark.parametrize("kind", ["sinusoid", "bumps"])
def test_phase_breaks_the_symmetry_of_kspace_and_keeps_the_magnitude(kind, cases):
    """Experiments.md A4: |F x| at +k and -k of a real image are equal, with the phase they are not."""
    size = (N_FRAMES, 24, 20)
    real = with_phase(cases.kspace[0], torch.zeros(4, 1, 24, 20))
    phase = draw_phase(kind, 4, size, generator())
    assert phase.shape == (4, 1 if kind == "sinusoid" else N_FRAMES, 24, 20)
    changed = with_phase(cases.kspace[0], phase)
    torch.testing.assert_close(centred_ifft2(changed).abs(), centred_ifft2(real).abs(), atol=1e-5, rtol=0)

    def symmetry(kspace):
        plus = kspace[..., 1:, 1:].abs().log().flatten()  # without the lone lowest frequencies of even sizes
        minus = kspace[..., 1:, 1:].flip(-2, -1).abs().log().flatten()
        return float(torch.corrcoef(torch.stack((plus, minus)))[0, 1])

    def linear(kspace):
        k = kspace[..., 1:, 1:].abs()
        return float(torch.corrcoef(torch.stack((k.flatten(), k.flip(-2, -1).flatten())))[0, 1])

    assert linear(real) > 0.99999 and linear(changed) < 0.99 and symmetry(changed) < 0.99
    frames = changed - real
    assert not torch.allclose(frames[:, 0], frames[:, 1])


def test_phases_are_those_of_the_formulas():
    """Sinusoid: mean square E a^2 of two waves, long ones; bumps: at most 3 pi high, with small changes."""
    waves = draw_phase("sinusoid", 2000, (1, 40, 32), generator())
    assert waves.square().mean().item() == pytest.approx(0.28 * math.pi**2, rel=0.06)
    assert 1.2 * math.pi < waves.abs().max() <= 1.6 * math.pi
    steepest = 2 * 0.8 * math.pi * 2 * math.pi * 1.5 / 40  # [rad/pixel] along y
    assert waves.diff(dim=2).abs().max() <= steepest
    bumps = draw_phase("bumps", 400, (12, 40, 40), generator())
    peak = bumps.mean(dim=1).abs().amax(dim=(1, 2))
    assert 1.5 * math.pi < peak.max() < 3 * math.pi
    largest = bumps.std(dim=1).amax(
        dim=(1, 2)
    )  # over frames: 0.05 pi of one bump, at most sqrt 3 times of three
    assert largest.median().item() == pytest.approx(0.05 * math.pi, rel=0.35)


def test_fixed_phases_hang_on_subject_and_slice_alone():
    one, other = fixed_phase("bumps", [5, 6], [0, 0], (3, 8, 8)), fixed_phase("bumps", [6], [0], (3, 8, 8))
    assert torch.equal(one[1:], other) and not torch.equal(one[:1], other)
    assert not torch.equal(fixed_phase("bumps", [6], [1], (3, 8, 8)), other)


def test_phase_in_evaluation_is_fixed_and_noise_comes_after_it(path):
    how = Conditions(rate=1.0, noise=0.0, n_center=0, phase="sinusoid")
    clean, again, noisy = (
        next(evaluation_batches(path, "test", replace(how, noise=n))) for n in (0.0, 0.0, 0.1)
    )
    assert torch.equal(clean.kspace, again.kspace)
    kspace = [
        torch.complex(b.kspace[:, 0], b.kspace[:, 1]) * b.scale[..., None, None] for b in (clean, noisy)
    ]
    case = open_store(path).case(6)
    added = case.noisy(0.1)[:, 0] - case.kspace[:, 0]
    torch.testing.assert_close((kspace[1] - kspace[0])[0], torch.from_numpy(added), atol=1e-4, rtol=0)


def test_training_draws_lines_per_frame_and_one_number_of_them_per_series(cases):
    sampling = Undersampling(rate=(0.25, 0.5), lines=Lines(n_ky=24, n_center=2))
    many = Cases(cases.kspace.repeat(1, 5, 1, 1, 1), cases.labels.repeat(5, 1, 1, 1), torch.arange(20))
    batch = sampling.draw(many, generator())
    lines = batch.mask[:, 0, :, :, 0].sum(dim=2)  # (sample, frame)
    assert (lines == lines[:, :1]).all() and set(lines[:, 0].tolist()) == {6.0, 12.0}
    different = {tuple(m) for m in batch.mask[:, 0, :, :, 0].flatten(0, 1).tolist()}
    assert len(different) > 100  # of 120; a few of 6 of 24 lines come twice
    assert batch.samples == (6 * 20 * N_FRAMES, 12 * 20 * N_FRAMES)
    assert batch.kspace.shape == (20, 2, N_FRAMES, *SHAPE) and batch.labels.shape == (20, N_FRAMES, *SHAPE)
    full = to_kspace(batch.image.transpose(1, 2).flatten(0, 1)).unflatten(0, (20, N_FRAMES)).transpose(1, 2)
    torch.testing.assert_close(batch.kspace, full * batch.mask, atol=1e-5, rtol=0)


def test_all_frames_of_a_series_move_alike(cases):
    """One movement per series: moving the frames together is moving each with the same draw."""
    kspace, labels = cases.kspace[0], cases.labels
    affine = Affine(rotation=0.3, zoom=0.1, shift=3.0)
    together, turned = affine.move(kspace, labels, generator(3))
    assert turned.dtype == torch.uint8 and not torch.equal(turned, labels)
    for t in range(N_FRAMES):
        alone, still = affine.move(kspace[:, t], labels[:, t], generator(3))
        torch.testing.assert_close(together[:, t], alone, atol=1e-4, rtol=0)
        assert torch.equal(turned[:, t], still)


def test_crop_keeps_the_pixels_around_the_middle(path):
    store = open_store(path)
    cropped, whole = (read_cases(store, [2], (0.0, 0.1), Reading(crop=c)) for c in ((16, 99), ()))
    assert image_shape(store, (16, 99)) == (16, 20) and cropped.kspace.shape == (2, 1, N_FRAMES, 16, 20)
    torch.testing.assert_close(
        centred_ifft2(cropped.kspace), centred_ifft2(whole.kspace)[..., 4:20, :], atol=1e-5, rtol=0
    )
    assert torch.equal(cropped.labels, whole.labels[:, :, 4:20])
    (batch,) = evaluation_batches(path, "test", Conditions(rate=0.5, noise=0.0, n_center=0, crop=(16, 99)))
    assert batch.kspace.shape == (2, 2, N_FRAMES, 16, 20) and batch.mask.shape == (2, 1, N_FRAMES, 16, 1)


def test_windows_are_successive_frames_around_the_beat(cases):
    kspace = torch.arange(N_FRAMES, dtype=torch.float32)[:, None, None].expand(N_FRAMES, *SHAPE)
    images = centred_ifft2(cases.kspace[0]) + 0 * kspace
    labels = kspace[None].expand(4, -1, -1, -1).to(torch.uint8)
    batch = undersample(centred_fft2(images), torch.ones(4, 1, N_FRAMES, 24, 1), labels, cases.index)
    starts = set()
    for seed in range(20):
        cut = window_of(batch, 4, generator(seed))
        assert cut.kspace.shape == (4, 2, 4, *SHAPE) and cut.mask.shape == (4, 1, 4, 24, 1)
        for i in range(4):
            frames = cut.labels[i, :, 0, 0].tolist()
            assert frames == [(frames[0] + j) % N_FRAMES for j in range(4)]
            torch.testing.assert_close(cut.image[i], batch.image[i][:, frames])
            torch.testing.assert_close(cut.kspace[i], batch.kspace[i][:, frames])
            starts.add(frames[0])
    assert starts == set(range(N_FRAMES))


def test_both_feeds_serve_the_same_series(path):
    how = Reading(crop=(16, 20))
    whole, streamed = (
        list(open_data(path, noise=(0.0, 0.1), resident=r, how=how).epoch(3, seed=1, epoch=2))
        for r in ("yes", "no")
    )
    assert [b.index.tolist() for b in whole] == [b.index.tolist() for b in streamed]
    assert all(torch.equal(a.kspace, b.kspace) for a, b in zip(whole, streamed, strict=True))
    assert whole[0].kspace.shape[2:] == (N_FRAMES, 16, 20) and whole[0].n_frames == N_FRAMES


def test_several_coils_become_one_in_every_frame(tmp_path):
    coils = open_store(write_cine_store(tmp_path / "coils.zarr", 1, 1, SHAPE, 3, n_coils=3))
    cases, case = read_cases(coils, [0], (0.0,)), coils.case(0)
    torch.testing.assert_close(
        centred_ifft2(cases.kspace[0, 0]), torch.from_numpy(case.image), atol=1e-5, rtol=0
    )
