"""The beating heart in evaluations and reports, by a network whose mistakes are known."""

import base64
import io
import json
import re

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image, ImageSequence

from cli.segnets import main
from mrsim.pictures import movie
from mrsim.store import open_store
from segnets import movies
from segnets.evaluate import EvaluateConfig, evaluate
from segnets.outputs import write_evaluation
from segnets.pictures import MISSED_COLOUR, SPURIOUS_COLOUR, SWAPPED_COLOUR, upright
from segnets.reports.collect import read_run
from segnets.reports.heart_part import typical, volume_error
from segnets.reports.run_part import run_section
from tests.segnets.cardiac.known_heart import write_run
from tests.segnets.test_reports import Page
from tests.stores import write_cine_store

N_FRAMES = 6


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return write_cine_store(tmp_path_factory.mktemp("store") / "hearts.zarr", n_subjects=6, slices=2)


@pytest.fixture(scope="module")
def late(tmp_path_factory, store):
    """A network that is one frame late, and what its evaluation left behind."""
    run = write_run(tmp_path_factory.mktemp("runs") / "late", store, late=1)
    result = evaluate(run, EvaluateConfig(split="train"))
    write_evaluation(result, run / "evaluation" / "train")
    (run / "config.json").write_text(json.dumps(result.run.to_dict()))
    return run, result


def pages(source):
    with Image.open(source) as gif:
        return np.stack([np.asarray(page.convert("RGB")).astype(int) for page in ImageSequence.Iterator(gif)])


def has(pictures, colour):
    """(frame, row, column) where a picture shows a colour."""
    return (pictures == [int(colour[i : i + 2], 16) for i in (1, 3, 5)]).all(axis=-1)


def test_the_movie_shows_the_prediction_beside_the_oracle_in_every_frame(late):
    run, _ = late
    pictures = pages(run / "evaluation" / "train" / movies.NAME)
    assert len(pictures) == N_FRAMES
    tile = (pictures.shape[2] - 9) // 4
    plain, network, oracle, wrong = (pictures[:, :, i * (tile + 3) : i * (tile + 3) + tile] for i in range(4))
    red = movie.CLASS_COLOURS["LV"]
    assert not has(plain, red).any()
    np.testing.assert_array_equal(has(np.roll(network, -1, axis=0), red), has(oracle, red))  # one frame late
    for colour in (MISSED_COLOUR, SPURIOUS_COLOUR, SWAPPED_COLOUR):
        assert not has(pictures[:, :, : -tile - 3], colour).any()
    assert has(wrong, SWAPPED_COLOUR).any(axis=(1, 2)).all()  # cavity for muscle, or muscle for cavity


def test_errors_are_where_they_are_and_of_their_kind(late):
    _, result = late
    beats = movies.show_beats(result)
    assert 1 <= len(beats) <= 2
    for beat in beats:
        np.testing.assert_array_equal(np.roll(beat.oracle, 1, axis=0), beat.prediction)
        assert beat.moment(0) == "0 ms  ED" and beat.moment(beat.es) == "450 ms  ES"
        drawn = movies.errors(beat.prediction, beat.oracle, np.zeros(beat.oracle.shape, np.uint8), 1, 60)
        np.testing.assert_array_equal(drawn == 60, (beat.prediction == 0) & (beat.oracle > 0))
        np.testing.assert_array_equal(drawn == 61, (beat.prediction > 0) & (beat.oracle == 0))
        np.testing.assert_array_equal(drawn > 0, beat.prediction != beat.oracle)


def test_a_page_moves_and_draws_the_volumes_of_the_summary(late):
    run, _ = late
    done = CliRunner().invoke(main, ["report", str(run.parent)])
    assert done.exit_code == 0, done.output
    page = (run.parent / "report.html").read_text(encoding="utf-8")
    found = Page(page)
    assert "script" not in found.tags
    (gif,) = (s for s in found.sources if s.startswith("data:image/gif;base64,"))
    moving = pages(io.BytesIO(base64.b64decode(gif.partition(",")[2])))
    assert len(moving) == N_FRAMES
    heart = json.loads((run / "evaluation" / "train" / "summary.json").read_text())["heart"]
    texts = [text.strip() for text in found.texts]
    assert texts.count("ED") == texts.count("ES") == len(typical(heart["subjects"])) == 2
    for subject in typical(heart["subjects"]):
        assert f"Volume [ml], subject {subject['subject']}, 2 slices" in texts
    assert f"{heart['error_percent']['lv_edv']['mean']:.1f}" in " ".join(texts)
    drawing = re.search(r"<svg[^>]*Volume \[ml\].*?</svg>", page).group()
    curves = re.findall(r'<path d="M([\d. L]+)" fill="none" stroke="#d1495b"[^/]*/>', drawing)
    network, oracle = (
        np.array([pair.split() for pair in curve.split("L")], float) for curve in curves
    )  # (frame, 2) [px]
    np.testing.assert_allclose(np.roll(oracle[:, 1], 1), network[:, 1], atol=0.11)  # a frame late, as drawn
    assert np.argmax(oracle[:, 1]) == heart["subjects"][0]["es_frame"]  # the smallest volume is lowest


def test_subjects_are_picked_by_how_wrong_the_volume_is():
    def subject(number, wrong):
        return {
            "subject": number,
            "volumes_ml": {"LV": {"oracle": [100, 50], "predicted": [100 + wrong, 50]}},
        }

    assert volume_error(subject(0, 15)) == pytest.approx(0.1)
    picked = typical([subject(i, wrong) for i, wrong in enumerate((40, 0, 30, 10, 20))])
    assert [one["subject"] for one in picked] == [3, 4, 2]
    assert [one["subject"] for one in typical([subject(7, 1)])] == [7]


def test_pictures_of_stored_frames_are_upright(late, store):
    _, result = late
    (beat, *_) = movies.show_beats(result)
    opened = open_store(store)
    cases = [opened.case(int(i)) for i in opened.indices("train")]
    (case,) = (c for c in cases if f"subject {c.subject}, slice {c.slice}:" in beat.title)
    np.testing.assert_array_equal(upright(beat.oracle[2]), case.labels[2].T[::-1, ::-1])
    np.testing.assert_allclose(beat.fully_sampled, np.abs(case.image), rtol=1e-4, atol=1e-5)


def test_a_second_evaluation_of_a_run_adds_no_second_movie(late):
    run, result = late
    write_evaluation(result, run / "evaluation" / "valid")
    evaluated = read_run(run).evaluations
    assert [one.movie is not None for one in evaluated] == [True, True]
    assert run_section(read_run(run), "late").count("data:image/gif") == 1
    beat = movies.show_beats(result)[0]
    assert beat.es == 3 and [beat.moment(t, 2) for t in (0, 2, 4)] == ["0 ms  ED", "300 ms  ES", "600 ms"]
