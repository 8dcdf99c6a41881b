"""Downloads, from a server on this machine that can misbehave."""

import hashlib
import re
import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from tenfold.data import download
from tenfold.data.download import OfficialArchive, fetch
from tenfold.errors import OutputError, SourceError

FILE = "cifar-10-python.tar.gz"


class Server(ThreadingHTTPServer):
    """Serves one file; every answer to a request for it follows the next of ``plan``."""

    def __init__(self, content):
        super().__init__(("127.0.0.1", 0), Handler)
        self.content = content
        self.ranges = True
        self.stop_after = []  # bytes after which the answers, in turn, break off
        self.status = None
        self.lie = 0  # how much more than there is, every answer declares; None declares nothing
        self.requests = []

    @property
    def address(self):
        return f"http://127.0.0.1:{self.server_port}/mirror"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def log_message(self, *_):
        pass

    def do_GET(self):
        wanted = self.headers.get("Range")
        self.server.requests.append(wanted)
        content = self.server.content
        if self.path != f"/mirror/{FILE}" or self.server.status:
            self.send_error(self.server.status or 404)
            return
        start = int(re.match(r"bytes=(\d+)-", wanted)[1]) if wanted and self.server.ranges else 0
        if start and start >= len(content):
            self.send_response(416)
            self.send_header("Content-Range", f"bytes */{len(content)}")
            self.end_headers()
            return
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        if self.server.lie is not None:
            self.send_header("Content-Length", str(len(content) - start + self.server.lie))
        self.end_headers()
        body = content[start:]
        if self.server.stop_after:
            body = body[: self.server.stop_after.pop(0)]
        self.wfile.write(body)
        self.close_connection = True


@pytest.fixture
def content(monkeypatch):
    content = bytes(range(256)) * 12_000  # 3 MB: several blocks
    archive = OfficialArchive(FILE, hashlib.md5(content, usedforsecurity=False).hexdigest())
    monkeypatch.setitem(download.ARCHIVES, "cifar10", archive)
    return content


@pytest.fixture
def server(content, monkeypatch, tmp_path):
    monkeypatch.setenv("TENFOLD_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("TENFOLD_MIRROR", raising=False)
    monkeypatch.setenv("no_proxy", "*")
    with Server(content) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def leftovers(tmp_path):
    return sorted(path.name for path in (tmp_path / "cache/downloads").iterdir())


def test_a_download_is_checked_kept_and_not_repeated(server, content, tmp_path):
    path = fetch("cifar10", mirror=server.address)
    assert path.read_bytes() == content
    assert path == tmp_path / "cache/downloads" / FILE
    assert leftovers(tmp_path) == [FILE, f"{FILE}.lock"]
    assert fetch("cifar10", mirror=server.address) == path
    assert server.requests == [None]


def test_two_at_once_download_once(server, content):
    with ThreadPoolExecutor(2) as pool:
        paths = list(pool.map(lambda _: fetch("cifar10", mirror=server.address), range(2)))
    assert paths[0].read_bytes() == content
    assert server.requests == [None]


def test_progress_reaches_the_total(server, content):
    calls = []
    fetch("cifar10", mirror=server.address + "/", progress=lambda *call: calls.append(call))
    assert [done for done, _ in calls] == sorted(done for done, _ in calls)
    assert calls[-1] == (len(content), len(content))
    assert {total for _, total in calls} == {len(content)}


def test_a_dropped_connection_is_taken_up_where_it_broke(server, content):
    server.stop_after = [1_500_000, 700_000]
    calls = []
    path = fetch("cifar10", mirror=server.address, progress=lambda *call: calls.append(call))
    assert path.read_bytes() == content
    assert server.requests == [None, "bytes=1500000-", "bytes=2200000-"]
    assert {total for _, total in calls} == {len(content)}


def test_a_later_call_resumes(server, content, tmp_path):
    server.stop_after = [1_500_000, 0]
    with pytest.raises(SourceError, match=r"ended after 1,500,000 of 3,072,000 bytes.*MIRROR"):
        fetch("cifar10", mirror=server.address)
    assert leftovers(tmp_path) == [f"{FILE}.lock", f"{FILE}.part"]
    assert fetch("cifar10", mirror=server.address).read_bytes() == content
    assert server.requests[-1] == "bytes=1500000-"


def test_a_server_that_declares_less_than_there_is_is_found_out(server, content):
    server.lie = -1000
    with pytest.raises(SourceError, match="does not have the official checksum"):
        fetch("cifar10", mirror=server.address)
    server.lie = 0
    assert fetch("cifar10", mirror=server.address).read_bytes() == content


@pytest.mark.parametrize("lie", [1000, None])
def test_a_server_that_declares_more_or_nothing_will_do(server, content, lie):
    server.lie = lie
    assert fetch("cifar10", mirror=server.address).read_bytes() == content


def test_a_server_that_never_ends_does_not_fill_the_disk(server, tmp_path, monkeypatch):
    monkeypatch.setattr(download, "_MOST_BYTES", 1 << 20)
    monkeypatch.setattr(download, "_BLOCK", 1 << 16)
    server.lie = None
    with pytest.raises(SourceError, match=r"gives more than any archive has; .*TENFOLD_MIRROR"):
        fetch("cifar10", mirror=server.address)
    assert leftovers(tmp_path) == [f"{FILE}.lock"]


def test_a_server_that_resumes_somewhere_else_is_not_believed(server, content, monkeypatch):
    server.stop_after = [1_500_000]
    send = Handler.send_header

    def elsewhere(handler, name, value):
        if name == "Content-Range":
            value = value.replace("bytes 1500000", "bytes 1499999")
        send(handler, name, value)

    monkeypatch.setattr(Handler, "send_header", elsewhere)
    with pytest.raises(SourceError, match=r"ended after|checksum"):
        fetch("cifar10", mirror=server.address)


def test_a_server_without_ranges_starts_over(server, content):
    server.ranges = False
    server.stop_after = [1_500_000]
    assert fetch("cifar10", mirror=server.address).read_bytes() == content


@pytest.mark.parametrize("extra", [b"", b"more"])
def test_a_partial_file_of_full_length_or_more_is_settled(server, content, tmp_path, extra):
    folder = tmp_path / "cache/downloads"
    folder.mkdir(parents=True)
    (folder / f"{FILE}.part").write_bytes(content + extra)
    assert fetch("cifar10", mirror=server.address).read_bytes() == content


def test_a_wrong_checksum_leaves_nothing_behind(server, content, tmp_path):
    server.content = content[:-1] + b"?"
    with pytest.raises(SourceError, match="does not have the official checksum"):
        fetch("cifar10", mirror=server.address)
    assert leftovers(tmp_path) == [f"{FILE}.lock"]
    server.content = content
    assert fetch("cifar10", mirror=server.address).read_bytes() == content


def test_a_damaged_file_in_the_cache_is_downloaded_again(server, content):
    path = fetch("cifar10", mirror=server.address)
    path.write_bytes(b"damaged")
    assert fetch("cifar10", mirror=server.address).read_bytes() == content


@pytest.mark.parametrize("status", [404, 503])
def test_a_refusing_server_gives_one_line(server, status):
    server.status = status
    with pytest.raises(SourceError, match=f"cannot download .*{FILE} .the server answers {status}"):
        fetch("cifar10", mirror=server.address)


def test_without_a_network_the_line_says_what_to_do(server):
    with socket.socket() as free:  # a port that is taken and not listened on
        free.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{free.getsockname()[1]}"
        with pytest.raises(SourceError, match=r"refused.*TENFOLD_MIRROR, or the path of an arch"):
            fetch("cifar10", mirror=address)


def test_the_environment_may_name_the_mirror(server, content, monkeypatch):
    monkeypatch.setenv("TENFOLD_MIRROR", server.address)
    assert fetch("cifar10").read_bytes() == content


@pytest.mark.parametrize("form", ["{}", "file://{}", "file:{}"])
def test_a_local_mirror_is_used_where_it_lies(content, tmp_path, form):
    (tmp_path / FILE).write_bytes(content)
    assert fetch("cifar10", mirror=form.format(tmp_path)) == tmp_path / FILE


def test_a_local_mirror_is_checked_too(content, tmp_path):
    with pytest.raises(SourceError, match=f"mirror {tmp_path}: {FILE}: No such file"):
        fetch("cifar10", mirror=str(tmp_path))
    (tmp_path / FILE).write_bytes(b"else")
    with pytest.raises(SourceError, match="does not have the official checksum"):
        fetch("cifar10", mirror=str(tmp_path))


def test_other_kinds_of_address_are_refused(content):
    with pytest.raises(SourceError, match="neither an http"):
        fetch("cifar10", mirror="ftp://example.org/data")


def test_a_cache_that_cannot_be_written_gives_one_line(server, tmp_path):
    (tmp_path / "cache").write_bytes(b"a file in the way")
    with pytest.raises(OutputError, match="cannot write"):
        fetch("cifar10", mirror=server.address)


def test_the_official_archives_are_those_of_the_lab():
    assert download.ARCHIVES["cifar10"].md5 == "c58f30108f718f92721af3b95e74349a"
    assert download.ARCHIVES["cifar100"].md5 == "eb9058c3a382ffc7106e4002c42a8d85"
