"""What can go wrong with a GPU, in one sentence with the remedy; importing this loads nothing."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

INSTALL = "pip install 'numba-cuda[cu13]' (or [cu12] for older drivers)"


class GpuError(ValueError):
    """The GPU cannot do what it was asked for; the message is one sentence."""


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
