"""What answers in place of a network: the mean of the training subjects, or a foreign measurement."""

import numpy as np
import pytest
from click.testing import CliRunner

from cli.segnets import main
from mrsim.store import open_store
from segnets.controls import mean_shape, partners, prepare
from segnets.data import DataError
from segnets.evaluate import EvaluateConfig, evaluate
from tests.segnets.cardiac.known_heart import write_run
from tests.stores import write_cine_store, write_test_store


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return write_cine_store(tmp_path_factory.mktemp("store") / "hearts.zarr", n_subjects=6, slices=2)


def test_the_mean_shape_is_the_mode_of_the_training_labels_slice_by_slice(store):
    from scipy.stats import mode

    opened = open_store(store)
    train = opened.indices("train")
    for number in (0, 1):
        labels = opened.labels(train[opened.coords["slice"][train] == number])
        np.testing.assert_array_equal(mean_shape(opened, number), mode(labels, axis=0).mode)
    whole, cut = mean_shape(opened, 0), mean_shape(opened, 0, crop=(16, 12))
    np.testing.assert_array_equal(cut, whole[:, 4:20, 4:16])


def test_the_mean_shape_is_scored_whatever_is_measured(tmp_path, store):
    folder = write_run(tmp_path / "run", store, shift=3)
    few, many = (evaluate(folder, EvaluateConfig(control="mean-shape", rate=r)) for r in (0.1, 1.0))
    assert [c.tissues for c in few.cases] == [c.tissues for c in many.cases]
    opened = open_store(store)
    shape = mean_shape(opened, 0)
    first, truth = few.cases[0], opened.labels(opened.indices("test"))[0, 0]
    for c, score in enumerate(first.tissues, start=1):
        assert score.both == np.sum((shape[0] == c) & (truth == c))
    assert few.condition.endswith("-mean-shape")
    assert few.title.startswith("Control, mean-shape")


def test_k_space_of_the_next_subject_is_answered_and_held_against_the_own_labels(tmp_path, store):
    """A perfect network answers the labels of the next subject."""
    folder = write_run(tmp_path / "run", store)
    result = evaluate(folder, EvaluateConfig(control="other-subject", split="train", batch_size=3))
    opened = open_store(store)
    labels = opened.labels(opened.indices("train")).reshape(4, 2, -1, 24, 20)
    other = np.roll(labels, -1, axis=0).reshape(8, -1, 24, 20)
    for case in result.cases:
        own = labels.reshape(other.shape)[case.case, case.frame]
        for c, score in enumerate(case.tissues, start=1):
            assert score.both == np.sum((other[case.case, case.frame] == c) & (own == c))
            assert score.predicted == np.sum(other[case.case, case.frame] == c)


def test_partners_are_the_same_slice_of_the_next_subject_in_a_ring(store):
    opened = open_store(store)
    assert partners(opened, opened.indices("train")) == {0: 2, 1: 3, 2: 4, 3: 5, 4: 6, 5: 7, 6: 0, 7: 1}
    with pytest.raises(DataError, match="single subject"):
        partners(opened, opened.indices("test"))


def test_still_slices_have_controls_too(tmp_path):
    heads = open_store(write_test_store(tmp_path / "heads.zarr", n_subjects=3, slices=2))
    shape = prepare("mean-shape", heads, "test").shapes[1]
    assert shape.shape == (32, 40)
    assert set(np.unique(shape)) == {0, 1, 2, 3}
    with pytest.raises(ValueError, match="did you mean 'mean-shape'"):
        EvaluateConfig(control="mean-shap")


def test_the_command_answers_with_a_control(tmp_path, store):
    folder = write_run(tmp_path / "run", store)
    result = CliRunner().invoke(main, ["evaluate", str(folder), "--control", "mean-shape", "--quiet"])
    assert result.exit_code == 0, result.output
    assert result.output.startswith("Control, mean-shape, in place of run")
