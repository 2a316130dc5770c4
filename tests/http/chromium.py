"""A real Chromium without a window, driven over its DevTools protocol.

The protocol comes over two pipes of our own, so no port is open and no WebSocket is needed.
"""

from __future__ import annotations

import base64
import json
import os
import select
import shutil
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PATIENCE_S = 120.0  # only against a test that hangs
_NAMES = ("chromium", "chromium-browser", "google-chrome")
_FLAGS = (
    "--headless=new",
    "--remote-debugging-pipe",
    "--no-first-run",
    "--no-default-browser-check",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-dev-shm-usage",  # small in containers
    "--disable-gpu",
    "--hide-scrollbars",
    "--mute-audio",
    "--force-device-scale-factor=1",
    "--lang=en",
)
# Chromium reads the protocol at descriptor 3 and writes it at 4.
_LAUNCH = """
import fcntl, os, sys
read, write = (fcntl.fcntl(int(each), fcntl.F_DUPFD, 10) for each in sys.argv[1:3])
os.dup2(read, 3)
os.dup2(write, 4)
os.execv(sys.argv[3], sys.argv[3:])
"""
_KEYS = {
    "Enter": {"code": "Enter", "windowsVirtualKeyCode": 13, "text": "\r"},
    "Tab": {"code": "Tab", "windowsVirtualKeyCode": 9},
    "z": {"code": "KeyZ", "windowsVirtualKeyCode": 90},
    "Space": {"key": " ", "code": "Space", "windowsVirtualKeyCode": 32, "text": " "},
}
_CONTROL, _SHIFT = 2, 8
_N_CLICKS = 20


def chromium() -> str | None:
    """The program; None where there is none, and on Windows, which passes no descriptors on."""
    if sys.platform == "win32":
        return None
    return next(filter(None, map(shutil.which, _NAMES)), None)


@dataclass(slots=True)
class Wire:
    """Messages that end with a NUL, there and back."""

    reading: int
    writing: int
    rest: bytes = b""
    n_sent: int = 0
    events: list[dict[str, Any]] = field(default_factory=list)

    def call(self, method: str, session: str = "", **params: object) -> dict[str, Any]:
        """What Chromium answers to one command."""
        self.n_sent += 1
        message = {"id": self.n_sent, "method": method, "params": params}
        if session:
            message["sessionId"] = session
        os.write(self.writing, json.dumps(message).encode() + b"\0")
        while (answer := self._next()).get("id") != self.n_sent:
            self.events.append(answer)
        assert "error" not in answer, (method, answer["error"])
        result: dict[str, Any] = answer["result"]
        return result

    def _next(self) -> dict[str, Any]:
        deadline_s = time.monotonic() + PATIENCE_S
        while b"\0" not in self.rest:
            ready = select.select([self.reading], [], [], deadline_s - time.monotonic())[0]
            part = os.read(self.reading, 1 << 20) if ready else b""
            assert part, "Chromium has ended, or does not answer"
            self.rest += part
        message, _, self.rest = self.rest.partition(b"\0")
        told: dict[str, Any] = json.loads(message)
        return told


@dataclass(frozen=True, slots=True)
class Tab:
    """One page."""

    wire: Wire
    session: str

    def call(self, method: str, **params: object) -> dict[str, Any]:
        return self.wire.call(method, self.session, **params)

    def open(self, url: str) -> None:
        self.call("Page.navigate", url=url)
        self.wait("document.readyState === 'complete'")

    def resize(self, width: int, height: int) -> None:
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width, height=height, deviceScaleFactor=1, mobile=False,
        )  # fmt: skip

    def prefer(self, **features: str) -> None:
        """Such as `color_scheme="dark"`."""
        given = [
            {"name": f"prefers-{name.replace('_', '-')}", "value": value}
            for name, value in features.items()
        ]
        self.call("Emulation.setEmulatedMedia", features=given)

    def look(self, script: str) -> Any:
        """The value of an expression, or of what it promises."""
        told = self.call(
            "Runtime.evaluate",
            expression=script, awaitPromise=True, returnByValue=True, userGesture=True,
        )  # fmt: skip
        assert "exceptionDetails" not in told, told["exceptionDetails"]
        return told["result"].get("value")

    def wait(self, fact: str) -> None:
        """Until an expression is true, looked at with each frame."""
        script = f"""(async () => {{
            const deadline = performance.now() + {PATIENCE_S * 800};
            while (!({fact})) {{
                if (performance.now() > deadline) return false;
                await new Promise((resolve) => setTimeout(resolve, 20));
            }}
            return true;
        }})()"""
        assert self.look(script), f"never: {fact}\n{self.look('document.body.innerText')}"

    def text(self, selector: str) -> str:
        """What a person reads there."""
        said = self.look(f"document.querySelector({json.dumps(selector)})?.innerText ?? ''")
        return str(said).strip()

    def wait_text(self, selector: str, part: str) -> None:
        of = f"document.querySelector({json.dumps(selector)})"
        self.wait(f"{of}?.checkVisibility() && {of}.innerText.includes({json.dumps(part)})")

    def is_shown(self, selector: str) -> bool:
        of = f"document.querySelector({json.dumps(selector)})"
        return bool(self.look(f"Boolean({of}?.checkVisibility())"))

    def click(self, selector: str) -> None:
        """With the mouse, in the middle of the element; again where it moved away meanwhile."""
        for _ in range(_N_CLICKS):
            place = self.look(
                f"""(() => {{
                    const found = document.querySelector({json.dumps(selector)});
                    globalThis.wasHit = false;
                    const hit = () => (globalThis.wasHit = true);
                    found.addEventListener('click', hit, {{once: true, capture: true}});
                    found.scrollIntoView({{block: 'center', behavior: 'instant'}});
                    const box = found.getBoundingClientRect();
                    return [box.x + box.width / 2, box.y + box.height / 2];
                }})()"""
            )
            for kind in ("mousePressed", "mouseReleased"):
                self.call(
                    "Input.dispatchMouseEvent",
                    type=kind, x=place[0], y=place[1], button="left", clickCount=1,
                )  # fmt: skip
            if self.look("globalThis.wasHit"):
                return
        raise AssertionError(f"{selector} cannot be hit")

    def type(self, text: str) -> None:
        """Into what has the focus."""
        self.call("Input.insertText", text=text)

    def press(self, key: str, *, control: bool = False, shift: bool = False) -> None:
        modifiers = _CONTROL * control + _SHIFT * shift
        named = {"key": key, "modifiers": modifiers, **_KEYS.get(key, {})}
        if control:
            named.pop("text", None)
        self.call("Input.dispatchKeyEvent", type="keyDown", **named)
        self.call("Input.dispatchKeyEvent", type="keyUp", **named | {"text": ""})

    def choose_files(self, selector: str, *paths: Path) -> None:
        """What the dialog of a file field would give."""
        found = self.call(
            "Runtime.evaluate", expression=f"document.querySelector({json.dumps(selector)})"
        )
        self.call(
            "DOM.setFileInputFiles",
            files=[str(path) for path in paths], objectId=found["result"]["objectId"],
        )  # fmt: skip

    def picture(self, path: Path, *, is_whole: bool = True) -> None:
        """A PNG of the page, as long as it is."""
        told = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=is_whole)
        path.write_bytes(base64.b64decode(told["data"]))

    def complaints(self) -> list[str]:
        """Faults of scripts, what the policy forbade, and what was written to the console."""
        self.look("0")
        found = []
        for event in self.wire.events:
            params = event.get("params", {})
            if event.get("method") == "Runtime.exceptionThrown":
                found.append(json.dumps(params["exceptionDetails"]))
            if event.get("method") == "Runtime.consoleAPICalled":
                found.append(json.dumps(params["args"]))
            entry = params.get("entry", {})
            # That a request failed, or was refused, is what some tests are about.
            if entry and entry.get("source") != "network":
                found.append(f"{entry['source']}: {entry['text']}")
        return found


@contextmanager
def browser(folder: Path) -> Iterator[Wire]:
    """A Chromium with a profile of its own below `folder`, ended with the block."""
    program = chromium()
    assert program
    read_theirs, write_ours = os.pipe()
    read_ours, write_theirs = os.pipe()
    # Root may not have Chromium's sandbox; CI's containers are root's.
    rights = ["--no-sandbox"] if os.geteuid() == 0 else []
    launch = [sys.executable, "-c", _LAUNCH, str(read_theirs), str(write_theirs)]
    with (folder / "chromium.log").open("w") as log:
        process = subprocess.Popen(
            [*launch, program, *_FLAGS, *rights, f"--user-data-dir={folder / 'profile'}"],
            pass_fds=(read_theirs, write_theirs),
            stdin=subprocess.DEVNULL, stdout=log, stderr=log,
        )  # fmt: skip
    os.close(read_theirs)
    os.close(write_theirs)
    wire = Wire(read_ours, write_ours)
    try:
        wire.call("Browser.getVersion")
        yield wire
        wire.call("Browser.close")
    finally:
        os.close(read_ours)
        os.close(write_ours)
        try:
            process.wait(PATIENCE_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@contextmanager
def tab(wire: Wire) -> Iterator[Tab]:
    """A page without cookies, storage and cache of others; nothing is left of it."""
    context = wire.call("Target.createBrowserContext")["browserContextId"]
    target = wire.call(
        "Target.createTarget", url="about:blank", browserContextId=context, width=1400, height=900
    )["targetId"]
    session = wire.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
    wire.events.clear()
    opened = Tab(wire, session)
    for world in ("Page", "Runtime", "Log"):
        opened.call(f"{world}.enable")
    opened.resize(1400, 900)
    try:
        yield opened
    finally:
        wire.call("Target.disposeBrowserContext", browserContextId=context)
