"""Codes whose clusters are known."""

import math

import numpy as np
import pytest

from segnets.cardiac import latents


@pytest.fixture(scope="module")
def clouds():
    """3 subjects x 4 numbers of lines x 6 codes; subjects lie the closer, the fewer the lines."""
    rng = np.random.default_rng(0)
    subject = np.repeat(np.arange(3), 24)
    lines = np.tile(np.repeat([1, 5, 10, 20], 6), 3)
    centres = 30 * np.eye(3, 40)  # in 40 features
    codes = centres[subject] * lines[:, None] / 20 + 0.1 * rng.normal(size=(72, 40))
    return codes, subject, lines


def test_silhouettes_tell_by_what_codes_cluster():
    """Far apart 1; both halves of one cloud 0, to 1 / sqrt(n)."""
    rng = np.random.default_rng(1)
    subject, lines = np.repeat(np.arange(4), 25), np.tile(np.arange(5), 20)
    codes = 100 * np.eye(4, 6)[subject] + rng.normal(size=(100, 6))
    full = 100 * np.eye(4, 6)
    found = latents.spread(codes, subject, lines, full)
    for view in ("codes", "pca", "tsne"):
        assert found.by_subject[view] > 0.8, view
        assert abs(found.by_lines[view]) < 0.1, view
    assert found.pca.shape == found.tsne.shape == (104, 2)
    assert latents.silhouette(rng.normal(size=(200, 3)), np.arange(200) % 2) == pytest.approx(0, abs=0.07)
    assert math.isnan(latents.silhouette(codes, np.zeros(100, int)))


def test_distance_shrinks_in_proportion_to_the_codes(clouds):
    codes, subject, lines = clouds
    found = latents.spread(codes, subject, lines, codes[:3])
    twenty = found.distance[20]
    assert found.distance[10] == pytest.approx(twenty / 2, rel=0.02)  # the noise adds its little
    assert found.distance[5] == pytest.approx(twenty / 4, rel=0.05)
    assert list(found.pca_distance) == [1, 5, 10, 20]
    assert found.pca_distance[10] == pytest.approx(found.pca_distance[20] / 2, rel=0.02)


def test_components_are_those_of_the_covariance(clouds):
    codes, *_ = clouds
    places = latents.principal_components(codes, 2)
    values = np.linalg.eigvalsh(np.cov(codes.T))[::-1]
    assert places.var(axis=0, ddof=1) == pytest.approx(values[:2])
    # all components together keep every distance
    assert latents.mean_distance(latents.principal_components(codes, 40)) == pytest.approx(
        latents.mean_distance(codes)
    )


def test_the_picture_of_neighbours_is_the_same_every_time(clouds):
    first, again = (latents.neighbour_embedding(clouds[0]) for _ in range(2))
    np.testing.assert_array_equal(first, again)
    assert not latents.neighbour_embedding(np.ones((8, 5))).any()  # all alike: one place, and no warning


def test_a_sketch_keeps_distances():
    """Standard deviation of a squared distance is sqrt(2 / n) of it; of a distance half of that."""
    rng = np.random.default_rng(2)
    level = np.arange(12)[:, None]  # all features together higher or lower: without signs these would add up
    codes = (rng.normal(size=(12, 50_000)) + level).astype(np.float32)
    short = latents.sketch(codes, 8192)
    assert short.shape == (12, 8192)
    ratio = latents.distance_by(short, np.arange(12) // 12)[0]
    assert ratio == 1
    first, then = (
        np.linalg.norm(c[:, None] - c[None], axis=-1)[np.triu_indices(12, 1)] for c in (codes, short)
    )
    assert np.abs(then / first - 1).max() < 5 * math.sqrt(2 / 8192) / 2
    assert latents.sketch(codes, 50_000) is codes
