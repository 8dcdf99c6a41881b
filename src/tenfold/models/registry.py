"""Networks by name.

Every network takes pictures, float32 of shape (N, size, size, 3), normalized as the recipe says,
and ends in a layer called ``logits`` followed by one called ``probabilities``. It is made of stock
Keras layers only, so a saved one opens with plain ``keras.models.load_model``.
"""

from __future__ import annotations

from typing import Literal

import keras

from tenfold.errors import RecipeError
from tenfold.models import lab_1, lab_2
from tenfold.models._parts import Parts
from tenfold.recipe import ModelSection
from tenfold.suggestions import did_you_mean

_LAYERS_OF_INTEREST = {
    "lab-1": lab_1.LAYERS_OF_INTEREST,
    "lab-2": lab_2.LAYERS_OF_INTEREST,
}


def architectures() -> tuple[str, ...]:
    """The names that ``model.name`` may take."""
    return tuple(_LAYERS_OF_INTEREST)


def layers_of_interest(name: str) -> tuple[str, ...]:
    """The layers of a network whose activations are worth a histogram."""
    return _LAYERS_OF_INTEREST[_known(name)]


def build_network(
    section: ModelSection,
    *,
    size: int,
    classes: int,
    seed: int = 0,
    precision: Literal["float32", "bf16"] = "float32",
) -> keras.Model:
    """Build the network that a recipe names, with its initial weights.

    Args:
        section: the recipe's model section.
        size: side of the square pictures, pixels.
        classes: how many classes there are, at least two.
        seed: initial weights and dropout masks follow from it.
        precision: ``bf16`` computes in bfloat16 and keeps weights and logits in float32.

    Returns:
        A Keras model from (N, size, size, 3) to probabilities (N, classes), float32.

    Raises:
        RecipeError: there is no such network.
    """
    name = _known(section.name)
    parts = Parts(section, seed, "mixed_bfloat16" if precision == "bf16" else "float32")
    if name == "lab-1":
        return lab_1.build(parts, size, classes)
    return lab_2.build(parts, size, classes, section.conv_activation)


def _known(name: str) -> str:
    if name in _LAYERS_OF_INTEREST:
        return name
    hint = did_you_mean(name, _LAYERS_OF_INTEREST)
    raise RecipeError(
        f"model.name: there is no network called '{name}'{hint}; "
        f"there are {', '.join(_LAYERS_OF_INTEREST)}"
    )
