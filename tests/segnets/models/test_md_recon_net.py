"""MD-Recon-Net: number of weights, and its two weighted sums at their limits."""

import pytest
import torch

from segnets.blocks.fourier import to_image, to_kspace
from segnets.models.md_recon_net import Blend
from tests.segnets.models.small import count, noise_batch, small


@pytest.mark.parametrize(("norm", "expected"), [(False, 289_319), (True, 291_879)])
def test_published_number_of_weights(norm, expected):
    assert count("md-recon-net", norm=norm) == expected


def test_ten_consistencies_and_nine_fusions():
    model = small("md-recon-net", n_stages=5)
    assert sum(isinstance(m, Blend) for m in model.modules()) == 10 + 9


def test_consistency_is_replacement_at_0_and_none_at_infinity():
    batch, k = noise_batch(), torch.randn(2, 2, 32, 40)
    blend = Blend()
    with torch.no_grad():
        assert torch.equal(
            blend.consistent(k, batch.kspace, batch.mask) * (1 - batch.mask), k * (1 - batch.mask)
        )
        expected = (0.1 * k + batch.kspace) / 1.1
        got = blend.consistent(k, batch.kspace, batch.mask)
        torch.testing.assert_close(got * batch.mask, expected * batch.mask, atol=1e-6, rtol=0)
        blend.weight.zero_()
        assert torch.equal(blend.consistent(k, batch.kspace, batch.mask) * batch.mask, batch.kspace)
        assert torch.equal(blend.fused(k, batch.kspace), k)
        blend.weight.fill_(1e9)
        torch.testing.assert_close(blend.consistent(k, batch.kspace, batch.mask), k)


def test_networks_that_correct_nothing_and_hold_the_measurement_return_it():
    """Corrections 0, identity for LeakyReLU, w = 0: every domain keeps the measured samples."""
    model, batch = small("md-recon-net"), noise_batch()
    with torch.no_grad():
        for cnn in (*model.k_cnns, *model.image_cnns):
            torch.nn.init.zeros_(cnn.layers[-1].weight)
            cnn.activation = torch.nn.Identity()
        for blend in (m for m in model.modules() if isinstance(m, Blend)):
            blend.weight.zero_()
        image = model(batch.kspace, batch.mask).image
    torch.testing.assert_close(image, to_image(batch.kspace), atol=1e-5, rtol=0)


def test_image_is_pulled_to_the_measurement_by_the_last_stage():
    model, batch = small("md-recon-net"), noise_batch()
    with torch.no_grad():
        for dc in (*model.k_dcs, *model.image_dcs):
            dc.weight.zero_()
        k = to_kspace(model(batch.kspace, batch.mask).image) * batch.mask
    torch.testing.assert_close(k, batch.kspace, atol=1e-4, rtol=0)  # both domains hold it, so does their sum


def test_it_may_bring_a_pattern():
    model, batch = small("md-recon-net", pattern="radial", rate=0.4), noise_batch()
    assert model.config.samples_itself and model.sampling.mask.sum() == round(0.4 * 32 * 40)
    with torch.no_grad():
        masked = batch.kspace * model.sampling.mask
        expected = model(masked, batch.mask).image
        assert torch.equal(model(batch.kspace, batch.mask).image, expected)
