"""Tiny label maps of the user's own, and a recipe for them: the real path of `generate` in a second."""

from __future__ import annotations

import numpy as np

from mrsim.recipes import load_recipe

SHAPE, SPACING_MM = (20, 24, 12), 4.0  # x y z
QUICK = {"coils": 1, "b0": "off", "rf": "ideal"}  # little physics: for tests of what surrounds it
TABLE = """
name = "tiny"
field_strength = 1.5
oracle = ["background", "CSF", "GM", "WM"]
priority = ["WM", "GM", "CSF", "background"]
[[tissue]]
label = 0
name = "air"
pd = 0
[[tissue]]
label = 1
name = "CSF"
oracle = "CSF"
pd = 1.0
t1_ms = 2569
t2_ms = 329
t2star_ms = 58
[[tissue]]
label = 2
name = "GM"
oracle = "GM"
pd = 0.86
t1_ms = 833
t2_ms = 83
t2star_ms = 69
[[tissue]]
label = 3
name = "WM"
oracle = "WM"
pd = 0.77
t1_ms = 500
t2_ms = 70
t2star_ms = 61
[[tissue]]
label = 4
name = "fat"
pd = 1.0
t1_ms = 350
t2_ms = 70
chemical_shift_ppm = -3.4
susceptibility_ppm = -7.79
"""


def write_labels(folder, n_subjects):
    """One NIfTI label map per subject (nested ellipsoids) and the tissue table, in `folder`."""
    import nibabel

    folder.mkdir(parents=True, exist_ok=True)
    axes = [np.linspace(-1, 1, n) for n in SHAPE]
    x, y, z = np.meshgrid(*axes, indexing="ij")
    affine = np.diag([SPACING_MM] * 3 + [1.0])
    affine[:3, 3] = -SPACING_MM * (np.array(SHAPE) - 1) / 2
    for subject in range(n_subjects):
        rng = np.random.default_rng(subject)
        labels = np.zeros(SHAPE, np.uint8)
        for value, size in ((4, 0.95), (1, 0.8), (2, 0.7), (3, 0.45)):
            a, b, c = size * rng.uniform(0.85, 1, 3)
            labels[(x / a) ** 2 + (y / b) ** 2 + (z / c) ** 2 < 1] = value
        nibabel.save(nibabel.Nifti1Image(labels, affine), folder / f"head{subject}.nii")
    (folder / "table.toml").write_text(TABLE)


def tiny_recipe(folder, n_subjects=4, start="nifti-se", **changes):
    """Recipe of `n_subjects` x 2 slices of 16 x 20 pixels, with off-resonance and two coils."""
    if not (folder / "table.toml").exists():
        write_labels(folder, n_subjects)
    options = {
        "path": str(folder),
        "tissues": str(folder / "table.toml"),
        "slices": 2,
        "matrix": (16, 20),
        "fov": (0.096, 0.100),
        "thickness": 4e-3,
        "coils": 2,
        "b0": "smooth",
        "test_last": 1,
        **changes,
    }
    return load_recipe(start, **options)
