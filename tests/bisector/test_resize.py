"""The live display in a terminal that is resized while it is shown."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import re
import select
import shutil
import struct
import subprocess
import sys
import termios
import time
from pathlib import Path

import pytest
from rich.cells import cell_len
from rich.console import Console

from bisector.reporting.in_place import InPlace

HERE = Path(__file__).parent
COMMAND = [sys.executable, str(HERE / "on_display.py")]
CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|[\r\n]+")
PATIENCE_S = 60.0

pytestmark = pytest.mark.process


class Terminal:
    """A pseudo terminal with the display in it."""

    def __init__(self, width, height):
        self.master, slave = pty.openpty()
        self.resize(width, height)
        environment = {k: v for k, v in os.environ.items() if k not in ("COLUMNS", "LINES")}
        self.process = subprocess.Popen(
            COMMAND,
            stdin=slave,
            stdout=slave,
            stderr=slave,
            env=environment | {"TERM": "xterm", "LC_ALL": "C.UTF-8"},
            start_new_session=True,
        )
        os.close(slave)
        self.said = b""

    def resize(self, width, height):
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", height, width, 0, 0))

    def read_on(self, enough):
        """What is written from now on, until that is enough, or the program ends."""
        begin, until = len(self.said), time.monotonic() + PATIENCE_S
        while not enough(self.said[begin:].decode("utf-8", "replace")):
            assert time.monotonic() < until, self.said
            if select.select([self.master], [], [], 0.1)[0]:
                try:
                    self.said += os.read(self.master, 65536)
                except OSError:
                    break
        return self.said[begin:].decode("utf-8", "replace")

    def answer(self):
        os.write(self.master, b"\n")


def redrawn(times):
    return lambda text: text.count("\x1b[J") >= times


def ended(text):
    return False


@pytest.mark.parametrize("widths", [(120, 50), (50, 80)])
def test_no_line_is_wider_than_the_terminal_is_now(widths):
    before, after = widths
    terminal = Terminal(before, 24)
    try:
        first = terminal.read_on(redrawn(1))
        assert max(cell_len(piece) for piece in CONTROL.split(first)) < before
        terminal.resize(after, 24)
        terminal.read_on(redrawn(1))  # this one may have been on its way
        later = terminal.read_on(redrawn(1))
        assert max(cell_len(piece) for piece in CONTROL.split(later)) < after
        terminal.answer()
        terminal.answer()
        last = terminal.read_on(ended)
        assert terminal.process.wait(PATIENCE_S) == 0
        left = [line for line in last.rpartition("\x1b[J")[2].splitlines() if line]
        assert left in ([], ["warning: the machine is busy"]), "no picture"
        assert "\nwarning: " in last.replace("\x1b[J", "\n")
    finally:
        terminal.process.kill()
        terminal.process.wait()
        os.close(terminal.master)


def test_a_terminal_that_goes_away_costs_nothing():
    terminal = Terminal(80, 24)
    try:
        terminal.read_on(redrawn(1))
        os.close(terminal.master)
        # Input has ended as well, so that the program does.
        assert terminal.process.wait(PATIENCE_S) == 0
    finally:
        terminal.process.kill()
        terminal.process.wait()


class Stream:
    """What is written to a terminal of a size that may change."""

    def __init__(self):
        self.text = ""

    def write(self, text):
        self.text += text

    def flush(self):
        pass

    def isatty(self):
        return True


def drawing(width, height):
    stream = Stream()
    console = Console(file=stream, force_terminal=True, width=width, height=height)
    return stream, console, InPlace(console)


def test_lines_that_the_terminal_has_folded_since_are_taken_away_whole():
    stream, console, place = drawing(80, 24)
    place.draw(["x" * 79, "y" * 30])
    console.width = 40
    stream.text = ""
    place.draw(["z"])
    assert stream.text == "\r\x1b[2A\x1b[Jz", "two rows of x and one of y"


def test_what_is_too_high_keeps_its_first_line_and_its_last():
    stream, _, place = drawing(80, 4)
    place.draw([f"line {i}" for i in range(9)])
    assert stream.text == "line 0\nline 7\nline 8"


@pytest.mark.skipif(not shutil.which("tmux"), reason="needs tmux")
def test_in_a_real_terminal_nothing_of_an_older_picture_is_left(tmp_path):
    socket = tmp_path / "tmux"

    def tmux(*words):
        command = ["tmux", "-S", str(socket), "-f", "/dev/null", *words]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout

    def seen(enough):
        until = time.monotonic() + PATIENCE_S
        while True:
            rows = [row for row in tmux("capture-pane", "-p").splitlines() if row.strip()]
            if enough(rows):
                return rows
            assert time.monotonic() < until, rows
            time.sleep(0.05)

    environment = {k: v for k, v in os.environ.items() if k not in ("COLUMNS", "LINES", "TMUX")}
    try:
        subprocess.run(
            [
                *("tmux", "-u", "-S", str(socket), "-f", "/dev/null", "new-session", "-d"),
                *("-x", "120", "-y", "30", *COMMAND),
            ],
            env=environment | {"LC_ALL": "C.UTF-8"},
            check=True,
        )
        wide = seen(lambda rows: len(rows) == 6)
        assert "412 functions in company.platform.inference.runtime · 0 runs" in wide[0]
        for width in (50, 100):
            tmux("resize-window", "-x", str(width), "-y", "30")
            rows = seen(lambda rows, width=width: drawn_anew(rows, width))
            assert len(rows) == 6
            assert sum("sensitive" in row for row in rows) == 4
            assert sum("▸" in row for row in rows) == 1
    finally:
        with contextlib.suppress(subprocess.CalledProcessError):
            tmux("kill-server")


def drawn_anew(rows, width):
    """Whether the picture is one of this width: its longest lines are cut at just that."""
    return len(rows) == 6 and width - 6 < max(map(cell_len, rows)) < width
