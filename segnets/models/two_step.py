"""Two-step: a reconstruction trained for the image, then a U-Net trained on its frozen output."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from torch import Tensor

from segnets.blocks.init import he_normal
from segnets.losses import mean_squared_error
from segnets.models.base import Output, SegmentationModel
from segnets.models.joint import CascadeConfig
from segnets.recipes import read_recipe
from segnets.stages import Stage

if TYPE_CHECKING:
    from segnets.data import Batch


class TwoStep(SegmentationModel):
    """The parts of Joint, trained one after the other, each with its own loss."""

    paper: ClassVar[str] = "Huang et al., SERANet, MICCAI 2019 (baseline)"
    description: ClassVar[str] = "unrolled reconstruction, then U-Net, trained separately"
    Config = CascadeConfig
    config: CascadeConfig
    recipe, stages = read_recipe(
        "two-step",
        Stage(
            name="reconstruction",
            trainable=("cascade",),
            run="reconstruct",
            loss="reconstruction_loss",
        ),
        Stage(name="segmentation", trainable=("unet",)),
    )

    def __init__(self, config: CascadeConfig | None = None) -> None:
        super().__init__()
        config = config or CascadeConfig()
        self.config = config
        self.cascade = config.reconstruction()
        self.unet = config.segmenter()
        self.apply(he_normal)

    def reconstruct(self, kspace: Tensor, mask: Tensor) -> Output:
        """First stage: x^(N) alone."""
        return Output((), (self.cascade(kspace, mask)[1],))

    def reconstruction_loss(self, output: Output, batch: Batch) -> Tensor:
        """Mean squared error against the fully sampled image, with its noise."""
        return mean_squared_error(output.image, batch.image)

    def forward(self, kspace: Tensor, mask: Tensor) -> Output:
        """See `SegmentationModel.forward`."""
        image = self.reconstruct(kspace, mask).image
        return Output((self.unet(image),), (image,))
