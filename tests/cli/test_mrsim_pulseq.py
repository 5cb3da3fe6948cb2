"""mrsim simulate --sequence FILE.seq with what pypulseq writes: pictures, and a signal in closed form."""

import math

import nibabel
import numpy as np
import pypulseq as pp
import pytest
from click.testing import CliRunner
from numpy.lib.stride_tricks import sliding_window_view

from cli.mrsim import main
from tests.mrsim.pulseq.examples import SYSTEM, THICKNESS, encode, line, sequence, slice_pulse
from tests.mrsim.tiny import write_labels

FLIP, TR, N = math.radians(10), 2.0, 20


def simulated(path, *flags):
    """Arrays of the scan, and what the command says."""
    out = path.with_suffix(".npz")
    result = CliRunner().invoke(
        main, [str(a) for a in ("simulate", "--sequence", path, *flags, "--out", out)]
    )
    assert result.exit_code == 0, result.output
    with np.load(out) as file:
        return dict(file), result.output


@pytest.fixture(scope="module")
def head(tmp_path_factory):
    """An ellipsoid, CSF on the left and white matter on the right, so that no mirrored picture passes."""
    folder = tmp_path_factory.mktemp("labels")
    write_labels(folder, 1)
    volume = nibabel.load(folder / "head0.nii")
    labels = volume.get_fdata().astype(np.uint8)
    labels[labels > 0] = 3
    labels[:10][labels[:10] == 3] = 1
    nibabel.save(nibabel.Nifti1Image(labels, volume.affine), folder / "half.nii")
    return ["--phantom", folder / "half.nii", "--tissues", folder / "table.toml"]


def spoiled_gre(n=N):
    """Slice-selective sinc, phase encode, readout, spoilers on all axes, a long TR; from pypulseq's calls."""
    seq = sequence("gre")
    rf, gz, back = slice_pulse(math.degrees(FLIP), "excitation", duration=1e-3)
    gx, adc, before = line(n)
    spoil = pp.make_trapezoid("z", area=4 / THICKNESS, system=SYSTEM)
    for row in range(n):
        gy = encode(row, n)
        played = [(rf, gz), (before, gy, back), (gx, adc), (before, pp.scale_grad(gy, -1), spoil)]
        for events in played:
            seq.add_block(*events)
        used = sum(pp.calc_duration(*events) for events in played)
        seq.add_block(pp.make_delay(round((TR - used) / 1e-5) * 1e-5))
    echo = gz.fall_time + gz.flat_time / 2 + pp.calc_duration(before, back) + pp.calc_duration(gx) / 2
    return seq, rf, gz, echo


def test_a_gradient_echo_of_pypulseq_shows_the_closed_form(head, tmp_path):
    """For small flips the profile integrates to the pulse in its centre, over the gradient [Hz/m]."""
    seq, rf, gz, te = spoiled_gre()
    seq.write(str(tmp_path / "gre.seq"))
    arrays, said = simulated(tmp_path / "gre.seq", *head)
    assert said.count("\n") == 1 and "gre.seq of nifti half" in said and "400 samples" in said
    image, labels = np.abs(arrays["image"][0]), arrays["labels"]
    share = 2 * math.pi * np.abs(rf.signal).max() / (gz.amplitude * THICKNESS) / FLIP
    assert share == pytest.approx(1, abs=0.1)
    for label, (pd, t1, t2star) in {1: (1.0, 2.569, 0.058), 3: (0.77, 0.5, 0.061)}.items():
        e1 = np.exp(-TR / t1)
        expected = pd * math.sin(FLIP) * (1 - e1) / (1 - math.cos(FLIP) * e1) * np.exp(-te / t2star) * share
        inside = (sliding_window_view(np.pad(labels, 1), (3, 3)) == label).all(axis=(2, 3))
        assert image[inside].mean() == pytest.approx(expected, rel=0.05)


def test_parameters_of_a_file_are_its_own(head, tmp_path):
    spoiled_gre(4)[0].write(str(tmp_path / "gre.seq"))
    flags = ["simulate", "--sequence", tmp_path / "gre.seq", *head, "--te", 5]
    result = CliRunner().invoke(main, [str(a) for a in flags])
    assert result.exit_code == 2 and "must not be given for a Pulseq file" in result.output
