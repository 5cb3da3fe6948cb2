"""A network of series whose answer is known: it reads the class off the magnitude of the image."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import nn
from torch.nn.functional import max_pool2d

from segnets.blocks.fourier import to_image
from segnets.checkpoint import save_checkpoint
from segnets.config import Recipe, RunConfig, TrainConfig
from segnets.models import MODELS, build_model
from segnets.models.base import ModelConfig, Output, SegmentationModel
from tests.stores import CINE_CLASSES, CINE_SIGNAL


@dataclass(frozen=True, kw_only=True, slots=True)
class NearestHeartConfig(ModelConfig):
    """Its known mistakes."""

    late: int = 0  # frames by which its answer is late
    shift: int = 0  # pixels along x by which its answer is displaced
    wider: int = 0  # pixels by which it takes the left ventricle too wide


class NearestHeart(SegmentationModel):
    """Class of the nearest signal; exact at rate 1 without noise."""

    paper: ClassVar[str] = "none"
    description: ClassVar[str] = "test"
    Config = NearestHeartConfig
    cine: ClassVar[Recipe] = Recipe()

    def __init__(self, config=None):
        super().__init__()
        self.config = config or NearestHeartConfig()
        self.weight = nn.Parameter(torch.zeros(3))

    def latent(self, kspace):
        return to_image(kspace).square().sum(dim=1)

    def forward(self, kspace, mask):  # noqa: ARG002
        image = to_image(kspace)
        magnitude = image.square().sum(dim=1, keepdim=True).sqrt()  # (batch, 1, frame, y, x)
        signal = torch.tensor(CINE_SIGNAL / CINE_SIGNAL.max(), dtype=torch.float32)[None, :, None, None, None]
        logits = 1 - (magnitude - signal).abs()
        if self.config.wider:
            size = 2 * self.config.wider + 1
            lv = (logits.argmax(1) == 1).float()
            logits[:, 1] += 10 * max_pool2d(lv, size, stride=1, padding=self.config.wider)
        logits = torch.roll(logits, (self.config.late, self.config.shift), dims=(2, 4))
        return Output((logits,), (image,))


def write_run(folder, store, **options):
    """A run directory with a checkpoint as the trainer writes them."""
    MODELS["nearest-heart"] = f"{__name__}:NearestHeart"
    train = TrainConfig.for_model(
        "nearest-heart", data=str(store), options=options, noise=(0.0,), rate=(1.0,), n_center=2, epochs=1
    )
    run = RunConfig(
        train=train, class_names=CINE_CLASSES, shape=(24, 20), n_frames=6, data_hash="", versions={}
    )
    folder.mkdir(parents=True)
    save_checkpoint(folder / "last.pt", run, {"model": build_model("nearest-heart", options).state_dict()})
    return folder
