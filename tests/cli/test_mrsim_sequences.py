"""`mrsim sequences`: the list, one sequence, its diagram."""

import re
import shlex
from pathlib import Path

import pytest
from click.testing import CliRunner
from matplotlib.image import imread

from cli.mrsim import main
from mrsim.sequences import SEQUENCES, sequence_class

SMALL = ["-p", "matrix=12x12"]


def run(*args, code=0):
    """Output of a command that must end with this exit code, without traceback."""
    result = CliRunner().invoke(main, ["sequences", *(str(a) for a in args)])
    assert result.exit_code == code, result.output
    assert result.exception is None or isinstance(result.exception, SystemExit)
    return " ".join(result.output.split())


def test_list_has_every_sequence_with_units():
    text = run()
    assert all(f"{name}: " in text for name in SEQUENCES)
    assert "te auto" in run("bssfp")
    assert "rf_increment 117 deg" in run("flash")
    assert "b 1000 s/mm2" in run("diffusion-se")
    assert "fat_saturation no" in text


@pytest.mark.parametrize("name", ["spin-echo", "bssfp", "epi", "spiral"])
def test_diagrams_are_drawn(name, tmp_path):
    out = tmp_path / f"{name}.png"
    assert run("--plot", name, *SMALL, "--out", out) == str(out)
    picture = imread(out)
    assert picture.shape[:2] == (896, 1840)
    left, right = picture[:, :1240, :3], picture[:, 1240:, :3]
    for half in (left, right):
        assert (half.min(axis=2) < 0.5).mean() > 0.002  # something is drawn on either side


def test_a_pulseq_file_is_drawn(tmp_path):
    from mrsim.pulseq.write import write_pulseq

    sequence = sequence_class("gre")(matrix=(4, 12), spoiling="gradient", preparation="equilibrium")
    write_pulseq(sequence, tmp_path / "mine.seq")
    run("--plot", tmp_path / "mine.seq", "--out", tmp_path / "mine.png", "--quiet", "--repetitions", 2)
    assert (tmp_path / "mine.png").stat().st_size > 20_000


def test_the_page_has_commands_and_a_figure_for_every_sequence():
    """docs/figures/sequences.py runs them; here they are parsed, which refuses flags that do not exist."""
    docs = Path(__file__).parents[2] / "docs"
    sections = (docs / "sequences.md").read_text().replace("\\\n", " ").split("\n## ")[1:]
    by_name = {section.splitlines()[0]: section for section in sections}
    assert set(by_name) - {"Data sets"} == set(SEQUENCES)
    for name in SEQUENCES:
        lines = re.findall(r"^mrsim (\w+) (.*)$", by_name[name], re.MULTILINE)
        assert [command for command, _ in lines] == ["sequences", "simulate", "simulate"]
        for command, flags in lines:
            main.commands[command].make_context(command, shlex.split(flags))
            assert f" {name} " in flags
        assert (docs / f"images/sequence-{name}.png").stat().st_size < 150_000


@pytest.mark.parametrize(
    ("args", "sentence"),
    [
        (["spinecho"], "did you mean 'spin-echo'"),
        (["--plot", "epy"], "sequence must be one of"),
        (["--plot", "gre", "-p", "te=90"], "te must lie in (0, tr = 30 ms), got 90 ms"),
        (["--plot", "gre", "-p", "tee=9"], "parameter of gre must be one of"),
        (["--plot", "gre", "--out", "/nowhere/x.png"], "folder of /nowhere/x.png must exist"),
        (["--plot", "gre", *SMALL, "--first", "12"], "repetitions must lie in 0 to 11, got 12"),
        (["--plot", "no.seq"], "Pulseq file must exist, got no.seq"),
        (["--plot", "no.seq", "-p", "te=3"], "parameters must not be given for a Pulseq file"),
    ],
)
def test_what_cannot_be_drawn_is_said_in_one_sentence(args, sentence):
    assert sentence in run(*args, code=2)
