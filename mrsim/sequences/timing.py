"""When things happen in a block, and what is left between them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from mrsim.events import SAME_TIME
from mrsim.events.blocks import Block, Trapezoid, with_phase


def centre(block: Block) -> float:
    """When the pulse of a block acts, from the start of the block [s]."""
    if block.rf is None:
        raise ValueError("block must hold a pulse to have a centre, got one without")
    return block.rf.delay + block.rf.pulse.centre


def after(block: Block) -> float:
    """Time from the pulse of a block to its end [s]."""
    return block.duration - centre(block)


def area_after(block: Block) -> float:
    """Slice gradient area from the centre of the pulse to the end of its trapezoid [s T/m]."""
    lobe = block.gz
    if lobe is None:
        return 0.0
    if not isinstance(lobe, Trapezoid):
        raise ValueError("block must select its slice with a trapezoid along z")
    flat_end = lobe.delay + lobe.rise + lobe.flat
    return float(lobe.amplitude * (flat_end - centre(block) + lobe.fall / 2))


def area_until(block: Block) -> float:
    """Slice gradient area from the start of its trapezoid to the centre of the pulse [s T/m]."""
    return block.gz.area - area_after(block) if block.gz is not None else 0.0


def sample_time(block: Block, sample: int) -> float:
    """When a receiver sample is taken, from the start of the block [s]."""
    if block.adc is None:
        raise ValueError("block must receive to have samples, got one that does not")
    return block.adc.delay + (sample + 0.5) * block.adc.dwell


def area_before(block: Block, sample: int) -> float:
    """Readout gradient area up to a sample [s T/m]."""
    if not isinstance(block.gx, Trapezoid):
        raise ValueError("block must read out with a trapezoid along x")
    return block.gx.amplitude * (sample_time(block, sample) - block.gx.delay - block.gx.rise / 2)


def total(blocks: Sequence[Block]) -> float:
    """How long the blocks play [s]."""
    return sum(block.duration for block in blocks)


def room(name: str, available: float, what: str, value: float, needed: float) -> float:
    """Time that is left [s]; ValueError if `name`, which is `value`, must be at least `needed` for `what`."""
    if available < -SAME_TIME:
        raise ValueError(f"{name} must be at least {needed:.6g} s for {what}, got {value} s")
    return max(0.0, available)


def silent(block: Block) -> Block:
    """Play the same without receiving."""
    return replace(block, adc=None, labels={}) if block.adc else block


def phased(blocks: Sequence[Block], phase: float) -> list[Block]:
    """Turn all pulses and receiver windows by `phase` [rad]."""
    return [with_phase(block, phase) if phase and (block.rf or block.adc) else block for block in blocks]
