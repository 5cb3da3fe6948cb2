"""The GPU kernels compile for a real GPU, with the argument types with which the engine launches them.

The simulator runs Python, so it cannot see what Numba's compiler refuses. This needs no GPU, but the compiler
(pip install 'numba-cuda[cu13]'), and runs in a process of its own, in which launches are recorded.
"""

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[3]
COMPUTE_CAPABILITY = (9, 0)  # Hopper: H100, H200
READOUT = ("train", "sample", "add_trains", "add_samples")
WALK = ("spread", "operators", "walk", "equilibrium", "spoiled_fixed_point", "driven_fixed_point")

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("numba_cuda") is None, reason="no compiler: pip install 'numba-cuda[cu13]'"
)


def main():
    """Print, for each kernel, whether its variables stay in registers: no array of its own in memory."""
    import numpy as np
    from numba import cuda, typeof, types
    from numba.cuda import dispatcher

    import mrsim.bloch.cuda.engine as engine
    from mrsim.sequences import sequence_class
    from tests.mrsim.bloch.test_cuda import sensitivities, spins

    class Buffer(np.ndarray):
        """Stands for an array of the GPU."""

        def copy_to_device(self, other):
            self[...] = other

        def copy_to_host(self):
            return np.zeros(self.shape, self.dtype)

    def kind(value):
        if isinstance(value, tuple):
            return types.NamedTuple([kind(v) for v in value], type(value))
        return typeof(np.asarray(value) if isinstance(value, np.ndarray) else value)

    launched = {}

    def record(kernel, _grid):
        return lambda *args: launched.setdefault((kernel, tuple(kind(a) for a in args)))

    cuda.is_available, engine.free_memory = lambda: True, lambda: 8e9
    cuda.to_device = lambda array: array.view(Buffer)
    cuda.device_array = lambda shape, dtype: np.zeros(shape, dtype).view(Buffer)
    dispatcher.CUDADispatcher.__getitem__ = record
    for name, changes in (("spin-echo", {}), ("bssfp", {"rf": "ideal"}), ("spiral", {"interleaves": 2})):
        events = sequence_class(name)(fov=(0.2, 0.2), matrix=(32, 32), **changes).events()
        engine.isochromat(spins(4), events, sensitivities(4, 2), 2)

    device = type("Device", (), {"compute_capability": COMPUTE_CAPABILITY})
    dispatcher.get_current_device = lambda: device
    found = {}
    for kernel, signature in launched:
        ptx, _ = cuda.compile_ptx(kernel.py_func, signature, device=False, cc=COMPUTE_CAPABILITY)
        name = kernel.py_func.__qualname__.replace("_kernel.<locals>.receive", "").split(".")[-1]
        found[name] = found.get(name, True) and "__local_depot" not in ptx
    print(json.dumps(found))


def test_kernels_compile_and_keep_their_sums_in_registers():
    command = [sys.executable, "-m", "tests.mrsim.bloch.test_cuda_compile"]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1]) == dict.fromkeys(READOUT + WALK, True)


if __name__ == "__main__":
    main()
