"""A model whose answers are known by heart, and runs that hold it: no training, no TensorFlow."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

import onnx
from onnx import TensorProto, helper
from PIL import Image

from tenfold.recipe import Recipe
from tenfold.run import Run
from tenfold.serving.export.facts import Facts

COLOURS = ("red", "green", "blue")


def write_model(path: Path, class_names: Sequence[str] = COLOURS, size: int = 4) -> Path:
    """Write a model that says which colour a picture has.

    The probability of a colour is its share of all light: (60, 30, 10) is red by 0.6, green by 0.3
    and blue by 0.1. A black picture has no light, and NaN for an answer.

    Args:
        path: of the file.
        class_names: three, in the place of red, green and blue.
        size: side of the pictures that it takes, pixels.
    """
    facts = Facts(
        class_names=tuple(class_names),
        size=size,
        offset=(0.0,) * 3,
        scale=(1.0,) * 3,
        temperature=1.0,
        recipe=Recipe(name="colours").to_toml(),
        version="0",
    )
    nodes = [
        helper.make_node("Cast", ["pixels"], ["light"], to=TensorProto.FLOAT),
        helper.make_node("Transpose", ["light"], ["planes"], perm=[0, 3, 1, 2]),
        helper.make_node("GlobalAveragePool", ["planes"], ["means"]),
        helper.make_node("Flatten", ["means"], ["channels"]),
        helper.make_node("Gemm", ["channels", "ones"], ["all"]),
        helper.make_node("Div", ["channels", "all"], ["probabilities"]),
    ]
    graph = helper.make_graph(
        nodes,
        "colours",
        [helper.make_tensor_value_info("pixels", TensorProto.UINT8, ["N", size, size, 3])],
        [helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["N", 3])],
        [helper.make_tensor("ones", TensorProto.FLOAT, [3, 1], [1, 1, 1])],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    helper.set_model_props(model, facts.to_texts())
    onnx.checker.check_model(model, full_check=True)
    path.write_bytes(model.SerializeToString())
    return path


def write_run(folder: Path, class_names: Sequence[str] = COLOURS, size: int = 4) -> Run:
    """Make a run that holds such a model, and what else `predict` looks for."""
    run = Run.create(folder, "colours")
    run.recipe_path.write_text(Recipe(name="colours").to_toml(), encoding="utf-8")
    write_model(run.onnx_path, class_names, size)
    run.result_path.write_text('{"schema": 1}', encoding="utf-8")  # else it may still be training
    return run


def picture(
    colour: tuple[int, int, int],
    form: str = "PNG",
    size: tuple[int, int] = (4, 4),
    **options: object,
) -> bytes:
    """A picture file of one colour."""
    buffer = io.BytesIO()
    Image.new("RGB", size, colour).save(buffer, form, **options)
    return buffer.getvalue()


RED, GREEN, BLUE = picture((60, 30, 10)), picture((30, 60, 10)), picture((10, 30, 60))
