"""Networks that end at the image: scored by PSNR and SSIM with the range of the whole volume."""

import json

import nibabel
import numpy as np
import pytest
import torch

from mrsim.store import open_store
from segnets import metrics
from segnets.checkpoint import load_model
from segnets.compare import compared, comparison_table, joint_examples
from segnets.config import TrainConfig
from segnets.data import DataError
from segnets.evaluate import EvaluateConfig, evaluate
from segnets.models import RECONSTRUCTORS
from segnets.outputs import text, write_comparison, write_evaluation
from segnets.pictures import draw_training_curve
from segnets.predict import predict, write_prediction
from segnets.train import train
from segnets.undersampling import Conditions, evaluation_batches
from tests.segnets.models.small import config_options
from tests.stores import begin_test_store, subject_arrays, test_layout

SHAPE = (32, 40)


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """Three slices of different brightness: the range of a slice is not that of the volume."""
    path = tmp_path_factory.mktemp("store") / "heads.zarr"
    writer = begin_test_store(path, test_layout(4, 3, SHAPE))
    for rank in writer.pending():
        arrays = subject_arrays(rank, 3, SHAPE)
        arrays["kspace"] = arrays["kspace"] * np.float32([0.5, 1, 0.7])[:, None, None, None]
        writer.write_subject(rank, arrays)
    writer.finish()
    return path


def trained(name, store, out, **overrides):
    options = {k: v for k, v in config_options(name, SHAPE).items() if k not in ("rate", "ny", "nx")}
    values = {"epochs": 2, "batch_size": 4, "n_center": 4, "rate": (0.3,), "noise": (0.05,), "lr": 1e-3}
    config = TrainConfig.for_model(
        name, data=str(store), out=str(out), options=options, **{**values, **overrides}
    )
    return train(config, quiet=True)


@pytest.fixture(scope="module")
def runs(tmp_path_factory, store):
    """One training of each, shared by the tests."""
    home = tmp_path_factory.mktemp("runs")
    return {name: trained(name, store, home / name) for name in ("loupe", "md-recon-net", "semunet")}


def images_by_hand(run, store, own):
    """Network's, zero-filled and reference magnitudes of the test split, from numpy's transforms."""
    model, _ = load_model(run)
    opened, made, zero = open_store(store), [], []
    conditions = Conditions(rate=1.0 if own else 0.3, noise=0.05, n_center=4)
    batches = evaluation_batches(str(store), "test", conditions, batch_size=2)
    for batch in batches:
        with torch.no_grad():
            output = model(batch.kspace, batch.mask)
        scale = batch.scale[:, :, None, None]
        mask = model.pattern() if own else batch.mask
        made.append((output.image.square().sum(1, keepdim=True).sqrt() * scale)[:, 0].numpy())
        kspace = torch.complex(batch.kspace[:, 0], batch.kspace[:, 1]).numpy() * (mask * scale)[:, 0].numpy()
        zero.append(np.abs(inverse(kspace)))
    reference = np.abs(inverse(opened.kspace(opened.indices("test"))[:, 0]))
    return np.concatenate(made), np.concatenate(zero), reference


def inverse(kspace):
    axes = (-2, -1)
    return np.fft.fftshift(np.fft.ifft2(np.fft.ifftshift(kspace, axes), norm="ortho"), axes)


@pytest.mark.parametrize("name", ["loupe", "md-recon-net", "semunet"])
def test_psnr_and_ssim_have_the_range_of_the_subjects_volume(runs, store, name):
    result = evaluate(runs[name], EvaluateConfig())
    made, zero, reference = images_by_hand(runs[name], store, own=name != "md-recon-net")
    peak = reference.max()  # of the only test subject
    assert result.segments == (name not in RECONSTRUCTORS) and result.makes_image
    for case, image, filled, truth in zip(result.cases, made, zero, reference, strict=True):
        for got_psnr, got_ssim, seen in (
            (case.psnr, case.ssim, image),
            (case.zero_psnr, case.zero_ssim, filled),
        ):
            rmse = np.sqrt(np.mean((seen - truth) ** 2))
            assert got_psnr == pytest.approx(20 * np.log10(peak / rmse), abs=1e-3)
            ssim = metrics.ssim(seen, truth, peak)  # which is checked against torchmetrics
            assert got_ssim == pytest.approx(ssim, abs=1e-4)
    (subject,) = result.subjects
    assert subject.psnr == pytest.approx(np.mean([case.psnr for case in result.cases]))


def test_tables_of_a_reconstruction_speak_of_images_and_of_what_is_sampled(runs, tmp_path):
    result = evaluate(runs["loupe"], EvaluateConfig())
    folder = write_evaluation(result, tmp_path / result.condition)
    assert folder.name == "test-noise0.05-rate0.3"
    printed = text(result)
    assert "30 % of k-space in a pattern of its own" in printed and "Dice" not in printed
    assert "| Image " in printed and "| Zero-filled " in printed
    summary = json.loads((folder / "summary.json").read_text())
    assert summary["summary"]["psnr"]["mean"] == pytest.approx(result.subjects[0].psnr)
    assert summary["pooled_over_all_pixels"] is None
    assert (folder / "reconstruction.png").stat().st_size > 10_000
    both = text(evaluate(runs["semunet"], EvaluateConfig()))
    assert "| Dice, pooled" in both and "| Image " in both
    assert draw_training_curve(runs["loupe"]).is_file()


def test_networks_with_and_without_labels_are_compared_by_their_images(runs, store, tmp_path):
    results = [evaluate(runs[name], EvaluateConfig()) for name in ("md-recon-net", "loupe", "semunet")]
    comparison = compared(results)
    assert comparison.metric == "psnr"
    difference = results[1].subjects[0].psnr - results[0].subjects[0].psnr
    assert comparison.tests[0].difference.mean == pytest.approx(difference)
    table = comparison_table(comparison)
    assert table.header[2:4] == ("PSNR [dB]", "SSIM") and "Mean Dice" not in table.header
    assert "(loupe, semunet: in a pattern of its own)" in table.title
    folder = write_comparison(comparison, joint_examples(comparison), tmp_path / "comparison")
    assert (folder / "comparison.png").stat().st_size > 10_000
    one_step = evaluate(trained("one-step", store, tmp_path / "one-step"), EvaluateConfig())
    assert not one_step.makes_image and np.isfinite(one_step.mean("zero_psnr"))
    with pytest.raises(DataError, match="loupe makes no labels and one-step no image: nothing to compare"):
        compared([results[1], one_step])


def test_best_checkpoint_of_a_reconstruction_is_that_of_the_smallest_validation_loss(runs):
    history = torch.load(runs["md-recon-net"] / "last.pt", weights_only=True)["progress"]
    assert history["best"] == -min(row["val_loss"] for row in history["history"])
    assert (runs["md-recon-net"] / "best.pt").is_file()


def test_predicted_images_are_written_where_the_slices_lie(runs, store, tmp_path):
    prediction = predict(runs["md-recon-net"], EvaluateConfig(split="test"))
    made, _, _ = images_by_hand(runs["md-recon-net"], store, own=False)
    np.testing.assert_allclose(prediction.images, made, rtol=1e-5, atol=1e-7)
    (path,) = write_prediction(prediction, tmp_path / "maps", "nifti")
    assert path.name == "subject-03_image.nii.gz"
    volume = nibabel.load(path)
    assert volume.get_fdata().max() == pytest.approx(made.max(), rel=1e-5)
    assert volume.shape == (32, 40, 3)  # RAS: y of the store runs to the right, x to anterior
    (zarr_path,) = write_prediction(prediction, tmp_path / "maps.zarr", "zarr")
    import xarray

    np.testing.assert_array_equal(xarray.open_zarr(zarr_path, consolidated=False).image, prediction.images)
