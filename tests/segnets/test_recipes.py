"""The papers' training recipes, and what their networks cost."""

import pytest

from segnets.complexity import complexity
from segnets.models import MODELS, RECONSTRUCTORS, model_class
from segnets.recipes import FOLDER, read_recipe
from segnets.stages import Stage

NAMES = [*MODELS, *RECONSTRUCTORS]


def test_every_network_has_a_file_and_every_file_a_network():
    assert {path.stem for path in FOLDER.glob("*.toml")} == set(NAMES)
    for name in NAMES:  # the file of its own name, not of another's
        cls = model_class(name)
        wiring = [Stage(name=s.name) for s in cls.stages]
        recipe, stages = read_recipe(name, *wiring)
        assert cls.recipe == recipe
        assert [(s.name, s.epochs, s.schedule) for s in stages] == [
            (s.name, s.epochs, s.schedule) for s in cls.stages
        ]


@pytest.mark.parametrize(
    ("name", "lr", "batch", "epochs", "rate", "noise"),
    [  # as the papers state them
        ("seranet", 1e-4, 12, [50], 0.3, 0.1),
        ("two-step", 1e-4, 12, [50, 50], 0.3, 0.1),
        ("li-net", 1e-4, 8, [30, 50], 0.12, 0),
        ("crdn", 6e-4, 1, [126], 1, 0),  # 126 * 239 slices = 30,114 iterations
        ("semunet", 1e-4, 12, [600, 500], 0.1, 0),
        ("loupe-seg", 1e-4, 12, [600, 500, 500], 0.1, 0),
    ],
)
def test_recipes_hold_what_the_papers_state(name, lr, batch, epochs, rate, noise):
    recipe, stages = model_class(name).recipe, model_class(name).stages
    assert (recipe.lr, recipe.batch_size, recipe.rate, recipe.noise) == (lr, batch, (rate,), (noise,))
    assert [stage.epochs for stage in stages] == epochs and recipe.epochs == sum(epochs)


def test_stages_of_other_names_than_the_file_are_refused():
    with pytest.raises(ValueError, match=r"stages of two-step.toml must be first, got reconstruction, segm"):
        read_recipe("two-step", Stage(name="first"))


def test_operations_are_those_of_the_convolutions():
    """A Reg block of type A has 112,896 weights without biases, each used once per pixel: two operations."""
    two, three = (complexity("seranet", {"n_blocks": n}) for n in (2, 3))
    assert three.flops - two.flops == 2 * 112_896 * 180 * 216
    assert three.n_parameters - two.n_parameters == 113_154
    crdn = complexity("crdn", {"contrasts": 3})
    assert crdn.n_parameters == 1_230_704
    assert crdn.inputs["k-space"] == (6, 240, 240) and crdn.outputs["logits"] == (4, 240, 240)


@pytest.mark.parametrize("name", NAMES)
def test_every_network_is_counted_at_its_papers_size(name):
    cost = complexity(name, {})
    assert cost.flops > 1e9
    assert set(cost.outputs) == ({"logits", "image"} if name in MODELS else {"image"})
    assert all(shape[-2:] == cost.shape[-2:] for shape in cost.outputs.values())


def test_series_of_frames_are_counted_too():
    cost = complexity("syn-net", {"dims": 3})
    assert cost.n_parameters == 5_431_460 and cost.outputs["logits"] == (4, 50, 168, 208)
