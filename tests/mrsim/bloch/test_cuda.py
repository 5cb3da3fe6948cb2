"""The GPU engine against the reference: in Numba's CUDA simulator, and for real where there is a GPU.

The simulator must be chosen before numba is imported, so the cases run in a process of their own: this file
as a script, which prints the largest error of each case, relative to the largest sample.
"""

import json
import math
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

TOLERANCE = 1e-5  # float32 products of the readout; both solve the same equations
REPOSITORY = Path(__file__).parents[3]
FOV = (0.12, 0.12)
SEQUENCES = {
    "spin-echo, shaped": ("spin-echo", {"matrix": (2, 16), "bandwidth": 400.0}),
    "spin-echo, equilibrium": ("spin-echo", {"matrix": (3, 24), "rf": "ideal", "preparation": "equilibrium"}),
    "gre": ("gre", {"matrix": (3, 16), "spoiling": "gradient", "preparation": "equilibrium"}),
    "bssfp": ("bssfp", {"matrix": (3, 16), "rf": "ideal"}),
    "turbo-spin-echo": (
        "turbo-spin-echo",
        {"matrix": (6, 16), "rf": "ideal", "refocusing": 2.0, "echo_train": 6, "effective_echo": 2},
    ),
    "radial": ("radial", {"matrix": (16, 16), "rf": "ideal", "spokes": 3}),
    "spiral": ("spiral", {"matrix": (8, 8), "rf": "ideal", "interleaves": 2, "preparation": "equilibrium"}),
}
CASES = (*SEQUENCES, "anything", "anything, steady state")


def anything(repetitions):
    """Events with all that there is: offset pulses in changing gradients, trains around an echo, windows."""
    from mrsim.events import Events
    from mrsim.events.rf import Pulse, hamming_sinc, instantaneous

    pulses = (
        hamming_sinc(1.2, 0.4e-3, 3.0, use="excitation", steps=40),
        Pulse(nutation=0.05 * np.exp(1j * np.linspace(0, 2, 40)), dt=10e-6, use="refocusing"),
        instantaneous(0.4, phase=0.3, use="other"),
    )
    # [ms], start and end [mT/m], pulse, phase, frequency, samples, first [us], dwell [us], ends with
    rows = [
        (0.4, (0, 0, 4), (2, 0, 8), 0, 0.3, 90.0, 0, 0, 0, ""),
        (0.5, (0, 0, 8), (3, 2, -9), -1, 0, 0, 0, 0, 0, ""),
        (0.0, (0, 0, 0), (0, 0, 0), 2, 1.1, 0, 0, 0, 0, "crusher"),
        (0.4, (1, 1, 0), (1, 1, 0), 1, 0.7, -60.0, 0, 0, 0, "crusher"),
        (1.0, (4, 1, 0), (4, 1, 0), -1, 0.2, 40.0, 30, 11, 30, ""),
        (0.3, (4, 1, 0), (0, -3, 2), -1, 0.5, 25.0, 9, 5, 30, ""),
        (0.4, (0, -3, 2), (0, -3, 2), -1, 0, 0, 3, 100, 90, ""),
        (2.0, (0, 0, 0), (1, 0, 0), -1, 0, 0, 0, 0, 0, "spoil"),
    ] * repetitions
    columns = list(zip(*rows, strict=True))
    samples = np.array(columns[6])
    windows = np.cumsum(samples > 0) - 1
    return Events(
        duration=1e-3 * np.array(columns[0]),
        gradient=1e-3 * np.stack([columns[1], columns[2]], axis=1),
        pulse=columns[3],
        phase=columns[4],
        frequency=columns[5],
        samples=samples,
        first=1e-6 * np.array(columns[7]),
        dwell=1e-6 * np.array(columns[8]),
        adc=np.where(samples > 0, windows, -1),
        crusher=np.array(columns[9]) == "crusher",
        spoil=np.array(columns[9]) == "spoil",
        start=np.arange(repetitions) * (len(rows) // repetitions),
        pulses=pulses,
        place=[],
        matrix=(1, samples.sum()),
        pixel_volume=1e-9,
        steady_state=repetitions > 1,
        phase_step=0.4,
    )


def refined(events, times):
    """Divide the raster steps, for the reference, whose error is of the second order in them."""
    from mrsim.events.rf import Pulse

    def fine(p):
        return Pulse(
            nutation=np.repeat(p.nutation / times, times), dt=p.dt / times, use=p.use, centre=p.centre
        )

    return replace(events, pulses=tuple(fine(p) if p.dt else p for p in events.pulses))


def spins(n):
    """Spins of four tissues with off-resonance, sub-positions that matter and a transmit field."""
    from phantoms.phantom import Spins

    rng = np.random.default_rng(5)
    x, y = rng.uniform(-0.04, 0.04, (2, n))
    field = (1 + 0.1 * rng.standard_normal(n)) * np.exp(0.2j * rng.standard_normal(n))
    return Spins(
        position=np.stack([x, np.sort(y), rng.uniform(-1e-3, 1e-3, n)]),
        tissue=rng.integers(0, 4, n).astype(np.uint16),
        freq=(40 * rng.standard_normal(n)).astype(np.float32),
        cell=(1e-3, 1e-3, 1e-3),
        pd=np.array([1.0, 0.86, 0.77, 0.0]),
        t1=np.array([1.2, 0.83, 0.5, 1.0]),
        t2=np.array([0.33, 0.083, 0.07, 0.1]),
        t2prime=np.array([math.inf, 0.06, 0.02, math.inf]),
        b1=field.astype(np.complex64),
    )


def case_events(name):
    from mrsim.sequences import sequence_class

    if name in SEQUENCES:
        kind, options = SEQUENCES[name]
        return sequence_class(kind)(fov=FOV, **options).events()
    return anything(1 if name == "anything" else 3)


def sensitivities(n, coils):
    rng = np.random.default_rng(6)
    return (rng.standard_normal((coils, n)) + 1j * rng.standard_normal((coils, n))).astype(np.complex64)


def poison_buffers():
    """Let new arrays of the GPU hold NaN, so that an element which no kernel wrote shows in the signal."""
    from numba import cuda

    def poisoned(shape, dtype):
        return cuda.to_device(np.full(shape, np.nan if np.dtype(dtype).kind == "f" else 10**6, dtype))

    cuda.device_array = poisoned


def main():
    """Print the error of every case, and whether batches and chunks of other sizes give the same bits."""
    from mrsim.bloch.cuda.device import simulated
    from mrsim.bloch.cuda.engine import isochromat
    from mrsim.bloch.cuda.plan import SIMULATED
    from mrsim.bloch.reference import reference

    poison_buffers()
    n = 5 if simulated() else 300
    found = {}
    for name in CASES:
        events = case_events(name)
        coils = sensitivities(n, 3 if "anything" in name else 1)
        expected = reference(spins(n), refined(events, 12) if "anything" in name else events, coils, 2)
        signal = isochromat(spins(n), events, coils, 2)
        found[name] = float(np.abs(signal - expected).max() / np.abs(expected).max())
    events, coils = case_events("spin-echo, equilibrium"), sensitivities(n, 2)
    works = [replace(SIMULATED, nodes=n, memory=m) for n, m in ((8, 1e3), (16, 1e5))]
    answers = [isochromat(spins(n), events, coils, 2, work=work) for work in works]
    found["same bits"] = float(np.array_equal(*answers))
    print(json.dumps(found))


def run(simulator, command=("-W", "error::RuntimeWarning", __file__)):
    environment = {k: v for k, v in os.environ.items() if k != "NUMBA_ENABLE_CUDASIM"}
    path = os.pathsep.join([str(REPOSITORY), environment.get("PYTHONPATH", "")])
    environment |= {"PYTHONPATH": path} | ({"NUMBA_ENABLE_CUDASIM": "1"} if simulator else {})
    done = subprocess.run(
        [sys.executable, *command],
        env=environment,
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def gpu_here():
    from numba import cuda

    return cuda.is_available()


@pytest.fixture(scope="module")
def in_simulator():
    return json.loads(run(simulator=True))


@pytest.fixture(scope="module")
def on_gpu():
    if not gpu_here():
        pytest.skip("no NVIDIA GPU on this machine")
    return json.loads(run(simulator=False))


@pytest.mark.parametrize("name", CASES)
def test_simulated_gpu_agrees_with_the_reference(in_simulator, name):
    assert in_simulator[name] < TOLERANCE


@pytest.mark.parametrize("name", CASES)
def test_gpu_agrees_with_the_reference(on_gpu, name):
    assert on_gpu[name] < TOLERANCE


def test_batches_and_chunks_do_not_change_a_bit(in_simulator):
    assert in_simulator["same bits"] == 1.0


def test_gpu_result_does_not_depend_on_memory(on_gpu):
    assert on_gpu["same bits"] == 1.0


@pytest.mark.skipif(gpu_here(), reason="this machine has a GPU")
def test_a_machine_without_a_gpu_is_told_in_one_sentence():
    from mrsim.bloch.engine import acquire

    with pytest.raises(ValueError, match=r"^device must be 'cpu' on this machine, got 'cuda': no NVIDIA GPU"):
        acquire(spins(2), anything(1), device="cuda")


def test_a_driver_without_a_compiler_is_told_what_to_install(monkeypatch):
    from mrsim.bloch.cuda import device

    monkeypatch.setattr(device.cuda, "is_available", lambda: False)
    monkeypatch.setattr(device, "_driver_found", lambda: True)
    with pytest.raises(
        device.GpuError, match=r"compiler libraries, got none: pip install 'numba-cuda\[cu13\]'"
    ):
        device.require_gpu()


def test_a_numba_without_cuda_is_told_what_to_install(monkeypatch):
    from mrsim.bloch.engine import acquire

    monkeypatch.delitem(sys.modules, "mrsim.bloch.cuda.engine", raising=False)
    monkeypatch.delitem(sys.modules, "mrsim.bloch.cuda.device", raising=False)
    monkeypatch.setitem(sys.modules, "numba.cuda", None)
    monkeypatch.delattr("numba.cuda", raising=False)
    with pytest.raises(ValueError, match=r"CUDA target, got none: pip install 'numba-cuda\[cu13\]'"):
        acquire(spins(2), anything(1), device="cuda")


@pytest.mark.usefixtures("cpu_plays_gpu")
@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"device": "gpu"}, "device must be one of cpu, cuda, got 'gpu'"),
        ({"device": "cuda", "engine": "cartesian"}, "engine must be isochromat or auto on the device cuda"),
    ],
)
def test_what_no_gpu_does_is_refused(options, told):
    from mrsim.bloch.engine import acquire

    with pytest.raises(ValueError, match=told):
        acquire(spins(2), anything(1), **options)


def test_the_benchmark_runs_and_goes_on_where_it_stopped(tmp_path):
    command = ("-m", "benchmarks.gpu", "--smoke", "--out", tmp_path, "--resume", tmp_path / "gpu.json")
    run(simulator=True, command=command)
    found = json.loads((tmp_path / "gpu.json").read_text())
    (subject,) = found["synthetic-se"].values()
    assert subject["nrmse"] < 1e-6 and subject["spins"] == 4
    assert [row["error"] < TOLERANCE for row in found["agreement"]] == [True]
    assert len(found["rates"]) == 7 and all(row["rate"] > 0 for row in found["rates"])
    assert "1 of 1 subjects" in run(simulator=True, command=command)
    assert json.loads((tmp_path / "gpu.json").read_text()) == found


@pytest.fixture
def cpu_plays_gpu(monkeypatch):
    """Count the calls of the GPU engine, which the CPU answers."""
    from mrsim.bloch.cuda import device, engine
    from mrsim.bloch.reference import reference

    calls = []
    monkeypatch.setattr(device.cuda, "is_available", lambda: True)
    monkeypatch.setattr(engine, "isochromat", lambda *args: calls.append(args) or reference(*args))
    return calls


def test_a_data_set_is_computed_on_the_device_of_its_recipe(cpu_plays_gpu, tmp_path):
    from mrsim.datasets.generate import generate
    from mrsim.recipes import load_recipe
    from tests.mrsim.tiny import QUICK, tiny_recipe

    on_gpu = tiny_recipe(tmp_path / "labels", n_subjects=2, **QUICK, device="cuda")
    (tmp_path / "gpu.toml").write_text(on_gpu.as_toml())
    assert load_recipe(tmp_path / "gpu.toml").hash == on_gpu.hash
    assert (on_gpu.engine, on_gpu.device) == ("isochromat", "cuda")
    store = generate(on_gpu, tmp_path / "gpu.zarr")
    assert len(cpu_plays_gpu) == store.n_cases > 0
    with pytest.raises(ValueError, match="engine must be isochromat on the device cuda, got 'reference'"):
        tiny_recipe(tmp_path / "labels", device="cuda", engine="reference")


@pytest.mark.skipif(gpu_here(), reason="this machine has a GPU")
@pytest.mark.parametrize(("command", "code"), [("generate", 1), ("simulate", 2)])
def test_commands_without_a_gpu_end_with_one_sentence_and_no_file(command, code, tmp_path, monkeypatch):
    from click.testing import CliRunner

    from cli.mrsim import main

    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(main, [command, "--phantom", "synthetic", "--device", "cuda", "--quiet"])
    assert result.exit_code == code
    assert "Error: device must be 'cpu' on this machine, got 'cuda'" in result.output
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("kind", "text", "told"),
    [
        ("CudaAPIError", "[2] Call to cuMemAlloc results in CUDA_ERROR_OUT_OF_MEMORY", "GPU memory must"),
        ("CudaAPIError", "[222] cuLinkAddData: CUDA_ERROR_UNSUPPORTED_PTX_VERSION", "driver must be as new"),
        ("LinkerError", "ptxas application ptx input; Unsupported .version 9.1", "driver must be as new"),
        ("NvvmSupportError", "libNVVM cannot be found.\nTry: conda install", "compiler libraries"),
        ("CudaSupportError", "Error at driver init:\nunknown error (999)", "GPU must work"),
    ],
)
def test_errors_of_cuda_become_one_sentence(kind, text, told):
    from mrsim.bloch.cuda.errors import GpuError, explained

    with pytest.raises(GpuError, match=told) as caught, explained():
        raise type(kind, (Exception,), {})(text)
    assert "\n" not in str(caught.value)


def test_other_errors_pass_through():
    from mrsim.bloch.cuda.errors import explained

    with pytest.raises(KeyError), explained():
        raise KeyError("a mistake of ours")


if __name__ == "__main__":
    main()
