"""Several contrasts of a slice, intensity non-uniformity, and subjects that were seen before."""

import numpy as np
import pytest
import torch
from click.testing import CliRunner

from cli.segnets import main
from mrsim.store import Layout, StoreWriter, open_store
from segnets.blocks.fourier import to_image
from segnets.checkpoint import load_model
from segnets.config import TrainConfig
from segnets.data import DataError, Reading, read_cases
from segnets.evaluate import EvaluateConfig, evaluate
from segnets.feeding import open_data
from segnets.train import TrainingError, resume, train
from segnets.undersampling import Conditions, evaluation_batches
from tests.stores import CLASSES, PITCH, subject_arrays, write_test_store

SHAPE = (32, 40)
CONTRASTS = ("T1", "T2")
BIAS = np.zeros(24)
BIAS[3], BIAS[4] = 0.1, 0.5  # reach [m] and the constant term of the cubic: 1 + level / 2 everywhere


def write_store(path, contrasts=CONTRASTS, *, n_subjects=4, source="", first=0, split=(0, 0, 1, 2)):
    """Ellipse heads whose second contrast is three times as bright, with a uniform non-uniformity."""
    layout = Layout(
        n_subjects=n_subjects,
        n_slices=2,
        shape=SHAPE,
        pixel_spacing=(PITCH, PITCH),
        class_names=CLASSES,
        tissue_names=CLASSES,
        contrasts=contrasts,
        b0=True,
        inu=True,
    )
    n = layout.n_cases
    per = (n, len(contrasts)) if contrasts else (n,)
    coords = {
        "subject": np.repeat(np.arange(first, first + n_subjects), 2),
        "slice": np.tile(np.arange(2), n_subjects),
        "te": np.full(per, 0.08),
        "tr": np.full(per, 3.0),
        "split": np.repeat(split, 2),
    }
    recipe = {"name": "ellipses", "phantom": {"source": source}}
    attrs = {"recipe": recipe, "recipe_hash": f"{first}-{split}", "seed": 0, "versions": {}}
    writer = StoreWriter.create(path, layout, coords, attrs)
    for rank in writer.pending():
        arrays = subject_arrays(first + rank, 2, SHAPE)
        kspace = arrays["kspace"]
        arrays["kspace"] = np.stack([kspace, 3 * kspace], axis=1) if contrasts else kspace
        arrays["inu"] = np.broadcast_to(BIAS, (2, *([len(contrasts)] if contrasts else []), 24))
        writer.write_subject(rank, arrays)
    writer.finish()
    return str(path)


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return write_store(tmp_path_factory.mktemp("store") / "contrasts.zarr")


def config(name, store, out, **overrides):
    values = {"epochs": 1, "batch_size": 4, "n_center": 4, "rate": (0.5,), "noise": (0.1,), **overrides}
    return TrainConfig.for_model(name, data=store, out=str(out), options={"width": 4}, **values)


def test_contrasts_share_a_mask_and_have_a_scale_each(store):
    (batch,) = evaluation_batches(store, "test", Conditions(rate=0.5, noise=0.0, n_center=4))
    assert batch.kspace.shape == (2, 4, *SHAPE) and batch.mask.shape == (2, 1, 32, 1)
    torch.testing.assert_close(batch.scale[:, 1], 3 * batch.scale[:, 0])
    first, second = batch.kspace[:, :2], batch.kspace[:, 2:]
    torch.testing.assert_close(first, second)  # both scaled to a largest magnitude of one
    assert to_image(first).square().sum(1).sqrt().amax(dim=(1, 2)).tolist() == pytest.approx([1, 1])
    assert not (batch.kspace * (1 - batch.mask)).any()


def test_noise_and_non_uniformity_are_those_of_the_cases(store):
    opened = open_store(store)
    got = read_cases(opened, [5, 0], (0.0, 0.2), Reading(inu=0.4, contrast=("T2",))).kspace
    assert got.shape == (2, 2, 1, *SHAPE)
    for i, index in enumerate((5, 0)):
        case = opened.case(index).contrast("T2").biased(0.4)
        np.testing.assert_array_equal(got[0, i, 0], case.kspace[0])
        np.testing.assert_array_equal(got[1, i, 0], case.noisy(0.2)[0])
    plain = read_cases(opened, [5, 0], (0.0,), Reading(contrast=("T2",))).kspace
    torch.testing.assert_close(got[0], 1.1 * plain[0], rtol=1e-5, atol=1e-5)  # 1 + 0.4 / 2 * 0.5
    with pytest.raises(DataError, match=r"has no contrast 'PD' \(it has: T1, T2\)"):
        read_cases(opened, [0], (0.0,), Reading(contrast=("PD",)))


@pytest.mark.parametrize("resident", ["yes", "no"])
def test_both_feeds_serve_contrasts(store, resident):
    feed = open_data(store, noise=(0.1,), resident=resident, how=Reading(inu=0.2))
    batches = list(feed.epoch(3, seed=0, epoch=0))
    assert [tuple(b.kspace.shape) for b in batches] == [(1, 3, 2, *SHAPE), (1, 1, 2, *SHAPE)]


def test_a_network_reads_all_contrasts_or_the_one_it_was_told(store, tmp_path):
    both = train(config("crdn", store, tmp_path / "both", inu=0.2), quiet=True)
    model, run = load_model(both)
    assert model.config.contrasts == 2 and run.train.contrast == CONTRASTS
    result = evaluate(both, EvaluateConfig())
    assert len(result.cases) == 2 and result.config.inu == 0.2
    assert "non-uniformity 20 %" in result.title and "-inu0.2-" in result.condition
    one = train(config("seranet", store, tmp_path / "one", contrast=("T2",)), quiet=True)
    assert len(evaluate(one, EvaluateConfig()).cases) == 2
    with pytest.raises(DataError, match="contrast must be a single one for seranet, got T1, T2: choose one"):
        train(config("seranet", store, tmp_path / "none"))
    single = write_store(tmp_path / "single.zarr", ())
    alone = train(config("seranet", single, tmp_path / "alone"), quiet=True)
    with pytest.raises(DataError, match=r"reads one contrast, but .* holds T1, T2"):
        evaluate(alone, EvaluateConfig(data=store))


def test_subjects_that_were_trained_on_are_no_test(tmp_path):
    mine = write_store(tmp_path / "mine.zarr", (), source="brainweb")
    run = train(config("one-step", mine, tmp_path / "run"), quiet=True)
    assert load_model(run)[1].subjects == (0, 1)
    assert evaluate(run, EvaluateConfig()).seen == ()  # its own test subjects
    other = write_store(tmp_path / "other.zarr", (), source="brainweb", first=1, split=(2, 2, 0, 0))
    with pytest.raises(DataError, match=r"was trained on subjects 1 of the test split of .*--allow-seen"):
        evaluate(run, EvaluateConfig(data=other))
    loud = evaluate(run, EvaluateConfig(data=other, allow_seen=True))
    assert loud.seen == (1,) and {case.subject for case in loud.cases} == {1, 2}
    told = CliRunner().invoke(
        main, ["evaluate", str(run), "--data", other, "--allow-seen", "--out", str(tmp_path / "out")]
    )
    assert told.exit_code == 0 and "WARNING: the network was trained on subjects 1 of these." in told.output
    elsewhere = write_store(tmp_path / "elsewhere.zarr", (), source="synthetic", first=1, split=(2, 2, 0, 0))
    assert evaluate(run, EvaluateConfig(data=elsewhere)).seen == ()  # another phantom's subject 1
    unknown = write_test_store(tmp_path / "unknown.zarr", 4, 2, SHAPE)
    assert evaluate(run, EvaluateConfig(data=str(unknown))).seen == ()


@pytest.mark.parametrize("name", ["crdn", "disk", "syn-net"])
def test_epochs_that_a_schedule_depends_on_must_stay(name, tmp_path):
    store = write_store(tmp_path / "store.zarr", ())
    options = {"width": 16, "n_latents": 4, "n_layers": 1, "n_heads": 2, "token_head": 8, "n_bands": 2}
    wanted = TrainConfig.for_model(
        name,
        data=store,
        out=str(tmp_path / "run"),
        options=options if name == "disk" else {"width": 2},
        epochs=2,
        batch_size=4,
        n_center=4,
        rate=(0.5,),
    )
    run = train(wanted, quiet=True)
    with pytest.raises(
        TrainingError, match=r"epochs must stay 2 where .* the schedule of the training depends"
    ):
        resume(run, epochs=4)
