"""SegNetMRI: its number of weights, its loss, and the decoder that changes hands."""

import pytest
import torch
from torch.nn import functional

from tests.segnets.models.small import count, noise_batch, run_stage, small


@pytest.mark.parametrize(
    ("n_blocks", "expected"), [(1, 2_579_994), (2, 4_442_348), (5, 10_029_410), (7, 13_754_118)]
)
def test_published_number_of_weights(n_blocks, expected):
    assert count("segnetmri", n_blocks=n_blocks) == expected


def test_decoders_of_their_own_add_their_weights():
    assert count("segnetmri", n_blocks=2, per_block_decoder=True) == 4_442_348 + 717_636


@pytest.mark.parametrize("per_block", [False, True])
def test_fine_tuning_begins_with_the_decoder_of_the_segmentation_stage(per_block):
    model, batch = small("segnetmri", per_block_decoder=per_block), noise_batch()
    x = batch.image
    features, skips = model.segmenter.encode(x)
    alone = run_stage(model, type(model).stages[1], batch)[0].segmentation
    attached = [d.head(d.decode(features, skips)) for d in model.decoders]
    assert not any(torch.equal(s, alone) for s in attached)
    getattr(model, type(model).stages[2].enter)()
    assert len(model.decoders) == (2 if per_block else 1)
    assert all(torch.equal(d.head(d.decode(features, skips)), alone) for d in model.decoders)


def test_units_see_the_image_of_the_unit_before_and_agree_with_the_measurement():
    model, batch = small("segnetmri"), noise_batch()
    output = model(batch.kspace, batch.mask)
    first = model.reconstruct(batch.kspace, batch.mask).image
    assert torch.equal(output.image, first)
    k = model.units[1].encode(output.images[0])[0]
    again = model.units[1].head(model.units[1].decode(k, model.units[1].encode(output.images[0])[1]))
    x = model.dcs[1](output.images[0] + again, batch.kspace, batch.mask)
    torch.testing.assert_close(x, output.image)
    assert len(output.logits) == 3 and len(output.images) == 2
    merged = model.merge(torch.cat(output.logits[:2], dim=1))
    torch.testing.assert_close(merged, output.segmentation)


def test_loss_is_the_image_error_and_a_hundredth_of_the_mean_cross_entropy():
    model, batch = small("segnetmri"), noise_batch()
    output, loss = run_stage(model, type(model).stages[2], batch)
    ce = [functional.cross_entropy(s, batch.labels).item() for s in output.logits]
    l2 = ((output.image - batch.image) ** 2).mean().item()
    assert loss.item() == pytest.approx(l2 + 0.01 * sum(ce) / 3, rel=1e-5)
