"""Random changes to training pictures: pure functions of the seed, the epoch and the picture."""

from tenfold.augment.compose import Augment, build

__all__ = ["Augment", "build"]
