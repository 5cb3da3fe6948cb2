"""LI-net, latent interpolation (Schlemper et al., MICCAI 2018): predict a code of the labels, decode it.

An auto-encoder of labels, Phi and Psi, learns a code of 1024 numbers. Then Pi learns to predict that code
from the undersampled image u, with Phi and Psi frozen (Eq. 2; x is fully sampled, h = Phi(y)):

    L = |h - Pi(u)| + lambda1 |h - Pi(x)| + lambda2 |Pi(x) - Pi(u)| + lambda3 CE(y, Psi(Pi(u)))

The answer is Psi(Pi(u)). The paper does not say how feature maps become 1024 numbers; here (models.md 5) a
convolution 1x1 narrows them to 16 channels, series are averaged to 6 frames, and one linear layer follows.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from segnets.blocks.fourier import peak, to_image
from segnets.blocks.frames_unet import CONV, Decoder, Encoder, he_normal_any
from segnets.blocks.padding import crop_to, pad_to_multiple
from segnets.blocks.sampling_pattern import check_shape
from segnets.config import check
from segnets.losses import cross_entropy
from segnets.models.base import Output, SegmentationModel
from segnets.models.syn_net import SynNetConfig
from segnets.recipes import read_cine, read_fine_tuning, read_recipe
from segnets.stages import Stage

if TYPE_CHECKING:
    from segnets.data import Batch

NARROW = 16  # channels between convolutions and the linear layers
PREDICT = Stage(
    name="predict",
    trainable=("predictor",),
    run="match",
    inputs=("kspace", "image", "labels"),
    loss="code_loss",
)
FRAMES = 6  # of a series, between convolutions and the linear layers


@dataclass(frozen=True, kw_only=True, slots=True)
class LiNetConfig(SynNetConfig):
    """Options of LI-net; encoders and decoder have Syn-net's widths."""

    ny: int = 180  # size of the images, fixed by the linear layers
    nx: int = 216
    code: int = 1024
    weight_full: float = 1.0  # lambda1
    weight_same: float = 1e-4  # lambda2
    weight_ce: float = 10.0  # lambda3
    squared: bool = False  # squared distances instead of distances

    def __post_init__(self) -> None:
        SynNetConfig.__post_init__(self)
        for name in ("ny", "nx", "code"):
            check(getattr(self, name) >= 1, name, "be at least 1", getattr(self, name))
        for name in ("weight_full", "weight_same", "weight_ce"):
            value = getattr(self, name)
            check(0 <= value < math.inf, name, "be zero or positive", value)
        check(not self.circular, "circular", "be false, LI-net decodes whole series", self.circular)
        check(not self.aux_recon, "aux_recon", "be false, LI-net makes no image", self.aux_recon)

    @property
    def map_shape(self) -> tuple[int, ...]:
        """Shape of the narrow feature map: ([frame,] y / 8, x / 8), rounded up."""
        factor = 2 ** (len(self.widths) - 1)
        plane = (-(-self.ny // factor), -(-self.nx // factor))
        return plane if self.dims == 2 else (FRAMES, *plane)


class CodeEncoder(nn.Module):
    """Phi or Pi: Syn-net's encoding path and a linear layer."""

    def __init__(self, n_in: int, config: LiNetConfig) -> None:
        super().__init__()
        self.map_shape = config.map_shape
        self.encoder = Encoder(n_in, config.widths, config.dims)
        self.narrow = CONV[config.dims](config.widths[-1], NARROW, 1)
        self.linear = nn.Linear(NARROW * math.prod(self.map_shape), config.code)

    def forward(self, image: Tensor) -> Tensor:
        """(batch, n_in, [frame,] y, x) -> (batch, code)."""
        features = self.narrow(self.encoder(pad_to_multiple(image, self.encoder.factor))[0])
        if len(self.map_shape) == 3:
            features = functional.adaptive_avg_pool3d(features, self.map_shape)
        code: Tensor = self.linear(features.flatten(1))
        return code


class CodeDecoder(nn.Module):
    """Psi: a linear layer and Syn-net's decoding path without skips."""

    def __init__(self, config: LiNetConfig) -> None:
        super().__init__()
        self.map_shape, self.shape = config.map_shape, (config.ny, config.nx)
        self.linear = nn.Linear(config.code, NARROW * math.prod(self.map_shape))
        self.widen = CONV[config.dims](NARROW, config.widths[-1], 1)
        self.decoder = Decoder(config.widths, config.dims, skip=False)
        self.head = CONV[config.dims](config.widths[0], config.n_classes, 1)

    def forward(self, code: Tensor, n_frames: int) -> Tensor:
        """(batch, code) -> logits (batch, class, [frame,] y, x)."""
        features = self.linear(code).unflatten(1, (NARROW, *self.map_shape))
        if len(self.map_shape) == 3:
            size = (n_frames, *self.map_shape[1:])
            features = functional.interpolate(features, size, mode="trilinear", align_corners=False)
        return crop_to(self.head(self.decoder(self.widen(features))), self.shape)


class LINet(SegmentationModel):
    """Predict a code of the labels from the zero-filled image or series; decode it."""

    paper: ClassVar[str] = (
        "Schlemper et al.: Cardiac MR segmentation from undersampled k-space using deep latent "
        "representation learning, MICCAI 2018"
    )
    description: ClassVar[str] = "code of the segmentation predicted from the zero-filled image, and decoded"
    Config = LiNetConfig
    config: LiNetConfig
    recipe, stages = read_recipe(
        "li-net",
        Stage(
            name="auto-encoder",
            trainable=("label_encoder", "decoder"),
            run="autoencode",
            inputs=("labels",),
            loss="label_loss",
        ),
        replace(PREDICT, name="predictor"),
    )
    fine_tuning = read_fine_tuning("li-net", replace(PREDICT, name="fixed rate"))
    cine = read_cine("li-net")
    revision = 2  # the predictor gets the full image at its own scale
    fixed_axes = 2  # of the linear layers

    def __init__(self, config: LiNetConfig | None = None) -> None:
        super().__init__()
        config = config or LiNetConfig()
        self.config = config
        self.label_encoder = CodeEncoder(config.n_classes, config)  # Phi
        self.decoder = CodeDecoder(config)  # Psi
        self.predictor = CodeEncoder(2, config)  # Pi
        self.apply(he_normal_any)

    def latent(self, kspace: Tensor) -> Tensor:
        """Pi: the code (batch, code) that is decoded, which the paper's latent analysis looks at."""
        code: Tensor = self.predictor(to_image(kspace))
        return code

    def code_of_labels(self, labels: Tensor) -> Tensor:
        """Phi: labels (batch, [frame,] y, x) -> (batch, code)."""
        onehot = functional.one_hot(labels, self.config.n_classes).movedim(-1, 1).float()
        code: Tensor = self.label_encoder(onehot)
        return code

    def autoencode(self, labels: Tensor) -> Output:
        """First stage: Psi(Phi(y))."""
        code = self.code_of_labels(labels)
        return Output((self.decoder(code, labels.shape[1]),), ())

    def label_loss(self, output: Output, batch: Batch) -> Tensor:
        """Cross-entropy of the auto-encoder."""
        return cross_entropy(output.segmentation, batch.labels)

    def match(self, kspace: Tensor, image: Tensor, labels: Tensor) -> Output:
        """Second stage: the answer, and the codes of labels, undersampled and fully sampled image."""
        zero_filled = to_image(kspace)
        # as if it were what was measured: in units of the zero-filled image, Pi(x) would hang on the mask
        full_image = image / peak(image)
        # together: the normalisation learns on the mixture of both whose statistics it keeps for prediction
        under, full = self.predictor(torch.cat((zero_filled, full_image))).chunk(2)
        logits = self.decoder(under, labels.shape[1])
        return Output((logits,), (zero_filled,), (self.code_of_labels(labels), under, full))

    def code_loss(self, output: Output, batch: Batch) -> Tensor:
        """Eq. 2."""
        c = self.config
        labels, under, full = (code.float() for code in output.codes)
        return (
            self.distance(labels, under)
            + c.weight_full * self.distance(labels, full)
            + c.weight_same * self.distance(full, under)
            + c.weight_ce * cross_entropy(output.segmentation, batch.labels)
        )

    def distance(self, a: Tensor, b: Tensor) -> Tensor:
        """Euclidean distance of codes (batch, code), or its square; mean over the batch."""
        distance: Tensor = torch.linalg.vector_norm(a - b, dim=1)
        return (distance.square() if self.config.squared else distance).mean()

    def forward(self, kspace: Tensor, mask: Tensor) -> Output:  # noqa: ARG002 - the mask shows in the zeros
        """See `SegmentationModel.forward`; ValueError for another size than the network was built for."""
        check_shape(kspace, (self.config.ny, self.config.nx))
        image = to_image(kspace)
        return Output((self.decoder(self.predictor(image), image.shape[2]),), (image,))
