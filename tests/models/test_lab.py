"""Networks 1 and 2 are the ones of LAB.md, counted and computed by hand."""

import keras
import numpy as np
import pytest

from tenfold.errors import RecipeError
from tenfold.models import build_network, layers_of_interest
from tenfold.recipe import ModelSection


def by_hand(x, weights, network):
    """A forward pass of one picture in plain NumPy, from the formulas."""

    def conv(x, kernel, bias):
        height, width, _ = x.shape
        padded = np.pad(x, ((2, 2), (2, 2), (0, 0)))
        out = np.zeros((height, width, kernel.shape[-1]))
        for row in range(height):
            for column in range(width):
                window = padded[row : row + 5, column : column + 5]
                out[row, column] = np.tensordot(window, kernel, axes=3) + bias
        return np.maximum(out, 0)

    def pool(x):
        height, width, channels = x.shape
        return x.reshape(height // 2, 2, width // 2, 2, channels).max(axis=(1, 3))

    def selu(x):
        alpha, scale = 1.6732632423543772, 1.0507009873554805
        return scale * np.where(x > 0, x, alpha * (np.exp(np.minimum(x, 0)) - 1))

    w = iter(weights)
    x = pool(conv(x, next(w), next(w)))
    if network == "lab-2":
        gamma, beta, mean, variance = next(w), next(w), next(w), next(w)
        x = (x - mean) / np.sqrt(variance + 1e-3) * gamma + beta
        x = pool(conv(x, next(w), next(w)))
    x = x.reshape(-1)
    if network == "lab-1":
        x = np.maximum(x @ next(w) + next(w), 0)
    else:
        x = selu(x @ next(w) + next(w))
        x = selu(x @ next(w) + next(w))
    logits = x @ next(w) + next(w)
    exponentials = np.exp(logits - logits.max())
    return exponentials / exponentials.sum()


@pytest.mark.parametrize(
    ("name", "trainable", "fixed"),
    [
        # conv 5*5*3*32+32; dense 16*16*32*64+64; logits 64*10+10
        ("lab-1", 2_432 + 524_352 + 650, 0),
        # conv 2,432; scale and centre 2*32; conv 5*5*32*64+64; dense 8*8*64*64+64;
        # dense 64*128+128; logits 128*10+10; fixed: moving mean and variance 2*32
        ("lab-2", 2_432 + 64 + 51_264 + 262_208 + 8_320 + 1_290, 64),
    ],
)
def test_parameter_counts(name, trainable, fixed):
    network = build_network(ModelSection(name=name), size=32, classes=10)
    assert sum(v.numpy().size for v in network.trainable_variables) == trainable
    dropout_states = [v for v in network.non_trainable_variables if "seed" in v.path]
    counted = sum(v.numpy().size for v in network.non_trainable_variables)
    assert counted - sum(v.numpy().size for v in dropout_states) == fixed


@pytest.mark.parametrize("name", ["lab-1", "lab-2"])
def test_forward_pass_by_hand(name):
    network = build_network(ModelSection(name=name), size=8, classes=5, seed=1)
    random = np.random.default_rng(2)
    for layer in network.layers:
        layer.set_weights(
            [np.abs(random.normal(0.1, 0.1, w.shape)) + 0.01 for w in layer.get_weights()]
        ) if layer.get_weights() and "dropout" not in layer.name else None
    weights = [
        w for layer in network.layers if "dropout" not in layer.name for w in layer.get_weights()
    ]
    pictures = random.random((3, 8, 8, 3)).astype("float32") * 0.1
    ours = network(pictures, training=False).numpy()
    expected = np.stack(
        [by_hand(p, [w.astype("float64") for w in weights], name) for p in pictures]
    )
    np.testing.assert_allclose(ours, expected, rtol=1e-4, atol=1e-9)


@pytest.mark.parametrize(("name", "size", "classes"), [("lab-1", 7, 2), ("lab-2", 48, 100)])
def test_any_size_and_class_count(name, size, classes):
    network = build_network(ModelSection(name=name), size=size, classes=classes)
    assert network(np.zeros((2, size, size, 3), "float32")).shape == (2, classes)


def test_published_start_is_a_unit_normal_for_every_weight_and_bias():
    section = ModelSection(name="lab-2", initial_weights="unit-normal")
    network = build_network(section, size=32, classes=10)
    kernel, bias = network.get_layer("conv_2").get_weights()
    assert abs(kernel.std() - 1) < 0.02
    assert abs(kernel.mean()) < 0.02
    assert 0.6 < bias.std() < 1.4


def test_the_seed_decides_the_initial_weights():
    def kernel(seed):
        return build_network(ModelSection(), size=8, classes=3, seed=seed).get_weights()[0]

    np.testing.assert_array_equal(kernel(4), kernel(4))
    assert not np.array_equal(kernel(4), kernel(5))


def test_frozen_statistics_leave_a_trained_scale_and_centre():
    frozen = build_network(ModelSection(batch_norm="frozen"), size=8, classes=3)
    layer = frozen.get_layer("batch_norm")
    x = np.random.default_rng(0).normal(3, 2, (16, 4, 4, 32)).astype("float32")
    stock = keras.layers.BatchNormalization()
    np.testing.assert_allclose(layer(x, training=True), stock(x, training=False), rtol=1e-6)
    assert [v.shape for v in layer.trainable_variables] == [(1, 1, 32, 1), (32,)]
    assert layer.non_trainable_variables == []


def test_a_saved_network_opens_with_stock_keras(tmp_path):
    network = build_network(ModelSection(batch_norm="frozen"), size=8, classes=3, seed=9)
    network.save(tmp_path / "model.keras")
    opened = keras.models.load_model(tmp_path / "model.keras", safe_mode=True)
    x = np.random.default_rng(0).random((4, 8, 8, 3)).astype("float32")
    np.testing.assert_array_equal(opened(x), network(x))


@pytest.mark.parametrize("name", ["lab-1", "lab-2"])
def test_layers_of_interest_exist(name):
    network = build_network(ModelSection(name=name), size=8, classes=3)
    for layer in layers_of_interest(name):
        assert network.get_layer(layer).output is not None


def test_an_unknown_network_is_one_line_with_a_suggestion():
    with pytest.raises(RecipeError, match=r"no network called 'lab-3'.*did you mean"):
        build_network(ModelSection(name="lab-3"), size=8, classes=3)
