"""What travels with an exported model, as texts by name, whatever the format."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from tenfold.run import Run  # imported for its type only: predictions need not wait for it

FORMAT = "tenfold-1"
"""What says that a file is one of ours, and how it says the rest."""
FACTS_FILE = "tenfold.json"
"""Where a format has room for files: all facts, as a JSON object of texts."""
INPUT, OUTPUT = "pixels", "probabilities"
"""The tensors of every exported graph: uint8 (N, size, size, 3), and float32 (N, classes)."""


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What a model is, for whoever has nothing but its file.

    Attributes:
        class_names: the classes, in the order of the probabilities.
        size: side of the pictures, pixels.
        offset: for each channel, what is taken from a pixel's value.
        scale: for each channel, what the rest is divided by.
        temperature: what the logits are divided by before the softmax.
        recipe: of the training, as TOML.
        version: of Tenfold.
        test_accuracy: share of the test split that the trained model gets right; None: not known.
    """

    class_names: tuple[str, ...]
    size: int
    offset: tuple[float, ...]
    scale: tuple[float, ...]
    temperature: float
    recipe: str
    version: str
    test_accuracy: float | None = None

    @classmethod
    def of(cls, run: Run, *, test_accuracy: float | None = None) -> Self:
        """Those of a run.

        Args:
            run: a trained one.
            test_accuracy: of its model; None: what its `result.json` says, if it has one.

        Raises:
            RunError: a file of the run is missing or damaged.
        """
        from importlib import metadata

        facts = run.preprocessing()
        if test_accuracy is None and run.finished:
            tested = run.result().get("test")
            known = tested.get("accuracy") if isinstance(tested, dict) else None
            test_accuracy = known if isinstance(known, float) else None
        return cls(
            class_names=tuple(facts["class_names"]),
            size=facts["size"],
            offset=tuple(facts["offset"]),
            scale=tuple(facts["scale"]),
            temperature=run.temperature(),
            recipe=run.recipe().to_toml(),
            version=metadata.version("tenfold"),
            test_accuracy=test_accuracy,
        )

    def to_texts(self) -> dict[str, str]:
        """Each fact as a text; numbers and lists as JSON. What is not known is left out."""
        texts = {
            "format": FORMAT,
            "tenfold_version": self.version,
            "class_names": json.dumps(self.class_names, ensure_ascii=False),
            "size": json.dumps(self.size),
            "temperature": json.dumps(self.temperature),
            "recipe": self.recipe,
        }
        if self.test_accuracy is not None:
            texts["test_accuracy"] = json.dumps(self.test_accuracy)
        return texts
