"""Whether there is a GPU to use, and what it is."""

from __future__ import annotations

import os
import warnings

from numba import cuda

from mrsim.bloch.cuda.errors import INSTALL, GpuError

# Numba warns of every launch that does not fill the GPU, which a small scan cannot help.
warnings.filterwarnings("ignore", message="Grid size .* low occupancy")


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
