import hashlib
import os
import subprocess
import sys
from dataclasses import asdict, replace

import numpy as np
import pytest
from scipy import ndimage

from phantoms import phantom_source
from phantoms.cardiac import Cardiac
from phantoms.cardiac.case import PATHOLOGIES, draw_case, profile_area
from phantoms.cardiac.cycle import Cycle
from phantoms.cardiac.heart import Heart, pixel_oracle
from phantoms.cardiac.names import CARDIAC_ORACLE, FAT, LUNG, LV_BLOOD, MYO, MYOCARDIUM, PAPILLARY, RV
from phantoms.cardiac.ventricles import ENDO, EPI, Ventricles
from phantoms.tissues import tissue_table

LV = 1
CLASSES = np.array(CARDIAC_ORACLE.of_tissue, np.uint8)
KINDS = {kind: Cardiac(seed=5, pathology=kind) for kind in PATHOLOGIES}
# mean, standard deviation of the healthy UK Biobank participants (Petersen 2017): men, women
UKB = {
    "edv": (166e-6, 32e-6, 124e-6, 21e-6),
    "esv": (69e-6, 16e-6, 49e-6, 11e-6),
    "ef": (0.58, 0.05, 0.61, 0.05),
    "mass": (103e-3, 21e-3, 70e-3, 13e-3),
    "rv_edv": (182e-6, 36e-6, 130e-6, 24e-6),
    "rv_ef": (0.54, 0.06, 0.58, 0.06),
}


def slice_labels(heart, phase, n=80, cuts=2, layers=1, position=None):
    """Tissue classes of the spins of n x n pixels of 1.8 mm."""
    x, y = (c * 1e-3 + ((np.arange(n * cuts) + 0.5) / cuts - n / 2) * 1.8e-3 for c in heart._centre[:2])
    z = heart.slice_positions()[heart.mid_slice] if position is None else position
    return heart.labels(phase, x, y, z + ((np.arange(layers) + 0.5) / layers - 0.5) * 8e-3)


def counted(heart, phase, step=1.8e-3):
    """Volumes [m3] of the oracle classes by counting points of a lattice over the whole heart."""
    z = np.arange(heart.slice_positions()[-1] - 14e-3, heart.slice_positions()[0] + 34e-3, step)
    cx, cy = heart._centre[:2] * 1e-3
    side = np.arange(-75e-3, 90e-3, step)
    labels = CLASSES[heart.labels(phase, side + cx, side + cy - 8e-3, z)]
    return {n: (labels == i).sum(axis=(1, 2, 3)) * step**3 for i, n in enumerate(CARDIAC_ORACLE.names) if i}


@pytest.mark.parametrize("kind", PATHOLOGIES)
def test_volumes_counted_in_the_labels_are_the_drawn_ones(kind):
    heart = KINDS[kind].heart(1)
    case, phases = heart.case, np.array([0.0, heart.end_systole, 0.15])
    volumes = counted(heart, phases)
    c = heart.contraction(phases)
    # a lattice of 1.8 mm knows a surface of 150 cm2 to a fraction of a voxel layer: below 1 %
    assert volumes["LV"] == pytest.approx(case.edv * (1 - case.ef * c), rel=0.012)
    assert volumes["RV"] == pytest.approx(case.rv_edv * (1 - case.rv_ef * c), rel=0.015)
    assert volumes["myocardium"] == pytest.approx(np.full(3, case.mass / 1050), rel=0.012)
    for name, drawn in (("LV", case.ef), ("RV", case.rv_ef)):
        ed, es, _ = volumes[name]
        assert 1 - es / ed == pytest.approx(drawn, abs=0.01)


def test_the_wall_is_incompressible_at_every_point():
    v = Ventricles(draw_case(0, 3, pathology="infarct"))
    s = np.linspace(0.05, 0.8, 7)

    def wall(phase):  # area density of the wall times the length that a level stretches over
        down = v.descent(float(v.cycle.contraction(phase)))
        table = v.outlines(phase, -down - s * (v.length - down))
        return (table[..., EPI] - table[..., ENDO]) * (v.length - down)

    assert wall(v.cycle.end_systole) == pytest.approx(wall(0.0), rel=1e-9)


def test_the_infarct_moves_less_than_the_wall_opposite():
    v = Ventricles(replace(draw_case(0, 3, pathology="infarct"), infarct_angle=np.pi, ef=0.4))
    z = np.array([-0.6 * v.length])
    ed, es = (np.sqrt(v.outlines(phase, z)[0, :, ENDO]) for phase in (0.0, v.cycle.end_systole))
    moved = 1 - es / ed
    assert moved[180] < 0.4 * moved[0]


def test_the_myocardium_thickens_as_in_healthy_hearts():
    heart = KINDS["normal"].heart(2)
    ed, es = CLASSES[slice_labels(heart, np.array([0, heart.end_systole]), n=70, cuts=4)[:, 0]]
    thickness = [
        np.sqrt((np.isin(f, (LV, MYO)).sum()) / np.pi) - np.sqrt((f == LV).sum() / np.pi) for f in (ed, es)
    ]
    assert 4 < thickness[0] * 0.45 < 12  # [mm]
    assert 1.2 < thickness[1] / thickness[0] < 2.2  # by 20 to 120 %


def test_profile_area_is_the_integral_that_it_names():
    s = (np.arange(100000) + 0.5) / 100000
    for bullet in (2.0, 2.4, 2.8):
        assert profile_area(bullet) == pytest.approx(np.mean(1 - np.abs((s - 0.2) / 0.8) ** bullet), abs=1e-8)


@pytest.mark.parametrize("rate", [42, 65, 105])
def test_the_volume_curve_is_a_heart_beat(rate):
    cycle = Cycle(rr=60 / rate, kick=0.2)
    phase = np.linspace(0, 1, 2001)
    c = cycle.contraction(phase)
    assert (
        c[0] == pytest.approx(0)
        and c[-1] == pytest.approx(0)
        and 0 <= c.min()
        and c.max() == pytest.approx(1)
    )
    assert cycle.contraction(1.25) == pytest.approx(cycle.contraction(0.25))
    assert cycle.contraction(cycle.end_systole) == 1
    assert abs(np.diff(c)).max() * 2000 / (60 / rate) < 12  # never faster than a stroke volume in 80 ms
    flow = -np.diff(c)  # filling is positive
    filling = phase[1:] > cycle.end_systole
    peaks, _ = ndimage.label((flow > 0.5 * flow.max() * 0.3) & filling)
    assert peaks.max() == 2  # rapid filling and atrial kick
    assert c[np.argmin(abs(phase - (1 - 0.13 * rate / 60)))] == pytest.approx(
        0.2, abs=0.02
    )  # before the kick


def test_the_population_has_the_published_means_and_spreads():
    cases = [draw_case(11, k, pathology="normal") for k in range(400)]
    for key, values in UKB.items():
        for sex, (mean, spread) in zip(("male", "female"), (values[:2], values[2:]), strict=True):
            drawn = np.array([getattr(c, key) for c in cases if c.sex == sex])
            error = spread / np.sqrt(drawn.size)
            assert (
                abs(drawn.mean() - mean) < 3.5 * error + 0.02 * mean
            )  # limits and redraws shift it a little
            assert 0.75 < drawn.std() / spread < 1.2
    kinds = [draw_case(11, k).pathology for k in range(400)]
    assert 0.72 < kinds.count("normal") / 400 < 0.88 and set(kinds) == set(PATHOLOGIES)


def test_labels_nest_and_the_right_ventricle_lies_on_the_septum():
    heart = KINDS["normal"].heart(0)
    cross = ndimage.generate_binary_structure(2, 1)
    for position in heart.slice_positions()[2:6]:
        for tissues in slice_labels(heart, np.array([0, 0.3, 0.6]), n=90, position=position)[:, 0]:
            frame = CLASSES[tissues]
            around = frame[ndimage.binary_dilation(frame == LV, cross) & (frame != LV)]
            assert (around == MYO).all()  # the cavity touches nothing else
            for name in (LV, MYO, RV):
                assert ndimage.label(frame == name)[1] == 1
            contact = ndimage.binary_dilation(frame == RV, cross) & (frame == MYO)
            assert contact.sum() > 22  # more than 20 mm of septum
            assert not (ndimage.binary_dilation(frame == RV, cross) & (frame == LV)).any()


def test_the_base_descends_and_the_apex_stays():
    heart = KINDS["normal"].heart(4)
    z = np.arange(heart.slice_positions()[-1] - 12e-3, heart.slice_positions()[0] + 15e-3, 0.5e-3)
    cx, cy = heart._centre[:2] * 1e-3
    side = np.arange(-60e-3, 60e-3, 4e-3)
    frames = heart.labels(np.array([0, heart.end_systole]), side + cx, side + cy, z) == MYOCARDIUM
    ends = [z[f.any(axis=(1, 2))][[0, -1]] for f in frames]
    assert ends[0][0] == pytest.approx(ends[1][0], abs=1.5e-3)
    tilt = 0.012  # the oblique base dips at its rim, which narrows
    assert ends[0][1] - ends[1][1] == pytest.approx(heart.case.mapse, abs=1.5e-3 + tilt * 0.1)


def test_the_beat_is_continuous_and_periodic():
    heart = KINDS["normal"].heart(1)
    frames = CLASSES[slice_labels(heart, np.append(heart.frames(50), 1.0), n=64)]
    assert np.array_equal(frames[0], frames[-1])
    changed = (frames[1:] != frames[:-1]).mean(axis=(1, 2, 3)) * frames[0].size
    edge = sum((np.abs(np.diff(frames[0, 0].astype(int), axis=a)) > 0).sum() for a in (0, 1))
    assert changed.max() < 3 * edge  # no border moves further than 2.7 mm in 2 % of a beat
    assert changed[4:14].min() > 0  # and all of systole moves


def test_finer_spins_show_the_same_heart_and_partial_volume():
    heart = KINDS["normal"].heart(3)
    coarse = CLASSES[slice_labels(heart, 0.2, n=60, cuts=1)[0]]
    fine = CLASSES[slice_labels(heart, 0.2, n=60, cuts=5)]
    centres = fine[0, 2::5, 2::5]
    assert np.array_equal(centres, coarse)  # a label is a property of the point
    shares = (fine[0].reshape(60, 5, 60, 5) == LV).mean(axis=(1, 3))
    mixed = (shares > 0) & (shares < 1)
    assert mixed.sum() > 50  # the border runs through pixels
    area = [(c == LV).sum() * (1.8 / k) ** 2 for c, k in ((coarse, 1), (fine, 5))]
    assert area[0] == pytest.approx(area[1], rel=0.02)


def test_pixel_oracle_is_the_majority_with_the_tie_order():
    labels = np.array([[[LV_BLOOD, MYOCARDIUM, FAT, FAT], [PAPILLARY, MYOCARDIUM, FAT, LV_BLOOD]]], np.uint8)
    assert pixel_oracle(labels, (1, 2, 2)).tolist() == [[[MYO, 0]]]
    assert pixel_oracle(np.stack([labels, labels]), (1, 1, 1))[1].tolist() == [CLASSES[labels[0]].tolist()]
    with pytest.raises(ValueError, match=r"labels must be whole pixels"):
        pixel_oracle(labels, (1, 2, 3))


def test_the_papillary_muscles_are_two_in_the_cavity_and_count_as_blood():
    heart = KINDS["normal"].heart(6)
    frame = slice_labels(heart, 0.0, n=64, cuts=4)[0]
    inner = ndimage.binary_erosion(
        CLASSES[frame] == LV, iterations=8
    )  # 3.6 mm from the wall: past the trabeculae
    parts, n = ndimage.label((frame == PAPILLARY) & inner)
    sizes = np.bincount(parts.ravel())[1:]
    assert (sizes * 0.45**2 > 5).sum() == 2 and n < 6  # [mm2]
    assert CARDIAC_ORACLE.of_tissue[PAPILLARY] == LV


def test_the_heart_twists_like_a_towel():
    v = Ventricles(draw_case(0, 0, pathology="normal"))
    base, apex = v.twist(np.array([-v.descent(1.0), -v.length]), 1.0)
    assert base < 0 < apex and apex == pytest.approx(v.case.apex_twist)
    assert (v.twist(np.array([0.0, -v.length]), 0.0) == 0).all()


def test_the_apex_turns_anticlockwise_in_the_picture():
    plain = draw_case(0, 0, pathology="normal")
    case = replace(plain, apex_twist=0.4, base_twist=0.0, tilt=(0.0, 0.0), roll=0.0)
    heart = Heart(case)
    v, side = heart.ventricles, np.arange(-30, 30, 0.5) * 1e-3
    cx, cy, cz = heart._centre * 1e-3
    angles = []
    for phase in (0.0, heart.end_systole):
        down = v.descent(float(heart.contraction(phase)))
        z = cz + (v.length / 2 - down - 0.6 * (v.length - down)) * 1e-3
        frame = heart.labels(phase, side + cx, side + cy, z)[0]
        muscle = ndimage.binary_erosion(frame == PAPILLARY, iterations=2)  # no trabeculae
        up = side[np.nonzero(muscle)[0]] > 3e-3  # the anterolateral one
        y, x = (side[i][up] for i in np.nonzero(muscle))
        angles.append(np.arctan2(y.mean(), -x.mean()))  # x points to the left of the picture
    assert angles[1] - angles[0] == pytest.approx(0.6 * 0.4, abs=0.08)


def test_breathing_moves_the_heart_along_the_body():
    heart = KINDS["normal"].heart(2)
    up = 6e-3
    z = heart.slice_positions()[heart.mid_slice]
    side = np.arange(-60, 60) * 1e-3
    still = CLASSES[heart.labels(0.0, side, side, z)]
    shift = heart.b0_direction * up
    moved = CLASSES[heart.labels(0.0, side + shift[0], side + shift[1], z + shift[2], breath=up)]
    assert (still == moved).all()
    assert (CLASSES[heart.labels(0.0, side, side, z, breath=up)] != still).any()


def test_the_lattice_frame_is_a_rotation_with_the_apex_left_front_and_below():
    heart = KINDS["normal"].heart(0)
    assert heart.axes @ heart.axes.T == pytest.approx(np.eye(3), abs=1e-12)
    assert np.linalg.det(heart.axes) == pytest.approx(1)
    to_apex = -heart.axes[2]  # right, anterior, superior
    assert to_apex[0] < 0 < to_apex[1] and to_apex[2] < 0
    assert heart.b0_direction == pytest.approx(heart.axes @ [0, 0, 1])


def test_a_slice_of_the_body_holds_what_a_reader_expects():
    table = tissue_table("cardiac-1.5T")
    names = [t.name for t in table.tissues]
    heart = Cardiac(seed=0).heart(0)
    x, y = (np.arange(-n, n) * 1.8e-3 for n in (93, 104))
    frame = heart.labels(0.0, x, y, heart.slice_positions())
    seen = {names[k] for k in np.unique(frame)}
    assert seen >= set(names) - {"stomach content", "spleen", "glandular tissue"}
    mid = frame[heart.mid_slice]
    assert 0.1 < (mid == LUNG).mean() < 0.5 and 0.03 < (mid == FAT).mean() < 0.4
    assert (mid[:, 0] == 0).all() and (mid[:, -1] == 0).all()  # chest wall and back lie in the field of view
    liver = np.argwhere(mid == names.index("liver"))
    cavity = np.argwhere(CLASSES[mid] == LV)
    right = np.argwhere(CLASSES[mid] == RV)
    assert liver[:, 0].mean() < cavity[:, 0].min()  # below the heart
    assert right[:, 1].mean() > cavity[:, 1].mean()  # on the left of the picture, x to the left


def test_no_subject_reaches_out_of_the_field_of_view_or_its_chest():
    x, y = (np.arange(-n, n) * 3.6e-3 for n in (47, 52))
    for k in range(12):
        heart = Cardiac(seed=21).heart(k)
        z = heart.slice_positions()
        frame = heart.labels(0.0, x, y, z[[0, heart.mid_slice, -1]])
        assert (frame[:, :, 0] == 0).mean() > 0.97 and (frame[:, :, -1] == 0).mean() > 0.97
        assert (CLASSES[frame] > 0).any(axis=(1, 2))[:2].all()
        assert 7 <= z.size <= 14


def test_the_phantom_is_end_diastole_on_the_field_of_view():
    source = phantom_source("cardiac", spacing=3e-3, layer=8e-3)
    assert source.name == "cardiac" and source.subjects() == tuple(range(20))
    phantom = source.load(2)
    case = source.case(2)
    assert phantom.oracle is CARDIAC_ORACLE and phantom.tissues.name == "cardiac-1.5T"
    count = (CLASSES[phantom.labels] == LV).sum() * phantom.spacing.prod()
    assert count == pytest.approx(case.edv, rel=0.04)  # 3 x 3 x 8 mm voxels
    assert (
        CLASSES[source.load(2, phase=source.heart(2).end_systole).labels] == LV
    ).sum() * phantom.spacing.prod() == (pytest.approx(case.esv, rel=0.08))


@pytest.mark.parametrize("field_strength", [1.5, 3.0])
def test_the_table_of_tissues_matches_the_classes(field_strength):
    from pathlib import Path

    import phantoms
    from phantoms.table_file import read_table

    name = f"cardiac-{field_strength:g}T"
    file = read_table(Path(phantoms.__file__).parent / "tables" / f"{name}.toml")
    source = Cardiac(field_strength=field_strength, spacing=9e-3, layer=9e-3)
    assert source.load(0).tissues == file.table == tissue_table(name)
    assert file.table.field_strength == field_strength
    assert file.oracle.of_tissue == CARDIAC_ORACLE.of_tissue and file.oracle.names == CARDIAC_ORACLE.names
    assert file.oracle.priority == CARDIAC_ORACLE.priority
    names = [t.name for t in file.table.tissues]
    assert names[LV_BLOOD] == "LV blood" and names[MYOCARDIUM] == "myocardium" and names[LUNG] == "lung"
    assert all(t.source for t in file.table.tissues)


def test_a_subject_is_the_same_in_any_process_and_differs_from_others():
    def digest(heart):
        return hashlib.sha256(slice_labels(heart, np.array([0.0, 0.4]), n=40).tobytes()).hexdigest()

    code = (
        "import sys, hashlib, numpy as np; sys.path.insert(0, 'tests/phantoms');"
        "from test_cardiac import slice_labels; from phantoms.cardiac import Cardiac;"
        "h = Cardiac(seed=9, n_subjects=4).heart(3);"
        "print(hashlib.sha256(slice_labels(h, np.array([0.0, 0.4]), n=40).tobytes()).hexdigest())"
    )
    out = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env={**os.environ}
    )
    assert out.stdout.strip() == digest(Cardiac(seed=9).heart(3))
    others = [(9, 2), (8, 3)]
    assert len({digest(Cardiac(seed=s).heart(k)) for s, k in [(9, 3), *others]}) == 3
    a, b = (asdict(draw_case(s, k)) for s, k in others)
    assert sum(a[key] != b[key] for key in a) > 25


def test_a_forced_pathology_keeps_the_other_draws():
    normal, thick = (draw_case(4, 7, pathology=p) for p in ("normal", "hypertrophic"))
    assert (normal.sex, normal.heart_rate, normal.tilt) == (thick.sex, thick.heart_rate, thick.tilt)
    assert thick.mass > normal.mass and thick.septal_share > normal.septal_share


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"seed": -1}, "seed must lie in"),
        ({"spacing": 1.0}, r"spacing must lie in .* m"),
        ({"layer": 0.0}, r"layer must lie in .* m"),
        ({"field_strength": 7.0}, "field_strength must be 1.5 or 3 T, got 7.0 T"),
        ({"n_subjects": 0}, "n_subjects must be at least 1"),
        ({"pathology": "dilatd"}, r"did you mean 'dilated'\?"),
    ],
)
def test_bad_parameters_are_refused(options, sentence):
    with pytest.raises(ValueError, match=sentence):
        Cardiac(**options)


def test_bad_subjects_and_cycles_are_refused():
    with pytest.raises(ValueError, match="subject must lie in 0 to 19, got 20"):
        Cardiac().load(20)
    with pytest.raises(ValueError, match=r"rr must lie in .* got 3 s"):
        Cycle(rr=3)
    with pytest.raises(ValueError, match="kick and diastasis must be shares"):
        Cycle(rr=1, kick=0.95)


def test_simulate_scans_the_heart_with_its_own_tissues(monkeypatch):
    from mrsim.scanner.setup import Setup

    monkeypatch.setattr("phantoms.cardiac.source.FOV", (0.06, 0.06))
    phantom = Setup(phantom="cardiac", subject=3, seed=7, field_strength=3.0).load()
    assert phantom.tissues.name == "cardiac-3T" and phantom.subject == "3"
    own = Cardiac(seed=7).heart(3)
    middle = own.labels(0.0, 0.0, 0.0, phantom.affine[2, 3] + 30 * phantom.spacing[2])
    ny, nx = phantom.labels.shape[1:]
    assert phantom.affine[:2, 3] == pytest.approx(-0.45e-3 * np.array([nx - 1, ny - 1]), abs=1e-9)
    assert middle[0, 0, 0] in phantom.labels[30, ny // 2 - 1 : ny // 2 + 1, nx // 2 - 1 : nx // 2 + 1]
    with pytest.raises(ValueError, match="whose slices lie oblique to the field"):
        Setup(phantom="cardiac", b0="susceptibility")
