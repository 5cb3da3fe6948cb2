"""Import and start-up times: the best of several runs, each in a fresh process, beside a bare Python.

python benchmarks/startup.py
"""

from __future__ import annotations

import subprocess
import sys
import time

RUNS = 5
STARTS: dict[str, tuple[list[str], float | None]] = {  # what: command, target [s]
    "python -c pass": (["-c", "pass"], None),
    "import mrsim": (["-c", "import mrsim"], 0.3),
    "import phantoms": (["-c", "import phantoms"], 0.3),
    "import mrsim.store": (["-c", "import mrsim.store"], None),
    "mrsim --help": (["-m", "cli.mrsim", "--help"], 0.5),
    "mrsim --version": (["-m", "cli.mrsim", "--version"], 0.5),
    "mrsim generate --help": (["-m", "cli.mrsim", "generate", "--help"], 0.5),
    "mrsim generate --te 4000 (usage error)": (["-m", "cli.mrsim", "generate", "--te", "4000"], 0.5),
    "mrsim recipes brainweb-se": (["-m", "cli.mrsim", "recipes", "brainweb-se"], None),
    "segnets --help": (["-m", "cli.segnets", "--help"], 0.5),
    "segnets --version": (["-m", "cli.segnets", "--version"], 0.5),
    "segnets train --help": (["-m", "cli.segnets", "train", "--help"], 0.5),
}


def seconds(arguments: list[str]) -> float:
    """Wall time of one fresh process [s]."""
    begin = time.perf_counter()
    subprocess.run([sys.executable, *arguments], capture_output=True, check=False)
    return time.perf_counter() - begin


def main() -> None:
    for name, (arguments, target) in STARTS.items():
        best = min(seconds(arguments) for _ in range(RUNS))
        print(f"{name:<42} {best:6.3f} s" + (f"   target {target} s" if target else ""))


if __name__ == "__main__":
    main()
