"""What every network promises: undersampled k-space and its mask in, class logits and images out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, Self

from torch import Tensor, nn

from segnets.config import Recipe, check, check_choice
from segnets.losses import cross_entropy, mean_squared_error
from segnets.stages import Stage

if TYPE_CHECKING:
    from segnets.data import Batch


class Output(NamedTuple):
    """What a forward pass returns; a named tuple because Fabric and torch.compile walk through it.

    logits : s_0 .. s_T, each (batch, class, [frame,] y, x), unnormalised
    images : x_0^(N), x_1 .. x_T, each (batch, 2, [frame,] y, x), real and imaginary part
    codes : what else a loss compares, such as latent codes; no answer of the network
    oracle : (batch, point) classes at the points that it was asked for, if not at all pixels: then the logits
        are (batch, class, point)
    """

    logits: tuple[Tensor, ...]
    images: tuple[Tensor, ...]
    codes: tuple[Tensor, ...] = ()
    oracle: Tensor | None = None

    @property
    def segmentation(self) -> Tensor:
        """(batch, class, [frame,] y, x) logits of the network's answer: the last ones."""
        return self.logits[-1]

    def truth(self, batch: Batch) -> Tensor:
        """Classes that the answer should have, pixel by pixel or at its points."""
        return batch.labels if self.oracle is None else self.oracle

    @property
    def answer(self) -> Tensor | None:
        """The same, or None where the network ends at the image."""
        return self.logits[-1] if self.logits else None

    @property
    def image(self) -> Tensor:
        """(batch, 2, [frame,] y, x) the image behind the answer."""
        return self.images[-1]


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelConfig:
    """Architecture options that every network has."""

    n_classes: int = 4

    def __post_init__(self) -> None:
        check(self.n_classes >= 2, "n_classes", "be at least 2", self.n_classes)

    @property
    def samples_itself(self) -> bool:
        """Whether the network brings its own sampling pattern and must be given fully sampled k-space."""
        return False

    @property
    def makes_image(self) -> bool:
        """Whether the last image of the output is the network's work, and not the zero-filled one."""
        return True


class SegmentationModel(nn.Module):
    """A network from undersampled k-space to class logits.

    Subclasses set the class attributes, take their `Config` and define `forward`; they may redefine `loss`.
    """

    paper: ClassVar[str]
    description: ClassVar[str]
    Config: ClassVar[type[ModelConfig]] = ModelConfig
    recipe: ClassVar[Recipe] = Recipe()
    cine: ClassVar[Recipe | None] = None  # of series of frames; None = it takes none
    revision: ClassVar[int] = 1  # a benchmark trains again what it trained before a change of the training
    windows: ClassVar[bool] = False  # whether it may train on some frames of a series
    fixed_axes: ClassVar[int] = 0  # last ones of [frame,] y, x whose sizes must stay those of the training
    stages: ClassVar[tuple[Stage, ...]] = (Stage(name="train"),)
    fine_tuning: ClassVar[tuple[Stage, ...]] = ()  # of a trained network; () = its last stage once more

    config: ModelConfig

    @classmethod
    def stages_from(cls, *, trained: bool) -> tuple[Stage, ...]:
        """Stages of a training that begins with random weights, or with those of a trained network."""
        if not trained:
            return cls.stages
        return cls.fine_tuning or (replace(cls.stages[-1], enter=""),)

    @classmethod
    def epochs_from(cls, *, trained: bool) -> int:
        """Epochs of these stages in the paper."""
        stages = cls.stages_from(trained=trained)
        whole = sum(stage.epochs for stage in cls.stages)
        return round(cls.recipe.epochs * sum(stage.epochs for stage in stages) / whole)

    def lr_factor(self, name: str) -> float:  # noqa: ARG002 - for subclasses
        """Factor on the learning rate of the parameter called `name`."""
        return 1.0

    @classmethod
    def configure(cls, options: Mapping[str, Any]) -> ModelConfig:
        """Turn `options` into a checked `Config`; an unknown name is a ValueError that lists all."""
        for name in options:
            check_choice("option", name, [f.name for f in fields(cls.Config)])
        return cls.Config(**options)

    def forward(self, kspace: Tensor, mask: Tensor) -> Output:
        """Segment.

        kspace : (batch, 2, [frame,] ky, kx) float32, real and imaginary, centred, orthonormal, zero where not
            sampled, scaled so that the largest magnitude of the zero-filled image is 1
        mask : (batch, 1, [frame,] ky, 1 or kx) float32, 1 = sampled
        """
        raise NotImplementedError

    def begin(self, stage: Stage) -> None:
        """Let only the parts learn that this stage trains; the others are frozen."""
        for name, weight in self.named_parameters():
            learns = any(name == part or name.startswith(f"{part}.") for part in stage.trainable)
            weight.requires_grad_(learns or not stage.trainable)
        self.train()

    def train(self, mode: bool = True) -> Self:
        """Enter training mode; a part whose weights are all frozen stays in evaluation mode."""
        super().train(mode)
        for part in self.modules() if mode else ():
            weights = list(part.parameters())
            if weights and not any(weight.requires_grad for weight in weights):
                part.eval()
        return self

    def loss(self, output: Output, batch: Batch) -> Tensor:
        """Scalar training loss: cross-entropy of the last logits, mean over pixels and batch."""
        return cross_entropy(output.segmentation, batch.labels)

    def pattern(self) -> Tensor | None:
        """Return the binary sampling pattern (1, 1, ky, kx) that the network brings along, or None."""
        sampling = getattr(self, "sampling", None)
        return None if sampling is None else sampling.pattern()

    def n_parameters(self) -> int:
        """Count the trainable weights."""
        return sum(p.numel() for p in self.parameters() if p.requires_grad)


class ReconstructionModel(SegmentationModel):
    """A network that ends at the image: its output holds images and no logits."""

    def loss(self, output: Output, batch: Batch) -> Tensor:
        """Mean squared error against the fully sampled image, with its noise."""
        return mean_squared_error(output.image, batch.image)
