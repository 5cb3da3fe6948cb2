"""Recipes: a data set as data. TOML in SI units, shipped or the user's own; unknown keys are refused."""

from __future__ import annotations

import hashlib
import json
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from mrsim.recipe_parts import OutputSpec, PhantomSpec, ScannerSpec, SliceSpec, SplitSpec, VarySpec
from mrsim.sequences import sequence_class
from mrsim.slices import AUTO, SLICE_SETS, selected, slice_set, spread
from mrsim.sources import base_table, content_hash, subjects_of
from phantoms.names import known

RECIPE_FOLDER = Path(__file__).parent / "recipes"
RECIPE_OF_PHANTOM = {"brainweb": "brainweb-se", "synthetic": "synthetic-se", "nifti": "nifti-se"}
ENGINE_NAMES = ("cartesian", "isochromat", "reference")


@dataclass(frozen=True, kw_only=True, slots=True)
class Recipe:
    """A data set, complete: the same recipe and software give the same bytes. All values are SI."""

    name: str
    title: str = ""
    seed: int = 0
    engine: str = "cartesian"
    phantom: PhantomSpec = field(default_factory=PhantomSpec)
    slices: SliceSpec = field(default_factory=SliceSpec)
    sequence_name: str = "spin-echo"
    sequence: Any  # frozen parameters, of the class that `sequence_name` stands for
    vary: VarySpec = field(default_factory=VarySpec)
    scanner: ScannerSpec = field(default_factory=ScannerSpec)
    output: OutputSpec = field(default_factory=OutputSpec)
    split: SplitSpec = field(default_factory=SplitSpec)

    def __post_init__(self) -> None:
        known("engine", self.engine, ENGINE_NAMES)
        if not 0 <= self.seed < 2**63:
            raise ValueError(f"seed must lie in [0, 2**63), got {self.seed}")
        self._check_extremes()

    def _check_extremes(self) -> None:
        """Refuse a variation at whose ends the sequence would be impossible."""
        half = {name: getattr(self.vary, name) for name in ("te", "tr", "flip")}
        for sign in (-1, 1):
            ends = {"te": 1 + sign * half["te"], "tr": 1 - sign * half["tr"], "flip": 1 + sign * half["flip"]}
            try:
                replace(self.sequence, **{k: getattr(self.sequence, k) * end for k, end in ends.items()})
            except ValueError as error:
                varied = ", ".join(f"{name} by {value:.3g}" for name, value in half.items() if value)
                raise ValueError(f"{error} (which may be drawn with vary {varied})") from None

    def as_dict(self) -> dict[str, Any]:
        """Return sections of plain values as TOML and JSON know them, SI."""
        tree = asdict(self)
        tree["sequence"] = {"name": tree.pop("sequence_name"), **tree["sequence"]}
        plain: dict[str, Any] = json.loads(json.dumps(tree))  # tuples become lists
        return plain

    def as_toml(self) -> str:
        """Return the recipe as a file that `load_recipe` reads back to the same data set."""
        tree = self.as_dict()
        lines = [f"{name} = {_toml(value)}" for name, value in tree.items() if not isinstance(value, dict)]
        for section, values in tree.items():
            if isinstance(values, dict):
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
    "vary": VarySpec,
    "scanner": ScannerSpec,
    "output": OutputSpec,
    "split": SplitSpec,
}
TOP = ("name", "title", "seed", "engine")

# What `load_recipe` and the command line call `phantom` and `slices` are keys of the sections of that name.
RENAMED = {"phantom": ("phantom", "source"), "slices": ("slices", "select"), "sequence": ("sequence", "name")}


def _toml(value: object) -> str:
    """One value; JSON writes strings, booleans, numbers and lists as TOML does."""
    return json.dumps(value, ensure_ascii=False)


def recipe_names() -> tuple[str, ...]:
    """Recipes that ship with the package."""
    return tuple(sorted(path.stem for path in RECIPE_FOLDER.glob("*.toml")))


def load_recipe(name_or_path: str | Path, **overrides: Any) -> Recipe:  # noqa: ANN401
    """Load the recipe of this name or file, with some values replaced, checked and resolved.

    overrides : keys of any section by their own names (`te`, `matrix`, `subjects` ...), SI; `phantom` is
        the source, `slices` a set, a count or a range, `vary` a number for te and tr, or a dict
    ValueError for unknown keys and impossible values, naming rule, value and unit.
    """
    tree = _read(name_or_path)
    _apply(tree, overrides)
    recipe = _resolved(tree)
    for name in ("test", "validation"):
        for subject in overrides.get(name, ()):
            if subject not in getattr(recipe.split, name):
                raise ValueError(f"{name} must hold subjects of the data set, in one split, got {subject}")
    return recipe


def recipe_for(phantom: str | None = None) -> str:
    """Name of the recipe that a bare `--phantom` stands for."""
    from phantoms import PHANTOMS

    return RECIPE_OF_PHANTOM[known("phantom", phantom, PHANTOMS)] if phantom else "synthetic-se"


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
    return {name: dict(value) if isinstance(value, dict) else value for name, value in tree.items()}


def _sequence_fields(tree: Mapping[str, Any]) -> tuple[type[Any], tuple[str, ...]]:
    cls = sequence_class(str(tree.get("sequence", {}).get("name", "spin-echo")))
    return cls, tuple(f.name for f in fields(cls))


def _apply(tree: dict[str, Any], overrides: Mapping[str, Any]) -> None:
    """Put every override into its section."""
    overrides = dict(overrides)
    if "sequence" in overrides:
        tree["sequence"] = {**tree.get("sequence", {}), "name": overrides.pop("sequence")}
    if "vary" in overrides and not isinstance(overrides["vary"], Mapping):
        overrides["vary"] = {"te": overrides["vary"], "tr": overrides["vary"]}
    if "phantom" in overrides and overrides["phantom"] != tree.get("phantom", {}).get("source", "synthetic"):
        tree["phantom"] = {"vary_tissues": tree.get("phantom", {}).get("vary_tissues", True)}
        tree.pop("split", None)  # the subjects of another source
    if overrides.get("orientation") == "sagittal" and not {"matrix", "fov"} & overrides.keys():
        for name in ("matrix", "fov"):  # a head is longer from back to front, now the phase-encode axis
            tree["sequence"][name] = list(reversed(tree["sequence"][name]))
    if {"slices", "orientation"} & overrides.keys():
        for name in ("numbers", "positions"):
            tree.get("slices", {}).pop(name, None)
    places = _places(tree)
    for name, value in overrides.items():
        section, key = places[known("recipe parameter", name, places)]
        if section == "vary" and isinstance(value, Mapping):
            tree["vary"] = {**tree.get("vary", {}), **value}
        elif section:
            tree.setdefault(section, {})[key] = value
        else:
            tree[key] = value


def _places(tree: Mapping[str, Any]) -> dict[str, tuple[str, str]]:
    """Flat name -> (section, key)."""
    places = {name: ("", name) for name in TOP}
    for section, cls in SECTIONS.items():
        if section != "vary":
            places |= {f.name: (section, f.name) for f in fields(cls)}
    places |= {name: ("sequence", name) for name in _sequence_fields(tree)[1]}
    return {**places, **RENAMED, "vary": ("vary", "")}


def _resolved(tree: Mapping[str, Any]) -> Recipe:
    for name in tree:
        known("recipe key", name, (*TOP, *SECTIONS, "sequence"))
    sequence = dict(tree.get("sequence", {}))
    sequence_name = str(sequence.pop("name", "spin-echo"))
    cls, _ = _sequence_fields(tree)
    parts = {name: _built(section, name, tree.get(name, {})) for name, section in SECTIONS.items()}
    parts["phantom"] = _with_subjects(parts["phantom"])
    parts["slices"] = _with_positions(parts["slices"])
    parts["split"] = _with_split(parts["split"], parts["phantom"].subjects)
    top = _typed(Recipe, "recipe", {name: tree[name] for name in TOP if name in tree})
    recipe = Recipe(sequence_name=sequence_name, sequence=_built(cls, "sequence", sequence), **top, **parts)
    base_table(recipe)  # there is one at this field strength
    return recipe


def _built(cls: type[Any], section: str, values: Mapping[str, Any]) -> Any:  # noqa: ANN401
    if not isinstance(values, Mapping):
        raise ValueError(f"[{section}] must be a table of values, got {values!r}")
    names = [f.name for f in fields(cls)]
    for name in values:
        known(f"key of [{section}]", name, names)
    return cls(**_typed(cls, section, values))


def _typed(cls: type[Any], section: str, values: Mapping[str, Any]) -> dict[str, Any]:
    """Bring the values to the types of the class's defaults; an integer will do for a float."""
    defaults = {f.name: f.default for f in fields(cls)}
    return {name: _as_type(f"{section}.{name}", value, defaults[name]) for name, value in values.items()}


def _as_type(name: str, value: Any, default: Any) -> Any:  # noqa: ANN401
    wanted = type(default) if isinstance(default, (bool, int, float, str, tuple)) else str
    if wanted is tuple and isinstance(value, Iterable) and not isinstance(value, str):
        return tuple(value)
    if wanted is float and isinstance(value, (int, float)) and not isinstance(value, bool):
        return float(value)
    if (wanted is str and isinstance(value, (str, Path))) or type(value) is wanted:
        return str(value) if wanted is str else value
    if wanted is str and isinstance(value, int) and name == "slices.select":
        return str(value)
    raise ValueError(f"{name} must be of type {wanted.__name__}, got {value!r}")


def _with_subjects(spec: PhantomSpec) -> PhantomSpec:
    """All subjects by number, checked against the source; the files of a nifti source are hashed."""
    return replace(spec, subjects=subjects_of(spec), content=content_hash(spec))


def _with_positions(spec: SliceSpec) -> SliceSpec:
    """Slice numbers and positions of a named set, of a range of one, or as given."""
    if spec.positions:
        return replace(spec, numbers=spec.numbers or tuple(range(len(spec.positions))))
    if spec.of == AUTO and spec.select not in SLICE_SETS:
        count = int(spec.select) if spec.select.isdigit() else 0
        return replace(spec, numbers=spread(count, max(count, 1)))
    name = spec.select if spec.select in SLICE_SETS else spec.of
    if name == AUTO or (spec.select != name and not set(spec.select) <= set("0123456789:- ")):
        known("slices", spec.select, SLICE_SETS)
    positions = slice_set(name, spec.orientation)
    numbers = tuple(range(len(positions))) if spec.select == name else selected(spec.select, len(positions))
    return replace(spec, of=name, numbers=numbers, positions=tuple(positions[i] for i in numbers))


def _with_split(spec: SplitSpec, subjects: tuple[int, ...]) -> SplitSpec:
    """Test and validation subjects by number, of those that are in the data set."""
    test = tuple(s for s in subjects if s in spec.test)
    rest = tuple(s for s in subjects if s not in test)
    if not spec.test and spec.test_last:
        test = rest[max(1, len(rest) - spec.test_last) :]
        rest = tuple(s for s in rest if s not in test)
    validation = tuple(s for s in rest if s in spec.validation)
    if not spec.validation and spec.validation_last:
        validation = rest[max(1, len(rest) - spec.validation_last) :]
    return SplitSpec(test=test, validation=validation)
