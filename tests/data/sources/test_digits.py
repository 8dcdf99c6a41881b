import numpy as np
from sklearn.datasets import load_digits

from tenfold.data.sources import open_source


def test_digits_are_scikit_learns_on_the_full_scale():
    source = open_source("digits")
    pictures = list(source.pictures())
    bunch = load_digits()

    assert len(pictures) == source.expected_count == 1797
    assert [picture.label for picture in pictures] == [str(digit) for digit in bunch.target]
    images = np.stack([picture.content for picture in pictures])
    assert images.dtype == np.uint8
    assert images.shape == (1797, 8, 8)
    np.testing.assert_allclose(images / 255, bunch.images / 16, atol=0.5 / 255)
    assert {picture.split for picture in pictures} == {None}


def test_digits_know_their_classes_and_size():
    source = open_source("digits")
    assert source.class_names == tuple("0123456789")
    assert source.native_size == 8
    assert source.fingerprint() == open_source("digits").fingerprint()
