"""Several contrasts and views in one store: each is the simulation that it would be alone."""

import numpy as np
import pytest
import xarray

from mrsim.datasets.generate import generate
from mrsim.datasets.simulation import prepare
from mrsim.imperfections.noise import noise_sigma
from mrsim.recipes import RECIPE_FOLDER
from mrsim.recipes.sources import source_of
from mrsim.store import StoreError, open_store
from tests.mrsim.tiny import tiny_recipe, write_labels

CONTRASTS = {"T1": (0.03, 0.5), "T2": (0.12, 3.3), "PD": (0.035, 3.3)}  # te, tr [s]
VIEWS = "coronal, sagittal, axial"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("labels")
    write_labels(folder, 3)
    tables = [f"[contrasts.{name}]\nte = {te}\ntr = {tr}\n" for name, (te, tr) in CONTRASTS.items()]
    text = (RECIPE_FOLDER / "nifti-se.toml").read_text()
    text = text.replace("te = 0.05", "te = 0.0").replace("tr = 0.05", "tr = 0.0")
    (folder / "three.toml").write_text(text + "\n" + "\n".join(tables))
    return folder


def recipe_of(folder, **changes):
    return tiny_recipe(folder, start=folder / "three.toml", matrix=(20, 24), fov=(0.1, 0.12), **changes)


@pytest.fixture(scope="module")
def store(folder, tmp_path_factory):
    recipe = recipe_of(folder, orientation=VIEWS, rf="ideal", noise_reference="brightest_tissue")
    return generate(recipe, tmp_path_factory.mktemp("store") / "three.zarr")


def test_the_axes_are_named_and_every_case_is_intact(store):
    assert (store.contrasts, store.n_coils, store.n_cases) == (("T1", "T2", "PD"), 2, 3 * 6)
    dataset = xarray.open_zarr(store.path)
    assert dataset.kspace.dims == ("case", "contrast", "coil", "ky", "kx")
    assert dataset.te.dims == ("case", "contrast")
    np.testing.assert_allclose(dataset.te.values[7], [te for te, _ in CONTRASTS.values()])
    assert not [problem for _, problem in store.verify() if problem]


@pytest.mark.parametrize("name", CONTRASTS)
def test_a_contrast_is_the_data_set_of_its_own_sequence(folder, store, tmp_path, name):
    te, tr = CONTRASTS[name]
    shape = {"matrix": (20, 24), "fov": (0.1, 0.12), "rf": "ideal", "orientation": VIEWS}
    alone = generate(tiny_recipe(folder, te=te, tr=tr, vary=0.0, **shape), tmp_path / "alone.zarr")
    number = store.contrasts.index(name)
    np.testing.assert_array_equal(store.kspace()[:, number], alone.kspace())
    np.testing.assert_array_equal(store.labels(), alone.labels())
    one, other = store.case(5).contrast(name), alone.case(5)
    assert (one.te, one.tr) == (te, tr)
    np.testing.assert_array_equal(one.image, store.case(5).image[number])
    if number == 0:  # the first contrast has the draws of a data set of one
        np.testing.assert_array_equal(one.noisy(0.1), other.noisy(0.1, reference="brightest_tissue"))
        np.testing.assert_array_equal(one.inu, other.inu)


def test_contrasts_are_those_of_their_names(folder, tmp_path):
    """Signals of the tissues, by least squares on their shares, against the closed form of the spin echo."""
    recipe = recipe_of(folder, rf="ideal", stripped=True, soft_labels=True, coils=1, b0="off", subjects=(1,))
    case = generate(recipe, tmp_path / "soft.zarr").case(1)
    t1, t2, pd = (case.coords[name][1:4] for name in ("t1", "t2", "pd"))
    shares = case.fractions[1:].reshape(3, -1).T / 255
    for name, brightness in (("T1", (3, 2, 1)), ("T2", (1, 2, 3)), ("PD", (1, 2, 3))):
        te, tr = CONTRASTS[name]
        expected = pd * np.exp(-te / t2) * (1 - 2 * np.exp(-(tr - te / 2) / t1) + np.exp(-tr / t1))
        found = np.linalg.lstsq(shares, np.abs(case.contrast(name).image).ravel(), rcond=None)[0]
        assert tuple(1 + np.argsort(found)[::-1]) == brightness
        np.testing.assert_allclose(found, expected, rtol=0.12)  # T2' during the readout, ringing


def test_noise_is_a_share_of_the_brightest_tissue_of_each_contrast(store):
    case = store.case(2)
    noise = case.noisy(0.09) - case.kspace
    for i, name in enumerate(store.contrasts):
        one = case.contrast(name)
        sigma = noise_sigma(one.kspace, 0.09, reference="brightest_tissue", labels=case.labels)
        # 2 coils x 480 samples x 2 components: the standard deviation scatters by 1.6 %
        assert noise[i].view(np.float32).std() == pytest.approx(sigma, rel=0.08)
        np.testing.assert_array_equal(one.noisy(0.09), case.noisy(0.09)[i])
    between = np.corrcoef(noise.reshape(3, -1).view(np.float32))
    assert np.abs(between - np.eye(3)).max() < 4 / np.sqrt(1920)


def test_baked_noise_is_the_noise_that_a_case_would_draw(folder, store, tmp_path):
    recipe = recipe_of(
        folder, orientation=VIEWS, rf="ideal", noise_reference="brightest_tissue", noise=0.05, subjects=(1, 2)
    )
    noisy = generate(recipe, tmp_path / "noisy.zarr")
    np.testing.assert_array_equal(noisy.kspace([8])[0], store.case(8).noisy(0.05))
    with pytest.raises(StoreError, match="has noise baked in already, and non-uniformity comes before noise"):
        noisy.case(8).biased(0.2)


def test_every_view_shows_its_own_plane(store):
    """In each view the labels lie where the image is, and the normal of the affine is the view's."""
    normals = {"sagittal": 0, "coronal": 1, "axial": 2}
    assert [store.case(i).orientation for i in range(6)] == ["coronal"] * 2 + ["sagittal"] * 2 + ["axial"] * 2
    assert [store.case(i).slice for i in range(6, 12)] == list(range(6))
    for i in range(6):
        case = store.case(i)
        assert np.argmax(np.abs(case.affine[:3, 2])) == normals[case.orientation]
        image = np.abs(case.contrast("PD").image)
        assert image[case.tissue > 0].mean() > 10 * image[case.tissue == 0].mean()


def test_stripped_heads_have_only_the_tissues_to_segment(folder, store, tmp_path):
    stripped = generate(recipe_of(folder, orientation=VIEWS, rf="ideal", stripped=True), tmp_path / "s.zarr")
    np.testing.assert_array_equal(stripped.labels(), store.labels())
    np.testing.assert_array_equal(stripped.read("tissue"), store.read("tissue"))
    case, whole = stripped.case(4), store.case(4)
    assert case.coords["pd"].tolist() == [*whole.coords["pd"][:4], 0]
    fat, brain = case.tissue == 4, case.labels == 3
    image, with_fat = np.abs(case.image[0]), np.abs(whole.image[0])
    assert image[fat].mean() < 0.15 * with_fat[fat].mean()  # ringing of the brain is left
    np.testing.assert_allclose(np.median(image[brain]), np.median(with_fat[brain]), rtol=0.05)


def test_the_fields_span_the_level_over_the_brain_of_each_subject(folder, store):
    from mrsim.datasets.draws import draw_subject
    from mrsim.imperfections.inu import field_at

    recipe = recipe_of(folder, orientation=VIEWS, rf="ideal")
    draw = draw_subject(recipe, 1, [0.0] * 6)
    subject = prepare(recipe, source_of(recipe), draw)
    np.testing.assert_array_equal(store.case(9).inu, subject.inu)
    phantom = subject.phantom
    z, y, x = np.nonzero(np.isin(phantom.labels, (1, 2, 3)))
    ras = phantom.affine[:3, :3] @ np.stack([x, y, z]) + phantom.affine[:3, 3:]
    for terms in subject.inu:
        g = field_at(terms, ras)
        assert (g.min(), g.max()) == (pytest.approx(-1), pytest.approx(1))


def test_te_of_several_contrasts_is_refused_in_one_sentence(store):
    with pytest.raises(StoreError, match=r"has the contrasts T1, T2, PD: take case\.contrast\(NAME\)\.te"):
        _ = store.case(0).te
    with pytest.raises(ValueError, match="contrast must be one of T1, T2, PD, got 'FLAIR'"):
        store.case(0).contrast("FLAIR")


def test_a_store_without_views_takes_the_orientation_of_its_recipe(tmp_path):
    from tests.stores import write_test_store

    assert open_store(write_test_store(tmp_path / "old.zarr")).case(0).orientation == "axial"
