"""Syn-net (Schlemper et al., MICCAI 2018): a U-Net from the zero-filled image straight to the labels.

For single images it is the U-Net of One-step with another training: it begins with fully sampled data and
ends with any number of lines. For series of frames (`dims` 3) the convolutions run over the frames, too.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from torch import Tensor

from segnets.blocks.fourier import to_image
from segnets.blocks.frames_unet import CONV, Decoder, Encoder, he_normal_any
from segnets.blocks.padding import crop_to, pad_to_multiple
from segnets.config import check
from segnets.losses import cross_entropy, mean_squared_error
from segnets.models.base import ModelConfig, Output, SegmentationModel
from segnets.recipes import read_cine, read_fine_tuning, read_recipe

if TYPE_CHECKING:
    from segnets.data import Batch

DIMS = (2, 3)
WIDTHS = {2: 64, 3: 32}  # channels of the first level


@dataclass(frozen=True, kw_only=True, slots=True)
class SynNetConfig(ModelConfig):
    """Options of Syn-net."""

    dims: int = 2  # 2 single images, 3 series of frames
    width: int = 0  # channels of the first level: width, 2, 4, 8 times it; 0 = 64 for images, 32 for series
    circular: bool = False  # convolutions of series go round the beat; else the frames are padded with zeros
    aux_recon: bool = False  # a second head that makes the fully sampled image, with its squared error

    def __post_init__(self) -> None:
        ModelConfig.__post_init__(self)
        check(self.dims in DIMS, "dims", "be 2 or 3", self.dims)
        check(self.width >= 0, "width", "be zero (the default) or positive", self.width)

    @property
    def makes_image(self) -> bool:
        """See `ModelConfig.makes_image`."""
        return self.aux_recon

    @property
    def widths(self) -> tuple[int, ...]:
        """Channels per level."""
        return tuple((self.width or WIDTHS[self.dims]) * 2**level for level in range(4))


class SynNet(SegmentationModel):
    """U-Net on the zero-filled image or series, trained for any number of lines."""

    paper: ClassVar[str] = (
        "Schlemper et al.: Cardiac MR segmentation from undersampled k-space using deep latent "
        "representation learning, MICCAI 2018"
    )
    description: ClassVar[str] = "U-Net on the zero-filled image, trained from fully sampled to few lines"
    Config = SynNetConfig
    config: SynNetConfig
    recipe, stages = read_recipe("syn-net")
    fine_tuning = read_fine_tuning("syn-net")
    cine = read_cine("syn-net")
    windows = True

    def __init__(self, config: SynNetConfig | None = None) -> None:
        super().__init__()
        config = config or SynNetConfig()
        self.config = config
        circular = config.circular and config.dims == 3
        self.encoder = Encoder(2, config.widths, config.dims, circular=circular)
        self.decoder = Decoder(config.widths, config.dims, skip=True, circular=circular)
        self.head = CONV[config.dims](config.widths[0], config.n_classes, 1)
        self.image_head = CONV[config.dims](config.widths[0], 2, 1) if config.aux_recon else None
        self.apply(he_normal_any)

    def latent(self, kspace: Tensor) -> Tensor:
        """Return the activation before the first enlarging, which the paper's latent analysis looks at."""
        features: Tensor = self.encoder(pad_to_multiple(to_image(kspace), self.encoder.factor))[0]
        return features

    def forward(self, kspace: Tensor, mask: Tensor) -> Output:  # noqa: ARG002 - the mask shows in the zeros
        """See `SegmentationModel.forward`; series are (batch, 2, frame, ky, kx)."""
        image = to_image(kspace)
        shape = (image.shape[-2], image.shape[-1])
        features = self.decoder(*self.encoder(pad_to_multiple(image, self.encoder.factor)))
        made = image if self.image_head is None else crop_to(self.image_head(features), shape).float()
        return Output((crop_to(self.head(features), shape),), (made,))

    def loss(self, output: Output, batch: Batch) -> Tensor:
        """Cross-entropy (Eq. 1); with `aux_recon` + the squared error of the image."""
        loss = cross_entropy(output.segmentation, batch.labels)
        return loss + mean_squared_error(output.image, batch.image) if self.config.aux_recon else loss
