"""Cines through `generate`, the real path on few pixels: answers, geometry, signal, bytes, refusals."""

import hashlib
import math

import numpy as np
import pytest

from mrsim.cine.scene import Scene, full_plane
from mrsim.cine.simulation import prepare, simulate_subject
from mrsim.cine.steady import steady_state
from mrsim.datasets.generate import draw_all, generate
from mrsim.recipes import load_recipe, recipe_for
from mrsim.recipes.sources import source_of
from mrsim.store import open_store
from phantoms.cardiac import Cardiac
from phantoms.cardiac.heart import pixel_oracle

SMALL = {"matrix": (62, 70), "fov": (0.3348, 0.378), "n_frames": 4, "spins": (2, 2, 2), "subjects": (0, 1, 3)}
# pixels of 5.4 mm, three times those of UK Biobank


def small(name="cardiac-cine", **changes):
    options = {**SMALL, **({"slices": "2"} if name == "cardiac-cine" else {"crop": (30, 32)}), **changes}
    return load_recipe(name, **options)


@pytest.fixture(scope="module")
def stack(tmp_path_factory):
    path = tmp_path_factory.mktemp("cine") / "stack.zarr"
    return generate(small(slices="11", subjects=(3,), n_frames=2, soft_labels=True, b0="off"), path)


@pytest.fixture(scope="module")
def crops(tmp_path_factory):
    path = tmp_path_factory.mktemp("cine") / "crops.zarr"
    return generate(small("cardiac-cine-80", coils=2), path)


def tree(path):
    files = (p for p in path.rglob("*") if p.is_file())
    return {p.relative_to(path).as_posix(): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}


def test_a_store_of_cines_holds_what_was_drawn(crops):
    assert (crops.n_frames, crops.n_coils, crops.shape) == (4, 2, (30, 32))
    assert crops.maps == ("kspace", "labels", "tissue", "affine", "b0", "csm")
    assert crops.pixel_spacing == pytest.approx((5.4e-3, 5.4e-3))
    assert not [problem for _, problem in crops.verify() if problem]
    assert crops.coords["split"].tolist() == [0, 1, 2]
    for i, subject in enumerate(SMALL["subjects"]):
        case = Cardiac(n_subjects=4).case(subject)
        assert crops.coords["rr"][i] == pytest.approx(case.rr)
        assert crops.coords["frame_time"][i] == pytest.approx(case.rr * np.arange(4) / 4)
        drawn = [crops.coords[k][i] for k in ("lv_edv", "lv_esv", "rv_edv", "rv_esv", "lv_mass")]
        assert drawn == pytest.approx([case.edv, case.esv, case.rv_edv, case.rv_esv, case.mass])


def test_labels_are_counted_in_the_phantom(crops):
    recipe, case = small("cardiac-cine-80"), crops.case(2)
    heart = Cardiac(n_subjects=4).heart(3)
    first, step = case.affine[:2, 3], 5.4e-3
    x = first[0] + step * (np.arange(60) / 2 - 0.25)  # two spins to a pixel, along image y
    y = first[1] + step * (np.arange(64) / 2 - 0.25)
    position = case.coords["slice_position"]
    assert position == pytest.approx(heart.slice_positions()[heart.mid_slice])
    z = position + np.array([-0.25, 0.25]) * recipe.sequence.thickness
    labels = heart.labels(heart.frames(4), x, y, z)
    assert np.array_equal(case.labels, pixel_oracle(labels, (2, 2, 2))[:, 0].transpose(0, 2, 1))
    assert np.array_equal(labels.max(axis=(0, 1)) > 0, np.ones((64, 60), bool))


def test_volumes_of_a_stack_are_those_of_the_heart(stack):
    labels = stack.labels(np.arange(stack.n_cases))  # (slice, frame, y, x)
    counted = (labels[:, 0] == 1).sum() * 5.4e-3**2 * 10e-3
    assert counted == pytest.approx(stack.coords["lv_edv"][0], rel=0.08)  # slices of 8 mm with gaps of 2 mm
    assert stack.coords["slice_position"].tolist() == sorted(stack.coords["slice_position"], reverse=True)
    assert -np.diff(stack.coords["slice_position"]) == pytest.approx(10e-3)
    soft = stack.case(5).fractions.astype(int)  # (frame, class, y, x)
    assert (soft.sum(axis=1) == 255).all()
    certain = soft.max(axis=1) > 128
    assert np.array_equal(soft.argmax(axis=1)[certain], stack.case(5).labels[certain])


def test_blood_has_the_signal_of_its_steady_state(stack):
    case = stack.case(5)
    tissue = {name: stack.coords[name][5][1] for name in ("pd", "t1", "t2")}
    signal = steady_state(
        tissue["t1"], tissue["t2"], 0.0, te=case.te, tr=case.tr, flip=math.radians(80), phase_step=math.pi
    )
    soft, image = case.fractions, case.image
    pure = (case.tissue == 1) & (soft[:, 1] == 255)
    assert np.median(image[pure].real) == pytest.approx(tissue["pd"] * signal.real, rel=0.02)
    assert abs(np.median(image[pure].imag)) < 0.01 * signal.real


def test_a_crop_is_cut_from_the_image_of_the_full_field_of_view(crops, tmp_path):
    whole = generate(small("cardiac-cine-80", crop=(), coils=2), tmp_path / "whole.zarr").case(1)
    part = crops.case(1)
    step = np.rint((part.affine[:2, 3] - whole.affine[:2, 3]) / 5.4e-3).astype(int)  # along y, x
    inside = (slice(step[0], step[0] + 30), slice(step[1], step[1] + 32))
    assert np.array_equal(part.labels, whole.labels[:, *inside])
    assert part.b0 == pytest.approx(whole.b0[inside], abs=1e-3)
    scale = np.abs(part.image).max()
    assert np.abs(part.image - whole.image[:, *inside]).max() < 1e-5 * scale
    assert set(np.unique(part.labels)) == {0, 1, 2, 3}
    assert (whole.labels > 0).sum() == (part.labels > 0).sum()  # all of the heart is in it


def test_the_gated_mode_is_near_the_ideal_one(crops, tmp_path):
    gated = generate(small("cardiac-cine-80", coils=2, mode="gated", subjects=(0,)), tmp_path / "gated.zarr")
    ideal, other = crops.kspace([0])[0], gated.kspace([0])[0]
    assert np.linalg.norm(other - ideal) < 0.15 * np.linalg.norm(ideal)
    assert not np.array_equal(other, ideal)
    assert np.array_equal(gated.labels([0]), crops.labels([0]))


def test_nothing_moves_outside_of_the_moving_box():
    for subject in (1, 12):
        heart = Cardiac().heart(subject)
        for place in (0.0, heart.mid_slice, len(heart.slice_positions()) - 1):
            z = heart.slice_positions()[int(place)]
            plane = full_plane(float(z), (0.3366, 0.3744), (93, 104), 8e-3)
            scene = Scene(heart=heart, plane=plane, cuts=(1, 1, 1), phases=heart.frames(50), breath=9e-3)
            labels = scene.labels(heart.frames(17), scene.whole)
            still = np.ones(labels.shape[2:], bool)
            still[scene.spins(scene.moving)] = False
            assert (labels[:, :, still] == scene.at_rest[:, still]).all()
            if place == heart.mid_slice:
                assert still.mean() > 0.5


def test_bytes_depend_neither_on_workers_nor_on_interruptions(tmp_path):
    recipe = small(b0_drift=3.0, inflow=0.1, noise=0.05, subjects=(0, 1), n_frames=2)
    here = generate(recipe, tmp_path / "here.zarr")
    generate(recipe, tmp_path / "there.zarr", workers=2)
    assert tree(tmp_path / "here.zarr") == tree(tmp_path / "there.zarr")
    stopped = tmp_path / "stopped.zarr"

    class StopError(Exception):
        pass

    def after_one(done, _total):
        if done == 2:  # the first subject
            raise StopError

    with pytest.raises(StopError):
        generate(recipe, stopped, progress=after_one)
    assert not open_store(stopped, incomplete=True).complete
    generate(recipe, stopped)
    assert tree(stopped) == tree(tmp_path / "here.zarr")
    assert np.isfinite(here.kspace([0, 3])).all()


@pytest.mark.parametrize("change", [{"b0_drift": 20.0}, {"mode": "gated", "rr_variation": 0.1}])
def test_a_subject_is_the_same_alone_and_among_others(change):
    def subject(number, subjects):
        recipe = small(subjects=subjects, n_frames=2, b0="off", **change)
        source = source_of(recipe)
        draw = draw_all(recipe, source)[subjects.index(number)]
        return simulate_subject(recipe, draw, prepare(recipe, source, draw))["kspace"]

    alone, among = subject(3, (3,)), subject(3, (0, 3))
    assert np.array_equal(alone, among)
    assert not np.array_equal(alone[0], alone[1])


@pytest.mark.parametrize("change", [{"b0_drift": 50.0}, {"inflow": 0.1}, {"breathing": 2.0}])
def test_options_change_what_they_name(crops, tmp_path, change):
    changed = generate(small("cardiac-cine-80", coils=2, subjects=(3,), **change), tmp_path / "changed.zarr")
    before, after = crops.case(2), changed.case(0)
    same = np.array_equal(before.labels, after.labels)
    assert same == ("breathing" not in change)
    if "b0_drift" in change:
        away = np.abs(np.angle((after.image * before.image.conj()).sum(axis=(1, 2))))
        assert away.std() > 0.01  # a shift of the field turns the phase of a frame
    if "inflow" in change:
        ratio = np.abs(after.image / before.image)
        blood = [float(np.median(ratio[f][before.labels[f] == 1])) for f in range(4)]
        assert blood[0] == pytest.approx(1, abs=0.001)  # nothing moves at the R wave
        assert 1.02 < max(blood) < 1.1


def test_the_shipped_recipes_are_those_of_the_papers():
    stack, cut = load_recipe("cardiac-cine"), load_recipe("cardiac-cine-80")
    for recipe in (stack, cut):
        assert recipe.sequence.matrix == (187, 208)  # phase encode across the chest
        assert recipe.sequence.pixel == pytest.approx((1.8e-3, 1.8e-3))
        assert (recipe.sequence.tr, recipe.sequence.te) == (2.6e-3, 1.1e-3)
        assert math.degrees(recipe.sequence.flip) == pytest.approx(80)
        assert recipe.cine.n_frames == 50
    assert (stack.cine.pitch, stack.cine.crop, len(stack.slices.numbers)) == (10e-3, (), 11)
    assert (cut.cine.crop, len(cut.slices.numbers)) == ((80, 80), 1)
    split = cut.split
    assert (len(cut.phantom.subjects), len(split.validation), len(split.test)) == (1200, 100, 100)
    assert recipe_for("cardiac") == "cardiac-cine-80"
    assert load_recipe("synthetic-se").cine is None


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"sequence": "spin-echo"}, "sequence must be bssfp for a cine, got 'spin-echo'"),
        ({"orientation": "sagittal"}, "orientation must not be given for a cine"),
        ({"phantom": "synthetic"}, "phantom must be cardiac for a cine, got 'synthetic'"),
        ({"rf": "shaped", "te": 1.3e-3, "tr": 4e-3}, "te must be at least"),
        ({"engine": "isochromat"}, "engine must be auto for a cine"),
        ({"device": "cuda"}, "engine must be auto for a cine"),
        ({"slices": "0:57"}, "slices must be mid or a count of 1 to 16 for a cine, got '0:57'"),
        ({"crop": (200, 80)}, "crop must fit into the matrix along y, 187 pixels, got 200"),
        ({"mode": "real"}, "mode must be one of ideal, gated, got 'real'"),
        ({"n_frames": 0}, "n_frames must be 1 to 1000, got 0"),
        ({"field_strength": 7.0}, "field_strength must be 1.5 or 3 T for cardiac, got 7 T"),
        ({"tissues": "brainweb-1.5T"}, "tissues must be those of the field strength"),
        ({"rr_variation": 0.1}, "rr_variation must be 0 in the ideal mode, got 0.1"),
        ({"mode": "gated", "b0_drift": 1.0}, "b0_drift must be 0 in the gated mode, got 1.0 Hz"),
        (
            {"noise": 0.1, "noise_reference": "LV", "slices": "11", "crop": ()},
            "noise_reference must be one of",
        ),
        ({"noise": 0.1, "noise_reference": "parenchyma"}, "noise_reference must be one of kspace_rms"),
        ({"classes": "head"}, "classes must be those of the table for the phantom cardiac, got 'head'"),
        ({"positions": (0.0,)}, "positions must not be given for a cine"),
        (
            {"fov": (0.3, 0.3744), "te": 1.3e-3},
            "fov must cover the body along y, up to 336.6 mm wide, for a cine",
        ),
        ({"mode": "gated", "segment": 150}, "segment must last at most 170 ms, half of the shortest beat"),
        ({"preparation": "half-alpha"}, "preparation must be steady-state for a cine of mode ideal"),
    ],
)
def test_what_a_cine_cannot_be_is_one_sentence(change, words):
    with pytest.raises(ValueError, match=r"^[^\n]*$") as error:
        load_recipe("cardiac-cine-80", **change)
    assert words in str(error.value)


def test_neighbouring_slices_of_a_heart_stay_together():
    with pytest.raises(ValueError, match="split must be by subject for a cine"):
        load_recipe("cardiac-cine", split="slice")


def test_still_pictures_of_the_heart_are_refused():
    with pytest.raises(ValueError, match="phantom cardiac must be scanned as a cine"):
        load_recipe("synthetic-se", phantom="cardiac")
