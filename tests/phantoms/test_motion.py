import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from phantoms.motion import HeartBeat, Motion, Path, Rotate, TimeCurve, Translate, moved

SECOND = TimeCurve(t=[0, 1], share=[0, 1])
SPINS = np.random.default_rng(0).normal(size=(3, 40)) * 0.05  # [m]


def test_a_curve_holds_its_ends_or_repeats():
    t, share = [1.0, 2.0, 4.0], [0.0, 1.0, 0.5]
    once, again = (TimeCurve(t=t, share=share, periodic=p) for p in (False, True))
    assert once.at([0, 1.5, 3, 9]) == pytest.approx([0, 0.5, 0.75, 0.5])
    assert again.at([1.5, 4.5, 7.5, -1.5]) == pytest.approx([0.5] * 4)  # period 3 s
    jump = TimeCurve(t=[2, 2], share=[0, 1])
    assert jump.at([1.99, 2, 2.01]).tolist() == [0, 1, 1]


@pytest.mark.parametrize("share", [0.0, 0.4, 1.0])
def test_rotation_is_about_x_then_y_then_z(share):
    angles, centre = (0.3, -0.5, 1.1), (0.01, 0.02, -0.03)
    expected = Rotation.from_euler("xyz", share * np.array(angles)).apply(SPINS.T - centre) + centre
    turned = SPINS + Rotate(angles=angles, centre=centre).displacement(SPINS, share)
    assert turned.T == pytest.approx(expected, abs=1e-15)
    about_middle = SPINS + Rotate(angles=angles).displacement(SPINS, share)
    assert about_middle.mean(axis=1) == pytest.approx(SPINS.mean(axis=1), abs=1e-15)


def test_a_heart_beat_shortens_the_circumference_and_thickens_the_wall():
    angle = np.linspace(0, 2 * np.pi, 50)
    inner, outer = (r * np.array([np.cos(angle), np.sin(angle), 1 + 0 * angle]) for r in (0.03, 0.05))
    ring = np.hstack([inner, outer])
    beat = HeartBeat(circumferential=-0.3, radial=-0.2, longitudinal=0.1)
    after = ring + beat.displacement(ring, 1.0)
    radius = np.hypot(*after[:2])
    assert radius[50:] == pytest.approx(0.7 * 0.05)  # the outermost spins by the circumferential strain
    assert radius[:50] == pytest.approx(0.03 - 0.3 * 0.05 + 0.2 * 0.02)
    assert after[2] == pytest.approx(1.1 * ring[2])
    collapsed = ring + HeartBeat(circumferential=-2, radial=0, longitudinal=0).displacement(ring, 1.0)
    assert np.abs(collapsed[:2]).max() < 1e-15  # never through the axis


def test_motions_compose_rotations_one_after_the_other_and_add_shifts():
    first = Rotate(angles=(0, 0, np.pi / 2), centre=(0, 0, 0))
    second = Rotate(angles=(np.pi / 2, 0, 0), centre=(0, 0, 0))
    later = TimeCurve(t=[1, 2], share=[0, 1])
    motions = [
        Motion(action=Translate(offset=(0.1, 0, 0)), time=SECOND),
        Motion(action=second, time=later),  # listed first, starts second
        Motion(action=first, time=SECOND),
    ]
    rest, half, end = moved(np.array([[1.0], [0], [0]]), motions, [0, 0.5, 2])
    assert rest.ravel() == pytest.approx([1, 0, 0])
    assert half.ravel() == pytest.approx([np.cos(np.pi / 4) + 0.05, np.sin(np.pi / 4), 0])
    assert end.ravel() == pytest.approx([0.1, 0, 1])  # x -> y -> z, and the shift as it is


def test_a_path_is_linear_between_its_knots_and_moves_only_its_spins():
    offset = np.random.default_rng(1).normal(size=(3, 3, 2))
    motion = Motion(action=Path(offset=offset), time=SECOND, spins=np.array([7, 3]))
    at = moved(SPINS, [motion], [0, 0.25, 0.5, 1, 5]) - SPINS
    expected = [offset[0], (offset[0] + offset[1]) / 2, offset[1], offset[2], offset[2]]
    assert at[:, :, [7, 3]] == pytest.approx(np.array(expected), abs=1e-15)
    assert not np.delete(at, [3, 7], axis=2).any()


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: TimeCurve(t=[1, 0], share=[0, 1]), "t of a time curve must ascend"),
        (lambda: TimeCurve(t=[0, np.nan], share=[0, 1]), "two or more finite numbers"),
        (lambda: TimeCurve(t=[1, 1], share=[0, 1], periodic=True), "must span a period"),
        (lambda: Path(offset=np.zeros((1, 3, 2))), r"shape \(knot, 3, spin\), got shape \(1, 3, 2\)"),
        (lambda: Path(offset=np.zeros((2, 3, 2)), reset=np.zeros((2, 3))), "reset of a path must have shape"),
    ],
)
def test_a_bad_motion_cannot_exist(make, sentence):
    with pytest.raises(ValueError, match=sentence):
        make()
