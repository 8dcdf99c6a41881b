"""Pictures, trees and archives to read back."""

import io
import tarfile
import zipfile

import numpy as np
import pytest
from PIL import Image


def encode(color=(10, 20, 30), size=(6, 5), form="PNG"):
    """A small picture file of one colour."""
    buffer = io.BytesIO()
    Image.new("RGB", size, color).save(buffer, form)
    return buffer.getvalue()


@pytest.fixture
def png():
    return encode()


@pytest.fixture
def write_tree(tmp_path):
    """Write files by path and content under a folder; the folder."""

    def write(files, folder="tree"):
        for path, content in files.items():
            target = tmp_path / folder / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content)
        return tmp_path / folder

    return write


@pytest.fixture
def write_tar(tmp_path):
    """Write a tar of files by name and content, with further members as TarInfo: its path."""

    def write(files, name="pictures.tar", extra=(), **options):
        compression = {"gz": "w:gz", "bz2": "w:bz2", "xz": "w:xz"}.get(name.split(".")[-1], "w")
        with tarfile.open(tmp_path / name, compression, **options) as archive:
            for member in extra:
                archive.addfile(member)
            for path, content in files.items():
                info = tarfile.TarInfo(path)
                info.size = len(content)
                archive.addfile(info, io.BytesIO(content))
        return tmp_path / name

    return write


@pytest.fixture
def write_zip(tmp_path):
    """Write a zip of files by name (or ZipInfo) and content: its path."""

    def write(files, name="pictures.zip"):
        with zipfile.ZipFile(tmp_path / name, "w", zipfile.ZIP_DEFLATED) as archive:
            for path, content in files.items():
                archive.writestr(path, content)
        return tmp_path / name

    return write


@pytest.fixture
def rng():
    return np.random.default_rng(7)
