import io
import zipfile

import numpy as np
import pytest
from numpy.lib import format as npy

from tenfold.data.sources import open_source
from tenfold.errors import SourceError


@pytest.fixture
def save(tmp_path):
    def write(compressed=True, **arrays):
        path = tmp_path / "data.npz"
        (np.savez_compressed if compressed else np.savez)(path, **arrays)
        return path

    return write


@pytest.fixture
def images(rng):
    return rng.integers(0, 256, (6, 5, 5, 3), dtype=np.uint8)


def assert_reads_as(path, images, labels, splits):
    pictures = list(open_source(path).pictures())
    assert [(p.label, p.split) for p in pictures] == list(zip(labels, splits, strict=True))
    for picture, image in zip(pictures, images, strict=True):
        assert picture.content.dtype == np.uint8
        np.testing.assert_array_equal(picture.content, image)


@pytest.mark.parametrize("compressed", [True, False])
@pytest.mark.parametrize(
    "keys",
    [
        ("x_train", "y_train", "x_val", "y_val", "x_test", "y_test"),
        ("train_images", "train_labels", "val_images", "val_labels", "test_images", "test_labels"),
    ],
)
def test_arrays_of_keras_and_medmnist_have_splits(save, images, compressed, keys):
    labels = np.array([[10], [2], [2], [10], [2], [10]])  # (N, 1), as both have them
    parts = [images[:2], labels[:2], images[2:4], labels[2:4], images[4:], labels[4:]]
    path = save(compressed, **dict(zip(keys, parts, strict=True)))
    splits = ["train"] * 2 + ["validation"] * 2 + ["test"] * 2
    assert_reads_as(path, images, ["10", "2", "2", "10", "2", "10"], splits)
    source = open_source(path)
    assert source.kind == "npz"
    assert source.class_names == ("2", "10")
    assert source.native_size == 5
    assert source.expected_count == 6


def test_plain_arrays_may_name_splits_and_classes(save, images):
    path = save(
        images=images,
        labels=np.array([1, 0, 1, 0, 1, 0], np.uint8),
        split=np.array(["train", "train", "val", "valid", "test", "test"]),
        class_names=np.array(["zebra", "ant", "unused"]),
    )
    splits = ["train", "train", "validation", "validation", "test", "test"]
    assert_reads_as(path, images, ["ant", "zebra"] * 3, splits)
    assert open_source(path).class_names == ("zebra", "ant", "unused")


@pytest.mark.parametrize("kind", ["U", "S"])
def test_labels_may_be_text(save, images, kind):
    path = save(images=images, labels=np.array(["b", "a"] * 3, kind))
    assert_reads_as(path, images, ["b", "a"] * 3, [None] * 6)
    assert open_source(path).class_names is None


def test_grey_pictures_lose_their_last_axis(save, images):
    labels = np.arange(6)
    for grey in (images[..., 0], images[..., :1]):
        path = save(images=grey, labels=labels)
        assert_reads_as(path, images[..., 0], [str(i) for i in labels], [None] * 6)


@pytest.mark.parametrize("dtype", ["f2", "f4", "f8", ">f4"])
def test_floats_between_0_and_1_become_bytes(save, images, dtype):
    path = save(images=(images / 255).astype(dtype), labels=np.arange(6))
    assert_reads_as(path, images, list("012345"), [None] * 6)


def test_pictures_are_read_in_blocks(save, rng, monkeypatch):
    monkeypatch.setattr("tenfold.data.sources._npy._BLOCK_BYTES", 100)
    images = rng.integers(0, 256, (20, 4, 6), dtype=np.uint8)
    path = save(images=images, labels=np.arange(20))
    assert_reads_as(path, images, [str(i) for i in range(20)], [None] * 20)
    assert open_source(path).native_size is None


LABELS = np.arange(6)
IMAGES = np.zeros((6, 5, 5, 3), np.uint8)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"pixels": IMAGES}, r"has arrays pixels; expected images and labels"),
        ({"x_train": IMAGES}, "has no array 'y_train'"),
        ({"x_test": IMAGES}, "has no array 'y_test'"),
        ({"images": IMAGES, "labels": LABELS[:5]}, r"'labels' has shape \(5,\); expected \(6,\)"),
        ({"images": IMAGES, "labels": np.eye(6)}, "'labels' has shape"),
        ({"images": IMAGES, "labels": LABELS / 1}, "'labels' is of float64"),
        ({"images": IMAGES[:0], "labels": LABELS[:0]}, "holds no pictures"),
        ({"images": IMAGES.astype(int), "labels": LABELS}, "is of int64; expected uint8"),
        ({"images": np.zeros((6, 5, 5, 4), np.uint8), "labels": LABELS}, "without alpha"),
        ({"images": np.zeros((6, 3, 5, 5), np.uint8), "labels": LABELS}, "channels last"),
        ({"images": np.asfortranarray(IMAGES), "labels": LABELS}, "Fortran order"),
        ({"images": IMAGES, "labels": LABELS.astype(object)}, "holds pickled objects"),
        ({"images": IMAGES.astype(object), "labels": LABELS}, "holds pickled objects"),
        ({"images": IMAGES, "labels": LABELS, "class_names": np.array(["a", "b"])},
         "labels go from 0 to 5, and class_names has 2"),
        ({"images": IMAGES, "labels": LABELS * 0, "class_names": np.array(["a", "a"])},
         "class_names has 1 different"),
        ({"images": IMAGES, "labels": LABELS, "class_names": np.array(list("abcdef"), object)},
         "holds pickled objects"),
        ({"images": IMAGES, "labels": LABELS, "split": np.array(["train"])}, "'split' has shape"),
    ],
)  # fmt: skip
def test_wrong_arrays_give_one_line_when_opened(save, arrays, message):
    with pytest.raises(SourceError, match=message):
        open_source(save(**arrays))


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"images": IMAGES + 1.5, "labels": LABELS}, r"floats beyond \[0, 1\]"),
        ({"images": np.full((6, 5, 5), np.nan), "labels": LABELS}, r"floats beyond \[0, 1\]"),
        ({"images": IMAGES, "labels": np.array([""] * 6)}, "has an empty label"),
        ({"images": IMAGES, "labels": LABELS, "split": np.array(["dev"] * 6)}, "has 'dev'"),
        ({"x_train": IMAGES, "y_train": LABELS * 0, "x_test": IMAGES, "y_test": LABELS},
         "test split holds class '1'"),
    ],
)  # fmt: skip
def test_wrong_values_give_one_line_when_read(save, arrays, message):
    with pytest.raises(SourceError, match=message):
        list(open_source(save(**arrays)).pictures())


def member(array, shape):
    """An array's file whose header claims another shape."""
    buffer = io.BytesIO()
    npy.write_array_header_1_0(buffer, {"shape": shape, "fortran_order": False, "descr": "|u1"})
    return buffer.getvalue() + array.tobytes()


@pytest.mark.parametrize("shape", [(6, 5, 5, 2), (10**9, 5, 5, 3), (-6, -5, 5, 3)])
def test_a_header_that_does_not_fit_is_refused(tmp_path, shape):
    with zipfile.ZipFile(tmp_path / "data.npz", "w") as archive:
        archive.writestr("images.npy", member(IMAGES, shape))
    with pytest.raises(SourceError, match=r"'images' (is not as long|has no readable header)"):
        open_source(tmp_path / "data.npz")


@pytest.mark.parametrize("share", [0.0, 0.5, 0.98])
def test_a_truncated_file_gives_one_line(save, images, share):
    path = save(images=images, labels=LABELS)
    raw = path.read_bytes()
    path.write_bytes(raw[: int(share * len(raw))])
    with pytest.raises(SourceError, match="damaged or truncated"):
        open_source(path)


def test_a_damaged_file_gives_one_line(save, images):
    path = save(False, images=images, labels=LABELS)
    raw = bytearray(path.read_bytes())
    raw[raw.index(images.tobytes()) + 5] ^= 0xFF
    path.write_bytes(raw)
    with pytest.raises(SourceError, match="damaged"):
        list(open_source(path).pictures())


def test_a_file_that_is_no_array_gives_one_line(tmp_path):
    with zipfile.ZipFile(tmp_path / "data.npz", "w") as archive:
        archive.writestr("images.npy", b"not an array")
    with pytest.raises(SourceError, match="no readable header"):
        open_source(tmp_path / "data.npz")


def test_the_fingerprint_is_of_the_file(save, images):
    before = open_source(save(images=images, labels=LABELS)).fingerprint()
    assert open_source(save(images=images, labels=LABELS[::-1])).fingerprint() != before
