"""Kill `generate` with SIGKILL at random moments: run by test_generate_kill.py in a process of its own.

    python -m tests.mrsim.datasets.killing LABELS OUT KILLS

Everything is imported here, before the forks, so that a kill hits the run and not the start of Python; no
Numba kernel runs and no thread starts in this process.
"""

import os
import random
import shutil
import signal
import sys
import time
from pathlib import Path

import mrsim.datasets.simulation  # noqa: F401  Numba and SciPy
from mrsim.datasets.generate import generate
from tests.mrsim.tiny import QUICK, tiny_recipe


def child(recipe, out):
    """Fork a process that generates; its exit code is 0 when it finishes."""
    if pid := os.fork():
        return pid
    try:
        generate(recipe, out)
        os._exit(0)
    except BaseException as error:
        print(repr(error), flush=True)
        os._exit(3)


def main():
    labels, out, kills = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
    recipe = tiny_recipe(labels, n_subjects=6, **QUICK)
    rng = random.Random(5)
    start = time.monotonic()
    assert os.waitpid(child(recipe, out), 0)[1] == 0
    longest = time.monotonic() - start
    shutil.rmtree(out)
    killed = finished = 0
    while killed < kills:
        pid = child(recipe, out)
        time.sleep(rng.uniform(0.2, 1) * longest)
        os.kill(pid, signal.SIGKILL)
        status = os.waitpid(pid, 0)[1]
        if os.WIFSIGNALED(status):
            killed += 1
            continue
        assert status == 0, status
        finished += 1
        shutil.rmtree(out)  # it was faster than the kill: begin again
    assert os.waitpid(child(recipe, out), 0)[1] == 0
    print(killed, finished)


if __name__ == "__main__":
    main()
