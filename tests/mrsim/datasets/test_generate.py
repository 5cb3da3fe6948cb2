"""generate, the real path on tiny label maps: the physics arrives in the store, whoever computes it."""

import hashlib
import os
import shutil

import numpy as np
import pytest

from mrsim.datasets import simulation
from mrsim.datasets.generate import GenerateError, generate
from mrsim.datasets.parallel import LOST_WORKERS, WorkerError, run_on_cluster
from mrsim.imperfections.noise import add_noise
from mrsim.recipes.slice_sets import SliceError
from mrsim.recipes.sources import source_of
from mrsim.slices.plane import SlicePlane
from mrsim.slices.slab import slab_spins
from mrsim.store import StoreError, StoreWriter, open_store
from phantoms.phantom import PhantomError
from tests.mrsim.tiny import tiny_recipe


@pytest.fixture(scope="module")
def labels(tmp_path_factory):
    return tmp_path_factory.mktemp("labels")


@pytest.fixture(scope="module")
def recipe(labels):
    return tiny_recipe(labels)


@pytest.fixture(scope="module")
def path(recipe, tmp_path_factory):
    path = tmp_path_factory.mktemp("store") / "here.zarr"
    generate(recipe, path)
    return path


def tree(path):
    files = (p for p in path.rglob("*") if p.is_file())
    return {p.relative_to(path).as_posix(): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}


def test_the_store_holds_the_simulation_of_the_recipe(recipe, path):
    store = open_store(path)
    assert (store.n_cases, store.n_coils, store.shape) == (8, 2, (16, 20))
    assert store.maps == ("kspace", "labels", "tissue", "affine", "b0", "csm", "inu")
    assert store.attrs["recipe"] == recipe.as_dict()
    assert store.attrs["recipe_hash"] == recipe.hash
    assert not [problem for _, problem in store.verify() if problem]
    case = store.case(5)
    phantom = source_of(recipe).load(case.subject)
    affine = case.affine
    plane = SlicePlane(
        centre=tuple(affine[:3, 3] + affine[:3, 0] * 10 + affine[:3, 1] * 8),
        fov=(0.096, 0.100),
        matrix=(16, 20),
        thickness=4e-3,
    )
    np.testing.assert_allclose(plane.affine, affine, atol=1e-12)
    spins = slab_spins(phantom, plane)
    inside = np.abs(spins.position[2]) <= 2e-3
    where = [
        np.rint(spins.position[i, inside] / step) + half for i, step, half in ((1, 6e-3, 8), (0, 5e-3, 10))
    ]
    shown = np.zeros((16, 20))
    np.add.at(
        shown, tuple(axis.astype(int).clip(0, n - 1) for axis, n in zip(where, (16, 20), strict=True)), 1
    )
    assert ((shown > 0) | (case.tissue == 0)).all()  # tissue is only where the phantom has spins


def test_coil_combined_images_show_the_oracle_classes(labels, tmp_path):
    """With ideal pulses the signals are those of the closed form for the tissue that was drawn."""
    store = generate(tiny_recipe(labels, rf="ideal"), tmp_path / "a.zarr")
    for index in range(store.n_cases):
        case = store.case(index)
        image = np.abs(case.image)
        inner = {c: np.median(image[case.labels == c]) for c in (1, 2, 3)}
        te, tr = case.te, case.tr
        t1, t2, pd = (case.coords[name][1:4] for name in ("t1", "t2", "pd"))
        expected = pd * np.exp(-te / t2) * (1 - 2 * np.exp(-(tr - te / 2) / t1) + np.exp(-tr / t1))
        assert inner[3] == pytest.approx(expected[2], rel=0.08)  # ringing and partial volume
        assert inner[3] < inner[2] < inner[1]


@pytest.mark.parametrize("workers", [1, 2])
def test_a_dask_cluster_gives_the_same_bytes(recipe, path, tmp_path, workers):
    seen = []
    generate(
        recipe, tmp_path / "a.zarr", workers=workers, progress=lambda done, total: seen.append((done, total))
    )
    assert tree(tmp_path / "a.zarr") == tree(path)
    assert seen == [(done, 8) for done in (0, 2, 4, 6, 8)]


def test_a_running_scheduler_gives_the_same_bytes(recipe, path, tmp_path):
    from distributed import LocalCluster

    with LocalCluster(n_workers=2, threads_per_worker=2, host="127.0.0.1", dashboard_address=None) as cluster:
        generate(recipe, tmp_path / "a.zarr", scheduler=cluster.scheduler_address)
    assert tree(tmp_path / "a.zarr") == tree(path)


def test_an_unreachable_scheduler_is_one_sentence(recipe, tmp_path, monkeypatch):
    monkeypatch.setattr("mrsim.datasets.parallel.CONNECT", "1s")
    with pytest.raises(GenerateError, match=r"scheduler tcp://127\.0\.0\.1:9 cannot be reached") as caught:
        generate(recipe, tmp_path / "a.zarr", scheduler="tcp://127.0.0.1:9")
    assert "\n" not in str(caught.value)


def test_a_worker_that_is_killed_again_and_again_is_one_sentence(monkeypatch):
    monkeypatch.setattr("mrsim.datasets.parallel.LOST_WORKERS", 1)
    with pytest.raises(WorkerError, match="a worker was killed 1 times on the same subject"):
        run_on_cluster(os._exit, [()], workers=1, scheduler=None, on_done=lambda: None)
    assert LOST_WORKERS == 3


@pytest.mark.parametrize("error", [KeyboardInterrupt(), OSError(28, "No space left on device")])
def test_what_is_complete_survives_and_the_next_run_goes_on(recipe, path, tmp_path, monkeypatch, error):
    """Ctrl-C and a full disk in the third subject: one sentence, then the same bytes."""
    simulate_subject = simulation.simulate_subject

    def failing(recipe, draw, subject, progress):
        if draw.rank == 2:
            raise error
        return simulate_subject(recipe, draw, subject, progress)

    with monkeypatch.context() as patched:
        patched.setattr(simulation, "simulate_subject", failing)
        with pytest.raises(
            (GenerateError, KeyboardInterrupt), match=r"; 2 of 4 subjects are complete in .*a\.zarr"
        ):
            generate(recipe, tmp_path / "a.zarr")
    started = []

    def counting(recipe, draw, subject, progress):
        started.append(draw.rank)
        return simulate_subject(recipe, draw, subject, progress)

    monkeypatch.setattr(simulation, "simulate_subject", counting)
    generate(recipe, tmp_path / "a.zarr")
    assert started == [2, 3]
    assert tree(tmp_path / "a.zarr") == tree(path)


def test_a_lost_shard_is_made_again(recipe, path, tmp_path):
    shutil.copytree(path, tmp_path / "a.zarr")
    (tmp_path / "a.zarr/kspace/c/2/0/0/0").unlink()
    generate(recipe, tmp_path / "a.zarr")
    assert tree(tmp_path / "a.zarr") == tree(path)


@pytest.mark.parametrize("workers", [0, 1])
def test_a_run_killed_after_its_last_subject_is_only_declared_complete(
    recipe, path, tmp_path, monkeypatch, workers
):
    def killed(_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(StoreWriter, "finish", killed)
        with pytest.raises(KeyboardInterrupt, match="4 of 4 subjects are complete"):
            generate(recipe, tmp_path / "a.zarr")
    generate(recipe, tmp_path / "a.zarr", workers=workers)
    assert tree(tmp_path / "a.zarr") == tree(path)


def test_a_finished_store_is_returned_as_it_is(recipe, path, monkeypatch):
    monkeypatch.setattr(simulation, "simulate_subject", None)  # would fail if called
    before = tree(path)
    assert generate(recipe, path).n_cases == 8
    assert tree(path) == before


def test_zip_and_memory_hold_the_same_arrays(recipe, path, tmp_path):
    expected = open_store(path).kspace()
    np.testing.assert_array_equal(generate(recipe, tmp_path / "a.zarr.zip").kspace(), expected)
    assert [p.name for p in tmp_path.iterdir()] == ["a.zarr.zip"]
    np.testing.assert_array_equal(generate(recipe, tmp_path / "a.zarr.zip").kspace(), expected)
    np.testing.assert_array_equal(generate(recipe, "memory://generate/a.zarr").kspace(), expected)
    with pytest.raises(GenerateError, match="lives in this process only"):
        generate(recipe, "memory://generate/b.zarr", workers=1)


def test_options_change_what_is_written_and_nothing_else(labels, path, tmp_path):
    clean = open_store(path)
    options = {"soft_labels": True, "codec": "zstd", "noise": 0.1, "coils": 1, "b0": "off"}
    noisy = generate(tiny_recipe(labels, **options), tmp_path / "noisy.zarr")
    quiet = generate(tiny_recipe(labels, **{**options, "noise": 0.0}), tmp_path / "quiet.zarr")
    assert noisy.maps == ("kspace", "labels", "tissue", "fractions", "affine", "inu")
    for name in ("labels", "tissue", "affine"):
        np.testing.assert_array_equal(noisy.read(name), clean.read(name))
    np.testing.assert_array_equal(noisy.read("fractions").sum(axis=1, dtype=int), 255)
    np.testing.assert_array_equal(noisy.coords["te"], clean.coords["te"])
    for index in (0, 5):
        case = quiet.case(index)
        np.testing.assert_array_equal(noisy.kspace([index])[0], case.noisy(0.1))
        with pytest.raises(StoreError, match="has 10% noise baked in already"):
            noisy.case(index).noisy(0.1)  # it would be the same noise once more
        np.testing.assert_array_equal(case.noisy(0.2), add_noise(case.kspace, 0.2, seed=0, case=index))


@pytest.mark.parametrize("orientation", ["coronal", "sagittal"])
def test_other_orientations_keep_labels_and_image_together(labels, tmp_path, orientation):
    recipe = tiny_recipe(
        labels,
        orientation=orientation,
        matrix=(24, 24),
        fov=(0.12, 0.12),
        rf="ideal",
        subjects=(1,),
        slices=1,
    )
    case = generate(recipe, tmp_path / "a.zarr").case(0)
    bright, dark = np.abs(case.image)[case.labels == 1], np.abs(case.image)[case.tissue == 0]
    assert np.median(bright) > 0.4 and np.median(dark) < 0.02  # CSF 0.53


def test_a_field_of_view_that_cuts_the_object_is_refused_unless_asked_for(labels, tmp_path):
    small = {"fov": (0.060, 0.100), "matrix": (10, 20)}
    with pytest.raises(SliceError, match=r"fov must cover the object along y .* got 60\.0 mm"):
        generate(tiny_recipe(labels, **small), tmp_path / "a.zarr")
    assert (
        generate(tiny_recipe(labels, **small, allow_wrap=True, subjects=(1,)), tmp_path / "a.zarr").n_cases
        == 2
    )


def test_slices_beside_the_phantom_are_refused(labels, tmp_path):
    recipe = tiny_recipe(labels, of="seranet", slices="seranet")
    with pytest.raises(SliceError, match=r"slices must lie inside the phantom, .* mm, got .* mm"):
        generate(recipe, tmp_path / "a.zarr")


def test_missing_volumes_are_said_before_anything_is_written(tmp_path):
    from mrsim.recipes import load_recipe

    (tmp_path / "empty").mkdir()
    with pytest.raises(PhantomError, match="BrainWeb subject 04 is not in"):
        generate(load_recipe("brainweb-se"), tmp_path / "a.zarr", phantom_dir=tmp_path / "empty")
    assert not (tmp_path / "a.zarr").exists()


def test_another_recipe_is_refused(labels, path):
    with pytest.raises(StoreError, match=r"holds another recipe .* --overwrite"):
        generate(tiny_recipe(labels, te=0.07), path)
