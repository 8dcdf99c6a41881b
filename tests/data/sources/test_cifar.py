import hashlib
import os
import pickle
import struct

import numpy as np
import pytest

from tenfold.data import download
from tenfold.data.sources import _cifar_pickle, open_source
from tenfold.data.sources._cifar_classes import CIFAR10_CLASSES, CIFAR100_CLASSES
from tenfold.errors import SourceError

ROWS = 3  # in every batch


def python2_pickle(value):
    """Protocol 2 as Python 2 wrote it for the official files: text is bytes."""

    def put(value):
        if isinstance(value, dict):
            return b"}(" + b"".join(put(k) + put(v) for k, v in value.items()) + b"u"
        if isinstance(value, list):
            return b"](" + b"".join(map(put, value)) + b"e"
        if isinstance(value, bytes):
            return b"T" + struct.pack("<i", len(value)) + value
        if isinstance(value, int):
            return b"J" + struct.pack("<i", value)
        array = np.asarray(value)
        dtype = b"cnumpy\ndtype\n" + put(array.dtype.str[1:].encode()) + b"K\x00K\x01\x87R"
        dtype += b"(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
        shape = b"(" + b"".join(map(put, array.shape)) + b"t"
        start = b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b\x87R"
        return start + b"(K\x01" + shape + dtype + b"\x89" + put(array.tobytes()) + b"tb"

    return b"\x80\x02" + put(value) + b"."


class Cifar:
    """The files of a small CIFAR, in any version."""

    def __init__(self, rng, classes):
        self.classes = CIFAR10_CLASSES if classes == 10 else CIFAR100_CLASSES
        names = [f"data_batch_{i}" for i in range(1, 6)] if classes == 10 else ["train"]
        self.batches = {
            name: (
                rng.integers(0, 256, (ROWS, 32, 32, 3), dtype=np.uint8),
                rng.integers(0, classes, ROWS).tolist(),
            )
            for name in [*names, "test_batch" if classes == 10 else "test"]
        }

    def python(self, dump=python2_pickle):
        fine = len(self.classes) == 100
        files = {}
        for name, (images, labels) in self.batches.items():
            data = np.stack([plane_rows(image) for image in images])
            key = b"fine_labels" if fine else b"labels"
            files[name] = dump({b"batch_label": b"x", b"data": data, key: labels})
        names = [name.encode() for name in self.classes]
        files["meta" if fine else "batches.meta"] = dump(
            {b"fine_label_names" if fine else b"label_names": names}
        )
        # Official archives hold their batches in no order.
        return {f"cifar-py/{name}": files[name] for name in sorted(files, reverse=True)}

    def binary(self):
        fine = len(self.classes) == 100
        files = {}
        for name, (images, labels) in self.batches.items():
            files[f"{name}.bin"] = b"".join(
                bytes([7] * fine + [label]) + plane_rows(image).tobytes()
                for image, label in zip(images, labels, strict=True)
            )
        meta = "fine_label_names.txt" if fine else "batches.meta.txt"
        files[meta] = "\n".join(self.classes).encode() + b"\n\n"
        return {f"cifar-bin/{name}": files[name] for name in sorted(files, reverse=True)}


def plane_rows(image):
    """1,024 red values, then green, then blue, each row by row: by plain loops."""
    return np.array(
        [image[y, x, channel] for channel in range(3) for y in range(32) for x in range(32)],
        dtype=np.uint8,
    )


@pytest.fixture(params=[10, 100])
def cifar(request, rng):
    return Cifar(rng, request.param)


@pytest.fixture
def cifar10(rng):
    return Cifar(rng, 10)


def assert_reads_as(source, cifar):
    pictures = list(source.pictures())
    wanted = [
        (image, label, "test" if name.startswith("test") else "train")
        for name, (images, labels) in cifar.batches.items()
        for image, label in zip(images, labels, strict=True)
    ]
    assert len(pictures) == len(wanted)
    for picture, (image, label, split) in zip(pictures, wanted, strict=True):
        np.testing.assert_array_equal(picture.content, image)
        assert picture.content.dtype == np.uint8
        assert (picture.label, picture.split) == (cifar.classes[label], split)
    assert source.kind == "cifar"
    assert source.class_names == cifar.classes
    assert source.native_size == 32


@pytest.mark.parametrize("version", ["python", "binary"])
@pytest.mark.parametrize("name", ["c.tar.gz", "c.zip", "folder", "wrapping folder"])
def test_every_version_reads_alike(cifar, version, name, write_tar, write_zip, write_tree):
    files = getattr(cifar, version)()
    if name == "c.tar.gz":
        path = write_tar(files, name)
    elif name == "c.zip":
        path = write_zip(files, name)
    else:
        tree = write_tree(files)
        path = next(tree.iterdir()) if name == "folder" else tree
    assert_reads_as(open_source(path), cifar)


def test_a_name_downloads_the_archive(cifar, write_tar, monkeypatch):
    name = f"cifar{len(cifar.classes)}"
    path = write_tar(cifar.python(), f"{name}.tar.gz")
    md5 = hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()
    monkeypatch.setitem(download.ARCHIVES, name, download.OfficialArchive(path.name, md5))
    assert_reads_as(open_source(name, mirror=str(path.parent)), cifar)


@pytest.mark.parametrize("protocol", [3, 4])
def test_pickles_of_python_3_are_read(cifar, protocol, write_tree):
    files = cifar.python(lambda value: pickle.dumps(value, protocol))
    assert_reads_as(open_source(write_tree(files)), cifar)


def test_names_of_a_newer_numpy_are_admitted(cifar10, write_tree):
    old, new = b"cnumpy.core.multiarray\n", b"cnumpy._core.multiarray\n"
    files = {name: raw.replace(old, new) for name, raw in cifar10.python().items()}
    assert_reads_as(open_source(write_tree(files)), cifar10)


def test_planes_become_colours(write_tree, cifar10):
    red, green, blue = (np.full((32, 32), value, np.uint8) for value in (200, 100, 50))
    red[0, :] = 255  # the first row of the picture
    blue[:, 0] = 0  # its first column
    image = np.stack([red, green, blue], axis=-1)
    cifar10.batches["data_batch_1"] = (image[None], [3])
    picture = next(open_source(write_tree(cifar10.python())).pictures())
    assert picture.content[0, 5].tolist() == [255, 100, 50]
    assert picture.content[5, 0].tolist() == [200, 100, 0]
    assert picture.content[5, 5].tolist() == [200, 100, 50]


def hostile(module, name, *arguments):
    """A pickle that calls module.name(*arguments) where the data should be."""
    call = f"c{module}\n{name}\n".encode() + pickle.dumps(arguments, 2)[2:-1] + b"R"
    return b"\x80\x02}(T" + struct.pack("<i", 4) + b"data" + call + b"u."


@pytest.mark.parametrize(
    "raw",
    [
        hostile("os", "system", "touch owned"),
        hostile("posix", "system", "touch owned"),
        hostile("builtins", "eval", "open('owned', 'w')"),
        hostile("numpy", "load", "owned"),
        hostile("numpy.core.multiarray", "scalar"),
        hostile("numpy", "core.multiarray._reconstruct.__globals__"),
        pickle.dumps({"data": os.system}, 4),
        pickle.dumps({"data": np.random.default_rng}, 4),
    ],
)
def test_a_hostile_pickle_is_refused_by_name(raw, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SourceError, match=r"batch is a pickle that asks for \w+.*not loaded"):
        _cifar_pickle.load(raw, "batch")
    assert not (tmp_path / "owned").exists()


@pytest.mark.parametrize("instruction", [b"i", b"o", b"\x81", b"\x92", b"\x82\x01", b"P1\n", b"Q"])
def test_other_ways_to_make_objects_are_refused(instruction):
    raw = b"\x80\x02(cnumpy\ndtype\n" + instruction + (b"os\nsystem\n" * (instruction == b"i"))
    with pytest.raises(SourceError, match="with the instruction"):
        _cifar_pickle.load(raw + b".", "batch")


def test_a_memo_index_out_of_range_allocates_nothing():
    with pytest.raises(SourceError, match="memo index"):
        _cifar_pickle.load(b"\x80\x02}r\xff\xff\xff\x7f.", "batch")


@pytest.mark.parametrize("dtype", ["O", "f8", "i8", "S3", "b1"])
def test_arrays_of_other_types_are_refused(dtype):
    raw = pickle.dumps({"data": np.zeros((1, 3072), dtype)}, 4)
    with pytest.raises(SourceError):
        _cifar_pickle.load(raw, "batch")


def test_an_array_cannot_claim_more_than_its_bytes():
    raw = python2_pickle({b"data": np.zeros((2, 3072), np.uint8)})
    claimed = raw.replace(b"J" + struct.pack("<i", 2), b"J" + struct.pack("<i", 2**30))
    assert claimed != raw
    with pytest.raises(SourceError, match="not a whole CIFAR pickle"):
        _cifar_pickle.load(claimed, "batch")


def test_a_pickle_cannot_change_the_stand_ins():
    raw = b"\x80\x02cnumpy\ndtype\n}(U\x01aK\x01ub."
    with pytest.raises(SourceError):
        _cifar_pickle.load(raw, "batch")
    assert _cifar_pickle.load(python2_pickle({b"data": np.zeros(3, np.uint8)}), "batch")


def test_fortran_order_is_respected():
    array = np.asfortranarray(np.arange(12, dtype=np.uint8).reshape(3, 4))
    loaded = _cifar_pickle.load(pickle.dumps({"data": array}, 4), "batch")
    np.testing.assert_array_equal(loaded["data"], array)


@pytest.mark.parametrize("cut", range(0, 200, 7))
def test_a_truncated_pickle_gives_one_line(cut):
    raw = python2_pickle({b"data": np.zeros(3, np.uint8), b"labels": [1, 2]})
    with pytest.raises(SourceError, match="batch"):
        _cifar_pickle.load(raw[: min(cut, len(raw) - 1)], "batch")


def replaced(files, ending, content):
    return {name: content if name.endswith(ending) else raw for name, raw in files.items()}


@pytest.mark.parametrize(
    ("batch", "message"),
    [
        ({b"labels": [0]}, r"has no 'data' array of shape \(N, 3072\)"),
        ({b"data": np.zeros((1, 3071), np.uint8), b"labels": [0]}, "has no 'data' array"),
        ({b"data": np.zeros((2, 3072), np.uint8)}, "has no 'labels' list"),
        ({b"data": np.zeros((2, 3072), np.uint8), b"labels": [0]}, "2 pictures but 1 labels"),
        ({b"data": np.zeros((1, 3072), np.uint8), b"labels": [10]}, "labels from 10 to 10"),
        ({b"data": np.zeros((1, 3072), np.uint8), b"labels": [-1]}, "labels from -1 to -1"),
        ({b"data": np.zeros((1, 3072), np.uint8), b"labels": [b"0"]}, "has no 'labels' list"),
        ({b"data": np.zeros((0, 3072), np.uint8), b"labels": []}, "holds no pictures"),
        ([1], "not of a dict"),
    ],
)
def test_a_batch_that_is_none_is_refused(cifar10, write_tree, batch, message):
    files = replaced(cifar10.python(), "data_batch_2", python2_pickle(batch))
    with pytest.raises(SourceError, match=f"data_batch_2.*{message}"):
        list(open_source(write_tree(files)).pictures())


def test_a_missing_batch_is_named(cifar10, write_tar):
    files = cifar10.python()
    del files["cifar-py/data_batch_4"]
    with pytest.raises(SourceError, match="lacks data_batch_4"):
        list(open_source(write_tar(files)).pictures())


def test_classes_in_another_order_are_refused(cifar10, write_tree):
    names = [name.encode() for name in reversed(CIFAR10_CLASSES)]
    files = replaced(cifar10.python(), ".meta", python2_pickle({b"label_names": names}))
    with pytest.raises(SourceError, match="does not list the classes"):
        list(open_source(write_tree(files)).pictures())


def test_a_truncated_binary_batch_is_refused(cifar10, write_tree):
    files = cifar10.binary()
    files["cifar-bin/data_batch_3.bin"] = files["cifar-bin/data_batch_3.bin"][:-1]
    with pytest.raises(SourceError, match=r"data_batch_3.bin has 9,218 bytes.* 3073"):
        list(open_source(write_tree(files)).pictures())


def test_an_oversized_batch_is_refused_unread(cifar10, write_tree):
    tree = write_tree(cifar10.binary())
    with (tree / "cifar-bin/data_batch_1.bin").open("wb") as file:
        file.truncate((192 << 20) + 1)
    with pytest.raises(SourceError, match="more than any file of CIFAR-10"):
        list(open_source(tree).pictures())


def test_the_fingerprint_tells_files_apart(cifar10, write_tree, write_tar):
    archive = write_tar(cifar10.python(), "c.tar.gz")
    tree = write_tree(cifar10.python())
    before = open_source(tree).fingerprint()
    os.utime(tree / "cifar-py/test_batch", ns=(1, 1))
    assert len({before, open_source(tree).fingerprint(), open_source(archive).fingerprint()}) == 3
