"""What is played over time: pulses, gradients and receiver windows in blocks, and what they compile to.

Sequences and Pulseq files are written in `blocks` with pulses of `rf`, within the limits of the `hardware`;
the engines read the `Events` that come of it.
"""

from mrsim.events.events import COLUMNS, ON_GRID, SAME_TIME, Events, Trajectory, places

__all__ = ["COLUMNS", "ON_GRID", "SAME_TIME", "Events", "Trajectory", "places"]
