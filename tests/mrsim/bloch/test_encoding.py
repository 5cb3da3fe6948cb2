"""Fourier encoding: physics.md section 9, and the scale of the image."""

import numpy as np
import pytest
from scipy.special import j1

from mrsim.bloch.engine import simulate
from mrsim.constants import GAMMA_BAR
from mrsim.sequences.spin_echo import SpinEcho

PX = 1e-3
STILL = {"pd": 1.0, "t1": 1e-2, "t2": 1e12, "t2prime": np.inf, "cell": (PX, PX, PX)}  # M+ = 1 at every sample


def sequence(ny, nx, **more):
    return SpinEcho(rf="ideal", fov=(ny * PX, nx * PX), matrix=(ny, nx), **more)


def pixels_per_hertz(scan):
    """Of the displacement along the readout: 1 / (bandwidth as played), the dwell lying on its raster."""
    return scan.readout_duration


def image(kspace):
    centred = np.fft.ifft2(np.fft.ifftshift(kspace, axes=(-2, -1)), norm="ortho")
    return np.fft.fftshift(centred, axes=(-2, -1))


def frequencies(n):
    """[1/px], DC at n // 2."""
    return (np.arange(n) - n // 2) / n


@pytest.mark.parametrize("engine", ["cartesian", "isochromat"])
def test_shift_theorem(make_spins, engine):
    rng = np.random.default_rng(5)
    x, y = rng.uniform(-5e-3, 5e-3, (2, 30))
    dx, dy = 3.5 * PX, -1.25 * PX
    there = simulate(make_spins(x + dx, y + dy, **STILL), sequence(12, 16), engine=engine)[0]
    here = simulate(make_spins(x, y, **STILL), sequence(12, 16), engine=engine)[0]
    shift = np.exp(-2j * np.pi * (frequencies(16) * 3.5 - frequencies(12)[:, None] * 1.25))
    assert there == pytest.approx(here * shift, abs=3e-7 * float(np.abs(here).max()))


def test_rectangle_along_the_readout(make_spins):
    """40 px of 64: k = 0, 1, 3 cycles per 64 px are L sinc(k L), 32 spins per pixel."""
    x = (np.arange(40 * 32) + 0.5) / 32 - 20
    kspace = simulate(make_spins(x * PX, **STILL), sequence(1, 64))[0, 0] * np.sqrt(64) / 32
    expected = 40 * np.sinc(40 * np.array([0, 1, 3, -1]) / 64)
    assert expected[:3] == pytest.approx([40, 18.821119, -2.598654], abs=1e-6)
    assert kspace[[32, 33, 35, 31]] == pytest.approx(expected, abs=1e-4)  # (pi k h)^2 / 6 of midpoint sums


def test_disk(make_spins):
    """R J1(2 pi R k) / k in both directions: R = 20 px, 740.877958 at k = 1/64 px."""
    radius, n_r, n_phi = 20.0, 150, 128
    r = radius * np.sqrt((np.arange(n_r) + 0.5) / n_r)[:, None]
    phi = 2 * np.pi * (np.arange(n_phi) + 0.5) / n_phi
    spins = make_spins((r * np.cos(phi)).ravel() * PX, (r * np.sin(phi)).ravel() * PX, **STILL)
    kspace = simulate(spins, sequence(64, 64))[0] * 64 * np.pi * radius**2 / (n_r * n_phi)
    assert radius * j1(2 * np.pi * radius / 64) * 64 == pytest.approx(740.877958, abs=1e-6)
    k = np.hypot(frequencies(64), frequencies(64)[:, None])[28:37, 28:37]
    exact = radius * j1(2 * np.pi * radius * np.where(k, k, 1)) / np.where(k, k, 1)
    exact[k == 0] = np.pi * radius**2
    assert kspace[28:37, 28:37] == pytest.approx(exact, abs=1e-4 * exact.max())
    assert kspace[32, 33] == pytest.approx(740.877958, rel=1e-5)


@pytest.mark.parametrize("engine", ["cartesian", "isochromat", "reference"])
@pytest.mark.parametrize(
    ("freq", "n", "bandwidth", "pixels", "raster"),
    [
        (220.0, 256, 100e3 / 256, 0.5632, 0.0),
        (440.0, 64, 390.625, 1.1264, 0.0),
        (-3.4e-6 * GAMMA_BAR * 1.5, 64, 130.0, -217.145140 / 130, 4e-4),  # fat at 1.5 T
    ],
)
def test_off_resonance_displaces_along_the_readout(make_spins, engine, freq, n, bandwidth, pixels, raster):
    """By f / (Hz per pixel) towards +x where f > 0, without a phase of the echo; dwell on its raster."""
    scan = sequence(4, n, bandwidth=bandwidth)
    assert freq * pixels_per_hertz(scan) == pytest.approx(pixels, rel=max(raster, 1e-7))
    pixels = freq * pixels_per_hertz(scan)
    off = simulate(make_spins(2 * PX, -PX, freq=freq, **STILL), scan, engine=engine)
    moved = simulate(make_spins((2 + pixels) * PX, -PX, **STILL), scan, engine=engine)
    peak = float(np.abs(moved).max())
    assert off == pytest.approx(moved, abs=1e-5 * peak)  # the frequency is float32, times n / 2 samples


def test_off_resonance_by_whole_pixels_moves_the_image_and_keeps_it_real(make_spins):
    scan = sequence(9, 12)
    off = make_spins(PX, 2 * PX, freq=3 / pixels_per_hertz(scan), **STILL)
    pixels = image(simulate(off, scan)[0])
    expected = np.zeros((9, 12))
    expected[4 + 2, 6 + 1 + 3] = 1
    assert pixels == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("shape", [(8, 12), (7, 13)])
def test_a_uniform_object_shows_the_closed_form(make_spins, shape):
    """Spins of half a pixel that fill the field of view: every pixel is the GM signal, real and positive."""
    ny, nx = shape
    x, y = ((np.arange(2 * n) + 0.5 - n) / 2 * PX for n in (nx, ny))
    x, y = np.meshgrid(x, y)
    z = np.array([-0.25e-3, 0.25e-3, 0.75e-3])  # the third lies outside of the slice
    x, y, z = (a.ravel() for a in np.broadcast_arrays(x[..., None], y[..., None], z))
    spins = make_spins(x, y, z, tissue=1, cell=(PX / 2, PX / 2, PX / 2))
    pixels = image(simulate(spins, sequence(ny, nx))[0])
    assert pixels == pytest.approx(np.full(shape, 0.318190436), rel=1e-6)


def test_a_box_slice_takes_the_part_of_a_cell_that_lies_within(make_spins):
    cell = STILL | {"cell": (PX, PX, 0.4e-3)}
    signal = [
        simulate(make_spins(0.0, z=z, **cell), sequence(1, 1)).real.item()
        for z in (0, 0.4e-3, 0.6e-3, 0.8e-3)
    ]
    assert signal == pytest.approx([0.4, 0.3, 0.1, 0.0], abs=1e-6)


def test_parseval(make_spins):
    """Spins in pixel centres: the energy of k-space is theirs."""
    rng = np.random.default_rng(2)
    cell = rng.permutation(9 * 12)[:40]
    x, y = (cell % 12 - 6) * PX, (cell // 12 - 4) * PX
    amplitude = rng.uniform(0.2, 1, 40)
    order = np.argsort(y, kind="stable")
    coil = (amplitude * np.exp(2j * np.pi * rng.uniform(size=40)))[order]
    kspace = simulate(make_spins(x, y, **STILL), sequence(9, 12), coils=coil[None])
    assert np.sum(np.abs(kspace) ** 2) == pytest.approx(np.sum(amplitude**2), rel=1e-6)
