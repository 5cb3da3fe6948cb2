"""Stores with an axis of frames: what is written comes back, frame by frame, and opens in xarray."""

import json
import shutil

import numpy as np
import pytest
import xarray

from mrsim.store import Layout, StoreError, StoreWriter, open_store
from mrsim.store.case import centred_fft2

N_FRAMES, SHAPE = 5, (12, 16)
LAYOUT = Layout(
    n_subjects=2,
    n_slices=3,
    shape=SHAPE,
    pixel_spacing=(1.8e-3, 1.8e-3),
    class_names=("background", "LV", "myocardium", "RV"),
    tissue_names=("air", "blood", "heart"),
    n_frames=N_FRAMES,
    n_coils=2,
    csm=True,
)


@pytest.fixture(scope="module")
def cine(tmp_path_factory):
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 4, (6, N_FRAMES, *SHAPE), dtype=np.uint8)
    csm = rng.standard_normal((6, 2, *SHAPE)) + 1j * rng.standard_normal((6, 2, *SHAPE))
    arrays = {
        "kspace": centred_fft2(labels[:, :, None] * csm[:, None]),
        "labels": labels,
        "tissue": labels % 3,
        "affine": np.tile(np.eye(4), (6, 1, 1)),
        "csm": csm.astype(np.complex64),
    }
    coords = {
        "subject": np.repeat([0, 1], 3),
        "slice": np.tile([0, 1, 2], 2),
        "te": np.full(6, 1.1e-3),
        "tr": np.full(6, 2.6e-3),
        "split": np.repeat([0, 2], 3),
        "frame_time": np.tile(np.arange(N_FRAMES) * 0.2, (6, 1)),
        "rr": np.full(6, 1.0),
        "lv_edv": np.full(6, 150e-6),
    }
    path = tmp_path_factory.mktemp("cine") / "cine.zarr"
    writer = StoreWriter.create(path, LAYOUT, coords, {"seed": 3, "recipe_hash": "x"})
    for rank in range(2):
        writer.write_subject(rank, {name: value[LAYOUT.cases_of(rank)] for name, value in arrays.items()})
    writer.finish()
    return path, arrays


def test_frames_come_back_and_are_still_cases(cine):
    path, arrays = cine
    store = open_store(path)
    assert (store.n_frames, store.n_coils, store.shape) == (N_FRAMES, 2, SHAPE)
    assert not [problem for _, problem in store.verify() if problem]
    case = store.case(4)
    assert case.n_frames == N_FRAMES
    np.testing.assert_allclose(
        case.image, arrays["labels"][4], atol=1e-5
    )  # coils are combined frame by frame
    still = case.frame(3)
    assert still.n_frames == 0
    assert still.coords["frame_time"] == pytest.approx(0.6)
    np.testing.assert_allclose(still.image, arrays["labels"][4, 3], atol=1e-5)
    with pytest.raises(ValueError, match="frame must lie in 0 to 4, got 5"):
        case.frame(5)


def test_noise_of_a_cine_has_one_sigma_and_differs_between_frames(cine):
    case = open_store(cine[0]).case(0)
    noise = case.noisy(0.2) - case.kspace
    expected = 0.2 * np.sqrt((np.abs(case.kspace) ** 2).mean())
    np.testing.assert_allclose(noise.real.std(axis=(1, 2, 3)), expected, rtol=0.15)
    correlation = np.corrcoef(noise.reshape(N_FRAMES, -1).real)
    assert np.abs(correlation - np.eye(N_FRAMES)).max() < 0.25


def test_a_cine_opens_in_xarray(cine):
    with xarray.open_zarr(cine[0], consolidated=False) as data:
        assert data.kspace.dims == ("case", "frame", "coil", "ky", "kx")
        assert data.labels.dims == ("case", "frame", "y", "x")
        assert data.lv_edv.attrs["units"] == "m3"


def test_frames_and_contrasts_exclude_each_other():
    with pytest.raises(ValueError, match="of one contrast, got 5 frames of 2 contrasts"):
        Layout(**{**{f: getattr(LAYOUT, f) for f in LAYOUT.__slots__}, "contrasts": ("T1", "T2")})


def test_a_store_that_lies_about_its_frames_is_refused(cine, tmp_path):
    copy = shutil.copytree(cine[0], tmp_path / "copy.zarr")
    root = json.loads((copy / "zarr.json").read_text())
    root["attributes"]["n_frames"] = 4
    (copy / "zarr.json").write_text(json.dumps(root))
    with pytest.raises(StoreError, match="kspace must be complex64"):
        open_store(copy)
