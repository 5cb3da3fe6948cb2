"""Public data sets, from generated look-alikes of their folders."""

import nibabel
import numpy as np
import pytest
from click.testing import CliRunner

from cli.segnets import main
from segnets.config import TrainConfig
from segnets.evaluate import EvaluateConfig, evaluate
from segnets.importers import brainweb_normal, hvsmr, mrbrains
from segnets.importers.volumes import ImportProblem, read_volume
from segnets.train import train

STEPS = (0.958, 0.958, 3.0)  # [mm]


def save(path, values, steps=STEPS, flip=False):
    """A NIfTI file; `flip` stores the first axis from left to right as radiologists do (LAS)."""
    affine = np.diag([*steps, 1.0])
    affine[:3, 3] = (-10, -20, -30)
    if flip:
        affine[0, 3] += (values.shape[0] - 1) * steps[0]
        affine[0, 0] *= -1
        values = values[::-1]
    nibabel.save(nibabel.Nifti1Image(values, affine), path)


def blobs(rng, shape, n_labels):
    """Every label, in a corner-free arrangement that no mirror image equals."""
    labels = rng.integers(0, n_labels, shape).astype(np.uint8)
    labels[: shape[0] // 3] = 0
    return labels


def image_of(store, case, contrast=0):
    kspace = np.atleast_3d(store.kspace([case])[0].reshape(-1, *store.shape))[contrast]
    axes = (-2, -1)
    return np.fft.fftshift(np.fft.ifft2(np.fft.ifftshift(kspace, axes), norm="ortho"), axes)


@pytest.fixture(scope="module")
def brains(tmp_path_factory):
    """Five patients of (24, 24, 6) voxels, the second stored left to right; T1_1mm has another size."""
    home, rng, truth = tmp_path_factory.mktemp("mrbrains"), np.random.default_rng(0), {}
    for patient in range(1, 6):
        folder = home / "TrainingData" / str(patient)
        folder.mkdir(parents=True)
        labels = blobs(rng, (24, 24, 6), 9)
        images = {name: rng.random((24, 24, 6)).astype(np.float32) * 900 for name in mrbrains.CONTRASTS}
        testing = np.array([0, 2, 2, 3, 3, 1, 1, 0, 0], np.uint8)[labels]
        for name, values in {**images, "LabelsForTraining": labels, "LabelsForTesting": testing}.items():
            save(folder / f"{name}.nii", values, flip=patient == 2)
        save(folder / "T1_1mm.nii", np.zeros((30, 30, 20), np.float32), (1, 1, 1))
        truth[patient] = (images, labels)
    return home, truth


def test_mrbrains_becomes_semunets_eight_classes(brains, tmp_path):
    home, truth = brains
    store = mrbrains.import_mrbrains(home, tmp_path / "regions.zarr")
    assert store.n_cases == 30 and store.shape == (24, 24) and store.contrasts == mrbrains.CONTRASTS
    assert store.class_names == mrbrains.REGIONS
    assert store.pixel_spacing == pytest.approx((0.958e-3, 0.958e-3))
    assert set(store.coords["subject"][store.indices("test")]) == {5} and store.indices("test").size == 6
    assert set(store.coords["subject"][store.indices("train")]) == {1, 2, 3, 4}
    semunet = np.array([0, 1, 2, 3, 3, 4, 5, 6, 7])
    for case in (0, 8, 29):  # case 8 is of the patient that is stored left to right
        subject, k = int(store.coords["subject"][case]), int(store.coords["slice"][case])
        images, labels = truth[subject]
        np.testing.assert_array_equal(store.labels([case])[0], semunet[labels[:, :, k]])
        for c, name in enumerate(mrbrains.CONTRASTS):
            low, high = images[name].min(), images[name].max()
            expected = (images[name][:, :, k] - low) / (high - low)
            np.testing.assert_allclose(image_of(store, case, c), expected, atol=2e-6)
        affine = store.read("affine", [case])[0]
        np.testing.assert_allclose(affine @ (0, 0, 0, 1), (-0.010, -0.020, -0.030 + 0.003 * k, 1), atol=1e-9)
        np.testing.assert_allclose((affine @ (1, 2, 0, 0))[:3], (2 * 0.958e-3, 0.958e-3, 0), atol=1e-9)
    assert "discrete Fourier transform of magnitude images" in store.attrs["kspace_origin"]
    assert all(problem == "" for _, problem in store.verify())


def test_mrbrains_tissues_are_stripped(brains, tmp_path):
    home, truth = brains
    store = mrbrains.import_mrbrains(home, tmp_path / "tissues.zarr", labels="tissues", test=(2, 3))
    assert store.class_names == ("background", "CSF", "GM", "WM")
    assert set(store.coords["subject"][store.indices("test")]) == {2, 3}
    image, labels = image_of(store, 13), store.labels([13])[0]
    assert np.abs(image[labels == 0]).max() < 1e-6 < np.abs(image[labels > 0]).mean()
    steps = 255 * image.real
    np.testing.assert_allclose(steps, np.rint(steps), atol=1e-3)
    np.testing.assert_array_equal(labels > 0, np.isin(truth[3][1][:, :, 1], (1, 2, 3, 4, 5, 6)))


def test_an_imported_store_trains_and_evaluates(brains, tmp_path):
    home, _ = brains
    told = CliRunner().invoke(
        main, ["import", "mrbrains", str(home), "--out", str(tmp_path / "s.zarr"), "--test", "4"]
    )
    assert told.exit_code == 0, told.output
    assert "24 train, 6 test slices of 24 x 24, T1, T1_IR, T2_FLAIR; background, cortical GM" in told.stdout
    config = TrainConfig.for_model(
        "semunet",
        data=str(tmp_path / "s.zarr"),
        contrast=("T1",),
        options={"width": 2},
        epochs=2,
        out=str(tmp_path / "run"),
    )
    result = evaluate(train(config, quiet=True), EvaluateConfig())
    assert len(result.cases) == 6 and result.makes_image and result.config.rate == 0.1


@pytest.fixture(scope="module")
def hearts(tmp_path_factory):
    """Ten hearts of 44 to 53 voxels along every axis, each of another size."""
    home, rng, truth = tmp_path_factory.mktemp("hvsmr"), np.random.default_rng(1), []
    for patient in range(10):
        shape = (44 + patient, 50, 46)
        labels = blobs(rng, shape, 3)
        image = rng.integers(0, 256, shape).astype(np.float32)
        image.flat[:2] = 0, 255
        name = home / f"training_axial_crop_pat{patient}"
        save(name.with_suffix(".nii.gz"), image, (0.8, 0.8, 0.8))
        save(home / f"{name.name}-label.nii.gz", labels, (0.8, 0.8, 0.8))
        truth.append((image, labels))
    return home, truth


def test_hearts_of_any_size_become_three_views_of_one_size(hearts, tmp_path):
    home, truth = hearts
    store = hvsmr.import_hvsmr(home, tmp_path / "hvsmr.zarr")
    kept = [(44 + p - 40) + 10 + 6 for p in range(10)]
    assert store.indices("train").size == sum(kept[:6]) and store.indices("test").size == sum(kept[6:])
    assert set(store.coords["subject"][store.indices("test")]) == {6, 7, 8, 9}
    assert store.shape == (53, 50) and store.contrasts == ()
    for case in np.random.default_rng(0).choice(store.indices("test"), 6, replace=False):
        found = store.case(case)
        image, labels = truth[found.subject]
        affine = found.affine @ (0, 0, 0, 1)
        view = {"sagittal": 0, "coronal": 1, "axial": 2}[found.orientation]
        number = round((affine[view] - (-0.010, -0.020, -0.030)[view]) / 0.8e-3)
        assert 20 <= number < labels.shape[view] - 20
        expected = np.moveaxis(labels, view, 0)[number]
        shown = np.moveaxis(image, view, 0)[number] / 255
        (ny, nx), (y, x) = (
            expected.shape,
            (n // 2 - m // 2 for n, m in zip(store.shape, expected.shape, strict=True)),
        )
        np.testing.assert_array_equal(found.labels[y : y + ny, x : x + nx], expected)
        np.testing.assert_allclose(found.image[y : y + ny, x : x + nx], shown, atol=1e-5)
        assert found.labels.sum() == expected.sum()  # nothing outside
        # pixel (x, y) of the larger image lies where the voxel does
        corner = found.affine @ (x, y, 0, 1)
        voxel = [0, 0, 0]
        voxel[view] = number
        np.testing.assert_allclose(corner[:3], 0.8e-3 * np.array(voxel) - (0.010, 0.020, 0.030), atol=1e-9)
    unused = store.coords["split"] == 255
    assert unused.sum() == store.n_cases - sum(kept)
    assert not store.labels(np.flatnonzero(unused)[:3]).any()
    assert len(
        set(zip(store.coords["subject"][~unused], store.coords["slice"][~unused], strict=True))
    ) == sum(kept)
    assert any("have not the sizes" in note for note in store.attrs["notes"])


def test_brainweb_normal_is_sliced_and_split_as_crdn_does(tmp_path):
    rng, shape = np.random.default_rng(2), (62, 66, 64)  # (z, y, x)
    labels = rng.integers(0, 10, shape).astype(np.uint8)
    np.save(tmp_path / f"{brainweb_normal.LABELS}.npy", labels)
    images = {}
    for name in ("t1", "t2", "pd"):
        images[name] = rng.integers(0, 256, shape).astype(np.float32)
        images[name].flat[:2] = 0, 255
        np.save(tmp_path / f"{name}_icbm_normal_1mm_pn3_rf20.npy", images[name])
    store = brainweb_normal.import_brainweb_normal(tmp_path, tmp_path / "s.zarr", noise=3, inu=20)
    used = np.flatnonzero(store.coords["split"] != 255)
    assert used.size == 6 + 4 + 2 and store.contrasts == ("T1", "T2", "PD")
    orientation = [store.case(int(case)).orientation for case in used]
    assert orientation == ["coronal"] * 6 + ["sagittal"] * 4 + ["axial"] * 2
    assert np.flatnonzero(store.coords["split"][used] == 2).tolist() == [1, 3, 6, 8, 11]
    case = store.case(int(used[7]))  # second sagittal slice: x = 31
    tissue = np.where(labels[:, :, 31] <= 3, labels[:, :, 31], 0).T  # (y, z)
    np.testing.assert_array_equal(case.labels[:, 2:64], tissue)
    expected = images["t2"][:, :, 31].T / 255 * (tissue > 0)
    np.testing.assert_allclose(case.image[1][:, 2:64], expected, atol=1e-5)
    np.testing.assert_allclose(case.affine @ (2, 0, 0, 1), (-0.059, -0.126, -0.072, 1))
    with pytest.raises(ImportProblem, match="noise must be one of 0, 1, 3, 5, 7, 9 %, got 2 %"):
        brainweb_normal.import_brainweb_normal(tmp_path, tmp_path / "t.zarr", noise=2)
    with pytest.raises(ImportProblem, match="lacks t1_icbm_normal_1mm_pn0_rf0"):
        brainweb_normal.import_brainweb_normal(tmp_path, tmp_path / "t.zarr")


@pytest.mark.parametrize("compressed", [False, True])
def test_metaimage_counts_in_lps(tmp_path, compressed):
    """The last voxel in L and P is the first one in R and A."""
    import zlib

    values = np.random.default_rng(0).integers(0, 2000, (5, 4, 3)).astype(np.int16)
    data = values.tobytes(order="F")
    (tmp_path / "v.raw").write_bytes(zlib.compress(data) if compressed else data)
    (tmp_path / "v.mhd").write_text(
        "ObjectType = Image\nNDims = 3\nDimSize = 5 4 3\nElementType = MET_SHORT\n"
        f"ElementSpacing = 2 3 4\nOffset = 10 20 30\nCompressedData = {compressed}\n"
        "TransformMatrix = 1 0 0 0 1 0 0 0 1\nElementDataFile = v.raw\n"
    )
    volume = read_volume(tmp_path / "v.mhd")
    np.testing.assert_array_equal(volume.values, values[::-1, ::-1])
    last = 1e-3 * np.array((-10 - 4 * 2, -20 - 3 * 3, 30, 1000))  # L and P point the other way
    np.testing.assert_allclose(volume.affine @ (0, 0, 0, 1), last)


def test_wrong_folders_get_a_sentence_that_says_what_is_missing(brains, tmp_path):
    home, _ = brains
    out = tmp_path / "s.zarr"

    def refused(*arguments):
        result = CliRunner().invoke(main, ["import", *map(str, arguments), "--out", str(out)])
        assert result.exit_code == 1 and isinstance(result.exception, SystemExit), result.output
        (line,) = result.stderr.splitlines()
        return line

    assert "must hold the folders 1 to 5, or TrainingData with them, but lacks 1" in refused(
        "mrbrains", tmp_path
    )
    assert "but lacks training_axial_crop_pat0" in refused("hvsmr", home)
    assert "lacks t1_icbm_normal_1mm_pn0_rf0 (.mnc or" in refused("brainweb-normal", home)
    assert "test must name some of the patients 1 to 5" in refused("mrbrains", home, "--test", 6)
    partial = tmp_path / "partial"
    for patient in range(1, 6):
        (partial / str(patient)).mkdir(parents=True)
        for name in (*mrbrains.CONTRASTS, "LabelsForTraining"):
            save(partial / str(patient) / f"{name}.nii.gz", np.full((8, 8, 2), patient + 5, np.float32))
    assert "labels of patient 4 must be 0, 1, 2, 3, 4, 5, 6, 7, 8, got 9" in refused("mrbrains", partial)
    save(partial / "1" / "T1_IR.nii.gz", np.zeros((8, 8, 3), np.float32))
    assert "T1_IR of patient 1 must have the grid of T1, 8 x 8 x 2, got 8 x 8 x 3" in refused(
        "mrbrains", partial, "--overwrite"
    )
    (partial / "5" / "T2_FLAIR.nii.gz").unlink()
    assert "5 lacks T2_FLAIR (.nii or .nii.gz or .mhd)" in refused("mrbrains", partial)
    for name in ("5/T2_FLAIR", "1/T1"):
        (partial / f"{name}.nii").write_bytes(b"no image")
    assert "1/T1.nii cannot be read (" in refused("mrbrains", partial)
