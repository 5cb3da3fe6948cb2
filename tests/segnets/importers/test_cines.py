"""Cines of UK Biobank and ACDC, from generated look-alikes of their folders."""

import nibabel
import numpy as np
import pytest
from click.testing import CliRunner

from cli.describe import store_text
from cli.segnets_import import import_data
from mrsim.slices.plane import upright
from mrsim.store import open_store
from segnets.cardiac.hearts import slice_pitch
from segnets.importers import acdc, ukb
from segnets.importers.cine import CineOptions
from segnets.importers.resample import fourier_weights, linear_weights
from segnets.importers.volumes import ImportProblem

STEP = 1.8  # [mm]
OBLIQUE = np.array(
    [[0.8, 0.36, 0.48], [0.6, -0.48, -0.64], [0, 0.8, -0.6]]
)  # orthonormal: no axis of the body is one of these


def heart(shape=(32, 36, 4, 6), scale=1.0):
    """(X, Y, slice, frame) labels 1 LV, 2 myocardium, 3 RV at its left; smallest in frame 3."""
    nx, ny, nz, nt = shape
    x, y = np.arange(nx)[:, None, None, None], np.arange(ny)[:, None, None]
    z, t = np.arange(nz)[:, None], np.arange(nt)
    beat = 1 - 0.35 * np.sin(np.pi * t / nt)
    cavity = scale * (4.5 - 0.5 * z) * beat
    r = np.hypot(x - 0.6 * nx, y - 0.45 * ny)
    labels = np.where(r < cavity, 1, np.where(r < cavity + 2.6 * scale, 2, 0))
    right = np.hypot(x - 0.6 * nx + 7 * scale, y - 0.45 * ny - 1) < cavity + 1
    return np.where((labels == 0) & right, 3, labels).astype(np.uint8)


def picture(labels, rng):
    """Bright blood, dark muscle, a body with a bright spot at the upper left, noise."""
    image = np.array([300.0, 900, 400, 850])[labels] + rng.uniform(0, 50, labels.shape)
    image[3:6, 2:4] = 1500
    return np.rint(image).astype(np.int16)


def save(path, values, step=STEP, interval=0.0316, pitch=10.0):
    affine = np.eye(4)
    affine[:3, :3] = OBLIQUE * (step, step, pitch)
    affine[:3, 3] = 40, -30, 20
    image = nibabel.Nifti1Image(values, affine)
    image.header.set_xyzt_units("mm", "sec")
    image.header.set_zooms((step, step, pitch, interval)[: values.ndim])
    path.parent.mkdir(parents=True, exist_ok=True)
    nibabel.save(image, path)
    return affine


@pytest.fixture(scope="module")
def biobank(tmp_path_factory):
    """Five subjects of other matrices and numbers of slices: labels of all frames, and of two."""
    home, rng, truth = tmp_path_factory.mktemp("ukb"), np.random.default_rng(0), {}
    for i in range(5):
        folder = home / str(1000 + i)
        labels = heart((32 - 2 * i, 36 + i, 4 - i % 2, 6))
        image = picture(labels, rng)
        affine = save(folder / "sa.nii.gz", image)
        save(folder / "seg_sa.nii.gz", labels)
        drawn = np.zeros_like(labels)
        drawn[..., [0, 3]] = labels[..., [0, 3]]
        save(folder / "label_sa.nii.gz", drawn)
        truth[1000 + i] = (image, labels, affine)
    (home / "notes").mkdir()
    return home, truth


def read_upright(case, frame, size):
    """What a reader sees of the labels and of the magnitude: the window of a smaller image, rows down."""
    columns, rows = size
    picture = [upright(a[frame], "axial") for a in (case.labels, np.abs(case.image))]
    top, left = (
        # pixel n // 2 of the small image, counted from the other end, lies on that of the large one
        (n - 1 - n // 2) - (m - 1 - m // 2)
        for n, m in zip(picture[0].shape, (rows, columns), strict=True)
    )
    return [p[top : top + rows, left : left + columns] for p in picture]


def test_ukb_cines_keep_their_labels_their_orientation_and_their_places(biobank, tmp_path):
    home, truth = biobank
    store = ukb.import_ukb(home, tmp_path / "ukb.zarr", CineOptions(test=0.4))
    assert (store.n_subjects, store.slices_per_subject, store.n_frames) == (5, 4, 6)
    assert store.shape == (32, 40) and store.pixel_spacing == pytest.approx((1.8e-3, 1.8e-3))
    assert store.class_names == ("background", "LV", "myocardium", "RV")
    for index in range(store.n_cases):
        case = store.case(index)
        image, labels, affine = truth[case.subject]
        k = index % 4
        if k >= labels.shape[2]:
            assert store.coords["split"][index] == 255 and not case.labels.any() and not case.kspace.any()
            continue
        shown, seen = read_upright(case, 3, labels.shape[:2])
        np.testing.assert_array_equal(shown, labels[:, :, k, 3].T)  # X to the right, Y down
        low, high = image.min(), image.max()
        np.testing.assert_allclose(seen, (image[:, :, k, 3].T - low) / (high - low), atol=2e-6)
        assert case.labels.sum() == labels[:, :, k].sum()  # nothing outside
        y, x = np.argwhere(case.labels[3] == 1)[0]  # a pixel lies where its voxel does
        voxel = np.argwhere(labels[:, :, k, 3] == 1)
        places = np.c_[voxel, np.full(len(voxel), k), np.ones(len(voxel))] @ affine.T * 1e-3
        np.testing.assert_allclose((case.affine @ (x, y, 0, 1))[:3], places[-1, :3], atol=1e-9)
        np.testing.assert_allclose(np.linalg.norm(case.affine[:3, 2]), 0.01)
    np.testing.assert_allclose(store.coords["frame_time"][5], 0.0316 * np.arange(6), rtol=1e-5)
    tested = set(store.coords["subject"][store.indices("test")])
    assert len(tested) == 2 and not tested & set(store.coords["subject"][store.indices("train")])
    assert "discrete Fourier transform of magnitude images" in store.attrs["kspace_origin"]
    assert all(problem == "" for _, problem in store.verify())


def test_ed_es_takes_the_two_frames_with_labels_and_the_middle_slice(biobank, tmp_path):
    home, truth = biobank
    arguments = ("--labels", "ed-es", "--slices", "mid", "--matrix", "20", "--centre", "heart")
    out = tmp_path / "two.zarr"
    told = CliRunner().invoke(import_data, ["ukb", str(home), "--out", str(out), *arguments])
    assert told.exit_code == 0, told.output
    assert "4 train, 1 test slices of 20 x 20, 2 frames; background, LV" in told.stdout
    store = open_store(out)
    for case in map(store.case, range(5)):
        _, labels, _ = truth[case.subject]
        middle = labels.shape[2] // 2  # all slices show all classes
        for frame, of_file in ((0, 0), (1, 3)):
            counts = np.bincount(labels[:, :, middle, of_file].ravel(), minlength=4)[1:]
            np.testing.assert_array_equal(np.bincount(case.labels[frame].ravel(), minlength=4)[1:], counts)
        y, x = (np.flatnonzero((case.labels > 0).any(axis=(0, axis))) for axis in (2, 1))
        assert abs(y[0] + y[-1] - 20) <= 1 and abs(x[0] + x[-1] - 20) <= 1


def test_frames_are_the_nearest_ones_of_each_beat(biobank, tmp_path):
    home, truth = biobank
    image, labels, _ = truth[1000]
    longer = tmp_path / "both" / "1"
    save(longer / "sa.nii.gz", np.repeat(image, 2, axis=3))
    save(longer / "seg_sa.nii.gz", np.repeat(labels, 2, axis=3))
    (tmp_path / "both" / "0").symlink_to(home / "1000")
    with pytest.raises(ImportProblem, match="got 6 of 0 and 12 of 1: --frames N"):
        ukb.import_ukb(tmp_path / "both", tmp_path / "s.zarr")
    store = ukb.import_ukb(tmp_path / "both", tmp_path / "s.zarr", frames=3)
    np.testing.assert_array_equal(store.labels([1]), store.labels([5]))
    np.testing.assert_array_equal(upright(store.labels([1])[0, 1], "axial"), labels[:, :, 1, 2].T)


def test_every_subject_keeps_the_distance_of_its_slices(tmp_path):
    rng, labels = np.random.default_rng(5), heart()
    for name, pitch in (("1", 10.0), ("2", 8.0)):
        save(tmp_path / "in" / name / "sa.nii.gz", picture(labels, rng), pitch=pitch)
        save(tmp_path / "in" / name / "seg_sa.nii.gz", labels, pitch=pitch)
    for slices in ("all", "mid"):
        store = ukb.import_ukb(tmp_path / "in", tmp_path / f"{slices}.zarr", CineOptions(slices=slices))
        assert [slice_pitch(store, n) for n in (1, 2)] == pytest.approx([10e-3, 8e-3])


def acdc_patient(home, number, labels, rng, *, step=STEP, whole=False):
    """ED is frame 1 and ES frame 4; ACDC's numbers: 1 RV, 3 LV."""
    name = f"patient{number:03d}"
    folder = home / name
    image, theirs = picture(labels, rng), np.array([0, 3, 2, 1], np.uint8)[labels]
    save(folder / f"{name}_4d.nii.gz", image, step, interval=1.0)
    for frame in (1, 4):
        if not whole:
            save(folder / f"{name}_frame{frame:02d}.nii.gz", image[..., frame - 1], step)
        save(folder / f"{name}_frame{frame:02d}_gt.nii.gz", theirs[..., frame - 1], step)
    text = "ED: 1\nES: 4\nGroup: DCM\nHeight: 184.0\nNbFrame: 6\nWeight: 95.0\n"
    (folder / "Info.cfg").write_text(text)
    return image


def test_acdc_numbers_the_classes_its_own_way(tmp_path):
    rng, labels = np.random.default_rng(1), heart()
    first = acdc_patient(tmp_path / "database" / "training", 1, labels, rng)
    second = acdc_patient(tmp_path / "database" / "testing", 101, labels, rng, whole=True)
    store = acdc.import_acdc(tmp_path, tmp_path / "acdc.zarr")
    assert store.n_frames == 2 and np.isnan(store.coords["frame_time"]).all()
    np.testing.assert_allclose(store.coords["slice_position"], np.tile(0.01 * np.arange(4), 2), rtol=1e-6)
    assert store.coords["subject"][store.indices("test")].tolist() == [101] * 4
    assert store.coords["subject"][store.indices("train")].tolist() == [1] * 4
    for base, image in ((0, first), (4, second)):
        case, two = store.case(base + 2), image[..., [0, 3]]
        low, high = two.min(), two.max()
        for frame, of_file in ((0, 0), (1, 3)):
            np.testing.assert_array_equal(upright(case.labels[frame], "axial"), labels[:, :, 2, of_file].T)
            seen = np.abs(upright(case.image[frame], "axial"))
            np.testing.assert_allclose(seen, (image[:, :, 2, of_file].T - low) / (high - low), atol=2e-6)
    assert store.attrs["subjects"]["101"] == {"name": "patient101", "frames": [1, 4], "group": "DCM"}
    assert "TE and TR unknown" in store_text(store)


def test_other_pixels_are_resampled_and_areas_stay(tmp_path):
    """The same heart in pixels of 1.2 mm: areas in mm2 and places agree within a fraction of a pixel."""
    rng = np.random.default_rng(2)
    acdc_patient(tmp_path, 1, heart((96, 96, 3, 6), 2.0), rng)
    acdc_patient(tmp_path, 2, heart((144, 144, 3, 6), 3.0), rng, step=1.2)
    store = acdc.import_acdc(tmp_path, tmp_path / "s.zarr", CineOptions(pixel=1.8e-3, test=0))
    assert store.shape == (96, 96)
    coarse, fine = (store.labels(range(3 * i, 3 * i + 3)) for i in (0, 1))
    for c in (1, 2):
        ours, theirs = (coarse == c).sum(axis=(0, 2, 3)), (fine == c).sum(axis=(0, 2, 3))
        np.testing.assert_allclose(theirs, ours, rtol=0.12)  # slices taper by 0.5 pixels of either
    for case, n, step in ((store.case(0), 96, 1.8), (store.case(3), 144, 1.2)):
        y, x = np.argwhere(case.labels[0] == 1).mean(axis=0)
        middle = OBLIQUE @ (0.6 * n * step, 0.45 * n * step, 0) + (40, -30, 20)
        np.testing.assert_allclose(case.affine @ (x, y, 0, 1), (*1e-3 * middle, 1), atol=0.4e-3)
    spots = [np.argwhere(np.abs(store.case(i).image[0]) > 0.9).mean(axis=0) for i in (0, 3)]
    assert np.all(spots[0] > 85) and np.all(spots[1] > 85)  # the spot stays at the upper left


def test_resampling_is_exact_for_what_it_can_hold():
    n = 24
    places = 5.3 + 0.7 * np.arange(20)
    wave = lambda p: 0.4 + np.cos(2 * np.pi * 7 * p / n + 1) + np.sin(2 * np.pi * 11 * p / n)  # noqa: E731
    np.testing.assert_allclose(fourier_weights(places, n, 0.7) @ wave(np.arange(n)), wave(places), atol=1e-12)
    slow = 0.4 + np.cos(2 * np.pi * 7 * places / n + 1)  # of wider pixels the faster wave would alias
    np.testing.assert_allclose(fourier_weights(places, n, 1.3) @ wave(np.arange(n)), slow, atol=1e-12)
    np.testing.assert_allclose(linear_weights(places, n, 0.7) @ (3.0 * np.arange(n)), 3 * places, atol=1e-12)
    outside = np.array([-0.6, n - 0.4])
    assert not fourier_weights(outside, n, 1.0).any() and not linear_weights(outside, n, 1.0).any()


def test_wrong_folders_get_a_sentence_that_says_what_is_missing(biobank, tmp_path):
    home, _ = biobank
    out = tmp_path / "s.zarr"

    def refused(*arguments):
        result = CliRunner().invoke(import_data, [*map(str, arguments), "--out", str(out)])
        assert result.exit_code in (1, 2) and isinstance(result.exception, SystemExit), result.output
        assert not out.exists()
        return result.stderr.splitlines()[-1]

    assert "does not exist" in refused("ukb", tmp_path / "nowhere")
    assert "it must hold a folder for each with sa.nii.gz, or sa_ED" in refused("ukb", home / "1000")
    assert "must hold patient001 and so on, each with Info.cfg" in refused("acdc", home)
    rng, labels, mine = np.random.default_rng(3), heart(), tmp_path / "mine"
    save(mine / "7" / "sa.nii.gz", picture(labels, rng))
    assert "7 lacks seg_sa.nii.gz and label_sa.nii.gz: --labels ed-es" in refused("ukb", mine)
    assert "lacks sa_ED and sa_ES with label_sa_ED" in refused("ukb", mine, "--labels", "ed-es")
    drawn = labels.copy()
    drawn[..., 1:5] = 0
    save(mine / "7" / "label_sa.nii.gz", drawn)
    assert "label_sa.nii.gz has labels in 2 of 6 frames: --labels ed-es" in refused("ukb", mine)
    assert "leave subjects to train on" in refused("ukb", home, "--test", 0.5, "--validation", 0.5)
    assert "pixel must be positive" in refused("ukb", mine, "--pixel", -1)
    theirs = tmp_path / "theirs"
    acdc_patient(theirs, 1, labels, rng)
    (theirs / "patient001" / "patient001_frame04_gt.nii.gz").unlink()
    assert "patient001 lacks patient001_frame04_gt" in refused("acdc", theirs)
    (theirs / "patient001" / "Info.cfg").write_text("ED: 1\nGroup: NOR\n")
    assert "Info.cfg must say ES: and the number of a frame, got none" in refused("acdc", theirs)
    (theirs / "patient001" / "Info.cfg").unlink()
    assert "patient001 lacks Info.cfg" in refused("acdc", theirs)


def test_labels_on_another_grid_or_unknown_stop_the_import(tmp_path):
    rng, labels = np.random.default_rng(4), heart()
    for name in ("a", "b"):
        save(tmp_path / "in" / name / "sa.nii.gz", picture(labels, rng))
    save(tmp_path / "in" / "a" / "seg_sa.nii.gz", labels)
    save(tmp_path / "in" / "b" / "seg_sa.nii.gz", labels[:-1])
    with pytest.raises(ImportProblem, match="grid of the image, 32 x 36 x 4 x 6, got 31 x 36 x 4 x 6"):
        ukb.import_ukb(tmp_path / "in", tmp_path / "s.zarr")
    save(tmp_path / "in" / "b" / "seg_sa.nii.gz", labels + 3 * (labels == 3).astype(np.uint8))
    with pytest.raises(ImportProblem, match="must be 0, 1, 2, 3, got 6"):
        ukb.import_ukb(tmp_path / "in", tmp_path / "s2.zarr")
    (tmp_path / "in" / "b" / "sa.nii.gz").write_bytes(b"no image")
    with pytest.raises(ImportProblem, match="cannot be read"):
        ukb.import_ukb(tmp_path / "in", tmp_path / "s3.zarr")
