"""Small versions of every network, and batches for them."""

from dataclasses import fields

import numpy as np
import torch

from segnets.data import undersample
from segnets.masks import Lines
from segnets.models import build_model, model_class
from tests.stores import CINE_SIGNAL, SIGNAL, beating_labels, centred_fft2, ellipse_labels

# a new network adds its line
SMALL = {
    "seranet": {"n_blocks": 2, "width": 4, "reg_width": 4},
    "one-step": {"width": 4},
    "joint": {"n_blocks": 2, "width": 4, "reg_width": 4},
    "two-step": {"n_blocks": 2, "width": 4, "reg_width": 4},
    "segnetmri": {"n_blocks": 2, "width": 4},
    "syn-net": {"width": 4, "aux_recon": True},
    "li-net": {"width": 4, "code": 16},
    "crdn": {"width": 4},
    "fcn": {"width": 4},
    "segnet": {"width": 4},
    "unet": {"width": 4},
    "disk": {"width": 16, "n_latents": 8, "n_layers": 2, "n_heads": 2, "token_head": 8, "n_bands": 4},
    "semunet": {"width": 2, "rate": 0.3},
    "loupe-seg": {"width": 2, "rate": 0.3},
    "baseline": {"width": 2, "rate": 0.3},
    "liu": {"width": 2, "rate": 0.3},
    "loupe": {"width": 2, "rate": 0.3},
    "md-recon-net": {"width": 4, "n_stages": 2},
}


def config_options(name, shape=(32, 40), **options):
    """Options of the small network, for images of `shape` where it wants to know."""
    known = [f.name for f in fields(model_class(name).Config)]
    size = {"ny": shape[0], "nx": shape[1]} if "ny" in known else {}
    return {**SMALL[name], **size, **options}


def small(name, shape=(32, 40), **options):
    torch.manual_seed(0)
    return build_model(name, config_options(name, shape, **options))


def sampled(model, batch):
    """The batch as the model is trained on it: fully sampled where it samples by itself."""
    if not model.config.samples_itself:
        return batch
    full = torch.ones_like(batch.mask)
    return undersample(as_kspace(batch.image), full, batch.labels, batch.index)


def as_kspace(image):
    return torch.from_numpy(centred_fft2(torch.complex(image[:, 0], image[:, 1]).numpy())).to(torch.complex64)


def noise_batch(shape=(32, 40), n=2, n_classes=4, seed=0):
    """Random numbers: what a network does with them must be right all the same."""
    g = torch.Generator().manual_seed(seed)
    kspace = torch.randn(n, *shape, dtype=torch.complex64, generator=g)
    mask = Lines(n_ky=shape[0], n_center=4).draw(torch.full((n,), shape[0] // 3), g)
    return undersample(kspace, mask, torch.randint(n_classes, (n, *shape), generator=g), torch.arange(n))


def ellipse_batch(shape=(32, 40), n=4, rate=0.5, seed=0):
    """Heads made of ellipses, noise-free."""
    rng = np.random.default_rng(seed)
    labels = np.stack([ellipse_labels(rng, shape) for _ in range(n)])
    kspace = torch.from_numpy(centred_fft2(SIGNAL[labels]).astype(np.complex64))
    g = torch.Generator().manual_seed(seed)
    mask = Lines(n_ky=shape[0], n_center=8).draw(torch.full((n,), round(rate * shape[0])), g)
    return undersample(kspace, mask, torch.from_numpy(labels), torch.arange(n))


def heart_batch(shape=(32, 40), n=2, n_frames=4, rate=0.5, seed=0):
    """Beating hearts, noise-free, with other lines in every frame."""
    rng = np.random.default_rng(seed)
    labels = np.stack([beating_labels(rng, shape, n_frames) for _ in range(n)])
    kspace = torch.from_numpy(centred_fft2(CINE_SIGNAL[labels]).astype(np.complex64))
    g, n_lines = torch.Generator().manual_seed(seed), torch.full((n,), round(rate * shape[0]))
    mask = Lines(n_ky=shape[0], n_center=2).draw(n_lines, g, n_frames=n_frames)
    return undersample(kspace, mask, torch.from_numpy(labels), torch.arange(n))


def run_stage(model, stage, batch):
    """One forward pass as the training loop makes it -> output, loss."""
    output = getattr(model, stage.run)(*(getattr(batch, name) for name in stage.inputs))
    return output, getattr(model, stage.loss)(output, batch)


def count(name, part="", **options):
    """Weights of the full-size network or of one part of it, without making room for them."""
    with torch.device("meta"):
        model = build_model(name, options)
    return sum(p.numel() for p in getattr(model, part).parameters()) if part else model.n_parameters()
