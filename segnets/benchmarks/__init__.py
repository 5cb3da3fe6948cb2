"""The published tables as data: what each row trains, what the paper printed, and what came out here."""

from __future__ import annotations

# name -> file in tables/, in the order of the papers
BENCHMARKS: dict[str, str] = {
    name: f"{name}.toml"
    for name in (
        "seranet-table1",
        "seranet-table2",
        "seranet-figure2",
        "semunet-table1",
        "semunet-table2",
        "crdn-table1",
        "crdn-table2",
        "crdn-figure7",
    )
}
