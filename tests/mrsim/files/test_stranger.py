"""The scripts of docs/simulate.md, as they stand there: `ismrmrd`, NumPy and finufft alone make the image."""

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from cli.mrsim import main

DOCUMENT = Path(__file__).parents[3] / "docs" / "simulate.md"
SCRIPTS = re.findall(r"```python\n(.*?)```", DOCUMENT.read_text(encoding="utf-8"), flags=re.DOTALL)
ALONE = "\nassert not {'mrsim', 'cli', 'phantoms'} & set(sys.modules)\n"
SPHERE = "--phantom sphere --every 2 --rf ideal --slice-thickness 4 --coils 3 --noise 0.002 --quiet"


def image_of(script, mrd, folder):
    """Run a script in a process of its own, which cannot see this project."""
    (folder / "script.py").write_text(script + ALONE)
    told = subprocess.run(
        [sys.executable, "-I", folder / "script.py", mrd, folder / "image.npy"],
        cwd=folder, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert told.returncode == 0, told.stderr
    return np.load(folder / "image.npy")


@pytest.mark.parametrize(
    ("script", "sequence", "worst"),
    [
        (0, "spin-echo --matrix 40x48 --fov 160x192", 1e-6),
        (0, "epi --matrix 32x32 --fov 160x160", 1e-6),
        (1, "radial --matrix 48x48 --fov 160x160 -p spokes=101", 0.1),  # one step of the least squares
    ],
)
def test_a_stranger_makes_the_image_of_mrsim(script, sequence, worst, tmp_path):
    outs = [tmp_path / name for name in ("a.mrd", "a.npz")]
    flags = [*SPHERE.split(), "--sequence", *sequence.split(), "--out", outs[0], "--out", outs[1]]
    done = CliRunner().invoke(main, ["simulate", *map(str, flags)])
    assert done.exit_code == 0, done.output
    ours = np.abs(np.load(outs[1])["image"][0])
    theirs = image_of(SCRIPTS[script], outs[0], tmp_path)
    inside = ours > 0.5 * ours.max()
    assert np.abs(theirs - ours)[inside].mean() <= worst * ours[inside].mean()
    assert np.linalg.norm(theirs - ours) <= 2 * worst * np.linalg.norm(ours)


def test_the_noise_measurement_is_as_loud_as_the_noise(tmp_path):
    import ismrmrd

    outs = [tmp_path / name for name in ("a.mrd", "a.npz", "b.npz")]
    flags = f"{SPHERE} --sequence spin-echo --matrix 40x48 --fov 160x192".replace("0.002", "0.05").split()
    for words in ([*flags, "--out", outs[0], "--out", outs[1]], [*flags, "--noise", "0", "--out", outs[2]]):
        assert CliRunner().invoke(main, ["simulate", *map(str, words)]).exit_code == 0
    noisy, clean = (np.load(out)["signal"] for out in outs[1:])
    with ismrmrd.Dataset(str(outs[0]), create_if_needed=False) as file:
        alone = file.read_acquisition(0)
    assert alone.is_flag_set(ismrmrd.ACQ_IS_NOISE_MEASUREMENT)
    assert alone.data.std() == pytest.approx((noisy - clean).std(), rel=0.1)  # 1536 numbers: 4 sigma
