"""A real Chromium for tests of pages, watched for what a page must not do.

A test asks for the fixture ``visit``, a function that opens an address or a file. When the test
ends, whatever the browser complained of fails it.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

PHONE, DESKTOP = 390, 1280
"""Widths in CSS pixels that pages are looked at in."""

_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
_ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@dataclass
class Visit:
    """A page in the browser, and what it did.

    Attributes:
        page: Playwright's page.
        complaints: errors and warnings of the console, and exceptions that nothing caught.
        requests: the addresses that the page asked for, besides its own and those within it.
    """

    page: Page
    complaints: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)

    def overflow(self) -> int:
        """By how many pixels the page is wider than the window."""
        script = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        return int(self.page.evaluate(script))

    def barriers(self) -> list[str]:
        """What axe-core finds that bars someone from using the page, one line each."""
        from axe_playwright_python.sync_playwright import Axe

        found = Axe().run(self.page).response["violations"]
        return [
            f"{violation['id']}: {node['target']} {node['failureSummary']}"
            for violation in found
            for node in violation["nodes"]
        ]


Open = Callable[..., Visit]


# Not for the whole session: while Playwright runs, no test could start an event loop of its own.
@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """The browser, started once a module. Without one the test is skipped, but on CI it fails."""
    program = next(filter(None, map(shutil.which, _NAMES)), None)
    if program is None:
        reason = "there is no Chromium on the path; on Debian: apt-get install chromium"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=_ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture
def visit(chromium: Browser) -> Iterator[Open]:
    """Opens pages: ``visit(path_or_address, width=..., scheme=..., scripts=...)``."""
    visits: list[Visit] = []
    with ExitStack() as contexts:

        def open_(
            place: Path | str,
            *,
            width: int = DESKTOP,
            scheme: Literal["light", "dark"] = "light",
            scripts: bool = True,
        ) -> Visit:
            context = chromium.new_context(
                viewport={"width": width, "height": 900},
                color_scheme=scheme,
                java_script_enabled=scripts,
            )
            contexts.callback(context.close)
            address = place.resolve().as_uri() if isinstance(place, Path) else place
            seen = Visit(context.new_page())
            visits.append(seen)

            def asked(url: str) -> None:
                if url != address and not url.startswith(("data:", "blob:")):
                    seen.requests.append(url)

            def said(kind: str, text: str) -> None:
                if kind in ("error", "warning"):
                    seen.complaints.append(text)

            seen.page.on("request", lambda request: asked(request.url))
            seen.page.on("console", lambda message: said(message.type, message.text))
            seen.page.on("pageerror", lambda error: said("error", str(error)))
            seen.page.goto(address)
            return seen

        yield open_
    assert [complaint for seen in visits for complaint in seen.complaints] == []
