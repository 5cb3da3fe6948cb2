"""What `mrsim info`, `phantoms`, `sequences` and `recipes` print."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from cli.units import DEG, MM, MS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mrsim.sequences import Parameter
    from mrsim.store import Store

# SI unit -> (unit shown, factor)
SHOWN = {
    "s": ("ms", MS),
    "m": ("mm", MM),
    "m/s": ("mm/s", MM),
    "rad": ("deg", DEG),
    "T/m": ("mT/m", 1e-3),
    "T": ("uT", 1e-6),
    "s/m2": ("s/mm2", 1e6),
}
PHANTOM_NOTES = {
    "synthetic": "procedural head of twelve BrainWeb classes, any number of subjects, no download",
    "brainweb": "the 20 normal anatomical models of BrainWeb at 0.5 mm (mrsim fetch brainweb)",
    "cardiac": "beating hearts in their thorax, any number of subjects, short-axis slices, no download",
    "nifti": "label maps of your own (--phantom-dir) with a tissue table (--tissues TABLE.toml)",
    "sphere": "ball of water, 10 cm across; its k-space is known in closed form",
    "cylinder": "bottle of water along z, 16 cm across and 10 cm long",
    "vials": "water with eight vials of known T1 and T2, one of oil, bars to count, and a pin on the right",
}


def store_text(store: Store) -> str:
    """Describe what a store holds, line by line."""
    recipe = store.attrs.get("recipe", {})
    n_y, n_x = store.shape
    spacing = " x ".join(f"{side / MM:g}" for side in store.pixel_spacing)
    state = "complete" if store.complete else f"incomplete: {store.n_done} of {store.n_subjects} subjects"
    splits = ", ".join(f"{store.indices(s).size} {s}" for s in ("train", "validation", "test"))
    splits += f" (by {recipe.get('split', {}).get('by', 'subject')})"
    scanner, versions = recipe.get("scanner", {}), store.attrs.get("versions", {})
    noise = f"{store.baked_noise:.0%} baked in, " if store.baked_noise else "none; levels are "
    noise += f"shares of {store.noise_reference}"
    rows = [
        ("store", f"{store.path} (format {store.attrs['format_version']}, {state})"),
        ("title", store.attrs.get("title", "")),
        ("recipe", f"{recipe.get('name', '')}, hash {store.attrs.get('recipe_hash', '')}, seed {store.seed}"),
        ("cases", f"{store.n_cases} = {store.n_subjects} subjects x {store.slices_per_subject} slices"),
        ("split", splits),
        (
            "views",
            "short axis" if recipe.get("cine") else str(recipe.get("slices", {}).get("orientation", "")),
        ),
        ("frames", _frames(store)),
        ("image", f"{n_y} x {n_x} pixels (phase encode x readout) of {spacing} mm, {store.n_coils} coil(s)"),
        ("contrasts", ", ".join(store.contrasts)),
        *_timing(store),
        ("noise", noise),
        ("scanner", f"{scanner.get('field_strength', '?')} T, B0 {scanner.get('b0', '?')}"),
        ("classes", ", ".join(f"{i} {name}" for i, name in enumerate(store.class_names))),
        ("arrays", ", ".join(store.maps)),
        ("phantom", f"{recipe.get('phantom', {}).get('source', '?')}; {store.attrs.get('licence', '')}"),
        ("cite", store.attrs.get("citation", "")),
        ("made with", ", ".join(f"{name} {version}" for name, version in versions.items())),
    ]
    return "\n".join(f"{name:<10} {value}" for name, value in rows if value)


def _frames(store: Store) -> str:
    """How many frames of how long a beat; "" of still pictures."""
    if not store.n_frames:
        return ""
    rr = store.coords.get("rr")
    beat = f" of a beat of {rr.min():.2f} to {rr.max():.2f} s" if rr is not None and (rr > 0).all() else ""
    mode = store.attrs.get("recipe", {}).get("cine", {}).get("mode", "")
    return f"{store.n_frames}{beat}" + (f", mode {mode}" if mode else "")


def _timing(store: Store) -> list[tuple[str, str]]:
    """One line for each contrast: the range of TE and TR over the cases."""
    te, tr = (store.coords[name].reshape(store.n_cases, -1).T / MS for name in ("te", "tr"))
    return [
        (name, f"TE {e.min():.1f} to {e.max():.1f} ms, TR {r.min():.5g} to {r.max():.5g} ms")
        if math.isfinite(e.sum() + r.sum())  # imported data may not say
        else (name, "TE and TR unknown")
        for name, e, r in zip(store.contrasts or ("timing",), te, tr, strict=True)
    ]


def phantoms_text() -> str:
    """List sources and tissue tables."""
    from mrsim.recipes.sources import tissue_table_names
    from phantoms import PHANTOMS

    lines = [f"{name:<12} {PHANTOM_NOTES.get(name, '')}" for name in PHANTOMS]
    return "\n".join([*lines, "", "tissue tables: " + ", ".join(tissue_table_names())])


def table_text(name: str) -> str:
    """One tissue table with its sources; ValueError for an unknown one."""
    from phantoms.tissues import tissue_table

    table = tissue_table(name)
    lines = [
        f"{table.name} at {table.field_strength:g} T",
        f"{'tissue':<22}{'PD':>6}{'T1':>8}{'T2':>8}{'T2*':>8}",
    ]
    for i, t in enumerate(table.tissues):
        times = "".join(f"{value / MS:>8.4g}" for value in (t.t1, t.t2, t.t2star))
        lines.append(f"{i:>2} {t.name:<19}{t.pd:>6.2f}{times} ms  {t.source}")
    return "\n".join(lines)


def sequence_text(name: str) -> str:
    """One sequence: what it is and its parameters; ValueError for an unknown one."""
    from mrsim.sequences import describe

    title, parameters = describe(name)
    return "\n".join([f"{name}: {title}", *parameter_lines(parameters)])


def parameter_lines(parameters: Iterable[Parameter]) -> list[str]:
    """One line per parameter: name, default in the unit of the field, unit, meaning."""
    shown = [(p.name, *_shown(p.default, p.unit), p.help) for p in parameters]
    wide = max(16, *(len(row[0]) for row in shown))
    return [f"  {name:<{wide}} {value:<12} {unit:<6} {text}" for name, value, unit, text in shown]


def recipes_text() -> str:
    """Name and title of every recipe that ships."""
    import tomllib

    from mrsim.recipes import RECIPE_FOLDER, recipe_names

    titles = {
        n: tomllib.loads((RECIPE_FOLDER / f"{n}.toml").read_text(encoding="utf-8"))["title"]
        for n in recipe_names()
    }
    return "\n".join(f"{name:<24} {title}" for name, title in titles.items())


def _shown(value: Any, unit: str) -> tuple[str, str]:  # noqa: ANN401
    """Give a default in the unit of the field."""
    shown, factor = SHOWN.get(unit, (unit, 1.0))
    if isinstance(value, tuple):
        return "x".join(_shown(side, unit)[0] for side in value), "" if unit == "1" else shown
    if isinstance(value, bool):
        return "yes" if value else "no", ""
    if isinstance(value, float) and math.isnan(value):
        return "auto", ""
    if isinstance(value, (int, float)):
        return (
            f"{round(value / factor, 9) if math.isfinite(value) else value:g}",
            "" if unit == "1" else shown,
        )
    return str(value), ""
