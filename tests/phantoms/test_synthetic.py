import hashlib
import os
import subprocess
import sys

import numpy as np
import pytest
from scipy import ndimage, sparse

from phantoms import phantom_source
from phantoms.phantom import BRAIN_ORACLE
from phantoms.synthetic import SyntheticBrain
from phantoms.synthetic.folding import cotangent_laplacian, cube_sphere
from phantoms.synthetic.hull import redistance
from phantoms.synthetic.names import CSF, GM, WM

# CSF, GM, WM voxels (0.5 mm) of the twenty BrainWeb normals, counted from their crisp volumes
BRAINWEB_VOXELS = np.array([
    (2893804, 7709189, 5174874), (3381575, 8088667, 4868156), (2031120, 7514714, 5409706),
    (3049347, 8427475, 4582379), (2992732, 7976565, 4836617), (3158356, 8153491, 4722973),
    (3092243, 8140139, 4841484), (2908744, 8252370, 4599055), (2704652, 8868481, 5298956),
    (3530389, 8078229, 4923080), (3117393, 7654638, 5179828), (3439204, 7804678, 4840743),
    (2892818, 7859414, 5040713), (3086118, 7151899, 5375213), (3117816, 7396674, 5944209),
    (2733757, 7281443, 5061700), (3076242, 7724971, 4855633), (3090573, 7834262, 4952333),
    (2395067, 8313468, 4608412), (3472173, 7892867, 4605264),
])  # fmt: skip
BRAINWEB_ML = BRAINWEB_VOXELS * 0.5**3 / 1000
MANY = [(0, 1), (7, 7)]  # seed, subject


@pytest.fixture(scope="module")
def head():
    return SyntheticBrain(seed=0).load(0)  # 1 mm


@pytest.fixture(scope="module")
def coarse():
    return {case: SyntheticBrain(seed=case[0], spacing=2e-3).load(case[1]) for case in [(0, 0), *MANY]}


def brain_ml(phantom):
    counts = np.bincount(phantom.labels.ravel(), minlength=12)[[CSF, GM, WM]]
    return counts * phantom.spacing.prod() * 1e6


def test_the_grid_is_brainwebs_at_every_spacing(head):
    assert head.labels.shape == (181, 217, 181)
    assert np.allclose(head.affine[:3, 3], (-90e-3, -126e-3, -72e-3), atol=1e-12)
    start, shape = SyntheticBrain(spacing=0.5e-3).grid()
    assert shape == (362, 434, 362)
    assert start == pytest.approx((-90.25, -126.25, -72.25))
    start, shape = SyntheticBrain(spacing=2e-3).grid()
    assert start - 1.0 == pytest.approx((-90.5, -126.5, -72.5))  # the same outer faces
    assert shape == (90, 108, 90)


def test_the_source_is_in_the_table_and_uses_brainwebs_classes(head):
    source = phantom_source("synthetic", n_subjects=3)
    assert source.name == "synthetic" and source.subjects() == (0, 1, 2)
    assert head.oracle is BRAIN_ORACLE and head.tissues.name == "brainweb-1.5T"
    assert [t.name.lower() for t in head.tissues.tissues][1:4] == ["csf", "gm", "wm"]


def test_twelve_classes_in_every_head(head, coarse):
    for phantom in (head, *coarse.values()):
        assert set(np.unique(phantom.labels)) == set(range(12))


@pytest.mark.parametrize("case", [(0, 0), *MANY])
def test_volumes_lie_where_those_of_real_brains_do(coarse, case):
    ml = brain_ml(coarse[case])
    share, real = ml / ml.sum(), BRAINWEB_ML / BRAINWEB_ML.sum(axis=1, keepdims=True)
    assert (real.min(axis=0) <= share).all() and (share <= real.max(axis=0)).all()
    assert (abs(ml - BRAINWEB_ML.mean(axis=0)) < 3 * BRAINWEB_ML.std(axis=0, ddof=1)).all()


def test_brain_is_one_piece_and_so_is_its_white_matter(head):
    for tissue in ((GM, WM), (WM,)):
        parts, _ = ndimage.label(np.isin(head.labels, tissue))
        sizes = np.bincount(parts.ravel())[1:]
        assert sizes.max() > 0.98 * sizes.sum()


def test_cortex_covers_the_white_matter(head):
    white = np.pad(head.labels, 1) == WM
    surface = contact = 0
    for axis in range(3):
        for step in (-1, 1):
            beside = np.roll(np.pad(head.labels, 1), step, axis)[white]
            surface += (beside != WM).sum()
            contact += (beside == CSF).sum()
    assert contact < 0.08 * surface  # the walls of the ventricles included


def test_every_seranet_slice_holds_all_oracle_classes(head):
    classes = np.array(head.oracle.of_tissue)[head.labels]
    k = (np.arange(-45, 68, 2) + 72).astype(int)  # z = -45 ... +67 mm
    for plane in classes[k]:
        assert np.bincount(plane.ravel(), minlength=4).min() > 200  # voxels, 2 cm^2


def test_the_frame_is_ras(head):
    i, j, k = np.nonzero(head.labels)
    x, y, z = (head.affine @ np.stack([k, j, i, np.ones_like(i)]))[:3]
    nose = y > y.max() - 4e-3
    assert abs(x[nose]).max() < 30e-3 and z[nose].mean() < 0
    bottom = z < z.min() + 1e-3
    assert (
        np.isin(head.labels[i[bottom], j[bottom], k[bottom]], (GM, WM)).sum() < 3000
    )  # the neck is cut below


def test_resolutions_show_the_same_anatomy(head, coarse):
    blocks = head.labels[:180, :216, :180].reshape(90, 2, 108, 2, 90, 2)
    share = np.stack([(blocks == c).mean(axis=(1, 3, 5)) for c in range(12)])
    labels = coarse[(0, 0)].labels
    inside = labels > 0
    assert (share.argmax(axis=0) == labels).mean() > 0.9
    # where the fine grid is pure, the coarse voxel centre lies within that tissue, but for thin sheets
    pure = share.max(axis=0) == 1
    assert (share.argmax(axis=0) == labels)[pure & inside].mean() > 0.97


def test_a_subject_is_the_same_bytes_in_any_process_order_and_set(coarse):
    code = (
        "import hashlib; from phantoms.synthetic import SyntheticBrain as S;"
        "print(hashlib.sha256(S(spacing=2e-3, n_subjects=2).load(1).labels.tobytes()).hexdigest())"
    )
    alone = {**os.environ, "NUMBA_NUM_THREADS": "1"}
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=alone)
    assert out.stdout.strip() == hashlib.sha256(coarse[(0, 1)].labels.tobytes()).hexdigest()
    heads = [phantom.labels for phantom in coarse.values()]
    assert all((a != b).mean() > 0.1 for n, a in enumerate(heads) for b in heads[:n])  # other k or seed


def test_bad_parameters_are_refused():
    with pytest.raises(ValueError, match=r"subject must lie in 0 to 19, got 20"):
        SyntheticBrain().load(20)
    with pytest.raises(ValueError, match=r"spacing must lie in .* m"):
        SyntheticBrain(spacing=1.0)
    with pytest.raises(ValueError, match=r"seed must"):
        SyntheticBrain(seed=-1)
    with pytest.raises(ValueError, match=r"n_subjects must"):
        SyntheticBrain(n_subjects=0)


def test_redistance_finds_the_distance_to_a_sphere():
    z, y, x = np.mgrid[-20:21, -20:21, -20:21].astype(np.float32)
    r = np.sqrt(x * x + y * y + z * z)
    phi = (r**2 - 12.0**2).astype(np.float32)  # right zero level, wrong slope
    error = redistance(phi, 1.0) - (r - 12)
    assert abs(error[abs(r - 12) < 6]).max() < 0.5  # first-order sweeping: half a node


def test_the_surface_laplacian_has_the_spheres_eigenvalue():
    directions, vertex = cube_sphere()
    a, b, c, d = (
        v.ravel() for v in (vertex[:, :-1, :-1], vertex[:, 1:, :-1], vertex[:, 1:, 1:], vertex[:, :-1, 1:])
    )
    triangles = np.concatenate([np.stack([a, b, c], 1), np.stack([a, c, d], 1)])
    laplacian = cotangent_laplacian(directions * 50.0, triangles)
    assert sparse.issparse(laplacian)
    x = directions[:, 0]  # a spherical harmonic of degree 1: Laplacian -2 / R^2
    ratio = (x @ (laplacian @ x)) / (x @ x)
    assert ratio == pytest.approx(-2 / 50.0**2, rel=0.05)
