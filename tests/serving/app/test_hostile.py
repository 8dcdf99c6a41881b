"""A server under attack: over real sockets, from this computer, bounded in number and time.

Whatever comes, there is no 5xx but 503, no traceback in an answer, and the next well-behaved
request is answered.
"""

from __future__ import annotations

import socket
import struct
import time
import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tenfold.run import Run

from ..colours import RED, picture
from .conftest import Server, answers, head, post, read_all, read_answer, serving, wait_until

OPTIONS = [
    *("--max-body", "200KB", "--max-headers", "4KiB", "--max-pixels", "1000000"),
    *("--max-pictures", "4", "--max-connections", "120", "--max-requests", "8"),
    *("--read-timeout", "1.5", "--timeout", "20"),
]
_POST = b"POST /v1/predict HTTP/1.1\r\nHost: localhost\r\n"
_GIF = picture((1, 2, 3), "GIF")
MULTIPART = "multipart/form-data; boundary=x"


@pytest.fixture(scope="module")
def server(run: Run, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with small limits, which must outlive everything here."""
    with serving(run.path, tmp_path_factory.mktemp("hostile"), *OPTIONS) as server:
        yield server
        assert server.process.poll() is None
        assert server.stop() == 0
        logged = server.log()
        assert [line for line in logged if line["event"] == "error"] == []
        statuses = {line["status"] for line in logged if line["event"] == "request"}
        assert {status for status in statuses if status >= 500} <= {503}


@pytest.fixture(autouse=True)
def unharmed(server: Server) -> Iterator[None]:
    """After each attack, a request that behaves is answered."""
    yield
    assert well_behaved(server) == 200


def well_behaved(server: Server) -> int:
    """The status of the answer to one."""
    found = answers(server.exchange(post(RED, Connection="close")))
    assert b'"class": "red"' in found[0][2]
    return found[0][0]


def only(received: bytes) -> int:
    """The status of the one answer, which must be a problem."""
    ((status, fields, body),) = answers(received)
    assert fields["content-type"] == "application/problem+json"
    assert fields["connection"] == "close"
    assert b"Traceback" not in body
    return status


# Slow senders


def test_headers_that_never_end_are_not_waited_for(server: Server) -> None:
    connections = [server.connect() for _ in range(40)]
    for connection in connections:
        connection.sendall(_POST + b"X-Slow: ")
    assert well_behaved(server) == 200
    assert [read_all(connection) for connection in connections] == [b""] * 40
    for connection in connections:
        connection.close()


def test_a_connection_that_says_nothing_is_closed(server: Server) -> None:
    with server.connect() as connection:
        assert read_all(connection) == b""


def test_a_body_that_stops_gets_408(server: Server) -> None:
    assert only(server.exchange(post(RED)[:-10])) == 408


def test_a_body_in_drops_gets_408_all_the_same(server: Server) -> None:
    with server.connect() as connection:
        connection.sendall(
            head("POST", "/v1/predict", Content_Type="image/png", Content_Length="9000")
        )
        connection.settimeout(0.05)
        received = b""
        deadline = time.monotonic() + 30
        while not received:
            assert time.monotonic() < deadline
            connection.sendall(b"a")
            try:
                received = connection.recv(65536)
            except TimeoutError:
                continue
    assert only(received) == 408


def test_slow_bodies_keep_nobody_out(server: Server) -> None:
    slow = [server.connect() for _ in range(30)]  # more than are worked on at a time
    for connection in slow:
        connection.sendall(post(RED)[:-1])
    assert well_behaved(server) == 200
    for connection in slow:
        connection.sendall(RED[-1:])
    statuses = [read_answer(connection)[0] for connection in slow]
    assert set(statuses) <= {200, 429}
    assert 200 in statuses
    for connection in slow:
        connection.close()


def test_answers_that_nobody_reads_fill_no_memory(server: Server) -> None:
    before = server.resident()
    with server.connect() as connection:
        connection.setblocking(False)
        sent = 0
        deadline = time.monotonic() + 60
        try:
            while sent < 50e6 and time.monotonic() < deadline:
                try:
                    sent += connection.send(head("GET", "/") * 100)
                except BlockingIOError:
                    assert server.resident() < before + 20e6
                    time.sleep(0.02)
        except (ConnectionResetError, BrokenPipeError):
            pass  # it lost patience
        assert time.monotonic() < deadline
    assert server.resident() < before + 20e6


def test_more_connections_than_are_accepted(server: Server) -> None:
    connections = []
    for _ in range(300):
        connections.append(server.connect())
        connections[-1].sendall(b"GET / HTTP/1.1\r\n")
    wait_until(lambda: open_connections(server) <= 121)
    refused = [only(got) for got in map(read_now, connections) if got]
    assert set(refused) <= {503}
    for connection in connections:
        connection.close()


def read_now(connection: socket.socket) -> bytes:
    """What has arrived, without waiting."""
    connection.setblocking(False)
    try:
        return connection.recv(65536)
    except (BlockingIOError, ConnectionResetError):
        return b""


def open_connections(server: Server) -> int:
    """As the server counts them; many while it cannot say."""
    try:
        ((status, _, body),) = answers(server.exchange(head("GET", "/metrics", Connection="close")))
    except (OSError, ValueError):
        return 1000
    if status != 200:
        return 1000
    return int(float(body.partition(b"\ntenfold_connections ")[2].split()[0]))


# Too much


@pytest.mark.parametrize("size", [200_001, 10**12, 2**63])
def test_a_body_that_declares_too_much_is_not_read(server: Server, size: int) -> None:
    sent = head("POST", "/v1/predict", Content_Type="image/png", Content_Length=str(size))
    assert only(server.exchange(sent)) == 413


def test_a_chunked_body_without_end_is_cut_off(server: Server) -> None:
    chunk = b"2000\r\n" + b"x" * 0x2000 + b"\r\n"
    sent = head("POST", "/v1/predict", Content_Type="image/png", Transfer_Encoding="chunked")
    assert only(server.exchange(sent + chunk * 25)) == 413


def test_a_chunked_body_is_as_good_as_any(server: Server) -> None:
    sent = head(
        "POST",
        "/v1/predict",
        Content_Type="image/png",
        Transfer_Encoding="chunked",
        Connection="close",
    )
    chunks = b"".join(
        b"%x;ext=1\r\n%b\r\n" % (len(RED[i : i + 7]), RED[i : i + 7]) for i in range(0, len(RED), 7)
    )
    ((status, _, body),) = answers(server.exchange(sent + chunks + b"0\r\n\r\n"))
    assert (status, b'"class": "red"' in body) == (200, True)


@pytest.mark.parametrize(
    "sent",
    [
        b"GET /" + b"a" * 5000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"a" * 5000 + b"\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\n" + b"X: a\r\n" * 2000 + b"\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"a" * 300_000,
        b"GET /" + b"a" * 300_000,
        post(RED)[: -len(RED)].replace(b"Content-Length", b"X")[:-2]
        + b"Transfer-Encoding: chunked\r\n\r\n0\r\n" + b"X: a\r\n" * 2000,
    ],
    ids=["path", "value", "many", "endless value", "endless path", "trailers"],
)  # fmt: skip
def test_headers_that_are_too_large_are_refused(server: Server, sent: bytes) -> None:
    received = server.exchange(sent)
    assert not received or only(received) == 431


@pytest.mark.parametrize("count", [5, 20_000])
def test_too_many_parts_are_refused_before_all_are_parsed(server: Server, count: int) -> None:
    part = b'--x\r\nContent-Disposition: form-data; name="p"; filename="p"\r\n\r\n\r\n'
    body = part * min(count, 190_000 // len(part)) + b"--x--\r\n"
    start = time.process_time()
    assert only(server.exchange(post(body, kind=MULTIPART))) == 413
    assert time.process_time() - start < 10


@pytest.mark.parametrize(
    "body",
    [
        b"--x",
        b"--x\r\n",
        b"--x\r\n\r\n",
        b"--x\r\nContent-Disposition: form-data\r\n\r\nabc\r\n--x--",
        b'--x\r\nContent-Disposition: form-data; filename="a"\r\n\r\nabc',
        b'--x\r\nContent-Disposition: form-data; filename="a\r\n\r\nabc\r\n--x--',
        b"--x\r\nContent-Disposition: form-data; filename=\r\n\r\nabc\r\n--x--\r\n",
        b"--x\r\nContent-Disposition: form-data; filename*=utf-8''%00\r\n\r\nabc\r\n--x--\r\n",
        b"--x\r\n: \r\n\r\nabc\r\n--x--\r\n",
        b"--x\r\n" + b"A: b\r\n" * 500 + b"\r\nabc\r\n--x--\r\n",
        b"--x\r\nA: " + b"b" * 100_000 + b"\r\n\r\nabc\r\n--x--\r\n",
        b"\r\n" * 50_000,
        b"--y--\r\n",
        b"\x00" * 1000,
        b"--x" * 30_000,
        b"\r\n--" * 40_000,
    ],
)
def test_malformed_multipart_is_refused(server: Server, body: bytes) -> None:
    ((status, _, detail),) = answers(
        server.exchange(post(body, kind=MULTIPART, Connection="close"))
    )
    assert status in (400, 422)
    assert b"Traceback" not in detail


@pytest.mark.parametrize(
    "kind",
    [
        "",
        "image",
        "text/html",
        "multipart/form-data",
        "multipart/form-data; boundary=",
        "multipart/form-data; boundary=" + "x" * 3000,
        'multipart/form-data; boundary="',
        "multipart/mixed; boundary=x",
        "application/x-www-form-urlencoded",
        "image/png; charset=\x80\xff",
        ";;;;===;;",
    ],
)
def test_wrong_content_types_are_refused(server: Server, kind: str) -> None:
    ((status, _, detail),) = answers(server.exchange(post(b"abc", kind=kind, Connection="close")))
    assert status in (400, 415, 422)
    assert b"Traceback" not in detail


# What is no HTTP, or nearly


@pytest.mark.parametrize(
    "sent",
    [
        b"\r\n\r\n\r\n\x00",
        b"GET /\r\n\r\n",
        b"GET / HTTP/9.9\r\nHost: localhost\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 100,
        b"GET  / HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET / HTTP/1.1\nHost: localhost\n\n",
        b"GET / HTTP/1.1\r\nHost : localhost\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\n folded: yes\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: local\x00host\r\n\r\n",
        _POST + b"Content-Length: abc\r\n\r\n",
        _POST + b"Content-Length: -5\r\n\r\n",
        _POST + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\n",
        _POST + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        _POST + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n",
        _POST + b"Transfer-Encoding: chunked\r\n\r\n-1\r\n",
        _POST + b"Transfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\n",
        _POST + b"Transfer-Encoding: chunked\r\n\r\n3\r\nabcdef",
        _POST + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        b"CONNECT localhost:22 HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"TRACE / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
        b"OPTIONS * HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\n",
    ],
)
def test_what_is_no_http_gets_400_or_nothing(server: Server, sent: bytes) -> None:
    received = server.exchange(sent)
    for status, _, body in answers(received):
        assert status < 500
        assert b"Traceback" not in body


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    st.one_of(
        st.binary(max_size=200),
        st.binary(max_size=200).map(lambda tail: post(RED)[:80] + tail),
        st.binary(max_size=200).map(lambda tail: b"POST /v1/predict HTTP/1.1\r\n" + tail),
        st.tuples(st.integers(0, len(post(RED)) - 1), st.binary(min_size=1, max_size=4)).map(
            lambda change: post(RED)[: change[0]] + change[1] + post(RED)[change[0] + 1 :]
        ),
    )
)
def test_bytes_at_random_do_no_harm(server: Server, sent: bytes) -> None:
    with server.connect() as connection:
        connection.sendall(sent)
        connection.shutdown(socket.SHUT_WR)  # nothing more will come, so nothing is waited for
        received = read_all(connection)
    assert b"Traceback" not in received
    assert not received.startswith(b"HTTP/1.1 5")


def test_requests_in_one_piece_are_answered_in_turn(server: Server) -> None:
    sent = (
        post(RED)
        + head("GET", "/v1/model")
        + post(b"?")
        + head("GET", "/healthz", Connection="close")
    )
    found = answers(server.exchange(sent))
    assert [status for status, _, _ in found] == [200, 200, 422, 200]
    assert b'"class": "red"' in found[0][2]
    assert b'"classes"' in found[1][2]
    assert found[3][2] == b'{"status":"ok"}'


def test_a_thousand_requests_in_one_piece(server: Server) -> None:
    sent = head("GET", "/healthz") * 999 + head("GET", "/healthz", Connection="close")
    with server.connect() as connection, ThreadPoolExecutor(1) as pool:
        received = pool.submit(read_all, connection)
        connection.sendall(sent)
        assert [status for status, _, _ in answers(received.result())] == [200] * 1000


# Names


@pytest.mark.parametrize(
    ("hosts", "status"),
    [
        ([], 400),
        (["localhost", "localhost"], 400),
        (["evil.example"], 421),
        (["localhost.evil.example"], 421),
        (["evil.example:8000"], 421),
        (["localhost@evil.example"], 421),
        (["127.0.0.1.evil.example"], 421),
        (["[::1].evil.example"], 421),
        (["0.0.0.0"], 421),
        (["127.1"], 421),
        (["localhost:"], 421),
        (["localhost:80:80"], 421),
        (["LOCALHOST"], 200),
        (["localhost:1"], 200),
        (["127.0.0.1"], 200),
        (["[::1]:8000"], 200),
    ],
)
def test_a_request_for_another_host_is_refused(
    server: Server, hosts: list[str], status: int
) -> None:
    lines = [
        "GET /v1/model HTTP/1.1",
        *(f"Host: {host}" for host in hosts),
        "Connection: close",
        "",
        "",
    ]
    ((found, _, body),) = answers(server.exchange("\r\n".join(lines).encode()))
    assert found == status
    assert (b"classes" in body) == (status == 200)


def test_the_host_header_counts_whatever_the_request_line_says(server: Server) -> None:
    sent = (
        b"GET http://localhost/v1/model HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n"
    )
    assert answers(server.exchange(sent))[0][0] == 421


@pytest.mark.parametrize(
    "path",
    [
        "/../../../../etc/passwd",
        "/%2e%2e/%2e%2e/etc/passwd",
        "/..%2f..%2fetc%2fpasswd",
        "/v1/../../etc/passwd",
        "/..\\..\\windows",
        "/%00",
        "/v1/predict%00",
        "/v1//predict",
        "/v1/predict/",
        "//localhost/v1/model",
        "/%",
        "/%zz",
        "/%ff%fe",
        "/" + "a/" * 1000,
        "/?" + "a=1&" * 900,
        "/v1/predict;/../model",
        "/docs/../metrics",
        "/\xe4",
    ],
)
def test_paths_lead_nowhere_else(server: Server, path: str) -> None:
    for status, _, body in answers(server.exchange(head("GET", path, Connection="close"))):
        assert status in (200, 307, 400, 404, 405)
        assert b"root:" not in body
        assert (status == 200) <= path.startswith(("/?", "/docs"))


# Pictures


def png(width: int, height: int, data: bytes, depth: int = 8, kind: int = 2) -> bytes:
    """A PNG by its parts."""

    def chunk(name: bytes, content: bytes) -> bytes:
        check = zlib.crc32(name + content)
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", check)

    header = struct.pack(">IIBBBBB", width, height, depth, kind, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize(
    ("content", "status"),
    [
        (png(100_000, 100_000, b""), 413),
        (png(2**31 - 1, 2**31 - 1, b""), 413),
        (png(1001, 1000, b""), 413),
        (png(1000, 1000, zlib.compress(b"\x00" * 3001 * 1000)), 422),  # black: the model has no say
        (png(1000, 1000, zlib.compress(b"\x00" * 10)), 422),
        (png(10, 10, zlib.compress(b"\x00" * 50_000_000)), 422),
        (png(0, 10, b""), 422),
        (_GIF[:6] + struct.pack("<HH", 65535, 65535) + _GIF[10:], 413),
        (b"\xff\xd8\xff" + b"\x00" * 5000, 422),
        (b"BM" + b"\xff" * 5000, 422),
        (b"RIFF\xff\xff\xff\xffWEBPVP8 " + b"\xff" * 5000, 422),
        (b"<svg xmlns='http://www.w3.org/2000/svg'><image href='file:///etc/passwd'/></svg>", 422),
    ],
)  # fmt: skip
def test_bombs_and_damage_are_refused_in_little_memory(
    server: Server, content: bytes, status: int
) -> None:
    before = server.resident()
    ((found, _, body),) = answers(server.exchange(post(content, Connection="close")))
    assert found in {status, 422}  # Pillow itself refuses some before it says how large they are
    assert b"Traceback" not in body
    assert server.resident() < before + 60e6


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "BMP", "GIF"])
def test_pictures_cut_short_anywhere(server: Server, form: str) -> None:
    whole = picture((60, 30, 10), form, (40, 40))
    step = max(1, len(whole) // 40)
    cuts = [whole[:end] for end in range(1, len(whole), step)]
    sent = b"".join(post(cut) for cut in cuts[:-1]) + post(cuts[-1], Connection="close")
    statuses = [status for status, _, _ in answers(server.exchange(sent))]
    assert len(statuses) == len(cuts)
    assert set(statuses) <= {200, 422}
    assert 422 in statuses
