import numpy as np
import pytest

from tenfold.augment import color
from tenfold.augment._random import Stream
from tenfold.recipe import AugmentationSection

PICTURES = np.random.default_rng(0).uniform(0, 255, (3, 6, 5, 3)).astype(np.float32)


def adjust(section: AugmentationSection, brightness: float = 0.5, contrast: float = 0.5):
    uniform = np.full((len(Stream), len(PICTURES)), 0.5)
    uniform[Stream.BRIGHTNESS], uniform[Stream.CONTRAST] = brightness, contrast
    return color.adjust(PICTURES, section, uniform).numpy()


@pytest.mark.parametrize(("uniform", "offset"), [(0.0, -51.0), (0.5, 0.0), (1.0, 51.0)])
def test_brightness_adds_a_share_of_the_full_range(uniform: float, offset: float) -> None:
    seen = adjust(AugmentationSection(brightness=0.2), brightness=uniform)
    np.testing.assert_allclose(seen, np.clip(PICTURES + offset, 0, 255), atol=1e-3)


@pytest.mark.parametrize(("uniform", "factor"), [(0.0, 0.6), (0.5, 1.0), (1.0, 1.4)])
def test_contrast_stretches_about_each_channels_mean(uniform: float, factor: float) -> None:
    mean = PICTURES.mean(axis=(1, 2), keepdims=True)
    seen = adjust(AugmentationSection(contrast=0.4), contrast=uniform)
    expected = np.clip(mean + factor * (PICTURES - mean), 0, 255)
    np.testing.assert_allclose(seen, expected, atol=1e-3)


def test_together_they_clip_once_at_the_end() -> None:
    # In between, a tenfold-bright picture would lose what the lower contrast brings back.
    section = AugmentationSection(brightness=0.9, contrast=0.9)
    mean = PICTURES.mean(axis=(1, 2), keepdims=True)
    expected = np.clip(mean + 0.1 * (PICTURES - mean) + 0.45 * 255, 0, 255)
    seen = adjust(section, brightness=0.75, contrast=0.0)
    np.testing.assert_allclose(seen, expected, atol=1e-3)
