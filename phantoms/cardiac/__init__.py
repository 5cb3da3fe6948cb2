"""The beating heart in its thorax: a population, any frame of the cycle, any lattice, no download."""

from phantoms.cardiac.source import Cardiac

__all__ = ["Cardiac"]
