import gzip

import nibabel
import numpy as np
import pytest

from phantoms import brainweb, brainweb_files, phantom_source
from phantoms.brainweb import SUBJECTS, BrainWeb
from phantoms.brainweb_files import TruncatedError, read_labels
from phantoms.phantom import BRAIN_ORACLE, PhantomError

VOXELS = {  # counts of the twelve classes, measured with nibabel, independently of this reader
    4: "25853417 2893804 7709189 5174874 847517 1547783 7489846 2294932 208240 503097 413636 1936761",
    53: "25230158 2395067 8313468 4608412 983247 1281404 7223435 3150499 367957 335328 1528179 1455942",
}
AFFINE_MM = [[0.5, 0, 0, -90.25], [0, 0.5, 0, -126.25], [0, 0, 0.5, -72.25], [0, 0, 0, 1]]


@pytest.fixture(scope="module", params=VOXELS)
def real(request, brainweb_dir):
    return phantom_source("brainweb", directory=brainweb_dir).load(request.param)


def test_real_volumes_have_the_known_voxels_and_grid(real):
    counts = [np.count_nonzero(real.labels == label) for label in range(12)]
    assert counts == [int(n) for n in VOXELS[int(real.subject)].split()]
    assert real.affine[:3] * 1e3 == pytest.approx(np.array(AFFINE_MM[:3]))
    assert real.labels.shape == (362, 434, 362)
    assert real.extent[0] == pytest.approx(
        (-90.5e-3, 90.5e-3)
    )  # the field of view cuts the head at both ears
    assert real.extent[2][0] == pytest.approx(-72.5e-3)  # and at the neck
    assert "Aubert-Broche" in real.citation and real.licence


def test_the_eyes_look_to_anterior_and_the_neck_is_below(real):
    """Little brain lies in the lowest 20 mm, much at mid-height; the cerebellum lies behind the origin."""
    n_brain = np.isin(real.labels, (2, 3)).sum(axis=(1, 2))
    assert n_brain[:40].sum() < 0.05 * n_brain.sum() < n_brain[200:260].sum()
    cerebellum = real.labels[60:90]  # z = -42 to -28 mm: cerebellum behind, face before
    y = np.arange(434) * 0.5 - 126.25
    assert np.average(y, weights=np.isin(cerebellum, (2, 3)).sum(axis=(0, 2))) < -20


def test_there_are_twenty_subjects_of_four_oracle_classes():
    assert BrainWeb().subjects() == SUBJECTS and len(set(SUBJECTS)) == 20
    assert set(SUBJECTS) == set(brainweb_files.LABEL_SHA256)
    assert BRAIN_ORACLE.of_tissue == (0, 1, 2, 3, 0, 0, 0, 0, 0, 0, 0, 0)
    assert [BRAIN_ORACLE.names[c] for c in BRAIN_ORACLE.priority] == ["WM", "GM", "CSF", "background"]
    with pytest.raises(ValueError, match=r"subject must be one of 4, 5, .*got 7"):
        BrainWeb().load(7)


# --- every format that the tools of the field leave behind ---


def save_nifti(path, volume, orientation):
    """NIfTI by nibabel with BrainWeb's affine, then turned to another storage order."""
    image = nibabel.Nifti1Image(np.ascontiguousarray(volume.T), np.array(AFFINE_MM))
    turn = nibabel.orientations.ornt_transform(
        nibabel.orientations.axcodes2ornt("RAS"), nibabel.orientations.axcodes2ornt(orientation)
    )
    nibabel.save(image.as_reoriented(turn), path)


def scaled_per_slice(path, volume, write_minc):
    """Signed bytes that span 0 to the largest label of each slice, as MINC tools write them."""
    top = volume.max(axis=(1, 2)).astype(float)
    stored = np.full(volume.shape, -128, np.int8)
    inside = top > 0
    stored[inside] = np.rint(volume[inside] / top[inside, None, None] * 255 - 128)
    write_minc(path, stored, signtype="signed__", valid_range=(-128, 127), top=top)


FORMATS = {
    "minc": lambda path, v, minc: minc(path, v.view(np.int8)),
    "minc scaled per slice": scaled_per_slice,
    "minc of shorts": lambda path, v, minc: minc(path, v.astype(np.int16)),
    "raw bytes": lambda path, v, _: path.write_bytes(v.tobytes()),
    "raw shorts": lambda path, v, _: path.write_bytes((v.astype("<u2") << 4 | 3).tobytes()),
    "nifti LPI": lambda path, v, _: save_nifti(path, v, "LPI"),
    "nifti SAR": lambda path, v, _: save_nifti(path, v, "SAR"),
}


@pytest.mark.parametrize("kind", FORMATS)
def test_every_format_gives_the_same_labels(kind, volume, tmp_path, write_minc):
    path = tmp_path / ("volume.nii" if "nifti" in kind else "volume.dat")
    FORMATS[kind](path, volume, write_minc)
    assert np.array_equal(read_labels(path), volume)


@pytest.mark.usefixtures("as_subject_4")
def test_a_nifti_of_brainweb_dl_is_known_by_its_labels(volume, tmp_path):
    """It stores (z, y, x) under an affine for (x, y, z), which the shape cannot tell."""
    path = tmp_path / "brainweb_s04_crisp.nii.gz"
    image = nibabel.Nifti1Image(volume, np.array(AFFINE_MM))
    path.write_bytes(gzip.compress(image.to_bytes(), compresslevel=1))
    assert np.array_equal(BrainWeb(directory=tmp_path).load(4).labels, volume)


def test_minc_without_its_last_padding_is_read(volume, minc_gz, tmp_path):
    whole = gzip.decompress(minc_gz)
    path = tmp_path / "cut.mnc"
    path.write_bytes(whole[:-4])
    assert np.array_equal(read_labels(path), volume)


# --- bad files and missing ones: one sentence that names the file ---


BAD = {
    "damaged gzip": "can be read: CRC check failed|can be read: Error -3",
    "damaged header": "NetCDF header is damaged",
    "MINC 2": "it is MINC 2",
    "web page": "22 bytes are neither MINC",
    "empty": "0 bytes are neither MINC",
    "too long": "it holds more than",
    "label 12": "must hold labels 0 to 11, got 12",
    "label 16 in shorts": "16 times the labels 0 to 11, got label 16",
    "fuzzy": "holds fractions, not labels",
    "other grid": r"xspace must start at -90\.25 mm .*-90\.0",
    "small nifti": r"must have \(362, 434, 362\) voxels, got \(9, 9, 9\)",
    "nifti of another grid": "affine must be BrainWeb's",
}


def write_bad(kind, path, volume, minc_gz, write_minc):
    match kind:
        case "fuzzy":  # as BrainWeb's: signed bytes, each slice with a scale of its own
            top = np.full(362, 0.99)
            write_minc(path, volume.view(np.int8), signtype="signed__", valid_range=(-128, 127), top=top)
        case "other grid":
            write_minc(path, volume.view(np.int8), start_x=-90.0)
        case "small nifti":
            path.write_bytes(nibabel.Nifti1Image(volume[:9, :9, :9], np.eye(4)).to_bytes())
        case "nifti of another grid":
            path.write_bytes(nibabel.Nifti1Image(volume, np.eye(4)).to_bytes())
        case "damaged gzip":
            half = len(minc_gz) // 2
            path.write_bytes(minc_gz[:half] + bytes([minc_gz[half] ^ 255]) + minc_gz[half + 1 :])
        case "damaged header":
            path.write_bytes(b"CDF\x01" + b"\xff" * volume.size)
        case "MINC 2":
            path.write_bytes(b"\x89HDF\r\n\x1a\n" + b"\0" * 100)
        case "web page":
            path.write_bytes(b"<html>not found</html>")
        case "empty":
            path.touch()
        case "too long":
            path.write_bytes(bytes(2 * volume.size + 2**20 + 1))
        case "label 12":
            path.write_bytes(b"\x0c" * volume.size)
        case "label 16 in shorts":
            path.write_bytes(b"\0\1" * volume.size)


@pytest.mark.parametrize("kind", BAD)
def test_a_foreign_or_damaged_file_gets_one_sentence(kind, volume, minc_gz, tmp_path, write_minc):
    path = tmp_path / "subject04_crisp_v.mnc.gz"
    write_bad(kind, path, volume, minc_gz, write_minc)
    with pytest.raises(PhantomError, match=BAD[kind]) as caught:
        BrainWeb(directory=tmp_path).load(4)
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize("zipped", [True, False])
def test_a_truncated_volume_is_told_as_such(zipped, minc_gz, tmp_path):
    path = tmp_path / "subject04_crisp_v.mnc.gz"
    data = minc_gz if zipped else gzip.decompress(minc_gz)
    path.write_bytes(data[: len(data) // 2])
    with pytest.raises(TruncatedError, match=r"subject04_crisp_v\.mnc\.gz is truncated"):
        BrainWeb(directory=tmp_path).load(4)


@pytest.mark.usefixtures("as_subject_4")
def test_a_volume_of_another_subject_or_with_a_changed_voxel_is_refused(volume, tmp_path):
    changed = volume.copy()
    changed[30, 120, 230] ^= 1
    (tmp_path / "subject04_crisp_v.raw").write_bytes(changed.tobytes())
    (tmp_path / "subject05_crisp_v.raw").write_bytes(volume.tobytes())
    with pytest.raises(PhantomError, match="must hold the labels of BrainWeb subject 04, got others"):
        BrainWeb(directory=tmp_path).load(4)
    with pytest.raises(PhantomError, match=r"subject 05, got others .*they are those of subject 04"):
        BrainWeb(directory=tmp_path).load(5)
    assert np.array_equal(BrainWeb(directory=tmp_path, verify=False).load(4).labels, changed)


@pytest.fixture
def home(tmp_path, monkeypatch):
    """An empty home without any of the variables."""
    for variable in ("MRSIM_BRAINWEB_DIR", "BRAINWEB_DIR", "XDG_CACHE_HOME"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


def test_folders_are_searched_in_order(home, monkeypatch):
    places = {
        "explicit": (home / "explicit", "subject04_crisp_v.mnc.gz"),
        "own": (home / "own", "subject04_crisp_v.mnc"),
        "cache": (brainweb.cache_directory(), "subject04_crisp_v.mnc.gz"),
        "other": (home / "other", "brainweb_s04_crisp.nii.gz"),
        "brainweb-dl": (home / ".cache" / "brainweb", "brainweb_s04_crisp.nii.gz"),
        "brainweb": (home / ".brainweb", "subject_04.bin.gz"),
    }
    for folder, name in places.values():
        folder.mkdir(parents=True)
        (folder / name).touch()
    monkeypatch.setenv("MRSIM_BRAINWEB_DIR", str(home / "own"))
    monkeypatch.setenv("BRAINWEB_DIR", str(home / "other"))
    assert BrainWeb(directory=home / "explicit").path(4).parent == home / "explicit"
    for folder, name in list(places.values())[1:]:
        assert BrainWeb().path(4) == folder / name
        (folder / name).unlink()


def test_missing_volumes_get_the_remedies(home, monkeypatch):
    remedies = "subject 04 is not in .*set MRSIM_BRAINWEB_DIR or --phantom-dir .* run `mrsim fetch brainweb`"
    with pytest.raises(PhantomError, match=remedies):
        BrainWeb().load(4)
    with pytest.raises(PhantomError, match=f"phantom directory must be a folder .* got {home / 'none'}"):
        BrainWeb(directory=home / "none").load(4)
    monkeypatch.setenv("MRSIM_BRAINWEB_DIR", str(home / "none"))
    with pytest.raises(PhantomError, match="MRSIM_BRAINWEB_DIR must be a folder"):
        BrainWeb().load(4)


def test_the_table_must_have_the_twelve_classes():
    with pytest.raises(ValueError, match=r"brainweb-strict-1\.5T"):
        BrainWeb(tissues="brainweb-strict")


def test_real_volume_as_raw_shorts_is_the_same_subject(brainweb_dir, tmp_path):
    """The whole chain on real data: BrainWeb's other download format passes the shipped checksum."""
    labels = BrainWeb(directory=brainweb_dir).load(20).labels
    (tmp_path / "subject_20.bin").write_bytes((labels.astype("<u2") << 4).tobytes())
    assert np.array_equal(BrainWeb(directory=tmp_path).load(20).labels, labels)
