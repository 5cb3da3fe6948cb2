"""Where the codes of scans lie: principal components, t-SNE, and how well they cluster by what.

Figure 4 of Schlemper et al. (experiments.md D4) is a picture; its claims become numbers here: silhouettes by
subject and by number of lines, and how far apart codes of a number of lines are.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

PERPLEXITY = 30.0
BEFORE_TSNE = 50  # principal components
MOST_FEATURES = 65_536  # of a code; longer ones are sketched, or 1250 of them would not fit in memory
SEED = 0

Codes = NDArray[np.floating]


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class Spread:
    """What is said about codes; the places also hold the codes of fully sampled scans, after the others.

    pca, tsne : (point, 2) places
    by_subject, by_lines : silhouette, in [-1, 1], in the space of the codes and in both pictures
    distance, pca_distance : number of lines -> mean distance of the pairs of points with so many lines, over
        that of all pairs; of the codes, and in the PCA picture
    """

    pca: NDArray[np.float64]
    tsne: NDArray[np.float64]
    by_subject: dict[str, float]
    by_lines: dict[str, float]
    distance: dict[int, float]
    pca_distance: dict[int, float]


def spread(codes: Codes, subject: NDArray[np.integer], lines: NDArray[np.integer], full: Codes) -> Spread:
    """Lay out codes and say how they cluster; those of fully sampled scans are laid out with them only.

    codes : (point, feature); full : (subject, feature)
    subject, lines : (point,)
    """
    together = np.concatenate([codes, full])
    pca, tsne = principal_components(together, 2), neighbour_embedding(together)
    views = {name: view[: len(codes)] for name, view in (("codes", codes), ("pca", pca), ("tsne", tsne))}
    return Spread(
        pca=pca,
        tsne=tsne,
        by_subject={name: silhouette(view, subject) for name, view in views.items()},
        by_lines={name: silhouette(view, lines) for name, view in views.items()},
        distance=distance_by(views["codes"], lines),
        pca_distance=distance_by(views["pca"], lines),
    )


def sketch(codes: Codes, n: int = MOST_FEATURES, *, seed: int = SEED) -> Codes:
    """Map long codes to `n` numbers, so that distances stay: within 1.4 / sqrt(n) of themselves, 1 sigma.

    Every feature is added to one random place with a random sign (Charikar et al. 2002). Codes that are no
    longer than `n` are returned as they are.

    codes : (point, feature); returns (point, n) float32
    """
    n_features = codes.shape[1]
    if n_features <= n:
        return codes
    rng = np.random.default_rng(seed)
    place, sign = rng.integers(n, size=n_features), rng.choice(np.array([-1, 1], np.float32), n_features)
    return np.stack([np.bincount(place, one * sign, minlength=n) for one in codes]).astype(np.float32)


def principal_components(codes: Codes, n: int) -> NDArray[np.float64]:
    """(point, n) places along the directions of largest variance, fewer where the codes have no more.

    Codes that are all alike have no direction: all lie at 0.
    """
    from sklearn.decomposition import PCA

    n = min(n, *codes.shape)
    if not np.ptp(codes, axis=0).any():
        return np.zeros((len(codes), n))
    found: NDArray[np.float64] = PCA(n, svd_solver="full").fit_transform(np.asarray(codes, np.float64))
    return found


def neighbour_embedding(codes: Codes, *, seed: int = SEED) -> NDArray[np.float64]:
    """(point, 2) t-SNE of the first 50 principal components; its perplexity is 30, less for few points."""
    from sklearn.manifold import TSNE

    reduced = principal_components(codes, BEFORE_TSNE)
    perplexity = min(PERPLEXITY, (len(codes) - 1) / 3)
    if not reduced.any():  # all alike: there is nothing to embed
        return np.zeros((len(codes), 2))
    tsne = TSNE(2, perplexity=perplexity, init="pca", learning_rate="auto", random_state=seed)
    found: NDArray[np.float64] = tsne.fit_transform(reduced)
    return found


def silhouette(points: Codes, group: NDArray[np.integer]) -> float:
    """Mean silhouette of the points in their groups: 1 far apart, 0 overlapping; NaN where undefined."""
    from sklearn.metrics import silhouette_score

    n = len(np.unique(group))
    return float(silhouette_score(points, group)) if 2 <= n < len(group) else math.nan


def distance_by(points: Codes, group: NDArray[np.integer]) -> dict[int, float]:
    """Group -> mean distance of its pairs of points, over the mean distance of all pairs; NaN below two."""
    whole = mean_distance(points)
    return {
        int(g): mean_distance(points[group == g]) / whole if whole else math.nan for g in np.unique(group)
    }


def mean_distance(points: Codes) -> float:
    """Mean Euclidean distance of all pairs of points (point, feature); NaN below two."""
    from scipy.spatial.distance import pdist

    return float(pdist(np.asarray(points, np.float64)).mean()) if len(points) > 1 else math.nan
