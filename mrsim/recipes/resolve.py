"""From the values of a recipe file to checked sections: subjects, slice positions, splits, contrasts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mrsim.recipes.sections import Contrast, PhantomSpec, SliceSpec, SplitSpec
from mrsim.recipes.slice_sets import AUTO, HEART, MID, SLICE_SETS, selected, slice_set, what_slices_may_be
from mrsim.recipes.sources import content_hash, subjects_of
from mrsim.sequences import ALIASES, sequence_class
from mrsim.slices.plane import OVERRUN
from phantoms.cardiac.source import FOV as CARDIAC_FOV
from phantoms.names import known

if TYPE_CHECKING:
    from mrsim.recipes.recipe import Recipe

MOST_SLICES = 16  # of a short-axis stack
NEED_NO_TISSUE = ("kspace_rms", "kspace_mean", "max", "std_image")  # of the NOISE_REFERENCES
LONGEST_SEGMENT = 0.17  # [s] beats last 0.34 s and more: 105 a minute, the shortest 0.6 of the mean
TEST_OF_FIVE = (1, 3)  # CRDN's split by slice: numbers modulo 5 of the test slices


def built(cls: type[Any], section: str, values: Mapping[str, Any]) -> Any:  # noqa: ANN401
    """Make a section or a sequence from a table; ValueError for unknown keys and wrong types."""
    if not isinstance(values, Mapping):
        raise ValueError(f"[{section}] must be a table of values, got {values!r}")
    names = [f.name for f in fields(cls)]
    for name in values:
        known(f"key of [{section}]", name, names)
    return cls(**typed(cls, section, values))


def typed(cls: type[Any], section: str, values: Mapping[str, Any]) -> dict[str, Any]:
    """Bring the values to the types of the class's defaults; an integer will do for a float."""
    defaults = {f.name: f.default for f in fields(cls)}
    return {name: _as_type(f"{section}.{name}", value, defaults[name]) for name, value in values.items()}


def _as_type(name: str, value: Any, default: Any) -> Any:  # noqa: ANN401
    wanted = type(default) if isinstance(default, (bool, int, float, str, tuple)) else str
    if name == "phantom.subjects" and isinstance(value, str):
        return _numbers(value)
    if wanted is tuple and isinstance(value, Iterable) and not isinstance(value, str):
        return tuple(value)
    if wanted is float and isinstance(value, (int, float)) and not isinstance(value, bool):
        return float(value)
    if (wanted is str and isinstance(value, (str, Path))) or type(value) is wanted:
        return str(value) if wanted is str else value
    if wanted is str and isinstance(value, int) and name == "slices.select":
        return str(value)
    raise ValueError(f"{name} must be of type {wanted.__name__}, got {value!r}")


def _numbers(text: str) -> tuple[int, ...]:
    """Numbers of a range such as "0-1199", both ends included."""
    first, dash, last = text.partition("-")
    if not (dash and first.strip().isdigit() and last.strip().isdigit() and int(first) <= int(last)):
        raise ValueError(f"phantom.subjects must be a list of numbers or a range such as 0-19, got {text!r}")
    return tuple(range(int(first), int(last) + 1))


def check_cine(recipe: Recipe) -> None:
    """ValueError for what a cine cannot be, and for still pictures of what beats."""
    cardiac = recipe.phantom.source == "cardiac"
    if recipe.cine is None:
        if cardiac or recipe.slices.of == HEART:
            raise ValueError(
                "phantom cardiac must be scanned as a cine, by a recipe with a section [cine] such as "
                "cardiac-cine-80: mrsim simulate --phantom cardiac makes still pictures of it"
            )
        return
    if not cardiac:
        raise ValueError(f"phantom must be cardiac for a cine, got {recipe.phantom.source!r}")
    if recipe.contrasts:
        raise ValueError(
            f"contrasts must not be given for a cine, got {', '.join(c.name for c in recipe.contrasts)}"
        )
    if recipe.sequence_name != "bssfp":
        raise ValueError(f"sequence must be bssfp for a cine, got {recipe.sequence_name!r}")
    if recipe.sequence.rf != "ideal":
        raise ValueError(
            f"rf must be ideal (a slice with perfect edges) for a cine, got {recipe.sequence.rf!r}"
        )
    if recipe.cine.mode == "ideal" and recipe.sequence.preparation != "steady-state":
        raise ValueError(
            "preparation must be steady-state for a cine of mode ideal: mode gated plays the approach to it, "
            f"got {recipe.sequence.preparation!r}"
        )
    if recipe.slices.orientation != "axial":
        raise ValueError(
            "orientation must not be given for a cine, whose slices lie across the heart's long axis, "
            f"got {recipe.slices.orientation!r}"
        )
    if recipe.engine != "auto":
        raise ValueError(
            f"engine must be auto for a cine (its mode says how it is computed), got {recipe.engine!r}"
        )
    if recipe.device != "cpu":
        raise ValueError(f"device must be cpu for a cine, got {recipe.device!r}")
    if recipe.slices.of != HEART:
        raise ValueError(
            "slices must be mid or a count such as 11 for a cine, whose stack follows the heart, "
            f"got {recipe.slices.select!r}"
        )
    if recipe.slices.positions:
        raise ValueError(
            "positions must not be given for a cine, whose stack follows the heart, "
            f"got {len(recipe.slices.positions)} of them"
        )
    if recipe.split.by == "slice":
        raise ValueError("split must be by subject for a cine, got 'slice'")
    _check_reach(recipe)
    reference, one = recipe.output.noise_reference.lower(), len(recipe.slices.numbers) == 1
    if recipe.output.noise and reference not in NEED_NO_TISSUE and (reference == "parenchyma" or not one):
        raise ValueError(
            f"noise_reference must be one of {', '.join(NEED_NO_TISSUE)} for slices that may lack it, "
            f"got {reference!r}"
        )
    for side, size, name in zip(recipe.cine.crop, recipe.sequence.matrix, "yx", strict=False):
        if side > size:
            raise ValueError(f"crop must fit into the matrix along {name}, {size} pixels, got {side}")


def _check_reach(recipe: Recipe) -> None:
    """ValueError where the body would fold over, or a line be read too seldom to see the heart move."""
    width, fov = CARDIAC_FOV[0], recipe.sequence.fov[0]
    if fov < width - 2 * OVERRUN:
        raise ValueError(
            f"fov must cover the body along y, up to {width * 1e3:.1f} mm wide, for a cine, which does not "
            f"fold, got {fov * 1e3:.1f} mm"
        )
    assert recipe.cine is not None
    lasts = recipe.cine.segment * recipe.sequence.tr
    if recipe.cine.mode == "gated" and lasts > LONGEST_SEGMENT:
        raise ValueError(
            f"segment must last at most {LONGEST_SEGMENT * 1e3:.0f} ms, half of the shortest beat, for a "
            f"gated cine, got {recipe.cine.segment} lines of {recipe.sequence.tr * 1e3:.4g} ms"
        )


def with_contrasts(
    base: Mapping[str, Any], tables: Mapping[str, Any]
) -> tuple[str, Any, tuple[Contrast, ...]]:
    """Make the sequence, and that of each contrast: [sequence] with what [contrasts.NAME] puts in its place.

    A contrast of another sequence takes over what that sequence knows of [sequence].
    returns : name and parameters of the sequence (of the first contrast, if there are any), and the contrasts
    """
    base_name, base_values = _named(base, "spin-echo")
    if not isinstance(tables, Mapping) or not all(isinstance(table, Mapping) for table in tables.values()):
        raise ValueError("[contrasts] must hold tables such as [contrasts.T1]")
    if not tables:
        return base_name, built(sequence_class(base_name), "sequence", base_values), ()
    for name in base_values:
        known("key of [sequence]", name, [f.name for f in fields(sequence_class(base_name))])
    found = []
    for name, table in tables.items():
        sequence_name, values = _named(table, base_name)
        cls = sequence_class(sequence_name)
        inherited = {k: v for k, v in base_values.items() if k in {f.name for f in fields(cls)}}
        sequence = built(cls, f"contrasts.{name}", {**inherited, **values})
        found.append(Contrast(name=name, sequence_name=sequence_name, sequence=sequence))
    return found[0].sequence_name, found[0].sequence, tuple(found)


def _named(table: Mapping[str, Any], default: str) -> tuple[str, dict[str, Any]]:
    values = dict(table)
    name = str(values.pop("name", default))
    return ALIASES.get(name, name), values


def with_subjects(spec: PhantomSpec) -> PhantomSpec:
    """All subjects by number, checked against the source; the files of a nifti source are hashed."""
    return replace(spec, subjects=subjects_of(spec), content=content_hash(spec))


def with_positions(spec: SliceSpec) -> SliceSpec:
    """Slice numbers, views and positions: of a named set, of a range of one, or as given."""
    if spec.positions:
        numbers = spec.numbers or tuple(range(len(spec.positions)))
        return replace(spec, numbers=numbers, views=spec.views or spec.orientations * len(numbers))
    if spec.of == HEART:
        return _short_axis(spec)
    if spec.of == AUTO and spec.select not in SLICE_SETS:
        count = int(spec.select) if spec.select.isdigit() else 0
        if count < 1:
            raise ValueError(
                f"slices must be a count such as 9, spread over what the phantom spans, or one of "
                f"{', '.join(SLICE_SETS)}, got {spec.select!r}"
            )
        views = tuple(view for view in spec.orientations for _ in range(count))
        return replace(spec, numbers=tuple(range(len(views))), views=views)
    name = spec.select if spec.select in SLICE_SETS else spec.of
    if name == AUTO or (spec.select != name and not set(spec.select) <= set("0123456789:- ")):
        raise ValueError(what_slices_may_be(spec.select))
    slices: list[tuple[int, str, float]] = []
    first = 0
    for view in spec.orientations:
        there = slice_set(name, view)
        picked = range(len(there)) if spec.select == name else selected(spec.select, len(there))
        slices += [(first + i, view, there[i]) for i in picked]
        first += len(there)
    numbers, views, positions = zip(*slices, strict=True)
    return replace(spec, of=name, numbers=numbers, views=views, positions=positions)


def _short_axis(spec: SliceSpec) -> SliceSpec:
    """Slices of a cine, numbered from the base; where they lie the heart says."""
    count = 1 if spec.select == MID else int(spec.select) if spec.select.isdigit() else 0
    if not 1 <= count <= MOST_SLICES:
        raise ValueError(
            f"slices must be mid or a count of 1 to {MOST_SLICES} for a cine, got {spec.select!r}"
        )
    return replace(spec, numbers=tuple(range(count)), views=("axial",) * count)


def with_split(spec: SplitSpec, subjects: tuple[int, ...], numbers: tuple[int, ...]) -> SplitSpec:
    """Test and validation subjects by number, of those that are in the data set; by slice there are none."""
    if spec.by == "slice":
        n_test = sum(number % 5 in TEST_OF_FIVE for number in numbers)
        if not 0 < n_test < len(numbers):
            raise ValueError(
                f"split by slice must leave slices to train on and slices of number 1 or 3 modulo 5 to test "
                f"on, got {n_test} of {len(numbers)} for the test"
            )
        return SplitSpec(by="slice")
    if spec.test_last and spec.validation_last and spec.test_last + spec.validation_last >= len(subjects):
        share = max(1, len(subjects) // 4)  # of a few subjects of a large data set
        spec = replace(spec, test_last=share, validation_last=share)
    test = tuple(s for s in subjects if s in spec.test)
    rest = tuple(s for s in subjects if s not in test)
    if not spec.test and spec.test_last:
        test = rest[max(1, len(rest) - spec.test_last) :]
        rest = tuple(s for s in rest if s not in test)
    validation = tuple(s for s in rest if s in spec.validation)
    if not spec.validation and spec.validation_last:
        validation = rest[max(1, len(rest) - spec.validation_last) :]
    return SplitSpec(test=test, validation=validation)
