"""The quick header parse agrees with tarfile wherever it answers, and answers the common case."""

import tarfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenfold.data.sources._tar import parse_plain

FORMATS = [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT]
names = st.text(st.characters(exclude_characters="\0", codec="utf-8"), min_size=1, max_size=120)


@st.composite
def headers(draw):
    info = tarfile.TarInfo(draw(names))
    info.type = draw(st.sampled_from([tarfile.REGTYPE, tarfile.DIRTYPE, tarfile.SYMTYPE, b"\0"]))
    info.size = draw(st.integers(0, 2**34))
    info.mode = draw(st.integers(0, 0o7777))
    info.mtime = draw(st.integers(0, 2**34))
    try:
        buffer = info.tobuf(draw(st.sampled_from(FORMATS)), errors="strict")
    except ValueError:  # a name too long for ustar
        buffer = info.tobuf(tarfile.GNU_FORMAT)
    return buffer[:512]


def assert_agrees(header):
    plain = parse_plain(header)
    if plain is None:
        return
    # As tarfile does it when it reads; it raises if a number, or the checksum, is wrong.
    info = tarfile.TarInfo.frombuf(header, "utf-8", "surrogateescape")
    assert plain.is_folder == info.isdir()
    assert plain.is_folder or info.isreg()
    assert plain.size == info.size
    # tarfile drops the slash at the end of a folder's name; we never use that name.
    assert plain.is_folder or plain.name == info.name


@given(headers())
def test_it_agrees_with_tarfile_on_whole_headers(header):
    assert_agrees(header)


@given(headers(), st.lists(st.tuples(st.integers(0, 511), st.integers(0, 255)), max_size=3))
def test_it_agrees_with_tarfile_on_damaged_headers(header, changes):
    damaged = bytearray(header)
    for position, value in changes:
        damaged[position] = value
    assert_agrees(bytes(damaged))


@given(headers(), st.integers(0, 511), st.integers(0, 255))
def test_it_agrees_with_tarfile_on_strange_headers_with_a_right_checksum(header, position, value):
    strange = bytearray(header)
    strange[position] = value
    strange[148:156] = b" " * 8
    strange[148:156] = b"%06o\0 " % sum(strange)
    assert_agrees(bytes(strange))


def test_it_leaves_a_name_in_two_parts_to_the_library():
    info = tarfile.TarInfo("f" * 60 + "/" + "x" * 60)
    header = info.tobuf(tarfile.USTAR_FORMAT)
    assert header[345:346] == b"f"
    assert parse_plain(header) is None


@pytest.mark.parametrize("form", FORMATS)
def test_it_answers_for_the_headers_that_matter(form):
    file = tarfile.TarInfo("train/cat/0001.jpg")
    file.size = 921
    folder = tarfile.TarInfo("train/cat")
    folder.type = tarfile.DIRTYPE
    assert parse_plain(file.tobuf(form)) == ("train/cat/0001.jpg", 921, False)
    assert parse_plain(folder.tobuf(form)) == ("train/cat/", 0, True)
