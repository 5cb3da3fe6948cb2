"""Label maps from NIfTI: what lies where in the patient must not depend on how the file stores it."""

import nibabel
import numpy as np
import pytest
from nibabel.orientations import axcodes2ornt, ornt_transform

from phantoms import phantom_source
from phantoms.phantom import PhantomError

TABLE = """
field_strength = 1.5
oracle = ["background", "GM", "WM"]
[[tissue]]
label = 0
name = "air"
pd = 0
[[tissue]]
label = [3, 42]
name = "cortex"
oracle = "GM"
pd = 0.86
t1_ms = 833
t2_ms = 83
[[tissue]]
label = [2, 41]
name = "white matter"
oracle = "WM"
pd = 0.77
t1_ms = 500
t2_ms = 70
t2star_ms = 61
"""
AFFINE_MM = np.array([[1.0, 0, 0, -5], [0, 2.0, 0, -9], [0, 0, 3.0, 4], [0, 0, 0, 1]])


@pytest.fixture
def labels():
    """(x, y, z), no two axes alike."""
    return np.random.default_rng(1).choice(np.array([0, 2, 3, 41, 42], np.uint8), size=(5, 6, 7))


@pytest.fixture
def load(tmp_path):
    """Save an image and a table, and load them as a phantom."""

    def load(image, table=TABLE, name="head.nii.gz", **options):
        (tmp_path / "tissues.toml").write_text(table)
        nibabel.save(image, tmp_path / name)
        source = phantom_source("nifti", path=tmp_path / name, tissues=tmp_path / "tissues.toml", **options)
        return source.load(1)

    return load


def expected_classes(labels):
    return np.select([np.isin(labels, (3, 42)), np.isin(labels, (2, 41))], [1, 2], 0).T  # (z, y, x)


@pytest.mark.parametrize("orientation", ["RAS", "LPS", "PIR", "SLA"])
def test_any_storage_order_gives_the_same_phantom(orientation, labels, load):
    image = nibabel.Nifti1Image(labels, AFFINE_MM)
    turned = image.as_reoriented(ornt_transform(axcodes2ornt("RAS"), axcodes2ornt(orientation)))
    assert nibabel.aff2axcodes(turned.affine) == tuple(orientation)
    phantom = load(turned)
    assert np.array_equal(phantom.labels, expected_classes(labels))
    assert phantom.affine[:3] == pytest.approx(AFFINE_MM[:3] * 1e-3)
    assert (phantom.name, phantom.subject) == ("nifti", "head")


def test_the_table_names_tissues_and_oracle_classes(labels, load):
    phantom = load(nibabel.Nifti1Image(labels, AFFINE_MM))
    assert [t.name for t in phantom.tissues.tissues] == ["air", "cortex", "white matter"]
    assert phantom.tissues.tissues[2].t1 == pytest.approx(0.5)
    assert phantom.oracle.names == ("background", "GM", "WM")
    assert (phantom.oracle.of_tissue, phantom.oracle.priority) == ((0, 1, 2), (2, 1, 0))


@pytest.mark.parametrize(("unit", "metres"), [("mm", 1e-3), ("meter", 1.0), ("micron", 1e-6)])
def test_lengths_follow_the_units_of_the_header(unit, metres, labels, load):
    image = nibabel.Nifti1Image(labels, AFFINE_MM)
    image.header.set_xyzt_units(unit)
    assert load(image).spacing == pytest.approx(np.array([1, 2, 3]) * metres)


@pytest.mark.parametrize("dtype", [np.int16, np.uint16, np.float32, np.float64])
@pytest.mark.parametrize("kind", [nibabel.Nifti1Image, nibabel.Nifti2Image])
def test_whole_numbers_of_any_type_are_labels(dtype, kind, labels, load):
    image = kind(labels[..., None].astype(dtype), AFFINE_MM)  # with a fourth axis of length one
    assert np.array_equal(load(image, name="head.nii").labels, expected_classes(labels))


def rotated(degrees):
    """AFFINE_MM rotated about the left-right axis through the centre of the volume."""
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    turn = np.array([[1, 0, 0], [0, c, -s], [0, s, c]])
    affine = AFFINE_MM.copy()
    affine[:3, :3] = turn @ AFFINE_MM[:3, :3]
    centre = np.array([2, 2.5, 3])
    affine[:3, 3] = AFFINE_MM[:3, :3] @ centre + AFFINE_MM[:3, 3] - affine[:3, :3] @ centre
    return affine


def test_a_slightly_oblique_map_is_straightened_about_its_centre(labels, load):
    phantom = load(nibabel.Nifti1Image(labels, rotated(14)))
    assert phantom.affine[:3] == pytest.approx(AFFINE_MM[:3] * 1e-3, abs=1e-9)  # the header holds float32
    sentence = r"within 15 degrees of the patient's, got 16 degrees: resample it to RAS first"
    with pytest.raises(PhantomError, match=sentence):
        load(nibabel.Nifti1Image(labels, rotated(16)))
    assert load(nibabel.Nifti1Image(labels, rotated(16)), max_tilt=np.radians(17)).spacing[
        0
    ] == pytest.approx(1e-3)


def sheared():
    affine = AFFINE_MM.copy()
    affine[0, 1] = 0.1
    return affine


def unoriented(labels):
    image = nibabel.Nifti1Image(labels, None)
    image.set_sform(None, 0)
    image.set_qform(None, 0)
    return image


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (
            lambda v: nibabel.Nifti1Image(v + np.uint8(5), AFFINE_MM),
            "labels must be in the tissue table 'tissues', got 5",
        ),
        (
            lambda v: nibabel.Nifti1Image(v + np.float32(0.5), AFFINE_MM),
            "whole numbers, got fractions or NaN",
        ),
        (
            lambda v: nibabel.Nifti1Image(v * np.float32(np.nan), AFFINE_MM),
            "whole numbers, got fractions or NaN",
        ),
        (
            lambda v: nibabel.Nifti1Image(v.astype(np.int16) - 1, AFFINE_MM),
            "labels must be 0 to 65535, got -1",
        ),
        (lambda v: nibabel.Nifti1Image(v.astype(np.complex64), AFFINE_MM), "whole numbers, got complex64"),
        (
            lambda v: nibabel.Nifti1Image(np.stack([v, v], -1), AFFINE_MM),
            r"three dimensions, got shape \(5, 6, 7, 2\)",
        ),
        (lambda v: nibabel.Nifti1Image(v, sheared()), "voxel axes must be orthogonal"),
        (unoriented, "must say how it is oriented"),
    ],
)
def test_a_map_that_cannot_be_a_phantom_gets_one_sentence(make, sentence, labels, load):
    with pytest.raises(PhantomError, match=sentence) as caught:
        load(make(labels))
    assert "head.nii.gz" in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize("damage", ["truncated", "text", "empty"])
def test_a_damaged_file_is_named(damage, labels, tmp_path):
    whole = nibabel.Nifti1Image(labels, AFFINE_MM).to_bytes()
    path = tmp_path / "head.nii"
    path.write_bytes({"truncated": whole[:-50], "text": b"not an image", "empty": b""}[damage])
    (tmp_path / "tissues.toml").write_text(TABLE)
    source = phantom_source("nifti", path=path, tissues=tmp_path / "tissues.toml")
    with pytest.raises(PhantomError, match=r"label map .*head\.nii cannot be read") as caught:
        source.load(1)
    assert "\n" not in str(caught.value)


def test_the_maps_of_a_folder_are_subjects_by_name(labels, tmp_path):
    (tmp_path / "tissues.toml").write_text(TABLE)
    source = phantom_source("nifti", path=tmp_path, tissues=tmp_path / "tissues.toml")
    with pytest.raises(PhantomError, match=r"must be a folder that holds \.nii or \.nii\.gz label maps"):
        source.subjects()
    for name in ("b.nii.gz", "a.nii", "c.nii.gz"):
        nibabel.save(nibabel.Nifti1Image(labels, AFFINE_MM), tmp_path / name)
    assert source.subjects() == (1, 2, 3)
    assert [source.load(s).subject for s in source.subjects()] == ["a", "b", "c"]
    with pytest.raises(ValueError, match=r"subject must be 1 to 3, .*got 4"):
        source.load(4)


def test_missing_files_and_bad_options_are_refused(tmp_path):
    with pytest.raises(PhantomError, match=r"none\.nii, which does not exist"):
        phantom_source("nifti", path=tmp_path / "none.nii", tissues="t.toml").subjects()
    with pytest.raises(ValueError, match=r"max_tilt must lie in \[0, pi/4\) rad, got 1 rad"):
        phantom_source("nifti", path=tmp_path, tissues="t.toml", max_tilt=1)
