import dataclasses
import math

import numpy as np
import pytest

from phantoms import tissues as tissues_module
from phantoms.phantom import BRAIN_ORACLE, PhantomError
from phantoms.table_file import read_table
from phantoms.tissues import TISSUE_TABLES, Tissue, TissueTable, table_for_field, tissue_table

AIR = Tissue(name="air", pd=0, t1=0, t2=0, t2star=0)
GM = Tissue(name="GM", pd=0.86, t1=0.833, t2=0.083, t2star=0.069)

# BrainWeb's tissue_mr_parameters at 1.5 T: T1, T2, T2* [ms], PD
PUBLISHED = {
    "CSF": (2569, 329, 58, 1.0),
    "GM": (833, 83, 69, 0.86),
    "WM": (500, 70, 61, 0.77),
    "fat": (350, 70, 58, 1.0),
}
NAMES = ["background", "CSF", "GM", "WM", "fat", "muscle", "muscle/skin", "skull", "vessels", "around fat"]
NAMES += ["dura", "marrow"]


@pytest.mark.parametrize("name", ["brainweb-1.5T", "brainweb-strict-1.5T"])
def test_published_rows_are_brainwebs(name):
    rows = {t.name: t for t in tissue_table(name).tissues}
    for tissue, (t1, t2, t2star, pd) in PUBLISHED.items():
        row = rows[tissue]
        assert (row.t1 * 1e3, row.t2 * 1e3, row.t2star * 1e3, row.pd) == pytest.approx((t1, t2, t2star, pd))
    assert (rows["skull"].pd, rows["background"].pd) == (0, 0)


@pytest.mark.parametrize("name", [n for n in TISSUE_TABLES if n.startswith("brainweb")])
def test_every_brain_table_has_the_twelve_classes_in_order_and_cites_each_row(name):
    folder = tissues_module.Path(tissues_module.__file__).parent / "tables"
    file = read_table(folder / f"{name}.toml")
    assert file.table == tissue_table(name) and file.table.name == name
    assert file.labels == tuple((i,) for i in range(12))
    assert [t.name for t in file.table.tissues] == NAMES
    assert all(t.source for t in file.table.tissues)
    assert dataclasses.asdict(file.oracle) == dataclasses.asdict(BRAIN_ORACLE)


def test_t1_lengthens_with_the_field_and_fat_precesses_slower_than_water():
    low, high = table_for_field(1.5), table_for_field(3.0)
    for a, b in zip(low.tissues, high.tissues, strict=True):
        assert b.t1 > a.t1 or a.pd == 0
        assert (a.chemical_shift < 0) == (a.name in ("fat", "marrow"))
        assert -12e-6 < a.susceptibility < -7e-6 or a.name == "background"
    with pytest.raises(ValueError, match=r"field_strength must be 1\.5 or 3 T.*got 7"):
        table_for_field(7)


def test_t2prime_is_what_t2star_has_beyond_t2():
    assert 1 / GM.t2star == pytest.approx(1 / GM.t2 + 1 / GM.t2prime)
    assert dataclasses.replace(GM, t2star=GM.t2).t2prime == math.inf
    assert AIR.t2prime == math.inf


def test_variation_has_the_stated_spread_and_keeps_t2prime():
    table, rng = tissue_table("brainweb-1.5T"), np.random.default_rng(3)
    n = 4000
    draws = [table.varied(rng).tissues[2] for _ in range(n)]
    ratios = np.array([(t.t1 / GM.t1, t.t2 / GM.t2, t.pd / GM.pd) for t in draws])
    spread = np.array([np.log(ratios[:, 0]).std(), np.log(ratios[:, 1]).std(), ratios[:, 2].std()])
    assert spread == pytest.approx([0.05, 0.05, 0.02], rel=4 / math.sqrt(2 * n))  # 4 standard errors
    centre = [np.log(ratios[:, 0]).mean(), np.log(ratios[:, 1]).mean(), ratios[:, 2].mean() - 1]
    assert np.abs(centre / spread).max() < 4 / math.sqrt(n)
    assert np.abs(np.corrcoef(ratios.T) - np.eye(3)).max() < 4 / math.sqrt(n)
    assert [t.t2prime for t in draws[:5]] == pytest.approx([GM.t2prime] * 5)
    assert table.varied(rng).tissues[7] == table.tissues[7]  # the skull has no signal to vary


def test_the_same_draw_gives_the_same_subject():
    table = tissue_table("brainweb-3T")
    a, b, c = (table.varied(np.random.default_rng(seed)) for seed in (5, 5, 6))
    assert a == b != c


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"t2star": 0.2}, r"t2star of 'GM' must not exceed t2 = 0\.083 s, got 0\.2 s"),
        ({"t2": 2.0}, "t2 of 'GM' must not exceed 2 . t1"),
        ({"t1": 0.0}, "t1 of 'GM' must be positive and finite, got 0.0 s"),
        ({"t1": math.nan}, "t1 of 'GM' must be positive"),
        ({"pd": -1}, "pd of 'GM' must be finite and not negative"),
        ({"pd": 0}, "t1 of 'GM' must be 0 where pd is 0"),
        ({"susceptibility": -9.05}, "susceptibility of 'GM' must be a small ratio"),
        ({"name": ""}, "name must not be empty"),
    ],
)
def test_impossible_tissues_are_refused(changes, sentence):
    with pytest.raises(ValueError, match=sentence):
        dataclasses.replace(GM, **changes)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"field_strength": 0.0}, "field_strength must be positive and finite, got 0.0 T"),
        ({"tissues": (GM, AIR)}, "tissue 0 must be air with pd 0, got 'GM'"),
        ({"tissues": (AIR, GM, GM)}, "different names"),
        ({"tissues": (AIR,)}, "tissues must be 2 to 255"),
    ],
)
def test_impossible_tables_are_refused(changes, sentence):
    with pytest.raises(ValueError, match=sentence):
        TissueTable(**{"name": "t", "field_strength": 1.5, "tissues": (AIR, GM), **changes})


def test_an_unknown_table_lists_the_known_and_the_nearest():
    with pytest.raises(ValueError, match=r"brainweb-1\.5T.*did you mean 'brainweb-3T'"):
        tissue_table("brainweb-3t")


OWN = """
field_strength = 3
[[tissue]]
label = 0
name = "air"
pd = 0
[[tissue]]
label = [2, 41]
name = "WM"
pd = 0.7
t1_ms = 832
t2_ms = 75
"""


def read(tmp_path, text):
    path = tmp_path / "own.toml"
    path.write_text(text)
    return read_table(path)


def test_a_small_table_has_sensible_defaults(tmp_path):
    file = read(tmp_path, OWN)
    air, wm = file.table.tissues
    assert (file.table.name, file.table.field_strength, file.labels) == ("own", 3.0, ((0,), (2, 41)))
    assert (wm.t1, wm.t2, wm.t2prime) == (pytest.approx(0.832), pytest.approx(0.075), math.inf)
    assert (air.susceptibility, wm.susceptibility) == pytest.approx((0.36e-6, -9.05e-6))
    assert (file.oracle.names, file.oracle.of_tissue, file.oracle.priority) == (("air", "WM"), (0, 1), (1, 0))


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ("t2_ms", "t2", r"own\.toml: key of a tissue must be .*got 't2' \(did you mean 't2_ms'\?\)"),
        ("field_strength", "field_strenght", "did you mean 'field_strength'"),
        ("field_strength = 3", "", "field_strength must be given"),
        (
            "field_strength = 3",
            "field_strength = 3\noracle = ['none', 'WM']\npriority = ['WM']",
            "priority must hold each",
        ),
        ("pd = 0.7", "pd = 0.7\noracle = 'WM'", "oracle of 'WM' must be one of the classes"),
        ("pd = 0.7", "pd = '0.7'", "pd must be a number, got '0.7'"),
        ("pd = 0.7", "pd = nan", "pd of 'WM' must be finite"),
        ("t1_ms = 832", "", "t1_ms of 'WM' must be given"),
        ("[2, 41]", "[2, 0]", "label 0 must stand for one tissue, got 'air' and 'WM'"),
        ("[2, 41]", "2.5", "label of 'WM' must be a whole number"),
        ("[2, 41]", "[]", "label of 'WM' must be a whole number"),
        ("[2, 41]", "70000", "label of 'WM' must be a whole number from 0 to 65535"),
        ("[[tissue]]", "[tissue]", "own.toml"),
        ('name = "WM"', "", "name must not be empty"),
    ],
)
def test_a_bad_table_file_gets_one_sentence(tmp_path, old, new, sentence):
    with pytest.raises(PhantomError, match=sentence) as caught:
        read(tmp_path, OWN.replace(old, new))
    assert "\n" not in str(caught.value)


def test_a_table_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(PhantomError, match=r"nothing\.toml cannot be read: No such file"):
        read_table(tmp_path / "nothing.toml")
