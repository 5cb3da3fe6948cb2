"""FCN-2s, SegNet and U-Net on CRDN's backbones: numbers of weights of its Table 2, and how they enlarge."""

import pytest
import torch

from segnets.blocks.backbones import Backbone
from tests.segnets.models.small import count, noise_batch, small

COUNTS = [
    ("fcn", "vgg16", 50_419_540),
    ("fcn", "resnet50", 115_831_124),
    ("fcn", "unet", 1_191_112),
    ("segnet", "vgg16", 29_445_324),
    ("segnet", "unet", 2_360_892),
    ("unet", "vgg16", 25_863_300),
    ("unet", "resnet50", 71_858_948),
    ("unet", "unet", 1_943_140),
]


@pytest.mark.parametrize(("name", "backbone", "expected"), COUNTS)
def test_published_number_of_weights(name, backbone, expected):
    assert count(name, backbone=backbone, contrasts=3) == expected


@pytest.mark.parametrize(("name", "backbone", "_"), COUNTS)
@pytest.mark.parametrize("shape", [(72, 81), (97, 66)])
def test_every_backbone_segments_odd_sizes(name, backbone, _, shape):
    head = {"head_width": 4} if name == "fcn" else {}
    model = small(name, backbone=backbone, width=2, **head).eval()
    batch = noise_batch(shape, n=1)
    with torch.no_grad():
        assert model(batch.kspace, batch.mask).segmentation.shape == (1, 4, *shape)


@pytest.mark.parametrize(("backbone", "least"), [("vgg16", 65), ("resnet50", 33)])
def test_fcn_says_how_large_its_unpadded_head_wants_the_image(backbone, least):
    model = small("fcn", backbone=backbone, width=2, head_width=4).eval()
    with torch.no_grad():
        batch = noise_batch((least, least), n=1)
        assert model(batch.kspace, batch.mask).segmentation.shape == (1, 4, least, least)
        batch = noise_batch((least - 1, 80), n=1)
        with pytest.raises(ValueError, match=f"image must be at least {least} pixels wide and high, got"):
            model(batch.kspace, batch.mask)


def test_fcn_adds_the_score_maps_of_all_scales():
    """Nearest neighbour: each score map is constant over blocks of its own scale, 32 pixels the coarsest."""
    model, batch = small("fcn").eval(), noise_batch((64, 64), n=1)
    for score in model.scores:
        torch.nn.init.zeros_(score.weight)
        torch.nn.init.zeros_(score.bias)
    with torch.no_grad():
        coarse = model(batch.kspace, batch.mask).segmentation
        blocks = coarse.unfold(2, 32, 32).unfold(3, 32, 32)
        assert torch.equal(blocks, blocks[..., :1, :1].expand_as(blocks))
        for factor, score in zip((2, 4, 8, 16), model.scores, strict=True):
            torch.nn.init.ones_(score.weight)
            finer = model(batch.kspace, batch.mask).segmentation - coarse
            blocks = finer.unfold(2, factor, factor).unfold(3, factor, factor)
            torch.testing.assert_close(blocks, blocks[..., :1, :1].expand_as(blocks), atol=1e-4, rtol=0)
            torch.nn.init.zeros_(score.weight)


def test_segnet_ends_with_relu_and_has_no_resnet():
    batch = noise_batch()
    assert small("segnet")(batch.kspace, batch.mask).segmentation.min() >= 0
    with pytest.raises(ValueError, match="backbone must be one of unet, vgg16, got 'resnet50'"):
        small("segnet", backbone="resnet50")


def test_resnet50_is_torchvisions_but_for_stem_and_classifier():
    """25,557,032 weights in all, of which 2,049,000 in the classifier; the stem has the same kernel."""
    with torch.device("meta"):
        backbone = Backbone("resnet50", 3)
    assert sum(p.numel() for p in backbone.parameters()) == 25_557_032 - 2_049_000
