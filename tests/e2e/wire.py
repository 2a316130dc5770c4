"""A small language client over a real server's pipes, which knows nothing of the server's code.

Invariant: every byte of the server's stdout is part of a well-formed frame or stands in `foreign`.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from collections.abc import Callable

Json = dict[str, Any]
RequestId = int | str

REPOSITORY = Path(__file__).parents[2]
PATIENCE_S = 120.0  # only against a test that hangs

INVOKED = 1
AUTOMATIC = 2

_HEADER = re.compile(rb"(?:Content-Length: (\d+)|Content-Type: [^\r\n]+)\r\n")


class RefusedError(Exception):
    """The server answered with an error."""

    def __init__(self, error: Json) -> None:
        super().__init__(f"{error['code']}: {error['message']}")
        self.code = error["code"]


class EndedError(Exception):
    """The server's stdout ended before the answer came; the text is its log."""


@dataclass(frozen=True, slots=True)
class Reply:
    """One answer as it came."""

    message: Json
    arrived_s: float  # time.monotonic()

    @property
    def result(self) -> Any:
        """What was answered; raises RefusedError for an error."""
        if "error" in self.message:
            raise RefusedError(self.message["error"])
        return self.message["result"]

    @property
    def code(self) -> int | None:
        """The error's code, None for a result."""
        error: Json | None = self.message.get("error")
        return None if error is None else int(error["code"])


@dataclass(frozen=True, slots=True)
class Request:
    """A request on its way."""

    id: RequestId
    answer: Future[Reply]

    def reply(self, timeout_s: float = PATIENCE_S) -> Reply:
        """Wait for the first answer, whatever it says; raises EndedError and TimeoutError."""
        return self.answer.result(timeout_s)

    def result(self, timeout_s: float = PATIENCE_S) -> Any:
        """Wait for the answer; raises RefusedError for an error."""
        return self.reply(timeout_s).result


class Client:
    """A language client at one server process; leaving it kills the process and its group.

    `settings` is what the client says when asked for `workspace/configuration`; a client with
    `answers=False` never answers any request of the server.
    """

    def __init__(
        self,
        process: subprocess.Popen[bytes],
        *,
        settings: Json | None = None,
        answers: bool = True,
    ) -> None:
        # What the client answers to requests of the server that it takes besides the usual ones.
        self.takes: dict[str, Callable[[Json], Json]] = {}
        assert process.stdin and process.stdout and process.stderr
        self.process = process
        self.settings = settings
        self.answers = answers
        self.replies: dict[RequestId | None, list[Reply]] = {}
        self.notifications: list[Json] = []
        self.server_requests: list[Json] = []
        self.foreign: list[bytes] = []
        self.logged = bytearray()  # all that came on stderr
        self.greeting: Json = {}  # the result of initialize
        self._stdin = process.stdin
        self._stdout = process.stdout
        self._stderr = process.stderr
        self._writing = threading.Lock()
        self._waiting: dict[RequestId, Future[Reply]] = {}
        self._n_requests = 0
        self._readers = [
            threading.Thread(target=self._read_stdout, daemon=True),
            threading.Thread(target=self._read_stderr, daemon=True),
        ]
        for reader in self._readers:
            reader.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self.close_stdin()
        for reader in self._readers:
            reader.join(PATIENCE_S)
        self._stdout.close()
        self._stderr.close()

    # Bytes and messages.

    def send_bytes(self, data: bytes) -> None:
        """Write to the server's stdin as it is."""
        with self._writing:
            self._stdin.write(data)
            self._stdin.flush()

    def send(self, *messages: object) -> None:
        """Write messages as frames, all of them in one write."""
        self.send_bytes(b"".join(frame(json.dumps(message).encode()) for message in messages))

    def notify(self, method: str, params: object = None) -> None:
        """Send a notification; without `params` where it is None."""
        self.send(_message(method, params))

    def request(self, method: str, params: object = None) -> Request:
        """Send a request; without `params` where it is None."""
        request, message = self.prepare(method, params)
        self.send(message)
        return request

    def prepare(self, method: str, params: object = None) -> tuple[Request, Json]:
        """Make a request and its message, for a caller who sends it in a way of their own."""
        self._n_requests += 1
        return self.expect(self._n_requests), _message(method, params) | {"id": self._n_requests}

    def expect(self, request_id: RequestId) -> Request:
        """Wait for an answer with this id, to something sent as raw bytes."""
        self._waiting[request_id] = Future()
        return Request(request_id, self._waiting[request_id])

    @property
    def n_unanswered(self) -> int:
        """How many requests still wait for their answer."""
        return len(self._waiting)

    def call(self, method: str, params: object = None) -> Any:
        """Send a request and wait for its result; raises RefusedError for an error."""
        return self.request(method, params).result()

    def cancel(self, request: Request) -> None:
        """Say that the answer is not wanted any more."""
        self.notify("$/cancelRequest", {"id": request.id})

    # Life and death.

    def initialize(self, params: Json) -> Json:
        """Shake hands and return the server's capabilities."""
        self.greeting = self.call("initialize", params)
        self.notify("initialized", {})
        return self.capabilities

    @property
    def capabilities(self) -> Json:
        """What the server said it can do."""
        capabilities: Json = self.greeting["capabilities"]
        return capabilities

    def close_stdin(self) -> None:
        """Let the server see the end of its input."""
        with contextlib.suppress(BrokenPipeError):
            self._stdin.close()

    def wait_ended(self, timeout_s: float) -> int:
        """Wait for the process and return its exit status; raises TimeoutExpired."""
        status = self.process.wait(timeout_s)
        for reader in self._readers:
            reader.join(timeout_s)
        return status

    def wait_silent(self, timeout_s: float) -> bool:
        """Whether nobody holds the other ends of stdout and stderr any more within this time.

        Tells the death of a server that is not this process's child.
        """
        return wait_until(lambda: not any(r.is_alive() for r in self._readers), timeout_s)

    # What a language client asks.

    def open(self, uri: str, text: str, *, language: str = "python", version: int = 1) -> None:
        """Send didOpen."""
        document = {"uri": uri, "languageId": language, "version": version, "text": text}
        self.notify("textDocument/didOpen", {"textDocument": document})

    def change(self, uri: str, version: int, *changes: Json) -> None:
        """Send didChange."""
        document = {"uri": uri, "version": version}
        params = {"textDocument": document, "contentChanges": list(changes)}
        self.notify("textDocument/didChange", params)

    def close(self, uri: str) -> None:
        """Send didClose."""
        self.notify("textDocument/didClose", {"textDocument": {"uri": uri}})

    def ask(self, uri: str, position: Json, *, kind: int = INVOKED) -> Request:
        """Send an inline completion request."""
        return self.request(INLINE_COMPLETION, inline_params(uri, position, kind=kind))

    def complete(self, uri: str, position: Json, *, kind: int = INVOKED) -> list[Json]:
        """Ask for inline completions and return the items."""
        items: list[Json] = self.ask(uri, position, kind=kind).result()["items"]
        return items

    def execute(self, command: str, *arguments: object) -> Any:
        """Run a command on the server and return its result."""
        params = {"command": command, "arguments": list(arguments)}
        return self.call("workspace/executeCommand", params)

    def inspect(self, **argument: object) -> Json:
        """Run `tabby.inspect`."""
        answer: Json = self.execute("tabby.inspect", argument)
        return answer

    def engine_state(self) -> str:
        """The engine's state as `tabby.status` says it."""
        return str(self.execute("tabby.status")["engine"]["state"])

    def wait_ready(self) -> None:
        """Wait until the model is loaded; loading begins when a Python document is opened."""
        ready = wait_until(lambda: self.engine_state() == "ready", PATIENCE_S, every_s=0.05)
        assert ready, f"{self.execute('tabby.status')}\n{self.logged.decode(errors='replace')}"

    # Reading.

    def _read_stdout(self) -> None:
        while (body := self._read_body(self._stdout)) is not None:
            try:
                message = json.loads(body)
            except ValueError:
                message = None
            if _is_message(message):
                self._receive(message)
            else:
                self.foreign.append(body)
        self._readers[1].join(PATIENCE_S)
        for waiting in self._waiting.values():
            waiting.set_exception(EndedError(self.logged.decode(errors="replace")))

    def _read_body(self, stream: IO[bytes]) -> bytes | None:
        size_bytes: int | None = None
        while line := stream.readline():
            if line == b"\r\n" and size_bytes is not None:
                body = stream.read(size_bytes)
                if len(body) == size_bytes:
                    return body
                self.foreign.append(body)
            elif match := _HEADER.fullmatch(line):
                size_bytes = int(match[1]) if match[1] else size_bytes
            else:
                self.foreign.append(line)
        return None

    def _read_stderr(self) -> None:
        while data := os.read(self._stderr.fileno(), 65536):
            self.logged += data

    def _receive(self, message: Json) -> None:
        if "method" not in message:
            reply = Reply(message, time.monotonic())
            self.replies.setdefault(message["id"], []).append(reply)
            waiting = self._waiting.pop(message["id"], None)
            if waiting is not None:
                waiting.set_result(reply)
        elif "id" in message:
            self.server_requests.append(message)
            if self.answers:
                with contextlib.suppress(BrokenPipeError, ValueError):
                    self.send({"jsonrpc": "2.0", "id": message["id"], **self._answer(message)})
        else:
            self.notifications.append(message)

    def _answer(self, message: Json) -> Json:
        match message["method"]:
            case "workspace/configuration":
                return {"result": [self.settings for _ in message["params"]["items"]]}
            case "window/workDoneProgress/create" | "client/registerCapability":
                return {"result": None}
            case method if method in self.takes:
                return {"result": self.takes[method](message["params"])}
            case method:
                return {"error": {"code": -32601, "message": f"{method} is not known here"}}


INLINE_COMPLETION = "textDocument/inlineCompletion"


def inline_params(uri: str, position: Json, *, kind: int = INVOKED, **context: object) -> Json:
    """What `textDocument/inlineCompletion` carries."""
    return {
        "textDocument": {"uri": uri},
        "position": position,
        "context": {"triggerKind": kind, **context},
    }


def frame(body: bytes) -> bytes:
    """Put the header before a body."""
    return b"Content-Length: %d\r\n\r\n%b" % (len(body), body)


def server_command(*flags: str) -> list[str]:
    """How the language server is started."""
    return [sys.executable, "-m", "tabby_lsp", *(flags or ("--stdio",))]


def start(
    home: Path,
    *flags: str,
    command: list[str] | None = None,
    python_path: Path | None = None,
    settings: Json | None = None,
    answers: bool = True,
    variables: dict[str, str] | None = None,
) -> Client:
    """Start a server whose home is `home` and which sees nothing of this process's environment.

    `command` stands for the server's own where somebody else is to start it; modules in
    `python_path` are found first; `variables` stand over the environment.
    """
    environment = isolated_environment(home) | (variables or {})
    if python_path is not None:
        environment["PYTHONPATH"] = f"{python_path}{os.pathsep}{environment['PYTHONPATH']}"
    process = subprocess.Popen(
        command or server_command(*flags),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=home,
        env=environment,
        start_new_session=True,
    )
    return Client(process, settings=settings, answers=answers)


def isolated_environment(home: Path) -> dict[str, str]:
    """An environment in which everything that is written lands under `home`."""
    folders = {
        "HOME": home,
        "TMPDIR": home / "tmp",
        "XDG_CACHE_HOME": home / ".cache",
        "XDG_CONFIG_HOME": home / ".config",
        "XDG_DATA_HOME": home / ".local/share",
        "XDG_RUNTIME_DIR": home / "run",
        "XDG_STATE_HOME": home / ".local/state",
    }
    for folder in folders.values():
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    paths = {"PATH": os.environ["PATH"], "PYTHONPATH": str(REPOSITORY), "LANG": "C"}
    # Each home has an engine host of its own, which is gone soon after its last window.
    paths |= {"TABBY_LSP_HOST_STAYS_S": "1", "TABBY_LSP_HOST_SELF_TEST": "false"}
    return paths | {name: str(folder) for name, folder in folders.items()}


def wait_until(fact: Callable[[], bool], timeout_s: float, every_s: float = 0.01) -> bool:
    """Look again and again until `fact` holds; False where it does not in time."""
    deadline_s = time.monotonic() + timeout_s
    while not fact():
        if time.monotonic() > deadline_s:
            return False
        time.sleep(every_s)
    return True


def _is_message(message: object) -> bool:
    if not isinstance(message, dict) or message.get("jsonrpc") != "2.0":
        return False
    return "method" in message or isinstance(message.get("id", ...), int | str | None)


def _message(method: str, params: object) -> Json:
    message: Json = {"jsonrpc": "2.0", "method": method}
    return message if params is None else message | {"params": params}
