"""What is scanned: phantoms as label maps with a tissue table, from several sources.

`PHANTOMS` names every source; `phantom_source` builds one without importing the others.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from phantoms.phantom import PhantomSource

PHANTOMS = {
    "synthetic": "phantoms.synthetic:SyntheticBrain",
    "brainweb": "phantoms.brainweb:BrainWeb",
    "cardiac": "phantoms.cardiac:Cardiac",
    "nifti": "phantoms.nifti:NiftiPhantom",
    "sphere": "phantoms.objects.sphere:Sphere",
    "cylinder": "phantoms.objects.cylinder:Cylinder",
    "vials": "phantoms.objects.vials:Vials",
}


def phantom_source(name: str, **options: object) -> PhantomSource:
    """Build the source `name` of `PHANTOMS` with its own `options`; ValueError for an unknown name."""
    from importlib import import_module

    from phantoms.names import known

    module, attribute = PHANTOMS[known("phantom", name, PHANTOMS)].split(":")
    source: PhantomSource = getattr(import_module(module), attribute)(**options)
    return source
