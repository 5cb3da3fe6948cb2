"""What is given to a scan besides parameters: maps, motion from a file, flow, switches; by closed forms."""

import math
import os

import nibabel
import numpy as np
import pytest

from cli.mrsim_simulate import eddy_current
from mrsim.files.fields import read_coils, read_field
from mrsim.imperfections.gradients import EddyCurrent
from mrsim.imperfections.model import Imperfections
from mrsim.imperfections.motion import Moving, flowing, read_motion
from mrsim.reconstruction.images import reconstruct
from mrsim.scanner.measure import measure
from mrsim.scanner.scan import played
from mrsim.scanner.setup import Setup, thinned
from mrsim.sequences.gre import GradientEcho
from mrsim.slices.plane import SlicePlane
from phantoms import phantom_source
from phantoms.phantom import PhantomError

GRID = np.diag([20.0, 20.0, 20.0, 1.0])
GRID[:3, 3] = -70
HEADER = "t_s,x_mm,y_mm,z_mm,rx_deg,ry_deg,rz_deg\n"
FOV, THICKNESS = (0.12, 0.12), 5e-3


def saved(values, path):
    nibabel.save(nibabel.Nifti1Image(values, GRID), path)
    return str(path)


def brightness(flip, te=2e-3, **given):
    """Mean magnitude in the middle of a sphere of water, full recovery before each excitation."""
    sequence = GradientEcho(
        te=te, tr=60.0, flip=flip, fov=FOV, matrix=(16, 16), thickness=THICKNESS, rf="ideal", bandwidth=2000.0
    )
    imperfections = given.pop("imperfections", None)
    setup = Setup(phantom="sphere", every=4, **given)
    scan = setup.run(played("gre", sequence), FOV, THICKNESS, imperfections=imperfections)
    return reconstruct(scan, combination="maps").magnitude[0, 6:10, 6:10].mean(), scan


def test_a_measured_transmit_field_scales_the_flip_angle(tmp_path):
    half = saved(np.full((8, 8, 8), 0.5, np.float32), tmp_path / "b1.nii.gz")
    full, _ = brightness(math.radians(40))
    felt, scan = brightness(math.radians(40), b1=half)
    assert felt / full == pytest.approx(math.sin(math.radians(20)) / math.sin(math.radians(40)), rel=1e-4)
    assert scan.engine != "cartesian"  # which has one flip angle for all spins


def test_measured_coils_are_heard_as_they_are(tmp_path):
    x = np.arange(8)[:, None, None, None] * np.ones((8, 8, 8, 1))
    maps = np.concatenate([1 + 0.1j * x, 2 - 0.2 * x], axis=3).astype(np.complex64)
    path = saved(maps, tmp_path / "csm.nii.gz")
    coils = read_coils(path)
    got = coils.sensitivity(np.array([0.01]), np.array([-0.02]), np.array([0.03]))[:, 0]
    np.testing.assert_allclose(got, [1 + 0.4j, 2 - 0.8], rtol=1e-5)  # x = 10 mm is voxel 4 of 20 mm from -70
    plane = SlicePlane(fov=(0.08, 0.08), matrix=(4, 4), thickness=THICKNESS)
    np.testing.assert_allclose(coils.on_image(plane)[0, 2, 2], 1 + 0.35j, rtol=1e-5)
    one, _ = brightness(math.radians(40))
    by_maps, scan = brightness(math.radians(40), coil_array=path)
    assert by_maps == pytest.approx(one, rel=0.02) and scan.signal.shape[0] == 2


def test_a_motion_file_says_where_the_object_is(tmp_path):
    (tmp_path / "m.csv").write_text(HEADER + "1,0,0,0,0,0,0\n3,4,0,-2,0,0,90\n")
    motion = read_motion(tmp_path / "m.csv")
    point = np.array([[0.01], [0.0], [0.0]])
    turn = math.radians(45)
    wanted = [0.01 * math.cos(turn) + 2e-3, 0.01 * math.sin(turn), -1e-3]
    np.testing.assert_allclose(motion.positions(point, 2.0)[:, 0], wanted, atol=1e-12)
    np.testing.assert_allclose(motion.positions(point, 0.5), point, atol=1e-12)
    box = np.array([[-0.1, 0.1], [-0.1, 0.1], [0.0, 0.0]])
    assert motion.through_plane(box, 5.0) == pytest.approx(2e-3)
    assert motion.rests(3.5, 9.0) and not motion.rests(0.5, 1.5)


@pytest.mark.parametrize("text", ["t,x\n1,2\n", HEADER + "0,0,0,0,0,0,a\n", HEADER + "0,0,0,0,0,0,0\n",
                                  HEADER + "1,0,0,0,0,0,0\n1,0,0,0,0,0,0\n"])  # fmt: skip
def test_a_bad_motion_file_is_one_sentence(text, tmp_path):
    (tmp_path / "m.csv").write_text(text)
    with pytest.raises(PhantomError, match=r"m\.csv must"):
        read_motion(tmp_path / "m.csv")


@pytest.mark.parametrize("shape", [(4, 4), (4, 4, 4, 2)])
def test_maps_of_another_shape_or_with_nan_are_refused(shape, tmp_path):
    with pytest.raises(PhantomError, match="must be a volume of real numbers"):
        read_field(saved(np.ones(shape, np.float32), tmp_path / "a.nii.gz"))
    with pytest.raises(PhantomError, match="must be complex of shape"):
        read_coils(saved(np.ones(shape, np.float32), tmp_path / "a.nii.gz"))
    with pytest.raises(PhantomError, match="must be finite"):
        read_field(saved(np.full(shape, np.nan, np.float32), tmp_path / "a.nii.gz"))


def test_flow_fills_the_stretch_that_its_spins_fill():
    position = np.stack([np.zeros(5), np.zeros(5), np.linspace(-0.01, 0.03, 5)])
    flow = flowing(position, np.arange(4), (0.0, 0.0, -0.5), (1e-3, 1e-3, 1e-2))
    assert (flow.length, flow.middle) == pytest.approx((0.04, -0.005))
    assert flowing(position, np.arange(0), (0.0, 0.0, 1.0), (1.0, 1.0, 1.0)) is None


def test_t2prime_and_chemical_shift_can_be_turned_off():
    source = phantom_source("sphere", tissue="oil", field_strength=1.5).load(1)
    table = source.tissues
    from mrsim.slices.slab import slab_spins

    plane = SlicePlane(fov=FOV, matrix=(16, 16), thickness=THICKNESS)
    spins = slab_spins(thinned(source, 4), plane)
    assert spins.freq[0] == pytest.approx(table.tissues[1].chemical_shift * 63.866e6, rel=1e-3)
    assert spins.freq[0] < -200
    off, _ = Imperfections(chemical_shift=False, t2prime=False).of_spins(spins, plane, table)
    np.testing.assert_allclose(off.freq, 0, atol=1e-3)
    assert np.isinf(off.t2prime).all()


def test_a_thinned_phantom_stays_where_it_is():
    whole = phantom_source("sphere", field_strength=1.5).load(1)
    thin = thinned(whole, 4)
    index = np.array([3, 5, 7, 1])
    at = whole.affine @ np.append(4 * index[:3] + 2, 1)
    np.testing.assert_allclose(thin.affine @ index, at)
    assert thin.labels[7, 5, 3] == whole.labels[30, 22, 14]
    volume = np.prod(thin.spacing) * (thin.labels > 0).sum()
    assert volume == pytest.approx(np.prod(whole.spacing) * (whole.labels > 0).sum(), rel=0.02)
    with pytest.raises(ValueError, match="every must be at most 100"):
        thinned(whole, 101)


def test_eddy_currents_are_told_term_by_term():
    assert eddy_current("x:0.02:5") == EddyCurrent(axis="x", amplitude=0.02, time=5e-3)
    assert eddy_current("z:1e-3:80:b0") == EddyCurrent(axis="z", amplitude=1e-3, time=0.08, field="b0")
    with pytest.raises(ValueError, match="eddy_currents must be AXIS:SHARE:MS"):
        eddy_current("x:0.02")


def second_moment(scan):
    """Mean squared distance of the object from the middle of the image [m2]."""
    image = reconstruct(scan).data[0]
    image = (image / image[8, 8]).real
    r2 = np.add.outer(scan.plane.pixel_centres("y") ** 2, scan.plane.pixel_centres("x") ** 2)
    return (image * r2).sum() / image.sum()


def test_gradient_errors_draw_an_object_smaller():
    """-20 % at 250 mm is r (1 - 0.2 (r / 250)^2) in the plane: a disc of 50 mm has a second moment of 1.07 %
    less, 0.4 <r^4> / (<r^2> 250^2).
    """
    straight, plain = brightness(math.radians(40))
    bent, scan = brightness(math.radians(40), imperfections=Imperfections(gradient_error=(-0.2, -0.2, 0.0)))
    assert scan.engine == "cartesian"
    assert bent == pytest.approx(straight, rel=0.01)  # the middle stays
    assert second_moment(scan) / second_moment(plain) == pytest.approx(1 - 0.0107, abs=2e-3)


def test_what_would_mix_up_spins_is_refused():
    sequence = GradientEcho(fov=FOV, matrix=(2, 16), thickness=THICKNESS, rf="ideal")
    source = thinned(phantom_source("sphere", field_strength=1.5).load(1), 8)
    from mrsim.slices.slab import slab_spins

    plane = SlicePlane(fov=FOV, matrix=(2, 16), thickness=THICKNESS)
    spins, bent = slab_spins(source, plane), Imperfections(gradient_error=(-0.5, -0.5, 0.0))
    assert (np.diff(bent.of_spins(spins, plane, None)[1]) < 0).any()
    flow = flowing(spins.position, np.arange(3), (0.0, 0.0, 0.1), spins.cell)
    own = Moving(flows=(flow,))
    with pytest.raises(ValueError, match="gradient_error and fat_lines must be off"):
        measure(spins, sequence.events(), plane, motion=own, imperfections=bent)
    with pytest.raises(ValueError, match="n_sub must be 1 along x and y"):
        measure(spins, sequence.events(), plane, motion=own, n_sub=(2, 1, 4))


def test_a_scan_that_memory_cannot_hold_is_refused_at_once(monkeypatch):
    monkeypatch.setattr(os, "sysconf", lambda name: 1 if name == "SC_PHYS_PAGES" else 4096)
    with pytest.raises(ValueError, match="must fit into the memory of 0 GB"):
        brightness(0.5)
