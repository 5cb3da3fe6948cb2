"""Metrics against brute force, MedPy, MONAI and torchmetrics on the same masks; the absent-class policy."""

import math
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from segnets import metrics


def blobs(seed, shape=(40, 32)):
    """Two overlapping masks with ragged edges, several parts and some pixels on the image border."""
    rng = np.random.default_rng(seed)
    y, x = np.indices(shape)
    masks = []
    for _ in range(2):
        mask = rng.random(shape) < 0.02
        for _ in range(3):
            cy, cx = rng.uniform(0, shape[0]), rng.uniform(0, shape[1])
            mask |= ((y - cy) / rng.uniform(2, 9)) ** 2 + ((x - cx) / rng.uniform(2, 9)) ** 2 < 1
        masks.append(mask)
    return masks


def brute_surface(mask):
    """Pixels of the mask with a 4-neighbour outside it, by looking at every neighbour."""
    return [
        (y, x)
        for y, x in np.argwhere(mask)
        if any(
            not (0 <= y + dy < mask.shape[0] and 0 <= x + dx < mask.shape[1] and mask[y + dy, x + dx])
            for dy, dx in ((0, 1), (1, 0), (0, -1), (-1, 0))
        )
    ]


def brute_directed(a, b, spacing):
    """Distance of every surface pixel of a to the nearest of b, over all pairs of points."""
    points_a, points_b = np.array(brute_surface(a)) * spacing, np.array(brute_surface(b)) * spacing
    return np.linalg.norm(points_a[:, None] - points_b[None], axis=-1).min(axis=1)


@pytest.mark.parametrize("spacing", [(1.0, 1.0), (1.5, 0.7)])
@pytest.mark.parametrize("seed", range(4))
def test_surface_metrics_equal_brute_force_over_all_pairs_of_points(seed, spacing):
    a, b = blobs(seed)
    there, back = brute_directed(a, b, spacing), brute_directed(b, a, spacing)
    both = np.concatenate([there, back])
    ours = metrics.surface_metrics(a, b, spacing)
    assert ours.hausdorff == pytest.approx(both.max())
    assert ours.hd95 == pytest.approx(max(np.percentile(there, 95), np.percentile(back, 95)))
    assert ours.assd == pytest.approx(both.mean())
    assert ours.md == pytest.approx((there.mean() + back.mean()) / 2)
    assert metrics.surface_metrics(a, b, spacing, pooled=True).hd95 == pytest.approx(np.percentile(both, 95))


@pytest.mark.parametrize("seed", range(4))
def test_hausdorff_assd_and_pooled_hd95_equal_medpy(seed):
    from medpy.metric import binary

    a, b = blobs(seed)
    spacing = (1.5, 0.7)
    ours = metrics.surface_metrics(a, b, spacing, pooled=True)
    assert ours.hausdorff == pytest.approx(binary.hd(a, b, voxelspacing=spacing))
    assert ours.hd95 == pytest.approx(binary.hd95(a, b, voxelspacing=spacing))
    directed = binary.asd(a, b, voxelspacing=spacing), binary.asd(b, a, voxelspacing=spacing)
    assert ours.assd == pytest.approx(binary.assd(a, b, voxelspacing=spacing))
    assert ours.md == pytest.approx(np.mean(directed))
    assert metrics.dice(a, b) == pytest.approx(binary.dc(a, b))


@pytest.fixture(scope="module")
def monai_hausdorff():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what MONAI's import says of its optional dependencies
        from monai.metrics import compute_hausdorff_distance
    return compute_hausdorff_distance


@pytest.mark.filterwarnings(
    "ignore:monai.metrics.utils get_mask_edges:FutureWarning"
)  # MONAI's call of itself
@pytest.mark.parametrize("seed", range(4))
def test_hausdorff_and_hd95_equal_monai(seed, monai_hausdorff):
    import torch

    a, b = blobs(seed)
    spacing = (1.5, 0.7)

    def monai(percentile):
        pair = [torch.from_numpy(np.stack([~m, m])[None].astype(np.float32)) for m in (a, b)]
        return float(monai_hausdorff(*pair, percentile=percentile, spacing=list(spacing)))

    ours = metrics.surface_metrics(a, b, spacing)
    assert ours.hausdorff == pytest.approx(monai(None), rel=1e-5)  # MONAI works in float32
    assert ours.hd95 == pytest.approx(monai(95), rel=1e-5)


def test_an_absent_class_is_excluded_and_a_missed_or_spurious_one_costs_the_diagonal():
    empty, some = np.zeros((30, 40), bool), np.zeros((30, 40), bool)
    some[3:6, 4:9] = True
    assert metrics.presence(empty, empty) == metrics.BOTH_EMPTY
    assert math.isnan(metrics.dice(empty, empty))
    assert math.isnan(metrics.surface_metrics(empty, empty, (1.0, 1.0)).hausdorff)
    for pair, state in (((empty, some), metrics.MISSED), ((some, empty), metrics.SPURIOUS)):
        assert metrics.presence(*pair) == state
        assert metrics.dice(*pair) == 0
        worst = metrics.surface_metrics(*pair, (2.0, 2.0))
        assert (worst.hausdorff, worst.hd95, worst.assd, worst.md) == (100.0,) * 4  # 60 x 80 mm


@given(st.integers(0, 2**31), st.integers(-4, 4), st.integers(-4, 4))
@settings(max_examples=25, deadline=None)
def test_a_shifted_mask_lies_at_most_the_shift_away(seed, dy, dx):
    mask = np.pad(blobs(seed, (20, 20))[0], 6)
    if not mask.any():
        return
    moved = np.roll(mask, (dy, dx), axis=(0, 1))
    ours, back = (
        metrics.surface_metrics(moved, mask, (1.0, 2.0)),
        metrics.surface_metrics(mask, moved, (1.0, 2.0)),
    )
    assert ours.hausdorff <= math.hypot(dy, 2 * dx) + 1e-9
    assert ours.assd <= ours.hausdorff + 1e-9
    assert ours.hd95 <= ours.hausdorff + 1e-9
    assert ours.hausdorff == pytest.approx(back.hausdorff)  # symmetric
    assert ours.assd == pytest.approx(back.assd)


def test_three_dimensional_surfaces_use_the_slice_pitch():
    a = np.zeros((5, 8, 8), bool)
    b = a.copy()
    a[1, 2:5, 2:5], b[3, 2:5, 2:5] = True, True
    assert metrics.surface_metrics(a, b, (2.0, 1.0, 1.0)).hausdorff == 4.0


def test_pooled_confusion_gives_the_same_dice_as_the_masks_and_accuracy_and_iou_follow():
    rng = np.random.default_rng(0)
    oracle, prediction = rng.integers(0, 4, (3, 20, 20), np.uint8), rng.integers(0, 3, (3, 20, 20), np.uint8)
    confusion = metrics.confusion_matrix(prediction, oracle, 5)
    assert confusion.sum() == oracle.size
    expected = [metrics.dice(prediction == c, oracle == c) for c in range(5)]
    np.testing.assert_allclose(metrics.class_dice(confusion), expected)  # the last is NaN in both
    assert metrics.pixel_accuracy(confusion) == np.mean(prediction == oracle)
    iou = [
        np.sum((prediction == c) & (oracle == c)) / np.sum((prediction == c) | (oracle == c))
        for c in range(4)
    ]
    np.testing.assert_allclose(metrics.class_iou(confusion)[:4], iou)
    assert math.isnan(metrics.class_iou(confusion)[4])
    with pytest.raises(ValueError, match="labels must lie below n_classes = 2"):
        metrics.confusion_matrix(prediction, oracle, 2)


def test_psnr_and_ssim_equal_torchmetrics():
    import torch
    from torchmetrics.functional.image import peak_signal_noise_ratio, structural_similarity_index_measure

    rng = np.random.default_rng(0)
    reference = np.cumsum(rng.random((48, 40)), axis=1)
    image = reference + rng.normal(0, 0.8, reference.shape)
    peak = float(reference.max())
    pair = [torch.from_numpy(a)[None, None] for a in (image, reference)]
    assert metrics.psnr(image, reference) == pytest.approx(
        float(peak_signal_noise_ratio(*pair, data_range=peak))
    )
    _, theirs = structural_similarity_index_measure(*pair, data_range=peak, sigma=1.5, return_full_image=True)
    inside = theirs[0, 0, 5:-5, 5:-5].mean()  # torchmetrics averages over reflected borders too
    assert metrics.ssim(image, reference) == pytest.approx(float(inside), abs=1e-6)
    assert metrics.psnr(reference, reference) == math.inf


def test_shapes_and_spacings_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="shape"):
        metrics.surface_metrics(np.ones((3, 3), bool), np.ones((3, 4), bool), (1.0, 1.0))
    with pytest.raises(ValueError, match="spacing must name 2 axes, got 3"):
        metrics.surface_metrics(np.ones((3, 3), bool), np.ones((3, 3), bool), (1.0, 1.0, 1.0))
