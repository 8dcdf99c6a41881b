"""Log lines: as programs and as people read them, and when nobody does."""

from __future__ import annotations

import json
import os
from pathlib import Path

from tenfold.serving.app.log import Log

from .conftest import wait_until

FACTS = {"method": "GET", "path": "/a\x1b[31m\n", "status": 404, "ms": 1.5, "pictures": 0}


def written(path: Path, form: str) -> str:
    with path.open("wb") as file:
        log = Log(form, file.fileno())
        log.line("request", **FACTS, request="r\udcff")
        log.line("stopping", in_flight=2)
        log.close()
    return path.read_text("utf-8")


def test_programs_read_one_object_a_line(tmp_path: Path) -> None:
    first, second = map(json.loads, written(tmp_path / "log", "json").splitlines())
    assert {**FACTS, "request": "r\udcff", "event": "request"}.items() <= first.items()
    assert second["in_flight"] == 2
    assert first["time"].endswith("Z")


def test_people_read_a_line_that_commands_no_terminal(tmp_path: Path) -> None:
    first, second = written(tmp_path / "log", "text").splitlines()
    assert first[9:] == "GET /a\\x1b[31m\\n 404 1.5 ms pictures=0 request=r\\udcff"
    assert second[9:] == "stopping in_flight=2"


def test_a_reader_who_does_not_read_holds_up_nothing() -> None:
    reader, writer = os.pipe()
    log = Log("json", writer)
    for number in range(30_000):
        log.line("request", number=number)
    parts = []

    def read() -> bool:
        parts.append(os.read(reader, 1 << 20))
        return b'"number": 29999' in parts[-1] or b"log lines dropped" in parts[-1]

    wait_until(read)
    log.close(0)
    os.close(reader)
    lines = b"".join(parts).splitlines()
    assert len(lines) > 10_000


def test_a_reader_who_is_gone_is_no_fault() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    log = Log("json", writer)
    log.line("request")
    log.close()
    os.close(writer)
