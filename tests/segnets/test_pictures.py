"""Pictures: the right way up, in the paper's colours, and nothing in them that is not in the data."""

import numpy as np
import pytest
from matplotlib.colors import to_rgb
from matplotlib.image import imread

from mrsim.slices import plane
from segnets import pictures
from tests.stores import CLASSES


@pytest.mark.parametrize("orientation", plane.AXES)
def test_upright_agrees_with_the_simulators(orientation):
    image = np.random.default_rng(0).random((6, 9))
    np.testing.assert_array_equal(pictures.upright(image), plane.upright(image, orientation))


def test_tissues_have_the_colours_of_the_paper_and_unknown_classes_differ():
    purple, orange, white = pictures.class_colours(CLASSES)[1:]
    assert purple[2] > purple[0] > purple[1]
    assert orange[0] > orange[1] > orange[2]
    np.testing.assert_array_equal(white, 1)
    heart = pictures.class_colours(("background", "LV", "myocardium", "RV", *map(str, range(9))))
    assert len(np.unique(heart[:8], axis=0)) == 8


def test_errors_are_coloured_by_kind():
    oracle = np.array([[0, 1, 1, 2]])
    prediction = np.array([[1, 0, 1, 3]])
    picture = pictures.error_map(prediction, oracle, np.ones((1, 4)))
    np.testing.assert_allclose(picture[0, 0], to_rgb(pictures.SPURIOUS_COLOUR))
    np.testing.assert_allclose(picture[0, 1], to_rgb(pictures.MISSED_COLOUR))
    np.testing.assert_allclose(picture[0, 2], 0.45)  # right: dimmed image
    np.testing.assert_allclose(picture[0, 3], to_rgb(pictures.SWAPPED_COLOUR))


def test_the_segmentation_picture_shows_prediction_and_error_where_they_are(tmp_path):
    """A tissue in the high-y, low-x corner only: after the turn that is the lower left of a panel."""
    oracle = np.zeros((40, 40), np.uint8)
    wrong = oracle.copy()
    wrong[30:40, 0:10] = 2  # GM that is not there
    example = pictures.Example(
        case=0,
        title="a",
        zero_filled=oracle * 1.0,
        fully_sampled=oracle * 1.0,
        predictions={"net": wrong},
        oracle=oracle,
    )
    image = imread(pictures.draw_examples([example], CLASSES, tmp_path / "p.png", title="t"))[..., :3]
    image = image[: int(0.85 * len(image))]  # above the legend
    panels = {}
    for name, colour in (("prediction", pictures.COLOURS["GM"]), ("error", pictures.SPURIOUS_COLOUR)):
        y, x = np.nonzero(np.abs(image - to_rgb(colour)).max(axis=-1) < 0.02)
        assert len(y) > 200
        panels[name] = (np.median(y) / image.shape[0], np.median(x) / image.shape[1])
    assert panels["prediction"][0] > 0.6  # low x is posterior or inferior: below
    assert 0.4 < panels["prediction"][1] < 0.5  # left half of the third of five panels
    assert 0.8 < panels["error"][1] < 0.9  # left half of the fifth


def test_the_training_curve_reads_what_the_log_holds(tmp_path):
    (tmp_path / "log.csv").write_text("epoch,loss,dice,val_loss,val_dice\n1,0.9,0.3,,\n2,0.7,0.5,0.8,0.4\n")
    log = pictures.read_log(tmp_path / "log.csv")
    assert log["loss"] == [0.9, 0.7]
    assert np.isnan(log["val_loss"][0])
    assert log["val_loss"][1] == 0.8
    assert pictures.draw_training_curve(tmp_path).stat().st_size > 5_000
    (tmp_path / "log.csv").write_text("epoch,loss\n")
    with pytest.raises(ValueError, match="at least one epoch"):
        pictures.draw_training_curve(tmp_path)
