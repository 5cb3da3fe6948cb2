"""KomaMRI's files, written here as Julia writes them: vectors, column-major matrices, texts for booleans."""

# ruff: noqa: RUF001  the Greek rho is how KomaMRI writes it

import h5py
import numpy as np
import pytest

from phantoms.cloud import SpinCloud
from phantoms.motion import HeartBeat, Motion, Path, Rotate, TimeCurve, Translate
from phantoms.phantom import PhantomError
from phantoms.spin_files.files import read_spins, write_spins

N = 6
OMEGA_FAT = -2 * np.pi * 220  # [rad/s] as KomaMRI's brain has it


def koma_file(path, *, motions=(), without=(), **changes):
    """Write what KomaMRI's write_phantom writes; `motions` are (action, time, spins) dictionaries."""
    vectors = {
        "position/x": np.linspace(-0.05, 0.05, N),
        "position/y": np.linspace(0.02, -0.02, N),
        "position/z": np.zeros(N),
        "contrast/ρ": np.linspace(0.5, 1, N),
        "contrast/T1": np.full(N, 0.833),
        "contrast/T2": np.full(N, 0.083),
        "contrast/T2s": np.full(N, 0.069),
        "contrast/Δw": np.array([OMEGA_FAT, *np.zeros(N - 1)]),
        **changes,
    }
    with h5py.File(path, "w") as file:
        file.attrs.update({"Version": "0.9.1", "Name": "brain2D_axial", "Ns": N, "Dims": 2})
        for name, values in vectors.items():
            if name not in without:
                file[name] = values
        for i, parts in enumerate(motions, start=1):
            for part, fields in parts.items():
                group = file.create_group(f"motion/motion_{i}/{part}")
                for name, value in fields.items():
                    if isinstance(value, np.ndarray):
                        group[name] = value
                    elif name == "center":
                        group[name] = value  # a text, as a data set
                    else:
                        group.attrs[name] = value
    return path


CURVE = {
    "type": "TimeCurve",
    "t": np.array([0.0, 0.25, 1.0]),
    "t_unit": np.array([0.0, 1.0, 0.0]),
    "periodic": "true",
    "periods": 1.0,
}
ONCE = {**CURVE, "t": np.array([1.0, 3.0]), "t_unit": np.array([0.0, 1.0]), "periodic": "false"}
ALL = {"type": "AllSpins"}
SHIFT = {"type": "Translate", "dx": 0.01, "dy": 0.0, "dz": -0.02}


def test_units_and_signs_become_ours(tmp_path):
    cloud = read_spins(koma_file(tmp_path / "brain.phantom"), t2star=True)
    assert cloud.name == "brain2D_axial" and cloud.motion == () and cloud.b1 is None
    assert cloud.position[:, 0] == pytest.approx([-0.05, 0.02, 0.0])
    assert cloud.freq == pytest.approx([-220, 0, 0, 0, 0, 0])  # fat: lower Larmor frequency, as ours
    assert (cloud.t1[0], cloud.t2[0], cloud.pd[0]) == pytest.approx((0.833, 0.083, 0.5))
    assert 1 / cloud.t2prime[0] == pytest.approx(1 / 0.069 - 1 / 0.083)
    assert np.isinf(read_spins(tmp_path / "brain.phantom").t2prime).all()  # as KomaMRI simulates it


def test_what_is_missing_has_komas_defaults(tmp_path):
    names = ("position/z", "contrast/ρ", "contrast/T2", "contrast/T2s", "contrast/Δw")
    cloud = read_spins(koma_file(tmp_path / "a.phantom", without=names), t2star=True)
    assert np.array_equal(cloud.pd, np.ones(N)) and (cloud.position[2] == 0).all()
    assert (cloud.t2 == 1e6).all() and np.isinf(cloud.t2prime).all() and (cloud.freq == 0).all()


def test_spins_sort_by_y_and_share_rows(tmp_path):
    spins = read_spins(koma_file(tmp_path / "a.phantom")).spins()
    assert spins.tissue.dtype == np.uint32
    assert spins.position[1] == pytest.approx(np.linspace(-0.02, 0.02, N))
    assert spins.pd[spins.tissue] == pytest.approx(np.linspace(1, 0.5, N))  # the file's order was downwards
    assert spins.freq == pytest.approx([0, 0, 0, 0, 0, -220])
    assert (spins.cell, spins.pd.size) == ((0, 0, 0), N)


def test_every_motion_that_koma_writes_is_read(tmp_path):
    knots = np.arange(2.0 * 3).reshape(2, 3)  # Julia's (spin, knot) seen row by row is (knot, spin)
    path = {"type": "Path", "dx": knots, "dy": 0 * knots, "dz": -knots}
    motions = [
        {"action": SHIFT, "time": CURVE, "spins": ALL},
        {
            "action": {"type": "Rotate", "pitch": 0.0, "roll": 0.0, "yaw": 90.0, "center": "CenterOfMass"},
            "time": ONCE,
            "spins": {"type": "SpinRange", "range": "2:4"},
        },
        {"action": path, "time": ONCE, "spins": {"type": "SpinRange", "range": "1:2:5"}},
        {
            "action": {**path, "type": "FlowPath", "spin_reset": np.array([[0, 0, 0], [0, 1, 0]])},
            "time": {"type": "TimeRange", "t_start": 0.0, "t_end": 1.0},
            "spins": {"type": "SpinRange", "range": "1:3"},
        },
        {
            "action": {
                "type": "HeartBeat",
                "circumferential_strain": -0.3,
                "radial_strain": -0.2,
                "longitudinal_strain": 0.1,
            },
            "time": {"type": "Periodic", "period": 1.0, "asymmetry": 0.2},
            "spins": ALL,
        },
    ]
    shift, turn, along, flow, beat = read_spins(koma_file(tmp_path / "m.phantom", motions=motions)).motion
    assert shift.action == Translate(offset=(0.01, 0.0, -0.02)) and shift.spins is None
    assert shift.time.periodic and shift.time.at(2.25) == 1
    assert turn.action == Rotate(angles=(0, 0, np.pi / 2)) and turn.spins.tolist() == [1, 2, 3]
    assert turn.time.at([0, 2, 9]).tolist() == [0, 0.5, 1]
    assert along.spins.tolist() == [0, 2, 4]
    assert along.action.displacement(np.zeros((3, 3)), 1.0)[0].tolist() == [3, 4, 5]
    assert flow.action.reset.tolist() == [[False] * 3, [False, True, False]]
    assert beat.action == HeartBeat(circumferential=-0.3, radial=-0.2, longitudinal=0.1)
    assert beat.time.at([0.2, 0.6, 1.2]) == pytest.approx([1, 0.5, 1])


def test_periods_stretch_the_curve(tmp_path):
    time = {**CURVE, "t": np.array([0.0, 1.0, 2.0]), "periods": np.array([1.0, 0.5])}
    motion = {"action": SHIFT, "time": time, "spins": ALL}
    (read,) = read_spins(koma_file(tmp_path / "m.phantom", motions=[motion])).motion
    assert read.time.at([0.5, 1, 2, 2.5, 3, 4]) == pytest.approx([0.5, 1, 0, 1, 0, 1])  # 3 s is one round


def everything():
    rng = np.random.default_rng(5)
    curve = TimeCurve(t=[0.1, 0.2, 0.9], share=[0, 1, 0.5], periodic=True)
    columns = rng.normal(size=(4, 3, 3)) * 1e-3
    return SpinCloud(
        name="all of it",
        position=rng.normal(size=(3, N)) * 0.1,
        pd=rng.uniform(0.1, 1, N),
        t1=np.array([1.0, 2.0, 3.0, 0.5, 0.6, 0.7]),
        t2=rng.uniform(0.05, 0.1, N),
        t2prime=np.array([np.inf, 0.02, 0.03, np.inf, 0.1, 0.2]),
        freq=rng.normal(size=N) * 100,
        b1=(rng.normal(size=N) + 1j * rng.normal(size=N)).astype(np.complex64),
        motion=(
            Motion(action=Rotate(angles=(0.1, -0.2, 0.3), centre=(0.0, 0.01, 0.02)), time=curve),
            Motion(
                action=Path(offset=columns, reset=rng.random((4, 3)) > 0.5),
                time=curve,
                spins=np.array([5, 1, 3]),
            ),
        ),
    )


def test_a_cloud_survives_the_file_in_any_order_of_its_spins(tmp_path):
    cloud = everything()
    write_spins(cloud, tmp_path / "c.phantom")
    again = read_spins(tmp_path / "c.phantom", t2star=True)
    for name in ("position", "pd", "t1", "t2", "t2prime", "freq", "b1"):
        assert getattr(again, name) == pytest.approx(getattr(cloud, name), rel=1e-6), name
    times = [0.0, 0.15, 0.4, 2.0]
    assert again.at(times) == pytest.approx(cloud.at(times), abs=1e-12)
    flow, columns = again.motion[1].action, np.argsort([5, 1, 3])
    assert np.array_equal(flow.reset, cloud.motion[1].action.reset[:, columns])
    sorted_path = cloud.by_y().at(times)
    assert sorted_path == pytest.approx(cloud.at(times)[:, :, np.argsort(cloud.position[1])], abs=1e-12)
    assert [p.name for p in tmp_path.iterdir()] == ["c.phantom"]


BAD_TIME = {"action": SHIFT, "time": {**CURVE, "periods": -1.0}, "spins": ALL}


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"contrast/T1": np.full(N - 1, 1.0)}, r"one number per spin, got .*T1 \(5,\)"),
        ({"contrast/T1": np.full(N, -1.0)}, r"t1 must be positive where pd is"),
        ({"contrast/T2": np.full(N, np.nan)}, r"t2 must be positive where pd is"),
        ({"position/x": np.full(N, np.inf)}, r"position must be finite"),
        ({"contrast/T1": np.array(["a"] * N, "S1")}, r"contrast/T1 must hold numbers"),
        ({"contrast/T2star": np.ones(N)}, r"data set of contrast must be one of .*got 'T2star'"),
        ({"contrast/Dλ1": np.ones(N)}, r"Dλ1 must be 0, for diffusion tensors are not simulated"),
        ({"motions": [{"action": {"type": "Swim"}, "time": CURVE, "spins": ALL}]}, "type of action must be"),
        ({"motions": [{"action": SHIFT, "time": CURVE}]}, r"motion_1/spins must be a group"),
        ({"motions": [{"action": {**SHIFT, "dx": np.ones(3)}, "time": CURVE, "spins": ALL}]}, "dx must be"),
        ({"motions": [BAD_TIME]}, r"periods must be positive"),
        (
            {"motions": [{"action": SHIFT, "time": CURVE, "spins": {"type": "SpinRange", "range": "1:7"}}]},
            r"range must lie in 1 to 6, the spins of the file, got '1:7'",
        ),
        (
            {"motions": [{"action": SHIFT, "time": CURVE, "spins": {"type": "SpinRange", "range": "x"}}]},
            r"range must read first:last",
        ),
        (
            {"motions": [{"action": {"type": "Path", "dx": np.ones((2, 4)), "dy": np.ones((2, 4)),
                                     "dz": np.ones((2, 4))}, "time": CURVE, "spins": ALL}]},
            r"one column for each of its 6 spins, got 4",
        ),
    ],
)  # fmt: skip
def test_a_file_that_cannot_be_a_cloud_gets_one_sentence(changes, sentence, tmp_path):
    with pytest.raises(PhantomError, match=sentence) as caught:
        read_spins(koma_file(tmp_path / "a.phantom", **changes))
    assert "a.phantom" in str(caught.value) and "\n" not in str(caught.value)


def test_damaged_and_foreign_files_get_one_sentence(tmp_path):
    whole = koma_file(tmp_path / "a.phantom").read_bytes()
    cases = {
        "must be HDF5": b"not HDF5",
        "truncated file": whole[:-600],
        "must be a file": None,
    }
    for i, (sentence, content) in enumerate(cases.items()):
        path = tmp_path / f"{i}.phantom"
        if content is not None:
            path.write_bytes(content)
        with pytest.raises(PhantomError, match=sentence) as caught:
            read_spins(path)
        assert path.name in str(caught.value) and "\n" not in str(caught.value)
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["dataset"] = 1
    with pytest.raises(
        PhantomError, match=r"groups position and contrast \(KomaMRI\) or sample .*got dataset"
    ):
        read_spins(tmp_path / "other.h5")


def test_what_a_layout_cannot_hold_is_refused_and_leaves_no_file(tmp_path):
    with pytest.raises(ValueError, match=r"without b1 for a JEMRIS sample"):
        write_spins(everything(), tmp_path / "c.h5")
    with pytest.raises(ValueError, match=r"suffix of a spin file must be one of \.phantom, \.h5"):
        write_spins(everything(), tmp_path / "c.mat")
    assert not list(tmp_path.iterdir())
