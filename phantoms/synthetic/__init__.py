"""The procedural head: twelve BrainWeb classes, any resolution, any number of subjects, no download."""

from phantoms.synthetic.source import SyntheticBrain

__all__ = ["SyntheticBrain"]
