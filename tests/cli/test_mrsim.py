"""The command mrsim, in this process: what it writes, prints, refuses, and with which exit code."""

import contextlib
import json
import shutil
import subprocess
import sys
import time

import numpy as np
import psutil
import pytest
from click.testing import CliRunner

from cli.generate_options import FLAGS
from cli.mrsim import main
from cli.units import DEG, MM, MS, in_field_units, integers, pair, variation
from mrsim.datasets import simulation
from mrsim.recipes import load_recipe
from mrsim.store import open_store
from phantoms import PHANTOMS
from tests.mrsim.tiny import write_labels
from tests.stores import write_test_store

TINY = "--matrix 16x20 --fov 96x100 --slice-thickness 4 --slices 2 --b0 off --rf ideal".split()


def run(*args, code=0):
    """Output of a command that must end with this exit code, without traceback."""
    result = CliRunner().invoke(main, [str(a) for a in args])
    assert result.exit_code == code, result.output
    assert result.exception is None or isinstance(result.exception, SystemExit)
    return result.output


@pytest.fixture(scope="module")
def labels(tmp_path_factory):
    folder = tmp_path_factory.mktemp("labels")
    write_labels(folder, 3)
    return folder


@pytest.fixture(scope="module")
def generated(labels, tmp_path_factory):
    path = tmp_path_factory.mktemp("store") / "tiny.zarr"
    run(*generate_flags(labels), "--te", 70, "--tr", 2500, "--flip", 80, "--vary", 0, "--out", path)
    return path


def generate_flags(labels):
    return [
        "generate",
        "--phantom",
        "nifti",
        "--phantom-dir",
        labels,
        "--tissues",
        labels / "table.toml",
        *TINY,
    ]


def test_generate_takes_the_fields_units_and_stores_si(generated):
    store = open_store(generated)
    assert set(store.coords["te"]) == {0.07}
    assert set(store.coords["tr"]) == {2.5}
    np.testing.assert_allclose(store.coords["flip"], np.radians(80))
    assert store.pixel_spacing == pytest.approx((6e-3, 5e-3))
    assert store.n_cases == 6


def test_a_bare_phantom_means_its_recipe(monkeypatch):
    """`mrsim generate --phantom brainweb --tr 3000` is the published set, in ./brainweb-se.zarr."""
    asked = {}

    class FakeStore:
        path, n_cases, shape, n_coils, n_frames = "x", 0, (1, 1), 1, 0

        def indices(self, _split):
            return np.zeros(0)

    def fake(recipe, path, **options):
        asked.update(recipe=recipe, path=path, **options)
        return FakeStore()

    monkeypatch.setattr("mrsim.datasets.generate.generate", fake)
    run("generate", "--phantom", "brainweb", "--tr", 3000)
    assert asked["path"] == "brainweb-se.zarr"
    assert asked["recipe"].hash == load_recipe("brainweb-se").hash
    run("generate", "--phantom", "cardiac", "--frames", 20, "--crop", 72, "--cine-mode", "gated")
    assert asked["path"] == "cardiac-cine-80.zarr"
    changed = load_recipe("cardiac-cine-80", n_frames=20, crop=(72, 72), mode="gated")
    assert asked["recipe"].hash == changed.hash
    run("generate", "--workers", 2, "--scheduler", "tcp://a:1")
    assert asked["recipe"].hash == load_recipe("synthetic-se").hash
    assert (asked["workers"], asked["scheduler"], asked["overwrite"]) == (2, "tcp://a:1", False)


def test_any_cartesian_sequence_of_any_object(tmp_path):
    flags = ["--phantom", "vials", *"--slices 1 --matrix 24x24 --fov 200x200 --b0 off --rf ideal".split()]
    out = tmp_path / "a.zarr"
    run("generate", *flags, "--sequence", "bssfp", "--tr", 5, "--out", out)
    store = open_store(out)
    assert (store.coords["tr"][0], store.coords["te"][0]) == (5e-3, 2.5e-3)
    assert "2 oil" in run("info", out) and "mrsim analytic test object" in run("info", out)
    for name in ("radial", "spiral"):
        error = " ".join(run("generate", *flags, "--sequence", name, code=2).split())
        assert f"mrsim simulate --sequence {name}" in error and "Cartesian grid" in error
    flags += ["--sequence", "epi", "--engine", "cartesian", "--out", tmp_path / "b.zarr"]
    assert run("generate", *flags, code=1).count("\n") == 1
    assert "did you mean 'vials'" in " ".join(run("generate", "--phantom", "vial", code=2).split())


def test_defaults_in_the_help_are_those_of_the_recipes():
    recipe = load_recipe("brainweb-se")
    sequence, scanner = recipe.sequence, recipe.scanner
    shown = {flag: settings["show_default"].removeprefix("of the recipe: ") for flag, settings, _, _ in FLAGS}
    assert float(shown["--te"]) * MS == pytest.approx(sequence.te)
    assert float(shown["--tr"]) * MS == pytest.approx(sequence.tr)
    assert float(shown["--flip"]) * DEG == pytest.approx(sequence.flip)
    assert pair(shown["--matrix"]) == sequence.matrix
    assert tuple(side * MM for side in pair(shown["--fov"])) == pytest.approx(sequence.fov)
    assert float(shown["--slice-thickness"]) * MM == pytest.approx(sequence.thickness)
    assert float(shown["--bandwidth"]) == sequence.bandwidth
    assert variation(shown["--vary"]) == {"te": recipe.vary.te, "tr": recipe.vary.tr}
    for flag, value in (
        ("--field-strength", scanner.field_strength),
        ("--coils", scanner.coils),
        ("--b0", scanner.b0),
        ("--b0-strength", scanner.b0_strength),
        ("--noise", recipe.output.noise),
        ("--codec", recipe.output.codec),
        ("--engine", recipe.engine),
        ("--seed", recipe.seed),
        ("--rf", sequence.rf),
        ("--slices", recipe.slices.select),
        ("--orientation", recipe.slices.orientation),
        ("--sequence", recipe.sequence_name),
    ):
        assert type(value)(shown[flag]) == value


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        (["--te", 3000, "--tr", 3000], "te must lie in (0, tr = 3000 ms), got 3000 ms"),
        (["--flip", 0], "flip must lie in (0, 180 deg], got 0 deg"),
        (["--field-strength", 0], "field_strength must be positive, got 0.0 T"),
        (["--bandwidth", 2], "readout"),
        (["--phantom", "brainwb"], "(did you mean 'brainweb'?)"),
        (["--recipe", "brainweb-es"], "(did you mean 'brainweb-se'?)"),
        (["--recipe", "nowhere.toml"], "nowhere.toml cannot be read"),
        (["--sequence", "spinecho"], "(did you mean 'spin-echo'?)"),
        (["--engine", "cartesan"], "(did you mean 'cartesian'?)"),
        (["--subjects", "four"], "a list of numbers must look like 4,5,18 or 0-7, got 'four'"),
        (["--subjects", "7-4"], "a list of numbers must look like"),
        (["--phantom", "brainweb", "--subjects", "3"], "subject must be one of 4, 5, 6"),
        (["--slices", "all"], "slices must be one of seranet, contiguous"),
        (
            ["--slices", "banana"],
            "a count such as 20 (spread over the set), or a range of the set such as 0:57:3",
        ),
        (["--matrix", "45"], "matrix must be two numbers, phase encode x readout, such as 180x216, got '45'"),
        (
            ["--recipe", "synthetic-t1t2pd", "--te", 90],
            "te must be set by contrast, because T1, T2, PD differ",
        ),
        (["--split", "case"], "split must be one of subject, slice"),
        (["--matrix", "180*216"], "a pair must look like 180x216"),
        (["--matrix", "90.5x100"], "matrix must be whole numbers"),
        (["--vary", "te:5"], "vary must look like 5 or te=5,tr=5,flip=10"),
        (["--vary", "te=5,ti=5"], "key of [vary] must be one of"),
        (["--vary", "te=5,per=scan"], "vary.per must be one of subject, case"),
        (["--workers", "-1"], "0<=x<=1024"),
        (["--tee", 80], "No such option"),
    ],
)
def test_usage_errors_are_one_line_and_exit_2(flags, sentence, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    output = run("generate", *flags, code=2)
    assert sentence in output.splitlines()[-1] or sentence in " ".join(output.split())
    assert not list(tmp_path.iterdir())


def test_interruption_and_a_full_disk_are_one_line_and_exit_1(labels, tmp_path, monkeypatch):
    out = tmp_path / "a.zarr"

    def failing(error):
        def simulate_subject(recipe, draw, subject, progress):
            if draw.rank == 1:
                raise error
            return real(recipe, draw, subject, progress)

        return simulate_subject

    real = simulation.simulate_subject
    sentences = {
        KeyboardInterrupt(): "interrupted; 1 of 3 subjects are complete",
        OSError(28, "No space left on device"): "No space left on device; 1 of 3 subjects are complete",
    }
    for error, sentence in sentences.items():
        monkeypatch.setattr(simulation, "simulate_subject", failing(error))
        output = run(*generate_flags(labels), "--out", out, code=1)
        assert sentence in output and "the same command goes on from there" in output
    assert "incomplete: 1 of 3 subjects" in run("info", out)
    assert "incomplete: 1 of 3 subjects" in run("verify", out, code=1)
    assert "is incomplete" in run("preview", out, code=1)
    monkeypatch.setattr(simulation, "simulate_subject", real)
    assert "6 cases" in run(*generate_flags(labels), "--out", out)
    assert "6 cases, all intact" in run("verify", out)


def test_another_recipe_and_overwrite(labels, tmp_path):
    out = tmp_path / "a.zarr"
    run(*generate_flags(labels), "--out", out)
    assert "holds another recipe" in run(*generate_flags(labels), "--te", 60, "--out", out, code=1)
    run(*generate_flags(labels), "--te", 60, "--vary", 0, "--out", out, "--overwrite")
    assert set(open_store(out).coords["te"]) == {0.06}


def test_an_object_larger_than_the_field_of_view_is_a_failed_run(labels, tmp_path):
    flags = [*generate_flags(labels), "--fov", "60x100", "--matrix", "10x20", "--out", tmp_path / "a.zarr"]
    assert "fov must cover the object along y" in run(*flags, code=1)
    run(*flags, "--allow-wrap")


def test_missing_brainweb_names_the_remedies(tmp_path):
    output = run(
        "generate", "--phantom", "brainweb", "--phantom-dir", tmp_path, "--out", tmp_path / "a.zarr", code=1
    )
    assert "MRSIM_BRAINWEB_DIR" in output and "mrsim fetch brainweb" in output
    assert not (tmp_path / "a.zarr").exists()


def test_verify_names_the_case_of_a_flipped_bit(tmp_path):
    path = write_test_store(tmp_path / "a.zarr")
    shard = path / "kspace/c/1/0/0/0"
    data = bytearray(shard.read_bytes())
    data[len(data) // 2] ^= 4
    shard.write_bytes(data)
    output = run("verify", path, code=1)
    assert "case 4: its bytes do not match their checksum" in output  # the middle of cases 3, 4, 5
    assert "is damaged (1 findings)" in output


@pytest.mark.parametrize("command", ["info", "preview", "verify"])
@pytest.mark.parametrize(
    ("damage", "sentence"),
    [
        (lambda path: shutil.rmtree(path), "does not exist"),
        (lambda path: (path / "zarr.json").write_text("no json"), "is damaged"),
        (lambda path: edit_version(path, 9), "has store format version 9"),
        (lambda path: (path / "zarr.json").unlink(), "is not an mrsim store: it has no zarr.json"),
    ],
)
def test_stores_that_cannot_be_read_are_one_line(tmp_path, command, damage, sentence):
    path = write_test_store(tmp_path / "a.zarr")
    damage(path)
    output = run(command, path, code=1)
    assert sentence in output and len(output.strip().splitlines()) == 1


def test_verify_goes_on_after_what_is_missing(tmp_path):
    path = write_test_store(tmp_path / "a.zarr")
    (path / "kspace/c/1/0/0/0").unlink()
    (path / "labels/c/3/0/0").write_bytes(b"short")
    for command in ("info", "preview"):
        assert "kspace of subject 1 is missing" in run(command, path, code=1)
    (path / "te/c/0").unlink()
    output = run("verify", path, code=1)
    assert "coordinate 'te' is missing" in output
    assert [f"case {case}: kspace of subject 1 is missing" in output for case in range(2, 7)] == [
        False, True, True, True, False,
    ]  # fmt: skip
    assert output.count("of cases 9 to 11 cannot be read") == 3


def edit_version(path, version):
    root = json.loads((path / "zarr.json").read_text())
    root["attributes"]["format_version"] = version
    (path / "zarr.json").write_text(json.dumps(root))


def test_info_says_what_is_in_a_store(generated):
    output = run("info", generated)
    for words in ("6 = 3 subjects x 2 slices", "16 x 20 pixels", "TE 70.0 to 70.0 ms", "1 CSF, 2 GM, 3 WM"):
        assert words in output


def test_preview_shows_six_panels_for_every_case(tmp_path, monkeypatch):
    from matplotlib.image import imread

    store = write_test_store(tmp_path / "brains.zarr", n_coils=2)
    monkeypatch.chdir(tmp_path)
    assert run("preview", store, "--cases", "0,5").strip() == "brains.png"
    sheet = imread(tmp_path / "brains.png")
    # labels are drawn in the class colours, and nothing else in the sheet is purple
    purple = np.abs(sheet[..., :3] - np.array([0x7B, 0x4F, 0xA3]) / 255).max(axis=-1) < 0.02
    rows, columns = np.nonzero(purple)
    assert rows.size > 200
    assert (columns.min() > sheet.shape[1] * 2 / 6 - 1) and (columns.max() < sheet.shape[1] * 3 / 6)
    assert rows.max() - rows.min() > sheet.shape[0] / 2  # both cases
    assert "cases must lie in 0 to 11, got 12" in run("preview", store, "--cases", "12", code=2)


def test_info_and_preview_show_every_contrast(tmp_path):
    from matplotlib.image import imread

    store = write_test_store(tmp_path / "a.zarr", shape=(40, 40), contrasts=("T1", "T2"), inu=True)
    output = run("info", store)
    assert "contrasts  T1, T2\nT1         TE" in output and "levels are shares of kspace_rms" in output
    run("preview", store, "--cases", "4", "--out", tmp_path / "a.png")
    sheet = imread(tmp_path / "a.png")[..., :3]
    panels = np.array_split(sheet[60:], 7, axis=1)  # T1, T2, k-space, labels, B0, mask, zero-filled
    size = panels[0].shape[0]
    middle = slice(size // 4, 3 * size // 4)
    t1, t2 = (panel[middle, middle].mean(axis=-1) for panel in panels[:2])
    assert (
        np.corrcoef(t1.ravel(), t2[: t1.shape[0], : t1.shape[1]].ravel())[0, 1] < 0
    )  # bright where it is dark
    paper = np.abs(panels[4] - 0x11 / 255).max(axis=-1) < 0.02
    assert paper[:8].mean() > 0.9 and paper[middle, middle].mean() < 0.1  # B0 only inside the object


def test_lists_name_what_there_is():
    assert "brainweb-se" in run("recipes")
    assert "te = 0.08" in run("recipes", "brainweb-se")
    assert "spin-echo" in run("sequences")
    described = dict(line.split(maxsplit=1) for line in run("phantoms").split("\n\n")[0].splitlines())
    assert set(described) == set(PHANTOMS)
    assert "GM" in run("phantoms", "brainweb-3T")
    assert "(did you mean 'spin-echo'?)" in " ".join(run("sequences", "spin-eco", code=2).split())
    assert "(did you mean 'brainweb-3T'?)" in " ".join(run("phantoms", "brainweb3T", code=2).split())


def test_fetch_hands_on_what_was_asked(monkeypatch, tmp_path):
    asked = {}

    def fake(directory, *, subjects, progress):
        asked.update(directory=directory, subjects=subjects)
        progress(4, 10, 20)
        return [tmp_path / "subject04_crisp_v.mnc.gz"]

    monkeypatch.setattr("phantoms.download.fetch_brainweb", fake)
    assert "1 volumes in" in run("fetch", "brainweb", "--subjects", "4", "--phantom-dir", tmp_path)
    assert asked == {"directory": str(tmp_path), "subjects": (4,)}
    assert "got 3" in run("fetch", "brainweb", "--subjects", "3", code=2)
    assert "what to fetch must be one of brainweb" in run("fetch", "brainwb", code=2)


def test_numbers_lists_and_ranges():
    assert integers("4,5,18") == (4, 5, 18)
    assert integers("0-3, 9") == (0, 1, 2, 3, 9)
    assert variation("te=5,flip=10") == {"te": 0.05, "flip": 0.1}


@pytest.mark.parametrize(
    "args", [["--help"], ["--version"], ["generate", "--help"], ["generate", "--te", "4000"]]
)
def test_help_and_usage_errors_load_nothing_heavy(args):
    heavy = ("numba", "torch", "zarr", "dask", "matplotlib", "scipy.ndimage", "rich", "nibabel")
    code = (
        "import sys\nfrom cli.mrsim import main\n"
        f"try: main({args!r})\nexcept SystemExit: pass\n"
        f"print([name for name in {heavy!r} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize("started", [0.1, 2.0])  # processor time [s]: still importing, about to compute
def test_ctrl_c_ends_a_run_with_workers_in_one_sentence(labels, tmp_path, started):
    """A real SIGINT to the whole process group, as the terminal sends it."""
    import os
    import signal

    flags = [str(f) for f in [*generate_flags(labels), "--engine", "reference", "--matrix", "64x64"]]
    command = [sys.executable, "-m", "cli.mrsim", *flags, "--workers", "1", "--out", str(tmp_path / "a.zarr")]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    deadline = time.monotonic() + 60
    this = psutil.Process(process.pid)
    while time.monotonic() < deadline and most_busy(this.children(recursive=True)) < started:
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGINT)
    try:
        _, errors = process.communicate(timeout=60)  # until the last of them has closed its output
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    assert process.returncode == 1
    assert "interrupted; " in errors and "Traceback" not in errors
    assert len(errors.strip().splitlines()) == 1, errors


def most_busy(processes):
    """Processor time of the one that has had most of it [s]; one may end meanwhile."""
    times = [0.0]
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            times.append(process.cpu_times().user)
    return max(times)


def test_sentences_about_times_lengths_and_angles_are_in_the_units_of_the_commands():
    assert in_field_units("te must be at least 0.00699 s for it, got 8e-05 s") == (
        "te must be at least 6.99 ms for it, got 0.08 ms"
    )
    assert in_field_units("got -0.005 m and 150.0 T/m/s, 3.14159265 rad, 2 subjects, 1 m.zarr") == (
        "got -5 mm and 150.0 T/m/s, 180 deg, 2 subjects, 1 m.zarr"
    )
