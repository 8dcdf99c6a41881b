"""Networks by name.

Every network takes pictures, float32 of shape (N, size, size, 3), normalized as the recipe says,
and ends in a layer called ``logits`` followed by one called ``probabilities``. It is made of stock
Keras layers only, so a saved one opens with plain ``keras.models.load_model``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import keras

from tenfold.errors import RecipeError
from tenfold.models import airbench, googlenet, lab_1, lab_2, mobilenet_v2, resnet, wide_resnet
from tenfold.models._parts import Parts
from tenfold.recipe import ModelSection
from tenfold.suggestions import did_you_mean


@dataclass(frozen=True)
class _Network:
    """One network.

    Attributes:
        build: makes it, of its parts, for a size and a number of classes.
        layers_of_interest: those whose activations are worth a histogram.
        settings: those of the model section that it heeds, beside its name.
        smallest: side of the smallest pictures that it takes, pixels.
        any_size: whether weights that were trained on pictures of one size fit others.
    """

    build: Callable[[Parts, int, int], keras.Model]
    layers_of_interest: tuple[str, ...]
    settings: tuple[str, ...] = ()
    smallest: int = 4
    any_size: bool = True


_LAB_1 = ("dropout", "initial_weights")
_LAB_2 = (*_LAB_1, "conv_activation", "batch_norm")

# A line here makes a network known to recipes, and its tests to those of every network.
_NETWORKS = {
    "lab-1": _Network(lab_1.build, lab_1.LAYERS_OF_INTEREST, _LAB_1, any_size=False),
    "lab-2": _Network(lab_2.build, lab_2.LAYERS_OF_INTEREST, _LAB_2, any_size=False),
    "airbench": _Network(airbench.build, airbench.LAYERS_OF_INTEREST, smallest=airbench.SMALLEST),
    "resnet-20": _Network(resnet.build_20, resnet.LAYERS_OF_INTEREST_20),
    "resnet-18": _Network(resnet.build_18, resnet.LAYERS_OF_INTEREST_18),
    "googlenet": _Network(googlenet.build, googlenet.LAYERS_OF_INTEREST, ("dropout",)),
    "mobilenet-v2": _Network(mobilenet_v2.build, mobilenet_v2.LAYERS_OF_INTEREST, ("dropout",)),
    "wrn-16-4": _Network(wide_resnet.build_16_4, wide_resnet.LAYERS_OF_INTEREST, ("dropout",)),
}


def architectures() -> tuple[str, ...]:
    """The names that ``model.name`` may take."""
    return tuple(_NETWORKS)


def layers_of_interest(name: str) -> tuple[str, ...]:
    """The layers of a network whose activations are worth a histogram."""
    return _known(name).layers_of_interest


def check_section(section: ModelSection) -> None:
    """Refuse a model section that no network can be built from, before any is.

    Raises:
        RecipeError: there is no such network, or it does not heed a setting that is not what it is
            where it is left out.
    """
    network = _known(section.name)
    default = ModelSection(name=section.name)
    for key in ModelSection.model_fields:
        given = getattr(section, key)
        if key not in ("name", *network.settings) and given != getattr(default, key):
            raise RecipeError(
                f"model.{key}: {section.name} has no such choice; leave it out, "
                f"or set it to {getattr(default, key)}. Received: {given}"
            )


def check_small_size(name: str, small_size: int | None) -> None:
    """Refuse smaller pictures for a part of the training where the network cannot take them.

    Args:
        name: of the network.
        small_size: ``training.small_size`` of the recipe.

    Raises:
        RecipeError: it cannot.
    """
    network = _known(name)
    if small_size is None:
        return
    if not network.any_size:
        raise RecipeError(
            f"training.small_size: {name} takes pictures of one size only; leave it out"
        )
    if small_size < network.smallest:
        raise RecipeError(
            f"training.small_size: {name} takes pictures of {network.smallest} pixels or more. "
            f"Received: {small_size}"
        )


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
        RecipeError: as `check_section`.
    """
    check_section(section)
    parts = Parts(section, seed, "mixed_bfloat16" if precision == "bf16" else "float32")
    return _known(section.name).build(parts, size, classes)


def _known(name: str) -> _Network:
    if name in _NETWORKS:
        return _NETWORKS[name]
    hint = did_you_mean(name, _NETWORKS)
    raise RecipeError(
        f"model.name: there is no network called '{name}'{hint}; there are {', '.join(_NETWORKS)}"
    )
