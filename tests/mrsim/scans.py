"""Scans whose signal is a formula: points and discs on any trajectory, without a Bloch engine."""

import numpy as np
from scipy.special import j1

from mrsim.constants import GAMMA_BAR
from mrsim.events.blocks import Adc, Block, Rf, Trapezoid, Waveform, compile_blocks
from mrsim.events.rf import instantaneous
from mrsim.scanner.scan import Played, Scan, window_counters
from mrsim.slices.plane import SlicePlane

PLANE = SlicePlane(
    orientation="axial", centre=(0.01, -0.02, 0.03), fov=(0.16, 0.20), matrix=(32, 40), thickness=4e-3
)
RAMP, FLAT, DWELL = 0.2e-3, 1.28e-3, 20e-6
EXCITE = Block(rf=Rf(pulse=instantaneous(np.pi / 2, use="excitation")), repetition=True)


def lobe(area):
    """Trapezoid of 1 ms with the area [1/m]."""
    return Trapezoid(amplitude=area / GAMMA_BAR / 0.8e-3, rise=RAMP, flat=0.6e-3, fall=RAMP)


def line(direction, k_start, step, n, labels, place=None):
    """Excite, go to k_start (x, y) [1/m], read n samples `step` [1/m] apart along direction (x, y)."""
    amplitude = step / DWELL / GAMMA_BAR
    pre = np.array(k_start) - np.array(direction) * step * (0.5 + RAMP / DWELL / 2)
    gx, gy = (Trapezoid(amplitude=amplitude * d, rise=RAMP, flat=n * DWELL, fall=RAMP) for d in direction)
    adc = Adc(samples=n, dwell=DWELL, delay=RAMP, place=place)
    return [EXCITE, Block(gx=lobe(pre[0]), gy=lobe(pre[1])), Block(gx=gx, gy=gy, adc=adc, labels=labels)]


def cartesian(plane=PLANE, placed=True, shift=0.0):
    """All lines of the plane, `shift` cells off the grid along x."""
    n_y, n_x = plane.matrix
    blocks = []
    for row in range(n_y):
        start = ((-(n_x // 2) + shift) / plane.fov[1], (row - n_y // 2) / plane.fov[0])
        place = (row * n_x, 1) if placed else None
        blocks += line((1, 0), start, 1 / plane.fov[1], n_x, {"LIN": row}, place)
    return blocks


def epi(plane=PLANE):
    """One excitation, every second line backwards."""
    n_y, n_x = plane.matrix
    step = 1 / plane.fov[1]
    readout = step / DWELL / GAMMA_BAR
    to_edge = (n_x // 2 + 0.5 + RAMP / DWELL / 2) * step
    blocks = [EXCITE, Block(gx=lobe(-to_edge), gy=lobe(-(n_y // 2) / plane.fov[0]))]
    for row in range(n_y):
        back = row % 2
        blocks.append(
            Block(
                gx=Trapezoid(amplitude=readout * (1 - 2 * back), rise=RAMP, flat=n_x * DWELL, fall=RAMP),
                adc=Adc(
                    samples=n_x,
                    dwell=DWELL,
                    delay=RAMP,
                    place=(row * n_x + n_x - 1, -1) if back else (row * n_x, 1),
                ),
                labels={"LIN": row},
            )
        )
        blocks.append(Block(gy=lobe(1 / plane.fov[0])))
    return blocks


def radial(plane=PLANE, spokes=64):
    """Spokes through the centre over 180 degrees, as long as the finer pixel asks for."""
    n = max(plane.matrix)
    step = 1 / max(plane.fov)
    blocks = []
    for i in range(spokes):
        d = np.array((np.cos(np.pi * i / spokes), np.sin(np.pi * i / spokes)))
        blocks += line(d, -d * (n // 2) * step, step, n, {})
    return blocks


def spiral(plane=PLANE, interleaves=8, turns=4.0, samples=700):
    """Archimedean interleaves from the centre to the edge of k-space."""
    corners = samples + 1
    t = np.linspace(0, 1, corners)
    reach = 0.5 / max(plane.pixel)
    blocks = []
    for i in range(interleaves):
        k = reach * t**0.75 * np.exp(1j * (2 * np.pi * turns * t**0.75 + 2 * np.pi * i / interleaves))
        g = np.gradient(k, t * samples * DWELL) / GAMMA_BAR
        g[0] = 0
        times = t * samples * DWELL
        blocks += [
            EXCITE,
            Block(
                gx=Waveform(times=times, amplitudes=g.real),
                gy=Waveform(times=times, amplitudes=g.imag),
                adc=Adc(samples=samples, dwell=DWELL),
            ),
        ]
    return blocks


def scan_of(blocks, source, plane=PLANE, csm=None, maps=None):
    """Scan whose signal is source(k (sample, 2) [1/m] x, y) -> (coil, sample), in orthonormal scale."""
    events = compile_blocks(
        blocks, matrix=plane.matrix, pixel_volume=plane.pixel[0] * plane.pixel[1] * plane.thickness
    )
    what = Played(
        name="formula",
        events=events,
        counters=window_counters(blocks),
        parameters={"te": 5e-3, "tr": 0.1, "flip": np.pi / 2},
    )
    signal = source(events.trajectory().k[:, :2]) / np.sqrt(np.prod(plane.matrix))
    return Scan(
        signal=np.asarray(signal, np.complex64),
        played=what,
        plane=plane,
        csm=csm,
        maps=maps or {},
        class_names=(),
        field_strength=1.5,
        phantom="formula",
        engine="formula",
        reason="known",
        n_spins=0,
        seconds=0.0,
    )


def points(pixels, amplitudes, plane=PLANE):
    """Point sources in the centres of pixels (n, 2) y, x of amplitude (coil, n), each one pixel's worth."""
    y = (np.array(pixels)[:, 0] - plane.matrix[0] // 2) * plane.pixel[0]
    x = (np.array(pixels)[:, 1] - plane.matrix[1] // 2) * plane.pixel[1]
    return lambda k: (
        np.atleast_2d(amplitudes) @ np.exp(-2j * np.pi * (np.outer(x, k[:, 0]) + np.outer(y, k[:, 1])))
    )


def disc(radius, centre, plane=PLANE):
    """Uniform disc of PD 1, `radius` and `centre` (x, y) in [m]."""

    def source(k):
        q = np.maximum(np.hypot(*k.T), 1e-9)
        area = radius * j1(2 * np.pi * radius * q) / q * np.exp(-2j * np.pi * k @ np.array(centre))
        return area[None] / (plane.pixel[0] * plane.pixel[1])

    return source
