"""Label maps: every voxel where the slice plane says it is, and the same back from disk."""

import json

import nibabel
import numpy as np
import pytest
import xarray
import zarr

from mrsim.slices.plane import SlicePlane
from mrsim.store import open_store
from segnets.data import DataError
from segnets.evaluate import EvaluateConfig
from segnets.predict import Prediction, predict, stack_volume, write_prediction
from tests.segnets.known_network import write_run
from tests.stores import CLASSES, write_test_store


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return write_test_store(tmp_path_factory.mktemp("store") / "heads.zarr", n_subjects=4, slices=3)


@pytest.fixture(scope="module")
def prediction(tmp_path_factory, store):
    """Of a network that makes no mistake: its maps must be the oracle labels."""
    return predict(write_run(tmp_path_factory.mktemp("runs") / "run", store), EvaluateConfig(split="all"))


POSITIONS = (0.010, 0.006, 0.008)  # [m] in no particular order


def slice_plane(orientation, position, shift=0.0):
    """A plane whose pixels are centred off RAS 0, `shift` [m] further along image x."""
    axis, y_axis, x_axis = {"axial": (2, 0, 1), "coronal": (1, 0, 2), "sagittal": (0, 1, 2)}[orientation]
    centre = np.zeros(3)
    centre[[axis, y_axis, x_axis]] = position, 0.012, shift - 0.03
    return SlicePlane(
        orientation=orientation, centre=tuple(centre), fov=(8e-3, 15e-3), matrix=(8, 10), thickness=2e-3
    )


def made(planes):
    """Random slices of one subject in these planes."""
    n = len(planes)
    return Prediction(
        index=np.arange(n),
        labels=np.random.default_rng(0).integers(0, 4, (n, 8, 10), np.uint8),
        affine=np.stack([plane.affine for plane in planes]),
        coords={"subject": np.full(n, 7)},
        pixel_spacing=(1e-3, 1.5e-3),
        orientation=planes[0].orientation,
        source={"model": "nearest", "class_names": list(CLASSES)},
    )


def test_all_cases_are_segmented_in_the_order_of_the_store(prediction, store):
    np.testing.assert_array_equal(prediction.index, np.arange(12))
    np.testing.assert_array_equal(prediction.labels, open_store(store).labels())


@pytest.mark.parametrize("orientation", ["axial", "coronal", "sagittal"])
def test_a_voxel_of_the_volume_lies_where_the_slice_plane_puts_its_pixel(orientation):
    """For every pixel: index -> RAS by `SlicePlane.affine`, RAS -> voxel by the affine, same label."""
    planes = [slice_plane(orientation, position) for position in POSITIONS]
    source = made(planes)
    volume, affine = stack_volume(source, "subject-07", np.arange(3))
    assert nibabel.aff2axcodes(affine) == ("R", "A", "S")
    for labels, plane in zip(source.labels, planes, strict=True):
        for y, x in np.ndindex(8, 10):
            ras = 1e3 * (plane.affine @ (x, y, 0, 1))[:3]  # [mm]
            voxel = np.linalg.solve(affine, (*ras, 1))[:3]
            np.testing.assert_allclose(voxel, voxel.round(), atol=1e-6)
            assert volume[tuple(voxel.round().astype(int))] == labels[y, x]


def test_nifti_volumes_come_back_from_disk(tmp_path, prediction, store):
    paths = write_prediction(prediction, tmp_path / "maps", "nifti")
    assert [p.name for p in paths] == [f"subject-0{s}_labels.nii.gz" for s in range(4)]
    image = nibabel.load(paths[2])
    labels = open_store(store).labels(np.arange(6, 9))
    assert image.get_data_dtype() == np.uint8
    assert image.header.get_xyzt_units()[0] == "mm"
    np.testing.assert_allclose(image.header.get_zooms(), 2.0)
    np.testing.assert_allclose(image.get_qform(), image.get_sform(), atol=1e-4)  # a qform is float32
    np.testing.assert_array_equal(
        np.asarray(image.dataobj), labels.transpose(1, 2, 0)
    )  # axial: y is R, x is A
    note = json.loads((tmp_path / "maps" / "labels.json").read_text())
    assert note["classes"] == {"0": "background", "1": "CSF", "2": "GM", "3": "WM"}
    assert note["noise"] == 0.0


def test_zarr_comes_back_through_xarray_and_zarr(tmp_path, prediction, store):
    (path,) = write_prediction(prediction, tmp_path / "maps.zarr", "zarr")
    dataset = xarray.open_zarr(path, consolidated=False)
    assert dataset.labels.dims == ("case", "y", "x")
    np.testing.assert_array_equal(dataset.labels, open_store(store).labels())
    np.testing.assert_array_equal(dataset.subject, open_store(store).coords["subject"])
    assert float(dataset.x[20]) == 0  # pixel n // 2 is the centre of the image
    assert float(dataset.y[1] - dataset.y[0]) == pytest.approx(2e-3)
    assert dataset.attrs["model"] == "nearest"
    assert zarr.open_group(path, mode="r")["labels"].dtype == np.uint8


def test_slices_that_no_nifti_volume_can_hold_are_refused_and_zarr_takes_them(tmp_path):
    uneven = made([slice_plane("axial", position) for position in (0.0, 0.001, 0.003)])
    with pytest.raises(DataError, match="subject-07: slices lie 1 to 2 mm apart"):
        write_prediction(uneven, tmp_path / "maps", "nifti")
    assert list(tmp_path.iterdir()) == []  # nothing half-written
    assert write_prediction(uneven, tmp_path / "maps.zarr", "zarr")
    shifted = made([slice_plane("axial", 0.002 * k, shift=0.01 * (k == 2)) for k in range(3)])
    with pytest.raises(DataError, match="evenly spaced"):
        stack_volume(shifted, "subject-07", np.arange(3))


def test_every_view_of_a_subject_is_a_volume_of_its_own(tmp_path):
    """The same point of the head has the same place in all three, wherever the slices are in the store."""
    views = ("axial", "coronal", "sagittal")
    planes = [slice_plane(view, 0.002 * k) for k in range(3) for view in views]
    source = made(planes)
    source.coords["orientation"] = np.tile(np.arange(3, dtype=np.uint8), 3)
    paths = write_prediction(source, tmp_path / "maps", "nifti")
    assert [p.name for p in paths] == [f"subject-07_{view}_labels.nii.gz" for view in views]
    for view, path in enumerate(paths):
        image = nibabel.load(path)
        assert nibabel.aff2axcodes(image.affine) == ("R", "A", "S") and image.shape[2 - view] == 3
        for case in range(view, 9, 3):
            ras = 1e3 * (planes[case].affine @ (4, 2, 0, 1))[:3]  # [mm]
            voxel = np.linalg.solve(image.affine, (*ras, 1))[:3].round().astype(int)
            assert np.asarray(image.dataobj)[tuple(voxel)] == source.labels[case, 2, 4]


def test_a_single_slice_is_as_thick_as_its_plane():
    volume, affine = stack_volume(made([slice_plane("axial", 0.01)]), "subject-07", np.arange(1))
    assert volume.shape == (8, 10, 1)
    np.testing.assert_allclose(np.diag(affine), (1, 1.5, 2, 1))


def test_nothing_is_overwritten_unasked(tmp_path, prediction):
    out = tmp_path / "maps.zarr"
    write_prediction(prediction, out, "zarr")
    with pytest.raises(FileExistsError, match="--overwrite"):
        write_prediction(prediction, out, "zarr")
    write_prediction(prediction, out, "zarr", overwrite=True)
