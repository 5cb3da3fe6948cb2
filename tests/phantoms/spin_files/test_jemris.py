"""JEMRIS samples, written here as its MATLAB writes them: (type, x, y, z) column by column."""

import h5py
import numpy as np
import pytest

from phantoms.cloud import SpinCloud
from phantoms.phantom import PhantomError
from phantoms.spin_files.files import read_spins, write_spins

NX, NY, NZ = 4, 3, 2
STEP_MM, OFFSET_MM = (1.0, 2.0, 3.0), (10.0, 0.0, -5.0)


def maps():
    """(x, y, z, type) as MATLAB holds it: M0, R1, R2, R2* [1/ms], DB [rad/s]; no two spins alike."""
    m0 = np.arange(1.0, NX * NY * NZ + 1).reshape(NX, NY, NZ)
    m0[1, 2, 0] = 0  # a hole
    columns = [m0, 1e-3 * m0, 1e-2 * m0, 1e-2 * m0, 2 * np.pi * m0]
    columns[3][2, 1, 1] *= 3  # T2* shorter than T2 at one spin only
    return np.stack(columns, axis=-1)


def sample(path, data=None, resolution=STEP_MM, offset=OFFSET_MM, dtype=np.float64):
    """Write the data (z, y, x, type) and, as MATLAB does, rows of three."""
    data = maps().transpose(2, 1, 0, 3) if data is None else data
    with h5py.File(path, "w") as file:
        file["sample/data"] = np.asarray(data, dtype)
        if resolution is not None:
            file["sample/resolution"] = np.array([resolution], dtype).T
        if offset is not None:
            file["sample/offset"] = np.array([offset], dtype).T
    return path


def test_every_spin_lies_where_jemris_puts_it_with_its_own_properties(tmp_path):
    cloud = read_spins(sample(tmp_path / "sample.h5"))
    assert cloud.pd.size == NX * NY * NZ - 1
    for i, m0 in enumerate(cloud.pd):
        ix, iy, iz = np.argwhere(maps()[..., 0] == m0)[0]
        expected = [
            (ix - 0.5 * (NX - 1)) * 1e-3 + 10e-3,
            (iy - 0.5 * (NY - 1)) * 2e-3,
            (iz - 0.5 * (NZ - 1)) * 3e-3 - 5e-3,
        ]
        assert cloud.position[:, i] == pytest.approx(expected)
        assert (cloud.t1[i], cloud.t2[i]) == pytest.approx((1 / m0, 0.1 / m0))  # s
        assert cloud.freq[i] == pytest.approx(m0)  # Hz
        assert np.isinf(cloud.t2prime[i]) or (ix, iy, iz) == (2, 1, 1)
    odd = np.isfinite(cloud.t2prime)
    assert odd.sum() == 1 and 1 / cloud.t2prime[odd] == pytest.approx(20 * cloud.pd[odd])


def test_single_precision_and_missing_leading_axes(tmp_path):
    line = maps()[:, 0, 0]  # (x, type)
    cloud = read_spins(sample(tmp_path / "line.h5", line, dtype=np.float32))
    assert cloud.position[0] == pytest.approx([8.5e-3, 9.5e-3, 10.5e-3, 11.5e-3], rel=1e-6)
    assert (cloud.position[1] == 0).all() and np.isinf(cloud.t2prime).all()


def test_rates_of_zero_never_relax(tmp_path):
    data = maps().transpose(2, 1, 0, 3)
    data[..., 1:4] = 0
    cloud = read_spins(sample(tmp_path / "s.h5", data, offset=None))
    assert np.isinf(cloud.t1).all() and np.isinf(cloud.t2).all() and np.isinf(cloud.t2prime).all()
    assert cloud.position.mean() == pytest.approx(0, abs=2e-3)
    assert np.isinf(cloud.spins().t1).all()


def test_a_list_of_spins_without_resolution(tmp_path):
    rows = [[1, 2, 3, 0.5, 1e-3, 1e-2, 2e-2, -62.8318530718, 0], [4, 5, 6, 0, 0, 0, 0, 0, 1]]
    cloud = read_spins(sample(tmp_path / "s.h5", rows, resolution=None, offset=None))
    assert cloud.position.T == pytest.approx(np.array([[1e-3, 2e-3, 3e-3]]))
    assert (cloud.t1[0], cloud.t2[0], cloud.t2prime[0], cloud.freq[0]) == pytest.approx((1, 0.1, 0.1, -10))


def cloud_at(position):
    n = position.shape[1]
    rng = np.random.default_rng(2)
    columns = {name: rng.uniform(0.1, 1, n) for name in ("pd", "t1", "t2", "t2prime", "freq")}
    return SpinCloud(name="c", position=position, **columns)


def same(a, b):
    order_a, order_b = (np.lexsort(c.position.round(9)) for c in (a, b))
    for name in ("position", "pd", "t1", "t2", "t2prime", "freq"):
        assert getattr(a, name)[..., order_a] == pytest.approx(getattr(b, name)[..., order_b], rel=1e-9), name


@pytest.mark.parametrize("flat", [False, True])
def test_a_lattice_is_written_as_one_with_its_holes(flat, tmp_path):
    index = np.indices((5, 4, 1 if flat else 3)).reshape(3, -1)
    index = index[:, np.random.default_rng(1).permutation(index.shape[1])[:-2]]
    cloud = cloud_at(index * np.array([[1e-3], [2e-3], [0.5e-3]]) + np.array([[0.1], [-0.05], [0.02]]))
    write_spins(cloud, tmp_path / "s.h5")
    with h5py.File(tmp_path / "s.h5") as file:
        assert file["sample/data"].shape == (1 if flat else 3, 4, 5, 5)
        assert file["sample/resolution"][:2] == pytest.approx([1, 2])
    same(read_spins(tmp_path / "s.h5"), cloud)


def test_anything_else_is_written_as_a_list(tmp_path):
    cloud = cloud_at(np.random.default_rng(3).normal(size=(3, 20)))
    write_spins(cloud, tmp_path / "s.h5")
    with h5py.File(tmp_path / "s.h5") as file:
        assert file["sample/data"].shape == (20, 9) and "resolution" not in file["sample"]
    same(read_spins(tmp_path / "s.h5"), cloud)


def changed(**columns):
    data = maps().transpose(2, 1, 0, 3)
    for name, value in columns.items():
        data[0, 0, 0, ("m0", "r1", "r2", "r2s", "db").index(name)] = value
    return data


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"data": np.zeros((2, 3, 4, 5))}, "M0 must be positive for at least one spin"),
        ({"data": np.ones((2, 3, 4, 9))}, r"shape \(z, y, x, 5\), got \(2, 3, 4, 9\)"),
        ({"data": changed(m0=-1)}, "M0 must not be negative, got -1"),
        ({"data": changed(r2=-0.5)}, r"R1, R2 and R2\* must not be negative, got -0.5 1/ms"),
        ({"data": changed(db=np.nan)}, "sample/data must be finite"),
        ({"resolution": (1.0, 0.0, 1.0)}, "sample/resolution must be positive"),
        ({"resolution": (1.0, 1.0)}, "sample/resolution must be three finite lengths"),
        ({"offset": (1.0, np.nan, 1.0)}, "sample/offset must be three finite lengths"),
        ({"resolution": None}, r"shape \(spin, 9\) where there is no sample/resolution"),
    ],
)
def test_a_sample_that_cannot_be_a_cloud_gets_one_sentence(given, sentence, tmp_path):
    with pytest.raises(PhantomError, match=sentence) as caught:
        read_spins(sample(tmp_path / "s.h5", **given))
    assert "s.h5" in str(caught.value) and "\n" not in str(caught.value)
