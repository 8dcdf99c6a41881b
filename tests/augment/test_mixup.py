import numpy as np
import pytest
import tensorflow as tf
from scipy import stats

from tenfold.augment import mixup


@pytest.mark.parametrize("alpha", [0.1, 0.2, 1.0, 4.0])
def test_weights_follow_the_beta_distribution(alpha: float) -> None:
    uniform = tf.constant(np.random.default_rng(0).uniform(size=20_000))
    weights = mixup.draw_weights(alpha, uniform).numpy()
    assert stats.kstest(weights, stats.beta(alpha, alpha).cdf).pvalue > 1e-4


@pytest.mark.parametrize("alpha", [1e-9, 1e-3, 0.3, 50.0, 1e9])
def test_any_alpha_gives_shares_from_0_to_1(alpha: float) -> None:
    uniform = tf.constant([0.0, 1e-9, 0.3, 0.5, 0.7, 1.0 - 2.0**-53], tf.float64)
    weights = mixup.draw_weights(alpha, uniform).numpy()
    assert np.all((weights >= 0.0) & (weights <= 1.0))
    assert np.all(np.diff(weights) >= 0.0)
    assert weights[3] == 0.5


@pytest.mark.parametrize("count", [1, 2, 5])
def test_pictures_and_labels_blend_by_the_same_shares(count: int) -> None:
    rng = np.random.default_rng(0)
    images = rng.uniform(0, 255, (count, 4, 5, 3)).astype(np.float32)
    labels = np.eye(7, dtype=np.float32)[rng.integers(0, 7, count)]
    weights = rng.uniform(size=count)
    mixed, shares = mixup.mix(images, labels, weights)
    for n in range(count):
        other, w = (n + 1) % count, weights[n]
        np.testing.assert_allclose(mixed[n], w * images[n] + (1 - w) * images[other], rtol=1e-4)
        np.testing.assert_allclose(shares[n], w * labels[n] + (1 - w) * labels[other], atol=1e-6)
    np.testing.assert_allclose(tf.reduce_sum(shares, axis=-1), np.ones(count), atol=1e-6)
