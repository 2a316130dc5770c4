"""Check, pack and drive the VSCode extension: what `make vscode` and its sisters do.

Invariant: writes below this checkout only; what is missing is named, with the way to get it.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from pathlib import Path

from make_venv import ROOT, VENV_PYTHON, say
from node import install_node, npm, run

EXTENSION = ROOT / "editors" / "vscode"
BUILD = ROOT / "build" / "vscode"

CODE_SERVER = "code-server@4.139.1"  # VSCode 1.139.1

CHROMIUMS = ("chromium", "chromium-browser", "google-chrome")
# code-server compiles kerberos' module, which its sign-in to proxies uses.
KERBEROS = "/usr/include/gssapi/gssapi.h"
REMEDY = """\
Missing: {what}, which `make test-vscode` needs. Get it with
  Debian           apt-get install {packages}
  Fedora           dnf install chromium krb5-devel gcc-c++ make
"""


def main() -> None:
    """Do one of the three, with what it needs."""
    parser = argparse.ArgumentParser(description="The VSCode extension.")
    parser.add_argument("action", choices=["check", "pack", "test"])
    action = parser.parse_args().action
    if action == "test":
        find_tools()
    node = install_node()
    install_modules(node)
    if action == "check":
        run([node, "--run", "check"], EXTENSION)
    pack(node)
    if action == "test":
        drive(node)


def install_modules(node: Path) -> None:
    """The extension's dependencies, as package-lock.json has them."""
    lock = (EXTENSION / "package-lock.json").read_text("utf-8")
    stamp = EXTENSION / "node_modules" / ".has-lock"
    if not stamp.exists() or stamp.read_text("utf-8") != lock:
        say("Fetching what the extension is made with.")
        npm(node, "ci", "--ignore-scripts", cwd=EXTENSION)
        stamp.write_text(lock, "utf-8")


def pack(node: Path) -> None:
    """Bundle the extension and pack it into `build/vscode/`."""
    BUILD.mkdir(parents=True, exist_ok=True)
    for old in BUILD.glob("*.vsix"):
        old.unlink()
    run([node, "--run", "build"], EXTENSION)
    run([node, "--run", "pack"], EXTENSION)
    (vsix,) = BUILD.glob("*.vsix")
    say(f"Packed {vsix.relative_to(ROOT)} ({vsix.stat().st_size // 1000} kB).")


def drive(node: Path) -> None:
    """Have code-server and Chromium use the packed extension."""
    (vsix,) = BUILD.glob("*.vsix")
    chat_model = BUILD / "chat.gguf"
    code = "import sys, pathlib; from tests.models.chat_model import write_chat_model as write"
    run([VENV_PYTHON, "-c", f"{code}; write(pathlib.Path(sys.argv[1]))", str(chat_model)])
    environment = {
        "CHAT_MODEL": str(chat_model),
        "TABBY_LSP_BIN": str(VENV_PYTHON.parent),
        "CODE_SERVER": str(install_code_server(node)),
        "CHROMIUM": find_chromium() or "",
        "VSIX": str(vsix),
        "SCREENSHOTS": str(BUILD / "screenshots"),
    }
    run([node, "--run", "test:e2e"], EXTENSION, **environment)


def install_code_server(node: Path) -> Path:
    """Its program, a script for Node."""
    folder = BUILD / "code-server"
    entry = folder / "node_modules" / "code-server" / "out" / "node" / "entry.js"
    stamp = folder / ".has-code-server"
    if not stamp.exists() or stamp.read_text() != CODE_SERVER:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        say(f"Installing {CODE_SERVER}: some minutes, and 620 MB below build/vscode.")
        # The headers of this very Node: others may be configured, or would be fetched.
        npm(node, "install", "--prefix", str(folder), CODE_SERVER, nodedir=node.parent.parent)
        stamp.write_text(CODE_SERVER)
    return entry


def find_tools() -> None:
    """Ends this program where Chromium or what compiles code-server is missing."""
    needed = [
        ("Chromium", "chromium fonts-dejavu-core", find_chromium() is not None),
        ("a C++ compiler", "g++", shutil.which("c++") is not None),
        ("the headers of Kerberos", "libkrb5-dev", Path(KERBEROS).exists()),
    ]
    missing = [(what, packages) for what, packages, is_there in needed if not is_there]
    if missing:
        what = ", ".join(what for what, _ in missing)
        say(REMEDY.format(what=what, packages=" ".join(packages for _, packages in missing)))
        sys.exit(1)


def find_chromium() -> str | None:
    return next(filter(None, map(shutil.which, CHROMIUMS)), None)


if __name__ == "__main__":
    main()
