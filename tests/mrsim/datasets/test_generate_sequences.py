"""generate with every Cartesian sequence and of test objects: closed forms arrive in the store."""

import math
from dataclasses import replace

import numpy as np
import pytest

from mrsim.bloch.engine import choose_engine
from mrsim.datasets.generate import GenerateError, generate
from mrsim.recipes import load_recipe
from mrsim.sequences import SEQUENCES, sequence_class
from phantoms.objects.parts import CITATION
from tests.mrsim.tiny import QUICK, tiny_recipe


def spin_echo(s, t1, t2, _):
    return np.exp(-s.te / t2) * (1 - 2 * np.exp(-(s.tr - s.te / 2) / t1) + np.exp(-s.tr / t1))


def inverted(s, t1, t2, _):
    recovered = 1 - 2 * np.exp(-s.ti / t1) + 2 * np.exp(-(s.tr - s.te / 2) / t1) - np.exp(-s.tr / t1)
    return np.exp(-s.te / t2) * recovered


def spoiled(s, t1, _, t2star):
    e1 = np.exp(-s.tr / t1)
    return math.sin(s.flip) * (1 - e1) / (1 - math.cos(s.flip) * e1) * np.exp(-s.te / t2star)


def balanced(s, t1, t2, _):
    e1, e2 = np.exp(-s.tr / t1), np.exp(-s.tr / t2)
    peak = math.sin(s.flip) * (1 - e1) / (1 - (e1 - e2) * math.cos(s.flip) - e1 * e2)
    return peak * np.exp(-s.te / t2)


def train(s, t1, t2, _):
    """Each of the perfect refocusing pulses turns over what of Mz has recovered since the last."""
    mz, spacing = 0.0, s.te / s.effective_echo
    for wait in [spacing / 2] + [spacing] * (s.echo_train - 1):
        mz = -(1 - (1 - mz) * np.exp(-wait / t1))
    rest = s.tr - (s.echo_train - 1 / 2) * spacing
    return (1 - (1 - mz) * np.exp(-rest / t1)) * np.exp(-s.te / t2)


CLOSED_FORMS = {
    "spin-echo": spin_echo,
    "turbo-spin-echo": train,
    "inversion-recovery": inverted,
    "gre": spoiled,
    "bssfp": balanced,
    "epi": spoiled,
    "diffusion-se": spin_echo,  # the tissues of the phantom do not diffuse
}
# A train that divides 16 lines, so short that T2 hardly weights them.
SHORT = {"turbo-spin-echo": {"echo_train": 4, "effective_echo": 2, "te": 16e-3, "bandwidth": 1600.0}}


@pytest.fixture(scope="module")
def labels(tmp_path_factory):
    return tmp_path_factory.mktemp("labels")


def test_every_cartesian_sequence_has_a_closed_form_here():
    assert set(CLOSED_FORMS) == {name for name in SEQUENCES if sequence_class(name).cartesian}


@pytest.mark.parametrize("name", CLOSED_FORMS)
def test_a_data_set_of_every_cartesian_sequence_shows_the_closed_form(labels, tmp_path, name):
    """In the white matter in the middle of the head, with the times and the tissue that were drawn."""
    options = {**QUICK, **SHORT.get(name, {}), "thickness": 8e-3, "vary": 0.05}
    recipe = tiny_recipe(labels, subjects=(1,), slices=1, sequence=name, **options)
    case = generate(recipe, tmp_path / "a.zarr").case(0)
    assert case.te != recipe.sequence.te
    played = replace(recipe.sequence, te=case.te, tr=case.tr)
    assert (played.te, played.tr) == (case.te, case.tr)
    t1, t2, t2prime, pd = (case.coords[key][3] for key in ("t1", "t2", "t2prime", "pd"))
    expected = pd * CLOSED_FORMS[name](played, t1, t2, 1 / (1 / t2 + 1 / t2prime))
    assert (case.labels[6:10, 8:12] == 3).all()
    middle = np.abs(case.image)[6:10, 8:12]
    assert np.median(middle) == pytest.approx(abs(expected), rel=0.03)  # ringing of 16 x 20 pixels


@pytest.mark.parametrize("name", ["spin-echo", "turbo-spin-echo", "inversion-recovery", "gre", "bssfp"])
def test_lines_with_and_without_phase_encode_are_alike_to_the_fast_engine(name):
    """The line in the middle of k-space has a lobe of no amplitude: repetitions differ in nothing else."""
    options = {"matrix": (12, 16), "fov": (0.12, 0.16), "thickness": 5e-3}
    options |= {"echo_train": 3, "effective_echo": 2} if name == "turbo-spin-echo" else {}
    assert choose_engine(sequence_class(name)(**options))[0] == "cartesian"


@pytest.mark.parametrize(("name", "n_classes"), [("sphere", 2), ("cylinder", 2), ("vials", 11)])
def test_test_objects_become_data_sets_with_a_class_for_every_tissue(tmp_path, name, n_classes):
    """The middle slice of each is a disk of water, of the radius that is documented."""
    recipe = load_recipe("objects-se", phantom=name, slices=1, spacing=2e-3, rf="ideal", matrix=(48, 48))
    store = generate(recipe, tmp_path / "a.zarr")
    case = store.case(0)
    assert (store.n_cases, store.n_classes, store.attrs["citation"]) == (1, n_classes, CITATION)
    radius = {"sphere": 0.05, "cylinder": 0.08, "vials": 0.09}[name]
    assert (case.labels > 0).sum() * 0.004**2 == pytest.approx(math.pi * radius**2, rel=0.03)
    water = spin_echo(recipe.sequence, case.coords["t1"][1], case.coords["t2"][1], None)
    image = np.abs(case.image)
    assert np.median(image[case.labels == 1]) == pytest.approx(water, rel=0.01)
    assert case.coords["t1"][1] == 0.5141  # as the table says: nothing varies
    if name == "vials":  # the oil lies in front (+A), the image's +x
        oil = np.argwhere(case.labels == 2).mean(axis=0)
        np.testing.assert_allclose(oil, (24, 24 + 58 / 4), atol=0.5)


def test_an_engine_that_cannot_do_the_sequence_is_refused_before_anything_is_written(labels, tmp_path):
    for engine, name, reason in (
        ("cartesian", "epi", "does not fill a line of k-space forwards"),
        ("nufft", "turbo-spin-echo", "encoding is neither rewound nor spoiled"),
    ):
        recipe = tiny_recipe(labels, sequence=name, engine=engine, **QUICK, **SHORT.get(name, {}))
        with pytest.raises(GenerateError, match=f"engine {engine} must not be taken, because .*{reason}"):
            generate(recipe, tmp_path / "a.zarr")
    assert not (tmp_path / "a.zarr").exists()
