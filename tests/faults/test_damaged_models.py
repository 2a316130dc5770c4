"""No damaged model file ends the process that loads it: our own look at it comes first."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

from tests.e2e.wire import REPOSITORY, isolated_environment
from tests.faults import damage

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.faults.conftest import Faults

import pytest

pytestmark = pytest.mark.timeout(3600)


class Loader:
    """A process that loads one file after the other, and a new one when that has died."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self._process: subprocess.Popen[str] | None = None

    def load(self, path: Path) -> str | None:
        """What it said; None where it died."""
        process = self._process
        if process is None:
            process = self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.faults.loading"],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                cwd=REPOSITORY, env=isolated_environment(self._home), text=True,
            )  # fmt: skip
        assert process.stdin and process.stdout
        process.stdin.write(f"{path}\n")
        process.stdin.flush()
        answer = process.stdout.readline()
        if not answer:
            self.close()
        return answer.strip() or None

    def close(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None


def check(contents: Iterator[bytes], home: Path, what: str, n: int, faults: Faults) -> list[str]:
    """Load each; the sentences of those that were refused."""
    loader, path = Loader(home), home / "model.gguf"
    deaths, said = [], []
    for number, content in enumerate(contents):
        path.unlink(missing_ok=True)
        path.write_bytes(content)
        answer = loader.load(path)
        if answer is None:
            (home / f"death-{what}-{number}.gguf").write_bytes(content)
            deaths.append(number)
        elif answer.startswith("no "):
            said.append(answer[3:])
    loader.close()
    faults.tell(f"processes ended by {n} {what} models", str(len(deaths)), "0")
    assert deaths == [], f"{what} with the seed {faults.seed}; the files are in {home}"
    return said


def test_truncated_models_are_refused(home: Path, faults: Faults) -> None:
    n = faults.n(40, 500)
    said = check(damage.truncated(n, faults.seed), home, "truncated", n, faults)
    assert len(said) == n
    assert all("model.gguf" in sentence for sentence in said)


def test_mutated_models_end_no_process(home: Path, faults: Faults) -> None:
    n = faults.n(100, 2000)
    check(damage.mutated(n, faults.seed), home, "mutated", n, faults)
