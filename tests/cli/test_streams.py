"""What a command does with streams that are closed, full, narrow, or no terminal at all."""

from __future__ import annotations

import os
import pty
import re
import select
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from .conftest import COMMAND, Invoke, Trained

SHELL_COMMAND = " ".join(f"'{word}'" for word in COMMAND)


@contextmanager
def started(*arguments: str, **settings: object) -> Iterator[subprocess.Popen[bytes]]:
    """A command in a process of its own, its streams in pipes."""
    process = subprocess.Popen(
        [*COMMAND, *arguments],
        **{"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **settings},  # type: ignore[call-overload]
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def shell(line: str, here: Path, **env: str) -> subprocess.CompletedProcess[str]:
    """A line of the shell, with ``tenfold`` in it."""
    return subprocess.run(
        ["/bin/sh", "-c", line.replace("tenfold", SHELL_COMMAND)],
        cwd=here,
        env={**os.environ, **env},
        capture_output=True,
        text=True,
        check=False,
    )


# Readers that go, and streams that are closed


@pytest.mark.parametrize(
    "arguments",
    [["--help"], ["train", "--help"], ["recipes"], ["recipes", "list", "--json"]],
)
def test_a_reader_that_goes_ends_a_command_without_a_word(here: Path, arguments: list[str]) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    try:
        with started(*arguments, stdout=writing, cwd=here) as process:
            _, err = process.communicate()
    finally:
        os.close(writing)
    assert (process.returncode, err) == (141, b"")


def test_a_reader_of_notes_that_goes_does_not_stop_the_work(here: Path) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    try:
        with started("data", "prepare", stderr=writing, cwd=here) as process:
            out, _ = process.communicate()
    finally:
        os.close(writing)
    assert (process.returncode, out) == (0, b"digits: 1,797 pictures are ready\n")


@pytest.mark.parametrize("closed", [">&-", "<&- >&- 2>&-"])
def test_a_closed_stream_is_one_that_leads_nowhere(here: Path, closed: str) -> None:
    line = f"tenfold data show --out picture.png {closed}; echo left with $? >&2"
    done = shell(f"({line}) 3>&2", here)
    assert "Traceback" not in done.stderr
    assert done.stderr.endswith("left with 0\n")
    assert done.stdout == ""
    # None of the files that are written got the number of the stream.
    assert (here / "picture.png").read_bytes().startswith(b"\x89PNG")
    assert b"saved" not in b"".join(path.read_bytes() for path in here.rglob("*") if path.is_file())


def test_a_mistake_is_still_one_where_nobody_is_told(here: Path) -> None:
    assert shell("tenfold trian 2>&-", here).returncode == 2
    assert shell("tenfold trian 2>/dev/full", here).returncode == 2


# Encodings, colours, terminals


def test_names_that_the_encoding_lacks_are_escaped_everywhere(here: Path) -> None:
    (here / "runs" / "лаб").mkdir(parents=True)
    (here / "runs" / "лаб" / "recipe.toml").write_text('name = "сеть"', encoding="utf-8")
    for line in ("tenfold runs", "tenfold runs show", "tenfold runs show лаг"):
        done = shell(line, here, LC_ALL="C", PYTHONIOENCODING="ascii")
        assert r"\u043b\u0430\u0431" in done.stdout + done.stderr, line
        assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("env", "coloured"),
    [({}, False), ({"FORCE_COLOR": "1"}, True), ({"FORCE_COLOR": "1", "NO_COLOR": "1"}, False)],
)
def test_colours_are_as_asked_for(here: Path, env: dict[str, str], coloured: bool) -> None:
    done = shell("env -u TERM TERM=xterm tenfold trian", here, **env)
    assert ("\x1b[31m" in done.stderr) == coloured
    assert "no such command 'trian'" in done.stderr


def test_colours_in_a_file_do_not_make_bars_move_in_it(here: Path) -> None:
    done = shell("env TERM=xterm tenfold data prepare", here, FORCE_COLOR="1")
    assert re.fullmatch(r"prepared 1,797 pictures in \d+\.\d s\n", done.stderr)


def test_no_line_of_a_table_ends_in_spaces(tenfold: Invoke) -> None:
    assert all(line == line.rstrip() for line in tenfold("recipes").out.splitlines())


def test_training_and_testing_say_nothing_but_what_we_say(trained: Trained) -> None:
    assert trained.outcome.code == 0
    expected = r"prepared |training |epoch "  # and no line of TensorFlow's or of Python's warnings
    assert [x for x in trained.outcome.err.splitlines() if not re.match(expected, x)] == []


def on_terminal(here: Path, columns: int, *arguments: str, **env: str) -> str:
    """What a command sends a terminal of some width."""
    pid, terminal = pty.fork()
    if pid == 0:
        try:
            os.chdir(here)
            os.execvpe(COMMAND[0], [*COMMAND, *arguments], {**os.environ, "TERM": "xterm", **env})
        finally:
            os._exit(127)
    import fcntl
    import struct
    import termios

    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    sent = b""
    while select.select([terminal], [], [], 120)[0]:
        try:
            block = os.read(terminal, 1 << 16)
        except OSError:  # how Linux says that the other side is closed
            break
        if not block:
            break
        sent += block
    os.close(terminal)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    return sent.decode()


def lines_of(sent: str) -> list[str]:
    """Each line that was shown, bars as often as they moved, without what moves the cursor."""
    return re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", sent).replace("\r", "\n").splitlines()


@pytest.mark.parametrize("columns", [40, 200])
def test_a_bar_moves_on_a_terminal_and_fits_it(here: Path, columns: int) -> None:
    sent = on_terminal(here, columns, "data", "prepare")
    assert "preparing" in sent
    assert max(map(len, lines_of(sent))) <= columns
    assert re.search(r"prepared 1,797 pictures in \d+\.\d s\r\n", sent)


def test_a_dumb_terminal_gets_plain_lines(here: Path) -> None:
    sent = on_terminal(here, 80, "data", "prepare", TERM="dumb")
    assert "\x1b" not in sent
    assert sent.count("\n") == 2


# Ctrl-C


def test_ctrl_c_while_it_starts_gives_one_line_even_twice(here: Path) -> None:
    # Stops in the first import of the parser, as slow disks do, until Ctrl-C comes twice.
    (here / "typer.py").write_text(
        "import sys, time\nprint('importing', flush=True)\ntime.sleep(600)\n"
    )
    (here / "rich").mkdir()
    (here / "rich" / "__init__.py").write_text(
        "import os, signal, sys\n"
        "os.kill(os.getpid(), signal.SIGINT)\n"  # once more, while the line is being printed
        f"sys.path.remove({str(here)!r})\n"
        "del sys.modules['rich']\n"
        "import rich\n"
    )
    env = {**os.environ, "PYTHONPATH": f"{here}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"}
    with started("runs", env=env, cwd=here) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"importing\n"
        process.send_signal(signal.SIGINT)
        _, err = process.communicate()
    assert (process.returncode, err) == (130, b"tenfold: interrupted\n")


def test_next_to_nothing_is_imported_before_ctrl_c_is_heeded() -> None:
    program = (
        "import sys; old = set(sys.modules); import tenfold.cli; print(set(sys.modules) - old)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    ours = {"tenfold", "tenfold.cli", "tenfold.errors"}
    assert set(re.findall(r"'([\w.]+)'", done.stdout)) <= ours | {"__future__", "errno", "io", "os"}
