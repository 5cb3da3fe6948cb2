"""Training speed of a network at the paper's size, with the share of the time spent waiting for data.

python benchmarks/training.py --device cpu --batch 1 --steps 2
python benchmarks/training.py --device cuda --batch 12 --steps 40 --precision bf16-mixed --channels-last

Runs the real loop twice, on a set in the memory of the device and on the same set streamed from disk. The
first epoch warms up, the second one is reported. Without --store the cases are noise, which costs the same.
"""

from __future__ import annotations

import argparse
import csv
import platform
import resource
import tempfile
from pathlib import Path

import numpy as np
import torch

from mrsim.store import Layout, StoreWriter
from segnets.config import PRECISIONS, TrainConfig, parse_options
from segnets.models import MODELS, model_class
from segnets.train import train


def noise_store(path: Path, n_subjects: int, n_slices: int, shape: tuple[int, int]) -> str:
    """Write a store of that size whose k-space is noise."""
    names = ("background", "CSF", "GM", "WM")
    layout = Layout(
        n_subjects=n_subjects,
        n_slices=n_slices,
        shape=shape,
        pixel_spacing=(1e-3, 1e-3),
        class_names=names,
        tissue_names=names,
    )
    n = layout.n_cases
    coords = {
        "subject": np.repeat(np.arange(n_subjects), n_slices),
        "slice": np.tile(np.arange(n_slices), n_subjects),
        "te": np.full(n, 80e-3),
        "tr": np.full(n, 3.0),
        "split": np.zeros(n, np.uint8),
    }
    attrs = {"recipe": {"name": "noise"}, "recipe_hash": "noise", "seed": 0, "versions": {}}
    writer = StoreWriter.create(path, layout, coords, attrs)
    for rank in writer.pending():
        rng = np.random.default_rng(rank)
        kspace = rng.standard_normal((n_slices, 1, *shape, 2), np.float32).view(np.complex64)[..., 0]
        labels = rng.integers(4, size=(n_slices, *shape), dtype=np.uint8)
        affine = np.tile(np.eye(4), (n_slices, 1, 1))
        writer.write_subject(rank, {"kspace": kspace, "labels": labels, "tissue": labels, "affine": affine})
    writer.finish()
    return str(path)


def measure(config: TrainConfig) -> dict[str, float]:
    """Train two epochs; the last row of the log, and the peak memory [byte]."""
    cuda = config.device == "cuda"
    if cuda:
        torch.cuda.reset_peak_memory_stats()
    run_dir = train(config, quiet=True)
    with (run_dir / "log.csv").open() as file:
        row = {name: float(value) for name, value in list(csv.DictReader(file))[-1].items()}
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024  # of the process so far
    return row | {"peak": float(torch.cuda.max_memory_allocated() if cuda else peak)}


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", default="seranet", choices=MODELS)
    parser.add_argument("--option", action="append", default=[], metavar="NAME=VALUE")
    parser.add_argument("--device", default="cpu", choices=("cpu", "cuda"))
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--steps", type=int, default=2, help="per epoch")
    parser.add_argument("--precision", default="32-true", choices=PRECISIONS)
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("--channels-last", action="store_true")
    parser.add_argument("--store", help="a real store in place of noise at 180 x 216")
    return parser.parse_args()


def main() -> None:
    args = arguments()
    options = parse_options(model_class(args.model).Config, args.option)
    n_cases = args.batch * args.steps
    name = (
        torch.cuda.get_device_name() if args.device == "cuda" else platform.processor() or platform.machine()
    )
    print(f"{args.model} {options or '(paper)'}, batch {args.batch}, {args.precision}, {name}")
    with tempfile.TemporaryDirectory() as folder:
        n_subjects = max(8, -(-n_cases // 57))  # more shards than the buffer holds, as in the published set
        n_slices = -(-n_cases // n_subjects)
        store = args.store or noise_store(Path(folder) / "noise.zarr", n_subjects, n_slices, (180, 216))
        for resident in ("yes", "no"):
            config = TrainConfig.for_model(
                args.model,
                data=store,
                options=options,
                epochs=2,
                batch_size=args.batch,
                n_cases=n_cases,
                device=args.device,
                precision=args.precision,
                compile=args.compile,
                channels_last=args.channels_last,
                resident=resident,
                validate="none",
                out=str(Path(folder) / resident),
            )
            row = measure(config)
            print(
                f"{'resident' if resident == 'yes' else 'streamed':<10} {row['samples_per_s']:8.2f} samples/s"
                f"   waiting for data {100 * row['wait_share']:6.3f} %   peak {row['peak'] / 1e9:.1f} GB"
            )


if __name__ == "__main__":
    main()
