"""A published table as data: rows, conditions, figures, claims, and how each scale shrinks the training.

`tables/NAME.toml` holds one table with the published numbers as they are printed; `families/FAMILY.toml` what
the tables of a paper share: data sets and scales. Nothing here imports torch.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from segnets.benchmarks import BENCHMARKS
from segnets.config import CONTROLS, check, check_choice

FOLDER = Path(__file__).parent
SCALES = ("smoke", "reduced", "full")
LAYOUTS = ("conditions", "figures")  # one table per condition, or per figure
X_SCALES = ("linear", "log")
SHOWS = ("labels", "image")  # what the pictures compare
BEHIND = ("frame", "average")  # of outlines: the fully sampled frame, or what all frames have measured
ANALYSES = ("none", "distances", "latents", "overlays")  # of a trained network, segnets.cardiac.analyses
TESTS = ("none", "rank-sum")  # of a claim about two rows

Options = dict[str, Any]
Part = TypeVar("Part", "Condition", "DataSet", "Figure", "Row")


@dataclass(frozen=True, kw_only=True, slots=True)
class Figure:
    """One number that the table prints of a trained network.

    path : where it stands in the summary of an evaluation, keys joined by dots
    spread : where its standard deviation over the test subjects stands, if the paper prints that beside it
    subjects : where its values by subject stand, for claims with a test
    factor : what it is multiplied by, as the paper prints it (100 for per cent)
    printed : whether the paper prints it; those that it does not come last
    """

    id: str
    label: str
    path: str
    spread: str = ""
    subjects: str = ""
    printed: bool = True
    factor: float = 1.0
    digits: int = 4


@dataclass(frozen=True, kw_only=True, slots=True)
class DataSet:
    """What the rows train on: the recipe of `mrsim` that makes it, or where a user gets it from.

    recipe : name of it, or per scale; "" for data that cannot be simulated, and `get` says where they are
    changes : per scale, what `mrsim.recipes.load_recipe` overrides in it
    """

    id: str
    label: str
    recipe: str | dict[str, str] = ""
    get: str = ""
    changes: dict[str, Options] = field(default_factory=dict)

    def recipe_at(self, scale: str) -> str:
        """Return the name of the recipe at a scale."""
        return self.recipe if isinstance(self.recipe, str) else self.recipe[scale]


@dataclass(frozen=True, kw_only=True, slots=True)
class Condition:
    """One block of columns: on which data, at which noise or rate, everything else being the same.

    train, options : overrides of the training and of the network's options
    trained_as : id of the condition whose networks are tested here; "" trains its own
    tuned_from : id of the condition whose networks are trained further here; "" begins with random weights
    evaluate : overrides of the evaluation where it differs from the training
    group, x : curve that a point belongs to, and its place there, where the table is a figure
    """

    id: str
    label: str
    data: str
    train: Options = field(default_factory=dict)
    options: Options = field(default_factory=dict)
    trained_as: str = ""
    tuned_from: str = ""
    evaluate: Options = field(default_factory=dict)
    group: str = ""
    x: float = 0.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """One network of the table.

    columns : what the paper prints beside its name
    options_in : condition -> options that differ there
    control : what answers in place of the network (`segnets.controls`), as a figure to compare with
    published : condition -> one number per printed figure, verbatim
    published_spread : the same of their standard deviations, where the paper prints those
    """

    id: str
    label: str
    model: str
    options: Options = field(default_factory=dict)
    options_in: dict[str, Options] = field(default_factory=dict)
    train: Options = field(default_factory=dict)
    control: str = "none"
    columns: dict[str, str] = field(default_factory=dict)
    published: dict[str, list[float]] = field(default_factory=dict)
    published_spread: dict[str, list[float]] = field(default_factory=dict)
    note: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Claim:
    """What the paper concludes: in these conditions `more` exceeds `less` in one figure.

    test : of the subjects of the first of `less` against those of the first of `more`
    """

    text: str
    figure: str
    less: list[str]
    more: list[str]
    conditions: list[str]
    test: str = "none"


@dataclass(frozen=True, kw_only=True, slots=True)
class Scale:
    """How a scale shrinks every training; full changes nothing that decides the result.

    conditions, rows : those that it runs, [] = all
    models : model -> {"train": ..., "options": ...}
    tuning : overrides of the training that goes on with a trained network, in place of those of the models
    analysis : how much the analysis of the table looks at
    pictures : whether each run gets a picture of its own typical slices, besides that of the table
    """

    note: str
    conditions: list[str] = field(default_factory=list)
    rows: list[str] = field(default_factory=list)
    train: Options = field(default_factory=dict)
    models: dict[str, dict[str, Options]] = field(default_factory=dict)
    tuning: Options = field(default_factory=dict)
    analysis: Options = field(default_factory=dict)
    pictures: bool = True


@dataclass(frozen=True, kw_only=True, slots=True)
class Benchmark:
    """One published table.

    behind : what the outlines of a table of overlays are drawn on
    """

    name: str
    title: str
    paper: str
    published_data: str
    aggregation: str
    layout: str
    figures: tuple[Figure, ...]
    data: tuple[DataSet, ...]
    conditions: tuple[Condition, ...]
    rows: tuple[Row, ...]
    claims: tuple[Claim, ...]
    scales: dict[str, Scale]
    x_label: str = ""
    x_scale: str = "linear"
    shows: str = "labels"
    analysis: str = "none"
    behind: str = "frame"
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        check_choice("layout", self.layout, LAYOUTS)
        check_choice("shows", self.shows, SHOWS)
        check_choice("x_scale", self.x_scale, X_SCALES)
        check_choice("analysis", self.analysis, ANALYSES)
        check_choice("behind", self.behind, BEHIND)
        ids, n = {c.id for c in self.conditions}, sum(figure.printed for figure in self.figures)
        check(all(f.printed for f in self.figures[:n]), "figures", "have the printed ones first", self.name)
        for row in self.rows:
            controls = CONTROLS if self.analysis == "none" else CONTROLS[:1]  # networks alone are analysed
            check_choice(f"control of {row.id}", row.control, controls)
            for condition, numbers in (*row.published.items(), *row.published_spread.items()):
                check_choice(f"condition of {row.id}", condition, ids)
                check(len(numbers) == n, f"{row.id} in {condition}", f"have {n} numbers", len(numbers))

    def condition(self, name: str) -> Condition:
        """Find a condition by its id."""
        return _find("condition", name, self.conditions)

    def row(self, name: str) -> Row:
        """Find a row by its id; ValueError lists the known ones."""
        return _find("row", name, self.rows)

    def data_set(self, name: str) -> DataSet:
        """Find a data set by its id; ValueError lists the known ones."""
        return _find("data set", name, self.data)

    def figure_number(self, name: str) -> int:
        """Return the place of a figure among the numbers of a row."""
        return self.figures.index(_find("figure", name, self.figures))


@dataclass(frozen=True, kw_only=True, slots=True)
class Job:
    """One network to train and to test: a row under a condition with a seed.

    train : everything that the training overrides, `options` of the network among it
    before : the same of the training whose network this one begins with; {} begins with random weights
    analysis : how much the analysis of the table looks at
    """

    row: Row
    condition: Condition
    seed: int
    train: Options
    before: Options = field(default_factory=dict)
    analysis: Options = field(default_factory=dict)

    @property
    def title(self) -> str:
        """Name it for people."""
        return f"{self.row.label}, {self.condition.label}, seed {self.seed}"


def _find(what: str, name: str, among: Sequence[Part]) -> Part:
    check_choice(what, name, [each.id for each in among])
    return next(each for each in among if each.id == name)


def load_benchmark(name: str) -> Benchmark:
    """Read a table and what it shares with its family; ValueError lists the known names."""
    check_choice("benchmark", name, BENCHMARKS)
    table = _read(FOLDER / "tables" / BENCHMARKS[name])
    family = _read(FOLDER / "families" / f"{table.pop('family')}.toml")
    return parse(name, table, family)


def parse(name: str, table: Mapping[str, Any], family: Mapping[str, Any]) -> Benchmark:
    """Build a benchmark from the trees of its two files; a misspelt key is a TypeError."""
    for condition in table["conditions"]:
        check_choice(f"data of {condition['id']}", condition["data"], family["data"])
    own = table.get("scales", {})
    scales = {s: Scale(**{**family["scales"][s], **own.get(s, {})}) for s in SCALES}
    used = {c["data"] for c in table["conditions"]}
    return Benchmark(
        name=name,
        scales=scales,
        data=tuple(DataSet(id=i, **values) for i, values in family["data"].items() if i in used),
        **{key: family[key] for key in ("paper", "aggregation") if key in family and key not in table},
        **{
            key: value
            for key, value in table.items()
            if key not in ("scales", "figures", "conditions", "rows", "claims", "notes")
        },
        figures=tuple(Figure(**each) for each in table["figures"]),
        conditions=tuple(Condition(**each) for each in table["conditions"]),
        rows=tuple(Row(**each) for each in table["rows"]),
        claims=tuple(Claim(**each) for each in table.get("claims", ())),
        notes=tuple(table.get("notes", ())),
    )


def plan(
    benchmark: Benchmark, scale: str, *, rows: Sequence[str] = (), seeds: Sequence[int] = (0,)
) -> list[Job]:
    """List the jobs of a scale: first seed first, condition by condition, row by row.

    rows : ids, () = those of the scale; ValueError for unknown ones
    """
    check_choice("scale", scale, SCALES)
    shrink = benchmark.scales[scale]
    wanted = [benchmark.row(r) for r in rows or shrink.rows or [row.id for row in benchmark.rows]]
    tested = [benchmark.condition(c) for c in shrink.conditions or [c.id for c in benchmark.conditions]]
    return [
        job(benchmark, shrink, row, condition, seed)
        for seed in seeds
        for condition in tested
        for row in wanted
    ]


def job(benchmark: Benchmark, shrink: Scale, row: Row, condition: Condition, seed: int) -> Job:
    """One network to train and to test, and the one that it begins with."""
    origin = benchmark.condition(condition.trained_as) if condition.trained_as else condition
    before = {}
    if origin.tuned_from:
        before = overrides(shrink, row, benchmark.condition(origin.tuned_from), seed)
    return Job(
        row=row,
        condition=condition,
        seed=seed,
        train=overrides(shrink, row, origin, seed),
        before=before,
        analysis=shrink.analysis,
    )


def overrides(shrink: Scale, row: Row, origin: Condition, seed: int) -> Options:
    """Merge what decides the training under a condition: scale, then row, then condition; the later one wins.

    What a scale shortens (the epochs of a model, or those of going on with a trained one) comes last.
    """
    model = shrink.models.get(row.model, {})
    options = {
        **model.get("options", {}),
        **row.options,
        **origin.options,
        **row.options_in.get(origin.id, {}),
    }
    train = {**shrink.train, **row.train, **origin.train}
    if origin.tuned_from:
        return {**_but("epochs", train), **shrink.tuning, "options": options, "seed": seed}
    return {**train, **model.get("train", {}), "options": options, "seed": seed}


def tupled(values: Options) -> Options:
    """Turn the lists of a file into the tuples of a configuration."""
    return {name: tuple(value) if isinstance(value, list) else value for name, value in values.items()}


def _but(name: str, values: Options) -> Options:
    return {key: value for key, value in values.items() if key != name}


def _read(path: Path) -> dict[str, Any]:
    with path.open("rb") as file:
        return tomllib.load(file)
