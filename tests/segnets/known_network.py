"""A network whose answer is known: it reads the class off the magnitude of the image."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import nn

from segnets.blocks.fourier import to_image
from segnets.checkpoint import save_checkpoint
from segnets.config import RunConfig, TrainConfig
from segnets.models import MODELS, build_model
from segnets.models.base import ModelConfig, Output, SegmentationModel
from tests.stores import CLASSES, SIGNAL


@dataclass(frozen=True, kw_only=True, slots=True)
class NearestConfig(ModelConfig):
    """Its known mistakes."""

    blind_to: int = 0  # class that it takes for background; 0 = sees all
    shift: int = 0  # pixels along x by which its answer is displaced
    nan: bool = False


class Nearest(SegmentationModel):
    """Class of the nearest signal; exact at rate 1 without noise, where the largest magnitude is CSF's."""

    paper: ClassVar[str] = "none"
    description: ClassVar[str] = "test"
    Config = NearestConfig

    def __init__(self, config=None):
        super().__init__()
        self.config = config or NearestConfig()
        self.weight = nn.Parameter(torch.zeros(3))

    def forward(self, kspace, mask):  # noqa: ARG002
        image = to_image(kspace)
        magnitude = image.square().sum(dim=1, keepdim=True).sqrt()
        signal = torch.tensor(SIGNAL / SIGNAL.max(), dtype=torch.float32)[None, :, None, None]
        logits = -(magnitude - signal).abs()
        if self.config.blind_to:
            logits[:, self.config.blind_to] = -10
        if self.config.nan:
            logits = logits / 0 * 0
        return Output((torch.roll(logits, self.config.shift, dims=-1),), (image,))


def write_run(folder, store, model="nearest", **options):
    """A run directory with a checkpoint as the trainer writes them; no validation, so no best.pt."""
    MODELS["nearest"] = f"{__name__}:Nearest"
    torch.manual_seed(0)
    train = TrainConfig.for_model(
        model, data=str(store), options=options, noise=(0.0,), rate=(1.0,), n_center=4, epochs=1
    )
    run = RunConfig(train=train, class_names=CLASSES, shape=(32, 40), data_hash="", versions={})
    folder.mkdir(parents=True)
    state = build_model(model, options).state_dict()
    save_checkpoint(folder / "last.pt", run, {"model": state})
    (folder / "log.csv").write_text(
        "epoch,loss,dice,dice_CSF,val_loss,val_dice\n1,0.7,0.5,0.5,,\n2,0.5,0.6,0.6,0.6,0.5\n"
    )
    return folder
