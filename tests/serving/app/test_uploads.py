"""Bodies: what httpx writes is read back, and what nobody writes is refused."""

from __future__ import annotations

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tenfold.serving.app.problems import ProblemError
from tenfold.serving.app.uploads import check_content_type, read_uploads

names = st.text(st.characters(codec="utf-8", exclude_categories=["C"]), min_size=1, max_size=20)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(names, st.binary(max_size=300)), min_size=1, max_size=8))
def test_what_a_client_encodes_is_read_back(files: list[tuple[str, bytes]]) -> None:
    request = httpx.Request("POST", "http://x", files=[("p", file) for file in files])
    kind = request.headers["content-type"]
    check_content_type(kind)
    found = read_uploads(kind, request.read(), 8)
    assert [upload.content for upload in found] == [content for _, content in files]
    # Browsers and httpx write quotes and backslashes in names each in their own way.
    for upload, (name, _) in zip(found, files, strict=True):
        if not set(name) & set('"\\%'):
            assert upload.name == name


@settings(max_examples=300, deadline=None)
@given(
    st.lists(
        st.sampled_from(
            [
                b"--x",
                b"--x--",
                b"\r\n",
                b"\n",
                b":",
                b"-",
                b"--",
                b"abc",
                b"\x00",
                b"; ",
                b'"',
                b"Content-Disposition: form-data",
                b'filename="a"',
                b"name=a",
            ]
        ),
        max_size=40,
    ).map(b"".join)
)
def test_any_body_is_read_or_refused(body: bytes) -> None:
    try:
        found = read_uploads("multipart/form-data; boundary=x", body, 4)
    except ProblemError as problem:
        assert problem.status in (400, 413)
    else:
        assert 1 <= len(found) <= 4


@given(st.text(st.characters(max_codepoint=255), max_size=80))
def test_any_content_type_is_accepted_or_refused(kind: str) -> None:
    try:
        check_content_type(kind)
    except ProblemError as problem:
        assert problem.status in (400, 415)
    else:
        try:
            read_uploads(kind, b"body", 4)
        except ProblemError as problem:
            assert problem.status == 400


@pytest.mark.parametrize(
    "kind", ["image/png", "IMAGE/JPEG", "image/png; a=b", "application/octet-stream"]
)
def test_a_raw_body_is_one_picture(kind: str) -> None:
    check_content_type(kind)
    (upload,) = read_uploads(kind, b"body", 1)
    assert (upload.name, upload.content) == (None, b"body")
