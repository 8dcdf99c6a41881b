"""``tenfold serve`` from outside: where it listens, what it logs, and how it stops."""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import httpx
import numpy as np
import pytest

from tenfold import cli
from tenfold.errors import TenfoldError
from tenfold.run import Run
from tenfold.serving.app import Served, listen, load, url_of
from tenfold.serving.app.hosts import Hosts
from tenfold.serving.app.problems import ProblemError

from ..colours import RED, write_run
from .conftest import assembled, head, post, read_answer, serving, wait_until

PNG = {"content-type": "image/png"}


def test_requests_in_flight_are_answered_when_it_stops(run: Run, tmp_path: Path) -> None:
    with serving(run.path, tmp_path) as server:
        with server.connect() as busy, server.connect() as idle:
            idle.sendall(head("GET", "/healthz"))
            assert read_answer(idle)[0] == 200
            busy.sendall(post(RED)[:-10])
            wait_until(lambda: buffered(server.url) == len(RED) - 10)
            server.process.send_signal(signal.SIGTERM)
            assert idle.recv(1) == b""  # it stops; and the other connection is open still
            busy.sendall(RED[-10:])
            status, fields, body = read_answer(busy)
            assert (status, fields["connection"]) == (200, "close")
            assert b'"class": "red"' in body
        assert server.process.wait(30) == 0
        with pytest.raises(ConnectionRefusedError):
            server.connect()
        events = [line["event"] for line in server.log()]
        assert events[-1] == "stopped"
        assert "stopping" in events


def buffered(url: str) -> int:
    """Bytes of bodies that the server holds."""
    text = httpx.get(f"{url}/metrics").text
    return int(float(text.partition("\ntenfold_buffered_bytes ")[2].split()[0]))


def test_ctrl_c_stops_it_with_exit_code_0_and_draining_says_so(run: Run, tmp_path: Path) -> None:
    with serving(run.path, tmp_path, "--drain", "600") as server:
        assert httpx.get(f"{server.url}/readyz").status_code == 200
        server.process.send_signal(signal.SIGINT)
        wait_until(lambda: httpx.get(f"{server.url}/readyz").status_code == 503)
        answer = httpx.post(f"{server.url}/v1/predict", content=RED, headers=PNG)
        assert answer.status_code == 200  # it goes on, for those who have not noticed yet
        assert server.stop(signal.SIGINT) == 130  # who asks twice does not want to wait


def test_what_it_logs_can_be_read_by_programs_and_it_needs_no_tensorflow(
    run: Run, tmp_path: Path
) -> None:
    with serving(run.path, tmp_path) as server:
        headers = {**PNG, "x-request-id": "abc"}
        httpx.post(f"{server.url}/v1/predict", content=RED, headers=headers)
        httpx.get(f"{server.url}/a%0Ab%1B[31m")
        if sys.platform == "linux":
            libraries = Path(f"/proc/{server.process.pid}/maps").read_text("utf-8")
            assert "onnxruntime" in libraries
            assert "tensorflow" not in libraries
        assert server.stop() == 0
        first, second = [line for line in server.log() if line["event"] == "request"]
    assert set(first) == {
        "time", "event", "method", "path", "status", "ms", "pictures", "request"
    }  # fmt: skip
    assert (first["method"], first["path"]) == ("POST", "/v1/predict")
    assert (first["status"], first["pictures"], first["request"]) == (200, 1, "abc")
    assert first["ms"] > 0
    assert second["path"] == "/a\nb\x1b[31m"


@pytest.fixture
def refused(capfd: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Runs ``tenfold serve`` in this process, which must refuse in one line: the line."""

    def invoke(*arguments: str) -> str:
        capfd.readouterr()
        assert cli.invoke(["serve", *arguments]) == 2
        captured = capfd.readouterr()
        assert captured.out == ""
        (line,) = captured.err.splitlines()
        assert line.startswith("tenfold: ")
        return line

    return invoke


def test_a_port_in_use(refused: Callable[..., str], run: Run) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        line = refused(str(run.path), "--port", str(port))
    assert f"port {port} of 127.0.0.1 is in use; choose another --port" in line


def test_a_host_that_is_none(refused: Callable[..., str], run: Run) -> None:
    assert "leads to no address" in refused(str(run.path), "--host", "no.such.host.invalid")
    assert "is no address of this computer" in refused(
        str(run.path), "--host", "192.0.2.1", "--port", "0"
    )


@pytest.mark.skipif(os.geteuid() == 0, reason="root may use every port")
def test_a_port_that_is_not_ours(refused: Callable[..., str], run: Run) -> None:
    assert "choose a --port from 1024 up" in refused(str(run.path), "--port", "80")


def test_a_port_that_is_not_ours_is_explained(monkeypatch: pytest.MonkeyPatch) -> None:
    def deny(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(socket.socket, "bind", deny)
    with pytest.raises(TenfoldError, match="port 80 is not for you to use; choose a --port from"):
        listen("127.0.0.1", 80)


def test_a_run_without_a_model(refused: Callable[..., str], tmp_path: Path) -> None:
    run = write_run(tmp_path / "r")
    run.onnx_path.unlink()
    assert "has no model.keras" in refused(str(run.path), "--port", "0")


def test_a_damaged_model(refused: Callable[..., str], tmp_path: Path) -> None:
    run = write_run(tmp_path / "r")
    run.onnx_path.write_bytes(b"no model")
    assert "model.onnx" in refused(str(run.path), "--port", "0")


def test_no_such_run(refused: Callable[..., str]) -> None:
    assert "no run at gone" in refused("gone", "--port", "0")


def test_a_result_that_is_damaged_is_said(refused: Callable[..., str], tmp_path: Path) -> None:
    run = write_run(tmp_path / "r")
    run.result_path.write_text(json.dumps({"test": {"accuracy": 7}}))
    assert "result.json, test.accuracy" in refused(str(run.path), "--port", "0")


def test_a_run_that_was_not_tested_is_served(tmp_path: Path) -> None:
    run = write_run(tmp_path / "r")
    run.result_path.unlink()
    assert load(run).test is None


@pytest.mark.parametrize(
    ("option", "value", "line"),
    [
        ("--max-body", "lots", "'lots' is not a size; write it like 2GB, 500MB or 64KiB"),
        ("--max-body", "0", "'0' is not a size"),
        ("--max-body", "-1MB", "is not a size"),
        ("--timeout", "nan", "nan is not a number from 0.01 to 3600"),
        ("--timeout", "soon", "'soon' is not a number"),
        ("--port", "70000", "70000 is not a whole number of at least 0 and at most 65535"),
        ("--max-pixels", str(2**27), "at most 67108864"),
        ("--log-format", "xml", "'xml'"),
    ],
)
def test_options_out_of_range(
    refused: Callable[..., str], option: str, value: str, line: str
) -> None:
    found = refused("latest", option, value)
    assert line in found
    assert "See tenfold serve --help" in found


def test_version_6_addresses() -> None:
    with listen("::1", 0) as listener:
        port = listener.getsockname()[1]
        assert url_of(listener) == f"http://[::1]:{port}"
    with listen("0.0.0.0", 0) as listener:
        assert url_of(listener).startswith("http://127.0.0.1:")


# Names that are answered to


def accepts(hosts: Hosts, name: str) -> bool:
    try:
        hosts.check([(b"host", name.encode())])
    except ProblemError:
        return False
    return True


def test_on_loopback_a_server_answers_to_its_own_names_and_those_allowed() -> None:
    hosts = Hosts.bound_to("127.0.0.1", ["Photos.example"])
    names = ["localhost", "127.0.0.1:80", "[::1]:8000", "photos.example", "photos.example:443"]
    assert [name for name in names if not accepts(hosts, name)] == []
    assert not accepts(hosts, "evil.example")
    assert accepts(Hosts.bound_to("127.0.0.2", []), "127.0.0.2:8000")
    assert accepts(Hosts.bound_to("::1", []), "[::1]:8000")


def test_elsewhere_a_server_answers_to_any_name_until_some_are_allowed() -> None:
    assert accepts(Hosts.bound_to("0.0.0.0", []), "anything.example")
    hosts = Hosts.bound_to("0.0.0.0", ["photos.example"])
    assert accepts(hosts, "photos.example")
    assert accepts(hosts, "localhost:8000")  # for whoever looks whether it is well
    assert not accepts(hosts, "evil.example")


def test_a_model_that_predicts_no_numbers_is_not_served(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def diverged(_: object, pixels: np.ndarray) -> np.ndarray:
        return np.full((len(pixels), 3), np.nan, np.float32)

    monkeypatch.setattr("tenfold.serving.predictor.Predictor.predict", diverged)
    with pytest.raises(TenfoldError, match="predicts no numbers"):
        load(run)


def test_serving_needs_no_thread_of_its_own_at_the_end(served: Served) -> None:
    before = threading.active_count()
    with assembled(served):
        pass
    assert threading.active_count() == before
