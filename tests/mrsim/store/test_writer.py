"""A store grows subject by subject to the same bytes, whatever happens on the way."""

import errno
import hashlib
import pickle

import numpy as np
import pytest

from mrsim.store import Layout, StoreError, StoreWriter, open_store
from tests.stores import begin_test_store, subject_arrays, test_layout, write_test_store


def tree(path):
    """File -> hash of its bytes, for the whole directory."""
    files = (p for p in path.rglob("*") if p.is_file())
    return {p.relative_to(path).as_posix(): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}


def write(writer, ranks):
    for rank in ranks:
        writer.write_subject(rank, subject_arrays(rank, 3, (32, 40)))


def test_any_order_and_any_interruption_give_the_same_bytes(tmp_path):
    whole = write_test_store(tmp_path / "whole.zarr")
    path = tmp_path / "pieces.zarr"
    write(begin_test_store(path, test_layout()), [3])
    (path / "kspace/c/1/0/0").mkdir(parents=True)  # what SIGKILL in the middle of a shard leaves
    (path / "kspace/c/1/0/0/0.deadbeef.partial").write_bytes(b"half")
    (path / "labels/c/1/0").mkdir(parents=True)
    (path / "labels/c/1/0/0").write_bytes(b"truncated")
    writer = begin_test_store(path, test_layout())
    assert writer.pending() == [0, 1, 2]
    write(writer, [2, 0, 1])
    writer.finish()
    assert tree(path) == tree(whole)


def test_a_worker_is_sent_no_more_for_a_subject_of_a_large_store(tmp_path):
    sizes = [
        len(pickle.dumps(begin_test_store(tmp_path / str(n), test_layout(n)).of_subject(1))) for n in (2, 200)
    ]
    assert sizes[1] < sizes[0] + 50  # bytes: the number of subjects itself takes a few more


def test_a_half_created_store_is_completed(tmp_path):
    whole = write_test_store(tmp_path / "whole.zarr")
    path = tmp_path / "half.zarr"
    begin_test_store(path, test_layout())
    for lost in ("te/c/0", "kspace/zarr.json", "x/zarr.json"):
        (path / lost).unlink()
    writer = begin_test_store(path, test_layout())
    write(writer, writer.pending())
    writer.finish()
    assert tree(path) == tree(whole)


def test_a_finished_store_is_not_touched(tmp_path):
    path = write_test_store(tmp_path / "a.zarr")
    before = {p: p.stat().st_mtime_ns for p in path.rglob("*")}
    writer = begin_test_store(path, test_layout())
    assert writer.complete and not writer.pending()
    assert {p: p.stat().st_mtime_ns for p in path.rglob("*")} == before


def test_another_recipe_is_refused_and_overwritten_only_on_request(tmp_path):
    path = write_test_store(tmp_path / "a.zarr", seed=1)
    with pytest.raises(StoreError, match=r"holds another recipe .* --overwrite"):
        begin_test_store(path, test_layout(), seed=2)
    assert open_store(path).seed == 1
    begin_test_store(path, test_layout(), seed=2, overwrite=True)
    assert open_store(path, incomplete=True).seed == 2


def test_overwrite_spares_what_is_no_store(tmp_path):
    (tmp_path / "thesis.tex").write_text("years of work")
    for overwrite in (False, True):
        with pytest.raises(StoreError, match="is not an mrsim store"):
            begin_test_store(tmp_path, test_layout(), overwrite=overwrite)
    assert (tmp_path / "thesis.tex").read_text() == "years of work"


def test_other_software_does_not_finish_a_store(tmp_path):
    layout = test_layout(1, 1)
    coords = {"subject": [0], "slice": [0], "te": [0.08], "tr": [3.0], "split": [0]}
    for versions, refused in (({"numba": "0.60"}, False), ({"numba": "0.61"}, True)):
        attrs = {"recipe_hash": "same", "versions": versions}
        if refused:
            with pytest.raises(StoreError, match=r"begun with other software \(numba 0\.60, now 0\.61\)"):
                StoreWriter.create(tmp_path / "a.zarr", layout, coords, attrs)
        else:
            writer = StoreWriter.create(tmp_path / "a.zarr", layout, coords, attrs)
            writer.write_subject(0, subject_arrays(0, 1, (32, 40)))


def test_a_store_that_holds_nothing_makes_way_for_another_recipe(tmp_path):
    begin_test_store(tmp_path / "a.zarr", test_layout(), seed=1)
    begin_test_store(tmp_path / "a.zarr", test_layout(), seed=2)
    assert open_store(tmp_path / "a.zarr", incomplete=True).seed == 2


def test_nan_never_enters_a_store(tmp_path):
    writer = begin_test_store(tmp_path / "a.zarr", test_layout())
    arrays = subject_arrays(0, 3, (32, 40))
    arrays["kspace"][1, 0, 2, 3] = np.nan
    with pytest.raises(StoreError, match="kspace must be finite"):
        writer.write_subject(0, arrays)
    assert writer.pending() == [0, 1, 2, 3]


def test_a_full_disk_leaves_what_is_complete(tmp_path, monkeypatch):
    writer = begin_test_store(tmp_path / "a.zarr", test_layout())
    write(writer, [0])

    def full(*_args, **_kwargs):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr("zarr.storage._local._put", full)
        with pytest.raises(OSError, match="No space left"):
            write(writer, [1])
    assert writer.pending() == [1, 2, 3]
    write(writer, [1, 2, 3])
    writer.finish()
    assert tree(tmp_path / "a.zarr") == tree(write_test_store(tmp_path / "b.zarr"))


def test_a_store_with_gaps_cannot_be_finished(tmp_path):
    writer = begin_test_store(tmp_path / "a.zarr", test_layout())
    write(writer, [0, 3])
    with pytest.raises(StoreError, match="2 of 4 subjects are missing"):
        writer.finish()


def test_shapes_are_checked(tmp_path):
    writer = begin_test_store(tmp_path / "a.zarr", test_layout())
    with pytest.raises(ValueError, match=r"kspace must have shape \(3, 1, 32, 40\), got \(3, 1, 40, 32\)"):
        writer.write_subject(0, subject_arrays(0, 3, (40, 32)))
    with pytest.raises(ValueError, match="codec must be one of none, zstd"):
        Layout(
            n_subjects=1,
            n_slices=1,
            shape=(8, 8),
            pixel_spacing=(1e-3, 1e-3),
            class_names=("a", "b"),
            tissue_names=("a", "b"),
            codec="lz4",
        )
