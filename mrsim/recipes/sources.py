"""From the [phantom] section of a recipe to phantoms: source, subjects, tissues, names and citation."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mrsim.recipes.classes import CLASS_SETS
from phantoms import phantom_source
from phantoms.cardiac.names import CARDIAC_ORACLE
from phantoms.objects.parts import object_oracle
from phantoms.phantom import BRAIN_ORACLE, OracleClasses, PhantomSource
from phantoms.tissues import CARDIAC_TABLES, TISSUE_TABLES, TissueTable, table_for_field, tissue_table

if TYPE_CHECKING:
    from mrsim.recipes.recipe import Recipe
    from mrsim.recipes.sections import PhantomSpec

DEFAULT_SUBJECTS = 20  # of the sources that are computed, which have as many as one likes
COMPUTED = ("synthetic", "cardiac")
OBJECTS = ("sphere", "cylinder", "vials")  # made of tissues of their own, each a class to segment


def subjects_of(spec: PhantomSpec) -> tuple[int, ...]:
    """List the subjects asked for, or all of the source; ValueError for one that it does not have."""
    if spec.source in COMPUTED:
        if bad := [s for s in spec.subjects if not 0 <= s < 2**31]:
            raise ValueError(f"subject must not be negative, got {bad[0]}")
        return spec.subjects or tuple(range(DEFAULT_SUBJECTS))
    available = _source(spec).subjects()
    if bad := [s for s in spec.subjects if s not in available]:
        raise ValueError(
            f"subject must be one of {', '.join(map(str, available))} of {spec.source}, got {bad[0]}"
        )
    return spec.subjects or available


def content_hash(spec: PhantomSpec) -> str:
    """Hash of the user's own label maps and table, which are part of the recipe; "" for the other sources."""
    if spec.source != "nifti":
        return ""
    path = Path(spec.path).expanduser()
    files = sorted(path.iterdir()) if path.is_dir() else [path]
    digest = hashlib.blake2b(digest_size=16)
    for file in [*(f for f in files if f.name.endswith((".nii", ".nii.gz"))), Path(spec.tissues)]:
        digest.update(file.read_bytes())
    return digest.hexdigest()


def source_of(recipe: Recipe, phantom_dir: str | Path | None = None) -> PhantomSource:
    """Make the source that loads the recipe's subjects.

    phantom_dir : folder of the BrainWeb volumes; None looks in the usual places
    """
    spec = recipe.phantom
    if spec.source in (*OBJECTS, "cardiac"):
        return _source(spec, seed=recipe.seed, field_strength=recipe.scanner.field_strength)
    return _source(spec, seed=recipe.seed, directory=phantom_dir)


def require_files(source: PhantomSource, subjects: tuple[int, ...]) -> None:
    """PhantomError with the remedies when a volume is missing, before anything is written."""
    find = getattr(source, "path", None)
    if callable(find):
        for subject in subjects:
            find(subject)


def base_table(recipe: Recipe) -> TissueTable:
    """Find the tissue table before variation: of the field strength, by name, or the user's own file."""
    spec, field_strength = recipe.phantom, recipe.scanner.field_strength
    if spec.source in OBJECTS:
        return _object_table(recipe)
    if spec.source == "nifti":
        table: TissueTable = _table_file(spec).table
    elif spec.source == "cardiac":
        table = _cardiac_table(spec, field_strength)
    elif not spec.tissues:
        return table_for_field(field_strength)
    else:
        table = tissue_table(spec.tissues)
    if table.field_strength != field_strength:
        raise ValueError(
            f"field_strength must be {table.field_strength:g} T, that of the tissue table {table.name!r}, "
            f"got {field_strength:g} T"
        )
    return table


def drawn_table(recipe: Recipe, table: TissueTable) -> TissueTable:
    """Return `table` as it is scanned: stripped, only the tissues to segment give signal."""
    if not recipe.phantom.stripped:
        return table
    pairs = zip(table.tissues, oracle_of(recipe).of_tissue, strict=True)
    tissues = tuple(
        tissue if label else replace(tissue, pd=0.0, t1=0.0, t2=0.0, t2star=0.0) for tissue, label in pairs
    )
    return replace(table, tissues=tissues)


def oracle_of(recipe: Recipe) -> OracleClasses:
    """Return the oracle classes of the source."""
    if recipe.phantom.source == "nifti":
        oracle: OracleClasses = _table_file(recipe.phantom).oracle
        return oracle
    if recipe.phantom.source in OBJECTS:
        return object_oracle(_object_table(recipe))
    if recipe.phantom.source == "cardiac":
        return CARDIAC_ORACLE
    return CLASS_SETS.get(recipe.phantom.classes, BRAIN_ORACLE)


def provenance(source: PhantomSource) -> dict[str, str]:
    """Citation and licence of the phantom data."""
    objects = source.name in OBJECTS
    module = import_module("phantoms.objects.parts" if objects else type(source).__module__)
    own = "label maps of the user's own"
    return {
        "citation": getattr(module, "CITATION", own),
        "licence": getattr(module, "LICENCE", "as their owner says"),
    }


def _object_table(recipe: Recipe) -> TissueTable:
    source: Any = source_of(recipe)
    table: TissueTable = source.table()
    return table


def _source(
    spec: PhantomSpec, *, seed: int = 0, field_strength: float = 1.5, directory: str | Path | None = None
) -> PhantomSource:
    """Make the source; what does not concern it is left out."""
    if spec.source == "nifti":
        if not spec.path or not spec.tissues:
            raise ValueError(
                "phantom nifti must have a path (--phantom-dir FILE or FOLDER) "
                "and tissues (--tissues TABLE.toml)"
            )
        return phantom_source("nifti", path=spec.path, tissues=spec.tissues)
    if spec.source == "brainweb":
        return phantom_source("brainweb", **({"directory": directory} if directory else {}))
    options: dict[str, Any] = {"spacing": spec.spacing} if spec.spacing else {}
    if spec.source in OBJECTS:
        return phantom_source(spec.source, field_strength=field_strength, **options)
    if spec.source == "cardiac":
        options["field_strength"] = field_strength
    n_subjects = max(spec.subjects, default=0) + 1
    return phantom_source(spec.source, seed=seed, n_subjects=n_subjects, **options)


def _cardiac_table(spec: PhantomSpec, field_strength: float) -> TissueTable:
    if spec.tissues:
        raise ValueError(
            f"tissues must be those of the field strength for the phantom cardiac, got {spec.tissues!r}"
        )
    if field_strength not in CARDIAC_TABLES:
        raise ValueError(f"field_strength must be 1.5 or 3 T for cardiac, got {field_strength:g} T")
    return tissue_table(CARDIAC_TABLES[field_strength])


def _table_file(spec: PhantomSpec) -> Any:  # noqa: ANN401  a TableFile, whose module is heavy
    from phantoms.table_file import read_table

    return read_table(Path(spec.tissues))


def tissue_table_names() -> tuple[str, ...]:
    """Tissue tables that ship with the package."""
    return TISSUE_TABLES
