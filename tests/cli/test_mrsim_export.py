"""mrsim export: what others read is what the store holds."""

import ismrmrd
import nibabel
import numpy as np
import pytest
from click.testing import CliRunner

from cli.mrsim import main
from mrsim.datasets.generate import generate
from mrsim.recipes import load_recipe
from mrsim.store import open_store
from tests.mrsim.tiny import tiny_recipe
from tests.stores import write_test_store


def run(*args, code=0):
    result = CliRunner().invoke(main, ["export", *map(str, args)])
    assert result.exit_code == code, result.output
    assert result.exception is None or isinstance(result.exception, SystemExit)
    return result.output


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tiny")
    generate(tiny_recipe(folder / "labels", n_subjects=2), folder / "tiny.zarr")
    return folder / "tiny.zarr"


def test_nifti_holds_image_and_labels_where_they_lie(store, tmp_path):
    assert "4 cases, 8 files" in run(store, "--out", tmp_path)
    case = open_store(store).case(2)
    image, labels = (nibabel.load(tmp_path / f"case-00002{s}.nii.gz") for s in ("", "-labels"))
    np.testing.assert_allclose(image.get_fdata()[:, :, 0].T, np.abs(case.image), rtol=1e-6)
    np.testing.assert_array_equal(labels.get_fdata()[:, :, 0].T, case.labels)
    np.testing.assert_allclose(image.affine[:3] * 1e-3, case.affine[:3], atol=1e-9)


def test_mrd_gives_back_the_kspace_line_by_line(store, tmp_path):
    run(store, "--out", tmp_path, "--format", "mrd", "--cases", "1,3", "--quiet")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["case-00001.mrd", "case-00003.mrd"]
    case = open_store(store).case(3)
    with ismrmrd.Dataset(str(tmp_path / "case-00003.mrd"), create_if_needed=False) as file:
        header = ismrmrd.xsd.CreateFromDocument(file.read_xml_header())
        lines = [file.read_acquisition(i) for i in range(file.number_of_acquisitions())]
        np.testing.assert_array_equal(file.read_array("csm", 0), case.csm)
        np.testing.assert_array_equal(file.read_array("labels", 0), case.labels)
    kspace = np.zeros_like(case.kspace)
    for line in lines:
        kspace[:, line.idx.kspace_encode_step_1] = line.data
    np.testing.assert_array_equal(kspace, case.kspace)
    assert header.sequenceParameters.TE[0] == pytest.approx(case.te * 1e3)
    stamps = np.diff([line.user_int[0] for line in lines]) * 1e-6
    np.testing.assert_allclose(stamps, case.tr, rtol=1e-4)


def test_npz_holds_every_array_and_the_noise_of_training(store, tmp_path):
    run(store, "--out", tmp_path, "--format", "npz", "--split", "test", "--noise", 0.1)
    opened = open_store(store)
    index = int(opened.indices("test")[0])
    arrays, case = np.load(tmp_path / f"case-{index:05d}.npz"), opened.case(index)
    np.testing.assert_array_equal(arrays["kspace"], case.noisy(0.1))
    assert set(arrays) >= {"labels", "tissue", "affine", "csm", "b0", "te", "tr", "class_names"}


def test_a_contrast_is_a_file_of_its_own(tmp_path):
    write_test_store(tmp_path / "a.zarr", n_subjects=1, slices=1, contrasts=("T1", "T2"))
    assert "1 cases, 4 files" in run(tmp_path / "a.zarr", "--out", tmp_path / "out")
    assert (tmp_path / "out" / "case-00000-T2.nii.gz").exists()


def test_what_cannot_be_exported_is_one_sentence(store, tmp_path):
    write_test_store(tmp_path / "a.zarr", n_subjects=1, slices=1)
    said = run(tmp_path / "a.zarr", "--format", "mrd", "--out", tmp_path / "o", code=1)
    assert "case 0 does not say how it was scanned" in said
    assert "did you mean 'mrd'" in run(store, "--format", "mrdd", code=2)
    assert "cases must lie in 0 to 3, got 9" in run(store, "--cases", "9", code=2)


def test_a_cine_is_a_nifti_file_of_four_axes(tmp_path):
    recipe = load_recipe(
        "cardiac-cine-80", subjects=(2,), matrix=(62, 70), fov=(0.3348, 0.378), crop=(28, 30), n_frames=3
    )
    generate(recipe, tmp_path / "cine.zarr")
    assert "1 cases, 2 files" in run(tmp_path / "cine.zarr", "--out", tmp_path)
    case = open_store(tmp_path / "cine.zarr").case(0)
    image, labels = (nibabel.load(tmp_path / f"case-00000{s}.nii.gz") for s in ("", "-labels"))
    np.testing.assert_allclose(image.get_fdata()[:, :, 0].T, np.abs(case.image), rtol=1e-6)
    np.testing.assert_array_equal(labels.get_fdata()[:, :, 0].T, case.labels)
    assert image.header.get_zooms() == pytest.approx((5.4, 5.4, 8, case.coords["rr"] / 3))
    assert "take nifti or npz" in run(
        tmp_path / "cine.zarr", "--out", tmp_path, "--format", "mrd", "--quiet", code=1
    )
