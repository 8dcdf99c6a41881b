import os
import subprocess
import sys

import pytest

from tenfold.data.sources import open_source
from tenfold.errors import SourceError


@pytest.mark.parametrize(
    ("word", "meant"),
    [("digit", "digits"), ("Digits", "digits"), ("cifar-10", "cifar10"), ("CIFAR100", "cifar100")],
)
def test_a_misspelt_name_is_answered_with_the_right_one(word, meant):
    with pytest.raises(SourceError, match=f"no source at {word} .did you mean '{meant}'"):
        open_source(word)


def test_a_missing_path_says_what_there_is():
    with pytest.raises(SourceError, match=r"no source at no/such/thing; give a folder"):
        open_source("no/such/thing")


def test_a_file_of_unknown_type_is_refused(tmp_path):
    (tmp_path / "a.pdf").write_bytes(b"%PDF")
    with pytest.raises(SourceError, match=r"a.pdf is of no type that can be read"):
        open_source(tmp_path / "a.pdf")


def test_a_single_picture_is_no_source(tmp_path, png):
    (tmp_path / "a.PNG").write_bytes(png)
    with pytest.raises(SourceError, match="is a single picture"):
        open_source(tmp_path / "a.PNG")


def test_a_name_wins_over_a_folder_but_not_over_a_path(write_tree, png, monkeypatch):
    tree = write_tree({"a/1.png": png}, "digits")
    monkeypatch.chdir(tree.parent)
    assert open_source("digits").kind == "digits"
    assert open_source("./digits").kind == "folder"


@pytest.mark.skipif(os.geteuid() == 0, reason="the superuser may read everything")
def test_a_folder_that_may_not_be_read_gives_one_line(tmp_path):
    (tmp_path / "a").mkdir(mode=0)
    with pytest.raises(SourceError, match="Permission denied"):
        open_source(tmp_path)


def test_opening_a_source_imports_nothing_heavy():
    code = "import sys, tenfold.data.sources as s; print(*sys.modules)"
    modules = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout
    assert not {"tensorflow", "keras", "sklearn", "pyarrow", "pooch"} & set(modules.split())
