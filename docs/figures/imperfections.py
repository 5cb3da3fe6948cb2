"""Draw docs/images/imperfection-*.png: what each imperfection does to an image.

python docs/figures/imperfections.py docs/images [fields|scanner|patient] ...

Every picture is made by two runs of `mrsim simulate` (MRSIM_BRAINWEB_DIR must hold BrainWeb subject 04).
"""

from __future__ import annotations

import io
import sys
import tempfile
from pathlib import Path

import matplotlib as mpl

mpl.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
from click.testing import CliRunner
from PIL import Image

sys.path.insert(0, str(Path(__file__).parents[2]))
from cli.mrsim import main as mrsim
from mrsim.slices.plane import upright

BRAIN = "--phantom brainweb --subject 4 --every 4 --rf ideal --quiet"
SE = f"{BRAIN} --sequence spin-echo --matrix 90x108 --slice-thickness 5"
GRE = f"{BRAIN} --sequence gre --matrix 90x108 --slice-thickness 5"
EPI = f"{BRAIN} --sequence epi --slice-thickness 5"
RADIAL = f"{BRAIN} --sequence radial --matrix 96x96 --slice-thickness 5 -p spokes=151"
BOTTLE = "--phantom cylinder --every 2 --rf ideal --quiet --te 20 --tr 700 --matrix 64x64 --fov 200x200"
COARSE = "--phantom brainweb --subject 4 --every 16 --quiet --sequence gre --matrix 36x36 --fov 216x216"
NOD = "t_s,x_mm,y_mm,z_mm,rx_deg,ry_deg,rz_deg\n60,0,0,0,0,0,0\n180,3,0,0,0,0,6\n"

# name -> (title, scan, flags of the ideal one, flags of the other)
PICTURES: dict[str, list[tuple[str, str, str, str]]] = {
    "fields": [
        ("B0 map (EPI)", EPI, "", "--b0 susceptibility"),
        ("drift 2 Hz/s (GRE, 45 s)", f"{GRE} --te 20 --tr 500 --flip 60", "", "-i drift=2"),
        ("B1+, b1=0.5 (GRE)", f"{GRE} --tr 500 --flip 60 --field-strength 3", "", "-i b1=0.5"),
        ("T2' (GRE, TE 40 ms)", f"{GRE} --te 40 --tr 500 --flip 60", "-i t2prime=no", ""),
        ("chemical shift (3 T)", f"{SE} --te 20 --field-strength 3", "-i chemical_shift=no", ""),
        ("six lines of fat (GRE)", f"{GRE} --te 10 --tr 500 --flip 60", "", "-i fat_lines=yes"),
        ("concomitant fields (EPI)", f"{EPI} --orientation coronal", "", "-i concomitant=yes"),
        ("gradient error -0.2", f"{SE} --te 20", "", "-i gradient_error=-0.2"),
    ],
    "scanner": [
        ("gradient delay 2 us (EPI)", EPI, "", "-i gradient_delay=0.002x0x0"),
        ("gradient delay 5 us (radial)", RADIAL, "", "-i gradient_delay=0.005x0.005x0"),
        ("eddy currents 2 %, 0.4 ms (radial)", RADIAL, "", "-i eddy_currents=x:0.02:0.4,y:0.02:0.4"),
        ("one of 8 loops", f"{SE} --te 20", "", "--coils 8"),
        ("receiver off by 520 Hz", f"{SE} --te 20", "", "-i receiver_frequency=520"),
        ("receiver off by 60 deg (real part)", f"{SE} --te 20", "", "-i receiver_phase=60"),
        ("2 spikes", f"{SE} --te 20", "", "-i spikes=2 -i spike_level=0.1"),
        ("converter of 8 bits", f"{SE} --te 20", "", "-i adc_bits=8"),
    ],
    "patient": [
        ("shift of 4 mm", f"{SE} --te 20", "", "-i shift=0x4x0"),
        ("motion from a file", f"{SE} --te 20", "", "--motion nod.csv"),
        ("turn of 6 deg (radial)", f"{RADIAL} -p preparation=equilibrium", "", "-i turn=0x0x6"),
        ("breathing 3 mm", f"{SE} --te 20 --tr 1000", "", "-i breathing=0x3x0"),
        ("beating, 5 % (bottle)", BOTTLE, "", "-i beating=-0.05x-0.05x0"),
        (
            "flow in vessels, 200 mm/s",
            f"{GRE} --te 4 --bandwidth 400 --tr 30 --flip 60 -p preparation=equilibrium -p dummies=30",
            "",
            "-i flow=0x0x200 -i flow_tissue=vessels",
        ),
        (
            "diffusion (b 1000)",
            f"{BRAIN} --sequence diffusion-se --slice-thickness 5 -p b=1000",
            "",
            "-i diffusion=yes",
        ),
        (
            "magnetisation transfer (GRE)",
            f"{COARSE} --slice-thickness 20 --flip 40 -p pulse_duration=1.28 -p preparation=equilibrium "
            "-p dummies=12",
            "",
            "-i magnetisation_transfer=yes",
        ),
    ],
}


def image(flags: str) -> np.ndarray:
    """Image (y, x) complex of a scan; of the first coil where there are several."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "nod.csv").write_text(NOD)
        words = [f"{folder}/nod.csv" if w == "nod.csv" else w for w in flags.split()]
        done = CliRunner().invoke(mrsim, ["simulate", *words, "--out", f"{folder}/a.npz"])
        if done.exit_code:
            raise SystemExit(f"mrsim simulate {flags}: {done.output}")
        arrays = np.load(f"{folder}/a.npz")
        if "csm" not in arrays:
            return arrays["image"][0]
        kspace = arrays["signal"][0].reshape(arrays["image"].shape[1:])
        return np.fft.fftshift(np.fft.ifft2(np.fft.ifftshift(kspace), norm="ortho"))


def draw(rows: list[tuple[str, str, str, str]]) -> plt.Figure:
    """Two imperfections side by side: ideal, with it, and five times the difference."""
    n = (len(rows) + 1) // 2
    figure, axes = plt.subplots(n, 6, figsize=(8.2, 1.62 * n), layout="constrained")
    for i, (title, scan, plain, wrong) in enumerate(rows):
        ideal, real = (image(f"{scan} {flags}") for flags in (plain, wrong))
        parts = [np.real(a) if "deg (real" in title else np.abs(a) for a in (ideal, real)]
        orientation = "coronal" if "coronal" in scan else "axial"
        parts = [upright(part, orientation) for part in (*parts, parts[1] - parts[0])]
        top = np.percentile(np.abs(parts[0]), 99.5)
        change = np.abs(parts[2]).max() / top
        print(f"{title}: largest change {change:.1%} of the brightest")
        shown = axes[i // 2, 3 * (i % 2) : 3 * (i % 2) + 3]
        low = -top if parts[0].min() < 0 or parts[1].min() < 0 else 0
        for ax, part in zip(shown[:2], parts[:2], strict=True):
            ax.imshow(part, cmap="gray", vmin=low, vmax=top)
        reach = max(0.02 * top, np.percentile(np.abs(parts[2]), 99.5))
        shown[2].imshow(parts[2], cmap="gray", vmin=-reach, vmax=reach)
        shown[1].set_title(title, fontsize=7.5, pad=2)
        shown[2].set_title(f"± {reach / top:.0%}", fontsize=6, pad=2)
        for ax in shown:
            ax.set_axis_off()
    for ax in axes.ravel()[3 * len(rows) :]:
        ax.set_axis_off()
    return figure


def main() -> None:
    """Write the pictures that are asked for, all by default."""
    folder, names = Path(sys.argv[1]), sys.argv[2:] or list(PICTURES)
    for name in names:
        buffer = io.BytesIO()
        draw(PICTURES[name]).savefig(buffer, dpi=95)
        grey = Image.open(buffer).convert("L").quantize(24)
        grey.save(folder / f"imperfection-{name}.png", optimize=True)


if __name__ == "__main__":
    main()
