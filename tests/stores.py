"""Small stores for tests, made by the real writer: ellipses with exact k-space and known labels."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from mrsim.slices.plane import SlicePlane
from mrsim.store import Layout, StoreWriter

CLASSES = ("background", "CSF", "GM", "WM")
PITCH = 2e-3  # [m] from slice to slice and from pixel to pixel
SIGNAL = np.array([0.0, 0.53, 0.32, 0.24])  # spin echo, TE 80 ms, TR 3 s
CONTRAST_SIGNAL = {  # the same tissues at TE 12, 120 and 35 ms, TR 0.5, 3.3 and 3.3 s
    "T1": np.array([0.0, 0.17, 0.34, 0.41]),
    "T2": np.array([0.0, 0.50, 0.20, 0.14]),
    "PD": np.array([0.0, 0.65, 0.55, 0.47]),
}


def ellipse_labels(rng, shape):
    """(y, x) a head: CSF round GM round WM, with a CSF ventricle; every subject has another shape."""
    y, x = np.meshgrid(*(np.linspace(-1, 1, n, endpoint=False) for n in shape), indexing="ij")
    cy, cx, turn = rng.uniform((-0.1, -0.1, -0.3), (0.1, 0.1, 0.3))
    u = (x - cx) * np.cos(turn) + (y - cy) * np.sin(turn)
    v = -(x - cx) * np.sin(turn) + (y - cy) * np.cos(turn)
    labels = np.zeros(shape, np.uint8)
    for value, scale in ((1, 0.8), (2, 0.7), (3, 0.45), (1, 0.15)):
        a, b = scale * rng.uniform(0.9, 1.1), scale * rng.uniform(0.75, 0.95)
        labels[(u / a) ** 2 + (v / b) ** 2 < 1] = value
    return labels


def slice_plane(shape, position):
    """Axial pixels of 2 mm around the origin of RAS."""
    fov = (shape[0] * PITCH, shape[1] * PITCH)
    return SlicePlane(centre=(0.0, 0.0, position), fov=fov, matrix=shape, thickness=PITCH)


def centred_fft2(image):
    return np.fft.fftshift(np.fft.fft2(np.fft.ifftshift(image, axes=(-2, -1)), norm="ortho"), axes=(-2, -1))


def subject_arrays(subject, n_slices, shape, n_coils=1, seed=0, contrasts=()):
    """All arrays of one subject; a pure function of its arguments."""
    rng = np.random.default_rng([seed, subject])
    labels = np.stack([ellipse_labels(rng, shape) for _ in range(n_slices)])
    phase = np.exp(1j * rng.uniform(-1, 1, (1, n_coils, 1, 1)))
    y, x = np.meshgrid(*(np.linspace(-1, 1, n) for n in shape), indexing="ij")
    angle = 2 * np.pi * np.arange(n_coils)[:, None, None] / n_coils
    csm = (1 / (1 + (y - np.sin(angle)) ** 2 + (x - np.cos(angle)) ** 2) if n_coils > 1 else 1) * phase[0]
    csm = np.broadcast_to(csm, (n_slices, n_coils, *shape)).astype(np.complex64)
    b0 = np.broadcast_to(10 * y, labels.shape).astype(np.float32)
    signals = [CONTRAST_SIGNAL[name] for name in contrasts] or [SIGNAL]
    kspace = np.stack([centred_fft2(signal[labels][:, None] * csm) for signal in signals], axis=1)
    kspace = (kspace if contrasts else kspace[:, 0]).astype(np.complex64)
    affine = np.stack([slice_plane(shape, k * PITCH).affine for k in range(n_slices)])
    inu = rng.uniform(-1, 1, (n_slices, len(signals), 24)) / 24  # smaller than 1 within `reach`
    inu[..., :4] = 0, 0, 0, max(shape) * PITCH
    inu = inu if contrasts else inu[:, 0]
    maps = {"labels": labels, "tissue": labels, "affine": affine, "csm": csm, "b0": b0, "inu": inu}
    return {"kspace": kspace, **maps}


def split_of(n_subjects):
    """Of three or more subjects the last is for the test, of four or more the one before for validation."""
    split = np.zeros(n_subjects, np.uint8)
    if n_subjects >= 3:
        split[-1] = 2
    if n_subjects >= 4:
        split[-2] = 1
    return split


def test_layout(n_subjects=4, slices=3, shape=(32, 40), *, n_coils=1, codec="none", contrasts=(), inu=False):
    return Layout(
        n_subjects=n_subjects,
        n_slices=slices,
        shape=shape,
        pixel_spacing=(PITCH, PITCH),
        class_names=CLASSES,
        tissue_names=CLASSES,
        n_coils=n_coils,
        b0=True,
        csm=n_coils > 1,
        codec=codec,
        contrasts=contrasts,
        inu=inu,
    )


test_layout.__test__ = False


def begin_test_store(path, layout, *, seed=0, overwrite=False):
    n_subjects, n_slices = layout.n_subjects, layout.n_slices
    rng = np.random.default_rng(seed)
    coords = {
        "subject": np.repeat(np.arange(n_subjects), n_slices),
        "slice": np.tile(np.arange(n_slices), n_subjects),
        "slice_position": np.tile(np.arange(n_slices) * PITCH, n_subjects),
        "te": np.repeat(rng.uniform(76e-3, 84e-3, n_subjects), n_slices),
        "tr": np.repeat(rng.uniform(2.85, 3.15, n_subjects), n_slices),
        "flip": np.full(n_subjects * n_slices, np.pi / 2),
        "split": np.repeat(split_of(n_subjects), n_slices),
    }
    for name in ("te", "tr", "flip") if layout.contrasts else ():
        coords[name] = np.repeat(coords[name][:, None], len(layout.contrasts), axis=1)
    attrs = {"recipe": {"name": "ellipses"}, "recipe_hash": f"ellipses-{seed}", "seed": seed, "versions": {}}
    return StoreWriter.create(path, layout, coords, attrs, overwrite=overwrite)


def write_test_store(
    path, n_subjects=4, slices=3, shape=(32, 40), *, n_coils=1, seed=0, codec="none", contrasts=(), inu=False
) -> Path:
    """A finished store of `n_subjects` x `slices` ellipse heads; train, validation and test by subject."""
    layout = test_layout(
        n_subjects, slices, shape, n_coils=n_coils, codec=codec, contrasts=contrasts, inu=inu
    )
    writer = begin_test_store(path, layout, seed=seed)
    for rank in writer.pending():
        writer.write_subject(rank, subject_arrays(rank, slices, shape, n_coils, seed, contrasts))
    writer.finish()
    return path


CINE_CLASSES = ("background", "LV", "myocardium", "RV")
CINE_SIGNAL = np.array([0.25, 0.9, 0.35, 0.85])  # bSSFP: blood is bright


def beating_labels(rng, shape, n_frames):
    """(frame, y, x) a heart: a ring that thickens as its cavity shrinks, and a crescent beside it."""
    y, x = np.meshgrid(*(np.linspace(-1, 1, n, endpoint=False) for n in shape), indexing="ij")
    cy, cx = rng.uniform(-0.15, 0.15, 2)
    outer, turn = rng.uniform(0.4, 0.5), rng.uniform(-0.5, 0.5)
    r, angle = np.hypot(y - cy, x - cx), np.arctan2(y - cy, x - cx) - turn
    frames = np.zeros((n_frames, *shape), np.uint8)
    for t, labels in enumerate(frames):
        squeeze = 0.5 - 0.5 * np.cos(2 * np.pi * t / n_frames)
        labels[(r < outer * (1.6 - 0.2 * squeeze)) & (np.abs(angle) < 1)] = 3
        labels[r < outer] = 2
        labels[r < outer * (0.7 - 0.25 * squeeze)] = 1
    return frames


def cine_arrays(subject, n_slices, shape, n_frames, n_coils=1, seed=0):
    """All arrays of one subject of a cine store; a pure function of its arguments."""
    rng = np.random.default_rng([seed, subject])
    still = subject_arrays(subject, n_slices, shape, n_coils, seed)
    labels = np.stack([beating_labels(rng, shape, n_frames) for _ in range(n_slices)])
    image = CINE_SIGNAL[labels][:, :, None] * still["csm"][:, None]
    maps = {name: still[name] for name in ("affine", "csm", "b0")}
    return {"kspace": centred_fft2(image).astype(np.complex64), "labels": labels, "tissue": labels, **maps}


def write_cine_store(path, n_subjects=4, slices=1, shape=(24, 20), n_frames=6, *, n_coils=1, seed=0) -> Path:
    """A finished store of beating hearts; train, validation and test by subject."""
    layout = replace(
        test_layout(n_subjects, slices, shape, n_coils=n_coils),
        class_names=CINE_CLASSES,
        tissue_names=CINE_CLASSES,
        n_frames=n_frames,
    )
    coords = {
        "subject": np.repeat(np.arange(n_subjects), slices),
        "slice": np.tile(np.arange(slices), n_subjects),
        "slice_position": np.tile(np.arange(slices) * PITCH, n_subjects),
        "split": np.repeat(split_of(n_subjects), slices),
        "rr": np.full(n_subjects * slices, 0.9),
        "frame_time": np.tile(np.arange(n_frames) * 0.9 / n_frames, (n_subjects * slices, 1)),
        **{name: np.full(n_subjects * slices, value) for name, value in (("te", 1.1e-3), ("tr", 2.6e-3))},
    }
    recipe = {"name": "hearts", "phantom": {"source": "cardiac"}, "slices": {"orientation": "axial"}}
    attrs = {"recipe": recipe, "recipe_hash": f"hearts-{seed}", "seed": seed, "versions": {}}
    writer = StoreWriter.create(path, layout, coords, attrs)
    for rank in writer.pending():
        writer.write_subject(rank, cine_arrays(rank, slices, shape, n_frames, n_coils, seed))
    writer.finish()
    return path
