"""`tabby-lsp chat`, as a person uses it: in a pipe, and at a terminal."""

from __future__ import annotations

import fcntl
import os
import pty
import signal
import subprocess
import sys
import termios
import time
from typing import IO, TYPE_CHECKING

import pytest

from tests.e2e.wire import PATIENCE_S, isolated_environment, wait_until
from tests.models.chat_model import write_chat_model

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PROMPT = "\n> "
LONG = "def test_one(): assert 1 == 1"


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_chat_model(tmp_path_factory.mktemp("model") / "chat.gguf")


def asked(home: Path, *arguments: str, piped: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "tabby_lsp", "chat", *arguments],
        env=isolated_environment(home),
        input=piped, capture_output=True, text=True, check=False, cwd=home,
    )  # fmt: skip


def test_an_answer_is_printed(home: Path, model: Path) -> None:
    run = asked(home, "--model", str(model), *LONG.split())
    assert run.returncode == 0, run.stderr
    assert run.stdout.strip()


def test_what_is_piped_in_is_what_the_question_is_about(home: Path) -> None:
    (home / "script.json").write_text(
        '[{"message": "Given:\\n```\\nx = 1\\n```\\n\\nwhat is x?", "text": "one"}]'
    )
    config = home / "config.toml"
    config.write_text(
        f'[engines.s]\nkind = "scripted"\nfile = "{home}/script.json"\n[chat]\nengine = "s"\n'
    )
    run = asked(home, "--config", str(config), "what is x?", piped="x = 1\n")
    assert (run.stdout, run.returncode) == ("one\n", 0), run.stderr


def test_without_a_question_what_is_piped_in_is_the_question(home: Path, model: Path) -> None:
    run = asked(home, "--model", str(model), piped=LONG)
    assert run.returncode == 0, run.stderr
    assert run.stdout.strip()


def test_nothing_asked_is_a_wrong_call(home: Path) -> None:
    run = asked(home)
    assert run.returncode == 2
    assert "nothing was asked" in run.stderr


def test_without_a_model_it_says_how_to_get_one(home: Path) -> None:
    run = asked(home, "hello")
    assert run.returncode == 1
    assert run.stdout == ""
    assert "tabby-lsp models pull" in run.stderr


def test_what_is_piped_in_may_be_in_any_encoding(home: Path, model: Path) -> None:
    run = subprocess.run(
        [sys.executable, "-m", "tabby_lsp", "chat", "--model", str(model), *LONG.split()],
        env=isolated_environment(home) | {"PYTHONIOENCODING": "utf-8:strict"},
        input=b'x = "\xe9\xff"\n', capture_output=True, check=False, cwd=home,
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    assert run.stdout.strip()


@pytest.mark.parametrize("output", ["/dev/full", "-"])
def test_an_answer_that_cannot_be_written_is_one_sentence(
    home: Path, model: Path, output: str
) -> None:
    chat = f'"{sys.executable}" -m tabby_lsp chat --model "{model}" {LONG!r}'
    run = subprocess.run(
        ["sh", "-c", f"{chat} </dev/null >{'&-' if output == '-' else output}"],
        env=isolated_environment(home), capture_output=True, text=True, check=False, cwd=home,
    )  # fmt: skip
    assert run.returncode == 1
    assert "cannot be written" in run.stderr
    assert run.stderr.count("\n") == 1


def n_unread(pipe: IO[bytes] | None) -> int:
    """How many bytes in a pipe nobody has read yet."""
    assert pipe
    answer = fcntl.ioctl(pipe.fileno(), termios.FIONREAD, b"\0" * 4)
    return int.from_bytes(answer, sys.byteorder)


def test_ctrl_c_while_it_waits_for_what_is_piped_in(home: Path, model: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "tabby_lsp", "chat", "--model", str(model), LONG],
        env=isolated_environment(home), cwd=home,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    assert process.stdin
    process.stdin.write(b"x = 1\n")
    process.stdin.flush()
    # As soon as it has read that, it waits for more.
    assert wait_until(lambda: n_unread(process.stdin) == 0, PATIENCE_S)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=PATIENCE_S)
    assert (process.returncode, said) == (130, b"")


class Terminal:
    """A program at a terminal of its own, and what it has written there."""

    def __init__(self, home: Path, *arguments: str) -> None:
        self._pid, self._screen = pty.fork()
        if self._pid == 0:
            environment = isolated_environment(home) | {"TERM": "dumb"}
            command = [sys.executable, "-m", "tabby_lsp", "chat", *arguments]
            os.execve(sys.executable, command, environment)
        self.written = ""

    def __enter__(self) -> Terminal:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._screen)

    def type(self, text: str) -> None:
        os.write(self._screen, text.encode())

    def wait_for(self, text: str, times: int = 1) -> None:
        for chunk in self._chunks():
            self.written += chunk
            if self.written.count(text) >= times:
                return
        raise AssertionError(self.written)

    def wait_for_more(self, n_chars: int) -> None:
        """Until it has written so much more."""
        n_wanted = len(self.written) + n_chars
        for chunk in self._chunks():
            self.written += chunk
            if len(self.written) >= n_wanted:
                return
        raise AssertionError(self.written)

    def status(self) -> int:
        for chunk in self._chunks():
            self.written += chunk
        return os.waitstatus_to_exitcode(os.waitpid(self._pid, 0)[1])

    def _chunks(self) -> Iterator[str]:
        deadline_s = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline_s:
            try:
                chunk = os.read(self._screen, 4096)
            except OSError:  # Linux' way to say that the program has ended.
                return
            if not chunk:
                return
            yield chunk.decode("utf-8", "replace")


def test_a_conversation_goes_on_until_the_end_of_the_input(home: Path, model: Path) -> None:
    with Terminal(home, "--model", str(model)) as terminal:
        terminal.wait_for(PROMPT)
        terminal.type(f"{LONG}\n")
        terminal.wait_for(PROMPT, times=2)
        terminal.type("and now?\n")
        terminal.wait_for(PROMPT, times=3)
        terminal.type("\x04")
        assert terminal.status() == 0


def test_an_answer_can_be_stopped(home: Path) -> None:
    model = write_chat_model(home / "endless.gguf", n_ctx=32_768, has_end=False)
    config = home / "config.toml"
    config.write_text("[chat]\nmax_tokens = 30000\n")
    with Terminal(home, "--model", str(model), "--config", str(config)) as terminal:
        for question in ("def test_one(): # one", "def test_two(): # two"):
            terminal.wait_for(PROMPT)
            terminal.type(f"{question}\n")
            terminal.wait_for(question)
            terminal.wait_for_more(200)
            terminal.written = ""
            terminal.type("\x03")
        terminal.wait_for(PROMPT)
        terminal.type("\x04")
        assert terminal.status() == 0
