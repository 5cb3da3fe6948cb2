"""Moving pictures: decoded again, they are what was drawn."""

import io

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image, ImageSequence
from scipy.ndimage import maximum_filter, minimum_filter

from cli.mrsim import main
from mrsim.pictures import movie
from mrsim.pictures.preview_cine import beat_of, chosen_frames, view_of, write_cine_preview
from mrsim.slices.plane import upright
from mrsim.store import open_store
from tests.stores import CINE_CLASSES, write_cine_store

RED, GREEN, BLUE = (
    tuple(int(movie.CLASS_COLOURS[name][i : i + 2], 16) for i in (1, 3, 5)) for name in CINE_CLASSES[1:]
)


def decoded(source):
    """(frame, row, column, 3) RGB and (frame,) [s] of a GIF."""
    with Image.open(source) as gif:
        pages = [
            (np.asarray(page.convert("RGB")), page.info["duration"]) for page in ImageSequence.Iterator(gif)
        ]
    return np.stack([page for page, _ in pages]), 1e-3 * np.array([time for _, time in pages])


def test_a_gif_holds_every_frame_colour_and_time():
    rng = np.random.default_rng(0)
    colours = movie.palette(CINE_CLASSES)
    frames = np.zeros((7, 20, 30), np.uint8)
    frames[:, 5:15, 5:25] = rng.integers(0, len(colours), (7, 10, 20))  # the rim rests
    frames[3, 0, 0] = movie.GREYS + 1
    target = io.BytesIO()
    movie.write_gif(target, frames, colours, [0.0327] * 7)
    pictures, times = decoded(target)
    np.testing.assert_array_equal(pictures, colours[frames])
    assert times.sum() == pytest.approx(7 * 0.0327, abs=0.006) and times.min() >= 0.02
    assert tuple(pictures[3, 0, 0]) == RED


def test_edges_have_the_colour_of_the_inner_class():
    """A cavity of 4 x 4 in a wall of 8 x 8, a ventricle at its left: closed curves of known length."""
    labels = np.zeros((12, 14), np.uint8)
    labels[2:10, 5:13] = 2
    labels[4:8, 7:11] = 1
    labels[3:9, 2:5] = 3
    edges = movie.class_edges(labels)
    # an edge is drawn on the pixel above or left of it: the lower right corner has one pixel for two sides
    inner, outer, right = ((edges == c).sum() for c in (1, 2, 3))
    assert inner == 4 * 4 - 1 and outer == 4 * 8 - 1
    assert right == 6 + 2 * 3 - 2  # the septum is the wall's
    assert edges[5, 4] == 2 and edges[5, 6] == 1 and edges[5, 1] == 3  # septum, inside of it, free wall
    np.testing.assert_array_equal(movie.magnified_labels(labels, 3)[1::3, 1::3], labels)
    assert movie.outlined(np.full((36, 42), 7, np.uint8), labels, 3).max() == movie.GREYS + 3


def test_what_rests_keeps_its_grey_and_nothing_is_off_by_more_than_a_level():
    rng = np.random.default_rng(1)
    pictures = np.clip(20 + np.cumsum(rng.integers(-1, 2, (40, 8, 8)), axis=0), 0, 47).astype(np.uint8)
    calm = movie.steady(pictures)
    assert np.abs(calm.astype(int) - pictures).max() == 1
    assert (np.diff(calm.astype(int), axis=0) != 0).mean() < 0.5 * (
        np.diff(pictures.astype(int), axis=0) != 0
    ).mean()


@pytest.fixture(scope="module")
def hearts(tmp_path_factory):
    return open_store(write_cine_store(tmp_path_factory.mktemp("cine") / "hearts.zarr", 3, 2, (40, 36), 6))


def test_the_moving_picture_shows_every_frame_with_the_oracle_below(hearts, tmp_path):
    sheet, moving = write_cine_preview(hearts, tmp_path / "new" / "hearts.png", cases=(0, 3))
    assert sheet.is_file() and not list(sheet.parent.glob("*.part"))
    pictures, times = decoded(moving)
    assert len(pictures) == 6 and times.sum() == pytest.approx(0.9, abs=0.01)
    beats = [beat_of(hearts, i) for i in (0, 3)]
    rows, columns = view_of(beats)
    scale = round(160 / (rows.stop - rows.start))
    height, width = scale * (rows.stop - rows.start), scale * (columns.stop - columns.start)
    assert pictures.shape[1:] == (32 + 3 + height + 3 + height, width + 3 + width, 3)
    below, plain = pictures[:, -height:], pictures[:, 35 : 35 + height]
    assert not any((plain == colour).all(axis=-1).any() for colour in (RED, GREEN, BLUE))
    for i, beat in enumerate(beats):
        for frame in range(6):
            tile = slice(i * (width + 3), i * (width + 3) + width)
            seen = plain[frame, scale // 2 :: scale, tile][:, scale // 2 :: scale, 0]
            expected = np.clip(beat.image[frame][rows, columns] / beat.white, 0, 1) * 255
            spread = maximum_filter(expected, 5) - minimum_filter(expected, 5)
            flat = spread < 1  # away from edges, which are smoothed
            assert flat.sum() > 100 and np.ptp(expected[flat]) > 100
            assert np.abs(seen[flat] - expected[flat]).max() < 9  # a level and a half of 48
            red = (below[frame, :, tile] == RED).all(axis=-1)
            y, x = np.nonzero(red)
            cavity = np.argwhere(beat.labels[frame][rows, columns] == 1)
            middle = (cavity.mean(axis=0) + 0.5) * scale
            assert np.abs(np.array([(y.min() + y.max()) / 2, (x.min() + x.max()) / 2]) - middle).max() < scale
            assert abs((y.max() - y.min()) / scale - np.ptp(cavity[:, 0]) - 1) < 1


def test_the_sheet_marks_end_diastole_and_end_systole(hearts, tmp_path):
    beat = beat_of(hearts, 1)
    volume = (hearts.labels([0, 1]) == 1).sum(axis=(0, 2, 3))
    assert beat.es == np.argmin(volume) and beat.title(0) == "0 ms ED" and beat.title(1) == "150 ms "
    assert beat.title(beat.es).endswith(" ES")
    frames = chosen_frames(beat)
    assert len(frames) == 6 and {0, beat.es} <= set(frames)
    np.testing.assert_array_equal(beat.labels[2], upright(hearts.case(1).labels[2], "axial"))
    command = [
        "preview",
        str(hearts.path),
        "--cases",
        "1",
        "--rate",
        "0.25",
        "--out",
        str(tmp_path / "a.png"),
    ]
    told = CliRunner().invoke(main, command)
    assert told.output.split() == [str(tmp_path / "a.png"), str(tmp_path / "a.gif")]
    with Image.open(tmp_path / "a.png") as image:
        picture = np.asarray(image.convert("RGB"))
    tiles = (picture.shape[1] + 3) // (picture.shape[0] + 3)
    assert tiles in (
        10,
        11,
    )  # frames, profile, B0, lines, zero-filled, and the whole image where it is larger
    colourful = np.ptp(picture.astype(int), axis=-1).max(axis=0) > 0
    assert colourful.any() and not colourful[-4 * (picture.shape[0] + 3) :].any()
    lines = picture[:, -2 * picture.shape[0] - 3 : -picture.shape[0] - 3, 0]
    assert (lines[40:] > 128).mean() == pytest.approx(0.25, abs=0.1)
