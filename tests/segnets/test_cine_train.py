"""Training on series of frames, from the command to the label maps, and what is refused."""

import math
from dataclasses import replace

import nibabel
import numpy as np
import pytest
import torch
from click.testing import CliRunner

from cli.segnets import main
from mrsim.store import open_store
from segnets.blocks.frames_unet import CircularConv3d
from segnets.checkpoint import load_model
from segnets.compare import compared, comparison_table
from segnets.conditions import EvaluateConfig, batch_of
from segnets.config import TrainConfig
from segnets.data import DataError, read_cases
from segnets.describe import describe
from segnets.evaluate import evaluate
from segnets.masks import Lines
from segnets.models import MODELS, RECONSTRUCTORS, model_class
from segnets.session import Session
from segnets.train import train, train_step
from segnets.undersampling import Undersampling
from tests.segnets.models.small import SMALL
from tests.segnets.test_no_waiting import session_of
from tests.segnets.test_train import assert_same_run, kill_at, rows
from tests.stores import PITCH, write_cine_store, write_test_store

SHAPE, N_FRAMES = (24, 20), 6
SERIES = ("syn-net", "li-net", "disk")


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """Four subjects of two slices: two to train on, one to validate with, one to test with."""
    return str(write_cine_store(tmp_path_factory.mktemp("cine") / "hearts.zarr", 4, 2, SHAPE, N_FRAMES))


def options_of(name):
    return {k: v for k, v in SMALL[name].items() if k != "aux_recon"} | (
        {} if name == "disk" else {"width": 2}
    )


def config(name, store, out, **overrides):
    values = {"options": options_of(name), "epochs": 2 * len(model_class(name).stages), "batch_size": 2}
    return TrainConfig.for_model(
        name, data=store, cine=True, out=str(out), **{**values, "lr": 1e-3, **overrides}
    )


def run(*arguments):
    result = CliRunner().invoke(main, [str(a) for a in arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


@pytest.mark.parametrize("name", SERIES)
def test_train_needs_a_store_and_nothing_else(name, store, tmp_path):
    """Train, resume, predict: dims and size come from the store, sampling and phase from the paper."""
    small = [f"--set={key}={value}" for key, value in options_of(name).items()]
    out, n_epochs = tmp_path / "run", 2 * len(model_class(name).stages)
    few = ["--epochs", n_epochs, "--batch-size", 2, "--max-minutes", 1e-6, "--quiet"]
    run("train", name, "--data", store, "--out", out, *small, *few)
    run("train", "--resume", out, "--max-minutes", 10, "--quiet")
    model, record = load_model(out)
    assert len(rows(out)) == n_epochs and record.n_frames == N_FRAMES and record.shape == SHAPE
    assert getattr(model.config, "dims", 3) == 3 and getattr(model.config, "ny", 24) == 24
    assert record.train.phase == ("bumps" if name == "disk" else "sinusoid")
    assert record.train.density == ("gaussian" if name == "disk" else "ktfocuss")
    run("predict", out, "--out", tmp_path / "maps", "--split", "test", "--lines", 6, "--quiet")
    (path,) = (tmp_path / "maps").glob("*.nii.gz")
    image = nibabel.load(path)
    assert sorted(image.shape) == [2, N_FRAMES, 20, 24] and image.shape[3] == N_FRAMES
    assert image.header.get_zooms()[3] == pytest.approx(0.15)  # 0.9 s in 6 frames
    batch = batch_of(
        open_store(store),
        np.array([6, 7]),
        EvaluateConfig(lines=6).for_run(record, out),
        record.train.n_center,
        torch.device("cpu"),
    )
    rule = Lines(n_ky=24, n_center=record.train.n_center, center_from=8, density=record.train.density)
    assert torch.equal(batch.mask, rule.fixed([3, 3], [0, 1], 6 / 24, n_frames=N_FRAMES))
    with torch.no_grad():
        expected = model(batch.kspace, batch.mask).segmentation.argmax(dim=1)
    y, x = np.meshgrid(np.arange(24), np.arange(20), indexing="ij")
    for i, affine in enumerate(open_store(store).read("affine", [6, 7])):
        index = np.stack([x, y, 0 * x, 1 + 0 * x], axis=-1)[..., None]
        voxel = (
            np.linalg.inv(image.affine) @ np.diag([1e3, 1e3, 1e3, 1]) @ affine @ index
        )  # RAS in mm between
        places = tuple(np.rint(voxel[..., axis, 0]).astype(int) for axis in range(3))
        assert np.array_equal(np.asarray(image.dataobj)[places], expected[i].permute(1, 2, 0).numpy())


@pytest.mark.parametrize("name", SERIES)
def test_a_run_on_series_resumes_to_the_same_bits_inside_any_stage(name, store, tmp_path, monkeypatch):
    whole = train(config(name, store, tmp_path / "whole"), quiet=True)
    wanted = config(name, store, tmp_path / "killed", checkpoint_minutes=1e-9)
    for epoch in range(2 * len(model_class(name).stages)):
        with monkeypatch.context() as m, pytest.raises(KeyboardInterrupt):
            kill_at(m, epoch, (epoch + 1) % 2)
            train(wanted, resume=epoch > 0, quiet=True)
    train(wanted, resume=True, quiet=True)
    assert_same_run(tmp_path / "killed", whole)


def test_options_of_series_come_from_the_command(store, tmp_path):
    """The command builds the network once before it has seen that the store holds series."""
    tiny = ["--set", "width=2", "--set", "circular=true", "--epochs", 1, "--quiet"]
    run("train", "syn-net", "--data", store, "--out", tmp_path, *tiny)
    model = load_model(tmp_path)[0]
    assert sum(isinstance(module, CircularConv3d) for module in model.modules()) == 14


@pytest.fixture
def masks(monkeypatch):
    """Epoch -> (sample, frame) numbers of lines that training has drawn."""
    seen = {}
    run_batch = Session.run_batch

    def watched(self, batch):
        if self.model.training:
            lines = batch.mask.sum(dim=(1, 3, 4)).int()
            seen.setdefault(self.progress.epoch, []).extend(map(tuple, lines.tolist()))
        return run_batch(self, batch)

    monkeypatch.setattr(Session, "run_batch", watched)
    return seen


def test_curriculum_goes_from_all_lines_to_any_number_down_to_one(store, tmp_path, masks):
    """Models.md 4.3: epoch e of the first fifth draws U{max(1, round(24 (1 - e / 5))) .. 24} per series."""
    train(config("syn-net", store, tmp_path, epochs=25, validate="none"), quiet=True)
    counts = {epoch: [lines[0] for lines in series] for epoch, series in masks.items()}
    assert all(len(set(lines)) == 1 for series in masks.values() for lines in series)
    for e in range(1, 6):
        assert min(counts[e - 1]) >= max(1, round(24 * (1 - e / 5)))
    late = [n for e in range(5, 25) for n in counts[e]]
    assert (
        min(late) <= 2
        and max(late) >= 23
        and np.mean(late) == pytest.approx(12.5, abs=3 * 6.9 / math.sqrt(80))
    )


def test_without_a_curriculum_the_lines_are_there_from_the_start(store, tmp_path, masks):
    begun = config("li-net", store, tmp_path, epochs=4, curriculum=False, lines=(5,), validate="none")
    train(begun, quiet=True)
    assert {lines for epoch in (2, 3) for lines in masks[epoch]} == {(5,) * N_FRAMES}


def test_lines_are_what_is_trained_validated_and_tested_with(store, tmp_path, masks):
    begun = train(config("syn-net", store, tmp_path / "a", epochs=1), quiet=True)
    masks.clear()
    fine = config("syn-net", store, tmp_path / "b", epochs=2, init=str(begun), lines=(1, 5), options={})
    record = load_model(train(fine, quiet=True))[1]
    assert {lines for series in masks.values() for lines in series} == {(1,) * 6, (5,) * 6}
    assert record.train.rate == (1 / 24, 5 / 24)
    assert EvaluateConfig().for_run(record, "x").rate == 1 / 24
    with pytest.raises(ValueError, match=r"lines must be at most the 24 of .*, got 25"):
        describe(config("syn-net", store, tmp_path / "c", lines=(25,)), open_store(store))


def test_accumulated_parts_make_the_gradient_of_the_whole_batch(store, tmp_path):
    """Without batch statistics and draws the parts add up to the very gradient, uneven ones, too."""
    kspace = read_cases(open_store(store), range(3), (0.0,))
    sampling = Undersampling(rate=(1.0,), lines=Lines(n_ky=24, n_center=0))
    found = {}
    for n in (1, 2, 3):
        session = session_of("disk", 0, tmp_path / str(n), series=True, accumulate=n)
        session.model.config = replace(session.model.config, queries=0)
        session.optimiser.step = session.optimiser.zero_grad = lambda: None
        train_step(session, sampling, kspace)
        found[n] = [weight.grad for weight in session.model.parameters()]
        assert session.scores.n == 3
    for n in (2, 3):
        for whole, parts in zip(found[1], found[n], strict=True):
            torch.testing.assert_close(parts, whole, atol=1e-5, rtol=1e-4)


def test_windows_of_frames_train_syn_net_and_no_other(store, tmp_path, monkeypatch):
    shapes = set()
    draw = Undersampling.draw
    monkeypatch.setattr(Undersampling, "draw", lambda *a: shapes.add((b := draw(*a)).kspace.shape[2]) or b)
    assert (
        load_model(train(config("syn-net", store, tmp_path / "w", window=4), quiet=True))[1].train.window == 4
    )
    assert shapes == {4}
    with pytest.raises(DataError, match="window must be 0 for li-net, which needs whole series, got 4"):
        describe(config("li-net", store, tmp_path, window=4), open_store(store))
    with pytest.raises(DataError, match="circular must be false for windows of 4 frames"):
        describe(config("syn-net", store, tmp_path, window=4, options={"circular": True}), open_store(store))
    with pytest.raises(DataError, match=r"window must be at most the 6 frames of .*, got 7"):
        describe(config("syn-net", store, tmp_path, window=7), open_store(store))


@pytest.mark.parametrize("name", [*MODELS, *RECONSTRUCTORS])
def test_networks_of_single_images_say_who_takes_series(name, store, tmp_path):
    values = TrainConfig.for_model(name, data=store, cine=True, out=str(tmp_path))
    if name in SERIES:
        assert describe(values, open_store(store)).n_frames == N_FRAMES
        return
    with pytest.raises(DataError, match=f"{name} takes single images, but .* holds series of 6 frames"):
        describe(values, open_store(store))


def test_series_networks_and_still_stores_do_not_mix_in_silence(store, tmp_path):
    still = str(write_test_store(tmp_path / "still.zarr", 4, 2, SHAPE))
    with pytest.raises(DataError, match=r"dims must be 2 for .*, got 3"):
        describe(config("syn-net", still, tmp_path, options={"dims": 3}), open_store(still))
    with pytest.raises(DataError, match=r"window must be 0 for the single images of .*, got 4"):
        describe(config("syn-net", still, tmp_path, window=4), open_store(still))
    done = train(config("syn-net", store, tmp_path / "run", epochs=1), quiet=True)
    with pytest.raises(
        DataError, match=r"was trained on series of frames, but .* holds still images|tells apart"
    ):
        from segnets.predict import predict

        predict(done, EvaluateConfig(data=still))


@pytest.fixture(scope="module")
def other_grid(tmp_path_factory):
    """Other hearts in 32 x 28 pixels and 9 frames."""
    return str(write_cine_store(tmp_path_factory.mktemp("other") / "hearts.zarr", 4, 1, (32, 28), 9))


@pytest.mark.parametrize(
    ("name", "sizes"),
    [("li-net", r"24 x 20 \(ky x kx\), but .* has 32 x 28"), ("disk", r"6 x 24 x 20 .* has 9 x 32 x 28")],
)
def test_networks_of_one_grid_refuse_another(name, sizes, store, other_grid, tmp_path):
    """DiSK would answer: with the frequencies of another grid, and so nonsense."""
    from segnets.predict import predict

    n_epochs = len(model_class(name).stages)
    done = train(config(name, store, tmp_path, epochs=n_epochs, validate="none"), quiet=True)
    with pytest.raises(DataError, match=sizes):
        predict(done, EvaluateConfig(data=other_grid))


def test_numbers_of_lines_are_never_those_of_another_grid(store, other_grid, tmp_path):
    """6 of 24 lines as a share would be 8 of 32."""
    from segnets.predict import predict

    done = train(config("syn-net", store, tmp_path, epochs=1, validate="none"), quiet=True)
    with pytest.raises(DataError, match=r"has 32 phase encodes, not 24, so 6 lines are a rate of 0.1875"):
        predict(done, EvaluateConfig(data=other_grid, lines=6))
    assert predict(done, EvaluateConfig(data=other_grid, rate=6 / 32)).labels.shape[1:] == (9, 32, 28)
    assert predict(done, EvaluateConfig(lines=6)).source["lines"] == 6
    with pytest.raises(DataError, match=r"lines must be at most the 24 that .* was trained on, got 25"):
        predict(done, EvaluateConfig(lines=25))


def test_a_comparison_says_where_masks_and_phases_are_not_the_same(store, tmp_path):
    """At one number of lines Syn-net and DiSK have masks and phases of their own, unless they are told."""
    runs = [
        train(config(name, store, tmp_path / name, epochs=1, validate="none"), quiet=True)
        for name in ("syn-net", "disk")
    ]
    syn, disk = (evaluate(path, EvaluateConfig(lines=9)) for path in runs)
    assert "NOT THE SAME" not in comparison_table(compared([syn, syn])).markdown()
    printed = comparison_table(compared([syn, disk])).markdown()
    assert "NOT THE SAME SAMPLES" in printed
    assert "syn-net: ktfocuss lines, 2 central from 8 on, phase sinusoid" in printed
    assert "disk: gaussian lines, 0 central, phase bumps" in printed


def test_crop_is_part_of_the_run_and_its_maps_stay_in_place(store, tmp_path):
    from segnets.predict import predict

    done = train(config("li-net", store, tmp_path, crop=(16, 12), epochs=2), quiet=True)
    model, record = load_model(done)
    assert record.shape == (16, 12) and (model.config.ny, model.config.nx) == (16, 12)
    prediction = predict(done, EvaluateConfig(split="test"))
    assert prediction.labels.shape == (2, N_FRAMES, 16, 12)
    whole = np.asarray(open_store(store).read("affine", prediction.index))
    # pixel (0, 0) of what is left is pixel (4, 4) of the whole
    assert prediction.affine[:, :3, 3] == pytest.approx(
        whole[:, :3, 3] + 4 * (whole[:, :3, 0] + whole[:, :3, 1])
    )
    assert np.linalg.norm(prediction.affine[0, :3, 0]) == pytest.approx(PITCH)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--lines", 4, "--rate", 0.2], "--lines decides what is sampled: leave out --rate"),
        (["--crop", "24"], "'24' is no size such as 168x208"),
        (["--n-center", 9], "n_center must be at most the 8 lines of center_from, got 9"),
    ],
)
def test_wrong_flags_are_one_sentence(arguments, sentence, store):
    result = CliRunner().invoke(main, ["train", "syn-net", "--data", store, *map(str, arguments)])
    assert result.exit_code == 2 and sentence in result.output
