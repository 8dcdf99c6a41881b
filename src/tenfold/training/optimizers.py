"""From a recipe's optimizer and schedule to a Keras optimizer."""

from __future__ import annotations

from typing import Any

import keras

from tenfold.models import STEM
from tenfold.recipe import Recipe
from tenfold.training.muon import Muon
from tenfold.training.muon_sgd import MuonSGD
from tenfold.training.schedules import Schedule

# Decay shrinks what multiplies pictures; shrinking what shifts or rescales a channel only hurts.
_NOT_DECAYED = ["bias", "gamma", "beta"]


def build_optimizer(recipe: Recipe, steps: int) -> keras.optimizers.Optimizer:
    """Build the optimizer of a recipe for a training of ``steps`` steps.

    Weight decay is decoupled from the gradient for every optimizer (Loshchilov and Hutter, 2019)
    and leaves biases and batch normalization alone.
    """
    section = recipe.optimizer
    settings: dict[str, Any] = {
        "learning_rate": Schedule(recipe.schedule, section.learning_rate, steps),
        "weight_decay": section.weight_decay,
        "global_clipnorm": section.clip_norm,
        "use_ema": recipe.training.average > 0,
        "ema_momentum": recipe.training.average or 0.99,
    }
    optimizer: keras.optimizers.Optimizer
    if section.name == "muon-sgd":  # which decays by itself, and not its filters
        del settings["weight_decay"]
        return MuonSGD(
            peak=section.learning_rate,
            batch_size=recipe.training.batch_size,
            momentum=section.momentum,
            decay=section.weight_decay,
            bias_rate=section.bias_rate,
            head_rate=section.head_rate,
            stem=STEM,
            stem_share=section.stem_share,
            **settings,
        )
    match section.name:
        case "rmsprop":
            optimizer = keras.optimizers.RMSprop(momentum=section.momentum, **settings)
        case "sgd":
            optimizer = keras.optimizers.SGD(momentum=section.momentum, nesterov=True, **settings)
        case "adamw":
            optimizer = keras.optimizers.AdamW(**settings)
        case "muon":
            optimizer = Muon(
                momentum=section.momentum,
                exclude_layers=["logits"],
                adam_weight_decay=section.weight_decay,
                **settings,
            )
    optimizer.exclude_from_weight_decay(var_names=_NOT_DECAYED)
    return optimizer
