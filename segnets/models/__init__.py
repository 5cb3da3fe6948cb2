"""The table of networks. A new one is a file here, a line in MODELS and a test."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Any

from segnets.config import check_choice

if TYPE_CHECKING:
    from segnets.models.base import SegmentationModel

# name -> "module:class", resolved when it is wanted: listing the names loads no torch
MODELS: dict[str, str] = {
    "seranet": "segnets.models.seranet:SERANet",
    "one-step": "segnets.models.one_step:OneStep",
    "joint": "segnets.models.joint:Joint",
    "crdn": "segnets.models.crdn:CRDN",
    "fcn": "segnets.models.fcn:FCN2s",
    "segnet": "segnets.models.segnet:SegNetUnpool",
    "unet": "segnets.models.unet:BackboneUNet",
    "two-step": "segnets.models.two_step:TwoStep",
    "segnetmri": "segnets.models.segnetmri:SegNetMRI",
    "syn-net": "segnets.models.syn_net:SynNet",
    "li-net": "segnets.models.li_net:LINet",
    "disk": "segnets.models.disk:DiSK",
    "semunet": "segnets.models.semunet:SemuNet",
    "loupe-seg": "segnets.models.loupe_seg:LoupeSeg",
    "baseline": "segnets.models.baseline:Baseline",
    "liu": "segnets.models.liu:Liu",
}

# networks that end at the image: their output has no logits
RECONSTRUCTORS: dict[str, str] = {
    "loupe": "segnets.models.loupe:Loupe",
    "md-recon-net": "segnets.models.md_recon_net:MDReconNet",
}


def model_class(name: str) -> type[SegmentationModel]:
    """Return the class of the network called `name`; ValueError that lists the known names otherwise."""
    known = MODELS | RECONSTRUCTORS
    check_choice("model", name, known)
    module, _, attribute = known[name].partition(":")
    found: type[SegmentationModel] = getattr(import_module(module), attribute)
    return found


def build_model(name: str, options: Mapping[str, Any] | None = None) -> SegmentationModel:
    """Build the network `name` with `options`, fields of its `Config`; torch's generator draws weights."""
    cls = model_class(name)
    return cls(cls.configure(options or {}))
