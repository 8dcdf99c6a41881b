"""What changes in the course of a training: how large its pictures are, and which weights move."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from keras import ops
from numpy.typing import NDArray

from tenfold.models import STEM
from tenfold.recipe import Recipe
from tenfold.training.time_budget import Phases


@dataclass(frozen=True)
class Phase:
    """A part of a training.

    Attributes:
        size: side of the pictures that are computed, pixels; None: as they come.
        stem: whether the first layer's bias is trained, where a network has such a layer. Where it
            is not, no gradient is computed for the largest activations of the network.
    """

    size: int | None = None
    stem: bool = True

    def trains(self, path: str) -> bool:
        """Whether the variable of this Keras path is trained."""
        return self.stem or not path.startswith(f"{STEM}/")

    def shrink(self, pictures: Any) -> Any:
        """The pictures, float32 (N, S, S, C), at the phase's size."""
        if self.size is None or self.size == pictures.shape[1]:
            return pictures
        weights = _area_weights(pictures.shape[1], self.size)
        # Rows, then columns: two small products, where resizing gathers pixel by pixel.
        return ops.einsum("jc,nick->nijk", weights, ops.einsum("ir,nrck->nick", weights, pictures))


WHOLE = Phase()


def phase_at(recipe: Recipe, progress: float) -> Phase:
    """The phase of an epoch that begins at a progress from 0 to 1 through the training."""
    training = recipe.training
    small = training.small_size is not None and progress < training.small_share
    return Phase(
        size=training.small_size if small else None,
        stem=recipe.optimizer.name != "muon-sgd" or progress < recipe.optimizer.stem_share,
    )


def has_phases(recipe: Recipe) -> bool:
    """Whether anything changes in the course of a recipe's training but its learning rate."""
    return phase_at(recipe, 0.0) != WHOLE or phase_at(recipe, 1.0) != WHOLE


def costs(recipe: Recipe, size: int) -> Phases:
    """What steps cost beside each other, for planning: as the pixels of their pictures.

    Args:
        recipe: what is trained.
        size: side of the dataset's pictures, pixels.
    """
    training = recipe.training
    if training.small_size is None or training.small_size >= size or not training.small_share:
        return Phases()
    small = (training.small_share, (training.small_size / size) ** 2)
    return Phases([small, (1 - training.small_share, 1.0)] if training.small_share < 1 else [small])


def _area_weights(before: int, after: int) -> NDArray[np.float32]:
    """Each row the share of every old pixel in a new one, by the length that they have in common.

    Returns:
        float32 (after, before), rows that add up to 1.
    """
    edges = np.arange(after + 1) * (before / after)
    pixels = np.arange(before)
    start = np.maximum(edges[:-1, None], pixels)
    end = np.minimum(edges[1:, None], pixels + 1)
    weights: NDArray[np.float32] = (np.clip(end - start, 0, None) * (after / before)).astype(
        np.float32
    )
    return weights
