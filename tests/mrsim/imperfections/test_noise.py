import numpy as np
import pytest

from mrsim.imperfections.noise import NOISE_REFERENCES, add_noise, magnitude, noise_sigma, tissue_signals

SHAPE = (1, 180, 216)
N = np.prod(SHAPE)


def forward(image):
    return np.fft.fftshift(np.fft.fft2(np.fft.ifftshift(image, (-2, -1)), norm="ortho"), (-2, -1))


@pytest.fixture(scope="module")
def slice_():
    """Four flat tissues in stripes with a smooth phase, and its labels."""
    labels = np.repeat(np.arange(180, dtype=np.uint8) // 45, 216).reshape(180, 216)
    signal = np.array([0.0, 0.52, 0.32, 0.25])
    phase = np.exp(1j * np.linspace(0, 2, 216))
    return forward(signal[labels] * phase)[None], labels


def test_noise_is_white_and_gaussian_with_sigma_in_each_component(slice_):
    kspace, _ = slice_
    noise = (add_noise(kspace, 0.1, seed=1, case=2) - kspace).astype(complex)
    sigma = 0.1 * np.sqrt(np.mean(np.abs(kspace) ** 2))
    for part in (noise.real, noise.imag):
        assert part.mean() == pytest.approx(0, abs=4 * sigma / np.sqrt(N))
        assert part.var() == pytest.approx(sigma**2, rel=4 * np.sqrt(2 / N))
        assert np.mean(part**4) == pytest.approx(3 * sigma**4, rel=4 * np.sqrt(96 / 9 / N))
    assert np.mean(noise.real * noise.imag) == pytest.approx(0, abs=4 * sigma**2 / np.sqrt(N))
    neighbours = np.mean(noise[..., 1:] * noise[..., :-1].conj())
    assert abs(neighbours) < 4 * 2 * sigma**2 / np.sqrt(N)


@pytest.mark.parametrize(
    ("ratio", "mean", "sd"),
    [(0, 1.253314, 0.655136), (1, 1.548572, 0.775837), (3, 3.172577, 0.966826), (5, 5.101070, 0.989489)],
)
def test_magnitude_of_the_image_is_rician(ratio, mean, sd):
    """Moments of physics.md 10; the SD of a sample SD is below sd / sqrt(2 N) for these kurtoses."""
    point = np.zeros((180, 216), dtype=complex)
    point[90, 108] = (
        1.0  # its mean square gives sigma = level / sqrt(N) exactly, and its signal stays in one pixel
    )
    sigma = 0.5
    noise = add_noise(forward(point), sigma * np.sqrt(180 * 216), seed=3, case=ratio) - forward(point)
    flat = forward(np.full((180, 216), ratio * sigma))
    image = magnitude(flat + noise) / sigma
    assert image.mean() == pytest.approx(mean, abs=4 * sd / np.sqrt(N))
    assert image.std() == pytest.approx(sd, abs=4 * sd / np.sqrt(N))


def test_unnormalised_inverse_scales_the_noise_as_physics_says(slice_):
    kspace, _ = slice_
    noise = add_noise(kspace, 0.2, seed=1, case=1) - kspace
    image = np.fft.ifft2(noise.astype(complex))
    # sigma_im = sigma_k / sqrt(38880) = 0.00507151 sigma_k for numpy's own transform
    assert np.linalg.norm(image) / np.linalg.norm(noise) == pytest.approx(0.00507151, rel=1e-6)


def test_zero_filling_scales_image_noise_with_the_root_of_the_rate(slice_):
    kspace, _ = slice_
    noise = add_noise(kspace, 0.1, seed=5, case=0) - kspace
    mask = np.random.default_rng(0).permutation(N).reshape(SHAPE) < 0.3 * N
    full, zero_filled = (np.fft.ifft2(k, norm="ortho").std() for k in (noise, noise * mask))
    assert zero_filled / full == pytest.approx(np.sqrt(0.3), rel=4 / np.sqrt(0.3 * N))  # 0.547723


def test_realisation_belongs_to_seed_case_and_level(slice_):
    kspace, _ = slice_

    def unit(**key):
        level = key.pop("level", 0.1)
        return (add_noise(kspace, level, **{"seed": 7, "case": 3, **key}) - kspace).ravel() / level

    base = unit()
    assert np.array_equal(base, unit())
    for other in (unit(seed=8), unit(case=4), unit(level=0.2)):
        correlation = abs(np.vdot(base, other)) / (np.linalg.norm(base) * np.linalg.norm(other))
        assert correlation < 4 / np.sqrt(N)
    # sums of decimal fractions reach the same level, the same noise
    assert np.array_equal(
        add_noise(kspace, 0.3, seed=1, case=1), add_noise(kspace, 0.1 + 0.2, seed=1, case=1)
    )


@pytest.mark.parametrize("level", [1e-7, 0.1])
def test_parameters_drawn_from_the_same_key_are_not_the_noise(level):
    kspace = np.zeros((1, 8, 8), dtype=np.complex64)
    kspace[0, 0, 0] = 8.0  # root mean square 1, and every other sample holds the noise alone
    noise = add_noise(kspace, level, seed=7, case=3).ravel()[1:] / level
    drawn = np.random.Generator(np.random.Philox(key=np.array((7, 3), dtype=np.uint64)))
    unit = drawn.standard_normal((64, 2), dtype=np.float32).view(np.complex64)[1:, 0]
    assert abs(np.vdot(noise, unit)) < 0.5 * np.linalg.norm(noise) * np.linalg.norm(unit)


@pytest.mark.parametrize(
    ("reference", "value"),
    [
        ("kspace_rms", np.sqrt((0.52**2 + 0.32**2 + 0.25**2) / 4)),  # Parseval
        ("max", 0.52),
        ("std_image", np.std([0, 0.52, 0.32, 0.25])),
        ("brightest_tissue", 0.52),
        ("parenchyma", 0.285),
        ("wm", 0.25),
        ("GM", 0.32),
        ("csf", 0.52),
    ],
)
def test_references_mean_what_they_say(slice_, reference, value):
    kspace, labels = slice_
    assert noise_sigma(kspace, 0.1, reference=reference, labels=labels) == pytest.approx(
        0.1 * value, rel=1e-6
    )


def test_every_reference_scales_with_the_signal_and_the_level(slice_):
    kspace, labels = slice_
    for reference in NOISE_REFERENCES:
        one = noise_sigma(kspace, 0.1, reference=reference, labels=labels)
        assert noise_sigma(3 * kspace, 0.2, reference=reference, labels=labels) == pytest.approx(6 * one)
    assert noise_sigma(kspace, 0.0) == 0


def test_coils_combine_by_root_sum_of_squares(slice_):
    kspace, labels = slice_
    coils = np.concatenate([0.6 * kspace, 0.8j * kspace])  # RSS 1
    assert noise_sigma(coils, 0.1, reference="wm", labels=labels) == pytest.approx(0.025, rel=1e-6)
    assert tissue_signals(coils, labels)["GM"] == pytest.approx(0.32, rel=1e-6)
    noise = add_noise(coils, 0.1, seed=1, case=1) - coils
    assert abs(np.vdot(noise[0], noise[1])) < 4 * np.linalg.norm(noise[0]) ** 2 / np.sqrt(N)


def test_bad_noise_is_refused_in_a_sentence(slice_):
    kspace, labels = slice_
    with pytest.raises(ValueError, match="did you mean 'kspace_rms'"):
        noise_sigma(kspace, 0.1, reference="kspace-rms")
    with pytest.raises(ValueError, match=r"level must not be negative, got -0\.1"):
        add_noise(kspace, -0.1, seed=0, case=0)
    with pytest.raises(ValueError, match="labels must be given for the noise reference 'wm'"):
        noise_sigma(kspace, 0.1, reference="wm")
    with pytest.raises(ValueError, match="labels must hold pixels of the noise reference 'gm'"):
        noise_sigma(kspace, 0.1, reference="gm", labels=np.zeros_like(labels))
    with pytest.raises(ValueError, match="labels must have the shape"):
        noise_sigma(kspace, 0.1, reference="wm", labels=labels.T)
    with pytest.raises(ValueError, match="kspace must be finite"):
        noise_sigma(kspace * np.nan, 0.1)
