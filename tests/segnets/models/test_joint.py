"""Joint and Two-step: the parts of SERANet, put together and trained otherwise."""

import pytest
import torch

from tests.segnets.models.small import count, noise_batch, run_stage, small


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"n_blocks": 2}, 7_928_904),
        ({"n_blocks": 4}, 8_155_212),
        ({}, 8_494_674),
        ({"n_blocks": 2, "reg": "B"}, 11_427_272),
        ({"reg": "B"}, 20_738_962),
    ],
)
@pytest.mark.parametrize("name", ["joint", "two-step"])
def test_published_number_of_weights(name, options, expected):
    assert count(name, **options) == expected


def test_joint_is_seranet_without_attention_and_memory():
    joint, batch = small("joint"), noise_batch()
    seranet = small("seranet", n_iterations=0, convlstm_at="none")
    seranet.reconstruct.load_state_dict(joint.reconstruct.state_dict())
    seranet.segment.unet.load_state_dict(joint.unet.state_dict())
    ours, theirs = joint(batch.kspace, batch.mask), seranet(batch.kspace, batch.mask)
    for a, b in ((ours.logits, theirs.logits), (ours.images, theirs.images)):
        assert all(torch.equal(x, y) for x, y in zip(a, b, strict=True))


def test_two_step_learns_the_image_first_and_then_the_classes_of_that_image():
    model, batch = small("two-step"), noise_batch()
    first, second = type(model).stages
    output, loss = run_stage(model, first, batch)
    assert output.logits == ()
    assert loss.item() == pytest.approx(((output.image - batch.image) ** 2).mean().item(), rel=1e-5)
    answer, loss = run_stage(model, second, batch)
    assert torch.equal(answer.image, output.image)
    assert torch.equal(answer.segmentation, model.unet(output.image))
    assert loss.item() == pytest.approx(
        torch.nn.functional.cross_entropy(answer.segmentation, batch.labels).item(), rel=1e-5
    )
