"""mrsim simulate, in this process: files that others read, one line of text, errors in one sentence."""

import re
import warnings

import click
import ismrmrd
import nibabel
import numpy as np
import pytest
from click.testing import CliRunner

from cli.mrsim import main
from cli.mrsim_simulate import sequence_of
from tests.mrsim.tiny import write_labels

TINY = "--matrix 12x16 --fov 96x100 --slice-thickness 8 --rf ideal".split()


def run(*args, code=0):
    result = CliRunner().invoke(main, ["simulate", *map(str, args)])
    assert result.exit_code == code, result.output
    assert result.exception is None or isinstance(result.exception, SystemExit)
    return result.output


@pytest.fixture(scope="module")
def head(tmp_path_factory):
    folder = tmp_path_factory.mktemp("labels")
    write_labels(folder, 1)
    return ["--phantom", folder / "head0.nii", "--tissues", folder / "table.toml"]


def test_one_scan_becomes_every_kind_of_file(head, tmp_path):
    outs = [tmp_path / f"a{s}" for s in (".mrd", ".nii.gz", ".npz", ".png")]
    flags = [flag for out in outs for flag in ("--out", out)]
    text = run(*head, *TINY, "--te", 60, "-p", "tr=900", "--coils", 2, "--b0", "smooth", *flags)
    assert "spin-echo of nifti head0" in text and "192 samples, 2 coils" in text
    with ismrmrd.Dataset(str(outs[0]), create_if_needed=False) as file:
        header = ismrmrd.xsd.CreateFromDocument(file.read_xml_header())
        assert file.number_of_acquisitions() == 12
        assert file.read_array("csm", 0).shape == (2, 12, 16)
    assert (header.sequenceParameters.TE, header.sequenceParameters.TR) == ([60.0], [900.0])
    arrays = np.load(outs[2])
    image = nibabel.load(outs[1]).get_fdata()[:, :, 0].T
    np.testing.assert_allclose(np.abs(arrays["image"][0]), image, rtol=1e-6)
    kspace = arrays["signal"].reshape(2, 12, 16)
    axes = (1, 2)
    coils = np.fft.fftshift(np.fft.ifft2(np.fft.ifftshift(kspace, axes), norm="ortho"), axes)
    np.testing.assert_allclose(np.sqrt((np.abs(coils) ** 2).sum(0)), image, rtol=1e-4, atol=1e-6)
    assert outs[3].read_bytes()[1:4] == b"PNG"


def test_imperfections_are_listed_with_units_and_taken_in_them(head, tmp_path):
    listed = dict(line.split(maxsplit=1) for line in run("--imperfections").splitlines())
    assert listed["gradient_delay"].split()[:2] == ["0x0x0", "ms"]
    clean, late = tmp_path / "c.npz", tmp_path / "l.npz"
    run(*head, *TINY, "--out", clean)
    run(*head, *TINY, "-i", "receiver_phase=90", "--out", late)
    np.testing.assert_allclose(np.load(late)["signal"], -1j * np.load(clean)["signal"], atol=1e-6)


@pytest.mark.filterwarnings("default::mrsim.bloch.spoiling.SpoilingWarning")
def test_too_few_nodes_for_gradients_to_spoil_are_one_line(head, tmp_path, monkeypatch):
    monkeypatch.setattr(warnings, "showwarning", lambda *found: click.echo(warnings.formatwarning(*found)))
    thin = "--matrix 12x16 --fov 96x100 --slice-thickness 8 -p spoiling=gradient --te 60".split()
    out = ["--out", tmp_path / "a.npz"]
    (line,) = [line for line in run(*head, *thin, *out).splitlines() if line.startswith("Warning: ")]
    needed = re.search(r"take n_sub = (\d+), or ideal spoiling$", line).group(1)
    assert "Warning" not in run(*head, *thin, *out, "--n-sub", needed)
    assert "Warning" not in run(*head, *thin, *out, "--n-sub", f"1x1x{needed}")
    assert "n_sub must look like 4 (in z) or 1x8x4" in run(*head, *thin, *out, "--n-sub", "2x2", code=2)


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        (["--sequence", "spin-eco"], "did you mean 'spin-echo'"),
        (["-p", "tee=80"], "did you mean 'te'"),
        (["--te", "long"], "te must be a value in ms, like 80, got 'long'"),
        (["-p", "te"], "must look like name=value"),
        (["--te", 3000], "te must lie in (0, tr = 3000 ms), got 3000 ms"),
        (["--phantom", "spere"], "did you mean 'sphere'"),
        (["--out", "a.jpg"], "suffix of an output must be one of .mrd"),
        (["--out", "nowhere/a.mrd"], "folder of nowhere/a.mrd must exist"),
        (["-i", "drift=fast"], "drift must be a value in Hz/s"),
        (["--slice-position", 500], "position must lie inside the phantom"),
        (["--fov", "20x20"], "fov must cover the object"),
        (["--engine", "cartesan"], "did you mean 'cartesian'"),
        (["-i", "drft=1"], "did you mean 'drift'"),
        (["-i", "eddy_currents=x:0.1"], "eddy_currents must be AXIS:SHARE:MS"),
        (["-i", "adc_bits=99"], "adc_bits must lie in 0 to 32, got 99"),
        (["-i", "flow=0x0x1", "-i", "flow_tissue=blod"], "flow_tissue must be one of"),
        (["--noise", -1], "noise must be finite and not negative"),
        (["--coils", 1000], "coils must be at least 1 and at most 256"),
        (["--combine", "map"], "did you mean 'maps'"),
        (["--b0", "none.nii.gz"], "field map none.nii.gz cannot be read"),
        (["--coil-array", "none.nii.gz"], "coil map none.nii.gz cannot be read"),
    ],
)
def test_usage_errors_are_one_line(head, flags, sentence, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    output = run(*head, *TINY, *flags, code=2)
    assert sentence in " ".join(output.split())
    assert not list(tmp_path.iterdir())


def test_a_missing_file_of_spins_is_a_failure(tmp_path):
    assert "which is none" in run(
        "--phantom", tmp_path / "a.phantom", *TINY, "--out", tmp_path / "a.mrd", code=2
    )


@pytest.mark.parametrize(("field", "hertz"), [(1.5, -217.1), (3.0, -434.3)])
def test_fat_is_saturated_where_the_field_puts_it(field, hertz):
    """3.4 ppm below water: physics.md section 9."""
    flags = dict.fromkeys(("te", "tr", "flip", "bandwidth", "rf", "matrix", "fov", "slice_thickness"))
    flags |= {"sequence": "gre", "parameters": ("fat_saturation=yes", "tr=60"), "field_strength": field}
    events = sequence_of(flags)[0].events
    saturates = [p.use == "saturation" for p in events.pulses]
    found = events.frequency[np.isin(events.pulse, np.flatnonzero(saturates))]
    assert found.size and found == pytest.approx(hertz, abs=0.1)
