"""Tissues and tissue tables: what each class of a label map is made of, at one field strength.

The tables that ship lie in `tables/*.toml`, a citation per row; `phantoms.table_file` documents the format.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import numpy as np

from phantoms.names import known

TISSUE_TABLES = (
    "brainweb-1.5T",
    "brainweb-3T",
    "brainweb-strict-1.5T",
    "cardiac-1.5T",
    "cardiac-3T",
    "objects-1.5T",
    "objects-3T",
)
DEFAULT_TABLES = {1.5: "brainweb-1.5T", 3.0: "brainweb-3T"}  # field strength [T] -> table
CARDIAC_TABLES = {1.5: "cardiac-1.5T", 3.0: "cardiac-3T"}
OBJECT_TABLES = {1.5: "objects-1.5T", 3.0: "objects-3T"}
TIME_SPREAD = 0.05  # sigma of log T1 and log T2 between subjects
PD_SPREAD = 0.02  # sigma of relative PD between subjects


@dataclass(frozen=True, kw_only=True, slots=True)
class Tissue:
    """One tissue; the times are 0 exactly where `pd` is 0, which means no signal."""

    name: str
    pd: float  # relative to water
    t1: float  # [s]
    t2: float  # [s]
    t2star: float  # [s] without the field maps: intravoxel dephasing only
    chemical_shift: float = 0.0  # relative frequency (fat: -3.4e-6)
    susceptibility: float = -9.05e-6  # volume, SI, absolute (water: -9.05e-6)
    diffusivity: float = 0.0  # [m2/s], mean over directions
    bound_fraction: float = 0.0  # bound over free protons, for magnetisation transfer
    exchange: float = 0.0  # [1/s] from free to bound
    bound_t2: float = 10e-6  # [s]
    source: str = ""  # citation

    def __post_init__(self) -> None:
        if not self.name:
            raise ValueError("name must not be empty, got ''")
        if not 0 <= self.pd < math.inf:
            raise ValueError(f"pd of {self.name!r} must be finite and not negative, got {self.pd}")
        for key in ("t1", "t2", "t2star"):
            self._check_time(key, getattr(self, key))
        if self.t2 > 2 * self.t1:  # a spin system cannot lose coherence slower than this
            raise ValueError(f"t2 of {self.name!r} must not exceed 2 * t1 = {2 * self.t1} s, got {self.t2} s")
        if self.t2star > self.t2 * (1 + 1e-9):
            raise ValueError(f"t2star of {self.name!r} must not exceed t2 = {self.t2} s, got {self.t2star} s")
        for key in ("diffusivity", "bound_fraction", "exchange"):
            if not 0 <= getattr(self, key) < math.inf:
                raise ValueError(f"{key} of {self.name!r} must not be negative, got {getattr(self, key)}")
        if not 0 < self.bound_t2 < math.inf:
            raise ValueError(f"bound_t2 of {self.name!r} must be positive, got {self.bound_t2} s")
        for key in ("chemical_shift", "susceptibility"):
            if not abs(getattr(self, key)) < 1e-2:
                raise ValueError(f"{key} of {self.name!r} must be a small ratio, got {getattr(self, key)}")

    def _check_time(self, key: str, value: float) -> None:
        if self.pd == 0 and value != 0:
            raise ValueError(f"{key} of {self.name!r} must be 0 where pd is 0, got {value} s")
        if self.pd > 0 and not 0 < value < math.inf:
            raise ValueError(f"{key} of {self.name!r} must be positive and finite, got {value} s")

    @property
    def t2prime(self) -> float:
        """1 / (1 / T2* - 1 / T2) [s]; inf without reversible dephasing and without signal."""
        if self.pd == 0 or self.t2star >= self.t2:
            return math.inf
        return 1 / (1 / self.t2star - 1 / self.t2)

    def scaled(self, *, pd: float, t1: float, t2: float) -> Tissue:
        """Return the tissue with PD, T1 and T2 multiplied; T2' is kept, so T2* follows T2."""
        if self.pd == 0:
            return self
        t2_new = self.t2 * t2
        t2star = 1 / (1 / t2_new + 1 / self.t2prime) if math.isfinite(self.t2prime) else t2_new
        return replace(self, pd=self.pd * pd, t1=self.t1 * t1, t2=t2_new, t2star=t2star)


@dataclass(frozen=True, kw_only=True, slots=True)
class TissueTable:
    """The tissues of a label map, in the order of its classes; class 0 is the surrounding air."""

    name: str
    field_strength: float  # [T]
    tissues: tuple[Tissue, ...]

    def __post_init__(self) -> None:
        if not 0 < self.field_strength < math.inf:
            raise ValueError(f"field_strength must be positive and finite, got {self.field_strength} T")
        if not 2 <= len(self.tissues) <= 255:
            raise ValueError(f"tissues must be 2 to 255 (labels are uint8), got {len(self.tissues)}")
        names = [t.name for t in self.tissues]
        if len(set(names)) != len(names):
            raise ValueError(f"tissues must have different names, got {', '.join(names)}")
        if self.tissues[0].pd != 0:
            raise ValueError(f"tissue 0 must be air with pd 0, got {names[0]!r} with pd {self.tissues[0].pd}")

    def varied(self, rng: np.random.Generator) -> TissueTable:
        """Draw the table of one subject: T1 and T2 times LogNormal(0, 0.05), PD times N(1, 0.02), per tissue.

        T2' is kept. Every tissue takes its three draws, so that a table with another signal-free
        class gives the remaining ones the same values.
        """
        draws = rng.standard_normal((len(self.tissues), 3))  # (tissue, t1 t2 pd)
        tissues = tuple(
            tissue.scaled(
                t1=math.exp(TIME_SPREAD * z_t1), t2=math.exp(TIME_SPREAD * z_t2), pd=1 + PD_SPREAD * z_pd
            )
            for tissue, (z_t1, z_t2, z_pd) in zip(self.tissues, draws.tolist(), strict=True)
        )
        return replace(self, tissues=tissues)


@cache
def tissue_table(name: str) -> TissueTable:
    """Read a table that ships with the package, by its name in `TISSUE_TABLES`."""
    from phantoms.table_file import read_table  # it builds on this module

    return read_table(
        Path(__file__).parent / "tables" / f"{known('tissues', name, TISSUE_TABLES)}.toml"
    ).table


def table_for_field(field_strength: float) -> TissueTable:
    """Return the default brain table at `field_strength` [T], for which there is one at 1.5 and 3 T."""
    if field_strength not in DEFAULT_TABLES:
        fields = " or ".join(f"{b:g}" for b in DEFAULT_TABLES)
        raise ValueError(
            f"field_strength must be {fields} T, where there is a tissue table, got {field_strength} T"
        )
    return tissue_table(DEFAULT_TABLES[field_strength])
