"""Whether there is a GPU to use, and what went wrong with it in one sentence."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from numba import cuda

# Numba warns of every launch that does not fill the GPU, which a small scan cannot help.
warnings.filterwarnings("ignore", message="Grid size .* low occupancy")

INSTALL = "pip install 'numba-cuda[cu13]' (or [cu12] for older drivers)"


class GpuError(ValueError):
    """The GPU cannot do what it was asked for; the message is one sentence."""


def simulated() -> bool:
    """Whether Numba's CUDA simulator plays the GPU (NUMBA_ENABLE_CUDASIM=1)."""
    return os.environ.get("NUMBA_ENABLE_CUDASIM", "0") not in ("", "0")


def require_gpu() -> None:
    """Raise GpuError if there is no NVIDIA GPU with a driver, or no compiler for it."""
    if cuda.is_available():
        return
    if _driver_found():
        raise GpuError(f"device 'cuda' must have the CUDA compiler libraries, got none: {INSTALL}")
    raise GpuError("device must be 'cpu' on this machine, got 'cuda': no NVIDIA GPU with a driver was found")


def _driver_found() -> bool:
    from numba.cuda.cudadrv.driver import driver

    try:
        return bool(driver.is_available)
    except Exception:  # whatever a broken driver raises
        return False


def free_memory() -> float:
    """Free memory [byte] of the current GPU."""
    return float(cuda.current_context().get_memory_info()[0])


def description() -> str:
    """Name of the current GPU, as its driver gives it."""
    if simulated():
        return "Numba's CUDA simulator"
    name = cuda.get_current_device().name
    return str(name.decode() if isinstance(name, bytes) else name)


@contextmanager
def explained() -> Iterator[None]:
    """Turn what CUDA raises into a GpuError; what it did not raise passes through."""
    try:
        yield
    except Exception as error:
        sentence = explain(error)
        if sentence is None:
            raise
        raise GpuError(sentence) from error


def explain(error: Exception) -> str | None:
    """One sentence for an error of the CUDA driver, toolkit or compiler; None for any other."""
    kind, text = type(error).__name__, str(error)
    if "OUT_OF_MEMORY" in text or "out of memory" in text.lower():
        return "GPU memory must hold the spins of a batch, got out of memory: close what else uses the GPU"
    if any(
        word in text for word in ("UNSUPPORTED_PTX_VERSION", "INSUFFICIENT_DRIVER", "Unsupported .version")
    ):
        return f"NVIDIA driver must be as new as the CUDA toolkit, got an older one: update it, or {INSTALL}"
    if kind in ("NvvmSupportError", "NvrtcSupportError") or "libNVVM" in text or "libdevice" in text:
        return f"device 'cuda' must have the CUDA compiler libraries, got none: {INSTALL}"
    if kind in ("CudaSupportError", "CudaDriverError", "CudaAPIError"):
        return f"GPU must work, got an error of its driver: {' '.join(text.split())}"
    return None
