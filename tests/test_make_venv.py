"""On a machine that lacks something, `make` names it with the way to get it, and builds nothing."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def check(checkout: Path, extras: str, *said: str, unsaid: str = "") -> None:
    """With `checkout/bin` alone on the path, the set-up gives up and says this."""
    (checkout / ".ci").mkdir()
    (checkout / "bin").mkdir(exist_ok=True)
    script = Path(shutil.copy(ROOT / ".ci" / "make_venv.py", checkout / ".ci"))
    command = [sys.executable, str(script), extras]
    done = subprocess.run(
        command, env={"PATH": str(checkout / "bin")}, capture_output=True, text=True, timeout=60
    )
    assert [part for part in said if part not in done.stdout] == [], done.stdout
    assert not unsaid or unsaid not in done.stdout
    assert (done.returncode, done.stderr) == (1, "")
    assert sorted(path.name for path in checkout.iterdir()) == [".ci", "bin"]


def test_no_python(tmp_path: Path) -> None:
    check(tmp_path, "local", "Missing: Python 3.11", "apt-get install python3", "dnf", "brew")


def test_an_old_python_is_named_with_its_version(tmp_path: Path) -> None:
    old = tmp_path / "bin" / "python3"
    old.parent.mkdir()
    old.write_text("#!/bin/sh\necho 3 9\n")
    old.chmod(0o755)
    check(tmp_path, "local", f"found {old} (3.9)", "Missing: Python 3.11")


def test_all_that_is_missing_is_named_at_once(tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "python3").symlink_to(sys.executable)
    check(
        tmp_path,
        "local,test",
        "Missing: git",
        "apt-get install git",
        "Missing: A C++ compiler",
        "xcode-select --install",
        "https://abetlen.github.io/llama-cpp-python/whl/cpu",
        unsaid="Missing: Python",
    )
