"""What is written comes back, opens in other libraries, and every damage is found and named."""

import json
import shutil
import subprocess
import sys
import zipfile

import numpy as np
import pytest
import xarray
import zarr

from mrsim.store import StoreError, open_store
from tests.stores import SIGNAL, begin_test_store, subject_arrays, test_layout, write_test_store

N_SUBJECTS, N_SLICES, SHAPE = 4, 3, (32, 40)


@pytest.fixture(scope="module")
def pristine(tmp_path_factory):
    return write_test_store(
        tmp_path_factory.mktemp("store") / "a.zarr", N_SUBJECTS, N_SLICES, SHAPE, n_coils=2
    )


@pytest.fixture
def copy(pristine, tmp_path):
    return shutil.copytree(pristine, tmp_path / "copy.zarr")


@pytest.mark.parametrize("codec", ["none", "zstd"])
@pytest.mark.parametrize("n_coils", [1, 2])
def test_every_array_comes_back_bit_for_bit(tmp_path, codec, n_coils):
    store = open_store(write_test_store(tmp_path / "a.zarr", codec=codec, n_coils=n_coils))
    written = [subject_arrays(rank, 3, (32, 40), n_coils) for rank in range(4)]
    for name in store.maps:
        np.testing.assert_array_equal(store.read(name), np.concatenate([arrays[name] for arrays in written]))
    assert ("csm" in store.maps) == (n_coils > 1)
    assert not [problem for _, problem in store.verify() if problem]


def test_bulk_reads_keep_the_order_asked_for(pristine):
    store = open_store(pristine)
    everything = store.kspace()
    for wanted in ([7, 0, 11, 7, -1], [2], [], range(12), [0, 2, 9, 11]):
        np.testing.assert_array_equal(store.kspace(wanted), everything[list(wanted)])
    with pytest.raises(IndexError, match="0 to 11, got 12"):
        store.labels([12])


def test_labels_are_the_classes_of_the_image(pristine):
    case = open_store(pristine).case(4)
    np.testing.assert_allclose(np.abs(case.image), SIGNAL[case.labels], atol=1e-6)
    assert case.kspace.shape == (2, *SHAPE)
    assert (case.subject, case.slice, case.split) == (1, 1, "train")


def test_splits_are_by_subject(pristine):
    store = open_store(pristine)
    subjects = {s: set(store.coords["subject"][store.indices(s)]) for s in ("train", "validation", "test")}
    assert subjects == {"train": {0, 1}, "validation": {2}, "test": {3}}


def test_opens_in_plain_zarr_and_xarray(pristine):
    store = open_store(pristine)
    group = zarr.open_group(pristine, mode="r")
    assert group["kspace"].metadata.dimension_names == ("case", "coil", "ky", "kx")
    assert group["kspace"].chunks == (1, 2, *SHAPE)
    assert group["kspace"].shards == (N_SLICES, 2, *SHAPE)
    dataset = xarray.open_zarr(pristine)
    assert {"subject", "slice", "te", "tr", "split"} <= set(dataset.coords)
    test = dataset.isel(case=np.flatnonzero(dataset.split == 2))
    np.testing.assert_array_equal(test.kspace.values, store.kspace(store.indices("test")))
    np.testing.assert_allclose(dataset.y.values[[0, -1]], [-0.032, 0.030])


@pytest.mark.parametrize("url", ["memory://tests/reader.zarr", "file"])
def test_a_store_lives_at_any_url(tmp_path, url):
    url = (tmp_path / "with space.zarr").as_uri() if url == "file" else url
    write_test_store(url, 2, 2)
    np.testing.assert_array_equal(open_store(url).labels([3])[0], subject_arrays(1, 2, (32, 40))["labels"][1])


def test_a_zipped_store_reads_the_same(pristine, tmp_path):
    packed = tmp_path / "a.zarr.zip"
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_STORED) as archive:
        for file in sorted(p for p in pristine.rglob("*") if p.is_file()):
            archive.write(file, file.relative_to(pristine).as_posix())
    store = open_store(packed)
    np.testing.assert_array_equal(store.kspace(), open_store(pristine).kspace())
    assert not [problem for _, problem in store.verify() if problem]
    packed.write_bytes(packed.read_bytes()[:5000])
    with pytest.raises(StoreError, match=r"a\.zarr\.zip"):
        open_store(packed)


def flip(path, rng):
    data = bytearray(path.read_bytes())
    at = int(rng.integers(len(data)))
    data[at] ^= 1 << int(rng.integers(8))
    path.write_bytes(data)


def problems(path):
    """Everything that opening and verifying say is wrong."""
    try:
        return [(case, problem) for case, problem in open_store(path).verify() if problem]
    except StoreError as error:
        return [(None, str(error))]


@pytest.mark.parametrize("name", ["kspace/c/2/0/0/0", "labels/c/2/0/0", "csm/c/2/0/0/0", "checksum/c/2"])
def test_verify_finds_every_flipped_bit_of_a_shard_and_names_the_case(copy, name):
    rng = np.random.default_rng(3)
    original = (copy / name).read_bytes()
    for _ in range(20):
        flip(copy / name, rng)
        found = [case for case, _ in problems(copy)]
        assert found and set(found) <= {6, 7, 8}  # the cases of subject 2
        (copy / name).write_bytes(original)
    assert not problems(copy)


def test_verify_finds_a_flipped_bit_in_any_coordinate_or_metadata(copy):
    rng = np.random.default_rng(4)
    axes = {"y", "x", "ky", "kx"}
    small = [p for p in copy.rglob("*") if p.is_file() and p.stat().st_size < 30_000]
    for path in (p for p in small if p.parent.parent.name not in axes):
        original = path.read_bytes()
        flip(path, rng)
        same_json = path.name == "zarr.json" and _json(path) == json.loads(original)  # a blank became a tab
        assert problems(copy) or same_json, path
        path.write_bytes(original)
    assert not problems(copy)


def _json(path):
    try:
        return json.loads(path.read_bytes())
    except ValueError:
        return None


def edit_root(path, **attributes):
    root = json.loads((path / "zarr.json").read_text())
    root["attributes"].update(attributes)
    (path / "zarr.json").write_text(json.dumps(root))


@pytest.mark.parametrize(
    ("damage", "sentence"),
    [
        (lambda p: edit_root(p, format_version=2), "has store format version 2; this mrsim reads version 1"),
        (lambda p: edit_root(p, format="other"), "is not an mrsim store"),
        (lambda p: edit_root(p, complete=False), r"is incomplete \(4 of 4 subjects\)"),
        (lambda p: (p / "zarr.json").unlink(), r"is not an mrsim store: it has no zarr\.json"),
        (lambda p: (p / "zarr.json").write_text("{"), "is damaged"),
        (lambda p: shutil.rmtree(p / "labels"), "labels"),
        (lambda p: (p / "kspace/c/1/0/0/0").unlink(), "kspace of subject 1 is missing"),
        (lambda p: (p / "te/c/0").unlink(), "coordinate 'te' is missing"),
        (lambda p: shutil.rmtree(p), "does not exist"),
    ],
)
def test_a_damaged_store_is_refused_in_one_sentence(copy, damage, sentence):
    damage(copy)
    with pytest.raises(StoreError, match=sentence) as caught:
        open_store(copy).labels()
    assert "\n" not in str(caught.value)


def test_a_missing_chunk_and_nan_are_named_when_read(copy):
    array = zarr.open_group(copy, mode="r+")["kspace"]
    array[7, 1, 3, 5] = np.nan
    store = open_store(copy)
    store.kspace([6, 8])
    with pytest.raises(StoreError, match="kspace of case 7 is missing or holds NaN"):
        store.kspace()
    shard = copy / "kspace/c/0/0/0/0"
    shard.write_bytes(shard.read_bytes()[:1000])
    with pytest.raises(StoreError, match="kspace of cases 0 to 0 cannot be read"):
        store.kspace([0])


def test_an_incomplete_store_shows_itself(tmp_path):
    writer = begin_test_store(tmp_path / "a.zarr", test_layout())
    writer.write_subject(2, subject_arrays(2, 3, (32, 40)))
    with pytest.raises(StoreError, match=r"incomplete \(1 of 4 subjects\)"):
        open_store(tmp_path / "a.zarr")
    store = open_store(tmp_path / "a.zarr", incomplete=True)
    assert (store.done, store.complete) == ((2,), False)
    with pytest.raises(StoreError, match="labels of case 0 are missing"):
        store.labels([0])


def test_the_reader_needs_zarr_and_numpy_only():
    heavy = ("numba", "torch", "scipy", "dask", "xarray", "matplotlib")
    code = f"import sys, mrsim.store; print([m for m in {heavy} if m in sys.modules])"
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "[]"
