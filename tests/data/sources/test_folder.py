import os

import pytest

from tenfold.data.sources import FolderSource, open_source
from tenfold.errors import SourceError


def read(path):
    return [(p.name, p.split, p.label) for p in open_source(path).pictures()]


def test_a_tree_is_read_in_sorted_order(write_tree, png):
    tree = write_tree(
        {"dog/2.PNG": png, "dog/1.jpg": b"x", "cat/9.gif": b"y", "cat/notes.txt": b""}
    )
    assert read(tree) == [
        ("cat/9.gif", None, "cat"),
        ("dog/1.jpg", None, "dog"),
        ("dog/2.PNG", None, "dog"),
    ]
    source = open_source(tree)
    assert source.kind == "folder"
    assert source.expected_count == 3
    assert [p.content for p in source.pictures()] == [b"y", b"x", png]


def test_splits_come_from_the_top_folders(write_tree, png):
    tree = write_tree({"w/train/a/1.png": png, "w/valid/a/2.png": png, "w/test/a/3.png": png})
    assert {split for _, split, _ in read(tree)} == {"train", "validation", "test"}


def test_hidden_and_foreign_files_are_ignored(write_tree, png):
    tree = write_tree(
        {"a/1.png": png, "a/.2.png": png, ".git/3.png": png, "__MACOSX/a/4.png": png,
         "a/Thumbs.db": b""}
    )  # fmt: skip
    assert [name for name, _, _ in read(tree)] == ["a/1.png"]


def test_an_empty_folder_is_refused_when_opened(tmp_path):
    with pytest.raises(SourceError, match="holds no pictures"):
        open_source(tmp_path)


def test_a_link_inside_the_tree_is_read(write_tree, png):
    tree = write_tree({"a/1.png": png, "b/2.png": b"2"})
    (tree / "b/link.png").symlink_to("../a/1.png")
    assert [p.content for p in open_source(tree).pictures()] == [png, b"2", png]


@pytest.mark.parametrize(
    ("target", "reason"),
    [
        ("../../secret.png", "is a link that leaves the folder"),
        ("nowhere.png", "is a link to nothing"),
        ("../a", "is a link to a folder"),
    ],
)
def test_other_links_are_not_followed(write_tree, png, tmp_path, target, reason):
    (tmp_path / "secret.png").write_bytes(png)
    tree = write_tree({"a/1.png": png, "b/2.png": png})
    (tree / "b/link.png").symlink_to(target)
    with pytest.raises(SourceError, match=f"'b/link.png' {reason}"):
        read(tree)


def test_a_pipe_is_no_picture(write_tree, png):
    tree = write_tree({"a/1.png": png})
    os.mkfifo(tree / "a/2.png")  # opening it would wait forever
    assert [name for name, _, _ in read(tree)] == ["a/1.png"]


def test_an_oversized_picture_is_refused_unread(write_tree, png):
    tree = write_tree({"a/1.png": png})
    with (tree / "a/2.png").open("wb") as file:
        file.truncate((64 << 20) + 1)
    with pytest.raises(SourceError, match=r"'a/2.png' takes 67,108,865 bytes"):
        read(tree)


def test_a_name_that_is_not_utf8_is_refused(write_tree, png):
    tree = write_tree({"a/1.png": png})
    (tree / os.fsdecode(b"a/\xff.png")).write_bytes(png)
    with pytest.raises(SourceError, match="is not UTF-8; rename it"):
        open_source(tree).fingerprint()


def test_the_fingerprint_follows_names_sizes_and_times(write_tree, png):
    tree = write_tree({"a/1.png": png})
    before = FolderSource(tree).fingerprint()
    assert FolderSource(tree).fingerprint() == before

    os.utime(tree / "a/1.png", ns=(1, 1))
    touched = FolderSource(tree).fingerprint()
    (tree / "a/1.png").rename(tree / "a/2.png")
    renamed = FolderSource(tree).fingerprint()
    assert len({before, touched, renamed}) == 3
