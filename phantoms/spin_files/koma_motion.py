"""Motion in KomaMRI's `.phantom`: motion_N groups of an action, its time and its spins.

Every group has the attribute `type`; its fields are attributes if they are single values, else data sets.

    action  Translate dx dy dz [m] · Rotate pitch roll yaw [degrees, about x y z] center [m] or CenterOfMass
            HeartBeat circumferential_strain radial_strain longitudinal_strain
            Path dx dy dz (knot, spin) [m] · FlowPath the same and spin_reset (knot, spin)
    time    TimeCurve t t_unit [s] [1] periodic "true" or "false" periods (lengths relative to t[-1] - t[0])
            and, of KomaMRIBase 0.9 before it, TimeRange t_start t_end · Periodic period asymmetry
    spins   AllSpins · SpinRange range "first:last" or "first:step:last", from 1, both included

Julia stores the spin axis first, column by column: read row by row, it is the last.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from phantoms.motion import Action, HeartBeat, Motion, Path, Rotate, TimeCurve, Translate, Vector
from phantoms.names import known
from phantoms.spin_files.fields import has_text, number, numbers, subgroup, text

if TYPE_CHECKING:
    import h5py

Real = NDArray[np.float64]
OFFSETS, ANGLES = ("dx", "dy", "dz"), ("pitch", "roll", "yaw")
STRAINS = ("circumferential_strain", "radial_strain", "longitudinal_strain")
CENTRE_OF_MASS = "CenterOfMass"


def read_motions(group: h5py.Group, n_spins: int) -> tuple[Motion, ...]:
    """Motions of a file with `n_spins` spins, in the order of their numbers."""
    names = sorted(group, key=lambda name: (len(name), name))
    return tuple(_read_motion(subgroup(group, name), n_spins) for name in names)


def _read_motion(group: h5py.Group, n_spins: int) -> Motion:
    parts = {name: subgroup(group, name) for name in ("action", "time", "spins")}
    action = ACTIONS[known("type of action", text(parts["action"], "type"), ACTIONS)]
    time = TIMES[known("type of time", text(parts["time"], "type"), TIMES)]
    return Motion(
        action=action(parts["action"]), time=time(parts["time"]), spins=_spins(parts["spins"], n_spins)
    )


def _vector(group: h5py.Group, names: Sequence[str]) -> Vector:
    x, y, z = (number(group, name) for name in names)
    return x, y, z


def _translate(group: h5py.Group) -> Translate:
    return Translate(offset=_vector(group, OFFSETS))


def _rotate(group: h5py.Group) -> Rotate:
    pitch, roll, yaw = (math.radians(a) for a in _vector(group, ANGLES))
    if ("center" not in group and "center" not in group.attrs) or has_text(group, "center"):
        if "center" in (*group, *group.attrs):
            known("center", text(group, "center"), (CENTRE_OF_MASS,))
        return Rotate(angles=(pitch, roll, yaw))
    centre = numbers(group, "center").ravel()
    if centre.size != 3 or not np.isfinite(centre).all():
        raise ValueError(f"center must be {CENTRE_OF_MASS} or three finite numbers, got {centre}")
    return Rotate(angles=(pitch, roll, yaw), centre=(float(centre[0]), float(centre[1]), float(centre[2])))


def _heart_beat(group: h5py.Group) -> HeartBeat:
    circumferential, radial, longitudinal = _vector(group, STRAINS)
    return HeartBeat(circumferential=circumferential, radial=radial, longitudinal=longitudinal)


def _path(group: h5py.Group) -> Path:
    columns = [np.atleast_2d(numbers(group, name)) for name in OFFSETS]  # (knot, spin)
    if any(c.shape != columns[0].shape for c in columns):
        shapes = ", ".join(str(c.shape) for c in columns)
        raise ValueError(f"dx, dy and dz of a path must have one shape, got {shapes}")
    return Path(offset=np.stack(columns, axis=1))


def _flow_path(group: h5py.Group) -> Path:
    return Path(offset=_path(group).offset, reset=np.atleast_2d(numbers(group, "spin_reset")) != 0)


def _time_curve(group: h5py.Group) -> TimeCurve:
    """Join the periods of the curve, each as long as its number says, into one."""
    t, share = (numbers(group, name).ravel().astype(np.float64) for name in ("t", "t_unit"))
    periods = numbers(group, "periods").ravel().astype(np.float64)
    periodic = known("periodic", text(group, "periodic").lower(), ("true", "false")) == "true"
    if not (periods.size and np.isfinite(periods).all() and (periods > 0).all()):
        raise ValueError(f"periods must be positive, got {periods}")
    if t.size == 0:
        raise ValueError("t of a time curve must hold numbers, got none")
    if periods.size == 1:
        return TimeCurve(t=periods[0] * t, share=share, periodic=periodic)
    start = t[0] + np.append(0, np.cumsum(periods)[:-1]) * (t[-1] - t[0])  # (period,)
    knots = start[:, None] + periods[:, None] * (t - t[0])
    return TimeCurve(t=knots.ravel(), share=np.tile(share, periods.size), periodic=periodic)


def _time_range(group: h5py.Group) -> TimeCurve:
    return TimeCurve(
        t=np.array([number(group, "t_start"), number(group, "t_end")]), share=np.array([0.0, 1.0])
    )


def _triangle(group: h5py.Group) -> TimeCurve:
    period, asymmetry = number(group, "period"), number(group, "asymmetry")
    return TimeCurve(
        t=np.array([0, period * asymmetry, period]), share=np.array([0.0, 1.0, 0.0]), periodic=True
    )


ACTIONS: dict[str, Callable[[h5py.Group], Action]] = {
    "Translate": _translate,
    "Rotate": _rotate,
    "HeartBeat": _heart_beat,
    "Path": _path,
    "FlowPath": _flow_path,
}
TIMES: dict[str, Callable[[h5py.Group], TimeCurve]] = {
    "TimeCurve": _time_curve,
    "TimeRange": _time_range,
    "Periodic": _triangle,
}


def _spins(group: h5py.Group, n_spins: int) -> NDArray[np.intp] | None:
    if known("type of spins", text(group, "type"), ("AllSpins", "SpinRange")) == "AllSpins":
        return None
    written = text(group, "range")
    try:
        ends = [int(part) for part in written.split(":")]
        first, step, last = ends if len(ends) == 3 else (ends[0], 1, ends[1])
        chosen = np.arange(first - 1, last, step)  # from 1, last included -> from 0, excluded
    except (ValueError, IndexError, ZeroDivisionError):
        raise ValueError(
            f"range must read first:last or first:step:last, in whole numbers, got {written!r}"
        ) from None
    if not chosen.size or chosen.min() < 0 or chosen.max() >= n_spins:
        raise ValueError(f"range must lie in 1 to {n_spins}, the spins of the file, got {written!r}")
    return chosen


def write_motions(group: h5py.Group, motions: Sequence[Motion], n_spins: int) -> None:
    """Write motions, in the order of their start as KomaMRI does; ValueError for spins that are no range."""
    for i, motion in enumerate(sorted(motions, key=lambda m: float(m.time.t[0])), start=1):
        one = group.create_group(f"motion_{i}")
        order = _write_spins(one.create_group("spins"), motion.spins, n_spins)
        _write_action(one.create_group("action"), motion.action, order)
        time = one.create_group("time")
        time.attrs["type"] = "TimeCurve"
        time["t"], time["t_unit"] = motion.time.t, motion.time.share
        time.attrs["periodic"] = str(motion.time.periodic).lower()
        time.attrs["periods"] = 1.0


def _write_spins(group: h5py.Group, spins: NDArray[np.intp] | None, n_spins: int) -> NDArray[np.intp] | slice:
    """Write the range; returns the order in which it lists the spins of the motion."""
    if spins is None:
        group.attrs["type"] = "AllSpins"
        return slice(None)
    order = np.argsort(spins)
    ascending = spins[order]
    if np.array_equal(ascending, np.arange(n_spins)):
        group.attrs["type"] = "AllSpins"
        return order
    step = int(ascending[1] - ascending[0]) if ascending.size > 1 else 1
    if (np.diff(ascending) != step).any():
        raise ValueError(f"spins of a motion must be evenly spaced for a KomaMRI file, got {ascending}")
    group.attrs["type"] = "SpinRange"
    ends = (ascending[0] + 1, *([step] if step > 1 else []), ascending[-1] + 1)
    group.attrs["range"] = ":".join(str(int(e)) for e in ends)
    return order


def _write_action(group: h5py.Group, action: Action, order: NDArray[np.intp] | slice) -> None:
    if isinstance(action, Path):
        group.attrs["type"] = "Path" if action.reset is None else "FlowPath"
        for i, name in enumerate(OFFSETS):
            group[name] = action.offset[:, i, order]  # (knot, spin)
        if action.reset is not None:
            group["spin_reset"] = action.reset[:, order].astype(np.int64)
        return
    group.attrs["type"] = type(action).__name__
    for name, value in _attributes(action).items():
        group.attrs[name] = float(value)
    if isinstance(action, Rotate):
        group["center"] = CENTRE_OF_MASS if action.centre is None else np.array(action.centre)


def _attributes(action: Translate | Rotate | HeartBeat) -> dict[str, float]:
    if isinstance(action, Translate):
        return dict(zip(OFFSETS, action.offset, strict=True))
    if isinstance(action, Rotate):
        return dict(zip(ANGLES, (math.degrees(a) for a in action.angles), strict=True))
    values = (action.circumferential, action.radial, action.longitudinal)
    return dict(zip(STRAINS, values, strict=True))
