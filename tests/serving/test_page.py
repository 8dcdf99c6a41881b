"""The page at / in a real browser: every way in, what is shown, and who can use it."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tenfold.files import atomic_write_json

from ..browser import DESKTOP, PHONE, Open, Visit
from .app.conftest import Server, serving
from .colours import BLUE, GREEN, RED, write_run

PLACE = "Where the model looked"
RESULT = {"test": {"accuracy": 0.75, "interval": [0.5, 0.875], "count": 12}}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server whose model says which colour a picture has."""
    folder = tmp_path_factory.mktemp("page")
    run = write_run(folder / "colours", size=8)
    atomic_write_json(run.result_path, RESULT)
    with serving(run.path, folder, "--max-body", "100KiB") as server:
        yield server


@pytest.fixture
def red(tmp_path: Path) -> Path:
    """A picture file."""
    path = tmp_path / "red.png"
    path.write_bytes(RED)
    return path


def choose(visit: Visit, *paths: Path) -> None:
    """Choose files with the button, as a user does."""
    with visit.page.expect_file_chooser() as chooser:
        visit.page.get_by_role("button", name="Choose").click()
    chooser.value.set_files([str(path) for path in paths])


def headline(visit: Visit) -> str:
    """The answer, once there is one."""
    found = visit.page.locator("#headline")
    found.wait_for(state="visible")
    return found.inner_text()


def finished(visit: Visit) -> None:
    """Until the picture that is shown has been worked on."""
    visit.page.locator("#shown:not(.busy)").wait_for()


def hand_over(visit: Visit, event: str, content: bytes, name: str = "dropped.png") -> None:
    """Drop a file on the page, or paste one."""
    script = """([event, encoded, name]) => {
        const bytes = Uint8Array.from(atob(encoded), (letter) => letter.charCodeAt(0));
        const data = new DataTransfer();
        data.items.add(new File([bytes], name, { type: "image/png" }));
        const made = event === "paste"
            ? new ClipboardEvent("paste", { clipboardData: data, bubbles: true, cancelable: true })
            : new DragEvent("drop", { dataTransfer: data, bubbles: true, cancelable: true });
        return !document.getElementById("drop").dispatchEvent(made);
    }"""
    kept = visit.page.evaluate(script, [event, base64.b64encode(content).decode(), name])
    assert kept or event == "paste"  # or the browser would leave the page for the picture


def shot(visit: Visit) -> np.ndarray:
    """The pixels of what is shown of the picture, (height, width, 3)."""
    content = visit.page.locator("#shown").screenshot()
    return np.asarray(Image.open(io.BytesIO(content)).convert("RGB")).astype(int)


def test_a_chosen_picture_gets_bars_and_a_map(visit: Open, server: Server, red: Path) -> None:
    opened = visit(server.url)
    choose(opened, red)
    assert headline(opened) == "red 60.0%"
    rows = opened.page.locator("#bars li")
    assert [row.inner_text().split() for row in rows.all()] == [
        ["red", "60.0%"],
        ["green", "30.0%"],
        ["blue", "10.0%"],
    ]
    share = "bar => getComputedStyle(bar).getPropertyValue('--share')"
    shares = [float(bar.evaluate(share)) for bar in opened.page.locator("#bars .bar").all()]
    assert shares == [0.6, 0.3, 0.1]
    finished(opened)
    assert opened.page.get_by_role("img", name="Your picture, red.png").is_visible()
    assert opened.page.locator("#map").is_visible()
    assert "points" in opened.page.locator("#most").inner_text()
    assert opened.page.locator(".classes .best").inner_text() == "red"
    asked = [url.removeprefix(server.url) for url in opened.requests]
    assert [path for path in asked if path != "/"] == ["/v1/predict?top=5", "/v1/explain"]


@pytest.mark.parametrize("event", ["drop", "paste"])
def test_a_picture_may_be_dropped_or_pasted(visit: Open, server: Server, event: str) -> None:
    opened = visit(server.url)
    hand_over(opened, event, BLUE)
    assert headline(opened) == "blue 60.0%"
    finished(opened)


def test_the_map_is_drawn_where_the_answer_comes_from(
    visit: Open, server: Server, tmp_path: Path
) -> None:
    pixels = np.full((64, 64, 3), 90, np.uint8)
    pixels[40:56, 8:24] = (250, 60, 60)  # below on the left
    Image.fromarray(pixels).save(tmp_path / "spot.png")
    opened = visit(server.url)
    choose(opened, tmp_path / "spot.png")
    finished(opened)
    toggle = opened.page.get_by_role("switch", name=PLACE)
    opened.page.locator("#map").wait_for(state="visible")
    assert "at the bottom on the left" in (
        opened.page.locator("#map").get_attribute("aria-label") or ""
    )
    with_map = shot(opened)
    toggle.click()
    opened.page.locator("#map").wait_for(state="hidden")
    assert opened.page.locator("#legend").is_hidden()
    changed = np.abs(with_map - shot(opened)).sum(2)
    rows, columns = np.array(changed.shape) * 3 // 4, np.array(changed.shape) // 4
    assert changed[rows[0], columns[1]] > 100  # the middle of the spot
    assert changed[20, -20] < 30  # the corner across from it


def test_a_photo_is_shown_the_right_way_up(visit: Open, server: Server, tmp_path: Path) -> None:
    pixels = np.zeros((80, 80, 3), np.uint8)
    pixels[:, :40], pixels[:, 40:] = (220, 30, 30), (30, 30, 200)
    exif = Image.Exif()
    exif[0x0112] = 6  # what is left in the file comes on top
    Image.fromarray(pixels).save(tmp_path / "photo.jpg", exif=exif)
    opened = visit(server.url)
    choose(opened, tmp_path / "photo.jpg")
    assert headline(opened).startswith("red")
    finished(opened)
    opened.page.get_by_role("switch", name=PLACE).click()
    shown = shot(opened)
    middle = shown.shape[1] // 2
    assert shown[30, middle, 0] > 180  # red on top, and blue below, as the model sees it
    assert shown[-30, middle, 2] > 160


def test_several_pictures_in_a_row_and_a_fresh_start(
    visit: Open, server: Server, tmp_path: Path
) -> None:
    for name, content in {"r.png": RED, "g.png": GREEN, "b.png": BLUE}.items():
        (tmp_path / name).write_bytes(content)
    opened = visit(server.url)
    choose(opened, tmp_path / "r.png", tmp_path / "g.png")
    opened.page.get_by_role("img", name="g.png: green").wait_for()
    assert headline(opened).startswith("red")
    choose(opened, tmp_path / "b.png")
    opened.page.get_by_role("img", name="b.png: blue").wait_for()
    assert headline(opened).startswith("blue")
    opened.page.get_by_role("button", name="g.png: green").click()
    assert headline(opened).startswith("green")
    opened.page.get_by_role("button", name="Start over").click()
    assert opened.page.locator("#result").is_hidden()
    assert opened.page.locator("#others").is_hidden()
    assert opened.page.get_by_text("Drop a picture here").is_visible()
    assert opened.page.evaluate("document.activeElement.id") == "choose"


@pytest.mark.parametrize(
    ("name", "content", "line"),
    [
        ("notes.png", b"no picture at all", "The picture: not a JPEG, PNG, WebP, BMP or GIF"),
        (
            "large.png",
            b"\x89PNG" + b"x" * 200_000,
            "The file has 0.2 MiB, and the server takes 0.1",
        ),
    ],
)
def test_what_cannot_be_used_is_said_in_place(
    visit: Open, server: Server, tmp_path: Path, red: Path, name: str, content: bytes, line: str
) -> None:
    (tmp_path / name).write_bytes(content)
    opened = visit(server.url)
    choose(opened, tmp_path / name)
    finished(opened)
    assert line in opened.page.get_by_role("alert").inner_text()
    assert opened.page.locator("#result").is_hidden()
    # The browser says so itself where the server refuses, and where it cannot show a picture.
    opened.complaints.clear()
    choose(opened, red)
    assert headline(opened) == "red 60.0%"
    assert opened.page.get_by_role("alert").inner_text() == ""
    finished(opened)
    opened.complaints.clear()


def test_a_busy_server_is_asked_again(visit: Open, server: Server, red: Path) -> None:
    opened = visit(server.url)
    refusals = [429, 503]

    def refuse(route) -> None:
        if refusals:
            route.fulfill(
                status=refusals.pop(), headers={"Retry-After": "0"}, json={"detail": "busy"}
            )
        else:
            route.continue_()

    opened.page.route("**/v1/predict*", refuse)
    choose(opened, red)
    assert headline(opened) == "red 60.0%"
    finished(opened)
    opened.complaints.clear()  # the browser's own lines about 429 and 503


def test_the_keyboard_alone_is_enough(visit: Open, server: Server, red: Path) -> None:
    page = visit(server.url).page
    page.on("filechooser", lambda chooser: chooser.set_files(str(red)))  # from now on
    focused = "document.activeElement.id || document.activeElement.className"
    page.keyboard.press("Tab")
    assert page.evaluate(focused) == "skip"
    while page.evaluate(focused) != "choose":
        page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.locator("#map").wait_for(state="visible")
    for _ in range(10):
        page.keyboard.press("Tab")
        if page.evaluate(focused) == "toggle":
            break
    assert page.evaluate("document.activeElement.matches(':focus-visible')")
    page.keyboard.press("Space")
    assert page.locator("#map").is_hidden()


def test_what_happens_is_read_out(visit: Open, server: Server, red: Path) -> None:
    opened = visit(server.url)
    choose(opened, red)
    headline(opened)
    assert opened.page.get_by_role("status").inner_text() == "red.png: red, 60.0%."
    finished(opened)
    label = opened.page.locator("#map").get_attribute("aria-label")
    assert label is not None
    assert label.startswith("Map of where the model looked")


def test_the_run_is_described(visit: Open, server: Server) -> None:
    page = visit(server.url).page
    text = page.locator("main").inner_text() + page.locator("header").inner_text()
    assert "75.00%" in text
    assert "50.00% to 87.50%" in text
    assert "8 \N{MULTIPLICATION SIGN} 8" in text
    assert page.locator(".classes li").all_inner_texts() == ["red", "green", "blue"]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [PHONE, DESKTOP])
def test_nothing_bars_anyone_and_nothing_overflows(
    visit: Open, server: Server, red: Path, width: int, scheme: str
) -> None:
    opened = visit(server.url, width=width, scheme=scheme)
    assert (opened.barriers(), opened.overflow()) == ([], 0)
    choose(opened, red)
    headline(opened)
    finished(opened)
    opened.page.locator("#map").wait_for(state="visible")
    opened.page.wait_for_timeout(0)
    assert (opened.barriers(), opened.overflow()) == ([], 0)
    docs = visit(f"{server.url}/docs", width=width, scheme=scheme)
    assert (docs.barriers(), docs.overflow()) == ([], 0)


def test_names_of_classes_and_files_are_text(
    visit: Open, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    names = ["<img src=x onerror=alert(1)>", 'green & "blue"', "</script><script>alert(2)</script>"]
    run = write_run(tmp_path / "<b>run", names, size=8)
    atomic_write_json(run.result_path, RESULT)
    (tmp_path / "<i>.png").write_bytes(RED)
    with serving(run.path, tmp_path_factory.mktemp("names")) as server:
        opened = visit(server.url)
        choose(opened, tmp_path / "<i>.png")
        assert headline(opened) == f"{names[0]} 60.0%"
        assert opened.page.locator(".classes li").all_inner_texts() == names
        finished(opened)
        assert "<b>run" in opened.page.title()
        visit(f"{server.url}/docs")
        opened.page.locator("#map").wait_for(state="visible")


def test_without_scripts_the_page_says_what_to_do(visit: Open, server: Server) -> None:
    page = visit(server.url, scripts=False).page
    assert page.get_by_text("This page needs JavaScript").is_visible()
