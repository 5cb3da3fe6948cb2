"""Recipes: what ships is what was published; what is wrong is refused in one sentence."""

import math
from dataclasses import dataclass

import numpy as np
import pytest

from mrsim.datasets.draws import SUBJECT_KEY, coordinates, draw_subject, generator
from mrsim.recipes.recipe import RECIPE_FOLDER, RECIPE_OF_PHANTOM, load_recipe, recipe_for, recipe_names
from mrsim.recipes.slice_sets import SLICE_SETS, slice_set, spread
from mrsim.recipes.sources import base_table, oracle_of, source_of
from mrsim.sequences import SEQUENCES, sequence_class
from phantoms.brainweb import SUBJECTS

OWN_PHANTOM = tuple(name for name in recipe_names() if name != "nifti-se")  # it asks for files of the user's


def test_the_seranet_set_is_the_published_one():
    recipe = load_recipe("brainweb-se")
    n_slices, n_test = len(recipe.slices.positions), len(recipe.split.test)
    assert (n_slices, len(SUBJECTS)) == (57, 20)
    assert ((20 - n_test) * n_slices, n_test * n_slices) == (969, 171)
    assert recipe.phantom.subjects == SUBJECTS
    assert recipe.split.test == (52, 53, 54)
    sequence = recipe.sequence
    assert (sequence.te, sequence.tr, sequence.flip) == (0.08, 3.0, pytest.approx(math.pi / 2))
    assert (sequence.matrix, sequence.pixel) == ((180, 216), pytest.approx((1e-3, 1e-3)))
    assert (sequence.thickness, sequence.rf, recipe.scanner.b0) == (1e-3, "shaped", "susceptibility")
    assert (recipe.vary.te, recipe.vary.tr, recipe.vary.per) == (0.05, 0.05, "subject")


@pytest.mark.parametrize(("name", "count"), [("seranet", 57), ("contiguous", 57), ("semunet", 48)])
def test_slice_sets_have_as_many_slices_in_every_orientation(name, count):
    for orientation in SLICE_SETS[name]:
        assert len(slice_set(name, orientation)) == count


def test_the_semunet_set_has_the_sizes_of_mrbrains():
    """Paper: 4 patients and 192 slices train, 1 and 48 test; 240 x 240 pixels, slices of 3 mm; 8 classes."""
    recipe = load_recipe("brainweb-t1")
    n_slices, n_test = len(recipe.slices.positions), len(recipe.split.test)
    assert ((len(recipe.phantom.subjects) - n_test) * n_slices, n_test * n_slices) == (192, 48)
    assert (recipe.sequence.matrix, recipe.sequence.thickness) == ((240, 240), 3e-3)
    assert recipe.sequence.pixel == pytest.approx((1e-3, 1e-3))  # whole BrainWeb voxels
    oracle = oracle_of(recipe)
    assert len(oracle.names) == 8
    assert [i for i, c in enumerate(oracle.of_tissue) if c == 0] == [0]  # air alone is background


def test_the_crdn_set_is_the_published_one():
    """Paper: 399 slices of one brain, 239 + 160; released lists: 157 coronal, 121 sagittal, 121 axial."""
    recipe = load_recipe("brainweb-t1t2pd")
    views = recipe.slices.views
    assert [views.count(view) for view in ("coronal", "sagittal", "axial")] == [157, 121, 121]
    assert [contrast.name for contrast in recipe.contrasts] == ["T1", "T2", "PD"]
    split = coordinates(recipe, drawn(recipe))["split"]
    assert np.bincount(split).tolist() == [239, 0, 160]
    assert set(np.flatnonzero(split == 2) % 5) == {1, 3}
    for name, first in (("coronal", -126), ("sagittal", -90), ("axial", -72)):  # of the 1 mm grid [mm]
        there = [
            round(1e3 * p) for p, view in zip(recipe.slices.positions, views, strict=True) if view == name
        ]
        n_grid = {"coronal": 217}.get(name, 181)
        assert there == [first + i for i in range(30, n_grid - 30)]
    signal = [t.pd > 0 for t in drawn(recipe)[0].table.tissues]
    assert signal == [False, True, True, True] + [False] * 8  # stripped to CSF, GM and WM


def test_the_crdn_subjects_are_split_sixteen_to_four():
    recipe = load_recipe("brainweb-t1t2pd-subjects")
    split = coordinates(recipe, drawn(recipe))["split"]
    assert np.bincount(split).tolist() == [16 * 57, 0, 4 * 57]


def test_every_phantom_has_a_recipe_that_ships():
    assert set(RECIPE_OF_PHANTOM.values()) <= set(recipe_names())
    assert recipe_for() == "synthetic-se"
    assert recipe_for("brainweb") == "brainweb-se"


@pytest.mark.parametrize("name", OWN_PHANTOM)
def test_a_resolved_recipe_reads_back_to_itself(tmp_path, name):
    slices = 5 if name.startswith(("objects", "cardiac")) else "0:48:5"
    bandwidth = 1000.0 if name.startswith("cardiac") else 260.0
    recipe = load_recipe(name, bandwidth=bandwidth, slices=slices, seed=7)
    (tmp_path / "own.toml").write_text(recipe.as_toml())
    again = load_recipe(tmp_path / "own.toml")
    assert (again.hash, again.as_dict()) == (recipe.hash, recipe.as_dict())


def test_the_hash_follows_what_the_data_follow():
    base = load_recipe("synthetic-se")
    assert load_recipe("synthetic-se", te=0.08, coils=1, title="other words").hash == base.hash
    for change in ({"te": 0.081}, {"seed": 1}, {"slices": 56}, {"subjects": (0, 1)}, {"b0": "off"}):
        assert load_recipe("synthetic-se", **change).hash != base.hash


@pytest.mark.parametrize(
    ("slices", "numbers"),
    [
        ("0:57:3", tuple(range(0, 57, 3))),
        ("-3:", (54, 55, 56)),
        (3, (0, 28, 56)),
        ("1", (28,)),
        ("seranet", tuple(range(57))),
    ],
)
def test_slices_pick_from_the_set(slices, numbers):
    spec = load_recipe("synthetic-se", slices=slices).slices
    assert spec.numbers == numbers
    np.testing.assert_allclose(spec.positions, [-0.045 + 0.002 * i for i in numbers], atol=1e-12)


def test_spread_keeps_both_ends_and_never_repeats():
    for count in range(2, 58):
        numbers = spread(count, 57)
        assert (numbers[0], numbers[-1], len(set(numbers))) == (0, 56, count)


def test_another_phantom_brings_its_own_subjects():
    recipe = load_recipe("synthetic-se", phantom="brainweb")
    assert recipe.phantom.subjects == SUBJECTS
    assert recipe.split.test == ()


@pytest.mark.parametrize("name", [n for n in SEQUENCES if sequence_class(n).cartesian])
def test_every_cartesian_sequence_makes_a_data_set_of_the_brains(name):
    """With what it needs of its own, at the ends of the variation of TE and TR too."""
    recipe = load_recipe("brainweb-se", sequence=name)
    cls = sequence_class(name)
    assert recipe.sequence == cls()  # whose defaults are the recipe's, or its own
    assert load_recipe("brainweb-se", sequence=name, engine="isochromat").engine == "isochromat"


def test_another_sequence_keeps_what_both_have_in_common():
    recipe = load_recipe("synthetic-demo", sequence="bssfp", flip=0.7)
    sequence = recipe.sequence
    assert (sequence.matrix, sequence.fov) == ((90, 108), (0.180, 0.216))  # of the recipe
    assert (sequence.te, sequence.tr, sequence.bandwidth, sequence.flip) == (2.3e-3, 4.6e-3, 1000.0, 0.7)
    assert (recipe.engine, recipe.sequence_name) == ("auto", "bssfp")
    assert load_recipe("brainweb-se", sequence="se").hash == load_recipe("brainweb-se").hash
    sagittal = load_recipe("synthetic-se", sequence="truefisp", orientation="sagittal").sequence
    assert (sagittal.matrix, sagittal.fov) == ((216, 180), (0.216, 0.180))


@pytest.mark.parametrize("name", ["sphere", "cylinder", "vials"])
def test_test_objects_have_a_recipe_and_a_class_for_every_tissue(name):
    recipe = load_recipe(recipe_for(name), phantom=name, spacing=2e-3, field_strength=3.0)
    assert recipe.phantom.subjects == (1,)
    assert oracle_of(recipe).names == tuple(t.name for t in base_table(recipe).tissues)
    assert base_table(recipe).field_strength == 3.0
    assert source_of(recipe).spacing == 2e-3


def test_a_phantom_without_a_recipe_asks_for_one(monkeypatch):
    monkeypatch.delitem(RECIPE_OF_PHANTOM, "vials")
    with pytest.raises(ValueError, match="recipe must be given for the phantom vials"):
        recipe_for("vials")


def test_held_out_subjects_by_number_and_by_count():
    split = load_recipe("synthetic-se", subjects=range(6), validation=[1]).split
    assert (split.test, split.validation) == ((3, 4, 5), (1,))
    split = load_recipe("synthetic-se", subjects=[4, 9], test=[9]).split
    assert (split.test, split.validation) == ((9,), ())
    assert load_recipe("brainweb-se", subjects=[4, 5]).split.test == ()


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"te": 4.0}, r"te must lie in \(0, tr = 3\.0 s\), got 4\.0 s"),
        ({"te": 2.9}, r"te must lie in .* \(which may be drawn with vary te by 0\.05"),
        ({"flip": 0.0}, r"flip must lie in \(0, pi\], got 0\.0 rad"),
        ({"bandwidth": 0.4, "te": 1.4, "tr": 1.6, "vary": 0}, r"te must .* readout"),
        ({"bandwidth": 10.0, "tr": 0.101, "te": 0.1, "vary": 0}, r"(te|tr) must .* readout"),
        ({"field_strength": 0.0}, r"field_strength must be positive, got 0\.0 T"),
        ({"field_strength": 7.0}, r"field_strength must be 1\.5 or 3 T"),
        ({"b0": "suceptibility"}, r"b0 must be one of .* \(did you mean 'susceptibility'\?\)"),
        ({"phantom": "brainwb"}, r"phantom must be one of .* \(did you mean 'brainweb'\?\)"),
        ({"sequence": "radial"}, r"must fill a Cartesian grid, .* mrsim simulate --sequence radial scans"),
        ({"sequence": "spiral"}, r"must fill a Cartesian grid, .* mrsim simulate --sequence spiral scans"),
        ({"phantom": "sphere", "tissues": "brainweb-3T"}, r"tissues must be those of the field strength"),
        ({"phantom": "vials", "classes": "head"}, r"classes must be those of the table .* vials"),
        ({"phantom": "sphere", "subjects": [2]}, r"subject must be one of 1 of sphere, got 2"),
        ({"phantom": "sphere", "field_strength": 7.0}, r"field_strength must be 1\.5 or 3 T"),
        (
            {"phantom": "brainweb", "spacing": 1e-3},
            r"spacing must be given for synthetic, sphere, .* brainweb",
        ),
        ({"sequence": "spin_echo"}, r"sequence must be one of .* \(did you mean 'spin-echo'\?\)"),
        ({"engine": "cartesien"}, r"engine must be one of .* \(did you mean 'cartesian'\?\)"),
        ({"slices": "seranett"}, r"slices must be one of .* \(did you mean 'seranet'\?\)"),
        ({"slices": "banana"}, r"slices .* a count such as 20 .* or a range .* 0:57:3, got 'banana'"),
        ({"orientation": "axial, axial"}, r"orientation must name each view once, got 'axial, axial'"),
        ({"split": "slices"}, r"split must be one of subject, slice, .* \(did you mean 'slice'\?\)"),
        ({"split": "slice", "slices": "0:57:5"}, r"split by slice must leave .* got 0 of 12 for the test"),
        ({"classes": "heads"}, r"classes must be one of .* \(did you mean 'head'\?\)"),
        ({"noise_reference": "brightest"}, r"noise_reference must be one of .* 'brightest_tissue'\?\)"),
        ({"slices": 58}, r"slices must be 1 to 57, .* got 58"),
        ({"slices": "60:70"}, r"slices must pick some of the 57"),
        ({"orientation": "axail"}, r"orientation must be one of .* \(did you mean 'axial'\?\)"),
        ({"of": "auto", "slices": "0:9:2"}, r"slices must be a count such as 9, .* got '0:9:2'"),
        ({"of": "auto", "slices": 0}, r"slices must be a count such as 9, .* got '0'"),
        ({"phantom": "brainweb", "subjects": [4, 7]}, r"subject must be one of 4, 5, .* got 7"),
        ({"subjects": [1, 1]}, r"subjects must be different"),
        ({"test": [20]}, r"test must hold subjects of the data set, in one split, got 20"),
        ({"coils": 0}, r"coils must be 1 to 256, got 0"),
        ({"codec": "lz4"}, r"codec must be one of none, zstd, got 'lz4'"),
        ({"vary": 1.5}, r"vary\.te must lie in \[0, 1\), got 1\.5"),
        ({"noise": -0.1}, r"noise must not be negative, got -0\.1"),
        ({"seed": -1}, r"seed must lie in"),
        ({"seed": "one"}, r"recipe\.seed must be of type int, got 'one'"),
        ({"te": "80"}, r"sequence\.te must be of type float, got '80'"),
        ({"flipp": 1.0}, r"recipe parameter must be one of .* \(did you mean 'flip'\?\)"),
    ],
)
def test_impossible_values_are_refused_with_rule_value_and_unit(changes, sentence):
    with pytest.raises(ValueError, match=sentence):
        load_recipe("synthetic-se", **changes)


@pytest.mark.parametrize(
    ("toml", "sentence"),
    [
        ("[sequence]\ntee = 0.08", r"key of \[sequence\] must be one of .* \(did you mean 'te'\?\)"),
        ("[sequnce]\nte = 0.08", r"recipe key must be one of .* \(did you mean 'sequence'\?\)"),
        ("te = 0.08", r"recipe key must be one of .* got 'te'"),
        ("[sequence", r"must be TOML"),
    ],
)
def test_a_recipe_file_with_unknown_keys_is_refused(tmp_path, toml, sentence):
    (tmp_path / "mine.toml").write_text(toml)
    with pytest.raises(ValueError, match=sentence):
        load_recipe(tmp_path / "mine.toml")


def test_unknown_recipes_and_missing_files_are_named(tmp_path):
    with pytest.raises(ValueError, match=r"recipe must be one of .* \(did you mean 'brainweb-se'\?\)"):
        load_recipe("brainweb_se")
    with pytest.raises(ValueError, match=r"none\.toml cannot be read: No such file"):
        load_recipe(tmp_path / "none.toml")


def drawn(recipe):
    subjects = range(len(recipe.phantom.subjects))
    return [draw_subject(recipe, rank, recipe.slices.positions) for rank in subjects]


def test_a_subject_is_drawn_alike_in_any_company():
    alone = drawn(load_recipe("brainweb-se", subjects=[41]))[0]
    among = next(d for d in drawn(load_recipe("brainweb-se", b0="smooth", coils=4)) if d.subject == 41)
    assert (alone.sequences[0], alone.table, alone.b0_seed) == (
        among.sequences[0],
        among.table,
        among.b0_seed,
    )


def test_the_echo_of_bssfp_stays_in_the_middle_of_the_drawn_repetition():
    recipe = load_recipe("synthetic-se", sequence="bssfp", subjects=range(20), slices=1)
    coords = coordinates(recipe, drawn(recipe))
    assert np.ptp(coords["tr"]) > 0
    assert np.abs(coords["te"] - coords["tr"] / 2).max() <= 10e-6


def test_draws_are_uniform_within_five_per_cent_and_stored():
    recipe = load_recipe("synthetic-se", subjects=range(300), slices=1)
    draws = drawn(recipe)
    coords = coordinates(recipe, draws)
    for name, mean, raster in (("te", 0.08, 20e-6), ("tr", 3.0, 10e-6)):  # TE / 2 lies on the raster
        relative = (coords[name] / mean - 1) / 0.05  # uniform in -1..1: mean 0 and variance 1/3
        assert np.abs(relative).max() <= 1 + raster / 2 / mean / 0.05
        assert abs(relative.mean()) < 4 / math.sqrt(3 * 300)
        assert relative.var() == pytest.approx(
            1 / 3, rel=0.25
        )  # 4 sigma: sqrt(4/45 / 300) * 3 = 5 %, and tails
    assert np.unique(coords["b0_seed"]).size == 300
    np.testing.assert_array_equal(coords["t1"][7], [t.t1 for t in draws[7].table.tissues])
    spread_of_log_t1 = np.log(coords["t1"][:, 2] / 0.833)  # GM
    assert spread_of_log_t1.std() == pytest.approx(0.05, rel=0.2)
    assert set(coords["split"]) == {0, 2}


def test_what_is_drawn_is_stored_as_it_is_played():
    """A drawn time moves to the nearest that the gradients can keep: TE by at most 10 us, TR by 5 us."""
    recipe = load_recipe("synthetic-se", subjects=range(40), slices=1)
    draws = drawn(recipe)
    units = np.array([generator(0, SUBJECT_KEY + draw.subject).uniform(-1, 1, 3) for draw in draws])
    coords = coordinates(recipe, draws)
    for name, unit, mean, step in (("te", units[:, 0], 0.08, 20e-6), ("tr", units[:, 1], 3.0, 10e-6)):
        asked = mean * (1 + 0.05 * unit)
        assert 0 < np.abs(coords[name] - asked).max() <= step / 2 + 1e-12
        np.testing.assert_allclose(coords[name] / step, np.rint(coords[name] / step), atol=1e-6)
        np.testing.assert_array_equal(coords[name], [getattr(d.sequences[0][0], name) for d in draws])
    events = draws[7].sequences[0][0].events()
    length = events.duration[: events.start[1]].sum()
    assert length == pytest.approx(coords["tr"][7], abs=1e-9)


def test_variation_by_case_differs_within_a_subject(tmp_path):
    toml = load_recipe("synthetic-se", slices=4).as_toml().replace('per = "subject"', 'per = "case"')
    (tmp_path / "case.toml").write_text(toml)
    recipe = load_recipe(tmp_path / "case.toml")
    assert all(len({s.tr for (s,) in draw.sequences}) == 4 for draw in drawn(recipe))


def test_a_change_for_all_contrasts_reaches_each_and_others_are_refused():
    recipe = load_recipe("synthetic-t1t2pd", matrix=(108, 108), flip=1.5, slices=2)
    assert {(s.matrix, s.flip) for s in recipe.sequences} == {((108, 108), 1.5)}
    assert [s.te for s in recipe.sequences] == [0.012, 0.12, 0.035]
    with pytest.raises(ValueError, match="te must be set by contrast, because T1, T2, PD differ in it"):
        load_recipe("synthetic-t1t2pd", te=0.08)


@dataclass(frozen=True, kw_only=True, slots=True)
class OtherSequence:
    """A sequence that knows nothing of refocusing or pulses."""

    te: float = 5e-3
    tr: float = 18e-3
    flip: float = 0.5
    spoiling: float = 1.0
    fov: tuple[float, float] = (0.2, 0.2)
    matrix: tuple[int, int] = (10, 10)
    bandwidth: float = 100.0
    thickness: float = 1e-3


def test_contrasts_have_one_geometry_and_may_be_other_sequences(tmp_path, monkeypatch):
    text = (RECIPE_FOLDER / "synthetic-t1t2pd.toml").read_text()
    path = tmp_path / "own.toml"
    path.write_text(text.replace("te = 120e-3", "te = 120e-3\nmatrix = [108, 108]"))
    with pytest.raises(ValueError, match=r"matrix must be the same for all contrasts"):
        load_recipe(path)
    path.write_text(text.replace("te = 120e-3", "te = 120e-3\nfliip = 1.0"))
    with pytest.raises(ValueError, match=r"key of \[contrasts\.T2\] must be one of .*'flip'"):
        load_recipe(path)
    monkeypatch.setitem(SEQUENCES, "other", f"{__name__}:OtherSequence")
    path.write_text(text.replace("te = 120e-3", 'te = 4e-3\nname = "other"\nspoiling = 0.5'))
    recipe = load_recipe(path)
    other = recipe.sequences[1]
    assert [contrast.sequence_name for contrast in recipe.contrasts] == ["spin-echo", "other", "spin-echo"]
    assert (other.te, other.tr, other.spoiling, other.matrix) == (4e-3, 3.3, 0.5, (216, 216))
    path.write_text(recipe.as_toml())
    assert load_recipe(path).hash == recipe.hash
    with pytest.raises(ValueError, match="sequence must be set by contrast"):
        load_recipe(path, sequence="spin-echo")
    path.write_text(text.replace("te = 120e-3", 'te = 120e-3\nname = "spin-eco"'))
    with pytest.raises(ValueError, match="sequence must be one of"):
        load_recipe(path)


def test_contrasts_vary_each_for_itself_and_the_first_as_if_alone():
    several = drawn(load_recipe("synthetic-t1t2pd", vary=0.05, slices=1))[7]
    alone = drawn(load_recipe("synthetic-se", vary=0.05, slices=1))[7]
    relative = [
        s.te / m.te
        for s, m in zip(several.sequences[0], load_recipe("synthetic-t1t2pd").sequences, strict=True)
    ]
    half = 10e-6  # [s] of the raster of TE, by which each is rounded
    assert relative[0] == pytest.approx(alone.sequences[0][0].te / 0.08, abs=half / 0.012 + half / 0.08)
    assert len({round(r, 9) for r in relative}) == 3
    assert max(abs(r - 1) for r in relative) <= 0.05 + half / 0.012


def test_the_title_says_what_was_changed():
    title = load_recipe("brainweb-se").title
    assert load_recipe("brainweb-se", te=0.08, vary=0.05, subjects=list(SUBJECTS)).title == title
    assert load_recipe("brainweb-se", te=0.07, slices=3).title == f"{title} (changed: te, slices)"
    assert load_recipe("brainweb-se", sequence="gre").title.startswith(f"gre in place of: {title}")
    assert load_recipe("brainweb-se", te=0.07, title="Mine").title == "Mine"
