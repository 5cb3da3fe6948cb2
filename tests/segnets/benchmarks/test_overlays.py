"""Pictures of outlines: each image in its place, colours of the classes only where somebody drew them."""

import numpy as np
import pytest
from matplotlib.image import imread

from segnets.benchmarks.overlays import GAP, LEFT, TILE, TOP, draw_overlays, overlay_line
from segnets.pictures import class_colours

CLASSES = ["background", "LV", "myocardium", "RV"]
HEART = 34  # [pixel] its longest extent


def heart(ventricle):
    """(y, x) a left ventricle in its wall, and the right one at higher y: further left when upright."""
    y, x = np.mgrid[:60, :60]
    radius = np.hypot(y - 25, x - 30)
    labels = np.where(radius < ventricle, 1, np.where(radius < 10, 2, 0))
    labels[(y >= 36) & (y < 50) & (abs(x - 30) < 8)] = 3
    return labels.astype(np.uint8)


@pytest.fixture
def arrays():
    """Images of one grey level each, so that a picture says which it shows, and a bright place."""
    level = {"zero_filled": (0.2, 0.2), "average": 0.4, "fully_sampled": (0.6, 0.8)}
    images = {name: np.array(value)[..., None, None] * np.ones((60, 60)) for name, value in level.items()}
    for image in images.values():
        image[..., 20:25, 30:40] = 1.0
    oracle = np.stack([heart(7), heart(4)])
    return {**images, "oracle": oracle, "labels": np.roll(oracle, 2, axis=2)}


def drawn(arrays, tmp_path, behind, shown=None):
    """Draw, and cut the pictures out of the PNG: (line, column, row, pixel, colour), and their side."""
    shown = shown or {"R = 4": {"Net": arrays}}
    page = imread(draw_overlays(shown, behind, CLASSES, tmp_path / "overlays.png", "a title"))[..., :3]
    n_lines = 2 * sum(bool(answers) for answers in shown.values())
    n_columns = 4 + len({name for answers in shown.values() for name in answers})
    side = TILE // round(1.5 * HEART) * round(1.5 * HEART)
    step = side + GAP
    return np.array(
        [
            [page[TOP + i * step :, LEFT + j * step :][:side, :side] for j in range(n_columns)]
            for i in range(n_lines)
        ]
    )


def classes_of(picture):
    """(row, pixel) number of the class whose colour a pixel has, 0 for grey; no other colours."""
    found = np.zeros(picture.shape[:2], int)
    for c, colour in enumerate(class_colours(CLASSES)[1:], 1):
        found[np.abs(picture - colour).max(axis=-1) < 0.01] = c
    assert np.ptp(picture[found == 0], axis=-1).max() == 0
    return found


@pytest.mark.parametrize(("behind", "below"), [("frame", (0.6, 0.8)), ("average", (0.4, 0.4))])
def test_columns_hold_images_and_outlines_on_what_is_to_be_behind(arrays, tmp_path, behind, below):
    """The order is zero-filled, average, fully sampled, oracle, network; lines are ED and ES."""
    pictures = drawn(arrays, tmp_path, behind)
    levels = np.array([(0.2, 0.2), (0.4, 0.4), (0.6, 0.8), below, below]).T
    np.testing.assert_allclose(pictures[:, :, 0, 0, 0], levels, atol=0.011)  # half of one of 48 greys
    coloured = [[classes_of(picture).any() for picture in line] for line in pictures]
    assert coloured == [[False, False, False, True, True]] * 2


def test_outlines_are_those_of_the_answers(arrays, tmp_path):
    """The right ventricle is left of the left one, which contracts; the network is 2 pixels off along x."""
    (*_, oracle_ed, net_ed), (*_, oracle_es, _) = drawn(arrays, tmp_path, "frame")
    ed, es, net = (classes_of(picture) for picture in (oracle_ed, oracle_es, net_ed))
    assert set(np.unique(ed)) == set(np.unique(net)) == {0, 1, 2, 3}
    assert np.nonzero(ed == 3)[1].max() <= np.nonzero(ed == 2)[1].min() + 2
    scale = TILE // round(1.5 * HEART)
    for found, ventricle in ((ed, 7), (es, 4)):
        assert np.ptp(np.nonzero(found == 1)[0]) == pytest.approx(2 * ventricle * scale, abs=1.5 * scale)
    middle = [np.median(np.nonzero(found == 1)[0]) for found in (ed, net)]
    assert middle[0] - middle[1] == 2 * scale  # higher x is further up


def test_a_network_that_is_missing_under_a_condition_leaves_white(arrays, tmp_path):
    shown = {"R = 4": {"A": arrays, "B": arrays}, "R = 8": {}, "R = 16": {"B": arrays}}
    pictures = drawn(arrays, tmp_path, "average", shown)
    blank = (pictures == 1).all(axis=(2, 3, 4))[:, -2:]
    assert blank.tolist() == [[False, False], [False, False], [True, False], [True, False]]


def test_each_pixel_is_a_square_of_the_image(arrays):
    """Nothing is smoothed: a magnified picture holds the levels of the image and no others."""
    noise = np.random.default_rng(0).random((60, 60))
    picture = overlay_line({"Net": {**arrays, "average": noise}}, 0, "frame")["temporal average"]
    scale = TILE // round(1.5 * HEART)
    small = picture[::scale, ::scale]
    np.testing.assert_array_equal(picture, small.repeat(scale, axis=0).repeat(scale, axis=1))
    assert len(np.unique(small)) > 40
