"""Masks drawn on the device against the closed form, and against mrsim's own generator."""

import numpy as np
import pytest
import torch

from mrsim.sampling import fixed_mask, gaussian_lines
from segnets.masks import Lines


def draws(n_lines, n_ky, n_center, n_draws, seed=0):
    g = torch.Generator().manual_seed(seed)
    mask = Lines(n_ky=n_ky, n_center=n_center).draw(torch.full((n_draws,), n_lines), g)
    assert mask.shape == (n_draws, 1, n_ky, 1)
    return mask[:, 0, :, 0].double().numpy()


def test_counts_are_exact_and_the_centre_is_always_there():
    g = torch.Generator().manual_seed(1)
    wanted = torch.tensor([16, 17, 54, 179, 180, 54])
    mask = Lines(n_ky=180, n_center=16).draw(wanted, g)[:, 0, :, 0]
    assert set(mask.unique().tolist()) <= {0.0, 1.0}
    assert mask.sum(dim=1).tolist() == wanted.tolist()
    assert (mask[:, 90 - 8 : 90 + 8] == 1).all()
    assert not torch.equal(mask[2], mask[5])  # each sample has its own


def test_inclusion_is_that_of_successive_draws_without_replacement():
    """Two of four lines: p_i = w_i + sum over j != i of w_j w_i / (1 - w_j), with w normalised."""
    n, n_draws = 6, 40_000
    share = draws(4, n, 2, n_draws).mean(axis=0)  # lines 2 and 3 are the centre
    outer = np.array([0, 1, 4, 5])
    w = np.exp(-((outer - n / 2) ** 2) / (2 * (n / 6) ** 2))
    w /= w.sum()
    expected = [w[i] + sum(w[j] * w[i] / (1 - w[j]) for j in range(4) if j != i) for i in range(4)]
    assert share[outer] == pytest.approx(expected, abs=5 * 0.5 / np.sqrt(n_draws))


def test_inclusion_is_that_of_the_masks_of_mrsim():
    n, n_lines, n_center, n_draws = 60, 18, 6, 4000
    rng = np.random.default_rng(0)
    drawn = [gaussian_lines(n, n_lines, n_center, n / 6, rng) for _ in range(n_draws)]
    theirs = np.mean(drawn, axis=0, dtype=np.float64)
    ours = draws(n_lines, n, n_center, n_draws).mean(axis=0)
    p = (ours + theirs) / 2
    sigma = np.sqrt(2 * p * (1 - p) / n_draws)  # of the difference of two shares
    assert np.all(np.abs(ours - theirs) <= 5 * sigma + 1e-12)


def test_fixed_masks_are_those_of_mrsim():
    masks = Lines(n_ky=180, n_center=16).fixed([52, 53], [7, 0], 0.3)
    assert masks.shape == (2, 1, 180, 1) and masks.sum(dim=2).flatten().tolist() == [54, 54]
    expected = fixed_mask((180, 216), 0.3, subject=53, slice_index=0, n_center=16)
    assert np.array_equal(np.broadcast_to(masks[1, 0].numpy(), (180, 216)), expected)


def test_a_rate_that_does_not_keep_the_centre_is_refused():
    assert Lines(n_ky=180, n_center=16).count(0.3) == 54
    with pytest.raises(
        ValueError, match=r"n_center must be at most the 9 of 90 lines that a rate of 0.1 keeps, got 16"
    ):
        Lines(n_ky=90, n_center=16).count(0.1)
