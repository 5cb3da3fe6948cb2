"""Recipes: a data set as data. TOML in SI units, shipped or the user's own; unknown keys are refused."""

from __future__ import annotations

import hashlib
import json
import tomllib
from collections.abc import Iterable, Mapping
from copy import deepcopy
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from mrsim.bloch.engine import DEVICES
from mrsim.imperfections.noise import NOISE_REFERENCES
from mrsim.recipes.resolve import (
    built,
    check_cine,
    typed,
    with_contrasts,
    with_positions,
    with_split,
    with_subjects,
)
from mrsim.recipes.sections import (
    CineSpec,
    Contrast,
    OutputSpec,
    PhantomSpec,
    ScannerSpec,
    SliceSpec,
    SplitSpec,
    VarySpec,
)
from mrsim.recipes.sources import OBJECTS, base_table, oracle_of
from mrsim.sequences import ALIASES, sequence_class
from phantoms.names import known

RECIPE_FOLDER = Path(__file__).parent
RECIPE_OF_PHANTOM = {
    "brainweb": "brainweb-se",
    "synthetic": "synthetic-se",
    "nifti": "nifti-se",
    "cardiac": "cardiac-cine-80",  # the whole stack takes gigabytes; this is what a paper trains on
    **dict.fromkeys(OBJECTS, "objects-se"),
}
ENGINE_NAMES = ("auto", "cartesian", "nufft", "isochromat", "reference")


@dataclass(frozen=True, kw_only=True, slots=True)
class Recipe:
    """A data set, complete: the same recipe and software give the same bytes. All values are SI.

    sequence : frozen parameters, of the class that `sequence_name` stands for; with contrasts, of the first
    contrasts : scans of the same slices; () is a single one, whose k-space has no axis "contrast"
    cine : how the beating heart is scanned over its cycle; None of still pictures
    """

    name: str
    title: str = ""
    seed: int = 0
    engine: str = "cartesian"
    device: str = "cpu"
    phantom: PhantomSpec = field(default_factory=PhantomSpec)
    slices: SliceSpec = field(default_factory=SliceSpec)
    sequence_name: str = "spin-echo"
    sequence: Any
    contrasts: tuple[Contrast, ...] = ()
    cine: CineSpec | None = None
    vary: VarySpec = field(default_factory=VarySpec)
    scanner: ScannerSpec = field(default_factory=ScannerSpec)
    output: OutputSpec = field(default_factory=OutputSpec)
    split: SplitSpec = field(default_factory=SplitSpec)

    def __post_init__(self) -> None:
        known("engine", self.engine, ENGINE_NAMES)
        known("device", self.device, DEVICES)
        if self.device == "cuda" and self.engine not in ("auto", "isochromat"):
            raise ValueError(f"engine must be isochromat on the device cuda, got {self.engine!r}")
        check_cine(self)
        if not 0 <= self.seed < 2**63:
            raise ValueError(f"seed must lie in [0, 2**63), got {self.seed}")
        for name, sequence in self._named_sequences():
            if not getattr(sequence, "cartesian", True):
                raise ValueError(
                    f"sequence of a data set must fill a Cartesian grid, which {name} does not: "
                    f"mrsim simulate --sequence {name} scans and reconstructs it slice by slice"
                )
            self._check_extremes(sequence)
            for name in GEOMETRY:
                value, first = getattr(sequence, name), getattr(self.sequence, name)
                if value != first:
                    raise ValueError(f"{name} must be the same for all contrasts, got {first} and {value}")

    @property
    def sequences(self) -> tuple[Any, ...]:
        """Sequence of each contrast, or the only one."""
        return tuple(contrast.sequence for contrast in self.contrasts) or (self.sequence,)

    def _named_sequences(self) -> tuple[tuple[str, Any], ...]:
        found = tuple((contrast.sequence_name, contrast.sequence) for contrast in self.contrasts)
        return found or ((self.sequence_name, self.sequence),)

    def _check_extremes(self, sequence: Any) -> None:  # noqa: ANN401
        """Refuse a variation at whose ends the sequence would be impossible."""
        half = {name: getattr(self.vary, name) for name in ("te", "tr", "flip")}
        for sign in (-1, 1):
            ends = {"te": 1 + sign * half["te"], "tr": 1 - sign * half["tr"], "flip": 1 + sign * half["flip"]}
            try:
                replace(sequence, **{k: getattr(sequence, k) * end for k, end in ends.items()})
            except ValueError as error:
                varied = ", ".join(f"{name} by {value:.3g}" for name, value in half.items() if value)
                raise ValueError(f"{error} (which may be drawn with vary {varied})") from None

    def as_dict(self) -> dict[str, Any]:
        """Return sections of plain values as TOML and JSON know them, SI."""
        tree = asdict(self)
        if self.device == "cpu":
            del tree["device"]  # as it always was
        if self.cine is None:
            del tree["cine"]
        tree["sequence"] = _with_name(tree.pop("sequence_name"), tree["sequence"])
        contrasts = {c["name"]: _with_name(c["sequence_name"], c["sequence"]) for c in tree.pop("contrasts")}
        if contrasts:
            tree["contrasts"] = contrasts
        plain: dict[str, Any] = json.loads(json.dumps(tree))  # tuples become lists
        return plain

    def as_toml(self) -> str:
        """Return the recipe as a file that `load_recipe` reads back to the same data set."""
        tree = self.as_dict()
        lines = [f"{name} = {_toml(value)}" for name, value in tree.items() if not isinstance(value, dict)]
        tables = {name: value for name, value in tree.items() if isinstance(value, dict)}
        tables |= {f"contrasts.{_toml(name)}": c for name, c in tables.pop("contrasts", {}).items()}
        for section, values in tables.items():
            lines += ["", f"[{section}]", *(f"{name} = {_toml(value)}" for name, value in values.items())]
        return "\n".join(lines) + "\n"

    @property
    def hash(self) -> str:
        """Of everything but the recipe's name and title."""
        tree = {k: v for k, v in self.as_dict().items() if k not in ("name", "title")}
        text = json.dumps(tree, sort_keys=True, separators=(",", ":"))
        return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()


SECTIONS: dict[str, type[Any]] = {
    "phantom": PhantomSpec,
    "slices": SliceSpec,
    "cine": CineSpec,
    "vary": VarySpec,
    "scanner": ScannerSpec,
    "output": OutputSpec,
    "split": SplitSpec,
}
TOP = ("name", "title", "seed", "engine", "device")
UNTITLED = ("name", "title", "seed", "path", "tissues")  # what no title speaks of
GEOMETRY = ("fov", "matrix", "thickness")  # what the contrasts of one slice have in common

# What `load_recipe` and the command line call `phantom` and `slices` are keys of the sections of that name.
RENAMED = {
    "phantom": ("phantom", "source"),
    "slices": ("slices", "select"),
    "sequence": ("sequence", "name"),
    "split": ("split", "by"),
}


def _with_name(name: str, sequence: dict[str, Any]) -> dict[str, Any]:
    return {"name": name, **sequence}


def _toml(value: object) -> str:
    """One value; JSON writes strings, booleans, numbers and lists as TOML does."""
    return json.dumps(value, ensure_ascii=False, default=_plain)


def _plain(value: object) -> object:
    """Write what is no JSON yet: ranges as lists, paths as text."""
    return list(value) if isinstance(value, Iterable) else str(value)


def recipe_names() -> tuple[str, ...]:
    """Recipes that ship with the package."""
    return tuple(sorted(path.stem for path in RECIPE_FOLDER.glob("*.toml")))


def load_recipe(name_or_path: str | Path, **overrides: Any) -> Recipe:  # noqa: ANN401
    """Load the recipe of this name or file, with some values replaced, checked and resolved.

    overrides : keys of any section by their own names (`te`, `matrix`, `subjects` ...), SI; `phantom` is
        the source, `slices` a set, a count or a range, `split` "subject" or "slice", `vary` a number for te
        and tr, or a dict
    ValueError for unknown keys and impossible values, naming rule, value and unit.
    """
    tree = _read(name_or_path)
    shipped = deepcopy(tree)
    _apply(tree, overrides)
    if (changed := _changed(shipped, tree, overrides)) and tree.get("title") == shipped.get("title"):
        title = tree.get("title", tree["name"])
        if "sequence" in changed:
            title = f"{tree['sequence']['name']} in place of: {title}"
        tree["title"] = f"{title} (changed: {', '.join(changed)})"
    recipe = _resolved(tree)
    for name in ("test", "validation"):
        for subject in overrides.get(name, ()):
            if subject not in getattr(recipe.split, name):
                raise ValueError(f"{name} must hold subjects of the data set, in one split, got {subject}")
    return recipe


def recipe_for(phantom: str | None = None) -> str:
    """Name of the recipe that a bare `--phantom` stands for."""
    from phantoms import PHANTOMS

    if not phantom:
        return "synthetic-se"
    if known("phantom", phantom, PHANTOMS) not in RECIPE_OF_PHANTOM:
        raise ValueError(f"recipe must be given for the phantom {phantom}, which has none of its own")
    return RECIPE_OF_PHANTOM[phantom]


def _read(name_or_path: str | Path) -> dict[str, Any]:
    text = str(name_or_path)
    is_file = isinstance(name_or_path, Path) or text.endswith(".toml") or "/" in text
    path = Path(text) if is_file else RECIPE_FOLDER / f"{known('recipe', text, recipe_names())}.toml"
    try:
        tree = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ValueError(f"recipe {path} cannot be read: {error.strerror or error}") from None
    except ValueError as error:
        raise ValueError(f"recipe {path} must be TOML: {error}") from None
    tree.setdefault("name", path.stem)
    return tree


def _sequence_class(tree: Mapping[str, Any]) -> type[Any]:
    return sequence_class(str(tree.get("sequence", {}).get("name", "spin-echo")))


def _apply(tree: dict[str, Any], overrides: Mapping[str, Any]) -> None:
    """Put every override into its section."""
    overrides = dict(overrides)
    if "sequence" in overrides:
        name = str(overrides.pop("sequence"))
        _change_sequence(tree, ALIASES.get(name, name))
    if "vary" in overrides and not isinstance(overrides["vary"], Mapping):
        overrides["vary"] = {"te": overrides["vary"], "tr": overrides["vary"]}
    if "phantom" in overrides and overrides["phantom"] != tree.get("phantom", {}).get("source", "synthetic"):
        kept = ("vary_tissues", "classes", "stripped")
        tree["phantom"] = {k: v for k, v in tree.get("phantom", {}).items() if k in kept}
        by = tree.pop("split", {}).get("by")  # the subjects of another source
        tree["split"] = {"by": by} if by else {}
    if overrides.get("orientation") == "sagittal" and not {"matrix", "fov"} & overrides.keys():
        defaults = {f.name: f.default for f in fields(_sequence_class(tree))}
        for name in ("matrix", "fov"):  # a head is longer from back to front, now the phase-encode axis
            _put_sequence(tree, name, list(reversed(tree["sequence"].get(name, defaults[name]))))
    if {"slices", "orientation"} & overrides.keys():
        for name in ("numbers", "views", "positions"):
            tree.get("slices", {}).pop(name, None)
    if overrides.get("device") == "cuda":
        tree["engine"] = "isochromat"
    places = _places(tree)
    for name, value in overrides.items():
        section, key = places[known("recipe parameter", name, places)]
        if section == "vary" and isinstance(value, Mapping):
            tree["vary"] = {**tree.get("vary", {}), **value}
        elif section == "sequence":
            _put_sequence(tree, key, value)
        elif section:
            tree.setdefault(section, {})[key] = value
        else:
            tree[key] = value


def _change_sequence(tree: dict[str, Any], name: str) -> None:
    """Take another sequence, with the recipe's values where both have the same default, else with its own.

    So a bSSFP has its own TE, TR and bandwidth on the recipe's field of view, and an EPI its coarser matrix.
    """
    old, new = _sequence_class(tree), sequence_class(name)
    _put_sequence(tree, "name", name)
    if old is new:
        return
    before, after = ({f.name: f.default for f in fields(cls)} for cls in (old, new))
    shared = {key for key in before.keys() & after.keys() if before[key] == after[key]}
    tree["sequence"] = {k: v for k, v in tree["sequence"].items() if k in shared or k == "name"}
    tree["engine"] = "auto"


def _put_sequence(tree: dict[str, Any], name: str, value: object) -> None:
    """Set a sequence parameter for all contrasts; ValueError where the recipe gives them different ones."""
    contrasts = tree.get("contrasts", {})
    own = [table[name] for table in contrasts.values() if name in table]
    if own and (len(own) < len(contrasts) or any(other != own[0] for other in own)):
        what = "sequence" if name == "name" else name
        raise ValueError(
            f"{what} must be set by contrast, because {', '.join(contrasts)} differ in it: in a recipe file "
            f"(mrsim recipes {tree['name']} prints this one), got {value}"
        )
    for table in contrasts.values():
        table.pop(name, None)
    tree.setdefault("sequence", {})[name] = value


def _changed(old: Mapping[str, Any], new: Mapping[str, Any], overrides: Mapping[str, Any]) -> list[str]:
    """Names of the overrides that make this another data set than the recipe's title says."""
    places = _places(new)
    found = []
    for name in overrides:
        section, key = places[name]
        before, after = (tree.get(section, {}) if section else tree for tree in (old, new))
        same = before == after if not key else _toml(before.get(key)) == _toml(after.get(key))
        if not same and name not in UNTITLED:
            found.append(name)
    return found


def _places(tree: Mapping[str, Any]) -> dict[str, tuple[str, str]]:
    """Flat name -> (section, key)."""
    places = {name: ("", name) for name in TOP}
    for section, cls in SECTIONS.items():
        if section != "vary":
            places |= {f.name: (section, f.name) for f in fields(cls)}
    places |= {f.name: ("sequence", f.name) for f in fields(_sequence_class(tree))}
    return {**places, **RENAMED, "vary": ("vary", "")}


def _resolved(tree: Mapping[str, Any]) -> Recipe:
    for name in tree:
        known("recipe key", name, (*TOP, *SECTIONS, "sequence", "contrasts"))
    parts = {name: built(section, name, tree.get(name, {})) for name, section in SECTIONS.items()}
    if "cine" not in tree:
        del parts["cine"]
    sequence_name, sequence, contrasts = with_contrasts(tree.get("sequence", {}), tree.get("contrasts", {}))
    parts["phantom"] = with_subjects(parts["phantom"])
    parts["slices"] = with_positions(parts["slices"])
    parts["split"] = with_split(parts["split"], parts["phantom"].subjects, parts["slices"].numbers)
    top = typed(Recipe, "recipe", {name: tree[name] for name in TOP if name in tree})
    recipe = Recipe(sequence_name=sequence_name, sequence=sequence, contrasts=contrasts, **top, **parts)
    base_table(recipe)  # there is one at this field strength
    classes = (name.lower() for name in oracle_of(recipe).names[1:])
    known("noise_reference", recipe.output.noise_reference.lower(), (*NOISE_REFERENCES, *classes))
    return recipe
