"""Wall time, processor time, cases per second and peak memory of `mrsim generate`, warm.

    python benchmarks/generate.py --phantom brainweb              # the published 1140 slices
    python benchmarks/generate.py --phantom brainweb --workers 2
    python benchmarks/generate.py --recipe synthetic-demo

Takes the flags of `mrsim generate`. A first, small run of two subjects and one slice compiles the kernels;
then the command runs as a user would run it, in a process of its own whose whole tree is watched, and beside
it the time that copying the finished store takes, which no generator can beat.
"""

from __future__ import annotations

import resource
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from itertools import pairwise
from pathlib import Path

import psutil

MIB = 2**20
INTERVAL = 0.05  # [s] between two looks at the memory


def main() -> None:
    flags = sys.argv[1:]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "store.zarr"
        run([*flags, *first_subjects(flags), "--slices", "1", "--out", str(Path(folder) / "warm.zarr")])
        before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
        wall, peak = run([*flags, "--out", str(path)])
        user = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - before
        n_cases, size = contents(path)
        begin = time.perf_counter()
        shutil.copytree(path, Path(folder) / "copy.zarr")
        copying = time.perf_counter() - begin
    print(f"mrsim generate {' '.join(flags)}   ({psutil.cpu_count()} cores)")
    print(f"wall time      {wall:8.1f} s    start of Python included")
    print(f"processor time {user:8.1f} s    {user / n_cases * 1e3:.0f} ms per case")
    print(f"cases          {n_cases:8d}      {n_cases / wall:.1f} per second")
    print(f"store          {size / MIB:8.0f} MiB  copied in {copying:.1f} s")
    print(f"peak memory    {peak / MIB:8.0f} MiB  unique memory of all processes")


def first_subjects(flags: list[str]) -> list[str]:
    """Limit a run to the first two subjects of its recipe."""
    from mrsim.recipes import load_recipe, recipe_for

    given = dict(pairwise(flags))
    if "--subjects" in given:
        return []
    recipe = load_recipe(given.get("--recipe") or recipe_for(given.get("--phantom")))
    return ["--subjects", ",".join(map(str, recipe.phantom.subjects[:2]))]


def run(flags: list[str]) -> tuple[float, int]:
    """Wall time [s] and peak memory [bytes] of the process tree of one command."""
    begin = time.perf_counter()
    process = subprocess.Popen([sys.executable, "-m", "cli.mrsim", "generate", *flags, "--quiet"])
    peak: list[int] = [0]
    watcher = threading.Thread(target=watch, args=(process.pid, peak))
    watcher.start()
    code = process.wait()
    wall = time.perf_counter() - begin
    watcher.join()
    if code:
        sys.exit(code)
    return wall, peak[0]


def watch(pid: int, peak: list[int]) -> None:
    """Note the largest sum of the memory that each process of the tree has to itself."""
    while True:
        try:
            root = psutil.Process(pid)
            family = [root, *root.children(recursive=True)]
            if root.status() == psutil.STATUS_ZOMBIE:
                return
            peak[0] = max(peak[0], sum(unique(process) for process in family))
        except psutil.Error:
            return
        time.sleep(INTERVAL)


def unique(process: psutil.Process) -> int:
    """Memory that would be free if this process ended [bytes]; 0 when it has just ended."""
    try:
        return int(process.memory_full_info().uss)
    except psutil.Error:
        return 0


def contents(path: Path) -> tuple[int, int]:
    """Cases in a store and its size on disk [bytes]."""
    from mrsim.store import open_store

    return open_store(path).n_cases, sum(p.stat().st_size for p in path.rglob("*") if p.is_file())


if __name__ == "__main__":
    main()
