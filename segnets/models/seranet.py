"""SERANet: Segmentation with End-to-end Recurrent Attention Network (Huang et al., MICCAI 2019).

Algorithm 1 of the paper, with N reconstruction blocks and T attention iterations:

    x_0^(N-1), x_0^(N) = f_Rec(y, m)                          N times: Reg block, data consistency
    s_0 = f_Seg(x_0^(N))                                      U-Net with a ConvLSTM that remembers over t
    for t = 1 .. T:
        a_t = the four copies p^k * x_0^(N-1), p = softmax(s_{t-1})       Eq. 1
        x_t = DC(AttReg(a_t), y, m)
        s_t = f_Seg(x_t)                                                  Eq. 2, the same weights
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import torch
from torch import Tensor, nn

from segnets.blocks.conv_lstm import ConvLstmCell, State
from segnets.blocks.data_consistency import DC_KINDS, DataConsistency
from segnets.blocks.fourier import to_image
from segnets.blocks.init import he_normal
from segnets.blocks.padding import crop_to, pad_to_multiple
from segnets.blocks.regularisers import REG_BLOCKS, AutoEncoder
from segnets.blocks.unet import UNet
from segnets.config import check, check_choice
from segnets.losses import cross_entropy, mean_squared_error
from segnets.models.base import ModelConfig, Output, SegmentationModel
from segnets.recipes import read_recipe

if TYPE_CHECKING:
    from segnets.data import Batch

CONVLSTM_PLACES = ("bottleneck", "decoder_out", "input", "none")
LOSSES = ("ce_last", "ce_all", "ce_l2")
ATTENTION_SOURCES = ("first", "prev")


@dataclass(frozen=True, kw_only=True, slots=True)
class SeraNetConfig(ModelConfig):
    """Options of SERANet.

    The paper states N = 2, 4 and 7, T = 2 and the widths. What it leaves open, and why it is set as it is:
    ConvLSTM at the bottleneck (most context for the fewest operations, the rest stays as in the baselines),
    hard data consistency (no noise weight is printed, the cited code's default is the noiseless one), batch
    normalisation in the U-Net (common practice), blocks of type A (listed first and lightest), and Eq. 1 on
    x_0^(N-1), where Algorithm 1 and the text outvote the index that the equation prints.
    """

    n_blocks: int = 7  # N, reconstruction blocks
    n_iterations: int = 2  # T, attention iterations
    reg: str = "A"  # Reg block: A cascaded CNN, B auto-encoder
    reg_width: int = 64  # channels of the Reg blocks
    reg_skip: bool = True  # type B with skip connections
    width: int = 64  # channels of the first level of the segmentation U-Net
    norm: bool = True  # batch normalisation in the segmentation U-Net
    convlstm_at: str = "bottleneck"
    attention_source: str = "first"  # Eq. 1 on x_0^(N-1) (Algorithm 1) or on x_(t-1) (as Eq. 1 is printed)
    dc: str = "hard"
    dc_weight: float = 10.0  # of "fixed"; where "learnable" starts
    loss: str = "ce_last"

    def __post_init__(self) -> None:
        ModelConfig.__post_init__(self)
        for name, least in {"n_blocks": 1, "n_iterations": 0, "reg_width": 1, "width": 1}.items():
            check(getattr(self, name) >= least, name, f"be at least {least}", getattr(self, name))
        check_choice("reg", self.reg, REG_BLOCKS)
        check_choice("convlstm_at", self.convlstm_at, CONVLSTM_PLACES)
        check_choice("attention_source", self.attention_source, ATTENTION_SOURCES)
        check_choice("dc", self.dc, DC_KINDS)
        check_choice("loss", self.loss, LOSSES)


def attend(logits: Tensor, image: Tensor) -> Tensor:
    """Eq. 1: copies of the image, one per class, each weighted with that class's probability.

    logits : (batch, class, y, x)
    image : (batch, 2, y, x)
    returns (batch, 2 * class, y, x), class by class; the copies add up to the image
    """
    probability = logits.float().softmax(dim=1)
    copies = probability.unsqueeze(2) * image.unsqueeze(1)  # (batch, class, 2, y, x)
    return copies.flatten(1, 2)


class RecurrentSegmenter(nn.Module):
    """f_Seg: U-Net with a ConvLSTM whose state the caller carries from one iteration to the next."""

    def __init__(self, config: SeraNetConfig) -> None:
        super().__init__()
        self.place = config.convlstm_at
        first, *_, deepest = widths = tuple(config.width * 2**level for level in range(4))
        n_in, n_hidden = {
            "bottleneck": (deepest, deepest),
            "decoder_out": (first, first),
            "input": (2, first),
            "none": (0, 0),
        }[self.place]
        self.unet = UNet(first if self.place == "input" else 2, config.n_classes, widths, norm=config.norm)
        self.cell = ConvLstmCell(n_in, n_hidden) if n_hidden else None

    def remember(self, place: str, features: Tensor, state: State | None) -> tuple[Tensor, State | None]:
        """Pass the features through the ConvLSTM if it sits at `place`."""
        if self.cell is None or place != self.place:
            return features, state
        new: State = self.cell(features, state)
        return new[0], new

    def forward(self, image: Tensor, state: State | None) -> tuple[Tensor, State | None]:
        """(batch, 2, y, x) and the state of the last iteration, None at t = 0 -> logits and the new state."""
        shape = (image.shape[-2], image.shape[-1])
        features = pad_to_multiple(image, self.unet.factor)
        features, state = self.remember("input", features, state)
        features, skips = self.unet.encode(features)
        features, state = self.remember("bottleneck", features, state)
        features, state = self.remember("decoder_out", self.unet.decode(features, skips), state)
        logits: Tensor = self.unet.head(features)
        return crop_to(logits, shape), state


class Reconstruction(nn.Module):
    """f_Rec: N times Reg block and data consistency, with weights of its own for each n."""

    def __init__(self, config: SeraNetConfig) -> None:
        super().__init__()
        self.regs = nn.ModuleList(reg_block(config, 2) for _ in range(config.n_blocks))
        self.dcs = nn.ModuleList(DataConsistency(config.dc, config.dc_weight) for _ in range(config.n_blocks))

    def forward(self, kspace: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Measurement -> x_0^(N-1) and x_0^(N), each (batch, 2, y, x); x_0^(0) is the zero-filled image."""
        image = before = to_image(kspace)
        for reg, dc in zip(self.regs, self.dcs, strict=True):
            before, image = image, dc(reg(image, image), kspace, mask)
        return before, image


def reg_block(config: SeraNetConfig, n_in: int) -> nn.Module:
    """Reg block of the configured type for `n_in` channels."""
    block = REG_BLOCKS[config.reg]
    if block is AutoEncoder:
        return AutoEncoder(n_in, config.reg_width, skip=config.reg_skip)
    return block(n_in, config.reg_width)


class SERANet(SegmentationModel):
    """Reconstruct, segment, and let the segmentation steer the next reconstruction, T times."""

    paper: ClassVar[str] = (
        "Huang, Chen, Metaxas, Nadar: Brain segmentation from k-space with end-to-end recurrent attention "
        "network, MICCAI 2019"
    )
    description: ClassVar[str] = "unrolled reconstruction, recurrent U-Net and class attention, end to end"
    Config = SeraNetConfig
    config: SeraNetConfig
    recipe, stages = read_recipe("seranet")

    def __init__(self, config: SeraNetConfig | None = None) -> None:
        super().__init__()
        config = config or SeraNetConfig()
        self.config = config
        self.reconstruct = Reconstruction(config)
        self.segment = RecurrentSegmenter(config)
        attends = config.n_iterations > 0
        self.att_reg = reg_block(config, 2 * config.n_classes) if attends else None
        self.att_dc = DataConsistency(config.dc, config.dc_weight) if attends else None
        self.apply(he_normal)
        if self.segment.cell is not None:
            self.segment.cell.open_forget_gate()

    def forward(self, kspace: Tensor, mask: Tensor) -> Output:
        """See `SegmentationModel.forward`; logits s_0 .. s_T and images x_0^(N), x_1 .. x_T."""
        source, image = self.reconstruct(kspace, mask)
        logits, state = self.segment(image, None)
        all_logits, images = [logits], [image]
        for _ in range(self.config.n_iterations):
            assert self.att_reg is not None and self.att_dc is not None
            if self.config.attention_source == "prev":
                source = image
            # the copies add up to `source`, which is therefore the image that AttReg corrects
            image = self.att_dc(self.att_reg(attend(logits, source), source), kspace, mask)
            logits, state = self.segment(image, state)
            all_logits.append(logits)
            images.append(image)
        return Output(tuple(all_logits), tuple(images))

    def loss(self, output: Output, batch: Batch) -> Tensor:
        """One of the three losses of the paper's Table 1."""
        last = cross_entropy(output.segmentation, batch.labels)
        if self.config.loss == "ce_all":
            return last + torch.stack([cross_entropy(s, batch.labels) for s in output.logits[:-1]]).sum()
        if self.config.loss == "ce_l2":
            return last + mean_squared_error(output.image, batch.image)
        return last
