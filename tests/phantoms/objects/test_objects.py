import math
from itertools import pairwise

import numpy as np
import pytest

from phantoms import phantom_source
from phantoms.tissues import tissue_table

OBJECTS = ("sphere", "cylinder", "vials")


@pytest.mark.parametrize("name", OBJECTS)
@pytest.mark.parametrize("spacing", [1e-3, 2.5e-3])
def test_an_object_is_centred_and_as_large_as_said(name, spacing):
    phantom = phantom_source(name, spacing=spacing).load(1)
    half = {"sphere": (50e-3,) * 3, "cylinder": (80e-3, 80e-3, 50e-3), "vials": (90e-3, 90e-3, 50e-3)}[name]
    for (low, high), h in zip(phantom.extent, half, strict=True):
        assert low == pytest.approx(-high) and high == pytest.approx(h, abs=spacing)
    assert phantom.oracle.of_tissue == tuple(range(len(phantom.tissues.tissues)))
    assert phantom.spacing == pytest.approx([spacing] * 3)


def test_the_volume_is_that_of_the_ball():
    phantom = phantom_source("sphere", radius=30e-3, spacing=1e-3).load(1)
    assert np.count_nonzero(phantom.labels) * 1e-9 == pytest.approx(4 / 3 * math.pi * 30e-3**3, rel=2e-3)


def tissue_at(phantom, x, y):
    index = np.rint((np.array([x, y, 0]) - phantom.affine[:3, 3]) / phantom.spacing).astype(int)
    return phantom.tissues.tissues[phantom.labels[tuple(index[::-1])]]


def test_the_vials_tell_which_way_is_up():
    phantom = phantom_source("vials").load(1)
    assert tissue_at(phantom, 0, 58e-3).name == "oil"  # in front
    assert tissue_at(phantom, 80.5e-3, 0).name == "plastic"  # on the right
    assert tissue_at(phantom, -80.5e-3, 0).name == "water"
    ring = [
        tissue_at(phantom, 58e-3 * math.sin(a), 58e-3 * math.cos(a)) for a in np.arange(1, 8) * math.pi / 4
    ]
    assert [t.name for t in ring] == [f"MnCl2-{n}" for n in (2, 4, 6, 8, 10, 12, 14)]
    assert all(a.t2 > b.t2 for a, b in pairwise(ring))


def test_bars_can_be_counted_at_half_a_millimetre():
    phantom = phantom_source("vials", spacing=0.5e-3).load(1)
    labels = phantom.labels[phantom.labels.shape[0] // 2]
    for width, (x, y) in {1: (-13, 11), 1.5: (-13, -11), 2: (6, 11), 3: (9, -11)}.items():
        row = labels[round((y * 1e-3 - phantom.affine[1, 3]) / 0.5e-3)]
        at = phantom.affine[0, 3] + 0.5e-3 * np.arange(row.size)
        bars = (row == 10) & (np.abs(at - x * 1e-3) < 4 * width * 1e-3)
        edges = np.flatnonzero(np.diff(bars.astype(int)))
        assert edges.size == 8 and np.abs(np.diff(edges) - width / 0.5).max() <= 1


@pytest.mark.parametrize("field", [1.5, 3.0])
def test_the_table_follows_the_field_and_cites_every_row(field):
    table = phantom_source("vials", field_strength=field).load(1).tissues
    assert table == tissue_table(f"objects-{field:g}T") and all(t.source for t in table.tissues)
    assert [t.name for t in table.tissues if t.chemical_shift < 0] == ["oil"]
    only = phantom_source("sphere", field_strength=field, tissue="MnCl2-8").load(1).tissues
    assert [t.name for t in only.tissues] == ["air", "MnCl2-8"]


@pytest.mark.parametrize(
    ("name", "options", "sentence"),
    [
        ("sphere", {"radius": 0.0}, "half must be positive lengths"),
        ("sphere", {"tissue": "watr"}, r"tissue must be one of water, .*\(did you mean 'water'\?\)"),
        ("cylinder", {"length": -1.0}, "radius and length must be positive"),
        ("vials", {"field_strength": 7.0}, "field_strength must be 1.5 or 3 T"),
    ],
)
def test_impossible_objects_cannot_exist(name, options, sentence):
    with pytest.raises(ValueError, match=sentence):
        phantom_source(name, **options)


def test_spacing_and_subject_are_checked():
    with pytest.raises(ValueError, match=r"spacing must lie in \[5e-05, 0.02\] m, got 1.0 m"):
        phantom_source("sphere", spacing=1.0).load(1)
    with pytest.raises(ValueError, match="subject must be 1, got 2"):
        phantom_source("vials").load(2)
