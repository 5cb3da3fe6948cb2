"""Sequences made with pypulseq, as its users make them, at small size."""

from __future__ import annotations

import math

import numpy as np
import pypulseq as pp

FOV, THICKNESS = 0.2, 5e-3
SYSTEM = pp.Opts(
    max_grad=28,
    grad_unit="mT/m",
    max_slew=150,
    slew_unit="T/m/s",
    rf_ringdown_time=20e-6,
    rf_dead_time=100e-6,
    adc_dead_time=10e-6,
)


def sequence(name: str, thickness: float = THICKNESS) -> pp.Sequence:
    seq = pp.Sequence(SYSTEM)
    seq.set_definition("Name", name)
    seq.set_definition("FOV", [FOV, FOV, thickness])
    return seq


def slice_pulse(flip_deg: float, use: str, position: float = 0.0, duration: float = 2e-3):
    """Sinc with its gradients, moved to a slice position, the phase of that undone in its centre."""
    rf, gz, back = pp.make_sinc_pulse(
        math.radians(flip_deg),
        duration=duration,
        slice_thickness=THICKNESS,
        apodization=0.42,
        time_bw_product=4,
        dwell=1e-6 if position else 1e-5,  # on the RF raster, or with times of its own
        system=SYSTEM,
        return_gz=True,
        delay=SYSTEM.rf_dead_time,
        use=use,
    )
    rf.freq_offset = gz.amplitude * position
    rf.phase_offset = -2 * math.pi * rf.freq_offset * rf.center
    return rf, gz, back


def line(n: int, flat: float = 1.6e-3):
    gx = pp.make_trapezoid("x", flat_area=n / FOV, flat_time=flat, system=SYSTEM)
    adc = pp.make_adc(n, duration=flat, delay=gx.rise_time, system=SYSTEM)
    return gx, adc, pp.make_trapezoid("x", area=-gx.area / 2, duration=1e-3, system=SYSTEM)


def encode(row: int, n: int, duration: float = 1e-3):
    return pp.make_trapezoid("y", area=(row - n / 2) / FOV, duration=duration, system=SYSTEM)


def gre(
    n: int = 16, position: float = 0.0, labels: bool = False, shift: tuple[float, float] = (0.0, 0.0)
) -> pp.Sequence:
    """RF-spoiled; `shift` [m] x, y moves the image by a receiver phase 2 pi k.shift, as `mr.TransformFOV`."""
    seq = sequence("gre")
    rf, gz, back = slice_pulse(10, "excitation", position)
    gx, adc, before = line(n)
    undo, phase, step = rf.phase_offset, 0, 0
    for row in range(n):
        rf.phase_offset = undo + math.radians(phase)
        start = -gx.area / 2 + gx.amplitude * gx.rise_time / 2
        k_shift = start * shift[0] + (row - n / 2) / FOV * shift[1]
        adc.phase_offset = (math.radians(phase) + 2 * math.pi * k_shift) % (2 * math.pi)
        adc.freq_offset = gx.amplitude * shift[0]
        step = (step + 117) % 360
        phase = (phase + step) % 360
        seq.add_block(rf, gz)
        gy = encode(row, n)
        seq.add_block(before, gy, back)
        extra = [pp.make_label("LIN", "SET", row)] if labels else []
        seq.add_block(gx, adc, *extra)
        seq.add_block(pp.make_trapezoid("z", area=4 / THICKNESS, system=SYSTEM), pp.scale_grad(gy, -1))
        seq.add_block(pp.make_delay(1e-3))
    return seq


def tse(n: int = 8, positions: tuple[float, ...] = (-0.008, 0.008)) -> pp.Sequence:
    """An echo train for each slice; excitation along y, refocusing along x (CPMG)."""
    seq = sequence("tse")
    gx, adc, _ = line(n)
    before = pp.make_trapezoid("x", area=gx.area / 2, duration=1e-3, system=SYSTEM)
    for z in positions:
        rf, gz, back = slice_pulse(90, "excitation", z)
        rf.phase_offset += math.pi / 2
        adc.phase_offset = math.pi / 2
        turn, gz_turn, _ = slice_pulse(180, "refocusing", z)
        half = 5e-3
        seq.add_block(rf, gz)
        seq.add_block(before, back)
        played = pp.calc_duration(rf, gz) - rf.delay - rf.center + 1e-3 + turn.delay + turn.center
        seq.add_block(pp.make_delay(round((half - played) / 1e-5) * 1e-5))
        for echo in range(n):
            row = (echo + n // 2) % n
            gy = encode(row, n)
            seq.add_block(turn, gz_turn)
            rest = 2 * half - 2e-3 - pp.calc_duration(gx) - pp.calc_duration(turn, gz_turn)
            seq.add_block(gy, pp.make_delay(round((1e-3 + rest / 2) / 1e-5) * 1e-5))
            seq.add_block(gx, adc)
            seq.add_block(pp.scale_grad(gy, -1), pp.make_delay(round((1e-3 + rest / 2) / 1e-5) * 1e-5))
        seq.add_block(pp.make_delay(0.01))
    return seq


def epi(n: int = 8, ramp_sampled: bool = False) -> pp.Sequence:
    seq = sequence("epi")
    rf, gz, back = slice_pulse(90, "excitation")
    gx, adc, before = line(n, 0.4e-3)
    if ramp_sampled:
        adc = pp.make_adc(2 * n, dwell=30e-6, delay=20e-6, system=SYSTEM)
    blip = pp.make_trapezoid("y", area=1 / FOV, duration=0.1e-3, system=SYSTEM)
    first = pp.make_trapezoid("y", area=-n / 2 / FOV, duration=1e-3, system=SYSTEM)
    seq.add_block(rf, gz)
    seq.add_block(before, first, back)
    for row in range(n):
        seq.add_block(gx, adc, pp.make_label("LIN", "SET", row), pp.make_label("REV", "SET", row % 2))
        if row < n - 1:
            seq.add_block(blip)
        gx = pp.scale_grad(gx, -1)
    return seq


def spiral(n: int = 16) -> pp.Sequence:
    """Spiral on the gradient raster; it ends with a gradient that a second block takes down."""
    seq = sequence("spiral")
    rf, gz, back = slice_pulse(30, "excitation")
    raster = SYSTEM.grad_raster_time
    t = (np.arange(400) + 0.5) / 400
    kt = np.sqrt(t) * np.exp(2j * np.pi * 4 * np.sqrt(t)) * n / 2 / FOV * np.minimum(1, t / 0.05)
    g = np.gradient(kt, raster) * 0.5
    g *= np.minimum(1, np.arange(400) / 40)
    seq.add_block(rf, gz)
    seq.add_block(back)
    last = {}
    parts = []
    for channel, wave in (("x", g.real), ("y", g.imag)):
        last[channel] = (3 * wave[-1] - wave[-2]) / 2
        part = pp.make_arbitrary_grad(
            channel, wave, first=0.0, last=last[channel], system=SYSTEM, max_slew=1e12
        )
        parts.append(part)
    adc = pp.make_adc(395, dwell=raster, delay=10e-6, system=SYSTEM)
    seq.add_block(*parts, adc)
    down = [
        pp.make_extended_trapezoid(
            c, amplitudes=np.array([v, 0.0]), times=np.array([0.0, 4e-4]), system=SYSTEM
        )
        for c, v in last.items()
    ]
    seq.add_block(*down)
    return seq


def radial(spokes: int = 5, n: int = 16) -> pp.Sequence:
    seq = sequence("radial")
    rf, gz, back = slice_pulse(20, "excitation")
    gx, adc, before = line(n)
    for spoke in range(spokes):
        angle = math.pi * spoke / spokes
        seq.add_block(rf, gz)
        seq.add_block(back, *pp.rotate(before, angle=angle, axis="z"))
        seq.add_block(adc, *pp.rotate(gx, angle=angle, axis="z"))
    return seq


def haste(n: int = 8) -> pp.Sequence:
    """Half-Fourier: a quarter of the lines is left out; extended trapezoids that go on over blocks."""
    seq = sequence("haste")
    rf, gz, _ = slice_pulse(90, "excitation")
    plateau = gz.amplitude
    rise = pp.make_extended_trapezoid("z", amplitudes=[0, plateau], times=[0, gz.rise_time], system=SYSTEM)
    flat = math.ceil(pp.calc_duration(rf) / 1e-5) * 1e-5
    held = pp.make_extended_trapezoid("z", amplitudes=[plateau, plateau], times=[0, flat], system=SYSTEM)
    hold = 0.4e-3 + flat - rf.delay - rf.center - 0.1e-3  # rephases what follows the pulse
    back = pp.make_extended_trapezoid(
        "z", amplitudes=[plateau, -plateau, -plateau, 0], times=[0, 4e-4, hold, hold + 2e-4], system=SYSTEM
    )
    gx, adc, before = line(n)
    seq.add_block(rise)
    seq.add_block(rf, held)
    seq.add_block(back, pp.scale_grad(before, -1))
    turn = pp.make_block_pulse(math.pi, duration=0.5e-3, delay=1e-4, system=SYSTEM, use="refocusing")
    for row in range(n // 4, n):
        gy = encode(row, n)
        seq.add_block(turn)
        seq.add_block(gy, pp.make_delay(1e-3))
        seq.add_block(gx, adc)
        seq.add_block(pp.scale_grad(gy, -1))
    return seq


def ute(spokes: int = 4, n: int = 16) -> pp.Sequence:
    """Ramp-sampled half spokes of a hard pulse, which is off-resonant."""
    seq = sequence("ute")
    rf = pp.make_block_pulse(
        math.radians(15), duration=0.1e-3, delay=1e-4, system=SYSTEM, use="excitation", freq_offset=300.0
    )
    gx = pp.make_trapezoid(
        "x", amplitude=n / 2 / FOV / 0.8e-3, flat_time=0.8e-3, rise_time=2e-4, system=SYSTEM
    )
    adc = pp.make_adc(n, dwell=40e-6, delay=10e-6, system=SYSTEM)
    for spoke in range(spokes):
        seq.add_block(rf)
        seq.add_block(adc, *pp.rotate(gx, angle=2 * math.pi * spoke / spokes, axis="z"))
    return seq


def mprage(n: int = 4) -> pp.Sequence:
    """3-D: inversion by a hyperbolic secant, then a train of small pulses."""
    seq = sequence("mprage", thickness=0.16)
    turn = pp.make_adiabatic_pulse(
        "hypsec", duration=8e-3, delay=1e-4, system=SYSTEM, use="inversion", dwell=1e-5
    )
    rf = pp.make_block_pulse(math.radians(7), duration=1e-4, delay=1e-4, system=SYSTEM, use="excitation")
    gx, adc, before = line(n)
    for partition in range(n):
        seq.add_block(turn)
        seq.add_block(pp.make_delay(0.02), pp.make_label("PAR", "SET", partition))
        gz = pp.make_trapezoid("z", area=(partition - n / 2) / 0.16, duration=1e-3, system=SYSTEM)
        for row in range(n):
            gy = encode(row, n)
            seq.add_block(rf)
            seq.add_block(before, gy, gz, pp.make_label("LIN", "SET", row))
            seq.add_block(gx, adc)
            seq.add_block(pp.scale_grad(gy, -1), pp.scale_grad(gz, -1))
    return seq


EXAMPLES = {
    "gre": gre,
    "gre off-centre": lambda: gre(position=0.01, labels=True),
    "tse": tse,
    "epi": epi,
    "epi ramp-sampled": lambda: epi(ramp_sampled=True),
    "spiral": spiral,
    "radial": radial,
    "haste": haste,
    "ute": ute,
    "mprage": mprage,
}
