"""The rule that reads split and class off a path."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenfold.data.sources._layout import Layout, Place, is_picture
from tenfold.errors import SourceError


def place_all(paths):
    layout = Layout("src")
    places = {path: layout.place(path) for path in paths}
    layout.finish()
    return places


@pytest.mark.parametrize(
    ("path", "place"),
    [
        ("cat/1.jpg", Place(None, "cat")),
        ("flowers/daisy/1.jpg", Place(None, "daisy")),
        ("train/cat/1.jpg", Place("train", "cat")),
        ("train/cat/deeper/still/1.jpg", Place("train", "cat")),
        ("Train/cat/1.jpg", Place("train", "cat")),
        ("wrapper/train/cat/1.jpg", Place("train", "cat")),
        ("train/test/1.jpg", Place("train", "test")),  # a class may be called test
    ],
)
def test_a_path_says_split_and_class(path, place):
    assert place_all([path]) == {path: place}


@pytest.mark.parametrize("folder", ["val", "valid", "validation", "VAL"])
def test_the_validation_split_has_three_names(folder):
    places = place_all(["train/cat/1.jpg", f"{folder}/cat/2.jpg"])
    assert places[f"{folder}/cat/2.jpg"] == Place("validation", "cat")


@pytest.mark.parametrize(
    ("paths", "message"),
    [
        (["1.jpg"], "'1.jpg' lies in no class folder"),
        (["train/1.jpg"], r"'train/1.jpg' lies in no class folder.* train/CLASS/"),
        (["a/b/c/1.jpg"], "'a/b/c/1.jpg' lies too deep"),
        (["train/cat/1.jpg", "dog/1.jpg"], "put every class folder under one of the three"),
        (["cat/1.jpg", "a/dog/1.jpg"], "'a/dog/1.jpg' does not lie as deep as the others"),
        (["a/cat/1.jpg", "b/dog/1.jpg"], "'b/dog/1.jpg' does not lie as deep as the others"),
        (["train/cat/1.jpg", "test/dog/1.jpg"], "test split holds class 'dog'"),
        (["test/cat/1.jpg"], "has a test split but no training split"),
        ([], "src holds no pictures"),
    ],
)
def test_a_tree_that_cannot_be_understood_is_refused(paths, message):
    with pytest.raises(SourceError, match=message):
        place_all(paths)


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        *((f"cat/1.{suffix}", True) for suffix in ("jpg", "JPEG", "png", "WebP", "bmp", "gif")),
        ("cat/1.tar.jpg", True),
        ("cat.jpg/notes", False),
        ("cat/notes.txt", False),
        ("cat/jpg", False),
        ("cat/Thumbs.db", False),
        ("cat/._1.jpg", False),
        (".cache/1.jpg", False),
        ("__MACOSX/cat/1.jpg", False),
    ],
)
def test_pictures_are_known_by_suffix_and_hidden_ones_ignored(path, expected):
    assert is_picture(path) is expected


folders = st.lists(
    st.sampled_from(["train", "val", "test", "cat", "dog", "wrapper"]), min_size=0, max_size=4
)
trees = st.lists(folders.map(lambda parts: "/".join([*parts, "1.jpg"])), unique=True, max_size=6)


def outcome(paths):
    try:
        return place_all(paths)
    except SourceError:
        return "refused"


@given(trees.flatmap(lambda paths: st.tuples(st.just(paths), st.permutations(paths))))
def test_the_order_of_paths_does_not_matter(orders):
    assert outcome(orders[0]) == outcome(orders[1])


@given(trees)
def test_one_more_wrapping_folder_changes_no_accepted_plain_tree(paths):
    places = outcome(paths)
    unwrapped = places != "refused" and all(
        path.split("/")[0] in ("train", "val", "test") or path.count("/") == 1 for path in paths
    )
    if unwrapped:
        wrapped = place_all([f"top/{path}" for path in paths])
        assert list(wrapped.values()) == list(places.values())
