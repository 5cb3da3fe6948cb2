"""DiSK: segmentation of sampled k-space by a transformer (Zhang et al., 2025), without any image in between.

Every acquired sample is a token: its complex value and its coordinates. Perceiver layers read all tokens into
a fixed number of latent vectors; blocks of cross-attention turn those and the coordinates of a pixel into the
class logits at that pixel. The paper states four layers of each; all widths are defaults of ours.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

from segnets.blocks.fourier import to_image
from segnets.blocks.fourier_features import fourier_features, grid_coordinates
from segnets.config import check
from segnets.models.base import ModelConfig, Output, SegmentationModel
from segnets.recipes import read_cine, read_recipe
from segnets.stages import Stage

if TYPE_CHECKING:
    from segnets.data import Batch


MARGIN = 0.1  # of the image, around the box that holds the heart


@dataclass(frozen=True, kw_only=True, slots=True)
class DiskConfig(ModelConfig):
    """Options of DiSK."""

    width: int = 256  # d, of latents and queries
    n_latents: int = 256  # M
    n_layers: int = 4  # L, of the encoder and of the decoder
    n_heads: int = 8  # of width / n_heads each, except where tokens are read
    token_head: int = 64  # width of the single head that reads the tokens
    sharpness: float = 5 / 3  # standard deviation of what its softmax is given before training
    loudness: float = 5.0  # of a sample's value beside its place before training, times nn.Linear's own
    n_bands: int = 32  # frequencies per coordinate
    compress: bool = True  # v -> v / |v| log(1 + |v|) after division by the RMS
    chunk: int = 32_768  # queries at a time, which bounds the memory
    queries: int = 16_384  # points per scan and training step, half of them near the heart; 0 = all pixels

    def __post_init__(self) -> None:
        ModelConfig.__post_init__(self)
        for name in ("width", "n_latents", "n_layers", "n_heads", "token_head", "n_bands", "chunk"):
            check(getattr(self, name) >= 1, name, "be at least 1", getattr(self, name))
        check(self.queries >= 0, "queries", "be zero or positive", self.queries)
        for name in ("sharpness", "loudness"):
            check(getattr(self, name) > 0, name, "be positive", getattr(self, name))
        check(self.width % self.n_heads == 0, "width", f"divide by {self.n_heads} heads", self.width)

    @property
    def makes_image(self) -> bool:
        """See `ModelConfig.makes_image`."""
        return False


class Attention(nn.Module):
    """Multi-head attention of queries to a context, each normalised first; q, k, v without bias."""

    def __init__(self, width: int, context: int, n_heads: int, head: int) -> None:
        super().__init__()
        self.n_heads = n_heads
        self.norm, self.norm_context = nn.LayerNorm(width), nn.LayerNorm(context)
        self.to_q = nn.Linear(width, n_heads * head, bias=False)
        self.to_kv = nn.Linear(context, 2 * n_heads * head, bias=False)
        self.out = nn.Linear(n_heads * head, width)

    def forward(self, x: Tensor, context: Tensor, keep: Tensor | None = None) -> Tensor:
        """Read from the context.

        x : (batch, n, width); context : (batch, m, context); keep : (batch, m) bool, False = not looked at
        returns (batch, n, width)
        """
        q, kv = self.to_q(self.norm(x)), self.to_kv(self.norm_context(context))
        q, k, v = (
            part.unflatten(-1, (self.n_heads, -1)).transpose(1, 2) for part in (q, *kv.chunk(2, dim=-1))
        )  # (batch, head, n or m, channel)
        mask = None if keep is None else keep[:, None, None, :]
        read = functional.scaled_dot_product_attention(q, k, v, attn_mask=mask)
        out: Tensor = self.out(read.transpose(1, 2).flatten(2))
        return out


def feed_forward(width: int) -> nn.Sequential:
    """Normalise, widen four times, GELU, narrow."""
    return nn.Sequential(
        nn.LayerNorm(width), nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width)
    )


class PerceiverLayer(nn.Module):
    """Latents read the tokens, then one another (Jaegle et al., ICML 2021).

    A softmax of nearly equal logits over tens of thousands of samples is their mean, from which nothing is
    learnt for a long time: `DiskConfig.sharpness` begins with each latent looking at a few samples.
    """

    def __init__(self, config: DiskConfig) -> None:
        super().__init__()
        width = config.width
        self.read = Attention(width, width, 1, config.token_head)
        with torch.no_grad():
            self.read.to_q.weight *= 3 * config.sharpness  # nn.Linear's own make it 1/3
        self.after_read = feed_forward(width)
        self.mix = Attention(width, width, config.n_heads, width // config.n_heads)
        self.after_mix = feed_forward(width)

    def forward(self, latents: Tensor, tokens: Tensor, keep: Tensor | None) -> Tensor:
        """(batch, latent, width), (batch, token, width), (batch, token) bool -> (batch, latent, width)."""
        latents = latents + self.read(latents, tokens, keep)
        latents = latents + self.after_read(latents)
        latents = latents + self.mix(latents, latents)
        out: Tensor = latents + self.after_mix(latents)
        return out


class QueryBlock(nn.Module):
    """Queries read the latents, not one another."""

    def __init__(self, config: DiskConfig) -> None:
        super().__init__()
        width = config.width
        self.read = Attention(width, width, config.n_heads, width // config.n_heads)
        self.after_read = feed_forward(width)

    def forward(self, queries: Tensor, latents: Tensor) -> Tensor:
        """(batch, query, width), (batch, latent, width) -> (batch, query, width)."""
        queries = queries + self.read(queries, latents)
        out: Tensor = queries + self.after_read(queries)
        return out


def acquired(
    kspace: Tensor, mask: Tensor, samples: tuple[int, int] | None = None
) -> tuple[Tensor, Tensor, Tensor | None]:
    """Pick the samples that the mask keeps.

    kspace : (batch, 2, [frame,] ky, kx)
    mask : the same with 1 for 2, or with 1 for kx, too, where it keeps whole lines
    samples : fewest and most that a mask of the batch may keep; counting them waits for the device
    returns values (batch, token, 2), coordinates (batch, token, 3) in [-1, 1], and, where the samples of the
    batch have different numbers of tokens, which are real, (batch, token) bool
    """
    unit = kspace.shape[-1] // mask.shape[-1]  # samples that stand and fall together: a line, or one
    on = mask.expand(len(kspace), 1, *kspace.shape[2:-1], -1).flatten(1)  # (batch, unit)
    counts = on.sum(dim=1) * unit
    if on.is_meta:  # a mask without values, for counting operations, keeps everything
        samples = (on.shape[1] * unit, on.shape[1] * unit)
    fewest, most = samples or (int(n) for n in torch.stack((counts.amin(), counts.amax())).tolist())
    kept = on.argsort(dim=1, descending=True, stable=True)[:, : most // unit, None]
    order = (kept * unit + torch.arange(unit, device=on.device)).flatten(1)  # (batch, token)
    values = kspace.flatten(2).gather(2, order[:, None].expand(-1, 2, -1)).transpose(1, 2)
    coordinates = grid_coordinates(kspace.shape[2:], kspace.device)[order]
    keep = None if fewest == most else torch.arange(most, device=order.device) < counts[:, None]
    return values, coordinates, keep


def scaled(values: Tensor, keep: Tensor | None, *, compress: bool) -> Tensor:
    """Divide the samples of a scan by their RMS and compress their magnitude; k-space spans five decades.

    values : (batch, token, 2)
    """
    weight = torch.ones_like(values[..., 0]) if keep is None else keep.float()
    power = (values.square().sum(dim=-1) * weight).sum(dim=1) / weight.sum(dim=1).clamp_min(1)
    values = values / power.sqrt().clamp_min(torch.finfo(torch.float32).tiny)[:, None, None]
    if not compress:
        return values
    size = torch.linalg.vector_norm(values, dim=-1, keepdim=True).clamp_min(1e-12)
    compressed: Tensor = values * size.log1p() / size
    return compressed


def random_points(labels: Tensor, n: int) -> Tensor:
    """Draw n pixels of every scan: half anywhere, half from the box that holds its heart in all frames.

    The box is wider by `MARGIN` of the image on every side; without a heart it is the whole image.

    labels : (batch, [frame,] y, x), 0 = background
    returns (batch, n) places in the flattened scan
    """
    series = labels if labels.ndim == 4 else labels[:, None]
    n_frames, *sides = series.shape[1:]
    heart = series.amax(dim=1) > 0  # (batch, y, x)
    near = torch.arange(n, device=labels.device) < n // 2
    where = torch.rand(3, len(labels), n, device=labels.device)
    place = (where[0] * n_frames).long()
    for axis, size in enumerate(sides):
        first, last = span(heart.any(dim=2 - axis), round(MARGIN * size))  # (batch, 1)
        start, width = torch.where(near, first, 0), torch.where(near, last + 1 - first, size)
        place = place * size + start + (where[1 + axis] * width).long()
    return place


def span(on: Tensor, margin: int) -> tuple[Tensor, Tensor]:
    """First and last place that is on in each row of (batch, n), and `margin` more; all of a row without.

    returns twice (batch, 1) int64
    """
    end = on.shape[1] - 1
    first, last = on.float().argmax(dim=1), end - on.flip(1).float().argmax(dim=1)
    return (first - margin).clamp_min(0)[:, None], (last + margin).clamp_max(end)[:, None]


class DiSK(SegmentationModel):
    """Perceiver encoder of the acquired samples, cross-attention decoder of pixel coordinates."""

    paper: ClassVar[str] = (
        "Zhang et al.: Reconstruction-free segmentation from undersampled k-space using transformers, 2025"
    )
    description: ClassVar[str] = "transformer from the acquired samples to classes, without an image"
    Config = DiskConfig
    config: DiskConfig
    recipe, stages = read_recipe(
        "disk", Stage(name="train", run="learn", inputs=("kspace", "mask", "labels", "samples"))
    )
    cine = read_cine("disk")
    fixed_axes = 3  # coordinates and their frequencies are relative to the grid

    def __init__(self, config: DiskConfig | None = None) -> None:
        super().__init__()
        config = config or DiskConfig()
        self.config = config
        n_position = 3 * (2 * config.n_bands + 1)
        self.embed = nn.Linear(2 + n_position, config.width)
        self.embed_query = nn.Linear(n_position, config.width)
        with torch.no_grad():
            self.embed.weight[:, :2] *= config.loudness
        self.latents = nn.Parameter(0.02 * torch.randn(config.n_latents, config.width))
        self.encoder = nn.ModuleList(PerceiverLayer(config) for _ in range(config.n_layers))
        self.decoder = nn.ModuleList(QueryBlock(config) for _ in range(config.n_layers))
        self.head = nn.Sequential(nn.LayerNorm(config.width), nn.Linear(config.width, config.n_classes))

    def encode(
        self, values: Tensor, coordinates: Tensor, sizes: tuple[int, int, int], keep: Tensor | None = None
    ) -> Tensor:
        """Read the tokens, in any order.

        values : (batch, token, 2), scaled
        coordinates : (batch, token, 3) of (ky, kx, frame) in [-1, 1]; sizes : points along each axis
        keep : (batch, token) bool, False = padding
        returns (batch, latent, width)
        """
        position = fourier_features(coordinates, sizes, self.config.n_bands)
        tokens = self.embed(torch.cat((values, position), dim=-1))
        latents = self.latents.expand(len(values), -1, -1)
        for layer in self.encoder:
            latents = layer(latents, tokens, keep)
        return latents

    def decode(self, latents: Tensor, points: Tensor, sizes: tuple[int, int, int]) -> Tensor:
        """Latents, points ([batch,] point, 3) of (y, x, frame) in [-1, 1] -> logits (batch, point, class)."""
        features = fourier_features(points, sizes, self.config.n_bands)
        queries = self.embed_query(features).expand(len(latents), -1, -1)
        for block in self.decoder:
            queries = block(queries, latents)
        logits: Tensor = self.head(queries)
        return logits

    def forward(self, kspace: Tensor, mask: Tensor, samples: tuple[int, int] | None = None) -> Output:
        """See `SegmentationModel.forward`; all pixels are queried. The image is the zero-filled one, unused.

        Several frames, (batch, 2, frame, ky, kx), give logits (batch, class, frame, y, x).

        samples : see `acquired`
        """
        grid = tuple(kspace.shape[2:])
        logits = self._at(grid_coordinates(grid, kspace.device), kspace, mask, samples)
        return Output((logits.reshape(*logits.shape[:2], *grid),), (to_image(kspace),))

    def learn(
        self, kspace: Tensor, mask: Tensor, labels: Tensor, samples: tuple[int, int] | None = None
    ) -> Output:
        """Training: ask for `queries` random points of each scan only; in evaluation for all pixels.

        labels : (batch, [frame,] y, x), which say where the heart is
        """
        grid, n = kspace.shape[2:], self.config.queries
        if not self.training or not 0 < n < grid.numel():
            output: Output = self(kspace, mask, samples)
            return output
        where = random_points(labels, n)
        logits = self._at(grid_coordinates(grid, kspace.device)[where], kspace, mask, samples)
        return Output((logits,), (), oracle=labels.flatten(1).gather(1, where))

    def _at(
        self, points: Tensor, kspace: Tensor, mask: Tensor, samples: tuple[int, int] | None = None
    ) -> Tensor:
        """(batch, class, point) logits at points ([batch,] point, 3), some at a time."""
        grid = tuple(kspace.shape[2:])
        sizes = (grid[-2], grid[-1], grid[0] if len(grid) == 3 else 1)
        values, coordinates, keep = acquired(kspace, mask, samples)
        values = scaled(values, keep, compress=self.config.compress)
        latents = self.encode(values, coordinates, sizes, keep)
        chunks = torch.split(points, self.config.chunk, dim=-2)
        return torch.cat([self._chunk(latents, some, sizes) for some in chunks], dim=1).transpose(1, 2)

    def _chunk(self, latents: Tensor, points: Tensor, sizes: tuple[int, int, int]) -> Tensor:
        """Decode some points; what the backward pass needs of them is computed again then."""
        if not torch.is_grad_enabled():
            return self.decode(latents, points, sizes)
        out: Tensor = checkpoint(self.decode, latents, points, sizes, use_reentrant=False)
        return out

    def loss(self, output: Output, batch: Batch) -> Tensor:
        """Binary cross-entropy of the class channels + soft Dice of the foreground (sums over each scan)."""
        logits = output.segmentation.float()
        truth = functional.one_hot(output.truth(batch), self.config.n_classes).movedim(-1, 1).float()
        p, g = logits.sigmoid()[:, 1:].flatten(2), truth[:, 1:].flatten(2)  # (batch, class, point)
        dice = (2 * (p * g).sum(2) + 1) / (p.sum(2) + g.sum(2) + 1)
        return functional.binary_cross_entropy_with_logits(logits, truth) + 1 - dice.mean()
