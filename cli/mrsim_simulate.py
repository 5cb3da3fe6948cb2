"""`mrsim simulate`: one scan of one slice, with any sequence."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from cli.errors import checked, one_line_errors
from cli.options import quiet_option
from cli.progress import progress_bar
from cli.units import MM, MS, pair, whole_pair
from cli.values import parse_pairs

if TYPE_CHECKING:
    from mrsim.imperfections.gradients import EddyCurrent
    from mrsim.imperfections.model import Imperfections
    from mrsim.scanner.scan import Played, Scan

F = TypeVar("F", bound=Callable[..., Any])

# flags that are shorthands for -p NAME=VALUE
SHORTHANDS = (
    ("te", "Echo time [ms]."),
    ("tr", "Repetition time [ms]."),
    ("flip", "Excitation flip angle [deg]."),
    ("bandwidth", "Readout bandwidth [Hz/px]."),
    ("rf", "Pulses: shaped (slice-selective) or ideal."),
)
FAT_SHIFT = -3.4e-6  # of the field, where fat is saturated unless it is told
ENGINE_HELP = "Bloch engine: auto, cartesian, nufft, isochromat, dynamic or reference."


def shorthand_options(command: F) -> F:
    """Add a flag for each of SHORTHANDS."""
    for name, text in reversed(SHORTHANDS):
        command = click.option(f"--{name}", help=text, show_default="of the sequence")(command)
    return command


@click.command()
@click.option(
    "--sequence",
    default="spin-echo",
    show_default=True,
    metavar="NAME|FILE.seq",
    help="Pulse sequence (mrsim sequences), or a Pulseq file.",
)
@click.option(
    "-p",
    "--parameter",
    "parameters",
    multiple=True,
    metavar="NAME=VALUE",
    help="Parameter of the sequence in the unit of mrsim sequences; may be repeated.",
)
@shorthand_options
@click.option("--matrix", help="Pixels, phase encode x readout.", show_default="of the sequence")
@click.option("--fov", help="Field of view, phase encode x readout [mm].", show_default="of the sequence")
@click.option("--slice-thickness", type=float, help="Slice thickness [mm].", show_default="of the sequence")
@click.option(
    "--phantom",
    default="synthetic",
    show_default=True,
    metavar="NAME|FILE",
    help="Phantom (mrsim phantoms), spins of KomaMRI (.phantom) or JEMRIS (.h5), or a label map (.nii.gz).",
)
@click.option("--subject", type=int, help="Subject number.", show_default="the first")
@click.option(
    "--phantom-dir",
    type=click.Path(),
    help="Folder of the BrainWeb volumes, or label map(s) for nifti.",
    show_default="MRSIM_BRAINWEB_DIR, then the cache",
)
@click.option(
    "--tissues", default="", help="Tissue table: name or TOML file.", show_default="of the field strength"
)
@click.option("--field-strength", type=float, default=1.5, show_default=True, help="Main field [T].")
@click.option(
    "--slice-position",
    type=float,
    help="Position along the slice normal [mm].",
    show_default="the middle of the object",
)
@click.option("--orientation", default="axial", show_default=True, help="axial, coronal or sagittal.")
@click.option(
    "--every", type=int, default=1, show_default=True, help="Take every n-th voxel of the phantom (faster)."
)
@click.option("--allow-wrap", is_flag=True, help="Let an object larger than the field of view fold over.")
@click.option("--coils", type=int, default=1, show_default=True, help="Receive coils; 1 is uniform.")
@click.option(
    "--coil-array",
    default="loops",
    show_default=True,
    help="Coils: loops (Biot-Savart), birdcage, or a NIfTI file of complex sensitivities (x, y, z, coil).",
)
@click.option(
    "--b0",
    default="off",
    show_default=True,
    help="Off-resonance map: off, susceptibility, smooth (random) or a NIfTI file [Hz].",
)
@click.option("--b0-strength", type=float, default=1.0, show_default=True, help="Factor on the map.")
@click.option(
    "--b1",
    default="off",
    show_default=True,
    help="Transmit field map: off, or a NIfTI file relative to the nominal field (a model: -i b1=0.4).",
)
@click.option(
    "--motion",
    metavar="FILE.csv",
    help="Rigid motion: lines of t_s,x_mm,y_mm,z_mm,rx_deg,ry_deg,rz_deg below that header.",
)
@click.option(
    "-i",
    "--imperfection",
    "imperfections",
    multiple=True,
    metavar="NAME=VALUE",
    help="What is wrong with scanner or patient, as drift=0.5; may be repeated (list: --imperfections).",
)
@click.option("--imperfections", "list_imperfections", is_flag=True, help="List the imperfections and stop.")
@click.option(
    "--noise", type=float, default=0.0, show_default=True, help="Noise [share of the RMS of the samples]."
)
@click.option("--seed", type=int, default=0, show_default=True, help="Seed of everything random.")
@click.option("--engine", default="auto", show_default=True, help=ENGINE_HELP)
@click.option("--device", default="cpu", show_default=True, help="cpu or cuda.")
@click.option(
    "--n-sub",
    default="4",
    show_default=True,
    help="Nodes across the cell of each spin in z, or XxYxZ (1x8x4).",
)
@click.option(
    "--combine",
    default="rss",
    show_default=True,
    help="Coils to one image: rss (root sum of squares) or maps (least squares).",
)
@click.option(
    "--out",
    "outs",
    multiple=True,
    metavar="FILE",
    help="Where to write, by suffix: .mrd or .h5 (ISMRMRD), .nii.gz (magnitude), .npz (arrays), .png; "
    "may be repeated.",
    show_default="./SEQUENCE.mrd",
)
@quiet_option
@one_line_errors
def simulate(
    outs: tuple[str, ...],
    combine: str,
    list_imperfections: bool,
    quiet: bool,
    **flags: Any,  # noqa: ANN401
) -> None:
    """Scan one slice of a phantom with any sequence, and write raw data and images.

    Raw data are ISMRMRD (MRD) files that other reconstructions read; images are made by Fourier transform on
    a Cartesian grid and by NUFFT off it.
    """
    if list_imperfections:
        click.echo(imperfections_text())
        return
    outs = outs or (f"{Path(flags['sequence']).stem}.mrd",)
    from mrsim.files.scans import check_suffix, needs_images, write_scan
    from mrsim.reconstruction.combine import METHODS
    from phantoms.names import known

    checked(known, "combine", combine, METHODS)
    for out in outs:
        checked(check_suffix, out)
        if not Path(out).absolute().parent.is_dir():
            raise click.UsageError(f"folder of {out} must exist")
    with progress_bar("simulate", quiet=quiet, unit="steps") as report:
        steps = 2 + len(outs)
        report(0, steps)
        scan = checked(run, flags)
        report(1, steps)
        from mrsim.reconstruction.images import reconstruct

        images = None
        if any(needs_images(out) for out in outs):
            images = checked(reconstruct, scan, combination=combine)
        for done, out in enumerate(outs, start=2):
            report(done, steps)
            write_scan(out, scan, images)
    if not quiet:
        click.echo(f"{', '.join(outs)}: {summary(scan)}")


def run(flags: dict[str, Any]) -> Scan:
    """Scan what the flags describe; ValueError for what is unknown or impossible."""
    from mrsim.bloch.engine import require_device
    from mrsim.imperfections.motion import read_motion
    from mrsim.scanner.setup import Setup

    require_device(flags["device"])
    position = flags["slice_position"]
    setup = Setup(
        phantom=flags["phantom"],
        subject=flags["subject"],
        phantom_dir=flags["phantom_dir"],
        tissues=flags["tissues"],
        field_strength=flags["field_strength"],
        orientation=flags["orientation"],
        position=None if position is None else position * MM,
        coils=flags["coils"],
        coil_array=flags["coil_array"],
        b0=flags["b0"],
        b0_strength=flags["b0_strength"],
        b1=flags["b1"],
        every=flags["every"],
        allow_wrap=flags["allow_wrap"],
        seed=flags["seed"],
    )
    wrong = imperfections_of(flags["imperfections"])
    what, fov, thickness = sequence_of(flags)
    return setup.run(
        what,
        fov,
        thickness,
        imperfections=wrong,
        motion=read_motion(flags["motion"]) if flags["motion"] else None,
        noise=flags["noise"],
        seed=flags["seed"],
        engine=flags["engine"],
        device=flags["device"],
        n_sub=sub_positions_of(flags["n_sub"]),
    )


def sequence_of(flags: dict[str, Any]) -> tuple[Played, tuple[float, float], float]:
    """Give the sequence, its field of view (y, x) and slice thickness [m]."""
    from mrsim.constants import GAMMA_BAR
    from mrsim.scanner.scan import played
    from mrsim.sequences import describe, sequence_class

    name = flags["sequence"]
    pairs = [*flags["parameters"]]
    pairs += [f"{key}={flags[key]}" for key, _ in SHORTHANDS if flags[key] is not None]
    geometry = geometry_of(flags)
    if name.endswith(".seq"):
        return pulseq_file(name, pairs, geometry, flags["field_strength"])
    cls = sequence_class(name)
    values = parse_pairs(pairs, describe(name)[1], f"parameter of {name}")
    if values.get("fat_saturation") and "fat_frequency" not in values:
        values["fat_frequency"] = FAT_SHIFT * GAMMA_BAR * flags["field_strength"]
    sequence = cls(**{**values, **geometry})
    return played(name, sequence), sequence.fov, sequence.thickness


def pulseq_file(
    name: str, pairs: list[str], geometry: dict[str, Any], field_strength: float
) -> tuple[Played, tuple[float, float], float]:
    """Read a Pulseq file; ValueError for parameters, which are in the file."""
    from dataclasses import replace

    from mrsim.pulseq.read import read_pulseq
    from mrsim.scanner.scan import played

    if pairs:
        raise ValueError(f"parameters must not be given for a Pulseq file, which has its own, got {pairs[0]}")
    sequence = replace(read_pulseq(name, field_strength=field_strength), **geometry)
    return played(Path(name).name, sequence), sequence.fov, sequence.thickness


def sub_positions_of(text: str) -> int | tuple[int, int, int]:
    """Nodes across a cell: `4` in z, or `1x8x4` in x, y and z."""
    parts = text.lower().split("x")
    if len(parts) not in (1, 3) or not all(part.strip().isdecimal() for part in parts):
        raise ValueError(f"n_sub must look like 4 (in z) or 1x8x4 (x, y, z), got {text!r}")
    counts = [int(part) for part in parts]
    return counts[0] if len(counts) == 1 else (counts[0], counts[1], counts[2])


def geometry_of(flags: dict[str, Any]) -> dict[str, Any]:
    """Matrix, field of view and thickness, as far as they are given; SI."""
    found: dict[str, Any] = {}
    if flags["matrix"] is not None:
        found["matrix"] = whole_pair(flags["matrix"])
    if flags["fov"] is not None:
        y, x = pair(flags["fov"])
        found["fov"] = (round(y * MM, 12), round(x * MM, 12))
    if flags["slice_thickness"] is not None:
        found["thickness"] = round(flags["slice_thickness"] * MM, 12)
    return found


def imperfections_of(pairs: tuple[str, ...]) -> Imperfections | None:
    """Imperfections that the flags name."""
    if not pairs:
        return None
    from mrsim.imperfections.model import Imperfections

    terms = [pair for pair in pairs if pair.replace("-", "_").startswith("eddy_currents=")]
    others = [pair for pair in pairs if pair not in terms]
    found = parse_pairs(others, imperfection_rows(), "imperfection")
    currents = [eddy_current(text) for pair in terms for text in pair.partition("=")[2].split(",")]
    return Imperfections(**found, eddy_currents=tuple(currents))


def eddy_current(text: str) -> EddyCurrent:
    """Term of the eddy currents from AXIS:SHARE:MS or AXIS:METRES:MS:b0."""
    from mrsim.imperfections.gradients import EddyCurrent

    axis, *rest = text.strip().split(":")
    try:
        amplitude, time = float(rest[0]), float(rest[1]) * MS
    except (IndexError, ValueError):
        rest = []
    if len(rest) not in (2, 3):
        raise ValueError(
            f"eddy_currents must be AXIS:SHARE:MS or AXIS:METRES:MS:b0, like x:0.02:5, got {text!r}"
        )
    return EddyCurrent(axis=axis, amplitude=amplitude, time=time, field=rest[2] if rest[2:] else "linear")


def imperfection_rows() -> list[Any]:
    """Parameters of the imperfections."""
    from dataclasses import fields

    from mrsim.imperfections.model import Imperfections
    from mrsim.sequences import Parameter

    return [
        Parameter(f.name, f.default, f.metadata["unit"], f.metadata["help"]) for f in fields(Imperfections)
    ]


def imperfections_text() -> str:
    """List the imperfections with their units."""
    from cli.describe import parameter_lines

    return "\n".join(parameter_lines(imperfection_rows()))


def summary(scan: Scan) -> str:
    """One line: what was scanned, by which engine and why, and how long it took."""
    coils = f"{scan.signal.shape[0]} coil" + "s" * (scan.signal.shape[0] > 1)
    return (
        f"{scan.played.name} of {scan.phantom}, engine {scan.engine} ({scan.reason}), "
        f"{scan.n_spins:,} spins, {scan.signal.shape[1]:,} samples, {coils}, {scan.seconds:.2f} s"
    )
