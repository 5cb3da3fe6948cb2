import subprocess
import sys

import numpy as np
import pytest

from phantoms import PHANTOMS, phantom_source
from phantoms.phantom import BRAIN_ORACLE, OracleClasses, Phantom, Spins
from phantoms.tissues import tissue_table


def phantom(**changes):
    labels = np.zeros((4, 5, 6), np.uint8)
    labels[1:3, 2, 3:6] = 2
    affine = np.diag([1e-3, 2e-3, 3e-3, 1.0])
    affine[:3, 3] = (-0.01, 0.02, 0.03)
    given = {
        "labels": labels,
        "affine": affine,
        "tissues": tissue_table("brainweb-1.5T"),
        "oracle": BRAIN_ORACLE,
    }
    return Phantom(name="box", subject="1", **{**given, **changes})


def spins(**changes):
    given = {
        "position": np.array([[0.0, 0.0], [-1e-3, 1e-3], [0.0, 0.0]]),
        "tissue": np.array([1, 1], np.uint8),
        "freq": np.zeros(2, np.float32),
        "cell": (1e-3, 1e-3, 1e-3),
        "pd": np.array([0.0, 1.0]),
        "t1": np.array([0.0, 1.0]),
        "t2": np.array([0.0, 0.1]),
        "t2prime": np.array([np.inf, np.inf]),
    }
    return Spins(**{**given, **changes})


def test_extent_spans_the_outer_faces_of_what_is_not_air():
    (x, y, z) = phantom().extent
    assert x == pytest.approx((-0.01 + 2.5e-3, -0.01 + 5.5e-3))
    assert y == pytest.approx((0.02 + 1.5 * 2e-3, 0.02 + 2.5 * 2e-3))
    assert z == pytest.approx((0.03 + 0.5 * 3e-3, 0.03 + 2.5 * 3e-3))
    assert phantom().spacing == pytest.approx([1e-3, 2e-3, 3e-3])
    with pytest.raises(ValueError, match="only air"):
        _ = phantom(labels=np.zeros((2, 2, 2), np.uint8)).extent


def test_arrays_are_read_only_and_the_callers_stay_as_they_were():
    labels = np.ones((2, 2, 2), np.uint8)
    own = phantom(labels=labels)
    for array in (own.labels, own.affine, spins().position, spins().t2prime):
        with pytest.raises(ValueError, match="read-only"):
            array[...] = 0
    labels[...] = 2  # still writeable
    with pytest.raises(AttributeError):
        own.name = "other"


def test_other_tissues_keep_the_anatomy():
    own = phantom()
    at_3t = own.with_tissues(tissue_table("brainweb-3T"))
    assert at_3t.tissues.field_strength == 3.0
    assert np.array_equal(at_3t.labels, own.labels) and np.array_equal(at_3t.affine, own.affine)


def tilted():
    return np.array([[1, 0.1, 0, 0], [-0.1, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]) * 1e-3


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"labels": np.zeros((2, 2, 2), np.int64)}, "labels must have dtype uint8, got int64"),
        ({"labels": np.zeros((2, 2), np.uint8)}, r"labels must have shape \(n, n, n\), got \(2, 2\)"),
        ({"labels": np.zeros((0, 2, 2), np.uint8)}, "labels must have shape"),
        ({"labels": np.full((2, 2, 2), 12, np.uint8)}, "labels must be below 12, .*got 12"),
        ({"affine": np.full((4, 4), np.nan)}, "affine must be finite"),
        ({"affine": np.eye(3)}, r"affine must have shape \(4, 4\)"),
        ({"affine": np.diag([-1e-3, 1e-3, 1e-3, 1])}, "affine must have positive steps"),
        ({"affine": tilted() + np.diag([0, 0, 0, 0.999])}, "affine must be axis-aligned"),
        ({"freq": np.zeros((4, 5, 5), np.float32)}, "freq must have shape"),
        ({"freq": np.full((4, 5, 6), np.inf, np.float32)}, "freq must be finite"),
        (
            {"oracle": OracleClasses(names=("a", "b"), of_tissue=(0, 1), priority=(1, 0))},
            "oracle must name a class",
        ),
    ],
)
def test_a_bad_phantom_cannot_exist(changes, sentence):
    with pytest.raises(ValueError, match=sentence):
        phantom(**changes)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"position": np.array([[0.0, 0], [1e-3, -1e-3], [0, 0]])}, "sorted by y"),
        ({"position": np.array([[0.0, np.nan], [0, 0], [0, 0]])}, "must be finite"),
        ({"position": np.zeros((2, 2))}, r"position must have shape \(3, 2\)"),
        ({"tissue": np.array([1, 2], np.uint8)}, "tissue must be below 2"),
        ({"tissue": np.array([1, 1])}, "tissue must have an unsigned integer dtype, got int64"),
        ({"b1": np.ones(3)}, r"b1 must have shape \(2\)"),
        ({"b1": np.array([1, np.nan])}, "b1 must be finite"),
        ({"cell": (1e-3, 0.0, 1e-3)}, "cell must be three positive lengths, or three zeros"),
        ({"t1": np.array([0.0, 0.0])}, "t1 must be positive where pd is"),
        ({"t2prime": np.array([np.inf, np.nan])}, "t2prime must be positive where pd is"),
        ({"pd": np.array([0.0, -1.0])}, "pd must be finite and not negative"),
    ],
)
def test_bad_spins_cannot_exist(changes, sentence):
    with pytest.raises(ValueError, match=sentence):
        spins(**changes)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.uint32])
def test_spins_keep_the_type_of_their_rows(dtype):
    own = spins(tissue=np.array([1, 0], dtype), cell=(0.0, 0.0, 0.0), b1=np.array([1, 0.5]))
    assert own.tissue.dtype == dtype and own.b1.dtype == np.complex64


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"of_tissue": (0, 3)}, "of_tissue must hold oracle classes 0 to 2"),
        ({"priority": (0, 1)}, "priority must hold each of 0 to 2 once"),
        ({"names": ("a", "a", "b")}, "different oracle classes"),
    ],
)
def test_bad_oracle_classes_cannot_exist(changes, sentence):
    with pytest.raises(ValueError, match=sentence):
        OracleClasses(**{"names": ("a", "b", "c"), "of_tissue": (0, 1), "priority": (2, 1, 0), **changes})


def test_an_unknown_phantom_lists_the_known_and_the_nearest():
    with pytest.raises(ValueError, match=r"brainweb.*got 'brainwebb' \(did you mean 'brainweb'\?\)"):
        phantom_source("brainwebb")
    with pytest.raises(TypeError, match="folder"):
        phantom_source("brainweb", folder="x")


def test_every_source_is_a_phantom_source():
    options = {"nifti": {"path": "labels.nii", "tissues": "tissues.toml"}}
    for name in PHANTOMS:
        assert phantom_source(name, **options.get(name, {})).name == name


def test_importing_the_package_loads_nothing_heavy():
    heavy = "{'numpy', 'scipy', 'nibabel', 'numba', 'torch', 'h5py'} & set(sys.modules)"
    code = f"import sys, phantoms; assert not {heavy}, {heavy}"
    subprocess.run([sys.executable, "-c", code], check=True)
