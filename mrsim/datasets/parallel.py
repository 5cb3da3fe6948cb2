"""Subjects on a Dask cluster: processes of this machine, or a scheduler that is already running."""

# mypy: allow-untyped-calls
# (distributed annotates few of its functions)

from __future__ import annotations

import logging
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from multiprocessing import resource_tracker
from typing import Any

CONNECT = "10s"  # how long to wait for a scheduler
LOST_WORKERS = 3  # how often a subject may lose its worker before the run gives up
_ONE_AT_A_TIME = threading.Lock()  # a worker of several threads still simulates one subject with all of them


class WorkerError(Exception):
    """The cluster could not be reached, or lost its workers again and again; one sentence for the user."""


def run_on_cluster(
    task: Callable[..., int],
    arguments: Sequence[tuple[Any, ...]],
    *,
    workers: int,
    scheduler: str | None,
    on_done: Callable[[], None],
) -> None:
    """Call `task` with each of `arguments` on the cluster; the first error ends the run and cancels the rest.

    workers : processes to start, which share the cores; ignored with `scheduler`, the address of a cluster
    on_done : called in this process after each
    """
    from distributed import as_completed
    from distributed.scheduler import KilledWorker

    with _client(workers, scheduler) as client:
        threads = 0 if scheduler else max(1, (os.cpu_count() or 1) // workers)
        futures = [
            client.submit(_guarded, task, (*args, threads), pure=False, retries=0, priority=-i)
            for i, args in enumerate(arguments)
        ]
        try:
            for future in as_completed(futures, loop=client.loop):
                future.result()
                on_done()
        except KilledWorker:
            raise WorkerError(
                f"a worker was killed {LOST_WORKERS} times on the same subject (out of memory?)"
            ) from None
        finally:
            client.cancel(futures)


def _guarded(task: Callable[..., int], arguments: tuple[Any, ...]) -> int:
    with _ONE_AT_A_TIME:
        return task(*arguments)


@contextmanager
def _client(workers: int, scheduler: str | None) -> Iterator[Any]:
    import dask.config
    from distributed import Client, LocalCluster

    settings = {
        "distributed.scheduler.allowed-failures": LOST_WORKERS - 1,
        "distributed.comm.timeouts.connect": CONNECT,
        # Without Dask's own MALLOC_TRIM_THRESHOLD_, with which every large array is a page fault per 4 KiB
        "distributed.nanny.pre-spawn-environ": {"OMP_NUM_THREADS": 1, "OPENBLAS_NUM_THREADS": 1},
    }
    with ExitStack() as stack:
        stack.enter_context(dask.config.set(settings))
        with _interrupt_later():
            address: Any = scheduler or stack.enter_context(
                LocalCluster(
                    n_workers=workers,
                    threads_per_worker=1,
                    processes=True,
                    host="127.0.0.1",
                    dashboard_address=None,
                    memory_limit=0,
                    silence_logs=logging.CRITICAL,
                )
            )
        try:
            client = Client(address, timeout=CONNECT, set_as_default=False)
        except (OSError, ValueError) as error:
            raise WorkerError(f"scheduler {scheduler} cannot be reached: {error}") from None
        yield stack.enter_context(client)


@contextmanager
def _interrupt_later() -> Iterator[None]:
    """Block Ctrl-C until the cluster stands; threads and processes that start meanwhile never see it.

    A terminal sends it to the workers, too: they would die with a traceback, be started again by their
    nannies, and outlive this process. This process alone shall hear it, and end them: afterwards, or at once
    where it has a thread from before, such as that of a progress bar.
    """
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    resource_tracker.ensure_running()  # else it starts between, and lets the signal through again
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
