"""The command `segnets`: train, evaluate and apply networks that segment from undersampled k-space."""

from __future__ import annotations

import json
from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cli.describe_models import model_text, models_table, n_parameters
from cli.errors import checked, one_line_errors
from cli.options import quiet_option, version_option
from cli.progress import progress_bar
from cli.segnets_benchmark import benchmark, report
from cli.segnets_import import import_data
from cli.segnets_mask import mask as mask_command
from cli.train_options import flag, given, train_options

if TYPE_CHECKING:
    from segnets.evaluate import EvaluateConfig, Evaluation

MAY_CHANGE_ON_RESUME = ("epochs", "max_minutes")

# Flags whose names are fields are handed on as **flags: Any: click checks their types, mypy cannot.
data_option = click.option(
    "--data", default="", metavar="STORE", help="Store (path or URL)  [default: the one it was trained on]."
)
which_option = click.option(
    "--which", type=click.Choice(("last", "best")), default="last", show_default=True, help="Checkpoint."
)
device_option = click.option(
    "--device",
    type=click.Choice(("auto", "cpu", "cuda")),
    default="auto",
    show_default=True,
    help="Where to run.",
)
mask_option = click.option(
    "--mask",
    default="",
    metavar="FILE|RUN",
    help="Sampling pattern for all slices instead of lines: .npy file, or a run that has one.",
)
inu_option = click.option(
    "--inu", type=float, help="Level of the intensity non-uniformity, 0.2 = 20 %  [default: the training's]."
)
phase_option = click.option(
    "--phase",
    type=click.Choice(("none", "sinusoid", "bumps")),
    help="Phase that the images get for their own, fixed by slice  [default: the training's].",
)
batch_option = click.option("--batch-size", type=int, default=12, show_default=True, help="Slices at a time.")


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@version_option("segnets")
def main() -> None:
    """Train, evaluate and apply networks that segment directly from undersampled k-space."""


main.add_command(mask_command)
main.add_command(import_data)


@main.command()
@click.argument("name", required=False)
@click.option(
    "--set", "pairs", multiple=True, metavar="OPTION=VALUE", help="Option of the model; repeatable."
)
@one_line_errors
def models(name: str | None, pairs: tuple[str, ...]) -> None:
    """List the networks, or show one: its size, cost and options, and how its paper trains it."""
    from segnets.config import check_choice
    from segnets.models import MODELS, RECONSTRUCTORS, model_class

    known = MODELS | RECONSTRUCTORS
    if name is None and pairs:
        raise click.UsageError("--set needs the NAME of a model")
    if name is None:
        click.echo(models_table([(each, model_class(each)) for each in known]))
        return
    checked(check_choice, "model", name, known)
    click.echo(model_text(name, model_class(name), pairs))


@main.command()
@click.argument("model", required=False)
@train_options
@click.option(
    "--set", "pairs", multiple=True, metavar="OPTION=VALUE", help="Option of the model; repeatable."
)
@click.option("--resume", "run", metavar="RUN", help="Go on with the run in this directory.")
@quiet_option
@one_line_errors
def train(model: str | None, run: str | None, pairs: tuple[str, ...], quiet: bool, **flags: Any) -> None:  # noqa: ANN401
    """Train MODEL on a store, or go on with a run: segnets train --resume RUN."""
    overrides = given(flags)
    if run is not None:
        resume_run(run, model, pairs, overrides, quiet)
        return
    if model is None:
        raise click.UsageError("MODEL is missing; segnets models lists them")
    from segnets.config import TrainConfig, check_choice, parse_options
    from segnets.models import MODELS, RECONSTRUCTORS, model_class

    checked(check_choice, "model", model, MODELS | RECONSTRUCTORS)
    if "data" not in overrides:
        raise click.UsageError("--data is missing: the store to train on")
    check_sampling(overrides)
    overrides["options"] = checked(parse_options, model_class(model).Config, pairs)
    checked(n_parameters, model, overrides["options"])  # builds the network, without room for its weights
    checked(TrainConfig.for_model, model, **overrides)  # wrong values show before a store is looked for

    from segnets.data import as_store
    from segnets.train import describe
    from segnets.train import train as run_training

    store = as_store(overrides["data"])
    config = checked(TrainConfig.for_model, model, cine=store.n_frames > 0, **overrides)
    checked(describe, config, store)  # options that do not fit the store are usage errors
    finish_training(lambda: run_training(config, quiet=quiet), quiet)


def check_sampling(flags: dict[str, Any]) -> None:
    """Refuse two flags that each decide what is sampled."""
    for one, other in (("mask", "rate"), ("mask", "lines"), ("lines", "rate")):
        if flags.get(one) and flags.get(other):
            raise click.UsageError(f"--{one} decides what is sampled: leave out --{other}")


def resume_run(
    run: str, model: str | None, pairs: tuple[str, ...], overrides: dict[str, Any], quiet: bool
) -> None:
    """Go on with a run as it was configured."""
    fixed = [flag(name) for name in overrides if name not in MAY_CHANGE_ON_RESUME]
    fixed += ["MODEL"] * (model is not None) + ["--set"] * bool(pairs)
    if fixed:
        raise click.UsageError(
            f"--resume goes on with the run as it was configured: leave out {', '.join(fixed)} "
            f"(only {' and '.join(map(flag, MAY_CHANGE_ON_RESUME))} may change)"
        )
    from segnets.train import resume

    finish_training(lambda: resume(run, quiet=quiet, **overrides), quiet)


def finish_training(training: Callable[[], Path], quiet: bool) -> None:
    """Run a training and draw its curve; Ctrl-C says how to go on."""
    try:
        run_dir = training()
    except KeyboardInterrupt:
        raise KeyboardInterrupt(
            "interrupted; segnets train --resume RUN goes on from the last checkpoint of the run directory"
        ) from None
    finish(run_dir, quiet)


def finish(run_dir: Path, quiet: bool) -> None:
    """Draw the training curve and the sampling pattern, and say where everything is."""
    from segnets.pictures import draw_training_curve, read_log

    done = int(read_log(run_dir / "log.csv")["epoch"][-1]) if (run_dir / "log.csv").is_file() else 0
    epochs = json.loads((run_dir / "config.json").read_text(encoding="utf-8"))["train"]["epochs"]
    if done and not quiet:
        click.echo(f"training curve: {draw_training_curve(run_dir)}")
    if (run_dir / "mask.npy").is_file() and not quiet:
        click.echo(f"sampling pattern: {draw_mask(run_dir)}")
    if done < epochs:
        click.echo(
            f"stopped after {done} of {epochs} epochs; segnets train --resume {run_dir} goes on", err=True
        )
    click.echo(str(run_dir))


def draw_mask(run_dir: Path) -> Path:
    """Draw the sampling pattern of a finished run as mask.png."""
    from segnets.patterns import pattern_of_run, probability_of_run
    from segnets.pictures import draw_pattern

    path = run_dir / "mask.png"
    pattern, probability = pattern_of_run(run_dir), probability_of_run(run_dir)
    return draw_pattern(pattern, path, probability=probability, title=run_dir.name)


@main.command()
@click.argument("runs", nargs=-1, required=True, metavar="RUN...")
@data_option
@click.option(
    "--split",
    type=click.Choice(("train", "validation", "test")),
    default="test",
    show_default=True,
    help="Subjects to evaluate on.",
)
@click.option(
    "--noise",
    type=float,
    multiple=True,
    help="Noise, share of the RMS of the noise-free k-space; repeatable  [default: the training's first].",
)
@click.option(
    "--rate",
    type=float,
    multiple=True,
    help="Share of phase-encode lines that is kept; repeatable  [default: the training's first].",
)
@click.option(
    "--lines",
    type=int,
    multiple=True,
    help="Or their number, of a cine in every frame; repeatable.",
)
@mask_option
@phase_option
@inu_option
@which_option
@click.option(
    "--pooled-hd95", is_flag=True, help="HD95 over both directed sets together (MedPy's definition)."
)
@click.option(
    "--allow-seen", is_flag=True, help="Evaluate also on subjects of --data that RUN was trained on."
)
@click.option(
    "--control",
    type=click.Choice(("none", "mean-shape", "other-subject")),
    default="none",
    show_default=True,
    help="Answer without information in place of RUN's: the training subjects' mean, or k-space of another.",
)
@batch_option
@device_option
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    help="Folder for tables and pictures  [default: RUN/evaluation, and of several runs comparison/].",
)
@quiet_option
@one_line_errors
def evaluate(
    runs: tuple[str, ...],
    noise: tuple[float, ...],
    rate: tuple[float, ...],
    lines: tuple[int, ...],
    pooled_hd95: bool,
    out: Path | None,
    quiet: bool,
    **flags: Any,  # noqa: ANN401
) -> None:
    """Score RUN on unseen subjects: tables per slice and subject, and a picture.

    Dice, Hausdorff, HD95 and ASSD of its labels, PSNR and SSIM of the image where it makes one. Several runs
    are put side by side on the same slices, masks and noise, with paired differences per subject from the
    first one.
    """
    check_sampling({"rate": rate, "lines": lines, **flags})
    kept: list[dict[str, Any]] = [*({"rate": r} for r in rate), *({"lines": k} for k in lines)]
    if any(n is not None and n < 0 for n in noise) or any(not 0 < r <= 1 for r in rate):
        raise click.UsageError(f"noise must be >= 0 and rate must lie in (0, 1], got {noise} and {rate}")
    from segnets.evaluate import EvaluateConfig

    for n, sampled in product(noise or (None,), kept or [{}]):
        config = checked(EvaluateConfig, noise=n, pooled=pooled_hd95, **sampled, **flags)
        evaluate_condition(runs, config, out, quiet)


def evaluate_condition(runs: tuple[str, ...], config: EvaluateConfig, out: Path | None, quiet: bool) -> None:
    """Evaluate all runs under one condition; print and write what came out."""
    from segnets import evaluate as module
    from segnets.compare import compared, joint_examples
    from segnets.outputs import comparison_text, text, write_comparison, write_evaluation

    evaluations: list[Evaluation] = []
    for run in runs:
        with progress_bar(run, quiet=quiet, unit="slices") as progress:
            evaluations.append(module.evaluate(Path(run), config, progress))
    comparison = compared(evaluations) if len(runs) > 1 else None  # first: a mismatch leaves nothing behind
    for name, evaluation in zip(runs, evaluations, strict=True):
        home = (
            evaluation.run_dir / "evaluation"
            if out is None
            else out / (evaluation.name if comparison else "")
        )
        folder = write_evaluation(evaluation, home / evaluation.condition)
        click.echo(text(evaluation) if comparison is None else f"{name}: {folder}")
        if comparison is None and not quiet:
            click.echo(f"\ntables and picture: {folder}\n")
    if comparison is not None:
        first = evaluations[0]
        home = out or first.run_dir.parent / "comparison"
        folder = write_comparison(comparison, joint_examples(comparison), home / first.condition)
        click.echo(f"\n{comparison_text(comparison)}")
        if not quiet:
            click.echo(f"\ntables and picture: {folder}\n")


@main.command()
@click.argument("run")
@data_option
@click.option(
    "--out", type=click.Path(path_type=Path), required=True, help="Folder of NIfTI volumes, or NAME.zarr."
)
@click.option(
    "--format",
    "form",
    type=click.Choice(("nifti", "zarr")),
    help="What to write  [default: zarr where --out ends in .zarr, else nifti].",
)
@click.option(
    "--split",
    type=click.Choice(("all", "train", "validation", "test")),
    default="all",
    show_default=True,
    help="Subjects to segment.",
)
@click.option("--noise", type=float, help="Noise level to add  [default: the training's first].")
@click.option("--rate", type=float, help="Share of lines that is kept  [default: the training's first].")
@click.option("--lines", type=int, help="Or their number, of a cine in every frame.")
@mask_option
@phase_option
@inu_option
@which_option
@batch_option
@device_option
@click.option("--overwrite", is_flag=True, help="Replace what is at --out.")
@quiet_option
@one_line_errors
def predict(run: str, out: Path, form: str | None, overwrite: bool, quiet: bool, **flags: Any) -> None:  # noqa: ANN401
    """Apply the network in RUN to a store; write its label maps, or its images where it makes none."""
    if out.exists() and not overwrite:
        raise click.ClickException(f"{out} exists; choose another --out or replace it with --overwrite")
    check_sampling(flags)
    from segnets import predict as module
    from segnets.evaluate import EvaluateConfig

    config = checked(EvaluateConfig, **flags)
    with progress_bar(run, quiet=quiet, unit="slices") as progress:
        prediction = module.predict(Path(run), config, progress)
    form = form or ("zarr" if out.suffix == ".zarr" else "nifti")
    for path in module.write_prediction(prediction, out, form, overwrite=overwrite):
        click.echo(str(path))


for command in (benchmark, report):
    main.add_command(command)

if __name__ == "__main__":
    main()
