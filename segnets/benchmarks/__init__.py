"""Tables as data: what each row trains, what the paper printed where there is one, and what came out here."""

from __future__ import annotations

# name -> file in tables/, in the order of the papers; the last one is of no paper
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
        "schlemper-figure2",
        "schlemper-table1",
        "schlemper-table2",
        "schlemper-figure3",
        "schlemper-figure4",
        "disk-table1",
        "disk-figure2",
        "all-models",
    )
}
