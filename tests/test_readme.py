"""README and docs show what was measured, and README names what exists."""

import importlib.util
import re
from pathlib import Path

import pytest

from tenfold.recipe import shipped

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def readme() -> str:
    return (ROOT / "README.md").read_text(encoding="utf-8")


def test_every_table_is_the_one_that_its_benchmark_wrote(readme: str):
    spec = importlib.util.spec_from_file_location("readme", ROOT / "benchmarks" / "readme.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert len(module._BLOCK.findall(readme)) >= 3
    for page in module.PAGES:
        text = page.read_text(encoding="utf-8")
        assert module.filled(text) == text, page.name


def test_every_link_to_a_file_leads_somewhere(readme: str):
    links = [link for link in re.findall(r"\]\(([^)#]+)\)", readme) if "://" not in link]
    assert links
    assert [link for link in links if not (ROOT / link).exists()] == []


def test_every_recipe_that_is_named_ships(readme: str):
    named = set(re.findall(r"--recipe[= ]([\w-]+)", readme))
    assert named
    assert named <= set(shipped())
