"""A page is one file that shows what it is given, and can do nothing else."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import jinja2
import numpy as np
import pytest

from tenfold.pages import data_uri, render

from ..browser import DESKTOP, PHONE, Open

HOSTILE = (
    """<script>document.title = "owned"</script><img src=x onerror="document.title='owned'">"""
)

TEMPLATE = """{% extends "base.html" %}
{% block title %}{{ name }}{% endblock %}
{% block header %}<h1>{{ name }}</h1>{% endblock %}
{% block contents %}<li><a href="#first">First</a></li>{% endblock %}
{% block content %}<section id="first"><h2>First</h2>
<div class="command"><pre id="command">tenfold train</pre>
<button type="button" data-copy="command" hidden>Copy</button></div>
<table data-sortable><thead><tr><th>class</th><th class="number">accuracy</th></tr></thead><tbody>
{% for name, share in rows %}
<tr><th>{{ name }}</th><td class="number" data-value="{{ share }}">{{ share | percent }}</td></tr>
{% endfor %}</tbody></table>
<img class="pixels" src="{{ picture }}" alt="a picture"></section>{% endblock %}
"""


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A package with a page of its own, and a style sheet for it."""
    templates = tmp_path / "pages_for_tests" / "templates"
    templates.mkdir(parents=True)
    (templates.parent / "__init__.py").touch()
    (templates / "sample.html").write_text(TEMPLATE)
    (templates / "sample.css").write_text("h1 { word-spacing: 3px; }")
    monkeypatch.syspath_prepend(tmp_path)
    yield templates.parent.name
    sys.modules.pop(templates.parent.name, None)


@pytest.fixture
def page(package: str, tmp_path: Path) -> Path:
    values = {
        "name": HOSTILE,
        "rows": [("b", 0.5), ("a", 0.25), ("c", 1.0)],
        "picture": data_uri(np.zeros((8, 8, 3), np.uint8)),
    }
    path = tmp_path / "page.html"
    path.write_text(render(package, "sample.html", values), encoding="utf-8")
    return path


def test_names_are_text_and_never_markup(visit: Open, page: Path) -> None:
    seen = visit(page)
    assert seen.page.title() == HOSTILE
    assert seen.page.inner_text("h1") == HOSTILE
    assert seen.requests == []


def test_the_pages_own_style_and_script_act_and_no_other_can(visit: Open, page: Path) -> None:
    content = page.read_text()
    page.write_text(content.replace("</body>", "<script>document.title = 'owned'</script></body>"))
    seen = visit(page)
    spacing = "getComputedStyle(document.querySelector('h1')).wordSpacing"
    assert seen.page.evaluate(spacing) == "3px"
    assert seen.page.is_visible("button[data-copy]")  # the script ran
    assert seen.page.title() == HOSTILE
    assert "Content Security Policy" in seen.complaints.pop()


def test_a_table_is_sorted_by_the_heading_that_is_pressed(visit: Open, page: Path) -> None:
    seen = visit(page)

    def names() -> list[str]:
        return seen.page.locator("tbody th").all_inner_texts()

    assert names() == ["b", "a", "c"]
    seen.page.get_by_role("button", name="accuracy").click()
    assert names() == ["c", "b", "a"]
    seen.page.get_by_role("button", name="accuracy").click()
    assert names() == ["a", "b", "c"]
    seen.page.get_by_role("button", name="class").click()
    assert names() == ["a", "b", "c"]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [PHONE, DESKTOP])
def test_the_shared_look_bars_nobody(visit: Open, page: Path, scheme: str, width: int) -> None:
    seen = visit(page, width=width, scheme=scheme)
    assert seen.overflow() == 0
    assert seen.barriers() == []


def test_a_value_that_is_missing_is_an_error(package: str) -> None:
    with pytest.raises(jinja2.UndefinedError, match="name"):
        render(package, "sample.html", {})


def test_what_no_page_can_hold_is_shown_as_an_escape(package: str) -> None:
    values = {"name": "\x00\x1b[31m \udcff ok", "rows": [], "picture": ""}
    assert "\\x00\\x1b[31m \\udcff ok" in render(package, "sample.html", values)


def test_a_large_picture_stays_small_in_the_page() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (1024, 512, 3), np.uint8)
    assert data_uri(noise).startswith("data:image/jpeg;base64,")
    assert len(data_uri(noise)) < 60_000
